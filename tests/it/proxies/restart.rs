//! Two instances behind a proxy, restarted one after the other while clients open sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, JoinHandle};

use super::proxy::{Kind, start};
use crate::harness::{Client, Frame, eventually, masked, metric, text, upgrade};
use crate::server_process::{ServerProcess, command};

/// Clients that open sessions all the time.
const CLIENTS: usize = 4;

each_proxy! {
    rolling_restart_fails_no_opening_and_loses_no_echo,
}

fn rolling_restart_fails_no_opening_and_loses_no_echo(kind: Kind) {
    let options = ["--shutdown-delay", "2s", "--restart"];
    let (instances, proxy) = start(kind, &options, &[]);
    let address = proxy.address;
    let (stop, opened) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (stop, opened) = (Arc::clone(&stop), Arc::clone(&opened));
            thread::spawn(move || {
                while !stop.load(SeqCst) {
                    let mut client = Client::connect(address);
                    client.send(upgrade("/echo"));
                    let head = client.read_head();
                    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                    opened.fetch_add(1, SeqCst);
                    client.send(text("a"));
                    let reply = client.read_frame();
                    // nginx passes clients to an instance until it stops: it may close the session first.
                    let restarts = reply.first == 0x88 && reply.code() == 1012;
                    assert!(
                        reply == Frame::new(0x81, "a") || (restarts && !kind.has_health_checks()),
                        "{reply:?}"
                    );
                    client.send(masked(0x88, 1000_u16.to_be_bytes()));
                    if !restarts {
                        client.read_frame();
                    }
                }
            })
        })
        .collect();
    let more_sessions = |count: u64| {
        let from = opened.load(SeqCst);
        eventually("more sessions", || {
            opened.load(SeqCst) >= from + count || clients.iter().any(JoinHandle::is_finished)
        });
    };
    more_sessions(20);
    let mut restarted = Vec::new();
    for (instance, name) in instances.into_iter().zip(["web-1", "web-2"]) {
        let listen = instance.address.to_string();
        instance.signal("TERM");
        let (code, out, err) = instance.wait();
        assert!(code == Some(0), "{out}{err}");
        let mut again = command(&["--listen", &listen, "--name", name]);
        restarted.push(ServerProcess::spawn(again.args(kind.options()).args(options)));
        let address = restarted.last().unwrap().address;
        eventually("the proxy uses the new instance", || {
            metric(address, "ws_echo_messages_received_total") > 0
                || clients.iter().any(JoinHandle::is_finished)
        });
        more_sessions(20);
    }
    stop.store(true, SeqCst);
    for client in clients {
        client.join().unwrap();
    }
}
