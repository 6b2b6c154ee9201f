//! `/silent`: a peer that listens and says nothing.

use super::parameters::Parameters;
use super::route::{EndpointContext, Route};

/// `/silent`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn build(given: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let pong = given.flag("pong");
    Ok(Route::upgrade(move |session| {
        if !pong {
            session.suppress_pongs();
        }
        loop {
            session.receive()?;
        }
    }))
}
