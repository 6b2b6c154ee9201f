//! The bytes that wait to be sent, as the parts of one system call.

use std::collections::VecDeque;
use std::io::IoSlice;

use tungstenite::Bytes;

/// Most parts that one system call sends.
const MAX_PARTS: usize = 16;

/// The bytes of a queue, in the order in which they are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    chunks: &'a VecDeque<Bytes>,
    gathered: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn new(chunks: &'a VecDeque<Bytes>, gathered: &'a [u8]) -> Self {
        Self { chunks, gathered }
    }

    /// Returns the non-empty parts.
    pub(super) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.chunks.iter().map(|chunk| &chunk[..]).chain([self.gathered]).filter(|part| !part.is_empty())
    }

    /// Fills `slices` with the first parts and `last`, if there is room for it. Returns the filled part of
    /// `slices`.
    pub(super) fn io_slices<'s>(
        self,
        last: &'a [u8],
        slices: &'s mut [IoSlice<'a>; MAX_PARTS],
    ) -> &'s [IoSlice<'a>] {
        let mut filled = 0;
        let last = Some(last).filter(|last| !last.is_empty());
        for (slice, part) in slices.iter_mut().zip(self.iter().chain(last)) {
            *slice = IoSlice::new(part);
            filled += 1;
        }
        &slices[..filled]
    }
}

/// Returns slices for [`Parts::io_slices`].
pub(super) fn empty_io_slices<'a>() -> [IoSlice<'a>; MAX_PARTS] {
    std::array::from_fn(|_| IoSlice::new(&[]))
}
