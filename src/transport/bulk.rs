//! Reading ahead in bulk while large frames come in.
//!
//! tungstenite reads a buffer's worth at a time, and its buffer is small because ten thousand idle sessions each keep
//! one: a mebibyte would be 512 system calls. So when two reads in a row have filled its buffer, the next one asks
//! the kernel for more at once, the rest goes into a spill, and later reads are served from there. The first read
//! that does not fill its buffer ends that, and the spill goes back to the pool.

use std::io::{self, IoSliceMut, Read};

use crate::spares::Spares;

/// Size of a spill, in bytes. Twice as much moved nothing when it was tried.
const SPILL: usize = 64 << 10;

/// Reads in a row that fill the caller's buffer before one reads ahead.
const STREAK: u8 = 2;

/// Spills that are kept for the next one who needs one.
const POOLED: usize = 16;

/// Spills that nobody uses.
static SPILLS: Spares<Vec<u8>> = Spares::new(POOLED);

/// The reading side of a connection that reads ahead when that pays.
#[derive(Debug, Default)]
pub(crate) struct Bulk {
    /// Reads in a row that filled the caller's buffer.
    streak: u8,
    /// What was read ahead; empty memory unless there is something in it.
    spill: Vec<u8>,
    /// Where in the spill the next read begins, and where what was read ahead ends.
    filled: (usize, usize),
}

impl Bulk {
    /// Reads from what was read ahead, or from the source.
    pub(crate) fn read(&mut self, source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        let (at, end) = self.filled;
        if at < end {
            let n = buffer.len().min(end - at);
            buffer[..n].copy_from_slice(&self.spill[at..at + n]);
            self.filled.0 += n;
            return Ok(n);
        }
        if self.streak >= STREAK {
            return self.read_ahead(source, buffer);
        }
        let n = source.read(buffer)?;
        self.note(n, buffer.len());
        Ok(n)
    }

    /// Fills the buffer and the spill with one system call.
    fn read_ahead(&mut self, source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        if self.spill.is_empty() {
            self.spill = SPILLS.take(|_| true).unwrap_or_else(|| vec![0; SPILL]);
        }
        let wanted = buffer.len();
        let read = source.read_vectored(&mut [IoSliceMut::new(buffer), IoSliceMut::new(&mut self.spill)]);
        let n = *read.as_ref().unwrap_or(&0);
        self.filled = (0, n.saturating_sub(wanted));
        self.note(n, wanted);
        read.map(|n| n.min(wanted))
    }

    /// Notes whether a read filled its buffer. One that did not gives the spill back.
    fn note(&mut self, read: usize, wanted: usize) {
        if read >= wanted {
            self.streak = self.streak.saturating_add(1);
            return;
        }
        self.streak = 0;
        if !self.spill.is_empty() {
            SPILLS.give(std::mem::take(&mut self.spill));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its calls, and gives what a socket gives: at most as much as one segment has.
    struct Source<'a> {
        bytes: &'a [u8],
        segment: usize,
        calls: usize,
    }

    impl Read for Source<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.calls += 1;
            let n = self.bytes.len().min(self.segment);
            let n = (&self.bytes[..n]).read(buffer)?;
            self.bytes = &self.bytes[n..];
            Ok(n)
        }

        fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            self.calls += 1;
            let n = self.bytes.len().min(self.segment);
            let n = (&self.bytes[..n]).read_vectored(buffers)?;
            self.bytes = &self.bytes[n..];
            Ok(n)
        }
    }

    /// Everything comes through in order; returns how many calls that took.
    fn read_all(bytes: &[u8], segment: usize, buffer: usize) -> usize {
        let mut source = Source { bytes, segment, calls: 0 };
        let (mut bulk, mut buffer, mut got) = (Bulk::default(), vec![0; buffer], Vec::new());
        loop {
            let n = bulk.read(&mut source, &mut buffer).unwrap();
            if n == 0 {
                break;
            }
            got.extend_from_slice(&buffer[..n]);
        }
        assert!(got == bytes, "{} bytes came out of {}", got.len(), bytes.len());
        assert!(bulk.spill.is_empty(), "the end of the stream gives the spill back");
        source.calls
    }

    #[test]
    fn large_frames_take_a_thirtieth_of_the_calls() {
        let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
        assert!(read_all(&bytes, usize::MAX, 2048) < 25);
        assert!(read_all(&bytes, 100_000, 2048) < 40);
    }

    #[test]
    fn everything_comes_through_whatever_the_pieces() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        for segment in [1, 7, 2047, 2048, 2049, 65_536, 67_584, 70_000] {
            for buffer in [1, 14, 2048, 4096] {
                read_all(&bytes, segment, buffer);
            }
        }
    }

    #[test]
    fn small_messages_never_borrow_a_spill() {
        let mut source = Source { bytes: &[7; 10_000], segment: 100, calls: 0 };
        let mut bulk = Bulk::default();
        for _ in 0..100 {
            assert_eq!(bulk.read(&mut source, &mut [0; 2048]).unwrap(), 100);
            assert!(bulk.spill.is_empty());
        }
        assert_eq!(source.calls, 100);
    }
}
