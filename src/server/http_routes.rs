//! What a plain HTTP request gets: the page, and answers for machines.

use crate::endpoints::{routes, table};
use crate::http::page;
use crate::http::request_head::RequestHead;
use crate::http::response::Response;
use crate::metrics::snapshot::Snapshot;

/// The answer to a request that asks for no upgrade.
pub(crate) fn answer(head: &RequestHead, metrics: &Snapshot) -> Response {
    if head.method != "GET" && head.method != "HEAD" {
        return Response::text(405, "this server answers GET and HEAD").with("Allow", "GET, HEAD");
    }
    if head.minor > 0 && head.headers.get_single("Host").is_none() {
        return Response::text(400, "the request needs one Host header");
    }
    if let Some(response) = page::respond(&head.path) {
        return response;
    }
    match head.path.as_str() {
        "/health" => Response::text(200, "ok"),
        "/metrics" => {
            Response::new(200, "text/plain; version=0.0.4; charset=utf-8", metrics.exposition().into_bytes())
        }
        "/endpoints" => {
            // Also for a page that was opened as a file; there is nothing in it that is not public.
            Response::new(200, "application/json", format!("{:#}\n", table::to_json()).into_bytes())
                .with("Access-Control-Allow-Origin", "*")
        }
        path => routes::plain_response(path, &head.query).unwrap_or_else(|| {
            let sentence =
                "there is no page here; every path answers a WebSocket handshake, and / has a page";
            Response::text(404, sentence)
        }),
    }
}
