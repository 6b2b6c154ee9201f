//! One connection, from the first byte to the last.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crossbeam_channel::Sender;
use log::{debug, error, info};

use crate::admission::{Arrival, Calls};
use crate::behavior::{Behavior, Routes};
use crate::codec::Codec;
use crate::config::Config;
use crate::conversation::{Conversation, Request};
use crate::ended::Ended;
use crate::extensions::Tap;
use crate::handle::SessionHandle;
use crate::handshake::{self, Upgrade};
use crate::http::{Answer, Head, HeadError};
use crate::metrics::Published;
use crate::scheduling::Policy;
use crate::site;
use crate::transport::Transport;
use crate::transport::tls::Insecure;
use crate::transport::wire::Wire;
use crate::verdict::Verdict;

/// What every session of a server shares.
pub(crate) struct Context {
    /// The server's waits and limits.
    pub(crate) config: Arc<Config>,
    /// Which path does what.
    pub(crate) routes: Routes,
    /// To the supervisor.
    pub(crate) events: Sender<Event>,
    /// What the supervisor last counted.
    pub(crate) published: Published,
    /// Numbers the sessions.
    pub(crate) ids: AtomicU64,
}

/// What a session tells the supervisor.
#[derive(Debug)]
pub(crate) enum Event {
    /// A worker has taken a connection.
    Opened(Arc<SessionHandle>),
    /// A worker is done with it.
    Closed(Report),
    /// A connection was refused before a worker had it.
    Refused(crate::refusal::Reason),
    /// An accept loop has ended.
    ListenerDone,
}

/// How a session went; its counters are in its handle.
#[derive(Debug)]
pub(crate) struct Report {
    /// Which session.
    pub(crate) id: u64,
    /// How it ended.
    pub(crate) ended: Ended,
    /// Whether it was a WebSocket session, and not a plain request.
    pub(crate) upgraded: bool,
    /// Whether its behaviour panicked.
    pub(crate) panicked: bool,
}

/// A worker's job: one connection after the other, until the server has stopped.
pub(crate) fn work(calls: Calls, context: &Context) {
    Policy::Batch.apply();
    for arrival in calls {
        // Whatever goes wrong around a session, the pool keeps its worker.
        if catch_unwind(AssertUnwindSafe(|| serve(arrival, context))).is_err() {
            error!("a connection ended with a panic");
        }
        // The session may have put this thread under another policy.
        Policy::Batch.apply();
    }
}

/// Serves one connection. A panic ends it alone, and never reaches the pool.
fn serve(arrival: Arrival, context: &Context) {
    let wire = match arrival.tls.map_or(Ok(Wire::Plain), Wire::tls) {
        Ok(wire) => wire,
        Err(error) => return error!("{} cannot be served over TLS: {error}", arrival.peer),
    };
    let secure = matches!(wire, Wire::Tls(_));
    let id = context.ids.fetch_add(1, Relaxed) + 1;
    let session = Arc::new(SessionHandle::new(id, arrival.peer, arrival.socket, wire));
    let mut record = Record::open(Arc::clone(&session), context);
    record.ended =
        catch_unwind(AssertUnwindSafe(|| attend(&session, secure, context))).unwrap_or_else(|_| {
            error!("#{id} {} panicked; this session ends with 1011", session.peer());
            record.panicked = true;
            catch_unwind(AssertUnwindSafe(|| apologise(&session))).unwrap_or(Ended::Cut)
        });
}

/// Tells the supervisor that a session has opened, and, whatever happens in between, that it has closed.
struct Record<'a> {
    /// The session.
    session: Arc<SessionHandle>,
    /// Where the supervisor is.
    context: &'a Context,
    /// When it began.
    since: Instant,
    /// How it ended.
    ended: Ended,
    /// Whether its behaviour panicked.
    panicked: bool,
}

impl<'a> Record<'a> {
    /// A session has opened.
    fn open(session: Arc<SessionHandle>, context: &'a Context) -> Self {
        // The supervisor outlives every session but those that it has given up on; then there is nobody to tell.
        let _ = context.events.send(Event::Opened(Arc::clone(&session)));
        Self { session, context, since: Instant::now(), ended: Ended::Cut, panicked: false }
    }
}

impl Drop for Record<'_> {
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
        if !session.is_abandoned() {
            session.leave();
        }
        let report =
            Report { id: session.id(), ended: self.ended.clone(), upgraded, panicked: self.panicked };
        let _ = self.context.events.send(Event::Closed(report));
    }
}

/// Holds the conversation that a connection asks for, if it asks for one.
fn attend(session: &Arc<SessionHandle>, secure: bool, context: &Context) -> Ended {
    let (mut conversation, behavior) = match open(session, secure, context) {
        Ok(opened) => opened,
        Err(ended) => return ended,
    };
    match behavior(&mut conversation) {
        Ok(()) => conversation.close(1000, ""),
        Err(ended) => ended,
    }
}

/// Reads the request, answers it, and says what its path does. Not inlined, and the conversation boxed: a page of
/// stack that is touched once stays with its thread, so what the handshake needs must not lie below what the session
/// needs, nor the other way round.
#[inline(never)]
fn open(
    session: &Arc<SessionHandle>,
    secure: bool,
    context: &Context,
) -> Result<(Box<Conversation>, Behavior), Ended> {
    let mut transport = Transport::new(Arc::clone(session));
    if secure && let Err(failure) = transport.shake_hands() {
        return Err(refuse_insecure(&mut transport, session, failure));
    }
    let (head, rest) = match Head::read(&mut transport) {
        Ok(read) => read,
        Err(error) => return Err(refuse_head(&mut transport, session, error)),
    };
    if !handshake::is_attempt(&head) {
        let metrics = Arc::clone(&context.published.lock().unwrap_or_else(PoisonError::into_inner));
        return Err(answer(&mut transport, session, &head, &site::answer(&head, &metrics)));
    }
    let judged = Upgrade::judge(&head, &context.config).and_then(|upgrade| {
        let behavior = context.routes.plan(&head.path, &head.query, &context.config, &context.published)?;
        Ok((upgrade, behavior))
    });
    let (upgrade, behavior) = match judged {
        Ok(granted) => granted,
        Err(refusal) => return Err(answer(&mut transport, session, &head, &refusal)),
    };
    if !matches!(session.outbox().open(&upgrade.response), Ok(true)) {
        // The supervisor's answer went out first.
        return Err(unfinished(session));
    }
    session.upgrade();
    transport.upgrade(rest, Tap::new(upgrade.deflate.is_some()));
    info!("#{} {} opened {}", session.id(), session.peer(), head.path.escape_debug());
    Ok((begin(transport, head, upgrade, session, &context.config), behavior))
}

/// The conversation that an upgrade was granted.
#[inline(never)]
fn begin(
    transport: Transport,
    head: Head,
    upgrade: Upgrade,
    session: &Arc<SessionHandle>,
    config: &Arc<Config>,
) -> Box<Conversation> {
    let Head { path, query, headers, .. } = head;
    let tls = session.outbox().tls_facts();
    let extensions = upgrade.deflate.map(|negotiated| negotiated.to_string());
    let request = Request { path, query, headers, subprotocol: upgrade.subprotocol, extensions, tls };
    let codec = Codec::new(upgrade.deflate, config);
    Box::new(Conversation::new(transport, codec, Arc::clone(session), request, Arc::clone(config)))
}

/// Deals with a client that is not in a TLS session as it should be.
fn refuse_insecure(transport: &mut Transport, session: &SessionHandle, failure: Insecure) -> Ended {
    let (id, peer) = (session.id(), session.peer());
    match failure {
        Insecure::Plain if session.outbox().give_up_tls().is_ok() => {
            info!("#{id} {peer} does not speak TLS: answered 400");
            let sentence = "this port speaks TLS; use wss:// or https:// in place of ws:// or http://";
            return say(transport, session, &Answer::text(400, sentence), false);
        }
        Insecure::Failed(error) => {
            info!("#{id} {peer} TLS handshake failed: {error}");
            // The alert has gone out; closing at once could make the peer lose it.
            transport.linger();
        }
        Insecure::Plain | Insecure::Ended => debug!("#{id} {peer} did not finish its TLS handshake"),
    }
    unfinished(session)
}

/// Answers a request head that could not be read.
fn refuse_head(transport: &mut Transport, session: &SessionHandle, error: HeadError) -> Ended {
    let answer = match error {
        HeadError::Ended => return unfinished(session),
        HeadError::TooLarge => Answer::text(431, "the request head is too large, or has too many fields"),
        HeadError::Malformed(sentence) => Answer::text(400, &sentence),
    };
    say(transport, session, &answer, false)
}

/// Answers a request, and logs it.
fn answer(transport: &mut Transport, session: &SessionHandle, head: &Head, answer: &Answer) -> Ended {
    let (method, path) = (head.method.escape_debug(), head.path.escape_debug());
    info!("#{} {} {method} {path} answered {}", session.id(), session.peer(), answer.status);
    say(transport, session, answer, head.method == "HEAD")
}

/// Sends a final answer, and waits for the peer to have it.
fn say(transport: &mut Transport, session: &SessionHandle, answer: &Answer, head_only: bool) -> Ended {
    let first = session.outbox().answer(&answer.to_bytes(head_only));
    transport.linger();
    match first {
        Ok(true) => Ended::Answered(answer.status),
        Ok(false) | Err(_) => unfinished(session),
    }
}

/// How a connection ended that did not become a session.
fn unfinished(session: &SessionHandle) -> Ended {
    match session.verdict() {
        _ if session.counters().reads.get() == 0 => Ended::Silent,
        _ if session.outbox().is_shaking_hands() => Ended::Insecure,
        Some(Verdict::HandshakeTimeout) => Ended::Answered(408),
        Some(Verdict::Stop) => Ended::Answered(503),
        _ => Ended::Vanished,
    }
}

/// The last words of a session whose behaviour panicked.
fn apologise(session: &Arc<SessionHandle>) -> Ended {
    const SORRY: &str = "internal error";
    let mut transport = Transport::new(Arc::clone(session));
    if !session.is_upgraded() {
        return say(&mut transport, session, &Answer::text(500, SORRY), false);
    }
    let first = session.outbox().close(1011, SORRY);
    transport.linger();
    if matches!(first, Ok(true)) { Ended::by_server(1011, SORRY) } else { Ended::Cut }
}
