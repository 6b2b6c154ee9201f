//! A server with TLS, its certificate, and a client that trusts it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use ws_echo::metrics::snapshot::Snapshot;
use ws_echo::{Certificate, Config, Listener, Routes};

use crate::harness::{Client, TestServer, config};

pub type Secure = Client<StreamOwned<ClientConnection, TcpStream>>;

/// A certificate and its key in temporary files, removed on drop.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Files {
    /// Makes a new certificate for `localhost`.
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self::with(&made.cert.pem(), &made.signing_key.serialize_pem())
    }

    pub fn with(certificate: &str, key: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = std::env::temp_dir().join(format!("ws-echo-test-{}-{n}", std::process::id()));
        let files = Self { certificate: base.with_extension("crt"), key: base.with_extension("key") };
        files.write(certificate, key);
        files
    }

    pub fn write(&self, certificate: &str, key: &str) {
        fs::write(&self.certificate, certificate).unwrap();
        fs::write(&self.key, key).unwrap();
    }

    pub fn load(&self) -> Arc<Certificate> {
        Arc::new(Certificate::load(&self.certificate, &self.key).unwrap())
    }

    /// Returns the configuration of a client that trusts this certificate.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        client_config(&self.certificate, versions)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.certificate);
        let _ = fs::remove_file(&self.key);
    }
}

/// Returns the configuration of a client that trusts the certificates in a file.
pub fn client_config(roots: &Path, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(roots).unwrap() {
        store.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Connects and performs the TLS handshake.
pub fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Secure {
    secure(Client::connect(address).stream, config)
}

/// Performs the TLS handshake.
pub fn secure<S: Read + Write>(
    mut socket: S,
    config: &Arc<ClientConfig>,
) -> Client<StreamOwned<ClientConnection, S>> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).unwrap();
    }
    Client { stream: StreamOwned::new(tls, socket) }
}

/// A server with TLS and the configuration of a client that trusts it.
pub struct TlsServer {
    pub server: TestServer,
    pub client: Arc<ClientConfig>,
    pub files: Files,
}

impl TlsServer {
    pub fn start() -> Self {
        Self::with(config(), Routes::standard())
    }

    pub fn with(config: Config, routes: Routes) -> Self {
        let files = Files::new();
        let certificate = files.load();
        let server = TestServer::on(|socket| Listener::secure(socket, certificate), config, routes);
        Self { server, client: files.client(&[&TLS13]), files }
    }

    pub fn open(&self, path: &str) -> Secure {
        connect(self.server.address, &self.client).open(path)
    }

    pub fn finish(self) -> Snapshot {
        self.server.finish().totals
    }
}
