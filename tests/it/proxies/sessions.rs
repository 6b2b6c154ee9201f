//! Sessions and plain requests through a proxy.

use std::collections::BTreeSet;

use super::proxy::{Kind, Proxy, start};
use crate::deflate_client::{ACCEPTED, OFFER, TEXT, deflated_at};
use crate::harness::{Frame, eventually, masked, request, text, upgrade};
use crate::instance::served_by;

each_proxy! {
    proxied_sessions_use_both_instances,
    proxied_close_codes_and_reasons_arrive,
    proxied_messages_are_compressed_and_large,
    proxied_plain_requests_get_the_responses_of_the_server,
    proxied_session_outlasts_the_timeouts_of_the_proxy_by_pings,
    proxied_instance_that_stops_gets_no_further_clients,
}

/// Opens a session and returns the name of its instance.
fn instance_of_new_session(proxy: &Proxy) -> String {
    let mut client = proxy.connect();
    client.send(upgrade("/echo"));
    let head = client.read_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.send(text("a"));
    assert_eq!(client.read_text(), "a");
    client.send(masked(0x88, 1000_u16.to_be_bytes()));
    assert_eq!(client.read_frame().code(), 1000);
    served_by(&head).to_owned()
}

fn proxied_sessions_use_both_instances(kind: Kind) {
    let (_instances, proxy) = start(kind, &[], &[]);
    let mut names = BTreeSet::new();
    // A health check that has not run yet may leave out one of them.
    eventually("both instances serve", || {
        names.insert(instance_of_new_session(&proxy));
        names.len() == 2
    });
}

fn proxied_close_codes_and_reasons_arrive(kind: Kind) {
    let (_instances, proxy) = start(kind, &[], &[]);
    let mut client = proxy.open("/close?code=4001&reason=bye");
    assert_eq!(client.read_frame(), Frame::close(4001, "bye"));
    client.send(masked(0x88, 4001_u16.to_be_bytes()));
    client.expect_end();
    proxy.open("/echo").close();
    let mut broken = proxy.open("/echo");
    // A frame with RSV3.
    broken.send(masked(0x91, "a"));
    assert_eq!(broken.read_frame().code(), 1002);
    let mut dropped = proxy.open("/drop?after=1");
    dropped.send(text("last"));
    assert_eq!(dropped.read_text(), "last");
    dropped.expect_gone();
}

fn proxied_messages_are_compressed_and_large(kind: Kind) {
    let (_instances, proxy) = start(kind, &[], &[]);
    let mut client = proxy.connect();
    client.send(request("/echo", &[("Sec-WebSocket-Extensions", OFFER)]));
    let head = client.read_head();
    // Proxies change the case of the name.
    let head = head.to_lowercase();
    assert!(head.contains(&format!("sec-websocket-extensions: {ACCEPTED}\r\n")), "{head}");
    let message = "compressed ".repeat(1000);
    client.send(masked(TEXT, deflated_at(6, &message)));
    let frame = client.read_frame();
    assert!(frame.first == TEXT && frame.payload.len() < 1000, "{} bytes", frame.payload.len());
    let large = vec![7; 3 << 20];
    client.send(masked(0x82, &large));
    let first = client.read_frame().first;
    assert!(first == 0x82 || first == 0xc2, "{first:x}");
    client.close();
}

fn proxied_plain_requests_get_the_responses_of_the_server(kind: Kind) {
    let (instances, proxy) = start(kind, &[], &[]);
    for (path, status) in [("/", 200), ("/health", 200), ("/echo", 426), ("/missing", 404)] {
        let response = proxy.get(path);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {response}");
    }
    if kind == Kind::Nginx {
        // In HTTP/1.0 there is no upgrade (RFC 9110, 7.8).
        let addresses = instances.each_ref().map(|instance| instance.address);
        let old = Proxy::start(kind, addresses, &[("proxy_http_version 1.1;", "")]);
        let mut client = old.connect();
        client.send(upgrade("/echo"));
        let head = client.read_head();
        assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    }
}

fn proxied_session_outlasts_the_timeouts_of_the_proxy_by_pings(kind: Kind) {
    let changes: &[_] = match kind {
        Kind::Haproxy => &[("timeout tunnel 60s", "timeout tunnel 1s"), ("30s", "1s")],
        Kind::Nginx => &[("read_timeout 60s", "read_timeout 1s"), ("send_timeout 60s", "send_timeout 1s")],
        Kind::Caddy => &[],
    };
    let (_instances, proxy) = start(kind, &["--ping-interval", "250ms"], changes);
    let mut client = proxy.open("/echo");
    // Ten Pings take 2.5 s.
    for _ in 0..10 {
        assert_eq!(client.read_frame(), Frame::new(0x89, ""));
        client.send(masked(0x8a, ""));
    }
    client.send(text("alive"));
    let reply = std::iter::repeat_with(|| client.read_frame()).find(|frame| frame.first == 0x81);
    assert_eq!(reply, Some(Frame::new(0x81, "alive")));
}

fn proxied_instance_that_stops_gets_no_further_clients(kind: Kind) {
    let delay = if kind.has_health_checks() { "1h" } else { "10ms" };
    let (instances, proxy) = start(kind, &["--shutdown-delay", delay], &[]);
    let mut held: Vec<_> = (0..4).map(|_| proxy.open("/echo")).collect();
    instances[0].signal("TERM");
    let mut others = 0;
    // Every session opens while the proxy notices the stop.
    eventually("twenty sessions in a row go to the other instance", || {
        others = if instance_of_new_session(&proxy) == "web-2" { others + 1 } else { 0 };
        others == 20
    });
    if kind.has_health_checks() {
        for client in &mut held {
            client.send(text("held"));
            assert_eq!(client.read_text(), "held", "a health check that fails must not end open sessions");
        }
    }
}
