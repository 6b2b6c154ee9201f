//! Which origins and which hosts may use the server.

use super::request_head::RequestHead;
use super::response::Response;
use crate::config::SAME_ORIGIN;

/// Checks that every `Origin` is in `allowed` (RFC 6455, 10.2). An empty list allows all origins.
pub(crate) fn check_origin(head: &RequestHead, allowed: &[String]) -> Result<(), Response> {
    let host = head.headers.get_single("Host").unwrap_or_default();
    let is_allowed = |origin: &str| {
        allowed.iter().any(|allowed| match allowed.as_str() {
            SAME_ORIGIN => is_same_origin(origin, host),
            allowed => allowed.eq_ignore_ascii_case(origin),
        })
    };
    if allowed.is_empty() || head.headers.values("Origin").all(is_allowed) {
        return Ok(());
    }
    Err(Response::text(403, "connections from this origin are not allowed"))
}

/// Checks that `Host` is in `allowed`. An empty list allows all hosts.
///
/// This stops DNS rebinding: the name of a page resolves to the address of this server after the page was
/// loaded, so that the browser takes both for one origin. Its requests have the name of the page in `Host`.
pub(crate) fn check_host(head: &RequestHead, allowed: &[String]) -> Result<(), Response> {
    let host = head.headers.get_single("Host").unwrap_or_default();
    let is_allowed = |allowed: &String| {
        allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(without_port(host))
    };
    if allowed.is_empty() || allowed.iter().any(is_allowed) {
        return Ok(());
    }
    Err(Response::text(403, "requests for the host in the Host header are not allowed"))
}

/// Returns whether an origin has the host and port of `Host`. The scheme is not compared: a proxy may have
/// ended TLS.
fn is_same_origin(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    // Browsers leave out the default port in both; other clients and proxies may add it to `Host`.
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return false,
    };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    !host.is_empty() && authority.eq_ignore_ascii_case(host)
}

/// Returns a host without its port. The colons of an IPv6 address are in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    }
}
