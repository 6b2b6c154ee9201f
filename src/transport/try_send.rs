//! The methods of [`FrameWriter`] for threads other than the worker. They block neither on the lock nor on
//! the peer.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{MutexGuard, TryLockError};

use tungstenite::protocol::frame::FrameHeader;

use super::frame_writer::{FrameWriter, poisoned_lock_error};
use super::termination::TerminationReason;
use super::write_queue::{WriteQueue, WriteState};

/// Maximum size of a queue that is not empty, including the new frame, in bytes, when another thread sends a
/// frame. Above it the caller gets [`TrySend::Busy`].
const HIGH_WATER_MARK: usize = 256 << 10;

/// The result of a non-blocking send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrySend {
    /// The kernel accepted all of it.
    Sent,
    /// It was queued. The worker's next write or the next [`FrameWriter::try_flush`] sends the rest.
    Queued,
    /// Nothing was queued: the worker holds the lock, or the queue is full, or a fragmented message is
    /// unfinished. A later call may succeed.
    Busy,
    /// Nothing was queued: the session is not open yet, or a Close frame was queued.
    Closed,
}

impl FrameWriter {
    /// Sends one whole frame without blocking.
    ///
    /// Returns [`TrySend::Busy`] if the queue is not empty and would exceed 256 KiB, or if a data frame would
    /// fall between two fragments of a message.
    pub(crate) fn try_send(&self, header: &FrameHeader, payload: &[u8]) -> io::Result<TrySend> {
        self.try_append(|queue| {
            let full = !queue.bytes.is_empty() && queue.bytes.len() + payload.len() > HIGH_WATER_MARK;
            if full || queue.would_split_message(header) {
                return false;
            }
            queue.append_header(header, payload.len());
            queue.bytes.extend_from_slice(payload);
            true
        })
    }

    /// Sends a Close frame without blocking, after everything in the queue, however long the queue is.
    ///
    /// Stores `termination_reason` in the same hold of the lock, so a worker whose send returns `false` finds
    /// the reason. Returns [`TrySend::Busy`] if the worker holds the lock; the worker then queues the Close
    /// frame in its next [`send`](Self::send) or [`flush`](Self::flush).
    pub(crate) fn try_close(&self, termination_reason: TerminationReason) -> io::Result<TrySend> {
        let result = self.try_append(|queue| {
            self.queue_close(queue, termination_reason);
            true
        })?;
        if result == TrySend::Busy {
            let _ = self.pending_close.compare_exchange(0, termination_reason as u8, Relaxed, Relaxed);
        }
        Ok(result)
    }

    /// Sends the final response to a client in its handshake without blocking, then shuts down the sending
    /// half of the socket. Stores `termination_reason` in the same hold of the lock.
    ///
    /// Returns [`TrySend::Closed`] if a response was queued before, and [`TrySend::Busy`] if the worker holds
    /// the lock. Returns [`TrySend::Queued`] if the kernel did not accept all of it; the sending half is then
    /// not shut down. Fails with `NotConnected` during the TLS handshake, when the client could not read the
    /// response.
    pub(crate) fn try_respond(
        &self,
        bytes: &[u8],
        termination_reason: TerminationReason,
    ) -> io::Result<TrySend> {
        let Some(mut queue) = self.try_lock()? else { return Ok(TrySend::Busy) };
        if queue.state != WriteState::Handshake {
            return Ok(TrySend::Closed);
        }
        if queue.record_layer.is_handshaking() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !queue.bytes.is_empty() {
            return Ok(TrySend::Busy);
        }
        queue.bytes.extend_from_slice(bytes);
        queue.state = WriteState::CloseQueued;
        self.set_termination_reason(termination_reason);
        let mut result = self.write_nonblocking(&mut queue)?;
        if result == TrySend::Sent {
            queue.record_layer.queue_close_notify();
            result = self.write_nonblocking(&mut queue)?;
        }
        if result == TrySend::Sent {
            self.socket().shutdown(Shutdown::Write)?;
        }
        Ok(result)
    }

    /// Sends the bytes that an earlier non-blocking send left in the queue, as far as the kernel accepts them
    /// now. Has no effect while another thread holds the lock.
    pub(crate) fn try_flush(&self) -> io::Result<()> {
        if self.unsent.load(Relaxed)
            && let Some(mut queue) = self.try_lock()?
        {
            self.write_nonblocking(&mut queue)?;
        }
        Ok(())
    }

    /// Returns whether a non-blocking send left bytes in the queue.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent.load(Relaxed)
    }

    /// Calls `append` if the lock is free and the session is open, then sends the queue without blocking.
    /// Returns [`TrySend::Busy`] if the lock is not free or `append` returns `false`.
    fn try_append(&self, append: impl FnOnce(&mut WriteQueue) -> bool) -> io::Result<TrySend> {
        let Some(mut queue) = self.try_lock()? else { return Ok(TrySend::Busy) };
        if queue.state != WriteState::Open {
            return Ok(TrySend::Closed);
        }
        if !append(&mut queue) {
            return Ok(TrySend::Busy);
        }
        self.write_nonblocking(&mut queue)
    }

    /// Sends what the kernel accepts at once. The rest stays in the queue.
    fn write_nonblocking(&self, queue: &mut WriteQueue) -> io::Result<TrySend> {
        let consumed = queue.record_layer.try_write(&self.socket, &queue.bytes)?;
        queue.bytes.drain(..consumed);
        let unsent = !queue.is_empty();
        self.unsent.store(unsent, Relaxed);
        if !unsent {
            queue.clear();
        }
        Ok(if unsent { TrySend::Queued } else { TrySend::Sent })
    }

    /// Locks the queue without blocking; returns `None` while another thread holds the lock.
    pub(super) fn try_lock(&self) -> io::Result<Option<MutexGuard<'_, WriteQueue>>> {
        match self.queue.try_lock() {
            Ok(queue) => Ok(Some(queue)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Poisoned(_)) => Err(poisoned_lock_error()),
        }
    }
}
