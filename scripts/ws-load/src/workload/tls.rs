//! TLS of a `wss://` run: which certificates it trusts and shows, and whether it resumes sessions.

use super::cli::ConnectArgs;
use crate::error::LoadError;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
    server::ParsedCertificate,
};
use std::{path::Path, sync::Arc};

/// Creates the TLS configuration that all connections share.
pub(crate) fn client_config(args: &ConnectArgs) -> Result<Arc<ClientConfig>, LoadError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| LoadError::Tls(error.to_string()))?;
    let trust = match &args.cacert {
        _ if args.insecure => Some(Trust::Any),
        Some(path) => Some(Trust::of_file(path, Arc::clone(&provider))?),
        None => None,
    };
    let builder = match trust {
        Some(trust) => {
            let algorithms = provider.signature_verification_algorithms;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(CertificateVerifier { trust, algorithms }))
        }
        None => builder.with_root_certificates(system_roots()?),
    };
    let mut config = match &args.cert {
        Some(cert) => {
            let key = args.key.as_ref().unwrap_or(cert);
            builder.with_client_auth_cert(certificates(cert)?, private_key(key)?).map_err(|error| {
                content(cert)(format!("not usable with the key in {}: {error}", key.display()))
            })?
        }
        None => builder.with_no_client_auth(),
    };
    if !args.tls_resume {
        // A resumed handshake costs the server a fraction of a full one.
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

/// Returns a function that makes the error about the content of the file at `path`.
fn content(path: &Path) -> impl Fn(String) -> LoadError {
    move |problem| LoadError::Content { path: path.to_owned(), problem }
}

/// Reads the certificates of a PEM file. Fails if there is none.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    // Read separately from parsing, so that a missing file and a malformed one give different errors.
    let pem = std::fs::read(path).map_err(|error| LoadError::file(path, error))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(path)(format!("not PEM: {error}")))?;
    if certificates.is_empty() { Err(content(path)("no certificate in it".into())) } else { Ok(certificates) }
}

/// Reads the first private key of a PEM file.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, LoadError> {
    let pem = std::fs::read(path).map_err(|error| LoadError::file(path, error))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        pem::Error::NoItemsFound => content(path)("no private key in it; name its file with --key".into()),
        error => content(path)(format!("not PEM: {error}")),
    })
}

fn system_roots() -> Result<RootCertStore, LoadError> {
    let mut roots = RootCertStore::empty();
    // Certificates that cannot be parsed are skipped.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let problem = "the system has no trusted certificates: use --cacert or --insecure";
        return Err(LoadError::Tls(problem.into()));
    }
    Ok(roots)
}

/// Which certificates of a server are accepted.
#[derive(Debug)]
enum Trust {
    /// Any (`--insecure`).
    Any,
    /// Those of a file (`--cacert`): as issuers, and as the server's own.
    File { issuers: Arc<WebPkiServerVerifier>, certificates: Vec<CertificateDer<'static>> },
}

impl Trust {
    fn of_file(path: &Path, provider: Arc<CryptoProvider>) -> Result<Self, LoadError> {
        let certificates = certificates(path)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| content(path)(error.to_string()))?;
        }
        let issuers = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| content(path)(error.to_string()))?;
        Ok(Self::File { issuers, certificates })
    }
}

/// Checks a server's certificate as [`Trust`] says, and in any case the signatures of the handshake.
#[derive(Debug)]
struct CertificateVerifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Trust::File { issuers, certificates } = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        match issuers.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // webpki accepts no certificate of a CA as a server's, and `openssl req -x509` makes one. The
            // period of validity was checked before that.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::Other(_) | CertificateError::UnknownIssuer,
            )) if certificates.iter().any(|trusted| trusted.as_ref() == end_entity.as_ref()) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
