//! Inflates one compressed message up to a size limit (RFC 7692, section 7.2.2).
//!
//! Public because the load generator inflates replies with it.

use std::{error, fmt};

use flate2::{Decompress, FlushDecompress, Status};

use crate::platform::pool::Pool;

/// Bytes appended to the payload: the four that the sender removed (section 7.2.1), then an empty final
/// block. Only a complete message ends the stream with this block, so truncation is detected.
const TAIL: [u8; 6] = [0x00, 0x00, 0xff, 0xff, 0x03, 0x00];

/// Assumed ratio of message to payload for the first buffer: JSON shrinks to about a quarter.
const EXPECTED_RATIO: usize = 4;
/// Minimum size of the first buffer, in bytes. Smaller buffers save nothing.
const MIN_BUFFER: usize = 256;

/// Why a message could not be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// The message exceeds the limit; closes the session with 1009.
    TooLarge,
    /// The payload is no complete DEFLATE stream; closes the session with 1007.
    Corrupt,
    /// The server has not enough memory for the message; closes the session with 1013.
    OutOfMemory,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "message larger than the limit after inflating",
            Self::Corrupt => "compressed message that does not inflate",
            Self::OutOfMemory => "not enough memory to inflate a message",
        })
    }
}

impl error::Error for InflateError {}

/// Idle decompressors of about 47 KB each, shared by all threads. Without context takeover (section 7.1.1) a
/// session needs one only while it inflates a message.
static DECOMPRESSORS: Pool<Decompress> = Pool::new(POOL_CAPACITY);

/// Maximum number of idle decompressors.
const POOL_CAPACITY: usize = 16;

/// Inflates the payload of one message to at most `max` bytes.
///
/// Reserves at most `max + 1` bytes: the last one proves that the message is too large.
///
/// # Errors
///
/// [`InflateError::TooLarge`] if the message exceeds `max` bytes, [`InflateError::Corrupt`] if the payload is
/// no complete DEFLATE stream.
pub fn inflate(payload: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    inflate_within(payload, max, |_| true)
}

/// Inflates as [`inflate`] does. Asks `reserve` before each allocation for its size, in bytes; the message
/// takes no other memory.
///
/// # Errors
///
/// Those of [`inflate`], and [`InflateError::OutOfMemory`] if `reserve` returns `false`.
pub fn inflate_within(
    payload: &[u8],
    max: usize,
    reserve: impl FnMut(usize) -> bool,
) -> Result<Vec<u8>, InflateError> {
    let mut decompress = DECOMPRESSORS.acquire(|_| true).unwrap_or_else(|| Decompress::new(false));
    // Reset before use, because the last message may have failed.
    decompress.reset(false);
    let mut inflater = Inflater { decompress: &mut decompress, message: Vec::new(), max, reserve };
    let outcome = inflater
        .reserve(payload.len().saturating_mul(EXPECTED_RATIO).max(MIN_BUFFER))
        .and_then(|()| inflater.run(payload))
        .map(|()| inflater.message);
    DECOMPRESSORS.release(decompress);
    outcome
}

/// A message that is being inflated.
struct Inflater<'a, R> {
    decompress: &'a mut Decompress,
    message: Vec<u8>,
    max: usize,
    reserve: R,
}

impl<R: FnMut(usize) -> bool> Inflater<'_, R> {
    fn run(&mut self, mut payload: &[u8]) -> Result<(), InflateError> {
        while !payload.is_empty() {
            let (rest, status) = self.step(payload)?;
            payload = rest;
            if status == Status::StreamEnd {
                // A block with BFINAL ends the stream, not the message (section 7.2.3.4). The empty block
                // after the last one may be missing.
                if payload.is_empty() {
                    return Ok(());
                }
                self.decompress.reset(false);
            }
        }
        let mut tail = &TAIL[..];
        loop {
            let (rest, status) = self.step(tail)?;
            tail = rest;
            match (status, tail) {
                (Status::StreamEnd, []) => return Ok(()),
                (Status::StreamEnd, _) | (_, []) => return Err(InflateError::Corrupt),
                _ => {}
            }
        }
    }

    /// Inflates until the input is consumed or the buffer is full, and returns the rest of the input.
    ///
    /// Every call consumes input or produces output and both are bounded, so repeated calls end on any input.
    fn step<'i>(&mut self, input: &'i [u8]) -> Result<(&'i [u8], Status), InflateError> {
        if self.message.len() == self.message.capacity() {
            self.reserve(self.message.capacity().saturating_mul(2))?;
        }
        let (consumed_before, length_before) = (self.decompress.total_in(), self.message.len());
        let status = self.decompress.decompress_vec(input, &mut self.message, FlushDecompress::None);
        let status = status.map_err(|_| InflateError::Corrupt)?;
        if self.message.len() > self.max {
            return Err(InflateError::TooLarge);
        }
        let consumed = self.decompress.total_in() - consumed_before;
        let stalled = consumed == 0 && self.message.len() == length_before && status != Status::StreamEnd;
        let rest = usize::try_from(consumed).ok().and_then(|consumed| input.get(consumed..));
        rest.filter(|_| !stalled).map(|rest| (rest, status)).ok_or(InflateError::Corrupt)
    }

    /// Reserves up to `capacity` bytes in total, at most `max + 1`.
    fn reserve(&mut self, capacity: usize) -> Result<(), InflateError> {
        let capacity = capacity.min(self.max.saturating_add(1));
        if !(self.reserve)(capacity) {
            return Err(InflateError::OutOfMemory);
        }
        self.message.reserve_exact(capacity.saturating_sub(self.message.len()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    /// The examples of RFC 7692, section 7.2.3: one static block, no compression, BFINAL, two blocks.
    #[test]
    fn inflate_reads_the_rfc_examples() {
        for payload in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
            // Not in the RFC: BFINAL without the empty block after it.
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(inflate(payload, MAX).as_deref(), Ok(&b"Hello"[..]), "{payload:02x?}");
        }
        assert_eq!(inflate(&[0x00], MAX).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn inflate_reads_blocks_after_a_final_block() {
        let payload = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflate(&payload, MAX).as_deref(), Ok(&b"HelloHello"[..]));
    }

    #[test]
    fn inflate_rejects_truncated_messages() {
        let whole = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        for length in 1..whole.len() {
            assert_eq!(inflate(&whole[..length], MAX), Err(InflateError::Corrupt), "{length} bytes");
        }
    }

    /// The second example of section 7.2.3.2 refers to the message before it, which may belong to another
    /// session.
    #[test]
    fn inflate_does_not_expose_the_previous_message() {
        inflate(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], MAX).unwrap();
        assert_eq!(inflate(&[0xf2, 0x00, 0x11, 0x00, 0x00], MAX), Err(InflateError::Corrupt));
    }

    #[test]
    fn inflate_limit_is_exact() {
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert!(inflate(&hello, 5).is_ok());
        assert_eq!(inflate(&hello, 4), Err(InflateError::TooLarge));
        assert_eq!(inflate(&[0x00], 0).as_deref(), Ok(&b""[..]));
    }
}
