//! `/invalid`: frames against the RFC, which a client must not accept.

use super::echo::echo_times;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};

/// The rules that can be broken.
pub(super) const KINDS: &[&str] = &["utf8", "rsv", "opcode", "mask", "length", "control", "continuation"];

/// `/invalid`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn build(given: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let bytes = frame(given.text("kind"));
    let after = given.number("after");
    Ok(Route::upgrade(move |session| {
        echo_times(session, after)?;
        session.send_raw(bytes)?;
        // What a client makes of it, usually a Close, is its turn to say.
        loop {
            session.receive()?;
        }
    }))
}

/// The bytes of a frame that breaks the rule. The sections are those of RFC 6455.
fn frame(kind: &str) -> &'static [u8] {
    match kind {
        // 5.2: RSV2 without an extension that gives it a meaning. RSV1 has one with permessage-deflate.
        "rsv" => b"\xa1\x05Hello",
        // 5.2: an opcode that is reserved for data frames to come.
        "opcode" => b"\x83\x05Hello",
        // 5.1: a server must not mask; this is "Hello" under the mask of the RFC's own example.
        "mask" => b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        // 5.2: a length of 5 in 16 bits, where 7 do.
        "length" => b"\x81\x7e\x00\x05Hello",
        // 5.5: a control frame, a Ping, in fragments.
        "control" => b"\x09\x05Hello",
        // 5.4: a continuation of nothing.
        "continuation" => b"\x80\x05Hello",
        // 8.1: a text that is not UTF-8, a lead byte without its continuation.
        _ => b"\x81\x05He\xc3lo",
    }
}
