//! Sends everything that goes to one peer: a mutex around a queue of whole frames. [`FrameWriter`] has the
//! contract. `push.rs` has the methods for threads other than the worker that owns the session.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use socket2::Socket;
use tungstenite::Bytes;
use tungstenite::protocol::frame::FrameHeader;

use super::phase::{AtomicPhase, Phase};
use super::record_layer::{CountingSocket, RecordLayer, TlsInfo};
use super::termination::TerminationReason;
use super::write_queue::{FLUSH_THRESHOLD, WriteQueue};
use crate::platform::memory_budget::MemoryBudget;
use crate::platform::tune::tuning;
use crate::protocol::opcode::{self, first_opcode};

/// Payloads from this size on, in bytes, are sent from the caller's memory instead of being copied into the
/// queue, unless more data follows and the queue has space. A copy of 16 KiB costs a fifth of a write.
pub(super) const DIRECT_WRITE_MIN: usize = 16 << 10;

/// Returns [`DIRECT_WRITE_MIN`], or the value that replaces it.
pub(super) fn direct_write_min() -> usize {
    tuning().direct_write_min.unwrap_or(DIRECT_WRITE_MIN)
}

/// Sends frames and HTTP responses to one peer, from several threads. No method waits for the peer: what the
/// kernel does not take at once stays in the queue, and [`has_unsent`](Self::has_unsent) returns `true`. The
/// worker then sends the rest with [`flush`](Self::flush) when the socket has room.
///
/// # Which thread calls which method
///
/// - The worker that owns the session calls [`send`](Self::send), [`write_raw_frame`](Self::write_raw_frame),
///   [`flush`](Self::flush), [`close`](Self::close), [`shutdown_write`](Self::shutdown_write) and the methods
///   for handshake and TLS.
/// - Other threads, that is the supervisor and the workers of other sessions, call [`push`](Self::push),
///   [`terminate`](Self::terminate) and [`respond`](Self::respond).
/// - Any thread calls [`progress`](Self::progress), [`has_unsent`](Self::has_unsent), [`phase`](Self::phase),
///   [`termination_reason`](Self::termination_reason) and
///   [`set_termination_reason`](Self::set_termination_reason). They use atomics and no lock.
///
/// # What each hold of the lock guarantees
///
/// - It adds whole frames or a whole response, and bytes are sent in the order in which they were added. So
///   no frame interrupts another one, although a send may end inside a frame: the rest stays first in the
///   queue. The exception is [`write_raw_frame`](Self::write_raw_frame), which need not get a valid frame.
/// - A Close frame or a final response is added together with the [`Phase`] after which nothing can be added.
///   So nothing follows a Close frame (RFC 6455, 5.5.1). [`terminate`](Self::terminate) sets the termination
///   reason in that hold too.
/// - After a failed write nothing can be added, because a part of a frame may have been sent.
/// - The queue records in the same hold whether a fragmented message is unfinished. Then other threads can
///   add control frames but no data frames (RFC 6455, 5.4).
#[derive(Debug)]
pub(crate) struct FrameWriter {
    socket: CountingSocket,
    queue: Mutex<WriteQueue>,
    /// Bytes wait for room in the socket.
    unsent: AtomicBool,
    /// See [`super::phase`] for who changes it.
    phase: AtomicPhase,
    /// Why another thread ended the session: a [`TerminationReason`], or 0. Set once.
    termination_reason: AtomicU8,
}

impl FrameWriter {
    /// Creates the frame writer of a connection whose handshake has not begun. The socket must be
    /// non-blocking.
    pub(crate) fn new(socket: Socket, record_layer: RecordLayer, memory: &Arc<MemoryBudget>) -> Self {
        Self {
            socket: CountingSocket::new(socket),
            queue: Mutex::new(WriteQueue::new(record_layer, memory)),
            unsent: AtomicBool::new(false),
            phase: AtomicPhase::default(),
            termination_reason: AtomicU8::new(0),
        }
    }

    /// Returns the socket, to receive from it or to set its options.
    pub(crate) fn socket(&self) -> &Socket {
        self.socket.get()
    }

    /// Returns a number that changes with each successful send.
    pub(crate) fn progress(&self) -> u64 {
        self.socket.progress()
    }

    /// Returns whether bytes wait for room in the socket.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent.load(Relaxed)
    }

    /// Returns the current phase.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Sets the phase to `phase`, unless the connection is in a later one.
    pub(crate) fn advance_to(&self, phase: Phase) {
        self.phase.advance_to(phase);
    }

    /// Sends one frame of the worker with the payload `prefix` followed by `payload`. Returns `false`, and
    /// sends nothing, after a Close frame or final response was queued. Fails before the response to the
    /// handshake was queued.
    ///
    /// Small frames are queued; the queue is sent when it is larger than 48 KiB. A payload of 16 KiB or more
    /// is sent at once, after the queue. If `more_follows`, that is if the caller will probably send another
    /// frame soon, larger frames are queued as well while the queue has at most 48 KiB.
    pub(crate) fn send(
        &self,
        header: &FrameHeader,
        prefix: &[u8],
        payload: &Bytes,
        more_follows: bool,
    ) -> io::Result<bool> {
        let mut queue = self.lock()?;
        match self.phase() {
            Phase::Open => {}
            Phase::Handshake => {
                return Err(io::Error::other("a frame was sent before the handshake response"));
            }
            _ => return Ok(false),
        }
        queue.track_fragments(header);
        queue.append_header(header, prefix.len() + payload.len());
        queue.append(prefix);
        let total = queue.len() + payload.len();
        if payload.len() < direct_write_min() || (more_follows && total <= FLUSH_THRESHOLD) {
            queue.append(payload);
            self.write_above_threshold(&mut queue)?;
        } else {
            self.write_with(&mut queue, payload)?;
        }
        Ok(true)
    }

    /// Queues bytes as they are. Sends the queue if it is larger than 48 KiB. Does nothing after a Close
    /// frame was queued.
    ///
    /// `bytes` is one whole frame that tungstenite built (its write buffer has size 0, so each of its writes
    /// is one Pong or Close), or comes from an endpoint that injects faults and need not be a valid frame. If
    /// it begins with the opcode of a Close, nothing can be added afterwards.
    pub(crate) fn write_raw_frame(&self, bytes: &[u8]) -> io::Result<()> {
        let mut queue = self.lock()?;
        if self.phase() > Phase::Open {
            return Ok(());
        }
        queue.append(bytes);
        if self.phase() == Phase::Open && first_opcode(bytes) == Some(opcode::CLOSE) {
            self.advance_to(Phase::Closing);
        }
        self.write_above_threshold(&mut queue)
    }

    /// Queues the 101 response, after which frames can be sent. Does not send it; the next flush does.
    /// Returns `false`, and queues nothing, if the supervisor queued a final response first.
    pub(crate) fn queue_upgrade(&self, response: &[u8]) -> io::Result<bool> {
        let mut queue = self.lock()?;
        let in_handshake = self.phase() == Phase::Handshake;
        if in_handshake {
            queue.append(response);
            self.advance_to(Phase::Open);
        }
        Ok(in_handshake)
    }

    /// Sends the final response to a request that does not become a session. Returns `false`, and sends
    /// nothing, if a response was queued before.
    pub(crate) fn send_response(&self, bytes: &[u8]) -> io::Result<bool> {
        let mut queue = self.lock()?;
        if self.phase() != Phase::Handshake {
            return Ok(false);
        }
        queue.append(bytes);
        self.advance_to(Phase::Lingering);
        self.write(&mut queue)?;
        Ok(true)
    }

    /// Sends the queue and a Close frame of the worker. Returns `false`, and sends nothing, if the session is
    /// not open: for example after another Close frame was queued.
    pub(crate) fn close(&self, code: u16, reason: &str) -> io::Result<bool> {
        let mut queue = self.lock()?;
        if self.phase() != Phase::Open {
            return Ok(false);
        }
        queue.append_close(code, reason);
        self.advance_to(Phase::Closing);
        self.write(&mut queue)?;
        Ok(true)
    }

    /// Sends the queue. Returns whether all of it was sent. Call before the session gives its worker back.
    pub(crate) fn flush(&self) -> io::Result<bool> {
        let mut queue = self.lock()?;
        if queue.is_sent() { Ok(true) } else { self.write(&mut queue) }
    }

    /// Frees the memory that only a session with messages needs.
    pub(crate) fn shrink(&self) {
        if let Ok(mut queue) = self.lock() {
            queue.shrink();
        }
    }

    /// Sends the queue and a TLS `close_notify`, then shuts down the sending half of the socket. Returns
    /// whether that is done; if not, call again when the socket has room. Nothing can be added afterwards.
    pub(crate) fn shutdown_write(&self) -> io::Result<bool> {
        let mut queue = self.lock()?;
        self.advance_to(Phase::Closing);
        if !queue.is_sent() && !self.write(&mut queue)? {
            return Ok(false);
        }
        // rustls queues it once, however often it is called.
        if queue.record_layer.queue_close_notify() && !self.write(&mut queue)? {
            return Ok(false);
        }
        self.socket().shutdown(Shutdown::Write)?;
        Ok(true)
    }

    /// Sends a TLS `close_notify` (RFC 8446, 6.1), after which nothing can be sent. Has no effect on a plain
    /// connection. Ignores errors.
    pub(crate) fn send_close_notify(&self) {
        if let Ok(mut queue) = self.lock()
            && queue.record_layer.queue_close_notify()
        {
            self.advance_to(Phase::Closing);
            queue.discard();
            let _ = self.write(&mut queue);
        }
    }

    /// Continues the TLS handshake: consumes bytes of `raw` and sends the records that they call for. Returns
    /// whether the TLS handshake is complete; if not, all of `raw` was consumed.
    pub(crate) fn handshake(&self, raw: &mut &[u8]) -> io::Result<bool> {
        let mut queue = self.lock()?;
        let outcome = queue.record_layer.handshake(raw);
        self.write_after_tls_input(&mut queue, outcome)
    }

    /// Decrypts received bytes: consumes bytes of `raw` until some can be copied to `plaintext`, and returns
    /// the number of bytes copied.
    ///
    /// Returns `None` if more raw bytes are needed, and `Some(0)` after the peer's `close_notify`.
    pub(crate) fn decrypt(&self, raw: &mut &[u8], plaintext: &mut [u8]) -> io::Result<Option<usize>> {
        let mut queue = self.lock()?;
        let outcome = queue.record_layer.decrypt(raw, plaintext);
        if outcome.is_ok() { outcome } else { self.write_after_tls_input(&mut queue, outcome) }
    }

    /// Sends the records that a TLS step has queued. After a failed step sends only the alert.
    fn write_after_tls_input<T>(&self, queue: &mut WriteQueue, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.is_err() {
            // Nothing may follow an alert (RFC 8446, 6.2). The peer may not read it, so an error is ignored.
            self.advance_to(Phase::Closing);
            queue.discard();
            let _ = self.write(queue);
        } else if queue.record_layer.wants_write() {
            self.write(queue)?;
        }
        outcome
    }

    /// Returns the outcome of the TLS handshake, or `None` on a plain connection.
    pub(crate) fn tls_info(&self) -> Option<TlsInfo> {
        self.lock().ok()?.record_layer.info()
    }

    /// Returns whether the TLS handshake is not complete.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.lock().is_ok_and(|queue| queue.record_layer.is_handshaking())
    }

    /// Begins TLS on a connection on which nothing was sent or received, or ends it (`RecordLayer::Plain`)
    /// for a client that sent a plain HTTP request.
    pub(crate) fn set_record_layer(&self, record_layer: RecordLayer) -> io::Result<()> {
        self.lock()?.record_layer = record_layer;
        Ok(())
    }

    /// Stores why another thread ends the session, unless a reason was stored before.
    pub(crate) fn set_termination_reason(&self, termination_reason: TerminationReason) {
        let _ = self.termination_reason.compare_exchange(0, termination_reason as u8, Relaxed, Relaxed);
    }

    /// Returns why another thread ended the session, or `None` if none did.
    pub(crate) fn termination_reason(&self) -> Option<TerminationReason> {
        TerminationReason::from_u8(self.termination_reason.load(Relaxed))
    }

    /// Sends the queue if it is larger than [`FLUSH_THRESHOLD`].
    fn write_above_threshold(&self, queue: &mut WriteQueue) -> io::Result<()> {
        if queue.len() > FLUSH_THRESHOLD && !self.has_unsent() {
            self.write(queue)?;
        }
        Ok(())
    }

    /// Sends the queue. Returns whether all of it was sent.
    pub(super) fn write(&self, queue: &mut WriteQueue) -> io::Result<bool> {
        self.write_with(queue, &Bytes::new())
    }

    /// Sends the queue, then `payload`, as far as the kernel takes it at once. The rest of both is in the
    /// queue afterwards. Returns whether there is none.
    fn write_with(&self, queue: &mut WriteQueue, payload: &Bytes) -> io::Result<bool> {
        let mut rest = payload.clone();
        loop {
            let queued = queue.len();
            let (record_layer, parts) = queue.split();
            let consumed = match record_layer.write(&self.socket, parts, &rest) {
                Ok(consumed) => consumed,
                Err(error) => {
                    // A part of a frame may have been sent, and the peer would read anything else as its
                    // rest.
                    self.advance_to(Phase::Closing);
                    queue.discard();
                    queue.count_memory();
                    return Err(error);
                }
            };
            queue.consume(consumed.min(queued));
            rest = rest.slice(consumed.saturating_sub(queued)..);
            if consumed == 0 || (queue.is_sent() && rest.is_empty()) {
                break;
            }
        }
        queue.append_shared(rest);
        queue.count_memory();
        let sent = queue.is_sent();
        self.unsent.store(!sent, Relaxed);
        Ok(sent)
    }

    /// Locks the queue. No thread waits for a peer while it holds the lock.
    ///
    /// # Errors
    /// If a thread panicked while it held the lock.
    pub(super) fn lock(&self) -> io::Result<MutexGuard<'_, WriteQueue>> {
        self.queue.lock().map_err(|_| io::Error::other("a thread panicked while it wrote to this session"))
    }
}
