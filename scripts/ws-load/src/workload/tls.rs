//! TLS of a `wss://` run: which certificates it trusts, and whether it resumes sessions.

use super::cli::ConnectArgs;
use crate::error::LoadError;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{path::Path, sync::Arc};

/// Creates the TLS configuration that all connections share.
pub(crate) fn client_config(args: &ConnectArgs) -> Result<Arc<ClientConfig>, LoadError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| LoadError::Tls(error.to_string()))?;
    let builder = if args.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(NoCertVerifier { provider }))
    } else {
        builder.with_root_certificates(args.cacert.as_deref().map_or_else(system_roots, file_roots)?)
    };
    let mut config = builder.with_no_client_auth();
    if !args.tls_resume {
        // A resumed handshake costs the server a fraction of a full one.
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

fn file_roots(path: &Path) -> Result<RootCertStore, LoadError> {
    let content = |problem: String| LoadError::Content { path: path.to_owned(), problem };
    // Read separately from parsing, so that a missing file and a malformed one give different errors.
    let pem = std::fs::read(path).map_err(|error| LoadError::file(path, error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| content(format!("not PEM: {error}")))?;
        roots.add(certificate).map_err(|error| content(error.to_string()))?;
    }
    if roots.is_empty() { Err(content("no certificate in it".into())) } else { Ok(roots) }
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

/// Accepts any certificate (`--insecure`). Still checks the signatures of the handshake.
#[derive(Debug)]
struct NoCertVerifier {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NoCertVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
