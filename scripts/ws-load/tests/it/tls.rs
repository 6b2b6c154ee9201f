//! TLS: which certificates are trusted, and which handshakes are resumed.

use crate::{
    runs::{scratch, ws_load},
    test_servers::Server,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{
    fs,
    io::{Read, Write},
    path::PathBuf,
    sync::Arc,
};

/// A certificate with its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: rcgen::KeyPair,
}

impl Identity {
    /// Makes a certificate that is signed with its own key.
    fn self_signed(change: impl FnOnce(&mut rcgen::CertificateParams)) -> Self {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), key }
    }

    /// Writes the certificate to a file.
    fn file(&self) -> PathBuf {
        let file = scratch("certificate.pem");
        fs::write(&file, self.certificate.pem()).unwrap();
        file
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }
}

/// Starts a server that echoes over TLS.
fn tls_server(identity: &Identity) -> (Server, String) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.der().clone()], identity.private_key())
        .unwrap();
    serve_tls(config)
}

/// Starts a server that echoes over TLS. Returns it with its URL.
fn serve_tls(config: rustls::ServerConfig) -> (Server, String) {
    let config = Arc::new(config);
    let server = Server::raw(move |stream, _, _| {
        let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let Ok(mut websocket) = tungstenite::accept(rustls::StreamOwned::new(tls, stream)) else { return };
        while let Ok(message) = websocket.read() {
            if message.is_text() && websocket.send(message).is_err() {
                return;
            }
        }
    });
    let url = format!("wss://localhost:{}/", server.address.port());
    (server, url)
}

#[test]
fn tls_requires_a_trusted_certificate_or_insecure() {
    let identity = Identity::self_signed(|_| {});
    let (_server, url) = tls_server(&identity);
    let file = identity.file();
    let common = ["-c", "3", "-n", "300", "-d", "4", "--size", "10..40000"];
    for trust in [&["--cacert", file.to_str().unwrap()][..], &["--insecure"]] {
        let run = ws_load(&url, &[&common[..], trust].concat());
        assert_eq!((run.code, run.count("replies")), (Some(0), 300), "{run:?}");
        assert_eq!(run.json["tls"]["count"], 3, "{run:?}");
    }
    let run = ws_load(&url, &common);
    assert_eq!((run.code, run.stderr.lines().count()), (Some(1), 1), "{run:?}");
    assert!(run.stderr.contains("certificate is not trusted"), "{run:?}");
    let plain = Server::raw(|mut stream, _, _| {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let run = ws_load(&format!("wss://localhost:{}/", plain.address.port()), &["--insecure", "-c", "1"]);
    assert!(run.stderr.contains("does not use TLS"), "{run:?}");
    let _ = fs::remove_file(file);
}

#[test]
fn tls_handshakes_are_full_unless_resumption_is_requested() {
    let identity = Identity::self_signed(|_| {});
    let (_server, url) = tls_server(&identity);
    let churn = ["--insecure", "--churn", "-c", "1", "-n", "20"];
    let run = ws_load(&url, &churn);
    assert_eq!((run.code, run.count("tls_full"), run.count("tls_resumed")), (Some(0), 20, 0), "{run:?}");
    assert!(run.words().contains("20 full TLS handshakes"), "{run:?}");
    let run = ws_load(&url, &[&churn[..], &["--tls-resume"]].concat());
    assert_eq!((run.code, run.count("tls_full"), run.count("tls_resumed")), (Some(0), 1, 19), "{run:?}");
    assert!(run.words().contains("1 full TLS handshakes, 19 resumed TLS handshakes"), "{run:?}");
}

#[test]
fn tls_cacert_takes_the_certificate_of_the_server_itself() {
    let basic = rcgen::BasicConstraints::Unconstrained;
    // As `openssl req -x509` makes it: of a CA.
    let identity = Identity::self_signed(|params| params.is_ca = rcgen::IsCa::Ca(basic));
    let (server, url) = tls_server(&identity);
    let file = identity.file();
    let trust = ["-c", "2", "-n", "20", "--cacert", file.to_str().unwrap()];
    let run = ws_load(&url, &trust);
    assert_eq!((run.code, run.count("replies")), (Some(0), 20), "{run:?}");
    // The name is still checked.
    let by_address = format!("wss://127.0.0.1:{}/", server.address.port());
    let run = ws_load(&by_address, &trust);
    assert!(run.code == Some(1) && run.stderr.contains("--sni"), "{run:?}");
    let run = ws_load(&by_address, &[&trust[..], &["--sni", "localhost"]].concat());
    assert_eq!((run.code, run.count("replies")), (Some(0), 20), "{run:?}");
    // And another certificate is not trusted.
    let other = Identity::self_signed(|params| params.is_ca = rcgen::IsCa::Ca(basic)).file();
    let run = ws_load(&url, &["-c", "1", "--cacert", other.to_str().unwrap()]);
    assert!(run.code == Some(1) && run.stderr.contains("name it or its CA with --cacert"), "{run:?}");
}

#[test]
fn tls_cacert_does_not_take_an_expired_certificate() {
    let identity = Identity::self_signed(|params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let (_server, url) = tls_server(&identity);
    let run = ws_load(&url, &["-c", "1", "--cacert", identity.file().to_str().unwrap()]);
    assert!(run.code == Some(1) && run.stderr.contains("renew the certificate"), "{run:?}");
}

#[test]
fn tls_client_certificate_is_shown_to_the_server() {
    let (identity, client) = (Identity::self_signed(|_| {}), Identity::self_signed(|_| {}));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(client.certificate.der().clone()).unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![identity.certificate.der().clone()], identity.private_key())
        .unwrap();
    let (_server, url) = serve_tls(config);
    let (cert, key, both) = (client.file(), scratch("key.pem"), scratch("both.pem"));
    fs::write(&key, client.key.serialize_pem()).unwrap();
    fs::write(&both, client.certificate.pem() + &client.key.serialize_pem()).unwrap();
    let [cert, key, both] = [&cert, &key, &both].map(|path| path.to_str().unwrap());
    let common = ["--insecure", "-c", "2", "-n", "20"];
    for shown in [&["--cert", cert, "--key", key][..], &["--cert", both]] {
        let run = ws_load(&url, &[&common[..], shown].concat());
        assert_eq!((run.code, run.count("replies")), (Some(0), 20), "{run:?}");
    }
    let run = ws_load(&url, &common);
    assert!(run.code == Some(1) && run.stderr.contains("see --cert and --key"), "{run:?}");
    let run = ws_load(&url, &[&common[..], &["--cert", cert]].concat());
    assert!(run.code == Some(1) && run.stderr.contains("no private key in it"), "{run:?}");
    let run = ws_load(&url, &["--key", key]);
    assert_eq!(run.code, Some(2), "{run:?}");
}
