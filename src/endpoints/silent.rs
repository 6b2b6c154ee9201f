//! `/silent`: discards every message and sends none.

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};

/// Builds `/silent`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let pong = parameters.flag("pong");
    Ok(Route::upgrade(move |session| {
        if !pong {
            session.suppress_pongs();
        }
        loop {
            session.receive()?;
        }
    }))
}
