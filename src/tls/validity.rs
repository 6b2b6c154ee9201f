//! Reads the validity period of a certificate (RFC 5280, section 4.1.2.5).

use std::time::SystemTime;

use super::der::{DerElements, tag};

/// Validity period of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    /// First valid second.
    pub(crate) from: SystemTime,
    /// Last valid second.
    pub(crate) until: SystemTime,
}

impl Validity {
    /// Reads the validity period of a certificate in DER. Returns `None` if the certificate is malformed.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let mut certificate = DerElements(certificate).children(tag::SEQUENCE)?;
        let mut tbs_certificate = certificate.children(tag::SEQUENCE)?;
        if tbs_certificate.0.first() == Some(&tag::VERSION) {
            tbs_certificate.next()?;
        }
        tbs_certificate.children(tag::INTEGER)?;
        // Signature algorithm and issuer.
        tbs_certificate.children(tag::SEQUENCE)?;
        tbs_certificate.children(tag::SEQUENCE)?;
        let mut validity = tbs_certificate.children(tag::SEQUENCE)?;
        Some(Self { from: next_time(&mut validity)?, until: next_time(&mut validity)? })
    }
}

/// Reads the next element as a time. Certificates write both types with seconds and in UTC.
fn next_time(elements: &mut DerElements) -> Option<SystemTime> {
    let (tag, text) = elements.next()?;
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let text = match tag {
        // The year has two digits: 50 to 99 are 1950 to 1999.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_reads_both_types_of_time() {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(1999, 12, 31);
        params.not_after = rcgen::date_time_ymd(2123, 4, 5);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let Validity { from, until } = Validity::of(certificate.der()).expect("a certificate");
        assert_eq!(humantime::format_rfc3339(from).to_string(), "1999-12-31T00:00:00Z");
        assert_eq!(humantime::format_rfc3339(until).to_string(), "2123-04-05T00:00:00Z");
        for length in 0..certificate.der().len().min(150) {
            // A truncated certificate must not panic.
            let _ = Validity::of(&certificate.der()[..length]);
        }
    }

    #[test]
    fn validity_of_malformed_bytes_is_none() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], &[0x30, 0x02, 0x30, 0x00]] {
            assert_eq!(Validity::of(bytes), None, "{bytes:?}");
        }
    }
}
