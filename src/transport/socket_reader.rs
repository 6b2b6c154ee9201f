//! Receives the raw bytes of a connection, with or without a deadline.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::adaptive_yield::{self, AdaptiveYield};
use super::connection::Connection;
use super::read_ahead::ByteSource;
use super::sched_policy::SchedPolicy;
use super::transient::is_transient;

/// Step of socket time-outs. The kernel rounds them to its ticks, which are at least 1 ms.
const TIMEOUT_STEP: Duration = Duration::from_millis(1);

/// Receives raw bytes. Only the worker of the connection has one.
pub(super) struct SocketReader {
    connection: Arc<Connection>,
    /// When a blocking read fails with `WouldBlock`. `None` unless the session waits for a time, or has large
    /// buffers to free when the peer is idle.
    deadline: Option<Instant>,
    /// The receive time-out that the socket has now (`SO_RCVTIMEO`, socket(7)).
    socket_timeout: Option<Duration>,
    adaptive_yield: AdaptiveYield,
    sched_policy: SchedPolicy,
    /// The frame writer's progress at the last [`ByteSource::read_now`].
    progress_at_read_now: u64,
}

impl SocketReader {
    /// Creates the reader of `connection`, without a deadline.
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            deadline: None,
            socket_timeout: None,
            adaptive_yield: AdaptiveYield::default(),
            sched_policy: SchedPolicy::default(),
            progress_at_read_now: 0,
        }
    }

    /// Returns the connection.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sets the deadline of the following reads, or removes it.
    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        if deadline.is_none() && self.socket_timeout.take().is_some() {
            // If this fails, the next read fails too and returns the error.
            let _ = self.connection.writer().socket().set_read_timeout(None);
        }
        self.deadline = deadline;
    }

    /// Records that a message of `length` bytes was received, for the scheduling policy.
    pub(super) fn record_message(&mut self, length: usize) {
        self.sched_policy.record_message(length);
    }

    /// Receives into `buffer` and returns the number of bytes, 0 at the end of the stream. Does not send the
    /// write queue.
    ///
    /// Blocks until bytes arrive or the connection ends, or fails with `WouldBlock` at the deadline or up to
    /// a kernel tick later.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.sched_policy.policy().apply();
        if self.adaptive_yield.is_due()
            && let Some(n) = self.yield_then_recv(buffer)?
        {
            return Ok(n);
        }
        loop {
            match self.blocking_recv(buffer) {
                Err(e) if is_transient(&e) => {
                    if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Yields, then receives without blocking. Returns `None` if no bytes have arrived.
    fn yield_then_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let outcome = adaptive_yield::timed_yield();
        let received = self.try_recv(buffer)?;
        self.adaptive_yield.record(outcome, received.is_some());
        Ok(received)
    }

    /// Receives without blocking. Returns `None` if no bytes have arrived.
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recv(self.connection.writer().socket(), &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((n, _)) => {
                    self.record_read(n);
                    return Ok(Some(n));
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads once. If the deadline passes or a signal arrives first, fails with an error for which
    /// [`is_transient`] returns `true`.
    fn blocking_recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => {}
            Some(Duration::ZERO) => {
                return self.try_recv(buffer)?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
            }
            Some(remaining) => self.set_socket_timeout(remaining)?,
        }
        let n = self.connection.writer().socket().read(buffer)?;
        self.record_read(n);
        Ok(n)
    }

    /// Sets the socket's receive time-out to `timeout`, rounded up to [`TIMEOUT_STEP`]. Successive time-outs
    /// are often equal after rounding, and need no system call then.
    fn set_socket_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        let steps = timeout.as_nanos().div_ceil(TIMEOUT_STEP.as_nanos());
        let rounded = TIMEOUT_STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
        if self.socket_timeout != Some(rounded) {
            self.connection.writer().socket().set_read_timeout(Some(rounded))?;
            self.socket_timeout = Some(rounded);
        }
        Ok(())
    }

    /// Counts a read that returned `received` bytes. The supervisor restarts the ping interval when the count
    /// changes.
    fn record_read(&mut self, received: usize) {
        self.sched_policy.record_read();
        if received > 0 {
            self.connection.counters().reads.add(1);
        }
    }
}

/// Reads from a plain connection. Sends the write queue before a read that may block, and keeps it before
/// [`read_now`](ByteSource::read_now), to be sent together with the replies to the bytes that it reads.
impl ByteSource for SocketReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.connection.writer().flush()?;
        self.receive(buffer)
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        // If nothing was sent since the last call, that call kept the queue, and this one sends it. Without
        // this rule a peer that sends without a pause could delay replies without a limit.
        let progress = self.connection.writer().progress();
        if mem::replace(&mut self.progress_at_read_now, progress) == progress {
            self.connection.writer().flush()?;
        }
        self.try_recv(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::transport::read_ahead::ReadAhead;
    use crate::transport::record_layer::RecordLayer;

    /// Returns a reader whose write queue holds `reply`, and its peer.
    fn reader_and_peer() -> (SocketReader, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let connection = Arc::new(Connection::new(socket, RecordLayer::Plain));
        connection.writer().queue_upgrade(b"reply").unwrap();
        (SocketReader::new(connection), peer)
    }

    /// Asserts that the peer receives `expected` next.
    fn expect(peer: &mut TcpStream, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, expected);
    }

    /// Asserts that the peer has received nothing.
    fn expect_nothing(peer: &mut TcpStream) {
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        peer.set_nonblocking(false).unwrap();
    }

    /// Waits until exactly `count` bytes can be received, or for `count` 0 the end of the stream.
    fn await_bytes(reader: &SocketReader, count: usize) {
        while reader.connection().writer().socket().peek(&mut vec![0; count.max(1)]).unwrap() != count {
            thread::yield_now();
        }
    }

    #[test]
    fn write_queue_is_sent_before_a_read_that_may_block() {
        let (mut reader, mut peer) = reader_and_peer();
        reader.set_deadline(Some(Instant::now()));
        let outcome = ByteSource::read(&mut reader, &mut [0; 8]).unwrap_err();
        assert_eq!(outcome.kind(), io::ErrorKind::WouldBlock);
        expect(&mut peer, b"reply");
    }

    #[test]
    fn read_deadline_replaces_the_socket_timeout_of_the_last_read() {
        let (mut reader, mut peer) = reader_and_peer();
        let mut read_within = |limit: Duration, bytes: &[u8]| {
            peer.write_all(bytes).unwrap();
            reader.set_deadline(Some(Instant::now() + limit));
            reader.receive(&mut [0]).map_err(|error| error.kind())
        };
        let (long, short) = (Duration::from_mins(1), Duration::from_millis(20));
        assert_eq!(read_within(long, b"x"), Ok(1));
        let started = Instant::now();
        assert_eq!(read_within(short, b""), Err(io::ErrorKind::WouldBlock));
        assert!(started.elapsed() < long / 2, "the time-out of the last read was a minute");
        assert_eq!(read_within(long, b"x"), Ok(1));
    }

    #[test]
    fn write_queue_is_kept_before_the_rest_of_a_burst_is_read() {
        let ((mut reader, mut peer), mut read_ahead) = (reader_and_peer(), ReadAhead::default());
        reader.connection().writer().flush().unwrap();
        expect(&mut peer, b"reply");
        peer.write_all(&[7; 12]).unwrap();
        // All bytes must have arrived, so that the first read fills its buffer and the second does not block.
        await_bytes(&reader, 12);
        assert_eq!(read_ahead.read(&mut reader, &mut [0; 8]).unwrap(), 8);
        reader.connection().writer().write_raw_frame(b"more").unwrap();
        assert_eq!(read_ahead.read(&mut reader, &mut [0; 8]).unwrap(), 4);
        expect_nothing(&mut peer);
        reader.set_deadline(Some(Instant::now()));
        read_ahead.read(&mut reader, &mut [0; 8]).unwrap_err();
        expect(&mut peer, b"more");
    }

    #[test]
    fn write_queue_is_sent_at_the_second_read_now_without_progress() {
        let (mut reader, mut peer) = reader_and_peer();
        peer.write_all(&[7; 24]).unwrap();
        await_bytes(&reader, 24);
        reader.connection().writer().flush().unwrap();
        expect(&mut peer, b"reply");
        reader.read_now(&mut [0; 8]).unwrap();
        reader.connection().writer().write_raw_frame(b"pong").unwrap();
        reader.read_now(&mut [0; 8]).unwrap();
        expect(&mut peer, b"pong");
    }

    #[test]
    fn write_queue_is_sent_before_the_end_of_the_stream_is_read() {
        let ((mut reader, mut peer), mut read_ahead) = (reader_and_peer(), ReadAhead::default());
        peer.write_all(&[7; 8]).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        reader.connection().writer().flush().unwrap();
        await_bytes(&reader, 8);
        assert_eq!(read_ahead.read(&mut reader, &mut [0; 8]).unwrap(), 8);
        await_bytes(&reader, 0);
        reader.connection().writer().write_raw_frame(b"last").unwrap();
        assert_eq!(read_ahead.read(&mut reader, &mut [0; 8]).unwrap(), 0);
        expect(&mut peer, b"replylast");
    }
}
