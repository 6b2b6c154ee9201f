//! From when until when a certificate is valid (RFC 5280, 4.1.2.5), and nothing else of it.

use std::time::SystemTime;

/// Tags of DER (X.690) on the way to the two times.
mod tag {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const VERSION: u8 = 0xA0;
}

/// The times within which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    /// The first second.
    pub(crate) from: SystemTime,
    /// The last second.
    pub(crate) until: SystemTime,
}

impl Validity {
    /// Of a certificate in DER; `None` when it is damaged.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let mut certificate = Elements(certificate).content(tag::SEQUENCE)?;
        let mut signed = certificate.content(tag::SEQUENCE)?;
        if signed.0.first() == Some(&tag::VERSION) {
            signed.next()?;
        }
        signed.content(tag::INTEGER)?;
        // The algorithm and the issuer.
        signed.content(tag::SEQUENCE)?;
        signed.content(tag::SEQUENCE)?;
        let mut validity = signed.content(tag::SEQUENCE)?;
        Some(Self { from: validity.time()?, until: validity.time()? })
    }
}

/// DER elements, one behind the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// The next element: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7F => (usize::from(first), rest),
            // The length has that many bytes; four are more than any certificate needs.
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

    /// The elements inside the next one, which has to have that tag.
    fn content(&mut self, tag: u8) -> Option<Self> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| Self(content))
    }

    /// The next element, a time of either kind. Certificates write both with seconds and in UTC.
    fn time(&mut self) -> Option<SystemTime> {
        let (tag, text) = self.next()?;
        let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
        let text = match tag {
            // Two digits of the year: 50 and more belong to the last century.
            tag::UTC_TIME if text >= "50" => format!("19{text}"),
            tag::UTC_TIME => format!("20{text}"),
            tag::GENERALIZED_TIME => text.to_owned(),
            _ => return None,
        };
        if text.len() != "YYYYMMDDhhmmssZ".len() {
            return None;
        }
        let part = |range: std::ops::Range<usize>| &text[range];
        let (date, time) = ([part(0..4), part(4..6), part(6..8)], [part(8..10), part(10..12), part(12..15)]);
        humantime::parse_rfc3339(&format!("{}T{}", date.join("-"), time.join(":"))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_time_are_read() {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(1999, 12, 31);
        params.not_after = rcgen::date_time_ymd(2123, 4, 5);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let Validity { from, until } = Validity::of(certificate.der()).expect("a certificate");
        assert_eq!(humantime::format_rfc3339(from).to_string(), "1999-12-31T00:00:00Z");
        assert_eq!(humantime::format_rfc3339(until).to_string(), "2123-04-05T00:00:00Z");
        for length in 0..certificate.der().len().min(150) {
            // Whatever is cut off, it is no panic.
            let _ = Validity::of(&certificate.der()[..length]);
        }
    }

    #[test]
    fn damage_is_no_time() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], &[0x30, 0x02, 0x30, 0x00]] {
            assert_eq!(Validity::of(bytes), None, "{bytes:?}");
        }
    }
}
