//! The end of a connection: the last bytes are sent, the sending half is shut down, and what the peer still
//! sends is discarded until it ends its stream or the supervisor aborts the connection.
//!
//! The kernel resets a connection that is closed with unread bytes, and the peer could then lose the last
//! bytes that were sent (RFC 9112, 9.6).

use std::sync::Arc;

use crate::platform::readiness::Interest;
use crate::session::end::SessionEnd;
use crate::session::handle::SessionHandle;
use crate::session::turn::{Finish, TurnEnd};
use crate::transport::phase::Phase;
use crate::transport::stream::SessionStream;

/// A connection that has ended but for its last bytes.
pub(super) struct Lingering {
    stream: SessionStream,
    end: SessionEnd,
    /// The phase while the peer may still send. It decides which time-out applies.
    phase: Phase,
    /// The sending half was shut down.
    shut_down: bool,
}

impl Lingering {
    /// Begins to end the connection of `handle`.
    pub(super) fn new(handle: &SessionHandle, end: SessionEnd, phase: Phase) -> Self {
        let stream = SessionStream::new(Arc::clone(handle.connection()));
        Self { stream, end, phase, shut_down: false }
    }

    pub(super) fn begin_turn(&mut self, readable: bool) {
        self.stream.begin_turn(readable);
    }

    /// Takes a turn.
    pub(super) fn turn(&mut self) -> TurnEnd {
        let ended = TurnEnd::Ended(self.end.clone(), Finish::Close);
        let connection = self.stream.connection();
        if !self.shut_down {
            match connection.writer().shutdown_write() {
                Ok(true) => {}
                Ok(false) => return TurnEnd::Wait(Interest::Write),
                Err(_) => return ended,
            }
            connection.writer().advance_to(self.phase);
            self.shut_down = true;
        }
        // After an abort bytes that have arrived can still be read, and a peer could send without an end.
        // They stay unread, so that the kernel resets the connection.
        if connection.is_aborted() {
            return ended;
        }
        match self.stream.discard_received() {
            Ok(true) | Err(_) => ended,
            Ok(false) if self.stream.end_turn() => TurnEnd::Yield,
            Ok(false) => TurnEnd::Wait(Interest::Read),
        }
    }
}
