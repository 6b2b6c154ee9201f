//! One compressed message in, the message out, never more of it than the limit (RFC 7692, section 7.2.2).

use std::{error, fmt};

use flate2::{Decompress, FlushDecompress, Status};

use crate::platform::pool::Pool;

/// The four bytes that the sender took off (section 7.2.1), which end the last block and align the stream;
/// then an empty final block. Only a message that was whole ends with exactly this block, so a truncated one
/// is told from a complete one.
const TAIL: [u8; 6] = [0x00, 0x00, 0xff, 0xff, 0x03, 0x00];

/// First guess at the size of the message: JSON shrinks to about a quarter.
const GUESS: usize = 4;
/// Below this a smaller buffer saves nothing.
const SMALLEST: usize = 256;

/// Why a message could not be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// The message is larger than the limit: Close 1009.
    TooLarge,
    /// The bytes are not a complete DEFLATE stream: Close 1007.
    Corrupt,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "message larger than the limit after inflating",
            Self::Corrupt => "compressed message that does not inflate",
        })
    }
}

impl error::Error for InflateError {}

/// Decompressors that nobody uses, of about 47 KB each at any window size. Since no context is taken over (section
/// 7.1.1), none is needed between two messages, and a connection that waits costs nothing.
static DECOMPRESSORS: Pool<Decompress> = Pool::new(POOL_CAPACITY);

/// Decompressors that are kept.
const POOL_CAPACITY: usize = 16;

/// Inflates the payload of one message to at most `max` bytes.
///
/// Never reserves more than `max + 1`: the one byte more is what proves the message too large.
pub fn inflate(payload: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let mut decompress = DECOMPRESSORS.acquire(|_| true).unwrap_or_else(|| Decompress::new(false));
    // At the start, not at the end: whatever the last message did, nothing of it is left.
    decompress.reset(false);
    let mut inflater = Inflater { decompress: &mut decompress, message: Vec::new(), max };
    inflater.reserve(payload.len().saturating_mul(GUESS).max(SMALLEST));
    let outcome = inflater.run(payload).map(|()| inflater.message);
    DECOMPRESSORS.release(decompress);
    outcome
}

/// One message in work.
struct Inflater<'a> {
    decompress: &'a mut Decompress,
    message: Vec<u8>,
    max: usize,
}

impl Inflater<'_> {
    fn run(&mut self, mut payload: &[u8]) -> Result<(), InflateError> {
        while !payload.is_empty() {
            let (rest, status) = self.step(payload)?;
            payload = rest;
            if status == Status::StreamEnd {
                // A block with BFINAL ends the stream, not the message (section 7.2.3.4). A sender that
                // then leaves out the empty block is understood all the same.
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

    /// Inflates as much of the input as one buffer takes, and gives what is left of the input.
    ///
    /// Every call takes input or makes output, and both are bounded: so this ends on any bytes.
    fn step<'i>(&mut self, input: &'i [u8]) -> Result<(&'i [u8], Status), InflateError> {
        if self.message.len() == self.message.capacity() {
            self.reserve(self.message.capacity().saturating_mul(2));
        }
        let (taken_before, made_before) = (self.decompress.total_in(), self.message.len());
        let status = self.decompress.decompress_vec(input, &mut self.message, FlushDecompress::None);
        let status = status.map_err(|_| InflateError::Corrupt)?;
        if self.message.len() > self.max {
            return Err(InflateError::TooLarge);
        }
        let taken = self.decompress.total_in() - taken_before;
        let idle = taken == 0 && self.message.len() == made_before && status != Status::StreamEnd;
        let rest = usize::try_from(taken).ok().and_then(|taken| input.get(taken..));
        rest.filter(|_| !idle).map(|rest| (rest, status)).ok_or(InflateError::Corrupt)
    }

    fn reserve(&mut self, capacity: usize) {
        let capacity = capacity.min(self.max.saturating_add(1));
        self.message.reserve_exact(capacity.saturating_sub(self.message.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    /// The examples of RFC 7692, section 7.2.3: one static block, no compression, BFINAL, two blocks.
    #[test]
    fn the_examples_of_the_rfc_are_hello() {
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
    fn blocks_after_a_final_block_belong_to_the_message() {
        let payload = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflate(&payload, MAX).as_deref(), Ok(&b"HelloHello"[..]));
    }

    #[test]
    fn a_truncated_message_is_corrupt() {
        let whole = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        for length in 1..whole.len() {
            assert_eq!(inflate(&whole[..length], MAX), Err(InflateError::Corrupt), "{length} bytes");
        }
    }

    /// The second example of section 7.2.3.2 refers to the message before it, which nobody may see.
    #[test]
    fn nothing_of_the_last_message_can_be_read() {
        inflate(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], MAX).unwrap();
        assert_eq!(inflate(&[0xf2, 0x00, 0x11, 0x00, 0x00], MAX), Err(InflateError::Corrupt));
    }

    #[test]
    fn the_limit_is_exact() {
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert!(inflate(&hello, 5).is_ok());
        assert_eq!(inflate(&hello, 4), Err(InflateError::TooLarge));
        assert_eq!(inflate(&[0x00], 0).as_deref(), Ok(&b""[..]));
    }
}
