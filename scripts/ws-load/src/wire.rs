//! The transport under one connection: a non-blocking socket, with TLS or without, that knows whether it is ready.
//!
//! Readiness is edge-triggered, and remembered here: a read that fills less than the buffer has emptied the socket, so the
//! next one answers `WouldBlock` without a system call. That saves one `recv` a message.

use super::{deflate::Tap, outgoing::Outgoing, payload::Kind};
use mio::net::TcpStream;
use rustls::{ClientConnection, pki_types::ServerName};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr},
    sync::Arc,
    time::Instant,
};
use ws_echo::transport::mss::mss_remainder;
use ws_echo::transport::read_ahead::{ByteSource, ReadAhead};

/// What an event said about a socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer will send no more: the end of stream has to be read, however short the reads before it.
    pub(super) hangup: bool,
}

/// A socket with its readiness, and TLS where the URL says so.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Socket,
    /// Reads large replies in bulk; TLS has buffers of its own.
    ahead: ReadAhead,
    /// What waits to be sent.
    outgoing: Outgoing,
    tls: Option<Box<ClientConnection>>,
    tap: Option<Box<Tap>>,
}

#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    readable: bool,
    writable: bool,
    hangup: bool,
    /// When bytes last came in: the moment a reply counts from.
    read_at: Instant,
}

impl Wire {
    /// Begins to connect; it is done when the socket is writable and [`Wire::connected`] says so.
    pub(super) fn connect(address: SocketAddr, now: Instant) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        Ok(Self {
            socket: Socket { stream, readable: false, writable: false, hangup: false, read_at: now },
            ahead: ReadAhead::default(),
            outgoing: Outgoing::new(),
            tls: None,
            tap: None,
        })
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.socket.stream
    }

    pub(super) fn note(&mut self, readiness: Readiness) {
        self.socket.readable |= readiness.readable || readiness.hangup;
        self.socket.writable |= readiness.writable;
        self.socket.hangup |= readiness.hangup;
    }

    pub(super) fn read_at(&self) -> Instant {
        self.socket.read_at
    }

    /// Whether the kernel takes more bytes, as far as is known.
    pub(super) fn is_writable(&self) -> bool {
        self.socket.writable
    }

    /// Whether the TCP handshake is over, and how.
    pub(super) fn connected(&self) -> io::Result<bool> {
        if let Some(error) = self.socket.stream.take_error()? {
            return Err(error);
        }
        match self.socket.stream.peer_addr() {
            Ok(_) => self.socket.stream.set_nodelay(true).map(|()| true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn start_tls(
        &mut self,
        config: &Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<(), rustls::Error> {
        self.tls = Some(Box::new(ClientConnection::new(Arc::clone(config), name)?));
        Ok(())
    }

    /// Goes on with the TLS handshake as far as it can. True when it is done.
    pub(super) fn shake_tls(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        loop {
            push_tls(tls, &mut self.socket)?;
            if !tls.is_handshaking() {
                return Ok(true);
            }
            match pull_tls(tls, &mut self.socket) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// From here on compressed messages are made readable for tungstenite.
    pub(super) fn start_tap(&mut self) {
        self.tap = Some(Box::default());
    }

    /// What the next message was before the tap: its kind, and whether it is compressed.
    pub(super) fn pop_tap(&mut self) -> Option<(Kind, bool)> {
        self.tap.as_mut()?.pop()
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.ahead.read(&mut self.socket, buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A peer that just drops the line has ended the stream all the same.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            if pull_tls(tls, &mut self.socket)? == 0 {
                return Ok(0);
            }
            push_tls(tls, &mut self.socket).or_else(ignore_would_block)?;
        }
    }

    /// What waits to be sent; [`Wire::flush`] sends it.
    pub(super) fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    /// Sends what waits but for the beginning of a segment, since more is about to follow.
    pub(super) fn send_segments(&mut self) -> io::Result<()> {
        if self.tls.is_some() {
            // A segment carries fewer bytes of ours than of the records that they are in.
            return self.flush();
        }
        let over = mss_remainder(&self.socket.stream, self.outgoing.waiting().len());
        self.send(over)
    }

    /// Hands what waits, but for the last `rest` bytes, over to the socket or to TLS, as long as that takes any.
    fn send(&mut self, rest: usize) -> io::Result<()> {
        while let waiting = self.outgoing.waiting()
            && waiting.len() > rest
        {
            let waiting = &waiting[..waiting.len() - rest];
            let taken = match &mut self.tls {
                None => self.socket.write(waiting)?,
                Some(tls) => {
                    let taken = tls.writer().write(waiting)?;
                    if taken == 0 {
                        // Full of records that were not sent yet.
                        push_tls(tls, &mut self.socket)?;
                    }
                    taken
                }
            };
            self.outgoing.took(taken);
        }
        Ok(())
    }

    /// Tells the peer that nothing more comes.
    pub(super) fn finish_writing(&self) -> io::Result<()> {
        self.socket.stream.shutdown(Shutdown::Write)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.read_plain(buffer)?;
        if let Some(tap) = &mut self.tap
            && let Some(bytes) = buffer.get_mut(..length)
        {
            tap.pass(bytes);
        }
        Ok(length)
    }
}

impl Write for Wire {
    /// Takes everything: what tungstenite writes are whole frames, which go out behind those that wait.
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.outgoing.push([buffer, b""]);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send(0)?;
        match &mut self.tls {
            Some(tls) => push_tls(tls, &mut self.socket),
            None => Ok(()),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(ErrorKind::WouldBlock.into());
        }
        loop {
            match self.stream.read(buffer) {
                Ok(length) => {
                    self.read_at = Instant::now();
                    self.readable = length == buffer.len() || self.hangup;
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

impl ByteSource for Socket {
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

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if !self.writable {
            return Err(ErrorKind::WouldBlock.into());
        }
        loop {
            match self.stream.write(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.writable = false;
                    return Err(error);
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends every record that waits.
fn push_tls(tls: &mut ClientConnection, socket: &mut Socket) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(socket)?;
    }
    Ok(())
}

/// Takes in records; 0 is the end of the stream.
fn pull_tls(tls: &mut ClientConnection, socket: &mut Socket) -> io::Result<usize> {
    let length = tls.read_tls(socket)?;
    if let Err(error) = tls.process_new_packets() {
        // The alert that says why; that it cannot be sent changes nothing.
        let _ = push_tls(tls, socket);
        return Err(io::Error::new(ErrorKind::InvalidData, error));
    }
    Ok(length)
}

fn ignore_would_block(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::WouldBlock { Ok(()) } else { Err(error) }
}
