//! Text checked while it is still coming in, at the earliest byte that proves it wrong.
//!
//! RFC 6455, section 8.1, fails the connection on text that is not UTF-8. The peer of a large message learns
//! this before it has sent all of it, and the server does not keep what it is going to refuse.

use std::str;

/// Bytes unmasked at a time, on the stack. A multiple of 4, so that every chunk meets the mask in the same
/// phase; large enough that the cost of a call to `from_utf8` is spread over many bytes.
const CHUNK: usize = 512;
/// The most bytes a character can have and still be incomplete.
const INCOMPLETE_MAX: usize = 3;

/// The state between two pieces of one text message: the character that the last piece left incomplete.
#[derive(Debug, Default)]
pub(super) struct Utf8Check {
    incomplete: [u8; INCOMPLETE_MAX],
    length: u8,
}

impl Utf8Check {
    /// Checks the next piece of the text, still masked; `mask` begins with the key of the first byte.
    ///
    /// The error is the index of the first byte with which no continuation makes the text valid.
    pub(super) fn check(&mut self, masked: &[u8], mask: [u8; 4]) -> Result<(), usize> {
        for (number, chunk) in masked.chunks(CHUNK).enumerate() {
            // Most text is ASCII, and then one pass over the masked bytes is enough.
            if self.length > 0 || !is_ascii(chunk, mask) {
                self.check_chunk(chunk, mask).map_err(|at| number * CHUNK + at)?;
            }
        }
        Ok(())
    }

    fn check_chunk(&mut self, chunk: &[u8], mask: [u8; 4]) -> Result<(), usize> {
        let carried = usize::from(self.length);
        let mut buffer = [0; INCOMPLETE_MAX + CHUNK];
        let text = &mut buffer[..carried + chunk.len()];
        text[..carried].copy_from_slice(&self.incomplete[..carried]);
        unmask(chunk, mask, &mut text[carried..]);

        self.length = 0;
        let Err(error) = str::from_utf8(text) else { return Ok(()) };
        let tail = &text[error.valid_up_to()..];
        match error.error_len() {
            // The text so far can still become valid: at most three bytes are left over.
            None => {
                self.incomplete[..tail.len()].copy_from_slice(tail);
                self.length = u8::try_from(tail.len()).unwrap_or_default();
                Ok(())
            }
            // `error_len` counts the bytes that begin a character; the next one breaks it. But it also
            // counts 1 for a byte that begins none, and then that byte itself is the proof.
            Some(length) => {
                let first_is_the_proof = !matches!(tail[0], 0xc2..=0xf4);
                let proof = if first_is_the_proof { 0 } else { length };
                // Never below zero: what was carried over begins a character.
                Err((error.valid_up_to() + proof).saturating_sub(carried))
            }
        }
    }
}

fn is_ascii(masked: &[u8], mask: [u8; 4]) -> bool {
    let key = u32::from_ne_bytes(mask);
    let (words, rest) = masked.as_chunks::<4>();
    let high_bits = words.iter().fold(0, |bits, word| bits | (u32::from_ne_bytes(*word) ^ key))
        & u32::from_ne_bytes([0x80; 4]);
    high_bits == 0 && rest.iter().zip(mask).all(|(byte, key)| (byte ^ key).is_ascii())
}

fn unmask(masked: &[u8], mask: [u8; 4], text: &mut [u8]) {
    let key = u32::from_ne_bytes(mask);
    text.copy_from_slice(masked);
    let (words, rest) = text.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x11, 0x92, 0x53, 0xd4];

    /// Feeds the text in two pieces and gives the index of the refused byte.
    fn check(text: &[u8], split: usize) -> Option<usize> {
        let masked: Vec<u8> = text.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        let mut mask = MASK;
        let mut utf8 = Utf8Check::default();
        if let Err(at) = utf8.check(&masked[..split], mask) {
            return Some(at);
        }
        mask.rotate_left(split % 4);
        utf8.check(&masked[split..], mask).err().map(|at| split + at)
    }

    /// The same, by trying every prefix with the standard library.
    fn expected(text: &[u8]) -> Option<usize> {
        (0..text.len())
            .find(|at| str::from_utf8(&text[..=*at]).is_err_and(|error| error.error_len().is_some()))
    }

    /// Bytes on both sides of every boundary in the table of RFC 3629, section 4.
    const EDGES: [u8; 24] = [
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
        0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff,
    ];

    #[test]
    fn every_sequence_of_edges_is_judged_at_its_earliest_byte() {
        for n in 0..EDGES.len().pow(4) {
            let text = [0, 1, 2, 3].map(|i| EDGES[n / EDGES.len().pow(i) % EDGES.len()]);
            let want = expected(&text);
            for split in 0..=4 {
                assert_eq!(check(&text, split), want, "{text:02x?} split at {split}");
            }
        }
    }

    /// A continuation exists for everything that is not refused: so refusal cannot come any earlier.
    #[test]
    fn what_is_not_refused_can_be_continued() {
        for n in 0..EDGES.len() << 16 {
            let [.., first, second] = (n / EDGES.len()).to_be_bytes();
            let text = &[first, second, EDGES[n % EDGES.len()]];
            let Err(error) = str::from_utf8(text) else { continue };
            if error.error_len().is_some() {
                continue;
            }
            let tail = &text[error.valid_up_to()..];
            let continued = [0x80, 0x90, 0xbf].into_iter().any(|second| {
                let mut whole = tail.to_vec();
                let filler = if tail.len() == 1 { second } else { 0x80 };
                whole.push(filler);
                (0..3).any(|_| {
                    let valid = str::from_utf8(&whole).is_ok();
                    whole.push(0x80);
                    valid
                })
            });
            assert!(continued, "{text:02x?} can not become valid");
        }
    }

    #[test]
    fn a_character_across_two_chunks_is_whole() {
        for shift in 0..4 {
            let mut text = vec![b'a'; CHUNK - shift];
            text.extend_from_slice("\u{10348}é".as_bytes());
            text.extend(vec![b'z'; 2 * CHUNK]);
            assert_eq!(check(&text, 0), None);
            text.push(0xff);
            assert_eq!(check(&text, 7), Some(text.len() - 1));
        }
    }
}
