//! Certificates and keys in files: formats, order, permissions, errors.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::version::TLS13;
use ws_echo::{Certificate, Listener};

use crate::certificate_reload::TlsProcess;
use crate::harness::{TestServer, config, eventually, text};
use crate::process::run;
use crate::tls_server::{Files, client_config, connect};
use ws_echo::Routes;

/// Returns the path of a file of the repository.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

/// Serves with a certificate, to a client that trusts those in `roots`.
fn serve(certificate: &Path, key: &Path, roots: &Path) {
    let loaded = Certificate::load(certificate, key).unwrap().into();
    let server = TestServer::on(|socket| Listener::secure(socket, loaded), config(), Routes::standard());
    let mut client = connect(server.address, &client_config(roots, &[&TLS13])).open("/echo");
    client.send(text("trusted"));
    assert_eq!(client.read_text(), "trusted");
    client.close();
}

#[test]
fn certificate_keys_in_pkcs8_sec1_and_pkcs1_are_read() {
    let files = Files::new();
    serve(&files.certificate, &files.key, &files.certificate);
    for name in ["ec-sec1", "rsa-pkcs1"] {
        let certificate = fixture(&format!("{name}.crt"));
        serve(&certificate, &fixture(&format!("{name}.key")), &certificate);
    }
}

/// A certificate of `localhost` with its issuers, and the key.
pub struct Chain {
    pub root: String,
    pub middle: String,
    pub leaf: String,
    pub key: String,
}

pub fn chain() -> Chain {
    let authority = |name: &str| {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let root = CertifiedIssuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap();
    let middle =
        CertifiedIssuer::signed_by(authority("middle"), KeyPair::generate().unwrap(), &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &middle).unwrap();
    Chain { root: root.pem(), middle: middle.pem(), leaf: leaf.pem(), key: key.serialize_pem() }
}

#[test]
fn certificate_chain_is_sent_whole() {
    let Chain { root, middle, leaf, key } = chain();
    let files = Files::with(&(leaf + &middle), &key);
    // The client trusts the root only, so the server has to send the certificate between.
    let roots = Files::with(&root, "");
    serve(&files.certificate, &files.key, &roots.certificate);
}

#[test]
fn certificate_chain_in_the_wrong_order_is_served_with_a_warning() {
    let Chain { root, middle, leaf, key } = chain();
    let files = Files::with(&[&leaf[..], &root, &middle].concat(), &key);
    let warning = TlsProcess::start(&files).expect_log("the chain in ");
    assert!(warning.contains("WARN") && warning.contains("certificate 2 did not issue"), "{warning}");
}

#[test]
fn key_that_other_users_can_read_is_warned_of() {
    let files = Files::new();
    for (mode, warned) in [(0o644, true), (0o640, true), (0o600, false), (0o400, false)] {
        std::fs::set_permissions(&files.key, Permissions::from_mode(mode)).unwrap();
        let mut server = TlsProcess::start(&files);
        server.process.signal("TERM");
        eventually("the server ends", || server.process.child.try_wait().unwrap().is_some());
        let log = server.log.rest().concat();
        let words = format!("can be read by other users (mode {mode:o}); restrict it with `chmod 600 ");
        assert_eq!(log.contains(&words), warned, "{mode:o}: {log}");
        assert_eq!(log.contains("other users"), warned, "{mode:o}: {log}");
    }
}

/// Returns an RSA key in PEM whose modulus has this many bits. Its numbers are no key.
fn rsa_key(bits: usize) -> String {
    let element = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82][..], &length, content].concat()
    };
    // A zero byte before the highest bit: integers have a sign.
    let modulus = [vec![0], vec![0xFF; bits / 8]].concat();
    let numbers = [&[0][..], &modulus, &[1, 0, 1]].map(|number| element(0x02, number)).concat();
    let base64 = data_encoding::BASE64.encode(&element(0x30, &numbers));
    format!("-----BEGIN RSA PRIVATE KEY-----\n{base64}\n-----END RSA PRIVATE KEY-----\n")
}

#[test]
fn certificate_file_error_is_one_line_with_the_file_and_the_reason() {
    let good = Files::new();
    let other = Files::new();
    let (cert, key) = (good.certificate.as_path(), good.key.as_path());
    let damaged = Files::with("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "");
    let no_x509 = Files::with("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "");
    let encrypted =
        Files::with("", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let encrypted_as_before = Files::with(
        "",
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,3B01\n\nAAAA\n\
         -----END EC PRIVATE KEY-----\n",
    );
    let odd = Files::with("", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let (large, small) = (Files::with("", &rsa_key(8192)), Files::with("", &rsa_key(1024)));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let reversed = Files::with(&(read(&other.certificate) + &read(cert)), "");
    let nowhere = Path::new("/nonexistent/file.pem");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = [
        (nowhere, key, nowhere, "No such file"),
        (cert, nowhere, nowhere, "No such file"),
        (folder, key, folder, "directory"),
        (Path::new("/dev/zero"), key, Path::new("/dev/zero"), "too large"),
        (key, key, key, "no certificate found"),
        (cert, cert, cert, "no private key found"),
        (&damaged.certificate, key, &damaged.certificate, "invalid PEM"),
        (&no_x509.certificate, key, &no_x509.certificate, "first certificate is malformed"),
        (cert, &other.key, &other.key, "does not match the certificate in"),
        (cert, &encrypted.key, &encrypted.key, "encrypted; decrypt it"),
        (cert, &encrypted_as_before.key, &encrypted_as_before.key, "encrypted; decrypt it"),
        (cert, &odd.key, &odd.key, "unsupported key type"),
        (
            cert,
            &large.key,
            &large.key,
            "RSA keys of 8192 bits are not supported; use RSA with 2048 to 4096 bits",
        ),
        (cert, &small.key, &small.key, "RSA keys of 1024 bits are not supported"),
        (
            &reversed.certificate,
            key,
            &reversed.certificate,
            "wrong order: certificate 2 is the one of the key",
        ),
    ];
    for (certificate, key, named, why) in cases {
        let [certificate, key] = [certificate, key].map(|path| path.to_str().unwrap());
        let (code, err) =
            run(&["--listen=none", "--tls-listen=127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key]);
        assert_eq!((code, err.lines().count()), (Some(1), 1), "{why}: {err}");
        assert!(
            err.contains(why) && err.contains(&format!("cannot use {}: ", named.display())),
            "{why}: {err}"
        );
    }
}

#[test]
fn tls_options_without_their_companions_are_a_usage_error() {
    for (arguments, missing) in [
        (&["--tls-listen=127.0.0.1:0"][..], "--tls-cert FILE and --tls-key FILE; scripts/dev-cert"),
        (&["--tls-cert=cert.pem"], "--tls-listen ADDRESS"),
        (&["--listen=none"], "--tls-listen ADDRESS"),
        (&["--tls-listen=nowhere"], "expected HOST:PORT"),
    ] {
        let (code, err) = run(arguments);
        assert!(code == Some(2) && err.contains(missing), "no `{missing}` in {err}");
    }
}

#[test]
fn certificate_that_has_expired_is_served_with_a_warning() {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2001, 2, 3);
    params.not_before = rcgen::date_time_ymd(2000, 2, 3);
    let key = KeyPair::generate().unwrap();
    let files = Files::with(&params.self_signed(&key).unwrap().pem(), &key.serialize_pem());
    let server = TlsProcess::start(&files);
    let warning = server.expect_log("expired on 2001-02-03");
    assert!(warning.contains("WARN") && warning.contains(files.certificate.to_str().unwrap()), "{warning}");
}

/// Runs `scripts/dev-cert`, and returns what it prints.
pub fn dev_cert(arguments: &[&OsStr]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/dev-cert");
    let run = Command::new(script).args(arguments).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    String::from_utf8(run.stdout).unwrap()
}

/// A server with a certificate that `scripts/dev-cert` makes in a directory, and that certificate.
pub fn serve_dev_cert(out: &Path) -> (TestServer, PathBuf) {
    dev_cert(&["--out".as_ref(), out.as_ref()]);
    let certificate = out.join("cert.pem");
    let loaded = Certificate::load(&certificate, out.join("key.pem")).unwrap().into();
    let server = TestServer::on(|socket| Listener::secure(socket, loaded), config(), Routes::standard());
    (server, certificate)
}

#[test]
#[ignore = "needs openssl: scripts/test runs it"]
fn dev_cert_key_is_private_also_over_an_old_file() {
    let out = std::env::temp_dir().join(format!("ws-echo-dev-cert-mode-{}", std::process::id()));
    std::fs::create_dir(&out).unwrap();
    for name in ["key.pem", "cert.pem"] {
        std::fs::write(out.join(name), "old").unwrap();
        std::fs::set_permissions(out.join(name), Permissions::from_mode(0o666)).unwrap();
    }
    dev_cert(&["--out".as_ref(), out.as_ref()]);
    let mode = |name: &str| std::fs::metadata(out.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("key.pem"), mode("cert.pem")), (0o600, 0o644));
    Certificate::load(out.join("cert.pem"), out.join("key.pem")).unwrap();
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2, "no other file is left");
    std::fs::remove_dir_all(out).unwrap();
}

#[test]
#[ignore = "needs curl and openssl: scripts/test runs it"]
fn dev_cert_certificate_is_accepted_by_curl() {
    let out = std::env::temp_dir().join(format!("ws-echo-dev-cert-{}", std::process::id()));
    let (server, certificate) = serve_dev_cert(&out);
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}/", server.address.port());
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-4", "--max-time", "20", "--noproxy", "*", "--cacert"])
            .arg(&certificate)
            .arg(&url);
        let output = curl.output().unwrap();
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("<html"), "{url}: the page");
    }
    std::fs::remove_dir_all(out).unwrap();
}
