//! HTTP proxies.

use crate::{
    runs::ws_load,
    test_servers::{Server, read_head},
};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Starts a proxy that records the request heads, answers with `status`, and connects to `server` if that is
/// success.
fn proxy(server: SocketAddr, status: &'static str) -> (Server, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&heads);
    let proxy = Server::raw(move |mut stream, _, _| {
        recorded.lock().unwrap().push(read_head(&mut stream));
        let _ = write!(stream, "{status}\r\n\r\n");
        if !status.contains(" 200 ") {
            return;
        }
        let remote = TcpStream::connect(server).unwrap();
        let back = (remote.try_clone().unwrap(), stream.try_clone().unwrap());
        let forward = thread::spawn(move || relay(remote, stream));
        relay(back.1, back.0);
        forward.join().unwrap();
    });
    (proxy, heads)
}

/// Copies bytes until the end of the stream, and passes the end on.
fn relay(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

#[test]
fn proxy_opens_a_tunnel_to_the_host_of_the_url() {
    let server = Server::echo();
    for status in ["HTTP/1.1 200 OK", "HTTP/1.0 200 Connection established\r\nVia: x"] {
        let (proxy, heads) = proxy(server.address, status);
        let option = format!("http://user:secret@{}", proxy.address);
        let run = ws_load("ws://no-such-host.invalid:99/x", &["-c", "3", "-n", "30", "--proxy", &option]);
        assert_eq!((run.code, run.count("replies")), (Some(0), 30), "{run:?}");
        assert!(!format!("{run:?}").contains("secret"), "{run:?}");
        let expected = "CONNECT no-such-host.invalid:99 HTTP/1.1\r\nHost: no-such-host.invalid:99\r\n\
                        Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n\r\n";
        assert_eq!(*heads.lock().unwrap(), [expected; 3]);
    }
}

#[test]
fn proxy_that_refuses_is_named_in_the_reason() {
    let server = Server::echo();
    for (status, words) in [
        (
            "HTTP/1.1 407 x",
            "proxy: HTTP 407 Proxy Authentication Required; give the proxy a user and password",
        ),
        ("HTTP/1.1 403 x", "proxy: HTTP 403 Forbidden; the proxy allows no CONNECT"),
        ("HTTP/1.1 502 x", "proxy: HTTP 502 Bad Gateway; the proxy may not reach the server"),
    ] {
        let (proxy, _) = proxy(server.address, status);
        let option = format!("http://{}/", proxy.address);
        let run = ws_load("ws://host.invalid/x", &["-c", "1", "--proxy", &option]);
        assert!(run.code == Some(1) && run.stderr.contains(words), "{words}: {run:?}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let run = ws_load("ws://host.invalid/x", &["-c", "1", "--proxy", &format!("http://{free}")]);
    assert!(run.code == Some(1) && run.stderr.contains("proxy: connection refused"), "{run:?}");
    for proxy in ["https://user:secret@x:1", "http://user:secret@x:99999", "user:secret@x:1"] {
        let run = ws_load("ws://host.invalid/x", &["-c", "1", "--proxy", proxy]);
        assert!(run.code == Some(2) && !run.stderr.contains("secret"), "{run:?}");
    }
}

#[test]
fn proxy_that_does_not_respond_times_out() {
    let silent = Server::raw(|mut stream, _, _| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let option = format!("http://{}", silent.address);
    let run = ws_load("ws://host.invalid/x", &["-c", "1", "--connect-timeout", "300ms", "--proxy", &option]);
    assert!(run.code == Some(1) && run.stderr.contains("time-out in the CONNECT to the proxy"), "{run:?}");
}
