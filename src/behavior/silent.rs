//! `/silent`: a peer that listens and says nothing.

use super::{Parameters, Plan, Setting};

/// `/silent`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn plan(given: &Parameters, _: &Setting) -> Result<Plan, String> {
    let pong = given.flag("pong");
    Ok(Plan::talk(move |conversation| {
        if !pong {
            conversation.mute_pongs();
        }
        loop {
            conversation.receive()?;
        }
    }))
}
