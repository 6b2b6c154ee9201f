//! The echo: what every path does that has no other purpose.

use tungstenite::Message;

use super::{Parameters, Plan, Setting};
use crate::conversation::Conversation;
use crate::ended::Ended;

/// Every message comes back as it was.
pub fn echo(conversation: &mut Conversation) -> Result<(), Ended> {
    loop {
        let message = conversation.receive()?;
        conversation.send(&message)?;
    }
}

/// A text comes back behind the words "Received: ", or what `--reply-prefix` says; a binary message as it was.
pub fn received(conversation: &mut Conversation) -> Result<(), Ended> {
    let prefix = conversation.config().reply_prefix.clone();
    loop {
        match conversation.receive()? {
            Message::Text(text) => conversation.send_text(&prefix, &text)?,
            binary => conversation.send(&binary)?,
        }
    }
}

/// Echoes that many messages, and then returns.
pub(super) fn echo_times(conversation: &mut Conversation, times: u64) -> Result<(), Ended> {
    for _ in 0..times {
        let message = conversation.receive()?;
        conversation.send(&message)?;
    }
    Ok(())
}

/// `/echo`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn plan_echo(_: &Parameters, _: &Setting) -> Result<Plan, String> {
    Ok(Plan::talk(echo))
}

/// `/`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn plan_received(_: &Parameters, _: &Setting) -> Result<Plan, String> {
    Ok(Plan::talk(received))
}
