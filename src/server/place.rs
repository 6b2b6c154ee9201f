//! What a connection holds of the limits, and why it is rejected if it gets no place.

use super::address_limit::AddressPermit;
use super::admission::PlacePermit;
use super::reject_reason::RejectReason;
use super::state::ServerState;
use crate::session::peer::Peer;

/// Whether a connection has got a place, and if not, why.
#[derive(Debug, Default)]
pub(super) struct PlaceOutcome {
    /// Held until the end of the connection.
    pub(super) place: Option<PlacePermit>,
    /// Decided when the address of the client is known, or when the request has come.
    pub(super) rejected: Option<RejectReason>,
    /// Counts the connection for the limit of its address until it ends, if there is a limit.
    address: Option<AddressPermit>,
    /// [`count_address`](Self::count_address) was called.
    address_counted: bool,
}

impl PlaceOutcome {
    /// Counts the connection for the limit of the client's address. Rejects it if the address has the maximum
    /// number. Only the first call has an effect.
    pub(super) fn count_address(&mut self, client: Peer, state: &ServerState) {
        if std::mem::replace(&mut self.address_counted, true) {
            return;
        }
        if let (Some(limit), Some(ip)) = (&state.address_limit, client.ip()) {
            self.address = limit.acquire(ip);
            if self.address.is_none() {
                self.rejected = Some(RejectReason::AddressLimit);
            }
        }
    }
}
