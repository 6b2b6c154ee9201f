//! The outbox: the one way by which bytes reach a peer.
//!
//! A worker answers its peer, the supervisor puts a Ping or a Close between two of those answers, and any other
//! thread may push a message. They meet here, at a mutex around one queue of bytes that only ever takes whole
//! frames. The worker may block in a send while it holds the lock, because nobody else waits for the lock: other
//! threads try it, send without blocking, and find it [`TrySend::Busy`](super::try_send::Posted::Busy) otherwise (`try_send`).
//!
//! What a non-blocking send could not get rid of stays in the queue, in its place, so no frame is ever torn. The
//! clocks that tell a stalled peer are atomics outside the lock, since a stuck writer holds it.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use tungstenite::protocol::frame::FrameHeader;

use super::mss::mss_remainder;
use super::record_layer::{CountingSocket, RecordLayer, TlsInfo};
use super::termination::TerminationReason;
use super::write_queue::{CLOSE, FLUSH_THRESHOLD, WriteQueue, WriteState, opcode_bits};

/// Payloads from this size, in bytes, are written from where they lie instead of being copied into the queue, unless
/// more is about to follow and the queue has room for them: to copy 16 KiB costs a fifth of a write.
pub(super) const DIRECT_WRITE_MIN: usize = 16 << 10;

/// Everything that goes to one peer goes through here.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    /// The connection.
    pub(super) socket: CountingSocket,
    /// What waits to be sent, and what may still be added.
    pub(super) queue: Mutex<WriteQueue>,
    /// A non-blocking send left bytes in the queue.
    pub(super) unsent: AtomicBool,
    /// The worker is inside a send that may block.
    writing: AtomicBool,
    /// Why another thread ended the session; the first reason stays.
    termination_reason: AtomicU8,
    /// Why another thread wants a Close that found the worker writing. The worker sends it as soon as it has written,
    /// because to try for the lock against somebody who always has it may never succeed.
    pub(super) pending_close: AtomicU8,
}

impl FrameWriter {
    /// The outbox of a connection whose handshake has not begun.
    pub(crate) fn new(socket: TcpStream, wire: RecordLayer) -> Self {
        Self {
            socket: CountingSocket::new(socket),
            queue: Mutex::new(WriteQueue::new(wire)),
            unsent: AtomicBool::new(false),
            writing: AtomicBool::new(false),
            termination_reason: AtomicU8::new(0),
            pending_close: AtomicU8::new(0),
        }
    }

    /// The connection itself, for reading.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.socket.get()
    }

    /// Whether the worker is inside a send that may block.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing.load(Relaxed)
    }

    /// A number that moves whenever the peer's side took bytes.
    pub(crate) fn progress(&self) -> u64 {
        self.socket.progress()
    }

    /// The worker's way to send one frame: `head` and `body` are its payload in two parts. Gathers small frames;
    /// a large one is written at once, together with all that was gathered. If `more` is likely to follow soon, larger
    /// ones gather too, and what would be a small segment at the end waits. Returns whether it was taken: a sealed outbox
    /// takes nothing.
    pub(crate) fn send(
        &self,
        header: &FrameHeader,
        head: &[u8],
        body: &[u8],
        more: bool,
    ) -> io::Result<bool> {
        let mut queue = self.lock()?;
        self.flush_pending_close(&mut queue);
        match queue.state {
            WriteState::Open => {}
            WriteState::CloseQueued => return Ok(false),
            WriteState::Handshake => {
                return Err(io::Error::other("a frame before the handshake was answered"));
            }
        }
        queue.note_frame(header);
        queue.append_header(header, head.len() + body.len());
        queue.bytes.extend_from_slice(head);
        let length = queue.bytes.len() + body.len();
        if body.len() < DIRECT_WRITE_MIN || (more && length <= FLUSH_THRESHOLD) {
            queue.bytes.extend_from_slice(body);
            self.write_if_full(&mut queue)?;
        } else {
            let over = if more { mss_remainder(self.socket(), length) } else { 0 };
            let (now, later) = body.split_at(body.len() - over);
            self.write_out(&mut queue, now)?;
            queue.bytes.extend_from_slice(later);
        }
        Ok(true)
    }

    /// Writes out what has gathered if that is much.
    fn write_if_full(&self, queue: &mut WriteQueue) -> io::Result<()> {
        if queue.bytes.len() > FLUSH_THRESHOLD { self.write_out(queue, &[]) } else { Ok(()) }
    }

    /// Queues the Close that another thread wanted while the worker was writing.
    fn flush_pending_close(&self, queue: &mut WriteQueue) {
        if let Some(termination_reason) = TerminationReason::from_u8(self.pending_close.load(Relaxed))
            && queue.state == WriteState::Open
        {
            self.queue_close(queue, termination_reason);
        }
    }

    /// The worker's way for bytes that tungstenite made: a Pong, a Close. They are whole frames
    /// (its write buffer has no size, so each frame is one call), and a Close seals.
    pub(crate) fn write_raw_frame(&self, bytes: &[u8]) -> io::Result<()> {
        let mut queue = self.lock()?;
        if queue.state == WriteState::CloseQueued {
            return Ok(());
        }
        queue.bytes.extend_from_slice(bytes);
        if queue.state == WriteState::Open && bytes.first().is_some_and(|&first| opcode_bits(first) == CLOSE)
        {
            queue.state = WriteState::CloseQueued;
        }
        self.write_if_full(&mut queue)
    }

    /// The worker's 101 answer: from now on frames may follow it. Returns whether they may; they may not when the
    /// supervisor gave the final answer first.
    pub(crate) fn send_upgrade(&self, switching: &[u8]) -> io::Result<bool> {
        let mut queue = self.lock()?;
        let first = queue.state == WriteState::Handshake;
        if first {
            queue.bytes.extend_from_slice(switching);
            queue.state = WriteState::Open;
        }
        Ok(first)
    }

    /// The worker's final answer to a request that does not become a session. Returns whether it was the first.
    pub(crate) fn send_response(&self, bytes: &[u8]) -> io::Result<bool> {
        let mut queue = self.lock()?;
        if queue.state != WriteState::Handshake {
            return Ok(false);
        }
        queue.bytes.extend_from_slice(bytes);
        queue.state = WriteState::CloseQueued;
        self.write_out(&mut queue, &[])?;
        Ok(true)
    }

    /// The worker's Close: behind everything gathered, sealed in the same hold of the lock, and written out.
    /// Returns whether it was the first Close.
    pub(crate) fn close(&self, code: u16, reason: &str) -> io::Result<bool> {
        let mut queue = self.lock()?;
        if queue.state != WriteState::Open {
            return Ok(false);
        }
        queue.append_close(code, reason);
        self.write_out(&mut queue, &[])?;
        Ok(true)
    }

    /// The worker is about to block in a read: everything gathered goes out first.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut queue = self.lock()?;
        self.flush_pending_close(&mut queue);
        if queue.is_empty() { Ok(()) } else { self.write_out(&mut queue, &[]) }
    }

    /// The worker has said everything: writes out what is left, and ends the sending half.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        let mut queue = self.lock()?;
        queue.state = WriteState::CloseQueued;
        if !queue.is_empty() {
            self.write_out(&mut queue, &[])?;
        }
        if queue.wire.queue_close_notify() {
            self.write_out(&mut queue, &[])?;
        }
        self.socket().shutdown(Shutdown::Write)
    }

    /// The worker leaves, whatever has been said: nothing more will be, which TLS has to tell. Nobody waits for a
    /// peer to hear it.
    pub(crate) fn send_close_notify(&self) {
        if let Ok(Some(mut queue)) = self.try_lock()
            && queue.wire.queue_close_notify()
        {
            queue.state = WriteState::CloseQueued;
            let _ = queue.wire.try_write(&self.socket, &[]);
        }
    }

    /// The worker holds its side of the TLS handshake: takes in received bytes, and sends what they call for. Returns
    /// whether the handshake is done.
    pub(crate) fn handshake(&self, raw: &mut &[u8]) -> io::Result<bool> {
        let mut queue = self.lock()?;
        let outcome = queue.wire.handshake(raw);
        self.send_before_blocking(&mut queue, outcome, |done| !done)
    }

    /// The worker's way to read over TLS: takes in received bytes until some of the peer's can be handed out. `None`
    /// asks for more, and 0 is the end: by then everything gathered has gone out, because the worker is about to block,
    /// or to leave.
    pub(crate) fn decrypt(&self, raw: &mut &[u8], plain: &mut [u8]) -> io::Result<Option<usize>> {
        let mut queue = self.lock()?;
        let outcome = queue.wire.decrypt(raw, plain);
        self.send_before_blocking(&mut queue, outcome, |plain| matches!(plain, None | Some(0)))
    }

    /// Writes out what waits if the worker is about to block; and the alert, if its peer's bytes were no good.
    fn send_before_blocking<T>(
        &self,
        queue: &mut WriteQueue,
        outcome: io::Result<T>,
        blocks: impl FnOnce(&T) -> bool,
    ) -> io::Result<T> {
        match &outcome {
            Ok(outcome) if !blocks(outcome) || queue.is_empty() => {}
            Ok(_) => self.write_out(queue, &[])?,
            Err(_) => {
                // Nothing may follow an alert (RFC 8446, 6.2), nor can the peer be expected to read it.
                queue.state = WriteState::CloseQueued;
                queue.bytes.clear();
                let _ = self.write_out(queue, &[]);
            }
        }
        outcome
    }

    /// What the TLS handshake agreed on; `None` on a plain connection.
    pub(crate) fn tls_info(&self) -> Option<TlsInfo> {
        self.lock().ok()?.wire.info()
    }

    /// Whether this connection is still in its TLS handshake.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.lock().is_ok_and(|queue| queue.wire.is_handshaking())
    }

    /// The client does not speak TLS: neither does what is sent from now on.
    pub(crate) fn downgrade_to_plaintext(&self) -> io::Result<()> {
        self.lock()?.wire = RecordLayer::Plain;
        Ok(())
    }

    /// Queues the Close that tells a verdict.
    pub(super) fn queue_close(&self, queue: &mut WriteQueue, termination_reason: TerminationReason) {
        let (code, reason) = termination_reason.close();
        queue.append_close(code, reason);
        self.set_termination_reason(termination_reason);
    }

    /// Notes why another thread ends the session, unless a reason was noted before.
    pub(crate) fn set_termination_reason(&self, termination_reason: TerminationReason) {
        let _ = self.termination_reason.compare_exchange(0, termination_reason as u8, Relaxed, Relaxed);
    }

    /// Why another thread ended the session, if one did.
    pub(crate) fn termination_reason(&self) -> Option<TerminationReason> {
        TerminationReason::from_u8(self.termination_reason.load(Relaxed))
    }

    /// Writes the queue and then `payload`, blocking until the kernel has all of it. There is no deadline here: a
    /// send time-out on the socket only makes progress visible, and the supervisor cuts a peer that makes none.
    fn write_out(&self, queue: &mut WriteQueue, payload: &[u8]) -> io::Result<()> {
        self.writing.store(true, Relaxed);
        let outcome = queue.wire.write(&self.socket, &queue.bytes, payload);
        self.writing.store(false, Relaxed);
        self.unsent.store(false, Relaxed);
        queue.empty();
        if outcome.is_err() {
            // Part of a frame may have gone out: anything that followed would be read as its rest.
            queue.state = WriteState::CloseQueued;
        }
        outcome
    }

    /// The worker's lock. Only a bug poisons it, and then only this session ends.
    fn lock(&self) -> io::Result<MutexGuard<'_, WriteQueue>> {
        self.queue.lock().map_err(|_| poisoned())
    }
}

/// The error of a session whose thread panicked while it held the lock.
pub(super) fn poisoned() -> io::Error {
    io::Error::other("a thread panicked while it wrote to this session")
}
