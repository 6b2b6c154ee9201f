//! The files of the web page, embedded in the binary.

use super::response::Response;

/// Content-Security-Policy of the page. It may load files of this server only, and connect to any WebSocket server,
/// because users test other servers from it.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                           connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Media type of scripts.
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Media type of style sheets.
const STYLE: &str = "text/css; charset=utf-8";

/// Path, media type and content of each file.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../../html/index.html")),
    ("/echo.css", STYLE, include_str!("../../html/echo.css")),
    ("/log.css", STYLE, include_str!("../../html/log.css")),
    ("/parts.css", STYLE, include_str!("../../html/parts.css")),
    ("/format.js", SCRIPT, include_str!("../../html/format.js")),
    ("/codes.js", SCRIPT, include_str!("../../html/codes.js")),
    ("/settings.js", SCRIPT, include_str!("../../html/settings.js")),
    ("/connection.js", SCRIPT, include_str!("../../html/connection.js")),
    ("/pending-echoes.js", SCRIPT, include_str!("../../html/pending-echoes.js")),
    ("/log.js", SCRIPT, include_str!("../../html/log.js")),
    ("/chart.js", SCRIPT, include_str!("../../html/chart.js")),
    ("/round-trips.js", SCRIPT, include_str!("../../html/round-trips.js")),
    ("/stats-client.js", SCRIPT, include_str!("../../html/stats-client.js")),
    ("/payload.js", SCRIPT, include_str!("../../html/payload.js")),
    ("/saved.js", SCRIPT, include_str!("../../html/saved.js")),
    ("/traffic.js", SCRIPT, include_str!("../../html/traffic.js")),
    ("/endpoints.js", SCRIPT, include_str!("../../html/endpoints.js")),
    ("/snippets.js", SCRIPT, include_str!("../../html/snippets.js")),
    ("/echo.js", SCRIPT, include_str!("../../html/echo.js")),
];

/// Returns the file of the page at `path`, or `None` if there is none.
pub(crate) fn respond(path: &str) -> Option<Response> {
    let (_, media_type, content) = FILES.iter().find(|(file_path, ..)| *file_path == path)?;
    let response = Response::new(200, media_type, content.as_bytes().to_vec());
    Some(response.with("Content-Security-Policy", PAGE_POLICY).with("Referrer-Policy", "no-referrer"))
}
