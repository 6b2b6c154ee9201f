//! `/close` and `/drop`: sessions that the server ends.

use super::echo::echo_times;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::fault_injection::DropMode;

/// `/close`.
pub(super) fn build_close(given: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let code = u16::try_from(given.number("code")).unwrap_or(u16::MAX);
    let (after, reason) = (given.number("after"), given.text("reason").to_owned());
    if !may_be_sent(code) && !given.flag("force") {
        return Err(format!(
            "{code} must not be sent in a Close frame: code takes 1000 to 1003, 1007 to 1014 and 3000 to 4999, \
             or any number together with force=1"
        ));
    }
    Ok(Route::upgrade(move |session| {
        echo_times(session, after)?;
        Err(session.close(code, &reason))
    }))
}

/// Whether an endpoint may send a code (RFC 6455, 7.4.2, and the registry of close codes).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// `/drop`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn build_drop(given: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let how = if given.text("how") == "rst" { DropMode::Rst } else { DropMode::Fin };
    let after = given.number("after");
    Ok(Route::upgrade(move |session| {
        echo_times(session, after)?;
        Err(session.drop_connection(how))
    }))
}
