//! `/status/CODE`: rejects the request with an HTTP status.

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::http::response::Response;

/// Prefix of the paths.
pub(super) const PREFIX: &str = "/status/";

/// Builds `/status/CODE` for an upgrade request.
pub(super) fn build(parameters: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    build_response(context.path, parameters).map(Route::Reject)
}

/// Builds the response that the path and the parameters describe.
///
/// # Errors
/// A sentence for the client if the status or the location is not valid.
pub(super) fn build_response(path: &str, parameters: &Parameters) -> Result<Response, String> {
    let code = path.strip_prefix(PREFIX).unwrap_or_default();
    let number: Option<u16> = code.parse().ok();
    // `parse` accepts a sign and leading zeros, which make another path.
    if number.is_some_and(|number| number.to_string() != code) {
        return Ok(Response::text(404, &format!("no such path; a status is written as in {PREFIX}503")));
    }
    let status = number
        .filter(|status| (200..=599).contains(status))
        .ok_or_else(|| format!("{PREFIX} takes a status from 200 to 599, for example {PREFIX}503"))?;
    let mut response = Response::text(status, &format!("{status}, as requested by the path"));
    // Header fields that these responses must have (RFC 9110, 15).
    response = match status {
        401 => response.with("WWW-Authenticate", "Basic realm=\"ws-echo\""),
        405 => response.with("Allow", "GET"),
        407 => response.with("Proxy-Authenticate", "Basic realm=\"ws-echo\""),
        426 => response.with("Upgrade", "websocket").with("Sec-WebSocket-Version", "13"),
        _ => response,
    };
    if let Some(seconds) = parameters.number_if_given("retry_after") {
        response = response.with("Retry-After", seconds.to_string());
    }
    let location = parameters.text("location");
    // Rejects CR and LF, which would begin another header field.
    if !location.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("location takes a URL or a path of visible ASCII characters".to_owned());
    }
    Ok(if location.is_empty() { response } else { response.with("Location", location) })
}
