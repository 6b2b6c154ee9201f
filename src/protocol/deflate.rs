//! One message in, its compressed payload out (RFC 7692, section 7.2.1).

use flate2::{Compress, Compression, FlushCompress};

use crate::platform::pool::Pool;

/// A smaller message that the server is free to send either way goes out as it is: the gain would be a few
/// bytes, the cost is microseconds.
pub const COMPRESS_FROM: usize = 256;
/// The fastest level. Level 6 takes five times the time for a few per cent fewer bytes.
pub const DEFAULT_LEVEL: u32 = 1;
/// What zlib calls 9.
pub const HIGHEST_LEVEL: u32 = 9;

/// What a sync flush ends with and the receiver adds again.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// A compressor with what it was made for.
struct Compressor {
    compress: Compress,
    level: u32,
    window_bits: u8,
}

/// Compressors that nobody uses. Each takes 250 to 380 KB, at any window size, so one a connection would be too many,
/// and so would one a thread: a hundred of them at work in turn do not fit a cache, which doubled the time a message
/// took. No more are ever at work than there are processors, but for threads that were interrupted.
static COMPRESSORS: Pool<Compressor> = Pool::new(POOL_CAPACITY);

/// Compressors that are kept.
const POOL_CAPACITY: usize = 16;

/// Compresses a message where that makes it smaller; `None` says to send it as it is, which a sender is free
/// to do for each message (section 6).
///
/// For what the server says unasked. The answer to a message goes the way the message came: [`deflate`] after
/// a compressed one of any size, for the client chose to have it so and may test just that, and plain after a
/// plain one.
#[must_use]
pub fn deflate_if_smaller(message: &[u8], level: u32, window_bits: u8) -> Option<Vec<u8>> {
    if message.len() < COMPRESS_FROM {
        return None;
    }
    deflate(message, level, window_bits).filter(|payload| payload.len() < message.len())
}

/// Compresses a message by itself, without what came before it, into the payload of a frame with RSV1.
///
/// `level` is 0 to 9 and `window_bits` 9 to 15, as [negotiated](super::negotiation::Negotiated); values
/// outside are moved to the nearest. `None` only if the compressor fails, which no message makes it do.
#[must_use]
pub fn deflate(message: &[u8], level: u32, window_bits: u8) -> Option<Vec<u8>> {
    let (level, window_bits) = (level.min(HIGHEST_LEVEL), window_bits.clamp(9, 15));
    let fitting = COMPRESSORS.acquire(|it| it.level == level && it.window_bits == window_bits);
    let mut compressor = fitting.unwrap_or_else(|| Compressor {
        compress: Compress::new_with_window_bits(Compression::new(level), false, window_bits),
        level,
        window_bits,
    });
    // Given back only after success: a compressor that failed is not used again.
    let payload = run(&mut compressor.compress, message)?;
    COMPRESSORS.release(compressor);
    Some(payload)
}

fn run(compress: &mut Compress, message: &[u8]) -> Option<Vec<u8>> {
    compress.reset();
    let mut payload = Vec::with_capacity(bound(message.len()));
    loop {
        let taken = usize::try_from(compress.total_in()).ok()?;
        compress.compress_vec(message.get(taken..)?, &mut payload, FlushCompress::Sync).ok()?;
        // Room left over is the only proof that the flush is complete. Asked once more than needed, zlib
        // writes its marker a second time: a waste, and the reason for the generous first buffer.
        if payload.len() < payload.capacity() {
            break;
        }
        payload.reserve(payload.len() / 2);
    }
    if message.is_empty() {
        // Section 7.2.3.6: a flush with nothing to flush may write nothing at all.
        return Some(vec![0x00]);
    }
    payload.ends_with(&TAIL).then(|| payload.truncate(payload.len() - TAIL.len()))?;
    Some(payload)
}

/// More than a message can grow to: nine bits for a byte in a static block, or five bytes for each stored
/// block, and the flush.
fn bound(length: usize) -> usize {
    length + length / 8 + length / 128 + 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::inflate::inflate;

    #[test]
    fn hello_is_the_example_of_the_rfc() {
        let payload = deflate(b"Hello", DEFAULT_LEVEL, 15).unwrap();
        assert_eq!(payload, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    }

    #[test]
    fn an_empty_message_is_one_zero_byte() {
        assert_eq!(deflate(b"", DEFAULT_LEVEL, 15).unwrap(), [0x00]);
    }

    #[test]
    fn small_and_random_messages_stay_as_they_are() {
        assert_eq!(deflate_if_smaller(&[b'a'; COMPRESS_FROM - 1], DEFAULT_LEVEL, 15), None);
        assert!(deflate_if_smaller(&[b'a'; COMPRESS_FROM], DEFAULT_LEVEL, 15).is_some());
        assert_eq!(deflate_if_smaller(&noise(1000), DEFAULT_LEVEL, 15), None);
    }

    #[test]
    fn no_message_outgrows_the_first_buffer() {
        for level in 0..=9 {
            for window_bits in 9..=15 {
                for length in [1, 5, 300, 16_383, 70_000] {
                    let message = noise(length);
                    let payload = deflate(&message, level, window_bits).unwrap();
                    assert!(payload.len() < bound(length), "level {level}, {length} bytes");
                    assert_eq!(inflate(&payload, length).unwrap(), message);
                }
            }
        }
    }

    /// A client with a small window must be able to read what was made for it (section 7.1.2.1): so what
    /// comes again after 600 bytes is found in a window of 1024 bytes and not in one of 512.
    #[test]
    fn the_window_is_honoured() {
        let mut message = noise(600);
        message.extend_from_within(..);
        for level in 1..=9 {
            let wide = deflate(&message, level, 10).unwrap().len();
            let narrow = deflate(&message, level, 9).unwrap().len();
            assert!(wide < 700 && narrow > 1100, "level {level}: {wide} and {narrow} bytes");
        }
    }

    /// Bytes that do not compress, the same every time.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }
}
