//! One rejected connection: TLS handshake if there is one, 503, and a wait until the peer has read it. Never
//! blocks.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};

use super::admission::AcceptedConnection;
use crate::http::response::Response;

/// Maximum time for the TLS handshake of a rejected connection.
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum time for the peer to read the response and end its side.
const RESPONSE_READ_TIMEOUT: Duration = Duration::from_secs(1);

/// A rejected connection that is held until the peer has read the response.
pub(super) struct RejectedConnection {
    /// The connection, in non-blocking mode.
    socket: TcpStream,
    /// When the connection is closed at the latest.
    deadline: Instant,
    /// The TLS handshake that has to finish before the response; `None` when the response was sent.
    tls_response: Option<PendingTlsResponse>,
}

/// A response that waits for the end of the TLS handshake.
struct PendingTlsResponse {
    tls: Box<ServerConnection>,
    /// The response in plaintext; empty once it was encrypted.
    response: Vec<u8>,
}

impl RejectedConnection {
    /// Sends the response, or prepares the TLS handshake before it. Returns `None` if the peer has
    /// disconnected, a call on the socket fails, or rustls fails.
    pub(super) fn new(
        connection: AcceptedConnection,
        response: &Response,
        served_by: &str,
        now: Instant,
    ) -> Option<Self> {
        let AcceptedConnection { socket, tls, .. } = connection;
        socket.set_nonblocking(true).ok()?;
        let response = response.to_bytes(false, served_by);
        if let Some(config) = tls {
            let tls_response = Some(PendingTlsResponse::new(config, response)?);
            return Some(Self { socket, deadline: now + TLS_HANDSHAKE_TIMEOUT, tls_response });
        }
        // The send buffer of a new connection is larger than the response.
        (&socket).write_all(&response).ok()?;
        socket.shutdown(Shutdown::Write).ok()?;
        Some(Self { socket, deadline: now + RESPONSE_READ_TIMEOUT, tls_response: None })
    }

    /// Returns whether the TLS handshake is in progress and the response was not sent.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls_response.is_some()
    }

    /// Does what is possible without blocking. Returns whether the connection has to be kept.
    pub(super) fn advance(&mut self, now: Instant) -> bool {
        if now >= self.deadline {
            return false;
        }
        match &mut self.tls_response {
            None => !discard_received(&self.socket),
            Some(pending) => match pending.advance(&self.socket) {
                Ok(true) => {
                    self.tls_response = None;
                    self.deadline = now + RESPONSE_READ_TIMEOUT;
                    self.socket.shutdown(Shutdown::Write).is_ok()
                }
                Ok(false) => true,
                Err(error) => would_block(&error),
            },
        }
    }
}

impl PendingTlsResponse {
    /// Prepares a handshake. Returns `None` if rustls cannot create a connection.
    fn new(config: Arc<ServerConfig>, response: Vec<u8>) -> Option<Self> {
        Some(Self { tls: Box::new(ServerConnection::new(config).ok()?), response })
    }

    /// Advances the handshake; after it, sends the response and `close_notify`. Returns whether both were
    /// sent.
    ///
    /// # Errors
    /// `WouldBlock` if the socket is not ready. Any other error ends the connection.
    fn advance(&mut self, mut socket: &TcpStream) -> io::Result<bool> {
        let Self { tls, response } = self;
        loop {
            while tls.wants_write() {
                tls.write_tls(&mut socket)?;
            }
            if response.is_empty() {
                return Ok(true);
            }
            if !tls.is_handshaking() {
                tls.writer().write_all(response)?;
                tls.send_close_notify();
                response.clear();
                continue;
            }
            if tls.read_tls(&mut socket)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Err(error) = tls.process_new_packets() {
                // Sends the alert.
                let _ = tls.write_tls(&mut socket);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

/// Discards received bytes. Returns whether the peer has ended its side or the connection failed.
///
/// Closing a socket with unread bytes makes the kernel send RST, and the peer could lose the response (RFC
/// 9112, 9.6).
fn discard_received(mut socket: &TcpStream) -> bool {
    let mut discarded = [0; 4096];
    loop {
        match socket.read(&mut discarded) {
            Ok(0) => return true,
            Ok(n) if n == discarded.len() => {}
            Ok(_) => return false,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return !would_block(&e),
        }
    }
}

/// Returns whether the socket is not ready and the call has to be repeated later.
fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
