//! `/fragment`: echoes each message as a fragmented message (RFC 6455, 5.4).

use tungstenite::Message;

use super::fragments::Fragments;
use super::parameters::Parameters;
use super::route::{EndpointContext, Route};
use crate::session::endpoint::{Endpoint, Next};
use crate::session::websocket::WebSocketSession;

/// Fragments that are sent before other sessions get a turn.
const FRAGMENTS_AT_ONCE: usize = 1024;

struct Fragment {
    /// Payload of each fragment, in bytes.
    size: usize,
    /// Send a Ping between two fragments.
    ping: bool,
    /// The message that is being sent. Nothing is read meanwhile.
    current: Option<Fragments>,
}

impl Endpoint for Fragment {
    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        self.current = Some(Fragments::of(session, message));
        session.pause_reading();
        self.on_wake(session)
    }

    fn on_wake(&mut self, session: &mut WebSocketSession) -> Next {
        let Some(current) = &mut self.current else { return Next::Continue };
        for _ in 0..FRAGMENTS_AT_ONCE {
            if current.send_next(session, self.size) {
                self.current = None;
                session.resume_reading();
                return Next::Continue;
            }
            if self.ping {
                session.send_ping();
            }
            if !session.has_room() {
                break;
            }
        }
        session.wake_when_sent();
        Next::Continue
    }
}

/// Builds `/fragment`.
#[expect(clippy::unnecessary_wraps, reason = "all builders have the same signature")]
pub(super) fn build(parameters: &Parameters, _: &EndpointContext) -> Result<Route, String> {
    let (size, ping) = (parameters.size("size").max(1), parameters.flag("ping"));
    Ok(Route::upgrade(Fragment { size, ping, current: None }))
}
