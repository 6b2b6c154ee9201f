//! The receiving half of a connection: raw bytes, with or without a deadline.

use std::io::{self, Read};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::courtesy::Courtesy;
use super::outbox::is_passing;
use super::patience::{self, Patience};
use crate::handle::SessionHandle;
use crate::readahead::Source;

/// How exact the deadline of a read is. The kernel rounds to ticks that are at least as long.
const TICK: Duration = Duration::from_millis(1);

/// Receives what a peer sends, as it is. Only the session's worker has one.
pub(super) struct Receiver {
    /// Whose peer it is.
    session: Arc<SessionHandle>,
    /// When a read that is still waiting gives up with `WouldBlock`. There is one only while the session keeps time,
    /// or holds memory that it may not need; every other read waits for as long as it takes.
    deadline: Option<Instant>,
    /// The socket's own time-out, where it has one.
    timeout: Option<Duration>,
    /// Whether it pays to yield before blocking.
    patience: Patience,
    /// How to be woken.
    courtesy: Courtesy,
    /// What the outbox's progress was when something was last read without waiting.
    seen_progress: u64,
}

impl Receiver {
    /// Of that session's peer.
    pub(super) fn new(session: Arc<SessionHandle>) -> Self {
        Self {
            session,
            deadline: None,
            timeout: None,
            patience: Patience::default(),
            courtesy: Courtesy::default(),
            seen_progress: 0,
        }
    }

    /// Whose peer it is.
    pub(super) fn session(&self) -> &SessionHandle {
        &self.session
    }

    /// Bounds the reads that follow, or no longer does.
    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        if deadline.is_none() && self.timeout.take().is_some() {
            // What fails here fails again at the next read, which says so.
            let _ = self.session.outbox().socket().set_read_timeout(None);
        }
        self.deadline = deadline;
    }

    /// A message of so many bytes has come.
    pub(super) fn note_message(&mut self, length: usize) {
        self.courtesy.note_message(length);
    }

    /// Receives into a buffer, whatever waits to be sent, and counts it as a sign of life. Waits for as long as it
    /// takes, or until the deadline.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.courtesy.policy().apply();
        if self.patience.is_due()
            && let Some(n) = self.look(buffer)?
        {
            return Ok(n);
        }
        loop {
            match self.wait(buffer) {
                Err(e) if is_passing(&e) => {
                    if self.deadline.is_some_and(|at| Instant::now() >= at) {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Lets others go first, and then receives what is there; `None` if nothing is.
    fn look(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let turn = patience::let_others_run();
        let found = self.receive_now(buffer)?;
        self.patience.learn(turn, found.is_some());
        Ok(found)
    }

    /// Receives what is there, without waiting; `None` if nothing is.
    fn receive_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recv(self.session.outbox().socket(), &mut *buffer, RecvFlags::DONTWAIT) {
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
    fn wait(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.deadline.map(|at| at.saturating_duration_since(Instant::now())) {
            None => {}
            Some(Duration::ZERO) => {
                return self.receive_now(buffer)?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
            }
            Some(wait) => self.wake_after(wait)?,
        }
        let n = self.session.outbox().socket().read(buffer)?;
        self.note(n);
        Ok(n)
    }

    /// Lets reads that wait return after so long, or up to a tick later. Bounds of about the same length are usual, and
    /// that of the socket stays as it is for them.
    fn wake_after(&mut self, wait: Duration) -> io::Result<()> {
        let ticks = wait.as_nanos().div_ceil(TICK.as_nanos());
        let timeout = TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
        if self.timeout != Some(timeout) {
            self.session.outbox().socket().set_read_timeout(Some(timeout))?;
            self.timeout = Some(timeout);
        }
        Ok(())
    }

    /// Counts a sign of life: so many bytes came.
    fn note(&mut self, received: usize) {
        self.courtesy.note_read();
        if received > 0 {
            self.session.counters().reads.add(1);
        }
    }
}

/// A plain connection, on which everything gathered goes out before a read may block. Before one that may not, it stays,
/// to go out with the replies to what that read finds.
impl Source for Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.outbox().flush()?;
        self.receive(buffer)
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        // If nothing has gone out since the last such read, what has gathered has waited for one, and waits no longer:
        // a flood that calls for few replies has no end.
        let progress = self.session.outbox().progress();
        if mem::replace(&mut self.seen_progress, progress) == progress {
            self.session.outbox().flush()?;
        }
        self.receive_now(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::readahead::ReadAhead;
    use crate::transport::wire::Wire;

    /// A receiver, and its peer. One message waits to be sent.
    fn pair() -> (Receiver, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, address) = listener.accept().unwrap();
        let session = Arc::new(SessionHandle::new(1, address, socket, Wire::Plain));
        session.outbox().open(b"reply").unwrap();
        (Receiver::new(session), peer)
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
    fn await_bytes(receiver: &Receiver, count: usize) {
        while receiver.session().outbox().socket().peek(&mut vec![0; count.max(1)]).unwrap() != count {
            thread::yield_now();
        }
    }

    #[test]
    fn replies_go_out_before_a_read_that_may_wait() {
        let (mut receiver, mut peer) = pair();
        receiver.set_deadline(Some(Instant::now()));
        let outcome = Source::read(&mut receiver, &mut [0; 8]).unwrap_err();
        assert_eq!(outcome.kind(), io::ErrorKind::WouldBlock);
        expect(&mut peer, b"reply");
    }

    #[test]
    fn a_deadline_holds_whatever_bound_the_read_before_it_had() {
        let (mut receiver, mut peer) = pair();
        let mut read_within = |wait: Duration, bytes: &[u8]| {
            peer.write_all(bytes).unwrap();
            receiver.set_deadline(Some(Instant::now() + wait));
            receiver.receive(&mut [0]).map_err(|error| error.kind())
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
        let ((mut receiver, mut peer), mut ahead) = (pair(), ReadAhead::default());
        receiver.session().outbox().flush().unwrap();
        expect(&mut peer, b"reply");
        peer.write_all(&[7; 12]).unwrap();
        // All of it has to be there, so that the first read fills its buffer and the second need not wait.
        await_bytes(&receiver, 12);
        assert_eq!(ahead.read(&mut receiver, &mut [0; 8]).unwrap(), 8);
        receiver.session().outbox().append(b"more").unwrap();
        assert_eq!(ahead.read(&mut receiver, &mut [0; 8]).unwrap(), 4);
        // The rest was there: nothing had to be sent before it was read.
        expect_nothing(&mut peer);
        receiver.set_deadline(Some(Instant::now()));
        ahead.read(&mut receiver, &mut [0; 8]).unwrap_err();
        expect(&mut peer, b"more");
    }

    #[test]
    fn no_reply_waits_for_the_end_of_a_flood() {
        let (mut receiver, mut peer) = pair();
        peer.write_all(&[7; 24]).unwrap();
        await_bytes(&receiver, 24);
        receiver.session().outbox().flush().unwrap();
        expect(&mut peer, b"reply");
        receiver.read_now(&mut [0; 8]).unwrap();
        receiver.session().outbox().append(b"pong").unwrap();
        receiver.read_now(&mut [0; 8]).unwrap();
        expect(&mut peer, b"pong");
    }

    #[test]
    fn replies_to_a_burst_that_just_fits_go_out_at_the_end_of_the_stream() {
        let ((mut receiver, mut peer), mut ahead) = (pair(), ReadAhead::default());
        peer.write_all(&[7; 8]).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        receiver.session().outbox().flush().unwrap();
        await_bytes(&receiver, 8);
        assert_eq!(ahead.read(&mut receiver, &mut [0; 8]).unwrap(), 8);
        await_bytes(&receiver, 0);
        receiver.session().outbox().append(b"last").unwrap();
        assert_eq!(ahead.read(&mut receiver, &mut [0; 8]).unwrap(), 0);
        expect(&mut peer, b"replylast");
    }
}
