//! Opens a connection: TCP connect, TLS handshake, WebSocket handshake.

use super::{
    connecting::{ConnectStep, Connecting},
    context::DriverContext,
    failure::Failure,
    open_scope::OpenScope,
    refusal::{BODY_TIMEOUT, Refusal},
    tunnel::{TunnelHandshake, TunnelStep},
    upgrade::{UpgradeStep, WebSocketHandshake},
};
use crate::{
    net::{
        client_stream::{ClientStream, Readiness},
        deflate::{self, OfferResult},
        protocol::ClientProtocol,
        raw_tcp::RawTcp,
    },
    stats::{counters::Count, recorder::Metric},
};
use std::{
    io,
    time::{Duration, Instant},
};
use tungstenite::{
    handshake::client::{Response, generate_key},
    http::{HeaderValue, header::SEC_WEBSOCKET_KEY},
};

/// A connection that is not open yet.
#[derive(Debug)]
pub(crate) struct Opening {
    phase: OpeningPhase,
    /// When the phase began.
    since: Instant,
}

#[derive(Debug)]
enum OpeningPhase {
    TcpConnect(Connecting),
    /// Waits for the proxy's response to CONNECT.
    Tunnel(Box<TunnelHandshake>),
    TlsHandshake(ClientStream),
    WebSocketHandshake(Box<WebSocketHandshake>),
    /// The server has refused.
    Refused(Box<Refusal>),
}

/// What a step of opening led to.
#[derive(Debug)]
pub(crate) enum OpenStep {
    /// The next readiness event continues it.
    Pending(Opening),
    /// The connection is open, with or without permessage-deflate.
    Open { protocol: ClientProtocol, compress: bool },
}

impl Opening {
    /// Starts the TCP connect.
    pub(crate) fn start(scope: &mut OpenScope<'_>) -> Result<Self, Failure> {
        let connecting = Connecting::start(scope)?;
        Ok(Self { phase: OpeningPhase::TcpConnect(connecting), since: scope.now })
    }

    /// Continues the steps that wait for a deadline, not for a readiness event.
    pub(crate) fn resume(&mut self, scope: &mut OpenScope<'_>) -> Result<(), Failure> {
        match &mut self.phase {
            OpeningPhase::TcpConnect(connecting) => connecting.resume(scope),
            _ => Ok(()),
        }
    }

    /// Continues as far as possible without blocking.
    pub(crate) fn advance(
        self,
        scope: &mut OpenScope<'_>,
        readiness: Readiness,
    ) -> Result<OpenStep, Failure> {
        let since = self.since;
        match self.phase {
            OpeningPhase::TcpConnect(connecting) => match connecting.advance(scope, readiness)? {
                ConnectStep::Connected { stream, began } => on_connected(stream, began, scope),
                ConnectStep::Pending(connecting) => pending(OpeningPhase::TcpConnect(connecting), since),
            },
            OpeningPhase::Tunnel(mut handshake) => {
                handshake.stream_mut().note(readiness);
                open_tunnel(*handshake, since, scope)
            }
            OpeningPhase::TlsHandshake(mut stream) => {
                stream.note(readiness);
                tls_handshake(stream, since, scope)
            }
            OpeningPhase::WebSocketHandshake(mut handshake) => {
                handshake.stream_mut().note(readiness);
                websocket_handshake(*handshake, since, scope)
            }
            OpeningPhase::Refused(mut refusal) => {
                refusal.stream_mut().note(readiness);
                refused(*refusal, since)
            }
        }
    }

    /// Returns the failure if the present phase has taken `timeout` or longer.
    pub(crate) fn timed_out(&self, now: Instant, timeout: Duration) -> Option<Failure> {
        let took = now.saturating_duration_since(self.since);
        let phase = match &self.phase {
            OpeningPhase::TcpConnect(_) => "TCP connect",
            OpeningPhase::Tunnel(_) => "CONNECT to the proxy",
            OpeningPhase::TlsHandshake(_) => "TLS handshake",
            OpeningPhase::WebSocketHandshake(_) => "WebSocket handshake",
            OpeningPhase::Refused(refusal) => return (took >= BODY_TIMEOUT).then(|| refusal.failure()),
        };
        (took >= timeout).then(|| Failure::timed_out(phase))
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the steps around it can fail")]
fn pending(phase: OpeningPhase, since: Instant) -> Result<OpenStep, Failure> {
    Ok(OpenStep::Pending(Opening { phase, since }))
}

fn on_connected(
    stream: ClientStream,
    began: Instant,
    scope: &mut OpenScope<'_>,
) -> Result<OpenStep, Failure> {
    let now = Instant::now();
    let took = now.saturating_duration_since(began);
    scope.ctx.recorder.count(Count::Connected);
    scope.ctx.record_opening(Metric::Connect, took, now);
    if stream.is_syn_retransmitted() {
        scope.ctx.recorder.count(Count::SynRetransmitted);
    }
    match &scope.ctx.plan().target.tunnel {
        Some(request) => open_tunnel(TunnelHandshake::start(stream, request), now, scope),
        None => start_tls(stream, now, scope),
    }
}

fn open_tunnel(
    handshake: TunnelHandshake,
    since: Instant,
    scope: &mut OpenScope<'_>,
) -> Result<OpenStep, Failure> {
    match handshake.advance()? {
        TunnelStep::Pending(handshake) => pending(OpeningPhase::Tunnel(Box::new(handshake)), since),
        TunnelStep::Done(stream) => start_tls(stream, Instant::now(), scope),
    }
}

/// Starts TLS if the URL is `wss://`, else the WebSocket handshake.
fn start_tls(mut stream: ClientStream, now: Instant, scope: &mut OpenScope<'_>) -> Result<OpenStep, Failure> {
    let Some((config, name)) = &scope.ctx.plan().target.tls else {
        return start_websocket(stream, now, scope);
    };
    stream.start_tls(config, name.clone()).map_err(|error| Failure::from_io(&io::Error::other(error)))?;
    tls_handshake(stream, now, scope)
}

fn tls_handshake(
    mut stream: ClientStream,
    since: Instant,
    scope: &mut OpenScope<'_>,
) -> Result<OpenStep, Failure> {
    if !stream.advance_tls_handshake().map_err(|error| Failure::from_io(&error))? {
        return pending(OpeningPhase::TlsHandshake(stream), since);
    }
    let now = Instant::now();
    scope.ctx.record_opening(Metric::Tls, now.saturating_duration_since(since), now);
    scope.ctx.recorder.count(if stream.is_tls_resumed() { Count::TlsResumed } else { Count::TlsFull });
    start_websocket(stream, now, scope)
}

fn start_websocket(
    mut stream: ClientStream,
    now: Instant,
    scope: &mut OpenScope<'_>,
) -> Result<OpenStep, Failure> {
    if scope.ctx.plan().target.is_raw_tcp() {
        let protocol = ClientProtocol::RawTcp(Box::new(RawTcp::new(stream, scope.ctx.websocket)));
        return Ok(OpenStep::Open { protocol, compress: false });
    }
    let target = &scope.ctx.plan().target;
    let mut request = target.request.clone();
    target.fields.apply(&mut request, scope.connection, scope.attempt);
    if let Ok(key) = HeaderValue::from_str(&generate_key()) {
        request.headers_mut().insert(SEC_WEBSOCKET_KEY, key);
    }
    if scope.ctx.plan().deflate {
        stream.inspect_frames();
    }
    websocket_handshake(WebSocketHandshake::start(stream, request)?, now, scope)
}

fn websocket_handshake(
    handshake: WebSocketHandshake,
    since: Instant,
    scope: &mut OpenScope<'_>,
) -> Result<OpenStep, Failure> {
    let (websocket, response) = match handshake.advance(scope.ctx.websocket)? {
        UpgradeStep::Done(websocket, response) => (websocket, response),
        UpgradeStep::Refused(refusal) => return refused(*refusal, Instant::now()),
        UpgradeStep::Pending(handshake) => {
            return pending(OpeningPhase::WebSocketHandshake(Box::new(handshake)), since);
        }
    };
    let now = Instant::now();
    let compress = is_deflate_agreed(&response, scope.ctx)?;
    scope.ctx.record_opening(Metric::Handshake, now.saturating_duration_since(since), now);
    scope.ctx.recorder.counters.add(Count::Compressed, u64::from(compress));
    Ok(OpenStep::Open { protocol: ClientProtocol::WebSocket(websocket), compress })
}

fn refused(refusal: Refusal, since: Instant) -> Result<OpenStep, Failure> {
    refusal.advance().and_then(|refusal| pending(OpeningPhase::Refused(Box::new(refusal)), since))
}

/// Fails if the response names an extension that was not offered.
fn is_deflate_agreed(response: &Response, ctx: &DriverContext) -> Result<bool, Failure> {
    match (ctx.plan().deflate, deflate::offer_result(response.headers())) {
        (true, OfferResult::Agreed) => Ok(true),
        (_, OfferResult::Declined) => Ok(false),
        _ => Err(Failure::unexpected_extension()),
    }
}
