//! How a connection becomes a WebSocket: TLS, the handshake, and what the server chose.

use super::{Connection, State, Upgrade};
use crate::{
    channel::Channel,
    context::Context,
    deflate,
    failure::Failure,
    plain::Plain,
    stats::{Count, Metric},
    traffic::Talk,
    wire::Wire,
};
use std::time::{Duration, Instant};
use tungstenite::{
    WebSocket,
    handshake::{
        HandshakeError,
        client::{ClientHandshake, Response, generate_key},
    },
    http::{HeaderValue, header::SEC_WEBSOCKET_KEY},
};

/// A SYN is sent again after one second; a connect that took nearly that long has waited for it.
const SYN_RETRY: Duration = Duration::from_millis(950);

impl Connection {
    /// TCP is there.
    pub(super) fn connected(&mut self, mut wire: Wire, cx: &mut Context) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.since);
        cx.recorder.count(Count::Connected);
        cx.opening(Metric::Connect, took, now);
        if took >= SYN_RETRY {
            cx.recorder.count(Count::SlowSyn);
        }
        self.since = now;
        let Some((config, name)) = &cx.plan().target.tls else {
            return self.start_upgrade(wire, cx);
        };
        match wire.start_tls(config, name.clone()) {
            Ok(()) => self.secure(wire, cx),
            Err(error) => self.fail(&Failure::from_io(&std::io::Error::other(error)), cx),
        }
    }

    pub(super) fn secure(&mut self, mut wire: Wire, cx: &mut Context) {
        match wire.shake_tls() {
            Ok(true) => {
                let now = Instant::now();
                cx.opening(Metric::Tls, now.saturating_duration_since(self.since), now);
                self.since = now;
                self.start_upgrade(wire, cx);
            }
            Ok(false) => self.state = State::Securing(wire),
            Err(error) => self.fail(&Failure::from_io(&error), cx),
        }
    }

    fn start_upgrade(&mut self, mut wire: Wire, cx: &mut Context) {
        if cx.plan().target.plain {
            let channel = Channel::Plain(Box::new(Plain::new(wire, cx.websocket)));
            return self.begin_talk(channel, false, cx);
        }
        let mut request = cx.plan().target.request.clone();
        if let Ok(key) = HeaderValue::from_str(&generate_key()) {
            request.headers_mut().insert(SEC_WEBSOCKET_KEY, key);
        }
        if cx.plan().deflate {
            wire.start_tap();
        }
        match ClientHandshake::start(wire, request, Some(cx.websocket)) {
            Ok(upgrade) => self.upgrade(upgrade, cx),
            Err(error) => self.fail(&Failure::from_websocket(&error), cx),
        }
    }

    pub(super) fn upgrade(&mut self, upgrade: Upgrade, cx: &mut Context) {
        match upgrade.handshake() {
            Ok((websocket, response)) => self.opened(websocket, &response, cx),
            Err(HandshakeError::Interrupted(upgrade)) => self.state = State::Upgrading(Box::new(upgrade)),
            Err(HandshakeError::Failure(error)) => self.fail(&Failure::from_websocket(&error), cx),
        }
    }

    fn opened(&mut self, websocket: WebSocket<Wire>, response: &Response, cx: &mut Context) {
        let now = Instant::now();
        let answer = deflate::answer(response.headers());
        let compress = match (cx.plan().deflate, answer) {
            (true, deflate::Answer::Agreed) => true,
            (_, deflate::Answer::Declined) => false,
            _ => return self.fail(&Failure::unwanted_extension(), cx),
        };
        cx.opening(Metric::Handshake, now.saturating_duration_since(self.since), now);
        cx.recorder.counters.add(Count::Compressed, u64::from(compress));
        self.begin_talk(Channel::Web(Box::new(websocket)), compress, cx);
    }

    fn begin_talk(&mut self, channel: Channel, compress: bool, cx: &mut Context) {
        cx.recorder.count(Count::Opened);
        cx.open += 1;
        self.since = Instant::now();
        cx.last_opened = Some(self.since);
        cx.opening(Metric::Opening, self.since.saturating_duration_since(self.due), self.since);
        self.state = State::Open(Box::new(Talk::new(channel, self.id, self.next, compress, self.since)));
        // The server may have spoken in the same breath as its 101.
        self.converse(cx, Talk::receive);
    }
}
