//! The way from the outbox's queue to the connection: bytes as they are, or encrypted.
//!
//! TLS is a state machine without a socket of its own: it takes in what was received, and holds records until they
//! have been sent. A record cannot be dropped or made again, because each has its number (RFC 8446, 5.3); so what
//! a send left behind goes out before anything else is encrypted.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};
use socket2::SockRef;

use super::transient::is_transient;

/// Flags for a send by a thread that must not wait.
const NON_BLOCKING: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// The connection, and the count of what it took.
#[derive(Debug)]
pub(super) struct CountingSocket {
    /// The connection.
    socket: TcpStream,
    /// Moves whenever a send took bytes.
    progress: AtomicU64,
}

/// Whether a send may block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocking {
    /// Until the kernel takes some bytes.
    UntilAccepted,
    /// Not at all.
    Never,
}

/// What is spoken on the connection.
#[derive(Debug)]
pub(crate) enum RecordLayer {
    /// The queue's bytes as they are.
    Plain,
    /// TLS records. Boxed, because a plain connection should not have the size of a TLS one.
    Tls(Box<ServerConnection>),
}

/// What the TLS handshake of a connection agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The application protocol (RFC 7301), when the client offered any.
    pub alpn: Option<String>,
    /// Whether it continues an earlier session instead of proving the certificate anew (RFC 8446, 2.2).
    pub resumed: bool,
}

impl CountingSocket {
    /// A connection that has taken nothing.
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, progress: AtomicU64::new(0) }
    }

    /// The connection itself.
    pub(super) fn get(&self) -> &TcpStream {
        &self.socket
    }

    /// A number that moves whenever a send took bytes.
    pub(super) fn progress(&self) -> u64 {
        self.progress.load(Relaxed)
    }

    /// Sends some of the bytes, in one system call. Under the outbox's lock, so one sender at a time.
    fn send(&self, parts: &[IoSlice<'_>], wait: Blocking) -> io::Result<usize> {
        let sent = match (parts, wait) {
            ([only], Blocking::UntilAccepted) => (&self.socket).write(only),
            (several, Blocking::UntilAccepted) => (&self.socket).write_vectored(several),
            ([only], Blocking::Never) => SockRef::from(&self.socket).send_with_flags(only, NON_BLOCKING),
            (several, Blocking::Never) => {
                SockRef::from(&self.socket).send_vectored_with_flags(several, NON_BLOCKING)
            }
        }?;
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.progress.store(self.progress().wrapping_add(1), Relaxed);
        Ok(sent)
    }
}

impl RecordLayer {
    /// TLS, with its handshake to come. Not inlined: its state is made on the stack, where a plain connection would
    /// keep the place for it.
    #[inline(never)]
    pub(crate) fn tls(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self::Tls(Box::new(ServerConnection::new(config)?)))
    }

    /// Whether bytes given to this cannot be sent yet.
    pub(super) fn is_handshaking(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.is_handshaking())
    }

    /// Whether it holds records that have not been sent.
    pub(super) fn wants_write(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.wants_write())
    }

    /// What the handshake agreed on; `None` on a plain connection.
    pub(super) fn info(&self) -> Option<TlsInfo> {
        let Self::Tls(tls) = self else { return None };
        Some(TlsInfo {
            version: match tls.protocol_version()? {
                ProtocolVersion::TLSv1_2 => "TLSv1.2",
                _ => "TLSv1.3",
            },
            alpn: tls.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    /// Sends what is owed, then `first` and `second`, blocking until the kernel has all of it.
    pub(super) fn write(&mut self, socket: &CountingSocket, first: &[u8], second: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain => write_plain(socket, first, second),
            Self::Tls(tls) => write_tls(tls, socket, [first, second]),
        }
    }

    /// Sends what is owed, and then as much of `bytes` as the kernel takes at once. Returns how many of them are
    /// done with; over TLS, some of those may be owed again.
    pub(super) fn try_write(&mut self, socket: &CountingSocket, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain => try_write_plain(socket, bytes),
            Self::Tls(tls) => try_write_tls(tls, socket, bytes),
        }
    }

    /// Nothing follows what was given to this so far: over TLS, says so (RFC 8446, 6.1), with the next send. Returns
    /// whether there is something to say.
    pub(super) fn queue_close_notify(&mut self) -> bool {
        let Self::Tls(tls) = self else { return false };
        tls.send_close_notify();
        true
    }

    /// Takes in received bytes until the handshake is done, or none are left. Returns whether it is done.
    pub(super) fn handshake(&mut self, raw: &mut &[u8]) -> io::Result<bool> {
        let Self::Tls(tls) = self else { return Ok(true) };
        while tls.is_handshaking() {
            if raw.is_empty() {
                return Ok(false);
            }
            process_records(tls, raw)?;
        }
        Ok(true)
    }

    /// Takes in received bytes until there are some to hand out, or none are left: `None` asks for more. `Some(0)` is
    /// the end that the peer declared.
    pub(super) fn decrypt(&mut self, raw: &mut &[u8], plain: &mut [u8]) -> io::Result<Option<usize>> {
        let Self::Tls(tls) = self else { return Err(io::Error::other("nothing is encrypted here")) };
        loop {
            // What has been decrypted is read before anything is fed: TLS takes in nothing while it holds a record's
            // worth of it.
            match tls.reader().read(plain) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome.map(Some),
            }
            if raw.is_empty() {
                return Ok(None);
            }
            process_records(tls, raw)?;
        }
    }
}

/// Feeds TLS with a step of the received bytes. An error has put an alert up for sending.
fn process_records(tls: &mut ServerConnection, raw: &mut &[u8]) -> io::Result<()> {
    if tls.read_tls(raw)? == 0 {
        // It takes nothing any more, although it was offered some.
        return Err(io::ErrorKind::InvalidData.into());
    }
    match tls.process_new_packets() {
        Ok(_) => Ok(()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Writes both parts as they are.
fn write_plain(socket: &CountingSocket, first: &[u8], second: &[u8]) -> io::Result<()> {
    let mut both = [IoSlice::new(first), IoSlice::new(second)];
    let mut parts = if second.is_empty() { &mut both[..1] } else { &mut both[..] };
    while !parts.is_empty() {
        match socket.send(parts, Blocking::UntilAccepted) {
            Ok(n) => IoSlice::advance_slices(&mut parts, n),
            Err(e) if is_transient(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Posts bytes as they are.
fn try_write_plain(socket: &CountingSocket, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match socket.send(&[IoSlice::new(&bytes[sent..])], Blocking::Never) {
            Ok(n) => sent += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    Ok(sent)
}

/// Writes both parts as records, as many of them with one system call as TLS agrees to hold (64 KiB).
fn write_tls(tls: &mut ServerConnection, socket: &CountingSocket, parts: [&[u8]; 2]) -> io::Result<()> {
    for mut rest in parts {
        while !rest.is_empty() {
            let taken = encrypt(tls, rest)?;
            rest = &rest[taken..];
            if !rest.is_empty() {
                send_records(tls, socket, Blocking::UntilAccepted)?;
            }
        }
    }
    send_records(tls, socket, Blocking::UntilAccepted)
}

/// Posts bytes as records. What has been encrypted goes out before more is.
fn try_write_tls(tls: &mut ServerConnection, socket: &CountingSocket, bytes: &[u8]) -> io::Result<usize> {
    let mut done = 0;
    loop {
        match send_records(tls, socket, Blocking::Never) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(done),
            outcome => outcome?,
        }
        if done == bytes.len() {
            return Ok(done);
        }
        done += encrypt(tls, &bytes[done..])?;
    }
}

/// Makes records of as many bytes as TLS has room for.
fn encrypt(tls: &mut ServerConnection, bytes: &[u8]) -> io::Result<usize> {
    if tls.is_handshaking() {
        // It would keep the bytes as they are, where nothing counts them.
        return Err(io::ErrorKind::NotConnected.into());
    }
    tls.writer().write(bytes)
}

/// Sends all records that TLS holds.
fn send_records(tls: &mut ServerConnection, socket: &CountingSocket, wait: Blocking) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(&mut SocketWriter { socket, wait }) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if wait == Blocking::UntilAccepted && is_transient(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Where TLS writes its records to.
struct SocketWriter<'a> {
    /// The connection.
    socket: &'a CountingSocket,
    /// Whether a send may block.
    wait: Blocking,
}

impl Write for SocketWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send(&[IoSlice::new(bytes)], self.wait)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.send(parts, self.wait)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
