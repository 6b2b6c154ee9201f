//! A restart behind a balancer: `--shutdown-delay`, `--restart` and `--drain-spread`.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Frame, TestServer, config, eventually, exchange, masked, text};
use crate::server_process::{LogLines, ServerProcess};
use ws_echo::Config;

/// Returns the status of a plain request.
fn status(address: SocketAddr, path: &str) -> u16 {
    let response = exchange(address, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    response.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{response}"))
}

/// Replies to a Close with the same code.
fn reply(code: u16) -> Vec<u8> {
    masked(0x88, code.to_be_bytes())
}

#[test]
fn shutdown_delay_serves_old_and_new_clients_while_readyz_is_503() {
    let process = ServerProcess::start(&["--shutdown-delay", "1h", "--waiting", "0"]);
    assert_eq!(status(process.address, "/readyz"), 200);
    let mut client = process.open("/echo");
    process.signal("TERM");
    eventually("/readyz is 503", || status(process.address, "/readyz") == 503);
    assert_eq!(status(process.address, "/health"), 200);
    client.send(text("still here"));
    assert_eq!(client.read_text(), "still here");
    let mut late = process.open("/echo");
    late.send(text("served too"));
    assert_eq!(late.read_text(), "served too");
    process.signal("INT");
    assert_eq!(process.wait().0, Some(130), "a SIGINT during the delay ends the process at once");
}

#[test]
fn shutdown_delay_is_followed_by_the_drain() {
    let delay = Duration::from_millis(400);
    let mut process = ServerProcess::start(&["--shutdown-delay", "400ms", "--restart"]);
    let log = LogLines::of(&mut process);
    let mut client = process.open("/echo");
    let since = Instant::now();
    process.signal("TERM");
    log.expect("shutting down in 0.4 s: /readyz responds 503");
    assert_eq!(client.read_frame(), Frame::close(1012, "server restarting; connect again"));
    assert!(since.elapsed() >= delay, "{:?}", since.elapsed());
    eventually("connections are refused", || TcpStream::connect(process.address).is_err());
    client.send(reply(1012));
    client.expect_end();
    let (code, out, _) = process.wait();
    assert!(code == Some(0) && out.contains("server 1012: 1"), "{out}");
}

#[test]
fn drain_spread_closes_sessions_one_after_another() {
    let spread = Duration::from_millis(800);
    let server = TestServer::with(Config { drain_spread: spread, ..config() });
    let mut clients: Vec<_> = (0..8).map(|_| server.open("/echo")).collect();
    // The 101 is sent before the session counts as open for the drain.
    for client in &mut clients {
        client.send(text("open"));
        assert_eq!(client.read_text(), "open");
    }
    let since = Instant::now();
    server.stop.request();
    let readers: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            thread::spawn(move || {
                let frame = client.read_frame();
                let closed_after = since.elapsed();
                assert_eq!(frame, Frame::close(1001, "server shutting down"));
                client.send(reply(1001));
                client.expect_end();
                closed_after
            })
        })
        .collect();
    let mut times: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    times.sort_unstable();
    for (time, n) in times.iter().zip(0..) {
        assert!(*time >= spread / 8 * n, "{times:?}");
    }
    assert_eq!(server.finish().totals.clean, 8);
}
