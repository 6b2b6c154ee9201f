//! The methods of [`FrameWriter`] for threads other than the worker that owns the session.

use std::io;
use std::net::Shutdown;

use tungstenite::Bytes;
use tungstenite::protocol::frame::FrameHeader;

use super::frame_writer::{FrameWriter, direct_write_min};
use super::phase::Phase;
use super::termination::TerminationReason;
use super::write_queue::WriteQueue;

/// Maximum size of a queue that is not empty, including the new frame, in bytes, when another thread pushes a
/// message. Above it the caller gets [`Pushed::Full`].
pub(crate) const HIGH_WATER_MARK: usize = 256 << 10;

/// What a method for other threads did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// The bytes were sent or queued. If they wait for room in the socket, the session waits for it too.
    Sent,
    /// The bytes were queued and wait for room in the socket since this call. The caller has to give the
    /// session a turn, in which it begins to wait for room.
    Blocked,
    /// Nothing was added: the queue is full, memory is short, or a fragmented message is unfinished. A later
    /// call may succeed.
    Full,
    /// Nothing was added: the session is not open yet, or a Close frame was queued.
    Closed,
}

impl FrameWriter {
    /// Adds one whole frame of another thread and sends the queue.
    ///
    /// Returns [`Pushed::Full`] if the queue is not empty and would exceed 256 KiB, if memory is short, or if
    /// a data frame would fall between two fragments of a message.
    pub(crate) fn push(&self, header: &FrameHeader, payload: &Bytes) -> io::Result<Pushed> {
        let mut queue = self.lock()?;
        if self.phase() != Phase::Open {
            return Ok(Pushed::Closed);
        }
        let full = !queue.is_empty() && queue.len() + payload.len() > HIGH_WATER_MARK;
        if full || queue.would_split_message(header) {
            return Ok(Pushed::Full);
        }
        if !queue.reserve(copied_length(payload)) {
            return Ok(Pushed::Full);
        }
        queue.append_header(header, payload.len());
        append(&mut queue, payload);
        if queue.is_sent() { Ok(Pushed::Sent) } else { self.write_from_other_thread(&mut queue) }
    }

    /// Adds whole data frames of another thread, and sends nothing. A queue that is not empty takes `limit`
    /// bytes. Returns what was done, as [`push`](Self::push) does, and the number of bytes in the queue.
    pub(crate) fn push_frames(&self, frames: &Bytes, limit: usize) -> io::Result<(Pushed, usize)> {
        let mut queue = self.lock()?;
        if self.phase() != Phase::Open {
            return Ok((Pushed::Closed, 0));
        }
        let full = !queue.is_empty() && queue.len() + frames.len() > limit;
        if full || queue.is_inside_message() || !queue.reserve(copied_length(frames)) {
            return Ok((Pushed::Full, queue.len()));
        }
        append(&mut queue, frames);
        Ok((Pushed::Sent, queue.len()))
    }

    /// Returns the number of bytes in the queue.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.lock().map_or(0, |queue| queue.len())
    }

    /// Sends the queue from another thread.
    pub(crate) fn flush_from_other_thread(&self) -> io::Result<Pushed> {
        let mut queue = self.lock()?;
        if queue.is_sent() { Ok(Pushed::Sent) } else { self.write_from_other_thread(&mut queue) }
    }

    /// Ends the session from another thread: sends the Close frame of `termination_reason` after everything
    /// in the queue, however long the queue is. Stores the reason in the same hold of the lock, so a worker
    /// whose send returns `false` finds it. Returns [`Pushed::Closed`], and sends nothing, if the session is
    /// not open.
    pub(crate) fn terminate(&self, termination_reason: TerminationReason) -> io::Result<Pushed> {
        let mut queue = self.lock()?;
        if self.phase() != Phase::Open {
            return Ok(Pushed::Closed);
        }
        let (code, reason) = termination_reason.close_code_and_reason();
        queue.append_close(code, reason);
        self.advance_to(Phase::Closing);
        self.set_termination_reason(termination_reason);
        self.write_from_other_thread(&mut queue)
    }

    /// Sends the final response to a client in its handshake from another thread, then shuts down the sending
    /// half of the socket. Stores `termination_reason` in the same hold of the lock. Returns
    /// [`Pushed::Closed`], and sends nothing, if a response was queued before. If the kernel does not take
    /// all of it, the sending half is not shut down.
    ///
    /// # Errors
    /// `NotConnected` during the TLS handshake, when the client could not read the response.
    pub(crate) fn respond(&self, bytes: &[u8], termination_reason: TerminationReason) -> io::Result<Pushed> {
        let mut queue = self.lock()?;
        if self.phase() != Phase::Handshake {
            return Ok(Pushed::Closed);
        }
        if queue.record_layer.is_handshaking() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        queue.append(bytes);
        self.advance_to(Phase::Lingering);
        self.set_termination_reason(termination_reason);
        let mut pushed = self.write_from_other_thread(&mut queue)?;
        // A plain connection has nothing more to write, which would be an error.
        if pushed == Pushed::Sent && queue.record_layer.queue_close_notify() {
            pushed = self.write_from_other_thread(&mut queue)?;
        }
        if pushed == Pushed::Sent {
            self.socket().shutdown(Shutdown::Write)?;
        }
        Ok(pushed)
    }

    /// Sends the queue from another thread.
    fn write_from_other_thread(&self, queue: &mut WriteQueue) -> io::Result<Pushed> {
        let waits_already = self.has_unsent();
        let sent = self.write(queue)?;
        Ok(if sent || waits_already { Pushed::Sent } else { Pushed::Blocked })
    }
}

/// Returns how many of these bytes are copied to the queue: all, or none of many.
fn copied_length(bytes: &Bytes) -> usize {
    if bytes.len() < direct_write_min() { bytes.len() } else { 0 }
}

/// Adds bytes to a queue, with a copy if they are few.
fn append(queue: &mut WriteQueue, bytes: &Bytes) {
    if bytes.len() < direct_write_min() {
        queue.append(bytes);
    } else {
        queue.append_shared(bytes.clone());
    }
}
