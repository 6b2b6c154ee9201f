//! Receives the raw bytes of a connection without waiting.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::connection::Connection;
use super::read_ahead::ByteSource;
use crate::platform::tune::tuning;

/// Bytes that one turn of a session receives at most, so that a peer that sends without a pause does not keep
/// its worker. The last receive may exceed it. Eight times as much saves a tenth of the CPU time at 64 KiB
/// messages; see scripts/TUNING.md.
const TURN_BYTES: usize = 128 << 10;

/// Receives raw bytes. Only the owner of the connection's session uses it.
pub(super) struct SocketReader {
    connection: Arc<Connection>,
    /// Bytes that were received and given back; [`receive`](Self::receive) returns them first.
    given_back: Vec<u8>,
    /// Bytes that may still be received in this turn.
    turn_bytes: usize,
    /// A receive of this turn returned less than it could: nothing more had arrived. What arrives later makes
    /// the socket ready again, so no system call is needed to find that out.
    drained: bool,
}

impl SocketReader {
    /// Creates the reader of `connection`.
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection, given_back: Vec::new(), turn_bytes: TURN_BYTES, drained: false }
    }

    /// Returns the connection.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Begins a turn. `readable`: bytes may have arrived since the last turn.
    pub(super) fn begin_turn(&mut self, readable: bool) {
        self.turn_bytes = tuning().turn_bytes.unwrap_or(TURN_BYTES);
        self.drained = !readable;
    }

    /// Returns whether more bytes may have arrived, which this turn must leave.
    pub(super) fn is_turn_spent(&self) -> bool {
        self.turn_bytes == 0 && !self.drained
    }

    /// Receives into `buffer` and returns the number of bytes, 0 at the end of the stream. Does not send the
    /// write queue.
    ///
    /// # Errors
    /// `WouldBlock` if no bytes have arrived or the turn is spent, and the errors of recv(2).
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = if self.given_back.is_empty() {
            self.receive_uncounted(buffer)?
        } else {
            let n = buffer.len().min(self.given_back.len());
            buffer[..n].copy_from_slice(&self.given_back[..n]);
            self.given_back.drain(..n);
            // Frees the memory: an empty `Vec` keeps its capacity.
            self.given_back.shrink_to_fit();
            n
        };
        if n > 0 {
            // The supervisor restarts the ping interval when the count changes.
            self.connection.counters().reads.add(1);
        }
        Ok(n)
    }

    /// Receives as [`receive`](Self::receive) does, only from the socket, and does not count the read.
    pub(super) fn receive_uncounted(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.drained || self.turn_bytes == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        loop {
            match recv(self.connection.writer().socket(), &mut *buffer, RecvFlags::empty()) {
                Ok((n, _)) => {
                    self.turn_bytes = self.turn_bytes.saturating_sub(n);
                    // The end of the stream is reported again and again.
                    self.drained = n > 0 && n < buffer.len();
                    return Ok(n);
                }
                Err(Errno::INTR) => {}
                Err(error) => {
                    self.drained |= error == Errno::AGAIN;
                    return Err(error.into());
                }
            }
        }
    }

    /// Makes later calls of [`receive`](Self::receive) return `bytes` first. At most a few KiB: they do not
    /// make the socket ready again, so the next call has to take all of them.
    pub(super) fn give_back(&mut self, bytes: Vec<u8>) {
        self.given_back = bytes;
    }
}

impl ByteSource for SocketReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer)
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.receive(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            outcome => outcome.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::mem::MaybeUninit;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;
    use crate::platform::memory_budget::MemoryBudget;
    use crate::transport::record_layer::RecordLayer;

    /// Returns a reader and its peer.
    fn reader_and_peer() -> (SocketReader, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        (
            SocketReader::new(Arc::new(Connection::new(
                socket.into(),
                RecordLayer::Plain,
                &MemoryBudget::new(usize::MAX),
            ))),
            peer,
        )
    }

    /// Waits until `count` bytes have arrived.
    fn await_bytes(reader: &SocketReader, count: usize) {
        while reader.connection().writer().socket().peek(&mut vec![MaybeUninit::uninit(); count]).unwrap()
            != count
        {}
    }

    fn kind(outcome: io::Result<usize>) -> Result<usize, io::ErrorKind> {
        outcome.map_err(|error| error.kind())
    }

    #[test]
    fn receive_after_a_short_one_waits_for_the_next_turn() {
        let (mut reader, mut peer) = reader_and_peer();
        reader.connection().writer().socket().set_nonblocking(true).unwrap();
        peer.write_all(b"12").unwrap();
        while kind(reader.receive(&mut [0; 8])) == Err(io::ErrorKind::WouldBlock) {
            reader.begin_turn(true);
        }
        peer.write_all(b"3").unwrap();
        reader.connection().writer().socket().set_nonblocking(false).unwrap();
        await_bytes(&reader, 1);
        assert_eq!(kind(reader.receive(&mut [0; 8])), Err(io::ErrorKind::WouldBlock));
        assert!(!reader.is_turn_spent());
        reader.begin_turn(false);
        assert_eq!(kind(reader.receive(&mut [0; 8])), Err(io::ErrorKind::WouldBlock));
        reader.begin_turn(true);
        assert_eq!(kind(reader.receive(&mut [0; 8])), Ok(1));
    }

    #[test]
    fn turn_receives_a_bounded_number_of_bytes() {
        let (mut reader, mut peer) = reader_and_peer();
        peer.write_all(&[7; 101]).unwrap();
        await_bytes(&reader, 101);
        reader.turn_bytes = 100;
        for _ in 0..10 {
            assert!(!reader.is_turn_spent());
            assert_eq!(kind(reader.receive(&mut [0; 10])), Ok(10));
        }
        assert!(reader.is_turn_spent());
        assert_eq!(kind(reader.receive(&mut [0; 8])), Err(io::ErrorKind::WouldBlock));
        reader.begin_turn(true);
        assert_eq!(kind(reader.receive(&mut [0; 8])), Ok(1));
    }
}
