//! The WebSocket handshake of a client (RFC 6455, section 4.1).
//!
//! tungstenite compares the whole `Connection` field with "Upgrade", and rejects a response that arrives in
//! more than 64 small pieces. So the response is read and checked here.

use super::{failure::Failure, refusal::Refusal};
use crate::net::{client_stream::ClientStream, response::ResponseReader};
use std::io::{self, Write};
use tungstenite::{
    Error, Result, WebSocket,
    error::{ProtocolError, SubProtocolError},
    handshake::{
        client::{Request, Response, generate_request},
        derive_accept_key,
    },
    http::{HeaderMap, StatusCode, header},
    protocol::{Role, WebSocketConfig},
};

/// A request that was sent, or is being sent, and has no response yet.
#[derive(Debug)]
pub(crate) struct WebSocketHandshake {
    stream: ClientStream,
    accept_key: String,
    /// The subprotocols that were offered.
    offered: HeaderMap,
    reader: ResponseReader,
}

/// What a step of the handshake led to.
#[derive(Debug)]
pub(crate) enum UpgradeStep {
    /// The next readiness event continues it.
    Pending(WebSocketHandshake),
    /// The server refuses.
    Refused(Box<Refusal>),
    /// The server has switched protocols.
    Done(Box<WebSocket<ClientStream>>, Response),
}

impl WebSocketHandshake {
    /// Queues `request`, which must have all header fields of an upgrade.
    pub(crate) fn start(mut stream: ClientStream, request: Request) -> Result<Self, Failure> {
        let mut offered = HeaderMap::new();
        for protocols in request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL) {
            offered.append(header::SEC_WEBSOCKET_PROTOCOL, protocols.clone());
        }
        let (request, key) = generate_request(request).map_err(|error| Failure::from_websocket(&error))?;
        stream.send_buffer().push([&request, b""]);
        let accept_key = derive_accept_key(key.as_bytes());
        Ok(Self { stream, accept_key, offered, reader: ResponseReader::default() })
    }

    pub(crate) fn stream_mut(&mut self) -> &mut ClientStream {
        &mut self.stream
    }

    /// Continues as far as possible without blocking.
    pub(crate) fn advance(mut self, config: WebSocketConfig) -> Result<UpgradeStep, Failure> {
        match self.stream.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(Failure::from_io(&error)),
            _ => {}
        }
        let read = self.reader.read(&mut self.stream).map_err(|error| Failure::from_websocket(&error))?;
        let Some((response, tail)) = read else { return Ok(UpgradeStep::Pending(self)) };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(UpgradeStep::Refused(Box::new(Refusal::new(self.stream, response, tail))));
        }
        check(response.headers(), &self.accept_key, &self.offered)
            .map_err(|error| Failure::from_websocket(&Error::Protocol(error)))?;
        let websocket = WebSocket::from_partially_read(self.stream, tail, Role::Client, Some(config));
        Ok(UpgradeStep::Done(Box::new(websocket), response))
    }
}

/// Checks the fields of a 101, except for its extensions.
fn check(received: &HeaderMap, accept_key: &str, offered: &HeaderMap) -> Result<(), ProtocolError> {
    if !has_token(received, &header::UPGRADE, "websocket") {
        return Err(ProtocolError::MissingUpgradeWebSocketHeader);
    }
    if !has_token(received, &header::CONNECTION, "upgrade") {
        return Err(ProtocolError::MissingConnectionUpgradeHeader);
    }
    if received.get(header::SEC_WEBSOCKET_ACCEPT).is_none_or(|value| value != accept_key) {
        return Err(ProtocolError::SecWebSocketAcceptKeyMismatch);
    }
    let name = header::SEC_WEBSOCKET_PROTOCOL;
    let selected = received.get(&name).map(|value| value.to_str().unwrap_or_default());
    let problem = match selected {
        None if offered.contains_key(&name) => SubProtocolError::NoSubProtocol,
        Some(_) if !offered.contains_key(&name) => SubProtocolError::ServerSentSubProtocolNoneRequested,
        // Names of subprotocols are compared with their case.
        Some(selected) if !items(offered, &name).any(|item| item == selected) => {
            SubProtocolError::InvalidSubProtocol
        }
        _ => return Ok(()),
    };
    Err(ProtocolError::SecWebSocketSubProtocolError(problem))
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    items(headers, name).any(|item| item.eq_ignore_ascii_case(token))
}

/// Returns the items of a field that is a list, over all its lines (RFC 9110, section 5.6.1).
fn items<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}
