//! Sends everything that goes to one peer: a mutex around a queue of whole frames.
//!
//! This file has the methods of the connection's worker, which may block; `try_send.rs` has those of other
//! threads, which never block. [`FrameWriter`] has the contract.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use tungstenite::protocol::frame::FrameHeader;

use super::mss::mss_remainder;
use super::record_layer::{CountingSocket, RecordLayer, TlsInfo};
use super::termination::TerminationReason;
use super::write_queue::{FLUSH_THRESHOLD, WriteQueue, WriteState};
use crate::protocol::opcode::{self, first_opcode};

/// Payloads from this size on, in bytes, are sent from the caller's memory instead of being copied into the
/// queue, unless more data follows and the queue has space. A copy of 16 KiB costs a fifth of a write.
pub(super) const DIRECT_WRITE_MIN: usize = 16 << 10;

/// Sends frames and HTTP responses to one peer, from several threads.
///
/// # Which thread calls which method
///
/// - The worker calls [`send`](Self::send), [`write_raw_frame`](Self::write_raw_frame),
///   [`flush`](Self::flush), [`close`](Self::close), [`shutdown_write`](Self::shutdown_write) and the methods
///   for handshake and TLS. They wait for the lock, which other threads never hold for long. They may block
///   in a send while they hold it. [`send_close_notify`](Self::send_close_notify) is for the worker too, but
///   does not block.
/// - Other threads, that is the supervisor and the workers of other sessions, call
///   [`try_send`](Self::try_send), [`try_close`](Self::try_close), [`try_respond`](Self::try_respond) and
///   [`try_flush`](Self::try_flush). They only try the lock and send without blocking, so a peer that does
///   not read delays no thread but its worker.
/// - Any thread calls [`is_writing`](Self::is_writing), [`progress`](Self::progress),
///   [`has_unsent`](Self::has_unsent), [`termination_reason`](Self::termination_reason) and
///   [`set_termination_reason`](Self::set_termination_reason). They use atomics and no lock, so the
///   supervisor can detect a stalled write while the worker holds the lock.
///
/// # What each hold of the lock guarantees
///
/// - It adds whole frames or a whole response, and bytes are sent in the order in which they were added. So
///   no frame interrupts another one, although a send may end inside a frame: the rest stays first in the
///   queue. The exception is [`write_raw_frame`](Self::write_raw_frame), which need not get a valid frame.
/// - A Close frame or a final response, and the state after which nothing can be added, are set in the same
///   hold. So nothing follows a Close frame (RFC 6455, 5.5.1). [`try_close`](Self::try_close) sets the
///   termination reason in that hold too.
/// - After a failed write of the worker nothing can be added, because a part of a frame may have been sent.
/// - The queue records in the same hold whether a fragmented message is unfinished. Then other threads can
///   add control frames but no data frames (RFC 6455, 5.4).
///
/// # How a control frame (Ping, Close) gets between two data frames
///
/// The worker releases the lock after each frame. Another thread that gets the lock then adds its frame
/// after the frames in the queue and sends what the kernel accepts at once; the next send of any thread
/// sends the rest. If the lock is taken, [`try_send`](Self::try_send) returns `Busy`, and the caller tries
/// again later. A worker that sends all the time could make each try fail. Therefore
/// [`try_close`](Self::try_close) also stores its reason, and the worker adds the Close frame itself in its
/// next [`send`](Self::send) or [`flush`](Self::flush).
#[derive(Debug)]
pub(crate) struct FrameWriter {
    pub(super) socket: CountingSocket,
    pub(super) queue: Mutex<WriteQueue>,
    /// The last non-blocking send left bytes in the queue.
    pub(super) unsent: AtomicBool,
    /// The worker is in a send that may block.
    writing: AtomicBool,
    /// Why another thread ended the session: a [`TerminationReason`], or 0. Set once.
    termination_reason: AtomicU8,
    /// Reason of the Close frame that the worker must queue: a [`TerminationReason`], or 0. Set once.
    pub(super) pending_close: AtomicU8,
}

impl FrameWriter {
    /// Creates the frame writer of a connection whose handshake has not begun.
    pub(crate) fn new(socket: TcpStream, record_layer: RecordLayer) -> Self {
        Self {
            socket: CountingSocket::new(socket),
            queue: Mutex::new(WriteQueue::new(record_layer)),
            unsent: AtomicBool::new(false),
            writing: AtomicBool::new(false),
            termination_reason: AtomicU8::new(0),
            pending_close: AtomicU8::new(0),
        }
    }

    /// Returns the socket, to receive from it or to set its options.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.socket.get()
    }

    /// Returns whether the worker is in a send that may block.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing.load(Relaxed)
    }

    /// Returns a number that changes with each successful send.
    pub(crate) fn progress(&self) -> u64 {
        self.socket.progress()
    }

    /// Sends one frame of the worker with the payload `prefix` followed by `payload`. Returns `false`, and
    /// sends nothing, after a Close frame or final response was queued. Fails before the response to the
    /// handshake was queued.
    ///
    /// Small frames are queued; the queue is sent when it is larger than 48 KiB. A payload of 16 KiB or more
    /// is sent at once, after the queue, and this may block. If `more_follows`, that is if the caller will
    /// probably send another frame soon, larger frames are queued as well while the queue has at most 48 KiB,
    /// and the bytes after the last full TCP segment stay in the queue.
    pub(crate) fn send(
        &self,
        header: &FrameHeader,
        prefix: &[u8],
        payload: &[u8],
        more_follows: bool,
    ) -> io::Result<bool> {
        let mut queue = self.lock()?;
        self.queue_pending_close(&mut queue);
        match queue.state {
            WriteState::Open => {}
            WriteState::CloseQueued => return Ok(false),
            WriteState::Handshake => {
                return Err(io::Error::other("a frame was sent before the handshake response"));
            }
        }
        queue.track_fragments(header);
        queue.append_header(header, prefix.len() + payload.len());
        queue.bytes.extend_from_slice(prefix);
        let total = queue.bytes.len() + payload.len();
        if payload.len() < DIRECT_WRITE_MIN || (more_follows && total <= FLUSH_THRESHOLD) {
            queue.bytes.extend_from_slice(payload);
            self.write_above_threshold(&mut queue)?;
        } else {
            let deferred = if more_follows { mss_remainder(self.socket(), total) } else { 0 };
            let (now, later) = payload.split_at(payload.len() - deferred);
            self.write_blocking(&mut queue, now)?;
            queue.bytes.extend_from_slice(later);
        }
        Ok(true)
    }

    /// Sends the queue, blocking, if it is larger than [`FLUSH_THRESHOLD`].
    fn write_above_threshold(&self, queue: &mut WriteQueue) -> io::Result<()> {
        if queue.bytes.len() > FLUSH_THRESHOLD { self.write_blocking(queue, &[]) } else { Ok(()) }
    }

    /// Queues the Close frame that another thread stored in `pending_close`, if the session is open.
    fn queue_pending_close(&self, queue: &mut WriteQueue) {
        if let Some(termination_reason) = TerminationReason::from_u8(self.pending_close.load(Relaxed))
            && queue.state == WriteState::Open
        {
            self.queue_close(queue, termination_reason);
        }
    }

    /// Queues bytes as they are. Sends the queue, and may block, if it is larger than 48 KiB. Does nothing
    /// after a Close frame was queued.
    ///
    /// `bytes` is one whole frame that tungstenite built (its write buffer has size 0, so each of its writes
    /// is one Pong or Close), or comes from an endpoint that injects faults and need not be a valid frame. If
    /// it begins with the opcode of a Close, nothing can be added afterwards.
    pub(crate) fn write_raw_frame(&self, bytes: &[u8]) -> io::Result<()> {
        let mut queue = self.lock()?;
        if queue.state == WriteState::CloseQueued {
            return Ok(());
        }
        queue.bytes.extend_from_slice(bytes);
        if queue.state == WriteState::Open && first_opcode(bytes) == Some(opcode::CLOSE) {
            queue.state = WriteState::CloseQueued;
        }
        self.write_above_threshold(&mut queue)
    }

    /// Queues the 101 response, after which frames can be sent. Does not send it; the next flush does.
    /// Returns `false`, and queues nothing, if the supervisor queued a final response first.
    pub(crate) fn queue_upgrade(&self, response: &[u8]) -> io::Result<bool> {
        let mut queue = self.lock()?;
        let in_handshake = queue.state == WriteState::Handshake;
        if in_handshake {
            queue.bytes.extend_from_slice(response);
            queue.state = WriteState::Open;
        }
        Ok(in_handshake)
    }

    /// Sends the final response to a request that does not become a session. May block. Returns `false`, and
    /// sends nothing, if a response was queued before.
    pub(crate) fn send_response(&self, bytes: &[u8]) -> io::Result<bool> {
        let mut queue = self.lock()?;
        if queue.state != WriteState::Handshake {
            return Ok(false);
        }
        queue.bytes.extend_from_slice(bytes);
        queue.state = WriteState::CloseQueued;
        self.write_blocking(&mut queue, &[])?;
        Ok(true)
    }

    /// Sends the queue and a Close frame of the worker. May block. Returns `false`, and sends nothing, if the
    /// session is not open: for example after another Close frame was queued.
    pub(crate) fn close(&self, code: u16, reason: &str) -> io::Result<bool> {
        let mut queue = self.lock()?;
        if queue.state != WriteState::Open {
            return Ok(false);
        }
        queue.append_close(code, reason);
        self.write_blocking(&mut queue, &[])?;
        Ok(true)
    }

    /// Sends the queue, and the pending Close frame if there is one. May block. Call before a receive that
    /// may block.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut queue = self.lock()?;
        self.queue_pending_close(&mut queue);
        if queue.is_empty() { Ok(()) } else { self.write_blocking(&mut queue, &[]) }
    }

    /// Sends the queue and a TLS `close_notify`, then shuts down the sending half of the socket. May block.
    /// Nothing can be sent afterwards.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        let mut queue = self.lock()?;
        queue.state = WriteState::CloseQueued;
        if !queue.is_empty() {
            self.write_blocking(&mut queue, &[])?;
        }
        if queue.record_layer.queue_close_notify() {
            self.write_blocking(&mut queue, &[])?;
        }
        self.socket().shutdown(Shutdown::Write)
    }

    /// Sends a TLS `close_notify` without blocking (RFC 8446, 6.1), after which nothing can be sent. Has no
    /// effect on a plain connection, or while another thread holds the lock. Ignores errors.
    pub(crate) fn send_close_notify(&self) {
        if let Ok(Some(mut queue)) = self.try_lock()
            && queue.record_layer.queue_close_notify()
        {
            queue.state = WriteState::CloseQueued;
            let _ = queue.record_layer.try_write(&self.socket, &[]);
        }
    }

    /// Continues the TLS handshake: consumes bytes of `raw` and sends the records that they call for. May
    /// block. Returns whether the TLS handshake is complete; if not, all of `raw` was consumed.
    pub(crate) fn handshake(&self, raw: &mut &[u8]) -> io::Result<bool> {
        let mut queue = self.lock()?;
        let outcome = queue.record_layer.handshake(raw);
        self.write_after_tls_input(&mut queue, outcome, |complete| !complete)
    }

    /// Decrypts received bytes: consumes bytes of `raw` until some can be copied to `plaintext`, and returns
    /// the number of bytes copied.
    ///
    /// Returns `None` if more raw bytes are needed, and `Some(0)` after the peer's `close_notify`. In both
    /// cases it sends the queue first, and may block: the worker next blocks in a receive or ends the
    /// session.
    pub(crate) fn decrypt(&self, raw: &mut &[u8], plaintext: &mut [u8]) -> io::Result<Option<usize>> {
        let mut queue = self.lock()?;
        let outcome = queue.record_layer.decrypt(raw, plaintext);
        self.write_after_tls_input(&mut queue, outcome, |decrypted| matches!(decrypted, None | Some(0)))
    }

    /// Sends the queue if `blocks_next` returns `true` for the outcome of a TLS step. After a failed step
    /// sends only the alert.
    fn write_after_tls_input<T>(
        &self,
        queue: &mut WriteQueue,
        outcome: io::Result<T>,
        blocks_next: impl FnOnce(&T) -> bool,
    ) -> io::Result<T> {
        match &outcome {
            Ok(outcome) if !blocks_next(outcome) || queue.is_empty() => {}
            Ok(_) => self.write_blocking(queue, &[])?,
            Err(_) => {
                // Nothing may follow an alert (RFC 8446, 6.2). The peer may not read it, so an error is
                // ignored.
                queue.state = WriteState::CloseQueued;
                queue.bytes.clear();
                let _ = self.write_blocking(queue, &[]);
            }
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

    /// Replaces TLS by a plain connection, for a client that sent a plain HTTP request.
    pub(crate) fn downgrade_to_plaintext(&self) -> io::Result<()> {
        self.lock()?.record_layer = RecordLayer::Plain;
        Ok(())
    }

    /// Queues the Close frame for `termination_reason` and stores the reason.
    pub(super) fn queue_close(&self, queue: &mut WriteQueue, termination_reason: TerminationReason) {
        let (code, reason) = termination_reason.close_code_and_reason();
        queue.append_close(code, reason);
        self.set_termination_reason(termination_reason);
    }

    /// Stores why another thread ends the session, unless a reason was stored before.
    pub(crate) fn set_termination_reason(&self, termination_reason: TerminationReason) {
        let _ = self.termination_reason.compare_exchange(0, termination_reason as u8, Relaxed, Relaxed);
    }

    /// Returns why another thread ended the session, or `None` if none did.
    pub(crate) fn termination_reason(&self) -> Option<TerminationReason> {
        TerminationReason::from_u8(self.termination_reason.load(Relaxed))
    }

    /// Sends the queue, then `payload`. Blocks until the kernel has accepted all of it, without a deadline:
    /// the socket's send time-out bounds one system call, and the supervisor aborts a connection that makes
    /// no progress.
    fn write_blocking(&self, queue: &mut WriteQueue, payload: &[u8]) -> io::Result<()> {
        self.writing.store(true, Relaxed);
        let outcome = queue.record_layer.write(&self.socket, &queue.bytes, payload);
        self.writing.store(false, Relaxed);
        self.unsent.store(false, Relaxed);
        queue.clear();
        if outcome.is_err() {
            // A part of a frame may have been sent, and the peer would read anything else as its rest.
            queue.state = WriteState::CloseQueued;
        }
        outcome
    }

    /// Locks the queue; blocks. Only for the worker. Fails only if a thread panicked while it held the lock.
    fn lock(&self) -> io::Result<MutexGuard<'_, WriteQueue>> {
        self.queue.lock().map_err(|_| poisoned_lock_error())
    }
}

/// Returns the error for a lock whose holder panicked.
pub(super) fn poisoned_lock_error() -> io::Error {
    io::Error::other("a thread panicked while it wrote to this session")
}
