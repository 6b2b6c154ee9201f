//! `/close` and `/drop`: sessions that the server ends.

use super::echo::echo_times;
use super::{Parameters, Plan, Setting};
use crate::conversation::HangUp;

/// `/close`.
pub(super) fn plan_close(given: &Parameters, _: &Setting) -> Result<Plan, String> {
    let code = u16::try_from(given.number("code")).unwrap_or(u16::MAX);
    let (after, reason) = (given.number("after"), given.text("reason").to_owned());
    if !may_be_sent(code) && !given.flag("force") {
        return Err(format!(
            "{code} must not be sent in a Close frame: code takes 1000 to 1003, 1007 to 1014 and 3000 to 4999, \
             or any number together with force=1"
        ));
    }
    Ok(Plan::talk(move |conversation| {
        echo_times(conversation, after)?;
        Err(conversation.close(code, &reason))
    }))
}

/// Whether an endpoint may send a code (RFC 6455, 7.4.2, and the registry of close codes).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// `/drop`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn plan_drop(given: &Parameters, _: &Setting) -> Result<Plan, String> {
    let how = if given.text("how") == "rst" { HangUp::Rst } else { HangUp::Fin };
    let after = given.number("after");
    Ok(Plan::talk(move |conversation| {
        echo_times(conversation, after)?;
        Err(conversation.drop_connection(how))
    }))
}
