//! The byte stream of one connection: a non-blocking socket, plain or with TLS, that stores its readiness.
//!
//! Readiness is edge-triggered and stored here. A read that fills less than its buffer has emptied the
//! socket, so the next one returns `WouldBlock` without a system call: one `recv` less for each message.

use super::{
    frame_inspector::FrameInspector, message_kind::MessageKind, send_buffer::SendBuffer, socket::Socket,
};
use crate::numbers;
use mio::{Registry, Token, event::Event};
use rustls::{ClientConnection, HandshakeKind, pki_types::ServerName};
use std::{
    io::{self, ErrorKind, Read, Write},
    sync::Arc,
    time::Instant,
};
use ws_echo::transport::read_ahead::{ByteSource, ReadAhead};

/// What an event reported about a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has sent FIN or RST: reads continue until the end of stream, also after a short one.
    pub(crate) hangup: bool,
}

impl Readiness {
    /// Nothing new.
    pub(crate) const NONE: Self = Self { readable: false, writable: false, hangup: false };

    /// Returns what `event` reports. An error wakes reads and writes, which return it.
    pub(crate) fn from_event(event: &Event) -> Self {
        Self {
            readable: event.is_readable() || event.is_error(),
            writable: event.is_writable() || event.is_error(),
            hangup: event.is_read_closed() || event.is_error(),
        }
    }
}

/// A socket with its readiness, and TLS if the URL is `wss://`.
#[derive(Debug)]
pub(crate) struct ClientStream {
    socket: ReadinessSocket,
    /// Receives large replies in large pieces. Unused with TLS, which has its own buffers.
    read_ahead: ReadAhead,
    send_buffer: SendBuffer,
    tls: Option<Box<ClientConnection>>,
    inspector: Option<Box<FrameInspector>>,
}

#[derive(Debug)]
struct ReadinessSocket {
    socket: Socket,
    readable: bool,
    writable: bool,
    hangup: bool,
    /// When bytes were last received. Latencies end here.
    read_at: Instant,
    /// Number of bytes that were written and read, TLS included.
    written: u64,
    read: u64,
}

impl ClientStream {
    /// Wraps a socket that is connecting. Once it is writable, [`ClientStream::is_connected`] returns the
    /// result of the connect.
    pub(crate) fn new(socket: Socket, now: Instant) -> Self {
        Self {
            socket: ReadinessSocket {
                socket,
                readable: false,
                writable: false,
                hangup: false,
                read_at: now,
                written: 0,
                read: 0,
            },
            read_ahead: ReadAhead::default(),
            send_buffer: SendBuffer::new(),
            tls: None,
            inspector: None,
        }
    }

    /// Registers the socket for events with `token`.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.socket.socket.register(registry, token)
    }

    /// Stores what an event reported.
    pub(crate) fn note(&mut self, readiness: Readiness) {
        self.socket.readable |= readiness.readable || readiness.hangup;
        self.socket.writable |= readiness.writable;
        self.socket.hangup |= readiness.hangup;
    }

    pub(crate) fn read_at(&self) -> Instant {
        self.socket.read_at
    }

    /// Returns how many bytes were written and read since the last call, with the handshakes and TLS.
    pub(crate) fn take_wire_bytes(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.socket.written), std::mem::take(&mut self.socket.read))
    }

    /// Returns false if the last write found the socket full and no event has reported room since.
    pub(crate) fn is_writable(&self) -> bool {
        self.socket.writable
    }

    /// Returns whether the connect is complete, or the error that ended it.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        self.socket.socket.is_connected()
    }

    /// Returns whether the kernel had to send the SYN again. To be called right after the connect.
    pub(crate) fn is_syn_retransmitted(&self) -> bool {
        self.socket.socket.is_syn_retransmitted()
    }

    /// Puts TLS on the connection. [`ClientStream::advance_tls_handshake`] performs the handshake.
    pub(crate) fn start_tls(
        &mut self,
        config: &Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<(), rustls::Error> {
        self.tls = Some(Box::new(ClientConnection::new(Arc::clone(config), name)?));
        Ok(())
    }

    /// Continues the TLS handshake as far as possible without blocking. Returns whether it is complete.
    pub(crate) fn advance_tls_handshake(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        loop {
            write_records(tls, &mut self.socket)?;
            if !tls.is_handshaking() {
                return Ok(true);
            }
            match read_records(tls, &mut self.socket) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns whether the TLS handshake resumed an earlier session. False without TLS.
    pub(crate) fn is_tls_resumed(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// Passes everything read from here on through a [`FrameInspector`].
    pub(crate) fn inspect_frames(&mut self) {
        self.inspector = Some(Box::default());
    }

    /// Returns the kind of the next message as it was received, and whether it was compressed. `None` without
    /// an inspector.
    pub(crate) fn pop_message_info(&mut self) -> Option<(MessageKind, bool)> {
        self.inspector.as_mut()?.pop()
    }

    fn read_decrypted(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.read_ahead.read(&mut self.socket, buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // FIN without a close_notify ends the stream as well.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            if read_records(tls, &mut self.socket)? == 0 {
                return Ok(0);
            }
            write_records(tls, &mut self.socket).or_else(ignore_would_block)?;
        }
    }

    /// Returns the bytes to send. [`ClientStream::flush`] sends them.
    pub(crate) fn send_buffer(&mut self) -> &mut SendBuffer {
        &mut self.send_buffer
    }

    /// Sends the unsent bytes except for those behind the last full segment. For use before more are
    /// appended.
    pub(crate) fn send_segments(&mut self) -> io::Result<()> {
        if self.tls.is_some() {
            // Record headers shift the segment boundaries.
            return self.flush();
        }
        let remainder = self.socket.socket.mss_remainder(self.send_buffer.unsent().len());
        self.send(remainder)
    }

    /// Writes the unsent bytes except for the last `keep` to the socket or to TLS.
    fn send(&mut self, keep: usize) -> io::Result<()> {
        while let unsent = self.send_buffer.unsent()
            && unsent.len() > keep
        {
            let unsent = &unsent[..unsent.len() - keep];
            let written = match &mut self.tls {
                None => self.socket.write(unsent)?,
                Some(tls) => {
                    let written = tls.writer().write(unsent)?;
                    if written == 0 {
                        // The buffer of TLS is full of unsent records.
                        write_records(tls, &mut self.socket)?;
                    }
                    written
                }
            };
            self.send_buffer.consume(written);
        }
        Ok(())
    }

    /// Sends FIN.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.socket.socket.shutdown_write()
    }
}

impl Read for ClientStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.read_decrypted(buffer)?;
        if let Some(inspector) = &mut self.inspector
            && let Some(bytes) = buffer.get_mut(..length)
        {
            inspector.inspect(bytes);
        }
        Ok(length)
    }
}

impl Write for ClientStream {
    /// Appends to the send buffer. tungstenite writes whole frames, so they never split one that is there.
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.send_buffer.push([buffer, b""]);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send(0)?;
        match &mut self.tls {
            Some(tls) => write_records(tls, &mut self.socket),
            None => Ok(()),
        }
    }
}

impl Read for ReadinessSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(ErrorKind::WouldBlock.into());
        }
        loop {
            match self.socket.read(buffer) {
                Ok(length) => {
                    self.read_at = Instant::now();
                    self.readable = length == buffer.len() || self.hangup;
                    self.read += numbers::usize_to_u64(length);
                    return Ok(length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.readable = false;
                    return Err(error);
                }
            }
        }
    }
}

impl ByteSource for ReadinessSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(self, buffer)
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match Read::read(self, buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            read => read.map(Some),
        }
    }
}

impl Write for ReadinessSocket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if !self.writable {
            return Err(ErrorKind::WouldBlock.into());
        }
        loop {
            match self.socket.write(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.writable = false;
                    return Err(error);
                }
                Ok(length) => {
                    self.written += numbers::usize_to_u64(length);
                    return Ok(length);
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends every pending TLS record.
fn write_records(tls: &mut ClientConnection, socket: &mut ReadinessSocket) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(socket)?;
    }
    Ok(())
}

/// Receives and processes TLS records. Returns 0 at the end of the stream.
fn read_records(tls: &mut ClientConnection, socket: &mut ReadinessSocket) -> io::Result<usize> {
    let length = tls.read_tls(socket)?;
    if let Err(error) = tls.process_new_packets() {
        // Sends the alert. The connection has failed, whether or not that succeeds.
        let _ = write_records(tls, socket);
        return Err(io::Error::new(ErrorKind::InvalidData, error));
    }
    Ok(length)
}

fn ignore_would_block(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::WouldBlock { Ok(()) } else { Err(error) }
}
