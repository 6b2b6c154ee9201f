//! The opening of a connection: PROXY header, TLS handshake, request head, and the response to it.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use log::{Level, debug, error, info, log};
use rustls::ServerConfig;

use super::admission::Place;
use super::first_bytes::FirstBytes;
use super::http_routes;
use super::place::PlaceOutcome;
use super::reject_reason::{RejectReason, log_early_response};
use super::state::ServerState;
use crate::http::handshake::{self, AcceptedUpgrade};
use crate::http::request_head::{HEAD_LIMIT, HEADER_LIMIT, HeadError, HeadReader, RequestHead};
use crate::http::response::Response;
use crate::logging::EscapedPreview;
use crate::platform::readiness::Interest;
use crate::protocol::frame_inspector::FrameInspector;
use crate::session::codec::Codec;
use crate::session::end::SessionEnd;
use crate::session::endpoint::Endpoint;
use crate::session::handle::SessionHandle;
use crate::session::turn::Finish;
use crate::session::websocket::{SessionRequest, WebSocketSession};
use crate::transport::phase::Phase;
use crate::transport::record_layer::RecordLayer;
use crate::transport::stream::SessionStream;
use crate::transport::termination::TerminationReason;
use crate::transport::tls_reader::TlsHandshakeError;

/// Bytes behind a queued request that are read before it has a place. A client must wait for the 101 (RFC
/// 6455, 4.1), but its end of stream is seen only by a read.
const MAX_QUEUED_BYTES: usize = 4 << 10;

/// A client has sent a header of the PROXY protocol to a server that does not take it.
static PROXY_HEADER_SEEN: AtomicBool = AtomicBool::new(false);

/// A connection that has not become a session. The supervisor bounds the time of all this by the handshake
/// time-out (`session_timers`).
pub(super) struct Opening {
    pub(super) handle: Arc<SessionHandle>,
    pub(super) stream: SessionStream,
    /// Reads the PROXY header. `None` behind it, and if there can be none.
    pub(super) first_bytes: Option<FirstBytes>,
    tls: Tls,
    head: HeadReader,
    /// A request that waits for a place, and the bytes behind it.
    queued: Option<(RequestHead, Vec<u8>)>,
}

/// How far the TLS handshake has come.
enum Tls {
    /// No byte has arrived. The state of TLS takes memory, so it is created with the first byte.
    Expected(Arc<ServerConfig>),
    Handshaking,
    /// Complete, or the connection is plain.
    Done,
}

/// How a turn of an opening ended.
pub(super) enum OpeningStep {
    Wait(Interest),
    /// The 101 was queued.
    Opened(Box<WebSocketSession>, Box<dyn Endpoint>),
    /// The connection becomes no session.
    Ended(SessionEnd, Finish),
}

impl Opening {
    /// Begins the opening of a connection. `tls` is `None` for plain TCP.
    pub(super) fn new(
        handle: Arc<SessionHandle>,
        tls: Option<Arc<ServerConfig>>,
        outcome: &mut PlaceOutcome,
        state: &ServerState,
    ) -> Self {
        let first_bytes = FirstBytes::new(state.config.proxy_protocol);
        let stream = SessionStream::new(Arc::clone(handle.connection()));
        let tls = tls.map_or(Tls::Done, |config| {
            // Fails only after a panic.
            let _ = handle.writer().set_record_layer(RecordLayer::TlsExpected);
            Tls::Expected(config)
        });
        let opening = Self { handle, stream, first_bytes, tls, head: HeadReader::default(), queued: None };
        opening.count_address_if_known(outcome, state);
        opening
    }

    pub(super) fn begin_turn(&mut self, readable: bool) {
        self.stream.begin_turn(readable);
    }

    /// Takes a turn.
    pub(super) fn turn(&mut self, outcome: &mut PlaceOutcome, state: &ServerState) -> OpeningStep {
        match self.handle.writer().flush() {
            Ok(true) => {}
            Ok(false) => return OpeningStep::Wait(Interest::Write),
            Err(_) => return OpeningStep::Ended(opening_outcome(&self.handle), Finish::Close),
        }
        match self.read_proxy_header(outcome, state) {
            Ok(true) => {}
            Ok(false) => return OpeningStep::Wait(Interest::Read),
            Err(step) => return step,
        }
        match self.tls_handshake(state) {
            Ok(true) => {}
            Ok(false) if self.handle.writer().has_unsent() => return OpeningStep::Wait(Interest::Write),
            Ok(false) => return OpeningStep::Wait(Interest::Read),
            Err(step) => return step,
        }
        if let Some((head, leftover)) = self.queued.take() {
            return self.continue_queued(head, leftover, outcome, state);
        }
        match self.head.read(&mut self.stream) {
            Ok(Some((head, leftover))) => {
                self.find_client(&head, outcome, state);
                self.admit(head, leftover, outcome, state)
            }
            Ok(None) => OpeningStep::Wait(Interest::Read),
            Err(error) => self.reject_head(error, state),
        }
    }

    /// Continues the TLS handshake. Returns whether it is complete.
    fn tls_handshake(&mut self, state: &ServerState) -> Result<bool, OpeningStep> {
        if let Tls::Expected(config) = &self.tls {
            let (id, peer) = (self.handle.id(), self.handle.peer());
            let begun =
                RecordLayer::tls(Arc::clone(config)).map_err(|error| error.to_string()).and_then(|layer| {
                    self.handle.writer().set_record_layer(layer).map_err(|error| error.to_string())
                });
            if let Err(error) = begun {
                error!(session = id, peer:%; "#{id} {peer} cannot set up TLS: {error}");
                return Err(OpeningStep::Ended(SessionEnd::TlsFailed, Finish::Close));
            }
            self.tls = Tls::Handshaking;
        }
        if matches!(self.tls, Tls::Done) {
            return Ok(true);
        }
        let complete = self.stream.handshake().map_err(|failure| self.end_failed_tls(failure, state))?;
        if complete {
            self.tls = Tls::Done;
        }
        Ok(complete)
    }

    /// Ends a connection whose TLS handshake failed. A client that sent plaintext gets 400 in plaintext.
    fn end_failed_tls(&self, failure: TlsHandshakeError, state: &ServerState) -> OpeningStep {
        let (id, peer) = (self.handle.id(), self.handle.peer());
        match failure {
            TlsHandshakeError::NotTls
                if self.handle.writer().set_record_layer(RecordLayer::Plain).is_ok() =>
            {
                info!(session = id, peer:%, status = 400; "#{id} {peer} sent plaintext to a TLS port: 400");
                let sentence = "this port expects TLS; use wss:// or https:// instead of ws:// or http://";
                self.send_response(&Response::text(400, sentence), false, state)
            }
            TlsHandshakeError::Failed(error) => {
                info!(session = id, peer:%; "#{id} {peer} TLS handshake failed: {error}");
                // The alert was sent. Closing at once could reset the connection before the peer reads it.
                OpeningStep::Ended(opening_outcome(&self.handle), Finish::Linger)
            }
            TlsHandshakeError::NotTls | TlsHandshakeError::Disconnected => {
                debug!(session = id, peer:%; "#{id} {peer} TLS handshake not completed");
                OpeningStep::Ended(opening_outcome(&self.handle), Finish::Close)
            }
        }
    }

    /// Sends 400 or 431 for a request head that could not be read. Sends nothing if the connection ended.
    fn reject_head(&self, error: HeadError, state: &ServerState) -> OpeningStep {
        let response = match error {
            HeadError::Disconnected => {
                return OpeningStep::Ended(opening_outcome(&self.handle), Finish::Close);
            }
            HeadError::TooLarge => {
                let limits = format!("at most {HEAD_LIMIT} bytes, {HEADER_LIMIT} fields");
                Response::text(
                    431,
                    &format!("the request head is too large or has too many fields: {limits}"),
                )
            }
            HeadError::Malformed(sentence) => Response::text(400, &sentence),
        };
        // The operator has to know, and once is enough.
        let is_first = self.head.has_proxy_header() && !PROXY_HEADER_SEEN.swap(true, Relaxed);
        let level = if is_first { Level::Warn } else { Level::Info };
        log_early_response(level, &self.handle, &response);
        self.send_response(&response, false, state)
    }

    /// Responds to a probe, or to a request that has got a place. Rejects or queues other requests.
    fn admit(
        &mut self,
        head: RequestHead,
        leftover: Vec<u8>,
        outcome: &mut PlaceOutcome,
        state: &ServerState,
    ) -> OpeningStep {
        if http_routes::is_probe(&head) {
            outcome.rejected = None;
            return self.respond_to(head, leftover, state);
        }
        if outcome.rejected.is_none() {
            match state.admission.request_place(self.handle.id()) {
                Place::Granted(place) => outcome.place = Some(place),
                Place::Rejected(reason) => outcome.rejected = Some(reason),
                Place::Queued => {
                    self.handle.set_queued(true);
                    let keeps_reading = leftover.len() < MAX_QUEUED_BYTES;
                    self.queued = Some((head, leftover));
                    // The peer may end the connection meanwhile.
                    return OpeningStep::Wait(if keeps_reading { Interest::Read } else { Interest::Nothing });
                }
            }
        }
        match outcome.rejected {
            Some(reason) => self.respond(&head, &reason.response(), state),
            None => self.respond_to(head, leftover, state),
        }
    }

    /// Continues with a request that waits for a place, or ends it: the peer has ended the connection, or the
    /// supervisor has responded.
    fn continue_queued(
        &mut self,
        head: RequestHead,
        mut leftover: Vec<u8>,
        outcome: &mut PlaceOutcome,
        state: &ServerState,
    ) -> OpeningStep {
        let mut more = [0; 512];
        let received = if leftover.len() < MAX_QUEUED_BYTES {
            self.stream.read(&mut more)
        } else {
            Err(ErrorKind::WouldBlock.into())
        };
        if self.handle.phase() != Phase::Handshake {
            let reason = match self.handle.termination_reason() {
                Some(TerminationReason::QueueTimeout) => RejectReason::QueueTimeout,
                _ => RejectReason::ShuttingDown,
            };
            outcome.rejected = Some(reason);
            self.log_response(&head, &reason.response());
            return OpeningStep::Ended(opening_outcome(&self.handle), Finish::Linger);
        }
        match received {
            Ok(n @ 1..) => leftover.extend_from_slice(&more[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return OpeningStep::Ended(opening_outcome(&self.handle), Finish::Close),
        }
        self.handle.set_queued(false);
        self.admit(head, leftover, outcome, state)
    }

    /// Responds to a request: opens the session, or sends the response that rejects it.
    fn respond_to(&mut self, head: RequestHead, leftover: Vec<u8>, state: &ServerState) -> OpeningStep {
        let handle = &self.handle;
        if !handshake::is_upgrade_request(&head) {
            return self.respond(&head, &state.respond(&head), state);
        }
        let validated = AcceptedUpgrade::validate(&head, &state.config).and_then(|upgrade| {
            let endpoint = state.routes.route(&head.path, &head.query, &state.config, &state.snapshot)?;
            Ok((upgrade, endpoint))
        });
        let (upgrade, endpoint) = match validated {
            Ok(accepted) => accepted,
            Err(response) => return self.respond(&head, &response, state),
        };
        if !matches!(handle.writer().queue_upgrade(&upgrade.response), Ok(true)) {
            // The supervisor has sent its 408 or 503 before.
            return OpeningStep::Ended(opening_outcome(handle), Finish::Linger);
        }
        handle.mark_upgraded();
        let mut stream =
            std::mem::replace(&mut self.stream, SessionStream::new(Arc::clone(handle.connection())));
        stream.upgrade(leftover, FrameInspector::new(upgrade.deflate.is_some()), state.config.max_message);
        let (id, peer, path) = (handle.id(), handle.peer(), EscapedPreview(&head.path));
        info!(session = id, peer:%, path:%; "#{id} {peer} opened {path}");
        OpeningStep::Opened(new_session(stream, head, upgrade, handle, state), endpoint)
    }

    /// Logs a request and sends the response to it, without the body if the method is HEAD.
    fn respond(&self, head: &RequestHead, response: &Response, state: &ServerState) -> OpeningStep {
        self.log_response(head, response);
        self.send_response(response, head.method == "HEAD", state)
    }

    /// Logs a request and the response to it.
    fn log_response(&self, head: &RequestHead, response: &Response) {
        let (id, peer, status) = (self.handle.id(), self.handle.peer(), response.status);
        let (method, path) = (EscapedPreview(&head.method), EscapedPreview(&head.path));
        let level = if http_routes::is_probe(head) { Level::Debug } else { Level::Info };
        let sentence = response.sentence();
        log!(level, session = id, peer:%, path:%, status; "#{id} {peer} {method} {path}: {status}{sentence}");
    }

    /// Sends the last response of a connection.
    pub(super) fn send_response(
        &self,
        response: &Response,
        head_only: bool,
        state: &ServerState,
    ) -> OpeningStep {
        let bytes = response.to_bytes(head_only, &state.config.name);
        let end = match self.handle.writer().send_response(&bytes) {
            Ok(true) => SessionEnd::HttpResponse(response.status),
            Ok(false) | Err(_) => opening_outcome(&self.handle),
        };
        OpeningStep::Ended(end, Finish::Linger)
    }
}

/// Builds the session after the 101.
fn new_session(
    stream: SessionStream,
    head: RequestHead,
    upgrade: AcceptedUpgrade,
    handle: &Arc<SessionHandle>,
    state: &ServerState,
) -> Box<WebSocketSession> {
    let config = &state.config;
    let RequestHead { path, query, headers, .. } = head;
    let tls = handle.writer().tls_info();
    let extensions = upgrade.deflate.map(|negotiated| negotiated.to_string());
    let request = SessionRequest { path, query, headers, subprotocol: upgrade.subprotocol, extensions, tls };
    let codec = Codec::new(upgrade.deflate, config);
    Box::new(WebSocketSession::new(
        stream,
        codec,
        Arc::clone(handle),
        request,
        Arc::clone(config),
        &state.memory,
    ))
}

/// Returns the end of a connection that became no session and got no response from its worker.
pub(super) fn opening_outcome(handle: &SessionHandle) -> SessionEnd {
    match handle.termination_reason() {
        _ if handle.counters().reads.get() == 0 => SessionEnd::NoRequest,
        _ if handle.writer().is_handshaking() => SessionEnd::TlsFailed,
        Some(TerminationReason::HandshakeTimeout) => SessionEnd::HttpResponse(408),
        Some(TerminationReason::Shutdown | TerminationReason::Restart | TerminationReason::QueueTimeout) => {
            SessionEnd::HttpResponse(503)
        }
        _ => SessionEnd::AbnormalClosure,
    }
}
