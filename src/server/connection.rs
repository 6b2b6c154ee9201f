//! One connection, from the first byte to the last.

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
use crate::http::request_head::{HeadError, RequestHead};
use crate::http::response::Response;
use crate::protocol::frame_inspector::FrameInspector;
use crate::session::codec::Codec;
use crate::session::end::SessionEnd;
use crate::session::handle::SessionHandle;
use crate::session::websocket::{SessionRequest, WebSocketSession};
use crate::transport::blocking_stream::BlockingStream;
use crate::transport::record_layer::RecordLayer;
use crate::transport::termination::TerminationReason;
use crate::transport::tls_reader::TlsHandshakeError;

/// Serves one connection. A panic ends it alone, and never reaches the pool.
pub(crate) fn serve(arrival: AcceptedConnection, state: &ServerState) {
    let wire = match arrival.tls.map_or(Ok(RecordLayer::Plain), RecordLayer::tls) {
        Ok(wire) => wire,
        Err(error) => return error!("{} cannot be served over TLS: {error}", arrival.peer),
    };
    let secure = matches!(wire, RecordLayer::Tls(_));
    let id = state.ids.fetch_add(1, Relaxed) + 1;
    let session = Arc::new(SessionHandle::new(id, arrival.peer, arrival.socket, wire));
    let mut record = SessionGuard::open(Arc::clone(&session), state);
    record.ended =
        catch_unwind(AssertUnwindSafe(|| run_session(&session, secure, state))).unwrap_or_else(|_| {
            error!("#{id} {} panicked; this session ends with 1011", session.peer());
            record.panicked = true;
            catch_unwind(AssertUnwindSafe(|| close_after_panic(&session))).unwrap_or(SessionEnd::Aborted)
        });
}

/// Tells the supervisor that a session has opened, and, whatever happens in between, that it has closed.
struct SessionGuard<'a> {
    /// The session.
    session: Arc<SessionHandle>,
    /// Where the supervisor is.
    state: &'a ServerState,
    /// When it began.
    since: Instant,
    /// How it ended.
    ended: SessionEnd,
    /// Whether its behaviour panicked.
    panicked: bool,
}

impl<'a> SessionGuard<'a> {
    /// A session has opened.
    fn open(session: Arc<SessionHandle>, state: &'a ServerState) -> Self {
        // The supervisor outlives every session but those that it has given up on; then there is nobody to tell.
        let _ = state.events.send(Event::Opened(Arc::clone(&session)));
        Self { session, state, since: Instant::now(), ended: SessionEnd::Aborted, panicked: false }
    }
}

impl Drop for SessionGuard<'_> {
    fn drop(&mut self) {
        let session = &self.session;
        let upgraded = session.is_upgraded();
        if upgraded {
            let counters = session.counters();
            info!(
                "#{} {} {} after {:.1?}: {} messages in, {} out",
                session.id(),
                session.peer(),
                self.ended,
                self.since.elapsed(),
                counters.messages_in.get(),
                counters.all_messages_out(),
            );
        }
        if !session.resets_on_close() {
            session.finish();
        }
        let report =
            SessionReport { id: session.id(), ended: self.ended.clone(), upgraded, panicked: self.panicked };
        let _ = self.state.events.send(Event::Closed(report));
    }
}

/// Holds the websocket that a connection asks for, if it asks for one.
fn run_session(session: &Arc<SessionHandle>, secure: bool, state: &ServerState) -> SessionEnd {
    let (mut websocket, handler) = match open(session, secure, state) {
        Ok(opened) => opened,
        Err(ended) => return ended,
    };
    match handler(&mut websocket) {
        Ok(()) => websocket.close(1000, ""),
        Err(ended) => ended,
    }
}

/// Reads the request, answers it, and says what its path does. Not inlined, and the websocket boxed: a page of
/// stack that is touched once stays with its thread, so what the handshake needs must not lie below what the session
/// needs, nor the other way round.
#[inline(never)]
fn open(
    session: &Arc<SessionHandle>,
    secure: bool,
    state: &ServerState,
) -> Result<(Box<WebSocketSession>, Handler), SessionEnd> {
    let mut transport = BlockingStream::new(Arc::clone(session.connection()));
    if secure && let Err(failure) = transport.handshake() {
        return Err(refuse_insecure(&mut transport, session, failure));
    }
    let (head, rest) = match RequestHead::read(&mut transport) {
        Ok(read) => read,
        Err(error) => return Err(refuse_head(&mut transport, session, error)),
    };
    if !handshake::is_upgrade_request(&head) {
        let metrics = Arc::clone(&state.published.lock().unwrap_or_else(PoisonError::into_inner));
        return Err(answer(&mut transport, session, &head, &http_routes::answer(&head, &metrics)));
    }
    let judged = AcceptedUpgrade::validate(&head, &state.config).and_then(|upgrade| {
        let handler = state.routes.route(&head.path, &head.query, &state.config, &state.published)?;
        Ok((upgrade, handler))
    });
    let (upgrade, handler) = match judged {
        Ok(granted) => granted,
        Err(refusal) => return Err(answer(&mut transport, session, &head, &refusal)),
    };
    if !matches!(session.writer().send_upgrade(&upgrade.response), Ok(true)) {
        // The supervisor's answer went out first.
        return Err(handshake_outcome(session));
    }
    session.mark_upgraded();
    transport.upgrade(rest, FrameInspector::new(upgrade.deflate.is_some()));
    info!("#{} {} opened {}", session.id(), session.peer(), head.path.escape_debug());
    Ok((new_session(transport, head, upgrade, session, &state.config), handler))
}

/// The websocket that an upgrade was granted.
#[inline(never)]
fn new_session(
    transport: BlockingStream,
    head: RequestHead,
    upgrade: AcceptedUpgrade,
    session: &Arc<SessionHandle>,
    config: &Arc<Config>,
) -> Box<WebSocketSession> {
    let RequestHead { path, query, headers, .. } = head;
    let tls = session.writer().tls_info();
    let extensions = upgrade.deflate.map(|negotiated| negotiated.to_string());
    let request = SessionRequest { path, query, headers, subprotocol: upgrade.subprotocol, extensions, tls };
    let codec = Codec::new(upgrade.deflate, config);
    Box::new(WebSocketSession::new(transport, codec, Arc::clone(session), request, Arc::clone(config)))
}

/// Deals with a client that is not in a TLS session as it should be.
fn refuse_insecure(
    transport: &mut BlockingStream,
    session: &SessionHandle,
    failure: TlsHandshakeError,
) -> SessionEnd {
    let (id, peer) = (session.id(), session.peer());
    match failure {
        TlsHandshakeError::NotTls if session.writer().downgrade_to_plaintext().is_ok() => {
            info!("#{id} {peer} does not speak TLS: answered 400");
            let sentence = "this port speaks TLS; use wss:// or https:// in place of ws:// or http://";
            return send_response(transport, session, &Response::text(400, sentence), false);
        }
        TlsHandshakeError::Failed(error) => {
            info!("#{id} {peer} TLS handshake failed: {error}");
            // The alert has gone out; closing at once could make the peer lose it.
            transport.linger();
        }
        TlsHandshakeError::NotTls | TlsHandshakeError::Disconnected => {
            debug!("#{id} {peer} did not finish its TLS handshake")
        }
    }
    handshake_outcome(session)
}

/// Answers a request head that could not be read.
fn refuse_head(transport: &mut BlockingStream, session: &SessionHandle, error: HeadError) -> SessionEnd {
    let answer = match error {
        HeadError::Disconnected => return handshake_outcome(session),
        HeadError::TooLarge => Response::text(431, "the request head is too large, or has too many fields"),
        HeadError::Malformed(sentence) => Response::text(400, &sentence),
    };
    send_response(transport, session, &answer, false)
}

/// Answers a request, and logs it.
fn answer(
    transport: &mut BlockingStream,
    session: &SessionHandle,
    head: &RequestHead,
    answer: &Response,
) -> SessionEnd {
    let (method, path) = (head.method.escape_debug(), head.path.escape_debug());
    info!("#{} {} {method} {path} answered {}", session.id(), session.peer(), answer.status);
    send_response(transport, session, answer, head.method == "HEAD")
}

/// Sends a final answer, and waits for the peer to have it.
fn send_response(
    transport: &mut BlockingStream,
    session: &SessionHandle,
    answer: &Response,
    head_only: bool,
) -> SessionEnd {
    let first = session.writer().send_response(&answer.to_bytes(head_only));
    transport.linger();
    match first {
        Ok(true) => SessionEnd::HttpResponse(answer.status),
        Ok(false) | Err(_) => handshake_outcome(session),
    }
}

/// How a connection ended that did not become a session.
fn handshake_outcome(session: &SessionHandle) -> SessionEnd {
    match session.termination_reason() {
        _ if session.counters().reads.get() == 0 => SessionEnd::NoRequest,
        _ if session.writer().is_handshaking() => SessionEnd::TlsFailed,
        Some(TerminationReason::HandshakeTimeout) => SessionEnd::HttpResponse(408),
        Some(TerminationReason::Shutdown) => SessionEnd::HttpResponse(503),
        _ => SessionEnd::AbnormalClosure,
    }
}

/// The last words of a session whose behaviour panicked.
fn close_after_panic(session: &Arc<SessionHandle>) -> SessionEnd {
    const INTERNAL_ERROR: &str = "internal error";
    let mut transport = BlockingStream::new(Arc::clone(session.connection()));
    if !session.is_upgraded() {
        return send_response(&mut transport, session, &Response::text(500, INTERNAL_ERROR), false);
    }
    let first = session.writer().close(1011, INTERNAL_ERROR);
    transport.linger();
    if matches!(first, Ok(true)) { SessionEnd::by_server(1011, INTERNAL_ERROR) } else { SessionEnd::Aborted }
}
