//! What other threads than the worker do with an outbox: they never wait, neither for its lock nor for the peer.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{MutexGuard, TryLockError};

use tungstenite::protocol::frame::FrameHeader;

use super::super::queue::{Queue, Stage};
use super::{Outbox, poisoned};
use crate::verdict::Verdict;

/// Another thread's message is not queued behind more than this, in bytes: a peer that reads too slowly misses it.
const PUSH_LIMIT: usize = 256 << 10;

/// What became of something that another thread wanted sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// The kernel has it.
    Sent,
    /// It is in the queue; the rest of it goes out with the worker's next flush or the supervisor's next tick.
    Queued,
    /// Nothing was queued: the worker is writing, or too much waits already. Try again.
    Busy,
    /// Nothing was queued, and nothing can be any more, or not yet.
    Refused,
}

impl Outbox {
    /// Another thread's way to send a frame.
    pub(crate) fn post(&self, header: &FrameHeader, payload: &[u8]) -> io::Result<Posted> {
        self.post_with(|queue| {
            let full = !queue.bytes.is_empty() && queue.bytes.len() + payload.len() > PUSH_LIMIT;
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
    pub(crate) fn post_close(&self, verdict: Verdict) -> io::Result<Posted> {
        let posted = self.post_with(|queue| {
            self.seal(queue, verdict);
            true
        })?;
        if posted == Posted::Busy {
            let _ = self.wanted.compare_exchange(0, verdict as u8, Relaxed, Relaxed);
        }
        Ok(posted)
    }

    /// Another thread's final answer to a client that is still in its handshake; nothing of an answer has gone
    /// out at that stage. Ends the sending half, so that the client sees where the answer ends. The verdict is
    /// noted as by [`post_close`](Self::post_close). A client that is still in its TLS handshake could not read the answer: that
    /// is an error.
    pub(crate) fn post_answer(&self, bytes: &[u8], verdict: Verdict) -> io::Result<Posted> {
        let Some(mut queue) = self.try_lock()? else { return Ok(Posted::Busy) };
        if queue.stage != Stage::Handshake {
            return Ok(Posted::Refused);
        }
        if queue.wire.is_handshaking() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !queue.bytes.is_empty() {
            return Ok(Posted::Busy);
        }
        queue.bytes.extend_from_slice(bytes);
        queue.stage = Stage::Sealed;
        self.judge(verdict);
        let mut posted = self.send_without_waiting(&mut queue)?;
        if posted == Posted::Sent {
            queue.wire.end();
            posted = self.send_without_waiting(&mut queue)?;
        }
        if posted == Posted::Sent {
            self.socket().shutdown(Shutdown::Write)?;
        }
        Ok(posted)
    }

    /// Another thread's try to get rid of what an earlier non-blocking send left behind.
    pub(crate) fn nudge(&self) -> io::Result<()> {
        if self.owed.load(Relaxed)
            && let Some(mut queue) = self.try_lock()?
        {
            self.send_without_waiting(&mut queue)?;
        }
        Ok(())
    }

    /// Whether a non-blocking send left bytes behind.
    pub(crate) fn is_owed(&self) -> bool {
        self.owed.load(Relaxed)
    }

    /// Lets `add` append to the queue of an open connection if the worker is not writing.
    fn post_with(&self, add: impl FnOnce(&mut Queue) -> bool) -> io::Result<Posted> {
        let Some(mut queue) = self.try_lock()? else { return Ok(Posted::Busy) };
        if queue.stage != Stage::Open {
            return Ok(Posted::Refused);
        }
        if !add(&mut queue) {
            return Ok(Posted::Busy);
        }
        self.send_without_waiting(&mut queue)
    }

    /// Sends what the kernel takes at once; the rest stays queued, and owed.
    fn send_without_waiting(&self, queue: &mut Queue) -> io::Result<Posted> {
        let done = queue.wire.post(&self.line, &queue.bytes)?;
        queue.bytes.drain(..done);
        let owed = !queue.is_empty();
        self.owed.store(owed, Relaxed);
        if !owed {
            queue.empty();
        }
        Ok(if owed { Posted::Queued } else { Posted::Sent })
    }

    /// Another thread's lock: `None` while the worker holds it.
    pub(super) fn try_lock(&self) -> io::Result<Option<MutexGuard<'_, Queue>>> {
        match self.queue.try_lock() {
            Ok(queue) => Ok(Some(queue)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Poisoned(_)) => Err(poisoned()),
        }
    }
}
