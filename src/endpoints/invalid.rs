//! `/invalid`: sends a frame that violates RFC 6455. A client must fail the connection.

use super::closures::AfterEchoes;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::endpoint::Next;
use crate::session::websocket::WebSocketSession;

/// Values of the parameter `kind`.
pub(super) const KINDS: &[&str] = &["utf8", "rsv", "opcode", "mask", "length", "control", "continuation"];

/// Builds `/invalid`: echoes `after` messages, sends the invalid frame, then discards messages: the client is
/// expected to send a Close.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let frame = invalid_frame(parameters.text("kind"));
    Ok(Route::upgrade(AfterEchoes::new(parameters.number("after"), move |session: &mut WebSocketSession| {
        session.send_raw(frame);
        Next::Continue
    })))
}

/// Returns the bytes of a frame that violates one rule. The section numbers are those of RFC 6455.
fn invalid_frame(kind: &str) -> &'static [u8] {
    match kind {
        // 5.2: RSV2 is set without an extension. RSV1 would be valid with permessage-deflate.
        "rsv" => b"\xa1\x05Hello",
        // 5.2: opcode 3 is reserved.
        "opcode" => b"\x83\x05Hello",
        // 5.1: a server must not mask. "Hello" with the mask of the example in 5.7.
        "mask" => b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        // 5.2: length 5 in 16 bits instead of 7.
        "length" => b"\x81\x7e\x00\x05Hello",
        // 5.5: a fragmented control frame, a Ping without FIN.
        "control" => b"\x09\x05Hello",
        // 5.4: a continuation frame without a message to continue.
        "continuation" => b"\x80\x05Hello",
        // 8.1: text that is not UTF-8, a lead byte without its continuation byte.
        _ => b"\x81\x05He\xc3lo",
    }
}
