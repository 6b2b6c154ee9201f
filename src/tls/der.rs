//! Reads elements of DER (X.690), as far as certificates and keys need it.

/// Tags of the elements that are read.
pub(super) mod tag {
    pub(in crate::tls) const INTEGER: u8 = 0x02;
    pub(in crate::tls) const OCTET_STRING: u8 = 0x04;
    pub(in crate::tls) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(in crate::tls) const UTC_TIME: u8 = 0x17;
    pub(in crate::tls) const GENERALIZED_TIME: u8 = 0x18;
    pub(in crate::tls) const SEQUENCE: u8 = 0x30;
    pub(in crate::tls) const VERSION: u8 = 0xA0;
}

/// A sequence of DER elements.
#[derive(Clone, Copy)]
pub(super) struct DerElements<'a>(pub(super) &'a [u8]);

impl<'a> DerElements<'a> {
    /// Reads the next element and returns its tag and content.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7F => (usize::from(first), rest),
            // The low bits are the size of the length. Certificates need less than four bytes.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x0F))?;
                (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// Reads the next element and returns its content. Returns `None` if its tag is not `tag`.
    pub(super) fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// Returns the elements inside the next element. Returns `None` if its tag is not `tag`.
    pub(super) fn children(&mut self, tag: u8) -> Option<Self> {
        self.content(tag).map(Self)
    }
}
