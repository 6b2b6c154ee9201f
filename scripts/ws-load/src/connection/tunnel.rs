//! A tunnel through an HTTP proxy (CONNECT, RFC 9110, section 9.3.6).

use super::failure::Failure;
use crate::net::{client_stream::ClientStream, response::ResponseReader};
use std::io::{self, Write};

/// A CONNECT without a response yet.
#[derive(Debug)]
pub(crate) struct TunnelHandshake {
    stream: ClientStream,
    reader: ResponseReader,
}

/// What a step of the handshake led to.
#[derive(Debug)]
pub(crate) enum TunnelStep {
    /// The next readiness event continues it.
    Pending(TunnelHandshake),
    /// What is sent on the stream goes to the server from here on.
    Done(ClientStream),
}

impl TunnelHandshake {
    /// Queues `request`.
    pub(crate) fn start(mut stream: ClientStream, request: &str) -> Self {
        stream.send_buffer().push([request.as_bytes(), b""]);
        Self { stream, reader: ResponseReader::of_proxy() }
    }

    pub(crate) fn stream_mut(&mut self) -> &mut ClientStream {
        &mut self.stream
    }

    /// Continues as far as possible without blocking.
    pub(crate) fn advance(mut self) -> Result<TunnelStep, Failure> {
        match self.stream.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(Failure::from_io(&error)),
            _ => {}
        }
        let read = self.reader.read(&mut self.stream).map_err(|error| Failure::from_websocket(&error))?;
        match read {
            None => Ok(TunnelStep::Pending(self)),
            Some((response, _)) if !response.status().is_success() => {
                Err(Failure::from_proxy_status(response.status()))
            }
            // The server sends nothing before the client does.
            Some((_, tail)) if !tail.is_empty() => Err(Failure::early_bytes()),
            Some(_) => Ok(TunnelStep::Done(self.stream)),
        }
    }
}
