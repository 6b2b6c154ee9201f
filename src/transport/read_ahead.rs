//! Reads large frames, or many small ones, with few system calls.
//!
//! tungstenite reads into a small buffer, because each idle session keeps one; a message of 1 MiB would take
//! 700 system calls. So after a read that filled its buffer, the next one receives up to 64 KiB into a pooled
//! buffer without blocking, and later reads copy from there. A session holds a pooled buffer only while it
//! has unread bytes. A read that may block always uses the caller's small buffer. So does the read after a
//! receive that did not fill the pooled buffer, because it may block: nothing more had arrived.
//!
//! The used part of a pooled buffer begins in the middle of a page. The kernel copies with `rep movsb`, which
//! on AMD processors from Zen 3 on is twenty times slower if the destination's offset in its page is a few
//! bytes larger than that of the source. A sender with an empty queue begins a message at the start of a
//! page, and a large allocation begins 16 bytes after one. See scripts/TUNING.md.

use std::io;
use std::ops::Range;

use crate::platform::pool::Pool;

/// Used size of a pooled buffer, in bytes. Twice as much made no difference.
const READ_BUFFER_SIZE: usize = 64 << 10;

/// Page size that the alignment of buffers assumes, in bytes.
const PAGE: usize = 4 << 10;

/// Most buffers that the pool keeps.
const POOL_CAPACITY: usize = 16;

/// Buffers that no session uses.
static READ_BUFFERS: Pool<ReadBuffer> = Pool::new(POOL_CAPACITY);

/// A buffer of [`READ_BUFFER_SIZE`] bytes that begins in the middle of a page.
#[derive(Debug)]
struct ReadBuffer {
    /// The allocation, a page larger than the used part.
    bytes: Vec<u8>,
    /// Offset of the used part in `bytes`.
    start: usize,
}

impl ReadBuffer {
    fn new() -> Self {
        let bytes = vec![0; READ_BUFFER_SIZE + PAGE];
        let start = (bytes.as_ptr().align_offset(PAGE) + PAGE / 2) % PAGE;
        Self { bytes, start }
    }

    /// Returns the used part.
    fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + READ_BUFFER_SIZE]
    }
}

/// A source of bytes that can be read with and without blocking.
pub trait ByteSource {
    /// Reads into `buffer` and returns the number of bytes, 0 at the end of the stream. May block.
    ///
    /// # Errors
    /// Those of the source; `WouldBlock` if it has a deadline or never blocks.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Reads as [`read`](Self::read) does, but never blocks for the peer's bytes: returns `None` if none have
    /// arrived.
    ///
    /// # Errors
    /// Those of the source.
    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;
}

/// Reads from a [`ByteSource`], ahead of the caller if much data arrives.
#[derive(Debug, Default)]
pub struct ReadAhead {
    /// The last read filled its buffer, so more data has probably arrived.
    expects_more: bool,
    /// A buffer, while it has unread bytes.
    buffer: Option<Held>,
    /// The unread bytes in `buffer`.
    unread: Range<usize>,
}

/// A buffer with unread bytes.
#[derive(Debug)]
enum Held {
    Pooled(ReadBuffer),
    /// Made by [`ReadAhead::shrink`].
    Own(Vec<u8>),
}

impl ReadAhead {
    /// Reads into `buffer`, from the bytes read ahead if there are any, else from `source`. Returns the
    /// number of bytes, 0 at the end of the stream. Blocks only if `source` does.
    ///
    /// # Errors
    /// Those of `source`.
    pub fn read(&mut self, source: &mut impl ByteSource, buffer: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_none() && self.expects_more && buffer.len() < READ_BUFFER_SIZE {
            self.read_ahead(source)?;
        }
        if let Some(n) = self.copy_out(buffer) {
            return Ok(n);
        }
        let n = source.read(buffer)?;
        self.expects_more = n >= buffer.len();
        Ok(n)
    }

    /// Makes the next read receive ahead: the caller has reason to expect much data.
    pub fn expect_more(&mut self) {
        self.expects_more = true;
    }

    /// Releases the pooled buffer. Copies unread bytes into a buffer of their size: a session may keep them
    /// for long.
    pub fn shrink(&mut self) {
        match self.buffer.take() {
            Some(Held::Pooled(mut pooled)) => {
                let rest = pooled.as_mut_slice()[self.unread.clone()].to_vec();
                READ_BUFFERS.release(pooled);
                self.unread = 0..rest.len();
                self.buffer = Some(Held::Own(rest));
            }
            other => self.buffer = other,
        }
    }

    /// Returns whether there are unread bytes that were read ahead.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.buffer.is_some()
    }

    /// Returns the size of the buffer made by [`shrink`](Self::shrink), in bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match &self.buffer {
            Some(Held::Own(own)) => own.capacity(),
            Some(Held::Pooled(_)) | None => 0,
        }
    }

    /// Reads what has arrived into a pooled buffer. Keeps the buffer only if there are bytes in it.
    fn read_ahead(&mut self, source: &mut impl ByteSource) -> io::Result<()> {
        let mut buffer = READ_BUFFERS.acquire(|_| true).unwrap_or_else(ReadBuffer::new);
        let outcome = source.read_now(buffer.as_mut_slice());
        if let Ok(Some(n @ 1..)) = outcome {
            self.unread = 0..n;
            self.buffer = Some(Held::Pooled(buffer));
        } else {
            READ_BUFFERS.release(buffer);
        }
        self.expects_more = matches!(outcome, Ok(Some(READ_BUFFER_SIZE)));
        outcome.map(|_| ())
    }

    /// Copies unread bytes into `buffer` and returns their number, or `None` if there are none. Releases the
    /// pooled buffer with the last byte.
    fn copy_out(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let held = match self.buffer.as_mut()? {
            Held::Pooled(pooled) => pooled.as_mut_slice(),
            Held::Own(own) => own,
        };
        let n = buffer.len().min(self.unread.len());
        let from = self.unread.start;
        buffer[..n].copy_from_slice(&held[from..from + n]);
        self.unread.start += n;
        if self.unread.is_empty()
            && let Some(Held::Pooled(pooled)) = self.buffer.take()
        {
            READ_BUFFERS.release(pooled);
        }
        Some(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// A socket that returns at most `segment` bytes a call and counts its calls.
    struct FakeSocket<'a> {
        bytes: &'a [u8],
        segment: usize,
        calls: usize,
    }

    impl ByteSource for FakeSocket<'_> {
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

    /// Asserts that `bytes` are read in order; returns the number of calls to the source.
    fn read_all(bytes: &[u8], segment: usize, buffer_size: usize) -> usize {
        let mut source = FakeSocket { bytes, segment, calls: 0 };
        let (mut read_ahead, mut buffer, mut received) =
            (ReadAhead::default(), vec![0; buffer_size], Vec::new());
        loop {
            let n = read_ahead.read(&mut source, &mut buffer).unwrap();
            if n == 0 {
                break;
            }
            received.extend_from_slice(&buffer[..n]);
        }
        assert!(received == bytes, "{} bytes were read of {}", received.len(), bytes.len());
        assert!(read_ahead.buffer.is_none(), "the pooled buffer is released at the end of the stream");
        source.calls
    }

    #[test]
    fn read_ahead_reduces_calls_for_large_frames() {
        let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
        assert!(read_all(&bytes, usize::MAX, 2048) < 25);
        assert!(read_all(&bytes, 100_000, 2048) < 40);
    }

    #[test]
    fn read_buffer_begins_in_the_middle_of_a_page() {
        let mut buffers: Vec<_> = (0..4).map(|_| ReadBuffer::new()).collect();
        for slice in buffers.iter_mut().map(ReadBuffer::as_mut_slice) {
            assert_eq!((slice.len(), slice.as_ptr().align_offset(PAGE)), (READ_BUFFER_SIZE, PAGE / 2));
        }
    }

    #[test]
    fn read_ahead_holds_no_pooled_buffer_in_a_read_that_may_block() {
        let bytes = vec![7; 50_000];
        let mut source = FakeSocket { bytes: &bytes, segment: usize::MAX, calls: 0 };
        let mut read_ahead = ReadAhead::default();
        let mut read = 0;
        while read < 50_000 {
            assert_eq!(read_ahead.has_more(), read > 2048, "{read} bytes have been read");
            read += read_ahead.read(&mut source, &mut [0; 2048]).unwrap();
        }
        assert!(!read_ahead.has_more());
        assert!(read_ahead.buffer.is_none(), "all bytes have been read");
        assert_eq!(source.calls, 2, "a small read, and one for the rest");
        assert_eq!(read_ahead.read(&mut source, &mut [0; 2048]).unwrap(), 0);
        assert!(read_ahead.buffer.is_none(), "the read that may block uses the small buffer");
        assert_eq!(source.calls, 3, "no non-blocking read: the last one did not fill its buffer");
    }

    #[test]
    fn read_ahead_that_is_shrunk_keeps_the_unread_bytes_alone() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut source = FakeSocket { bytes: &bytes, segment: usize::MAX, calls: 0 };
        let (mut read_ahead, mut received) = (ReadAhead::default(), Vec::new());
        read_ahead.expect_more();
        while received.len() < bytes.len() {
            let mut buffer = [0; 1500];
            let n = read_ahead.read(&mut source, &mut buffer).unwrap();
            received.extend_from_slice(&buffer[..n]);
            read_ahead.shrink();
            assert!(!matches!(read_ahead.buffer, Some(Held::Pooled(_))));
        }
        assert!(received == bytes && !read_ahead.has_more());
        assert_eq!(source.calls, 1);
    }

    #[test]
    fn read_ahead_keeps_the_order_of_bytes_for_all_segment_sizes() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        for segment in [1, 7, 2047, 2048, 2049, 65_536, 67_584, 70_000] {
            for buffer_size in [1, 14, 2048, 4096] {
                read_all(&bytes, segment, buffer_size);
            }
        }
    }

    #[test]
    fn read_ahead_needs_no_pooled_buffer_for_small_messages() {
        let mut source = FakeSocket { bytes: &[7; 10_000], segment: 100, calls: 0 };
        let mut read_ahead = ReadAhead::default();
        for _ in 0..100 {
            assert_eq!(read_ahead.read(&mut source, &mut [0; 2048]).unwrap(), 100);
            assert!(read_ahead.buffer.is_none());
        }
        assert_eq!(source.calls, 100);
    }
}
