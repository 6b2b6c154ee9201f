//! Follows the boundaries of TLS records in received bytes (RFC 8446, 5.1).

/// Bytes of a record header: content type, version, length of the rest.
const HEADER: u8 = 5;

/// Bytes of a header before the length.
const BEFORE_LENGTH: u8 = 3;

/// Where the received bytes end, inside a record or between two.
#[derive(Debug, Default)]
pub(super) struct TlsRecords {
    /// Bytes of the current header that were received.
    header: u8,
    /// The length in the current header, as far as it was received; then the bytes of the record to come.
    remaining: usize,
    /// Complete records.
    completed: u64,
}

impl TlsRecords {
    /// Follows received bytes.
    pub(super) fn scan(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.header < HEADER {
                if self.header >= BEFORE_LENGTH {
                    self.remaining = self.remaining << 8 | usize::from(*first);
                }
                self.header += 1;
                bytes = rest;
            } else {
                let here = self.remaining.min(bytes.len());
                self.remaining -= here;
                bytes = &bytes[here..];
            }
            if self.header == HEADER && self.remaining == 0 {
                self.header = 0;
                self.completed += 1;
            }
        }
    }

    /// Returns the number of the record of which a part was received, or `None` between two records.
    pub(super) fn unfinished(&self) -> Option<u64> {
        (self.header > 0).then_some(self.completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_records_are_followed_whatever_the_size_of_the_pieces() {
        let record = |length: u16| {
            let mut bytes = vec![23, 3, 3];
            bytes.extend(length.to_be_bytes());
            bytes.extend(vec![0xff; usize::from(length)]);
            bytes
        };
        let bytes = [record(300), record(0), record(1)].concat();
        for size in 1..=bytes.len() {
            let mut records = TlsRecords::default();
            bytes.chunks(size).for_each(|piece| records.scan(piece));
            assert_eq!((records.unfinished(), records.completed), (None, 3), "in pieces of {size}");
        }
        let mut records = TlsRecords::default();
        for (index, byte) in bytes.iter().enumerate() {
            records.scan(&[*byte]);
            let expected = match index + 1 {
                305 | 310 | 316 => None,
                1..305 => Some(0),
                306..310 => Some(1),
                _ => Some(2),
            };
            assert_eq!(records.unfinished(), expected, "after {} bytes", index + 1);
        }
    }
}
