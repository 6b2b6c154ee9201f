//! What other threads than the worker do with an outbox: they never wait, neither for its lock nor for the peer.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{MutexGuard, TryLockError};

use tungstenite::protocol::frame::FrameHeader;

use super::frame_writer::{FrameWriter, poisoned};
use super::termination::TerminationReason;
use super::write_queue::{WriteQueue, WriteState};

/// Another thread's message is not queued behind more than this, in bytes: a peer that reads too slowly misses it.
const HIGH_WATER_MARK: usize = 256 << 10;

/// What became of something that another thread wanted sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrySend {
    /// The kernel has it.
    Sent,
    /// It is in the queue; the rest of it goes out with the worker's next flush or the supervisor's next tick.
    Queued,
    /// Nothing was queued: the worker is writing, or too much waits already. Try again.
    Busy,
    /// Nothing was queued, and nothing can be any more, or not yet.
    Closed,
}

impl FrameWriter {
    /// Another thread's way to send a frame.
    pub(crate) fn try_send(&self, header: &FrameHeader, payload: &[u8]) -> io::Result<TrySend> {
        self.try_append(|queue| {
            let full = !queue.bytes.is_empty() && queue.bytes.len() + payload.len() > HIGH_WATER_MARK;
            if full || queue.is_inside_message_of(header) {
                return false;
            }
            queue.append_header(header, payload.len());
            queue.bytes.extend_from_slice(payload);
            true
        })
    }

    /// Another thread's Close. It is queued behind everything gathered, even when that has to wait. The verdict is
    /// noted in the same hold of the lock, so that whoever meets the seal finds it. Where the worker is writing, it is
    /// asked to close as soon as it has.
    pub(crate) fn try_close(&self, termination_reason: TerminationReason) -> io::Result<TrySend> {
        let posted = self.try_append(|queue| {
            self.queue_close(queue, termination_reason);
            true
        })?;
        if posted == TrySend::Busy {
            let _ = self.pending_close.compare_exchange(0, termination_reason as u8, Relaxed, Relaxed);
        }
        Ok(posted)
    }

    /// Another thread's final answer to a client that is still in its handshake; nothing of an answer has gone
    /// out at that stage. Ends the sending half, so that the client sees where the answer ends. The verdict is
    /// noted as by [`try_close`](Self::post_close). A client that is still in its TLS handshake could not read the answer: that
    /// is an error.
    pub(crate) fn try_respond(
        &self,
        bytes: &[u8],
        termination_reason: TerminationReason,
    ) -> io::Result<TrySend> {
        let Some(mut queue) = self.try_lock()? else { return Ok(TrySend::Busy) };
        if queue.state != WriteState::Handshake {
            return Ok(TrySend::Closed);
        }
        if queue.wire.is_handshaking() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !queue.bytes.is_empty() {
            return Ok(TrySend::Busy);
        }
        queue.bytes.extend_from_slice(bytes);
        queue.state = WriteState::CloseQueued;
        self.set_termination_reason(termination_reason);
        let mut posted = self.send_without_waiting(&mut queue)?;
        if posted == TrySend::Sent {
            queue.wire.queue_close_notify();
            posted = self.send_without_waiting(&mut queue)?;
        }
        if posted == TrySend::Sent {
            self.socket().shutdown(Shutdown::Write)?;
        }
        Ok(posted)
    }

    /// Another thread's try to get rid of what an earlier non-blocking send left behind.
    pub(crate) fn try_flush(&self) -> io::Result<()> {
        if self.unsent.load(Relaxed)
            && let Some(mut queue) = self.try_lock()?
        {
            self.send_without_waiting(&mut queue)?;
        }
        Ok(())
    }

    /// Whether a non-blocking send left bytes behind.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent.load(Relaxed)
    }

    /// Lets `add` append to the queue of an open connection if the worker is not writing.
    fn try_append(&self, add: impl FnOnce(&mut WriteQueue) -> bool) -> io::Result<TrySend> {
        let Some(mut queue) = self.try_lock()? else { return Ok(TrySend::Busy) };
        if queue.state != WriteState::Open {
            return Ok(TrySend::Closed);
        }
        if !add(&mut queue) {
            return Ok(TrySend::Busy);
        }
        self.send_without_waiting(&mut queue)
    }

    /// Sends what the kernel takes at once; the rest stays queued, and owed.
    fn send_without_waiting(&self, queue: &mut WriteQueue) -> io::Result<TrySend> {
        let done = queue.wire.try_write(&self.socket, &queue.bytes)?;
        queue.bytes.drain(..done);
        let unsent = !queue.is_empty();
        self.unsent.store(unsent, Relaxed);
        if !unsent {
            queue.empty();
        }
        Ok(if unsent { TrySend::Queued } else { TrySend::Sent })
    }

    /// Another thread's lock: `None` while the worker holds it.
    pub(super) fn try_lock(&self) -> io::Result<Option<MutexGuard<'_, WriteQueue>>> {
        match self.queue.try_lock() {
            Ok(queue) => Ok(Some(queue)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Poisoned(_)) => Err(poisoned()),
        }
    }
}
