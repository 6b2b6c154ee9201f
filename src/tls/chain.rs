//! The order of a certificate chain: the server's certificate, then each time the one that issued the one
//! before (RFC 8446, 4.4.2).

use rustls::pki_types::CertificateDer;

use super::der::{DerElements, tag};

/// Issuer and subject of a certificate, each a name in DER.
struct Names<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
}

impl<'a> Names<'a> {
    /// Reads the names of a certificate (RFC 5280, 4.1). Returns `None` if it is malformed.
    fn of(certificate: &'a [u8]) -> Option<Self> {
        let mut certificate = DerElements(certificate).children(tag::SEQUENCE)?;
        let mut fields = certificate.children(tag::SEQUENCE)?;
        if fields.0.first() == Some(&tag::VERSION) {
            fields.next()?;
        }
        // Serial number and signature algorithm.
        fields.content(tag::INTEGER)?;
        fields.content(tag::SEQUENCE)?;
        let issuer = fields.content(tag::SEQUENCE)?;
        // Validity.
        fields.content(tag::SEQUENCE)?;
        Some(Self { issuer, subject: fields.content(tag::SEQUENCE)? })
    }
}

/// Returns the number, from 2, of the first certificate that did not issue the one before it.
pub(super) fn first_out_of_order(chain: &[CertificateDer]) -> Option<usize> {
    let names: Vec<_> = chain.iter().map(|certificate| Names::of(certificate)).collect();
    let pairs = names.windows(2).position(|pair| match pair {
        [Some(one), Some(next)] => one.issuer != next.subject,
        _ => false,
    });
    pairs.map(|index| index + 2)
}
