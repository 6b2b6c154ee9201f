//! What a plain HTTP request gets: the page, embedded in the binary, and answers for machines.

use crate::behavior::{self, table};
use crate::http::{Answer, Head};
use crate::metrics::Snapshot;

/// What the page may load and where it may connect: nothing from elsewhere, but any WebSocket, since it is a place
/// to try them from.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                           connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The media type of the page's scripts.
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The media type of the page's style sheets.
const STYLE: &str = "text/css; charset=utf-8";

/// The files of the page: path, media type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../html/index.html")),
    ("/echo.css", STYLE, include_str!("../html/echo.css")),
    ("/log.css", STYLE, include_str!("../html/log.css")),
    ("/parts.css", STYLE, include_str!("../html/parts.css")),
    ("/format.js", SCRIPT, include_str!("../html/format.js")),
    ("/codes.js", SCRIPT, include_str!("../html/codes.js")),
    ("/settings.js", SCRIPT, include_str!("../html/settings.js")),
    ("/connection.js", SCRIPT, include_str!("../html/connection.js")),
    ("/echoes.js", SCRIPT, include_str!("../html/echoes.js")),
    ("/log.js", SCRIPT, include_str!("../html/log.js")),
    ("/chart.js", SCRIPT, include_str!("../html/chart.js")),
    ("/trips.js", SCRIPT, include_str!("../html/trips.js")),
    ("/watch.js", SCRIPT, include_str!("../html/watch.js")),
    ("/payload.js", SCRIPT, include_str!("../html/payload.js")),
    ("/saved.js", SCRIPT, include_str!("../html/saved.js")),
    ("/traffic.js", SCRIPT, include_str!("../html/traffic.js")),
    ("/endpoints.js", SCRIPT, include_str!("../html/endpoints.js")),
    ("/snippets.js", SCRIPT, include_str!("../html/snippets.js")),
    ("/echo.js", SCRIPT, include_str!("../html/echo.js")),
];

/// The answer to a request that asks for no upgrade.
pub(crate) fn answer(head: &Head, metrics: &Snapshot) -> Answer {
    if head.method != "GET" && head.method != "HEAD" {
        return Answer::text(405, "this server answers GET and HEAD").with("Allow", "GET, HEAD");
    }
    if head.minor > 0 && head.headers.only("Host").is_none() {
        return Answer::text(400, "the request needs one Host header");
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
            // Also for a page that was opened as a file; there is nothing in it that is not public.
            Answer::new(200, "application/json", format!("{:#}\n", table::to_json()).into_bytes())
                .with("Access-Control-Allow-Origin", "*")
        }
        path => behavior::plain_answer(path, &head.query).unwrap_or_else(|| {
            let sentence =
                "there is no page here; every path answers a WebSocket handshake, and / has a page";
            Answer::text(404, sentence)
        }),
    }
}
