//! Pseudo-random numbers and bytes: everything follows from the seed, so every case can be repeated.

/// A sequence of pseudo-random numbers.
pub struct Random(u64);

/// Returns bytes that do not compress; the same seed gives the same bytes.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    Random::new(seed).bytes(length)
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits of the sequence (`SplitMix64`).
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a number from 0 to `end`, exclusive.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next_u64() % end as u64).unwrap()
    }

    /// Returns true with that probability in percent.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub fn byte(&mut self) -> u8 {
        self.next_u64().to_be_bytes()[0]
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = (0..length.div_ceil(8)).map(|_| self.next_u64().to_le_bytes());
        let mut bytes: Vec<u8> = words.flatten().collect();
        bytes.truncate(length);
        bytes
    }

    /// Damages bytes: changes, removes, repeats or inserts some, or truncates them.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(16)).min(bytes.len());
            match self.below(6) {
                0 => bytes[at] = self.byte(),
                1 => bytes[at] ^= 1 << self.below(8),
                2 => drop(bytes.drain(at..end)),
                3 => bytes.truncate(at),
                4 => {
                    let again = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, again));
                }
                _ => {
                    let length = 1 + self.below(8);
                    let junk = self.bytes(length);
                    drop(bytes.splice(at..at, junk));
                }
            }
        }
    }

    /// Splits bytes into the pieces in which they are sent: one piece, single bytes, or random lengths.
    pub fn pieces<'a>(&mut self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let most = match self.below(4) {
            0 => bytes.len().max(1),
            1 if bytes.len() < 500 => 1,
            2 => 20,
            _ => 5000,
        };
        let (mut rest, mut pieces) = (bytes, Vec::new());
        while !rest.is_empty() {
            let length = if most == bytes.len() { most } else { 1 + self.below(most) };
            let (piece, after) = rest.split_at(length.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces
    }
}
