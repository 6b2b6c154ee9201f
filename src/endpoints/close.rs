//! `/close` and `/drop`: end the session from the server's side.

use super::closures::AfterEchoes;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::protocol::close_code::may_be_sent;
use crate::session::end::DropMode;
use crate::session::endpoint::Next;

/// Builds `/close`: echoes `after` messages, then sends a Close frame.
pub(super) fn build_close(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let code = u16::try_from(parameters.number("code")).unwrap_or(u16::MAX);
    let reason = parameters.text("reason").to_owned();
    if !may_be_sent(code) && !parameters.flag("force") {
        return Err(format!(
            "{code} must not be sent in a Close frame: code takes 1000 to 1003, 1007 to 1014 and 3000 to 4999, \
             or any number together with force=1"
        ));
    }
    Ok(Route::upgrade(AfterEchoes::new(parameters.number("after"), move |_| {
        Next::Close(code, reason.clone())
    })))
}

/// Builds `/drop`: echoes `after` messages, then ends the TCP connection.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build_drop(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let mode = if parameters.text("how") == "rst" { DropMode::Rst } else { DropMode::Fin };
    Ok(Route::upgrade(AfterEchoes::new(parameters.number("after"), move |_| Next::Drop(mode))))
}
