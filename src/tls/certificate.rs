//! The certificate that TLS shows and the key that proves it: read from files, checked, and read again on request.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use log::{info, warn};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, InconsistentKeys, ServerConfig};

use super::validity::Validity;
use crate::error::Error;

/// Largest file that is read, in bytes: a chain of certificates has a few thousand.
const FILE_LIMIT: u64 = 1 << 20;

/// Sessions that TLS 1.2 clients without tickets may resume. All others carry their own state in a ticket.
const SESSIONS: usize = 1024;

/// The application protocol in which a WebSocket handshake is held (RFC 7301, RFC 6455).
const ALPN: &[u8] = b"http/1.1";

/// A certificate in use.
#[derive(Debug)]
pub struct Certificate {
    /// Where the certificate and the chain behind it are.
    chain: PathBuf,
    /// Where its key is.
    key: PathBuf,
    /// What a new connection gets.
    current: RwLock<Arc<ServerConfig>>,
}

impl Certificate {
    /// Reads a PEM file with a certificate, and the chain behind it, and one with its key.
    pub fn load(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, Error> {
        let (certificate, key) = (certificate.into(), key.into());
        let current = RwLock::new(read(&certificate, &key)?);
        Ok(Self { chain: certificate, key, current })
    }

    /// Reads both files again. New connections get what they hold now, and cannot resume a session that was proved
    /// with another certificate; open ones go on as they are. Files that are no good change nothing.
    pub fn reload(&self) -> Result<(), Error> {
        let fresh = read(&self.chain, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        info!("new connections get the certificate in {}", self.chain.display());
        Ok(())
    }

    /// What a new connection gets.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads both files and checks that they belong together.
fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Error> {
    let chain = read_chain(certificate)?;
    let der = read_key(key)?;
    if let Some(leaf) = chain.first() {
        warn_unless_valid(certificate, leaf);
    }
    let provider = Arc::new(provider());
    let certified = match CertifiedKey::from_der(chain, der, &provider) {
        Ok(certified) => certified,
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            return Err(problem(
                key,
                format!("it is not the key of the certificate in {}", certificate.display()),
            ));
        }
        Err(rustls::Error::InvalidCertificate(error)) => {
            return Err(problem(certificate, format!("its first certificate cannot be read: {error:?}")));
        }
        Err(_) => {
            return Err(problem(
                key,
                "its key is of no kind that is supported: RSA from 2048 bits, P-256, P-384 or Ed25519",
            ));
        }
    };
    let trouble = |error: rustls::Error| problem(certificate, error.to_string());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(trouble)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config.ticketer = ring::Ticketer::new().map_err(trouble)?;
    // Clients put AES with 256 bits first, which is slower and here no safer; but one whose processor lacks AES puts
    // ChaCha20 first, so its wish goes before ours unless ours is much faster.
    config.ignore_client_order = has_aes();
    Ok(Arc::new(config))
}

/// The cryptography, with the fastest ciphers first: AES with 128 bits is, where the processor knows AES.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        _ => 1,
    });
    provider
}

/// Whether the processor has instructions for AES, without which `ChaCha20` is faster.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has = false;
    has
}

/// The certificates of a PEM file, in order.
fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read_file(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| malformed(path, &error))?;
    if chain.is_empty() {
        return Err(problem(path, "there is no certificate in it, as `-----BEGIN CERTIFICATE-----` in PEM"));
    }
    Ok(chain)
}

/// The first private key of a PEM file.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read_file(path)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if has(&text, b"BEGIN ENCRYPTED PRIVATE KEY") => Err(problem(
            path,
            "its key is encrypted; decrypt it with `openssl pkey -in FILE -out PLAIN-FILE`",
        )),
        Err(pem::Error::NoItemsFound) => Err(problem(
            path,
            "there is no private key in it, as `-----BEGIN PRIVATE KEY-----` or the like in PEM",
        )),
        Err(error) => Err(malformed(path, &error)),
    }
}

/// A whole file, within bounds.
fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|error| problem(path, error.to_string()))?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(problem(path, "it is too large to be a certificate or a key"));
    }
    Ok(bytes)
}

/// A certificate that clients will not accept yet, or any more, is worth a word; but the operator may know better.
fn warn_unless_valid(path: &Path, leaf: &CertificateDer) {
    let Some(Validity { from, until }) = Validity::of(leaf) else { return };
    let now = SystemTime::now();
    let (fault, at) = match () {
        () if now > until => ("expired on", until),
        () if now < from => ("is not valid before", from),
        () => return,
    };
    let at = humantime::format_rfc3339_seconds(at);
    warn!("the certificate in {} {fault} {at}: clients will refuse it", path.display());
}

/// Whether some bytes occur.
fn has(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

/// What is wrong with a file.
fn problem(path: &Path, problem: impl Into<String>) -> Error {
    Error::File { path: path.to_owned(), problem: problem.into() }
}

/// A file that is not what its first lines promise.
fn malformed(path: &Path, error: &pem::Error) -> Error {
    problem(path, format!("it is damaged PEM: {error}"))
}
