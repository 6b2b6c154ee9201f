//! The table of endpoints, and requests that are rejected before the upgrade.

use serde_json::Value as Json;

use crate::harness::{TestServer, config, exchange, request, upgrade};
use ws_echo::Config;

/// Returns the table of `GET /endpoints`.
pub fn table(server: &TestServer) -> Vec<Json> {
    let response = exchange(server.address, "GET /endpoints HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: application/json"), "{head}");
    serde_json::from_str::<Json>(body).unwrap().as_array().unwrap().clone()
}

/// Returns the status and the body with which an upgrade is rejected.
fn rejected(server: &TestServer, target: &str) -> (u16, String) {
    status_and_body(&exchange(server.address, upgrade(target)))
}

/// Returns the status and the body of a response.
fn status_and_body(response: &str) -> (u16, String) {
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn endpoint_examples_work() {
    let server = TestServer::start();
    let table = table(&server);
    assert_eq!(table.len(), 16, "{table:?}");
    for endpoint in table {
        let example = endpoint["example"].as_str().unwrap();
        if example.starts_with("/status/") {
            assert_eq!(rejected(&server, example).0, 503);
        } else {
            server.open(example);
        }
    }
}

#[test]
fn endpoint_table_has_types_and_ranges() {
    let table = table(&TestServer::start());
    let parameter = |path: &str, index: usize| {
        let endpoint = table.iter().find(|endpoint| endpoint["path"] == path).unwrap();
        let parameter = &endpoint["parameters"][index];
        format!("{} {} {}", parameter["type"], parameter["range"], parameter["choices"])
    };
    assert_eq!(parameter("/delay", 0), "\"time\" [0,3600000] []");
    assert_eq!(parameter("/push", 2), "\"size\" [1,1073741824] []");
    assert_eq!(parameter("/close", 0), "\"count\" [0,65535] []");
    assert_eq!(parameter("/drop", 1), "\"choice\" null [\"rst\",\"fin\"]");
    assert_eq!(parameter("/silent", 0), "\"flag\" null []");
    assert_eq!(parameter("/broadcast", 0), "\"text\" [0,64] []");
    let groups: std::collections::BTreeSet<_> =
        table.iter().map(|endpoint| endpoint["group"].as_str().unwrap()).collect();
    assert_eq!(Vec::from_iter(groups), ["Closing", "Echo", "Faults", "Information", "Throughput", "Timing"]);
}

#[test]
fn endpoint_parameter_error_is_400_and_names_what_is_accepted() {
    let server = TestServer::start();
    for (target, words) in [
        ("/delay?ms=soon", "ms takes a time from 0ms to 1h"),
        ("/delay?ms=1&jitter=2", "jitter may be at most ms"),
        ("/delay?seconds=1", "takes ms, jitter"),
        ("/close?code=999", "code takes 1000 to 1003"),
        ("/close?code=1005", "or any number together with force=1"),
        ("/close?code=65536&force=1", "code takes a whole number from 0 to 65535"),
        ("/close?reason=%zz", "two hexadecimal digits"),
        ("/drop?how=politely", "how takes one of rst, fin"),
        ("/silent?pong=2", "pong takes 0 or 1"),
        ("/fragment?size=0", "size takes a size from 1"),
        ("/push?every=0s", "every takes a time from 1ms"),
        ("/push?size=17MiB", "size may be at most 16777216, the maximum size of a message"),
        ("/broadcast?room=", "a name of 1 to 64 bytes"),
        ("/source?size=1GiB", "the maximum size of a message"),
        ("/source?count=0", "count takes a whole number from 1"),
        ("/sink?size=1", "takes count"),
        ("/throttle?bytes=0", "bytes takes a size from 1"),
        ("/invalid?kind=nonsense", "kind takes one of utf8, rsv"),
        ("/status/99", "a status from 200 to 599"),
        ("/status/teapot", "a status from 200 to 599"),
        ("/stats?every=1s", "takes none"),
    ] {
        let (status, sentence) = rejected(&server, target);
        assert!(status == 400 && sentence.contains(words), "{target}: {status} {sentence}");
        // The page asks with a plain request why a handshake failed.
        let plain = exchange(server.address, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(status_and_body(&plain), (status, sentence), "{target}");
    }
    for target in ["/?token=1", "/echo?x=%20", "/info?a=b&c", "/delayed?ms=soon"] {
        server.open(target);
    }
}

#[test]
fn status_endpoint_rejects_upgrade_and_plain_request() {
    let server = TestServer::start();
    let plain = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    for (target, status, field) in [
        ("/status/503?retry_after=5", "503 Service Unavailable", "\r\nRetry-After: 5\r\n"),
        ("/status/302?location=%2Fecho", "302 Found", "\r\nLocation: /echo\r\n"),
        ("/status/401", "401 Unauthorized", "\r\nWWW-Authenticate: Basic"),
        ("/status/200", "200 OK", "\r\nContent-Length: "),
    ] {
        for request in [request(target, &[]), plain(target)] {
            let response = exchange(server.address, request);
            assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{target}: {response}");
            assert!(response.contains(field), "{target}: {response}");
        }
    }
    let response = exchange(server.address, plain("/status/204"));
    assert!(!response.contains("\r\nContent-") && response.ends_with("\r\n\r\n"), "{response}");
    let (status, sentence) = rejected(&server, "/status/302?location=a%0d%0aSet-Cookie:b");
    assert!(status == 400 && sentence.contains("visible ASCII"), "{status} {sentence}");
}

#[test]
fn status_endpoint_with_a_sign_or_a_leading_zero_is_404() {
    let server = TestServer::start();
    for target in ["/status/+503", "/status/0503", "/status/00", "/status/+99"] {
        for request in [request(target, &[]), format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")] {
            let response = exchange(server.address, request);
            assert!(response.starts_with("HTTP/1.1 404 ") && response.contains("/status/503"), "{response}");
        }
    }
}

#[test]
fn endpoint_without_upgrade_is_426() {
    let server = TestServer::start();
    let response = exchange(server.address, "GET /delay HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 426 ") && response.contains("Upgrade: websocket"), "{response}");
}

#[test]
fn info_endpoint_sends_the_request_and_then_echoes() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send(request("/info?a=b%20c", &[("X-Odd", "1")]));
    client.read_head();
    let seen: Json = serde_json::from_str(&client.read_text()).unwrap();
    assert_eq!((&seen["path"], &seen["query"]), (&"/info".into(), &"a=b%20c".into()));
    assert_eq!(seen["peer"], client.stream.local_addr().unwrap().to_string());
    assert!(seen["headers"].as_array().unwrap().contains(&serde_json::json!(["X-Odd", "1"])), "{seen}");
    assert!(seen["tls"].is_null() && seen["subprotocol"].is_null() && seen["extensions"].is_null(), "{seen}");
    client.send(crate::harness::text("then an echo"));
    assert_eq!(client.read_text(), "then an echo");
}

#[test]
fn disabled_endpoint_is_404_and_not_in_the_table() {
    let disabled = ["/", "/broadcast", "/status/CODE"].map(str::to_owned).to_vec();
    let server = TestServer::with(Config { disabled: disabled.clone(), ..config() });
    for target in ["/", "/broadcast?room=a", "/status/503", "/status/teapot"] {
        for request in [request(target, &[]), format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")] {
            let response = exchange(server.address, request);
            assert!(response.starts_with("HTTP/1.1 404 "), "{target}: {response}");
            assert!(response.ends_with("\r\n\r\nthis endpoint is disabled on this server\n"), "{response}");
        }
    }
    let table = table(&server);
    assert_eq!(table.len(), 13, "{table:?}");
    assert!(
        table.iter().all(|endpoint| disabled.iter().all(|path| endpoint["path"] != path[..])),
        "{table:?}"
    );
    for target in ["/echo", "/push", "/no/endpoint"] {
        server.open(target);
    }
}
