//! `/status/CODE`: requests that are refused.

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::http::response::Response;

/// What its paths begin with.
pub(super) const PREFIX: &str = "/status/";

/// `/status/CODE`, over WebSocket.
pub(super) fn build(given: &Parameters, context: &EndpointContext) -> Result<Route, String> {
    answer(context.path, given).map(Route::Reject)
}

/// The answer that the path asks for.
pub(super) fn answer(path: &str, given: &Parameters) -> Result<Response, String> {
    let status: u16 = path
        .strip_prefix(PREFIX)
        .and_then(|code| code.parse().ok())
        .filter(|code| (200..=599).contains(code))
        .ok_or_else(|| format!("{PREFIX} takes a status from 200 to 599, for example {PREFIX}503"))?;
    let mut answer = Response::text(status, &format!("{status}, as you asked for"));
    // Fields without which these answers are not complete (RFC 9110, 15).
    answer = match status {
        401 => answer.with("WWW-Authenticate", "Basic realm=\"ws-echo\""),
        405 => answer.with("Allow", "GET"),
        407 => answer.with("Proxy-Authenticate", "Basic realm=\"ws-echo\""),
        426 => answer.with("Upgrade", "websocket").with("Sec-WebSocket-Version", "13"),
        _ => answer,
    };
    if let Some(seconds) = given.number_if_given("retry_after") {
        answer = answer.with("Retry-After", seconds.to_string());
    }
    let location = given.text("location");
    // Nothing that could end the header field and begin another.
    if !location.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("location takes a URL or a path, of visible ASCII characters".to_owned());
    }
    Ok(if location.is_empty() { answer } else { answer.with("Location", location) })
}
