//! The web page: one document and one script, joined from `html/` by the build script.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::request_head::RequestHead;
use super::response::Response;

/// Content-Security-Policy of the page. It may load its script from this server, and connect to any WebSocket
/// server, because users test other servers from it. The hash is that of the style sheet in the document.
const PAGE_POLICY: &str = concat!(
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src '",
    env!("WS_ECHO_STYLE_HASH"),
    "'; img-src data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
);

/// Caches ask again whether the document has changed.
const REVALIDATE: &str = "no-cache";

/// Caches keep the script of a URL that has its tag: another script has another URL.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// A file of the page.
struct File {
    media_type: &'static str,
    content: &'static [u8],
    /// Changes with the content.
    tag: &'static str,
    /// The content as gzip.
    compressed: LazyLock<Vec<u8>>,
}

static DOCUMENT: File = File {
    media_type: "text/html; charset=utf-8",
    content: include_bytes!(concat!(env!("OUT_DIR"), "/page.html")),
    tag: env!("WS_ECHO_DOCUMENT_TAG"),
    compressed: LazyLock::new(|| gzip(DOCUMENT.content)),
};

static SCRIPT: File = File {
    media_type: "text/javascript; charset=utf-8",
    content: include_bytes!(concat!(env!("OUT_DIR"), "/page.js")),
    tag: env!("WS_ECHO_SCRIPT_TAG"),
    compressed: LazyLock::new(|| gzip(SCRIPT.content)),
};

/// Returns the file of the page at the path of a request, or `None` if there is none. It is compressed if the
/// client accepts that, and replaced by a 304 if the client has it already.
pub(crate) fn respond(head: &RequestHead) -> Option<Response> {
    let (file, caching) = match head.path.as_str() {
        "/" => (&DOCUMENT, REVALIDATE),
        "/page.js" if head.query == SCRIPT.tag => (&SCRIPT, IMMUTABLE),
        "/page.js" => (&SCRIPT, REVALIDATE),
        _ => return None,
    };
    // A weak tag: that of the compressed form is the same (RFC 9110, 8.8.1).
    let tag = format!("W/\"{}\"", file.tag);
    let known = head.headers.list_items("If-None-Match").any(|item| item == tag || item == "*");
    let response = if known {
        Response::new(304, file.media_type, Vec::new())
    } else if accepts_gzip(head) {
        Response::new(200, file.media_type, file.compressed.clone()).with("Content-Encoding", "gzip")
    } else {
        Response::new(200, file.media_type, file.content.to_vec())
    };
    Some(
        response
            .with("ETag", tag)
            .with("Cache-Control", caching)
            .with("Vary", "Accept-Encoding")
            .with("Content-Security-Policy", PAGE_POLICY)
            .with("Referrer-Policy", "no-referrer"),
    )
}

/// Returns whether the client accepts gzip (RFC 9110, 12.5.3). A weight of 0 refuses it.
fn accepts_gzip(head: &RequestHead) -> bool {
    head.headers.list_items("Accept-Encoding").any(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.trim().trim_start_matches(['q', 'Q']).trim_start_matches('=');
        name.trim().eq_ignore_ascii_case("gzip") && weight.parse::<f32>() != Ok(0.0)
    })
}

/// Returns bytes as gzip; the bytes themselves cannot fail to be written into memory.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}
