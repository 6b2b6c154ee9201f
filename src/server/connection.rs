//! One connection on its worker: TLS handshake, request head, response or session, end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use log::{debug, error, info};

use super::admission::AcceptedConnection;
use super::http_routes;
use super::state::{Event, ServerState, SessionReport};
use crate::config::Config;
use crate::endpoints::route::Handler;
use crate::http::handshake::{self, AcceptedUpgrade};
use crate::http::request_head::{HEAD_LIMIT, HEADER_LIMIT, HeadError, RequestHead};
use crate::http::response::Response;
use crate::logging::EscapedPreview;
use crate::metrics::snapshot::Traffic;
use crate::protocol::frame_inspector::FrameInspector;
use crate::session::codec::Codec;
use crate::session::end::SessionEnd;
use crate::session::handle::SessionHandle;
use crate::session::websocket::{SessionRequest, WebSocketSession};
use crate::transport::blocking_stream::BlockingStream;
use crate::transport::record_layer::RecordLayer;
use crate::transport::termination::TerminationReason;
use crate::transport::tls_reader::TlsHandshakeError;

/// Runs one connection on the calling worker and blocks until it has ended. A panic of the handler or of the
/// handshake ends this connection with 1011 (500 before the 101) and does not reach the thread pool. Both are
/// logged as "handler panicked".
pub(crate) fn run_connection(connection: AcceptedConnection, state: &ServerState) {
    // The permit counts the connection until this function returns.
    let AcceptedConnection { socket, peer, tls, permit: _permit, .. } = connection;
    let record_layer = match tls.map_or(Ok(RecordLayer::Plain), RecordLayer::tls) {
        Ok(record_layer) => record_layer,
        Err(error) => return error!(peer:%; "{peer} cannot set up TLS: {error}"),
    };
    let secure = matches!(record_layer, RecordLayer::Tls(_));
    let id = state.last_connection_id.fetch_add(1, Relaxed) + 1;
    let handle = Arc::new(SessionHandle::new(id, peer, socket, record_layer));
    let mut guard = SessionGuard::new(Arc::clone(&handle), state);
    guard.end = catch_unwind(AssertUnwindSafe(|| run_session(&handle, secure, state))).unwrap_or_else(|_| {
        error!(session = id, peer:%; "#{id} {peer} handler panicked");
        guard.panicked = true;
        catch_unwind(AssertUnwindSafe(|| close_after_panic(&handle))).unwrap_or(SessionEnd::Aborted)
    });
}

/// Reports `Opened` to the supervisor when created and `Closed` when dropped. The drop also logs the end of a
/// session and closes the connection.
struct SessionGuard<'a> {
    handle: Arc<SessionHandle>,
    state: &'a ServerState,
    opened_at: Instant,
    /// How the connection ended; `Aborted` until that is known.
    end: SessionEnd,
    /// The handler or the handshake panicked.
    panicked: bool,
}

impl<'a> SessionGuard<'a> {
    fn new(handle: Arc<SessionHandle>, state: &'a ServerState) -> Self {
        // Fails only if the supervisor has ended: after the drain it does not wait for this worker.
        let _ = state.events.send(Event::Opened(Arc::clone(&handle)));
        Self { handle, state, opened_at: Instant::now(), end: SessionEnd::Aborted, panicked: false }
    }

    /// Logs the end of a session.
    fn log_end(&self) {
        let (id, peer, end, duration) =
            (self.handle.id(), self.handle.peer(), &self.end, self.opened_at.elapsed());
        let traffic = Traffic::of(self.handle.counters());
        let Traffic { messages_in, messages_out, bytes_in, bytes_out, .. } = traffic;
        info!(
            session = id, peer:%, code = end.labels().1, messages_in, messages_out, bytes_in, bytes_out,
            duration_ms = duration.as_millis();
            "#{id} {peer} {end} after {duration:.1?}: {messages_in} messages in, {messages_out} out"
        );
    }
}

impl Drop for SessionGuard<'_> {
    fn drop(&mut self) {
        let handle = &self.handle;
        let upgraded = handle.is_upgraded();
        if upgraded {
            self.log_end();
        }
        if !handle.resets_on_close() {
            handle.finish();
        }
        let report =
            SessionReport { id: handle.id(), end: self.end.clone(), upgraded, panicked: self.panicked };
        let _ = self.state.events.send(Event::Closed(report));
    }
}

/// Performs the handshake and runs the handler of the path. Sends Close 1000 if the handler returns `Ok`.
fn run_session(handle: &Arc<SessionHandle>, secure: bool, state: &ServerState) -> SessionEnd {
    let (mut session, handler) = match perform_handshake(handle, secure, state) {
        Ok(opened) => opened,
        Err(end) => return end,
    };
    match handler(&mut session) {
        Ok(()) => session.close(1000, ""),
        Err(end) => end,
    }
}

/// Performs the TLS handshake, reads the request head and sends the response. Returns the session and its
/// handler after a 101, or the end of the connection as `Err`. The supervisor bounds the time of all this by
/// the handshake time-out (`session_timers`).
///
/// Not inlined, and the session is boxed: a stack page that was touched once stays with its thread, so the
/// stack frame of the handshake must not lie below that of the session.
#[inline(never)]
fn perform_handshake(
    handle: &Arc<SessionHandle>,
    secure: bool,
    state: &ServerState,
) -> Result<(Box<WebSocketSession>, Handler), SessionEnd> {
    let mut stream = BlockingStream::new(Arc::clone(handle.connection()));
    if secure && let Err(failure) = stream.handshake() {
        return Err(end_failed_tls(&mut stream, handle, failure));
    }
    let (head, leftover) = match RequestHead::read(&mut stream) {
        Ok(read) => read,
        Err(error) => return Err(reject_head(&mut stream, handle, error)),
    };
    if !handshake::is_upgrade_request(&head) {
        let snapshot = Arc::clone(&state.snapshot.lock().unwrap_or_else(PoisonError::into_inner));
        let response = http_routes::respond(&head, &state.config, &snapshot);
        return Err(respond(&mut stream, handle, &head, &response));
    }
    let validated = AcceptedUpgrade::validate(&head, &state.config).and_then(|upgrade| {
        let handler = state.routes.route(&head.path, &head.query, &state.config, &state.snapshot)?;
        Ok((upgrade, handler))
    });
    let (upgrade, handler) = match validated {
        Ok(accepted) => accepted,
        Err(response) => return Err(respond(&mut stream, handle, &head, &response)),
    };
    if !matches!(handle.writer().queue_upgrade(&upgrade.response), Ok(true)) {
        // The supervisor has sent its 408 or 503 before.
        return Err(handshake_outcome(handle));
    }
    handle.mark_upgraded();
    stream.upgrade(leftover, FrameInspector::new(upgrade.deflate.is_some()));
    let (id, peer, path) = (handle.id(), handle.peer(), EscapedPreview(&head.path));
    info!(session = id, peer:%, path:%; "#{id} {peer} opened {path}");
    Ok((new_session(stream, head, upgrade, handle, &state.config), handler))
}

/// Builds the session after the 101. Not inlined, for the reason given at [`perform_handshake`].
#[inline(never)]
fn new_session(
    stream: BlockingStream,
    head: RequestHead,
    upgrade: AcceptedUpgrade,
    handle: &Arc<SessionHandle>,
    config: &Arc<Config>,
) -> Box<WebSocketSession> {
    let RequestHead { path, query, headers, .. } = head;
    let tls = handle.writer().tls_info();
    let extensions = upgrade.deflate.map(|negotiated| negotiated.to_string());
    let request = SessionRequest { path, query, headers, subprotocol: upgrade.subprotocol, extensions, tls };
    let codec = Codec::new(upgrade.deflate, config);
    Box::new(WebSocketSession::new(stream, codec, Arc::clone(handle), request, Arc::clone(config)))
}

/// Ends a connection whose TLS handshake failed. A client that sent plaintext gets 400 in plaintext.
fn end_failed_tls(
    stream: &mut BlockingStream,
    handle: &SessionHandle,
    failure: TlsHandshakeError,
) -> SessionEnd {
    let (id, peer) = (handle.id(), handle.peer());
    match failure {
        TlsHandshakeError::NotTls if handle.writer().downgrade_to_plaintext().is_ok() => {
            info!(session = id, peer:%, status = 400; "#{id} {peer} sent plaintext to a TLS port: 400");
            let sentence = "this port expects TLS; use wss:// or https:// instead of ws:// or http://";
            return send_response(stream, handle, &Response::text(400, sentence), false);
        }
        TlsHandshakeError::Failed(error) => {
            info!(session = id, peer:%; "#{id} {peer} TLS handshake failed: {error}");
            // The alert was sent. Closing at once could reset the connection before the peer reads it.
            stream.linger();
        }
        TlsHandshakeError::NotTls | TlsHandshakeError::Disconnected => {
            debug!(session = id, peer:%; "#{id} {peer} TLS handshake not completed");
        }
    }
    handshake_outcome(handle)
}

/// Sends 400 or 431 for a request head that could not be read. Sends nothing if the connection ended.
fn reject_head(stream: &mut BlockingStream, handle: &SessionHandle, error: HeadError) -> SessionEnd {
    let response = match error {
        HeadError::Disconnected => return handshake_outcome(handle),
        HeadError::TooLarge => {
            let limits = format!("at most {HEAD_LIMIT} bytes, {HEADER_LIMIT} fields");
            Response::text(431, &format!("the request head is too large or has too many fields: {limits}"))
        }
        HeadError::Malformed(sentence) => Response::text(400, &sentence),
    };
    send_response(stream, handle, &response, false)
}

/// Logs a request and sends the response to it, without the body if the method is HEAD.
fn respond(
    stream: &mut BlockingStream,
    handle: &SessionHandle,
    head: &RequestHead,
    response: &Response,
) -> SessionEnd {
    let (id, peer, status) = (handle.id(), handle.peer(), response.status);
    let (method, path) = (EscapedPreview(&head.method), EscapedPreview(&head.path));
    info!(session = id, peer:%, path:%, status; "#{id} {peer} {method} {path}: {status}");
    send_response(stream, handle, response, head.method == "HEAD")
}

/// Sends the last response of a connection, then lingers: blocks until the peer has ended its side or the
/// supervisor aborts the connection.
fn send_response(
    stream: &mut BlockingStream,
    handle: &SessionHandle,
    response: &Response,
    head_only: bool,
) -> SessionEnd {
    let sent = handle.writer().send_response(&response.to_bytes(head_only));
    stream.linger();
    match sent {
        Ok(true) => SessionEnd::HttpResponse(response.status),
        Ok(false) | Err(_) => handshake_outcome(handle),
    }
}

/// Returns the end of a connection that became no session and got no response from its worker.
fn handshake_outcome(handle: &SessionHandle) -> SessionEnd {
    match handle.termination_reason() {
        _ if handle.counters().reads.get() == 0 => SessionEnd::NoRequest,
        _ if handle.writer().is_handshaking() => SessionEnd::TlsFailed,
        Some(TerminationReason::HandshakeTimeout) => SessionEnd::HttpResponse(408),
        Some(TerminationReason::Shutdown) => SessionEnd::HttpResponse(503),
        _ => SessionEnd::AbnormalClosure,
    }
}

/// Sends Close 1011 after a panic, or 500 if the 101 has not been sent.
fn close_after_panic(handle: &Arc<SessionHandle>) -> SessionEnd {
    const INTERNAL_ERROR: &str = "internal error";
    let mut stream = BlockingStream::new(Arc::clone(handle.connection()));
    if !handle.is_upgraded() {
        return send_response(&mut stream, handle, &Response::text(500, INTERNAL_ERROR), false);
    }
    let sent = handle.writer().close(1011, INTERNAL_ERROR);
    stream.linger();
    if matches!(sent, Ok(true)) { SessionEnd::by_server(1011, INTERNAL_ERROR) } else { SessionEnd::Aborted }
}
