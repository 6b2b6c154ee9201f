//! Reading ahead in bulk while large frames come in, or many small ones.
//!
//! tungstenite reads a buffer's worth at a time, and its buffer is small because ten thousand idle sessions each keep
//! one: a mebibyte would be 700 system calls. So when a read has filled its buffer, the next one asks the kernel for as
//! much as fits a spill, and later reads are served from there. Nobody waits with a spill in hand: when nothing is there it
//! goes back to the pool, and the read that blocks is a small one again. So is the one behind a spill that was not filled,
//! because that was all there is.
//!
//! Where a spill lies matters as much as its size. The kernel copies with `rep movsb`, which on some processors (AMD's,
//! from Zen 3 on) is twenty times slower when the destination lies a few bytes behind the source within their pages:
//! 2 GB/s instead of 40. A sender that has nothing queued begins each message at the start of a page, and a large
//! allocation begins 16 bytes behind one. So a spill begins in the middle of a page.

use std::io;

use crate::platform::pool::Pool;

/// Size of a spill, in bytes. Twice as much moved nothing when it was tried.
const READ_BUFFER_SIZE: usize = 64 << 10;

/// What the kernel's copying and ours are aligned to, in bytes.
const PAGE: usize = 4 << 10;

/// Spills that are kept for the next one who needs one.
const POOLED: usize = 16;

/// Spills that nobody uses.
static READ_BUFFERS: Pool<ReadBuffer> = Pool::new(POOLED);

/// Memory to read ahead into.
#[derive(Debug)]
struct ReadBuffer {
    /// A page more than is used.
    bytes: Vec<u8>,
    /// Where the used part begins: in the middle of a page.
    start: usize,
}

impl ReadBuffer {
    /// Memory of its own.
    fn new() -> Self {
        let bytes = vec![0; READ_BUFFER_SIZE + PAGE];
        let start = (bytes.as_ptr().align_offset(PAGE) + PAGE / 2) % PAGE;
        Self { bytes, start }
    }

    /// The part that is used.
    fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + READ_BUFFER_SIZE]
    }
}

/// Where bytes come from.
pub trait ByteSource {
    /// Reads some of them; 0 is the end of the stream. May wait for them.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Reads what is there, without waiting; `None` if nothing is.
    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;
}

/// The reading side of a connection that reads ahead when that pays.
#[derive(Debug, Default)]
pub struct ReadAhead {
    /// The last read got as much as it asked for: there is probably more.
    full: bool,
    /// What was read ahead, while there is something.
    buffer_ahead: Option<ReadBuffer>,
    /// Where in the spill the next read begins, and where what was read ahead ends.
    filled: (usize, usize),
}

impl ReadAhead {
    /// Reads from what was read ahead, or from the source.
    pub fn read(&mut self, source: &mut impl ByteSource, buffer: &mut [u8]) -> io::Result<usize> {
        if self.buffer_ahead.is_none() && self.full && buffer.len() < READ_BUFFER_SIZE {
            self.read_ahead(source)?;
        }
        if let Some(n) = self.copy_out(buffer) {
            return Ok(n);
        }
        let n = source.read(buffer)?;
        self.full = n >= buffer.len();
        Ok(n)
    }

    /// Whether something that was read ahead waits for a read.
    pub fn has_more(&self) -> bool {
        self.buffer_ahead.is_some()
    }

    /// Fills a spill with what is there, if anything is.
    fn read_ahead(&mut self, source: &mut impl ByteSource) -> io::Result<()> {
        let mut buffer_ahead = READ_BUFFERS.acquire(|_| true).unwrap_or_else(ReadBuffer::new);
        let read = source.read_now(buffer_ahead.as_mut_slice());
        if let Ok(Some(n @ 1..)) = read {
            self.filled = (0, n);
            self.buffer_ahead = Some(buffer_ahead);
        } else {
            READ_BUFFERS.release(buffer_ahead);
        }
        // Otherwise that was all there is: the next read may wait, and so has to be a small one.
        self.full = matches!(read, Ok(Some(READ_BUFFER_SIZE)));
        read.map(|_| ())
    }

    /// Hands out what was read ahead; `None` if nothing was.
    fn copy_out(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let buffer_ahead = self.buffer_ahead.as_mut()?;
        let (at, end) = self.filled;
        let n = buffer.len().min(end - at);
        buffer[..n].copy_from_slice(&buffer_ahead.as_mut_slice()[at..at + n]);
        self.filled.0 += n;
        if self.filled.0 == end {
            self.buffer_ahead.take().into_iter().for_each(|buffer_ahead| READ_BUFFERS.release(buffer_ahead));
        }
        Some(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Counts its calls, and gives what a socket gives: at most as much as one segment has.
    struct Socket<'a> {
        bytes: &'a [u8],
        segment: usize,
        calls: usize,
    }

    impl ByteSource for Socket<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.calls += 1;
            let n = self.bytes.len().min(self.segment);
            let n = (&self.bytes[..n]).read(buffer)?;
            self.bytes = &self.bytes[n..];
            Ok(n)
        }

        fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
            self.read(buffer).map(|n| (n > 0).then_some(n))
        }
    }

    /// Everything comes through in order; returns how many calls that took.
    fn read_all(bytes: &[u8], segment: usize, buffer: usize) -> usize {
        let mut source = Socket { bytes, segment, calls: 0 };
        let (mut ahead, mut buffer, mut got) = (ReadAhead::default(), vec![0; buffer], Vec::new());
        loop {
            let n = ahead.read(&mut source, &mut buffer).unwrap();
            if n == 0 {
                break;
            }
            got.extend_from_slice(&buffer[..n]);
        }
        assert!(got == bytes, "{} bytes came out of {}", got.len(), bytes.len());
        assert!(ahead.buffer_ahead.is_none(), "the end of the stream gives the buffer_ahead back");
        source.calls
    }

    #[test]
    fn large_frames_take_a_thirtieth_of_the_calls() {
        let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
        assert!(read_all(&bytes, usize::MAX, 2048) < 25);
        assert!(read_all(&bytes, 100_000, 2048) < 40);
    }

    #[test]
    fn a_spill_begins_in_the_middle_of_a_page() {
        let mut spills: Vec<_> = (0..4).map(|_| ReadBuffer::new()).collect();
        for room in spills.iter_mut().map(ReadBuffer::as_mut_slice) {
            assert_eq!((room.len(), room.as_ptr().align_offset(PAGE)), (READ_BUFFER_SIZE, PAGE / 2));
        }
    }

    #[test]
    fn who_waits_has_no_spill() {
        let bytes = vec![7; 50_000];
        let mut socket = Socket { bytes: &bytes, segment: usize::MAX, calls: 0 };
        let mut ahead = ReadAhead::default();
        let mut read = 0;
        while read < 50_000 {
            assert_eq!(ahead.has_more(), read > 2048, "{read} bytes have been read");
            read += ahead.read(&mut socket, &mut [0; 2048]).unwrap();
        }
        assert!(!ahead.has_more());
        assert!(ahead.buffer_ahead.is_none(), "all of it was handed out");
        assert_eq!(socket.calls, 2, "a small read, and one for the rest");
        assert_eq!(ahead.read(&mut socket, &mut [0; 2048]).unwrap(), 0);
        assert!(ahead.buffer_ahead.is_none(), "the read that may wait is a small one");
        assert_eq!(socket.calls, 3, "only the one that would wait: the one before it took all there was");
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
    fn messages_that_leave_room_never_borrow_a_spill() {
        let mut source = Socket { bytes: &[7; 10_000], segment: 100, calls: 0 };
        let mut ahead = ReadAhead::default();
        for _ in 0..100 {
            assert_eq!(ahead.read(&mut source, &mut [0; 2048]).unwrap(), 100);
            assert!(ahead.buffer_ahead.is_none());
        }
        assert_eq!(source.calls, 100);
    }
}
