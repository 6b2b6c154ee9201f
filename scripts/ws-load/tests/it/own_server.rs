//! The load generator against the server of this workspace: both must count the same.

use crate::{
    harness::{TestServer, config, eventually, metric},
    runs::{faults, start, ws_load},
};
use ws_echo::Config;

fn url(server: &TestServer, path: &str) -> String {
    format!("ws://{}{path}", server.address)
}

#[test]
fn own_server_counts_the_same_as_ws_load() {
    let server = TestServer::with(Config { connections: 20, ..config() });
    let runs = [
        ws_load(&url(&server, "/echo"), &["-c", "10", "-d", "8", "-n", "4000"]),
        ws_load(&url(&server, "/"), &["-c", "3", "-n", "300", "--expect-prefix", "Received: "]),
        ws_load(&url(&server, "/echo"), &["-c", "3", "-n", "90", "--size", "0..200KiB", "--binary"]),
        ws_load(
            &url(&server, "/echo"),
            &["-c", "3", "-n", "600", "-d", "5", "--deflate", "--size", "0..3000"],
        ),
        ws_load(&url(&server, "/echo"), &["-c", "5", "-n", "100", "--churn"]),
    ];
    for run in &runs {
        assert_eq!((run.code, faults(run)), (Some(0), vec![]), "{run:?}");
    }
    assert_eq!(runs[3].count("compressed"), 3, "{:?}", runs[3]);
    let totals = server.finish().totals;
    let sum = |name: &str| runs.iter().map(|run| run.count(name)).sum::<u64>();
    assert_eq!((totals.accepted, totals.clean), (sum("attempted"), sum("closed_clean")));
    assert_eq!((totals.traffic.messages_in, totals.traffic.messages_out), (sum("sent"), sum("replies")));
}

#[test]
fn own_server_rejections_are_counted_as_failed_connections() {
    let server = TestServer::with(Config { connections: 4, waiting: 0, ..config() });
    let run = ws_load(&url(&server, "/echo"), &["-c", "9", "-D", "300ms"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!((run.count("opened"), run.count("failed")), (4, 5), "{run:?}");
    assert_eq!(run.json["reasons"]["HTTP 503 Service Unavailable"], 5, "{run:?}");
}

#[test]
fn own_server_shutdown_is_reported_with_code_1001() {
    let server = TestServer::start();
    let run = start(&url(&server, "/echo"), &["-c", "4", "-D", "1m"]);
    eventually("messages are echoed", || metric(server.address, "ws_echo_messages_sent_total") >= 100);
    let totals = server.finish().totals;
    assert_eq!(totals.clean, 4, "ws-load has replied to each Close (RFC 6455, 5.5.1): {totals:?}");
    let run = run.wait();
    assert_eq!((run.code, run.count("lost")), (Some(1), 4), "{run:?}");
    assert_eq!(run.json["reasons"]["closed by the server: 1001 server shutting down"], 4, "{run:?}");
}
