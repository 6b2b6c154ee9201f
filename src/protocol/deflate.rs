//! Compresses one message into the payload of a compressed frame (RFC 7692, section 7.2.1).
//!
//! Public because the load generator compresses its messages with it.

use flate2::{Compress, Compression, FlushCompress};

use crate::config::MAX_DEFLATE_LEVEL;
use crate::platform::pool::Pool;

/// Smallest message that [`deflate_if_smaller`] compresses, in bytes. Below it compression saves a few bytes
/// and costs microseconds.
const MIN_COMPRESS_SIZE: usize = 256;

/// End of a sync flush. The sender removes it and the receiver appends it (section 7.2.1).
const SYNC_FLUSH_TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// A compressor and the parameters it was created with.
struct Compressor {
    compress: Compress,
    level: u32,
    window_bits: u8,
}

/// Idle compressors of 250 to 380 KB each, shared by all threads: at most as many are in use as workers
/// compress at the same time (see scripts/TUNING.md).
static COMPRESSORS: Pool<Compressor> = Pool::new(POOL_CAPACITY);

/// Maximum number of idle compressors.
const POOL_CAPACITY: usize = 16;

/// Compresses a message of at least 256 bytes if that makes it smaller; otherwise returns `None`, and the
/// message is to be sent uncompressed. A sender may choose per message (section 6).
///
/// For messages that the server sends unsolicited. A reply to a compressed message uses [`deflate`].
///
/// `level` is 0 to 9, `window_bits` 9 to 15; the nearest valid value replaces any other.
#[must_use]
pub fn deflate_if_smaller(message: &[u8], level: u32, window_bits: u8) -> Option<Vec<u8>> {
    if message.len() < MIN_COMPRESS_SIZE {
        return None;
    }
    deflate(message, level, window_bits).filter(|payload| payload.len() < message.len())
}

/// Compresses a message of any size without context takeover and returns the payload of a frame with RSV1.
///
/// `level` is 0 to 9, `window_bits` 9 to 15 as [negotiated](super::negotiation::Negotiated); the nearest
/// valid value replaces any other. Returns `None` only if zlib fails, which does not depend on the message.
#[must_use]
pub fn deflate(message: &[u8], level: u32, window_bits: u8) -> Option<Vec<u8>> {
    let (level, window_bits) = (level.min(MAX_DEFLATE_LEVEL), window_bits.clamp(9, 15));
    let idle = COMPRESSORS.acquire(|idle| idle.level == level && idle.window_bits == window_bits);
    let mut compressor = idle.unwrap_or_else(|| Compressor {
        compress: Compress::new_with_window_bits(Compression::new(level), false, window_bits),
        level,
        window_bits,
    });
    // Released only after success: a compressor that failed is dropped.
    let payload = compress_message(&mut compressor.compress, message)?;
    COMPRESSORS.release(compressor);
    Some(payload)
}

fn compress_message(compress: &mut Compress, message: &[u8]) -> Option<Vec<u8>> {
    compress.reset();
    let mut payload = Vec::with_capacity(max_compressed_size(message.len()));
    loop {
        let consumed = usize::try_from(compress.total_in()).ok()?;
        compress.compress_vec(message.get(consumed..)?, &mut payload, FlushCompress::Sync).ok()?;
        // Only free space proves that the flush is complete. A further call would write a second flush
        // marker, so the first buffer is large enough for any message.
        if payload.len() < payload.capacity() {
            break;
        }
        payload.reserve(payload.len() / 2);
    }
    if message.is_empty() {
        // Section 7.2.3.6: zlib may write nothing for an empty flush.
        return Some(vec![0x00]);
    }
    payload.ends_with(&SYNC_FLUSH_TAIL).then(|| payload.truncate(payload.len() - SYNC_FLUSH_TAIL.len()))?;
    Some(payload)
}

/// Returns an upper bound of the compressed size in bytes: nine bits per byte in a static block, five bytes
/// per stored block, and the flush marker.
fn max_compressed_size(length: usize) -> usize {
    length + length / 8 + length / 128 + 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT_DEFLATE_LEVEL;
    use crate::protocol::inflate::inflate;

    #[test]
    fn deflate_matches_the_rfc_example() {
        let payload = deflate(b"Hello", DEFAULT_DEFLATE_LEVEL, 15).unwrap();
        assert_eq!(payload, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    }

    #[test]
    fn deflate_turns_an_empty_message_into_one_zero_byte() {
        assert_eq!(deflate(b"", DEFAULT_DEFLATE_LEVEL, 15).unwrap(), [0x00]);
    }

    #[test]
    fn deflate_if_smaller_skips_small_and_random_messages() {
        assert_eq!(deflate_if_smaller(&[b'a'; MIN_COMPRESS_SIZE - 1], DEFAULT_DEFLATE_LEVEL, 15), None);
        assert!(deflate_if_smaller(&[b'a'; MIN_COMPRESS_SIZE], DEFAULT_DEFLATE_LEVEL, 15).is_some());
        assert_eq!(deflate_if_smaller(&noise(1000), DEFAULT_DEFLATE_LEVEL, 15), None);
    }

    #[test]
    fn deflate_output_stays_below_the_upper_bound() {
        for level in 0..=9 {
            for window_bits in 9..=15 {
                for length in [1, 5, 300, 16_383, 70_000] {
                    let message = noise(length);
                    let payload = deflate(&message, level, window_bits).unwrap();
                    assert!(payload.len() < max_compressed_size(length), "level {level}, {length} bytes");
                    assert_eq!(inflate(&payload, length).unwrap(), message);
                }
            }
        }
    }

    /// A repetition at a distance of 600 bytes fits a window of 1024 bytes but not one of 512. A client with
    /// the smaller window could not inflate a reference that far back (section 7.1.2.1).
    #[test]
    fn deflate_respects_the_window_size() {
        let mut message = noise(600);
        message.extend_from_within(..);
        for level in 1..=9 {
            let wide = deflate(&message, level, 10).unwrap().len();
            let narrow = deflate(&message, level, 9).unwrap().len();
            assert!(wide < 700 && narrow > 1100, "level {level}: {wide} and {narrow} bytes");
        }
    }

    /// Returns the same incompressible bytes each time.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }
}
