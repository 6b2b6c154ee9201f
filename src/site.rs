//! What a plain HTTP request gets: the page, embedded in the binary, and answers for machines.

use crate::behavior::{self, table};
use crate::http::{Answer, Head};
use crate::metrics::Snapshot;

/// What the page may load and where it may connect: nothing from elsewhere, but any WebSocket, since it is a place
/// to try them from.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                           connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files of the page: path, media type, content.
const FILES: [(&str, &str, &str); 3] = [
    ("/", "text/html; charset=utf-8", include_str!("../html/index.html")),
    ("/echo.js", "text/javascript; charset=utf-8", include_str!("../html/echo.js")),
    ("/echo.css", "text/css; charset=utf-8", include_str!("../html/echo.css")),
];

/// The answer to a request that asks for no upgrade.
pub(crate) fn answer(head: &Head, metrics: &Snapshot) -> Answer {
    if head.method != "GET" && head.method != "HEAD" {
        return Answer::text(405, "this server answers GET and HEAD").with("Allow", "GET, HEAD");
    }
    if let Some((_, media_type, content)) = FILES.iter().find(|(path, ..)| *path == head.path) {
        return Answer::new(200, media_type, content.as_bytes().to_vec())
            .with("Content-Security-Policy", PAGE_POLICY)
            .with("Referrer-Policy", "no-referrer");
    }
    match head.path.as_str() {
        "/health" => Answer::text(200, "ok"),
        "/metrics" => {
            Answer::new(200, "text/plain; version=0.0.4; charset=utf-8", metrics.exposition().into_bytes())
        }
        "/endpoints" => {
            Answer::new(200, "application/json", format!("{:#}\n", table::to_json()).into_bytes())
        }
        path => behavior::plain_answer(path, &head.query).unwrap_or_else(|| {
            let sentence =
                "there is no page here; every path answers a WebSocket handshake, and / has a page";
            Answer::text(404, sentence)
        }),
    }
}
