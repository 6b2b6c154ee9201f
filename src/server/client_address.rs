//! The address of the client of a connection: that of the socket, the one in the PROXY header, or the one
//! that a trusted proxy names in the request.

use std::net::SocketAddr;

use log::{Level, debug, info, log};

use super::first_bytes::FirstBytesOutcome;
use super::opening::{Opening, OpeningStep, opening_outcome};
use super::place::PlaceOutcome;
use super::state::ServerState;
use crate::http::forwarded::{ForwardedClient, forwarded_client};
use crate::http::request_head::RequestHead;
use crate::http::response::Response;
use crate::session::end::SessionEnd;
use crate::session::peer::Peer;
use crate::session::turn::Finish;
use crate::transport::record_layer::RecordLayer;

impl Opening {
    /// Counts the connection for the limit of its address, unless a later byte can tell another address.
    pub(super) fn count_address_if_known(&self, outcome: &mut PlaceOutcome, state: &ServerState) {
        let peer = self.handle.peer();
        if self.first_bytes.is_none() && !state.config.trusts(peer.ip()) {
            outcome.count_address(peer, state);
        }
    }

    /// Reads the PROXY header, if there can be one. Returns whether it is complete.
    pub(super) fn read_proxy_header(
        &mut self,
        outcome: &mut PlaceOutcome,
        state: &ServerState,
    ) -> Result<bool, OpeningStep> {
        let Some(first_bytes) = &mut self.first_bytes else { return Ok(true) };
        let (id, peer) = (self.handle.id(), self.handle.socket_peer());
        match first_bytes.read(&mut self.stream) {
            FirstBytesOutcome::Incomplete => return Ok(false),
            FirstBytesOutcome::Absent => {}
            FirstBytesOutcome::Header(header) => {
                self.handle.set_proxied(header);
                debug!(session = id, peer:%; "#{id} {peer} sent a PROXY header for {}", self.handle.peer());
            }
            FirstBytesOutcome::Rejected(sentence, is_tls) => {
                return Err(self.reject_first_bytes(&sentence, is_tls, state));
            }
            FirstBytesOutcome::Disconnected(has_begun) => {
                let level = if has_begun { Level::Info } else { Level::Debug };
                log!(level, session = id, peer:%; "#{id} {peer} PROXY header not complete");
                return Err(OpeningStep::Ended(opening_outcome(&self.handle), Finish::Close));
            }
        }
        self.first_bytes = None;
        self.count_address_if_known(outcome, state);
        Ok(true)
    }

    /// Sends 400 in plaintext for first bytes that are no PROXY header. A client that expects TLS from a TLS
    /// port could not read it, and gets no response.
    fn reject_first_bytes(&self, sentence: &str, is_tls: bool, state: &ServerState) -> OpeningStep {
        let (id, peer) = (self.handle.id(), self.handle.peer());
        if is_tls && self.handle.writer().is_handshaking() {
            info!(session = id, peer:%; "#{id} {peer} closed: {sentence}");
            return OpeningStep::Ended(SessionEnd::TlsFailed, Finish::Close);
        }
        info!(session = id, peer:%, status = 400; "#{id} {peer} 400: {sentence}");
        // Fails only after a panic.
        let _ = self.handle.writer().set_record_layer(RecordLayer::Plain);
        self.send_response(&Response::text(400, sentence), false, state)
    }

    /// Records the client that a trusted proxy names in the request, and counts the connection for the limit
    /// of its address.
    pub(super) fn find_client(&self, head: &RequestHead, outcome: &mut PlaceOutcome, state: &ServerState) {
        let (id, peer) = (self.handle.id(), self.handle.peer());
        if state.config.trusts(peer.ip()) {
            match forwarded_client(&head.headers, |ip| state.config.trusts(Some(ip))) {
                ForwardedClient::Named { ip, port, field } => {
                    let client = port.map_or(Peer::Ip(ip), |port| Peer::from(SocketAddr::new(ip, port)));
                    self.handle.set_forwarded(client, field);
                    debug!(session = id, peer:%; "#{id} {peer} names {client} in {field}");
                }
                ForwardedClient::Unnamed => {}
                ForwardedClient::Conflicting => {
                    info!(session = id, peer:%; "#{id} {peer} names different clients in Forwarded and X-Forwarded-For");
                }
            }
        }
        outcome.count_address(self.handle.peer(), state);
    }
}
