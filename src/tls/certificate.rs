//! Certificate and key of the TLS listener: loaded from files, checked, and reloaded on request.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
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

use super::chain::first_out_of_order;
use super::file_state::PairState;
use super::key;
use super::validity::Validity;
use crate::error::Error;

/// Maximum size of a certificate or key file, in bytes. A certificate chain has a few thousand.
const MAX_FILE_SIZE: u64 = 1 << 20;

/// Number of TLS sessions cached for clients of TLS 1.2 without tickets.
const SESSION_CACHE_SIZE: usize = 1024;

/// Protocol offered in ALPN (RFC 7301). The WebSocket handshake uses HTTP/1.1 (RFC 6455, section 4.1).
const ALPN: &[u8] = b"http/1.1";

/// A certificate with its key, shared by the connections of a TLS listener.
#[derive(Debug)]
pub struct Certificate {
    /// File with the certificate and its chain.
    chain_path: PathBuf,
    /// File with the key.
    key_path: PathBuf,
    current: RwLock<Loaded>,
}

/// What was loaded from the files.
#[derive(Debug)]
struct Loaded {
    /// Configuration of new connections.
    config: Arc<ServerConfig>,
    /// The files when they were read.
    files: PairState,
}

impl Certificate {
    /// Loads a PEM file with the certificate followed by its chain, and a PEM file with its private key. Logs
    /// a warning if the certificate has expired or is not valid yet, if the chain behind it is in the wrong
    /// order, and if other users can read the key.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if a file cannot be read, is larger than 1 MiB or is not valid PEM, if the key type is
    /// unsupported, or if the key does not match the first certificate.
    pub fn load(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, Error> {
        let (chain_path, key_path) = (certificate.into(), key.into());
        let current = RwLock::new(Loaded::read(&chain_path, &key_path)?);
        Ok(Self { chain_path, key_path, current })
    }

    /// Reloads both files. New connections use the new certificate and cannot resume TLS sessions of the old
    /// one. Open connections do not change.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load); the certificate in use then stays.
    pub fn reload(&self) -> Result<(), Error> {
        let loaded = Loaded::read(&self.chain_path, &self.key_path)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        info!("reloaded the certificate in {} for new connections", self.chain_path.display());
        Ok(())
    }

    /// Returns the configuration of a new connection.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).config)
    }

    /// Looks at both files without reading them.
    pub(super) fn files(&self) -> PairState {
        PairState::of(&self.chain_path, &self.key_path)
    }

    /// Returns whether `files` are other ones than those that were loaded.
    pub(super) fn differs_from(&self, files: PairState) -> bool {
        self.current.read().unwrap_or_else(PoisonError::into_inner).files != files
    }
}

impl Loaded {
    /// Loads both files. Fails if one of them changes meanwhile: it may be half of a new file.
    fn read(chain_path: &Path, key_path: &Path) -> Result<Self, Error> {
        let files = PairState::of(chain_path, key_path);
        let config = load_config(chain_path, key_path)?;
        if PairState::of(chain_path, key_path) != files {
            return Err(file_error(chain_path, "it or its key changed while it was read; try again"));
        }
        Ok(Self { config, files })
    }
}

/// Loads both files and builds the configuration of new connections.
fn load_config(chain_path: &Path, key_path: &Path) -> Result<Arc<ServerConfig>, Error> {
    let chain = read_chain(chain_path)?;
    let (key, mode) = read_key(key_path)?;
    let provider = Arc::new(crypto_provider());
    let certified = match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
        Ok(certified) => certified,
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            return Err(mismatch_error(chain_path, &chain, key_path, &key, &provider));
        }
        Err(rustls::Error::InvalidCertificate(error)) => {
            return Err(file_error(chain_path, format!("the first certificate is malformed: {error:?}")));
        }
        Err(_) => return Err(file_error(key_path, key::unsupported(&key))),
    };
    warn_of_chain(chain_path, &chain);
    key::warn_unless_private(key_path, mode);
    let config_error = |error: rustls::Error| file_error(chain_path, error.to_string());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(config_error)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSION_CACHE_SIZE);
    config.ticketer = ring::Ticketer::new().map_err(config_error)?;
    // With AES instructions the server's order applies: most clients put AES-256 first, which is slower than
    // AES-128 and not needed here. Without them the client's order applies.
    config.ignore_client_order = has_aes();
    Ok(Arc::new(config))
}

/// Returns the crypto provider with AES-128 before all other ciphers: it is the fastest with AES
/// instructions.
fn crypto_provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        _ => 1,
    });
    provider
}

/// Returns whether the processor has AES instructions. Without them `ChaCha20` is faster.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has = false;
    has
}

/// Reads the certificates of a PEM file, in order.
fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let (text, _) = read_file(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| pem_error(path, &error))?;
    if chain.is_empty() {
        return Err(file_error(
            path,
            "no certificate found; expected PEM with `-----BEGIN CERTIFICATE-----`",
        ));
    }
    Ok(chain)
}

/// Reads the first private key of a PEM file. Returns it and the file's mode.
fn read_key(path: &Path) -> Result<(PrivateKeyDer<'static>, u32), Error> {
    let (text, mode) = read_file(path)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok((key, mode)),
        // In PKCS #8 (RFC 7468, 11), and as OpenSSL encrypts the older formats (RFC 1421, 4.6.1.1).
        Err(_)
            if [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
                .iter()
                .any(|mark| contains(&text, mark)) =>
        {
            Err(file_error(
                path,
                "the key is encrypted; decrypt it with `openssl pkey -in FILE -out PLAIN-FILE`",
            ))
        }
        Err(pem::Error::NoItemsFound) => {
            Err(file_error(path, "no private key found; expected PEM with `-----BEGIN PRIVATE KEY-----`"))
        }
        Err(error) => Err(pem_error(path, &error)),
    }
}

/// Reads a file of at most [`MAX_FILE_SIZE`] bytes. Returns its contents and its mode (inode(7)).
fn read_file(path: &Path) -> Result<(Vec<u8>, u32), Error> {
    let mut bytes = Vec::new();
    let read = |bytes: &mut Vec<u8>| {
        let file = File::open(path)?;
        let mode = file.metadata()?.mode();
        file.take(MAX_FILE_SIZE + 1).read_to_end(bytes).map(|_| mode)
    };
    let mode = read(&mut bytes).map_err(|error| file_error(path, error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(file_error(path, "larger than 1 MiB, which is too large for a certificate or a key"));
    }
    Ok((bytes, mode))
}

/// Returns the error for a key that is not the one of the first certificate: the chain may be in the wrong
/// order.
fn mismatch_error(
    chain_path: &Path,
    chain: &[CertificateDer<'static>],
    key_path: &Path,
    key: &PrivateKeyDer,
    provider: &CryptoProvider,
) -> Error {
    let matches = |certificate: &CertificateDer<'static>| {
        CertifiedKey::from_der(vec![certificate.clone()], key.clone_key(), provider).is_ok()
    };
    match chain.iter().position(matches) {
        Some(index) => file_error(
            chain_path,
            format!(
                "the chain is in the wrong order: certificate {} is the one of the key; put it first, \
                 then the one that issued it, and so on",
                index + 1
            ),
        ),
        None => file_error(
            key_path,
            format!("the key does not match the certificate in {}", chain_path.display()),
        ),
    }
}

/// Logs a warning if the server's certificate is not valid now, and one if the chain behind it is in the
/// wrong order. The chain is used all the same.
fn warn_of_chain(path: &Path, chain: &[CertificateDer]) {
    if let Some(leaf) = chain.first() {
        warn_unless_valid(path, leaf);
    }
    if let Some(number) = first_out_of_order(chain) {
        warn!(
            "the chain in {} is in the wrong order: certificate {number} did not issue the one before it, \
             some clients will reject it; correct the order",
            path.display()
        );
    }
}

/// Logs a warning if the certificate has expired or is not valid yet. It is used all the same.
fn warn_unless_valid(path: &Path, leaf: &CertificateDer) {
    let Some(Validity { from, until }) = Validity::of(leaf) else { return };
    let now = SystemTime::now();
    let (state, time) = if now > until {
        ("expired on", until)
    } else if now < from {
        ("is not valid before", from)
    } else {
        return;
    };
    let time = humantime::format_rfc3339_seconds(time);
    warn!("the certificate in {} {state} {time}, clients will reject it; replace it", path.display());
}

/// Returns the first and the last second in which the first certificate of a PEM file is valid. `None` if the
/// file cannot be read or has no period.
pub(crate) fn validity(path: &Path) -> Option<(SystemTime, SystemTime)> {
    let Validity { from, until } = Validity::of(read_chain(path).ok()?.first()?)?;
    Some((from, until))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn file_error(path: &Path, reason: impl Into<String>) -> Error {
    Error::File { path: path.to_owned(), reason: reason.into() }
}

fn pem_error(path: &Path, error: &pem::Error) -> Error {
    file_error(path, format!("invalid PEM: {error}"))
}
