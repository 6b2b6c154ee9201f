//! Why a connection gets no place, and the response that says so.

use log::{Level, log};

use crate::http::response::Response;
use crate::session::handle::SessionHandle;

/// Value of `Retry-After`, in seconds (RFC 9110, 10.2.3).
const RETRY_AFTER: &str = "1";

/// Why a connection is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RejectReason {
    /// All places are taken and the queue is full.
    QueueFull,
    /// The connection was queued for longer than the handshake time-out.
    QueueTimeout,
    /// The address of the client has the maximum number of connections.
    AddressLimit,
    /// The server shuts down.
    ShuttingDown,
}

impl RejectReason {
    /// All reasons. The metric shows each from the start.
    pub(crate) const ALL: [Self; 4] =
        [Self::QueueFull, Self::QueueTimeout, Self::AddressLimit, Self::ShuttingDown];

    /// Returns the label of the metric `ws_echo_connections_refused_total`.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "full",
            Self::QueueTimeout => "waited_too_long",
            Self::AddressLimit => "address_limit",
            Self::ShuttingDown => "stopping",
        }
    }

    /// Returns the response: 503, or 429 if only this client is rejected.
    pub(crate) fn response(self) -> Response {
        let (status, sentence) = match self {
            Self::QueueFull => (503, "all connections are in use; try again later"),
            Self::QueueTimeout => (503, "no connection ended in time; try again later"),
            Self::AddressLimit => {
                (429, "too many connections from your address; close some, or try again later")
            }
            Self::ShuttingDown => (503, "the server is shutting down"),
        };
        Response::text(status, sentence).with("Retry-After", RETRY_AFTER)
    }
}

/// Logs a response that was sent before the request head was complete.
pub(super) fn log_early_response(level: Level, handle: &SessionHandle, response: &Response) {
    let (id, peer, status) = (handle.id(), handle.peer(), response.status);
    log!(level, session = id, peer:%, status; "#{id} {peer} {status}{}", response.sentence());
}
