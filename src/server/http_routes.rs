//! Responses to plain HTTP requests: the page, `/health`, `/metrics`, `/endpoints`.

use crate::config::Config;
use crate::endpoints::{routes, table};
use crate::http::origin::check_host;
use crate::http::page;
use crate::http::request_head::RequestHead;
use crate::http::response::Response;
use crate::metrics::snapshot::Snapshot;

/// Paths that are served for any host: probes send the address of the server, and the response tells nothing.
const PROBES: [&str; 3] = ["/health", "/livez", "/readyz"];

/// Returns whether a request needs no place among the connections.
pub(super) fn is_probe(head: &RequestHead) -> bool {
    PROBES.contains(&head.path.as_str()) || head.path == "/metrics"
}

/// Returns the response to a request without an upgrade. `/metrics` shows `snapshot`. `ready`: a
/// new session would be served.
pub(crate) fn respond(head: &RequestHead, config: &Config, snapshot: &Snapshot, ready: bool) -> Response {
    if head.method != "GET" && head.method != "HEAD" {
        return Response::text(405, "only GET and HEAD are supported").with("Allow", "GET, HEAD");
    }
    if head.minor > 0 && head.headers.get_single("Host").is_none() {
        return Response::text(400, "the request needs one Host header");
    }
    if !PROBES.contains(&head.path.as_str())
        && let Err(response) = check_host(head, &config.allow_host)
    {
        return response;
    }
    if let Err(response) = routes::check_enabled(&head.path, config) {
        return response;
    }
    if let Some(response) = page::respond(head) {
        return response;
    }
    match head.path.as_str() {
        "/health" | "/livez" => Response::text(200, "ok"),
        "/readyz" if ready => Response::text(200, "ready"),
        "/readyz" => Response::text(503, "a new session would be rejected: the server is full or shuts down"),
        "/metrics" => {
            Response::new(200, "text/plain; version=0.0.4; charset=utf-8", snapshot.exposition().into_bytes())
        }
        "/endpoints" => {
            // Any origin may read the table: the page can also be opened from a file.
            Response::new(
                200,
                "application/json",
                format!("{:#}\n", table::to_json(&config.disabled)).into_bytes(),
            )
            .with("Access-Control-Allow-Origin", "*")
        }
        path => routes::plain_response(path, &head.query, config).unwrap_or_else(|| {
            let sentence = "no page here; this path accepts WebSocket upgrades, and / is a test page";
            Response::text(404, sentence)
        }),
    }
}
