//! The receiving half of a connection: raw bytes, with or without a deadline.

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

/// How exact the deadline of a read is. The kernel rounds to ticks that are at least as long.
const TICK: Duration = Duration::from_millis(1);

/// Receives what a peer sends, as it is. Only the session's worker has one.
pub(super) struct SocketReader {
    /// Whose peer it is.
    connection: Arc<Connection>,
    /// When a read that is still waiting gives up with `WouldBlock`. There is one only while the session keeps time,
    /// or holds memory that it may not need; every other read waits for as long as it takes.
    deadline: Option<Instant>,
    /// The socket's own time-out, where it has one.
    timeout: Option<Duration>,
    /// Whether it pays to yield before blocking.
    adaptive_yield: AdaptiveYield,
    /// How to be woken.
    sched_policy: SchedPolicy,
    /// What the outbox's progress was when something was last read without waiting.
    seen_progress: u64,
}

impl SocketReader {
    /// Of that session's peer.
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            deadline: None,
            timeout: None,
            adaptive_yield: AdaptiveYield::default(),
            sched_policy: SchedPolicy::default(),
            seen_progress: 0,
        }
    }

    /// Whose peer it is.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Bounds the reads that follow, or no longer does.
    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        if deadline.is_none() && self.timeout.take().is_some() {
            // What fails here fails again at the next read, which says so.
            let _ = self.connection.writer().socket().set_read_timeout(None);
        }
        self.deadline = deadline;
    }

    /// A message of so many bytes has come.
    pub(super) fn note_message(&mut self, length: usize) {
        self.sched_policy.note_message(length);
    }

    /// Receives into a buffer, whatever waits to be sent, and counts it as a sign of life. Waits for as long as it
    /// takes, or until the deadline.
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
                    if self.deadline.is_some_and(|at| Instant::now() >= at) {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Lets others go first, and then receives what is there; `None` if nothing is.
    fn yield_then_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let outcome = adaptive_yield::timed_yield();
        let found = self.try_recv(buffer)?;
        self.adaptive_yield.record(outcome, found.is_some());
        Ok(found)
    }

    /// Receives what is there, without waiting; `None` if nothing is.
    fn try_recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recv(self.connection.writer().socket(), &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((n, _)) => {
                    self.note(n);
                    return Ok(Some(n));
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One read, which blocks no longer than until the deadline.
    fn blocking_recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.deadline.map(|at| at.saturating_duration_since(Instant::now())) {
            None => {}
            Some(Duration::ZERO) => {
                return self.try_recv(buffer)?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
            }
            Some(wait) => self.set_timeout(wait)?,
        }
        let n = self.connection.writer().socket().read(buffer)?;
        self.note(n);
        Ok(n)
    }

    /// Lets reads that wait return after so long, or up to a tick later. Bounds of about the same length are usual, and
    /// that of the socket stays as it is for them.
    fn set_timeout(&mut self, wait: Duration) -> io::Result<()> {
        let ticks = wait.as_nanos().div_ceil(TICK.as_nanos());
        let timeout = TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
        if self.timeout != Some(timeout) {
            self.connection.writer().socket().set_read_timeout(Some(timeout))?;
            self.timeout = Some(timeout);
        }
        Ok(())
    }

    /// Counts a sign of life: so many bytes came.
    fn note(&mut self, received: usize) {
        self.sched_policy.note_read();
        if received > 0 {
            self.connection.counters().reads.add(1);
        }
    }
}

/// A plain connection, on which everything gathered goes out before a read may block. Before one that may not, it stays,
/// to go out with the replies to what that read finds.
impl ByteSource for SocketReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.connection.writer().flush()?;
        self.receive(buffer)
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        // If nothing has gone out since the last such read, what has gathered has waited for one, and waits no longer:
        // a flood that calls for few replies has no end.
        let progress = self.connection.writer().progress();
        if mem::replace(&mut self.seen_progress, progress) == progress {
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

    /// A receiver, and its peer. One message waits to be sent.
    fn pair() -> (SocketReader, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let connection = Arc::new(Connection::new(socket, RecordLayer::Plain));
        connection.writer().send_upgrade(b"reply").unwrap();
        (SocketReader::new(connection), peer)
    }

    /// Asserts that this is what is sent to the peer next.
    fn expect(peer: &mut TcpStream, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, expected);
    }

    /// Asserts that nothing has been sent to the peer.
    fn expect_nothing(peer: &mut TcpStream) {
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        peer.set_nonblocking(false).unwrap();
    }

    /// Waits until the peer's bytes are there, so many of them, or its end of the stream where there are none.
    fn await_bytes(reader: &SocketReader, count: usize) {
        while reader.connection().writer().socket().peek(&mut vec![0; count.max(1)]).unwrap() != count {
            thread::yield_now();
        }
    }

    #[test]
    fn replies_go_out_before_a_read_that_may_wait() {
        let (mut reader, mut peer) = pair();
        reader.set_deadline(Some(Instant::now()));
        let outcome = ByteSource::read(&mut reader, &mut [0; 8]).unwrap_err();
        assert_eq!(outcome.kind(), io::ErrorKind::WouldBlock);
        expect(&mut peer, b"reply");
    }

    #[test]
    fn a_deadline_holds_whatever_bound_the_read_before_it_had() {
        let (mut reader, mut peer) = pair();
        let mut read_within = |wait: Duration, bytes: &[u8]| {
            peer.write_all(bytes).unwrap();
            reader.set_deadline(Some(Instant::now() + wait));
            reader.receive(&mut [0]).map_err(|error| error.kind())
        };
        let (long, short) = (Duration::from_mins(1), Duration::from_millis(20));
        assert_eq!(read_within(long, b"x"), Ok(1));
        let began = Instant::now();
        assert_eq!(read_within(short, b""), Err(io::ErrorKind::WouldBlock));
        assert!(began.elapsed() < long / 2, "the bound of the read before it was a minute");
        assert_eq!(read_within(long, b"x"), Ok(1));
    }

    #[test]
    fn replies_to_a_burst_that_does_not_fit_wait_for_its_rest() {
        let ((mut reader, mut peer), mut ahead) = (pair(), ReadAhead::default());
        reader.connection().writer().flush().unwrap();
        expect(&mut peer, b"reply");
        peer.write_all(&[7; 12]).unwrap();
        // All of it has to be there, so that the first read fills its buffer and the second need not wait.
        await_bytes(&reader, 12);
        assert_eq!(ahead.read(&mut reader, &mut [0; 8]).unwrap(), 8);
        reader.connection().writer().write_raw_frame(b"more").unwrap();
        assert_eq!(ahead.read(&mut reader, &mut [0; 8]).unwrap(), 4);
        // The rest was there: nothing had to be sent before it was read.
        expect_nothing(&mut peer);
        reader.set_deadline(Some(Instant::now()));
        ahead.read(&mut reader, &mut [0; 8]).unwrap_err();
        expect(&mut peer, b"more");
    }

    #[test]
    fn no_reply_waits_for_the_end_of_a_flood() {
        let (mut reader, mut peer) = pair();
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
    fn replies_to_a_burst_that_just_fits_go_out_at_the_end_of_the_stream() {
        let ((mut reader, mut peer), mut ahead) = (pair(), ReadAhead::default());
        peer.write_all(&[7; 8]).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        reader.connection().writer().flush().unwrap();
        await_bytes(&reader, 8);
        assert_eq!(ahead.read(&mut reader, &mut [0; 8]).unwrap(), 8);
        await_bytes(&reader, 0);
        reader.connection().writer().write_raw_frame(b"last").unwrap();
        assert_eq!(ahead.read(&mut reader, &mut [0; 8]).unwrap(), 0);
        expect(&mut peer, b"replylast");
    }
}
