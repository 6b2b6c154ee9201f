//! The private key of a certificate: its file, and its size if it is RSA.

use std::path::Path;

use log::warn;
use rustls::pki_types::PrivateKeyDer;

use super::der::{DerElements, tag};

/// Sizes of RSA keys that the crypto provider can sign with, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// The file type in a mode, and its value for regular files (inode(7)).
const FILE_TYPE: u32 = 0o170_000;
const REGULAR_FILE: u32 = 0o100_000;

/// Object identifier of RSA keys, 1.2.840.113549.1.1.1 (RFC 8017, A.1).
const RSA_ENCRYPTION: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];

/// Returns why the crypto provider does not support a key, and what it supports.
pub(super) fn unsupported(key: &PrivateKeyDer) -> String {
    let supported = "use RSA with 2048 to 4096 bits, P-256, P-384 or Ed25519";
    match rsa_bits(key).filter(|bits| !RSA_BITS.contains(bits)) {
        Some(bits) => format!("RSA keys of {bits} bits are not supported; {supported}"),
        None => format!("unsupported key type; {supported}"),
    }
}

/// Logs a warning if users other than the owner may read the key. `mode` is that of its file (inode(7)).
pub(super) fn warn_unless_private(path: &Path, mode: u32) {
    let permissions = mode & 0o777;
    if mode & FILE_TYPE == REGULAR_FILE && permissions & 0o044 != 0 {
        warn!(
            "the key in {0} can be read by other users (mode {permissions:03o}); restrict it with `chmod 600 {0}`",
            path.display()
        );
    }
}

/// Returns the size of the modulus of an RSA key, in bits. Returns `None` for other keys.
fn rsa_bits(key: &PrivateKeyDer) -> Option<usize> {
    let mut rsa_key = match key {
        PrivateKeyDer::Pkcs1(key) => DerElements(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => {
            // Version, algorithm, key (RFC 5208, 5).
            let mut info = DerElements(key.secret_pkcs8_der()).children(tag::SEQUENCE)?;
            info.content(tag::INTEGER)?;
            let algorithm = info.children(tag::SEQUENCE)?.content(tag::OBJECT_IDENTIFIER)?;
            (algorithm == RSA_ENCRYPTION).then_some(())?;
            info.children(tag::OCTET_STRING)?
        }
        _ => return None,
    };
    // Version, modulus and other numbers (RFC 8017, A.1.2).
    let mut numbers = rsa_key.children(tag::SEQUENCE)?;
    numbers.content(tag::INTEGER)?;
    let modulus = numbers.content(tag::INTEGER)?;
    let first = modulus.iter().position(|&byte| byte != 0)?;
    Some((modulus.len() - first) * 8 - modulus[first].leading_zeros() as usize)
}
