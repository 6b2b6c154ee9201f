//! Sends the write queue to the socket, as it is or as TLS records. Performs the TLS handshake and decrypts
//! received bytes.
//!
//! rustls is a state machine without a socket: it consumes received bytes and holds records until they are
//! sent. A record has a sequence number (RFC 8446, 5.3) and can be neither dropped nor encrypted again. So
//! pending records are sent before anything else is encrypted.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};
use socket2::Socket;

use super::parts::{Parts, empty_io_slices};

/// Flag of send(2): an ended connection is an error, not a SIGPIPE.
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;

/// A socket in non-blocking mode that counts its successful sends.
#[derive(Debug)]
pub(super) struct CountingSocket {
    socket: Socket,
    /// Number of successful sends.
    progress: AtomicU64,
}

/// The layer between frames and the bytes of the socket.
#[derive(Debug)]
pub(crate) enum RecordLayer {
    /// No TLS: the bytes are sent and received as they are.
    Plain,
    /// TLS of which no byte has arrived. Nothing can be sent.
    TlsExpected,
    /// TLS: the bytes are sent and received as TLS records. Boxed, so that a plain connection takes less
    /// memory.
    Tls(Box<ServerConnection>),
}

/// The outcome of a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The application protocol (RFC 7301), if one was negotiated.
    pub alpn: Option<String>,
    /// Whether the client resumed an earlier TLS session (RFC 8446, 2.2).
    pub resumed: bool,
}

impl CountingSocket {
    /// Wraps `socket`, with a count of 0.
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, progress: AtomicU64::new(0) }
    }

    /// Returns the socket.
    pub(super) fn get(&self) -> &Socket {
        &self.socket
    }

    /// Returns the number of successful sends; wraps around.
    pub(super) fn progress(&self) -> u64 {
        self.progress.load(Relaxed)
    }

    /// Sends some of `parts` in one system call and returns the number of bytes, at least 1. Fails with
    /// `WouldBlock` if the kernel takes none. The caller holds the frame writer's lock, so the count has one
    /// writer at a time.
    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = loop {
            let sent = match parts {
                [part] => send(&self.socket, part, NO_SIGNAL),
                parts => sendmsg(&self.socket, parts, &mut SendAncillaryBuffer::default(), NO_SIGNAL),
            };
            match sent {
                Err(Errno::INTR) => {}
                outcome => break outcome?,
            }
        };
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.progress.store(self.progress().wrapping_add(1), Relaxed);
        Ok(sent)
    }
}

impl RecordLayer {
    /// Creates the TLS state of a connection whose TLS handshake has not begun. Not inlined, because the
    /// state is built on the stack: inlined, it would enlarge the stack frame of plain connections.
    #[inline(never)]
    pub(crate) fn tls(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self::Tls(Box::new(ServerConnection::new(config)?)))
    }

    /// Returns whether the TLS handshake is not complete.
    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Self::Plain => false,
            Self::TlsExpected => true,
            Self::Tls(tls) => tls.is_handshaking(),
        }
    }

    /// Returns whether there are TLS records to send.
    pub(super) fn wants_write(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.wants_write())
    }

    /// Returns the outcome of the TLS handshake, or `None` before it or on a plain connection.
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

    /// Sends pending TLS records, then as much of `queued` and of `payload` behind it as the kernel takes at
    /// once. Returns how many bytes of both together were consumed: sent, or over TLS encrypted as a pending
    /// record.
    pub(super) fn write(
        &mut self,
        socket: &CountingSocket,
        queued: Parts<'_>,
        payload: &[u8],
    ) -> io::Result<usize> {
        match self {
            Self::Plain => write_plain(socket, queued, payload),
            Self::TlsExpected => Err(io::ErrorKind::NotConnected.into()),
            Self::Tls(tls) => write_tls(tls, socket, queued, payload),
        }
    }

    /// Queues a TLS `close_notify` (RFC 8446, 6.1) for the next send. Returns `false` on a plain connection,
    /// which has none.
    pub(super) fn queue_close_notify(&mut self) -> bool {
        let Self::Tls(tls) = self else { return false };
        tls.send_close_notify();
        true
    }

    /// Consumes bytes of `raw` until the TLS handshake is complete or none are left. Returns whether it is
    /// complete.
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

    /// Consumes bytes of `raw` until some can be decrypted into `plaintext`, and returns their number.
    /// Returns `Some(0)` after the peer's `close_notify`, and `None` if more raw bytes are needed.
    pub(super) fn decrypt(&mut self, raw: &mut &[u8], plaintext: &mut [u8]) -> io::Result<Option<usize>> {
        let Self::Tls(tls) = self else {
            return Err(io::Error::other("decrypt was called on a plain connection"));
        };
        loop {
            // First, because rustls accepts no input while it holds a decrypted record.
            match tls.reader().read(plaintext) {
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

/// Passes bytes of `raw` to rustls and processes the records that are complete. On an error rustls queues an
/// alert.
fn process_records(tls: &mut ServerConnection, raw: &mut &[u8]) -> io::Result<()> {
    if tls.read_tls(raw)? == 0 {
        // `raw` is not empty, so rustls accepts no more input.
        return Err(io::ErrorKind::InvalidData.into());
    }
    match tls.process_new_packets() {
        Ok(_) => Ok(()),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Sends `queued`, then `payload`, as they are. Returns the number of bytes that the kernel took: fewer than
/// there are only if its buffer is full or there are more parts than one system call sends.
fn write_plain(socket: &CountingSocket, queued: Parts<'_>, payload: &[u8]) -> io::Result<usize> {
    let mut slices = empty_io_slices();
    let parts = queued.io_slices(payload, &mut slices);
    match socket.send(parts) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        outcome => outcome,
    }
}

/// Sends `queued`, then `payload`, as TLS records. Returns how many bytes were encrypted. Encrypts more only
/// after the pending records were sent. One system call sends up to 64 KiB, the limit of rustls for pending
/// records.
fn write_tls(
    tls: &mut ServerConnection,
    socket: &CountingSocket,
    queued: Parts<'_>,
    payload: &[u8],
) -> io::Result<usize> {
    let mut encrypted = 0;
    for mut part in queued.iter().chain([payload]) {
        while !part.is_empty() {
            let n = encrypt(tls, part)?;
            (part, encrypted) = (&part[n..], encrypted + n);
            // If `n` is 0, rustls has no space.
            if (n == 0 || !part.is_empty()) && !send_records(tls, socket)? {
                return Ok(encrypted);
            }
        }
    }
    send_records(tls, socket)?;
    Ok(encrypted)
}

/// Encrypts as many of `bytes` as rustls has space for and returns their number. Fails with `NotConnected`
/// during the TLS handshake.
fn encrypt(tls: &mut ServerConnection, bytes: &[u8]) -> io::Result<usize> {
    if tls.is_handshaking() {
        // rustls would buffer the plaintext, which `wants_write` does not count.
        return Err(io::ErrorKind::NotConnected.into());
    }
    tls.writer().write(bytes)
}

/// Sends pending records. Returns whether all were sent.
fn send_records(tls: &mut ServerConnection, socket: &CountingSocket) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(&mut SocketWriter { socket }) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The `Write` that rustls sends its records to.
struct SocketWriter<'a> {
    socket: &'a CountingSocket,
}

impl Write for SocketWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.send(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
