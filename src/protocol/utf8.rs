//! Checks text for UTF-8 while it is received (RFC 6455, section 8.1).
//!
//! The check fails at the earliest byte that proves the text invalid, so the server does not buffer the rest
//! of a large message before it closes the session.

use std::str;

/// Bytes unmasked at a time into a buffer on the stack. A multiple of 4, so that each chunk begins with the
/// first byte of the mask.
const CHUNK: usize = 512;
/// Maximum length of an incomplete character, in bytes.
const INCOMPLETE_MAX: usize = 3;

/// State between two parts of one text message: the incomplete character at the end of the last part.
#[derive(Debug, Default)]
pub(super) struct Utf8Check {
    incomplete: [u8; INCOMPLETE_MAX],
    length: u8,
}

impl Utf8Check {
    /// Checks the next part of the text. `masked` is the payload as received; `mask` is rotated so that its
    /// first byte applies to the first byte of `masked`.
    ///
    /// # Errors
    ///
    /// The index in `masked` of the first byte after which no continuation makes the text valid.
    pub(super) fn check(&mut self, masked: &[u8], mask: [u8; 4]) -> Result<(), usize> {
        for (index, chunk) in masked.chunks(CHUNK).enumerate() {
            // Most text is ASCII, which needs no unmasked copy.
            if self.length > 0 || !is_ascii(chunk, mask) {
                self.check_chunk(chunk, mask).map_err(|offset| index * CHUNK + offset)?;
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
            // The text ends within a character: at most three bytes are left.
            None => {
                self.incomplete[..tail.len()].copy_from_slice(tail);
                self.length = u8::try_from(tail.len()).unwrap_or_default();
                Ok(())
            }
            // `error_len` is the length of a valid but incomplete prefix, and the byte after it is invalid.
            // For a byte that cannot begin a character it is 1, and that byte is the invalid one.
            Some(length) => {
                let can_begin_character = matches!(tail[0], 0xc2..=0xf4);
                let invalid = if can_begin_character { length } else { 0 };
                // Never below zero: the carried bytes are a valid prefix.
                Err((error.valid_up_to() + invalid).saturating_sub(carried))
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

    /// Checks the text in two parts and returns the index of the rejected byte.
    fn check(text: &[u8], split: usize) -> Option<usize> {
        let masked: Vec<u8> = text.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        let mut mask = MASK;
        let mut utf8 = Utf8Check::default();
        if let Err(index) = utf8.check(&masked[..split], mask) {
            return Some(index);
        }
        mask.rotate_left(split % 4);
        utf8.check(&masked[split..], mask).err().map(|index| split + index)
    }

    /// Returns the same index by checking every prefix with the standard library.
    fn first_invalid_byte(text: &[u8]) -> Option<usize> {
        (0..text.len())
            .find(|index| str::from_utf8(&text[..=*index]).is_err_and(|error| error.error_len().is_some()))
    }

    /// Bytes on both sides of every boundary in the table of RFC 3629, section 4.
    const EDGES: [u8; 24] = [
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
        0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff,
    ];

    #[test]
    fn utf8_check_fails_at_the_earliest_invalid_byte() {
        for n in 0..EDGES.len().pow(4) {
            let text = [0, 1, 2, 3].map(|i| EDGES[n / EDGES.len().pow(i) % EDGES.len()]);
            let expected = first_invalid_byte(&text);
            for split in 0..=4 {
                assert_eq!(check(&text, split), expected, "{text:02x?} split at {split}");
            }
        }
    }

    /// Every text that is not rejected has a valid continuation, so it cannot be rejected earlier.
    #[test]
    fn utf8_check_accepts_only_text_that_can_become_valid() {
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
            assert!(continued, "{text:02x?} cannot become valid");
        }
    }

    #[test]
    fn utf8_check_accepts_characters_across_chunks() {
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
