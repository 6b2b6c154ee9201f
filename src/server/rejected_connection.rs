//! One refused connection on its way out: told why, and kept until it has heard it. Never blocks.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection};

use super::admission::AcceptedConnection;
use crate::http::response::Response;

/// How long a TLS handshake may take, and then how long the peer may take to hear its answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A refused connection.
pub(super) struct RejectedConnection {
    /// The connection, which does not block.
    socket: TcpStream,
    /// Until when it is kept.
    until: Instant,
    /// A TLS handshake that has to be done before the answer can be given.
    handshake: Option<Handshake>,
}

/// A TLS handshake for the sake of one answer.
struct Handshake {
    /// Our side of it.
    tls: Box<ServerConnection>,
    /// The answer, until it has been encrypted.
    answer: Vec<u8>,
}

impl RejectedConnection {
    /// Gives the answer, or begins the handshake before it. `None` when the peer has gone.
    pub(super) fn new(arrival: AcceptedConnection, answer: &Response, now: Instant) -> Option<Self> {
        let AcceptedConnection { socket, tls, .. } = arrival;
        socket.set_nonblocking(true).ok()?;
        let answer = answer.to_bytes(false);
        let handshake = if let Some(config) = tls {
            Some(Handshake::new(config, answer)?)
        } else {
            // The send buffer of a new connection has room for an answer.
            (&socket).write_all(&answer).ok()?;
            socket.shutdown(Shutdown::Write).ok()?;
            None
        };
        Some(Self { socket, until: now + PATIENCE, handshake })
    }

    /// Whether it still has to be answered.
    pub(super) fn is_handshaking(&self) -> bool {
        self.handshake.is_some()
    }

    /// Goes on as far as it can without waiting. Returns whether there is more to come.
    pub(super) fn advance(&mut self, now: Instant) -> bool {
        if now >= self.until {
            return false;
        }
        match &mut self.handshake {
            None => !drain_until_eof(&self.socket),
            Some(handshake) => match handshake.advance(&self.socket) {
                Ok(true) => {
                    self.handshake = None;
                    self.until = now + PATIENCE;
                    self.socket.shutdown(Shutdown::Write).is_ok()
                }
                Ok(false) => true,
                Err(error) => would_block(&error),
            },
        }
    }
}

impl Handshake {
    /// A handshake that has not begun. It fails only for want of random numbers.
    fn new(config: Arc<ServerConfig>, answer: Vec<u8>) -> Option<Self> {
        Some(Self { tls: Box::new(ServerConnection::new(config).ok()?), answer })
    }

    /// Takes in what has come and sends what that calls for; in the end, the answer. Returns whether it has gone out.
    fn advance(&mut self, mut socket: &TcpStream) -> io::Result<bool> {
        let Self { tls, answer } = self;
        loop {
            while tls.wants_write() {
                tls.write_tls(&mut socket)?;
            }
            if answer.is_empty() {
                return Ok(true);
            }
            if !tls.is_handshaking() {
                tls.writer().write_all(answer)?;
                tls.send_close_notify();
                answer.clear();
                continue;
            }
            if tls.read_tls(&mut socket)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Err(error) = tls.process_new_packets() {
                // An alert says what was wrong.
                let _ = tls.write_tls(&mut socket);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

/// Reads and discards what the peer sent, so that closing does not reset the connection before it has read its
/// answer. Returns whether the peer has ended its side.
fn drain_until_eof(mut socket: &TcpStream) -> bool {
    let mut scrap = [0; 4096];
    loop {
        match socket.read(&mut scrap) {
            Ok(0) => return true,
            Ok(n) if n == scrap.len() => {}
            Ok(_) => return false,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return !would_block(&e),
        }
    }
}

/// Whether there is nothing to do for now.
fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
