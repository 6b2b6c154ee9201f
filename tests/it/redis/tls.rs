//! Rooms over a Redis with TLS.

use std::net::SocketAddr;
use std::path::Path;

use super::lost::{LOST, read_close, wait_until_connected};
use super::rooms::{assert_one_order, instances, join, until};
use super::server::{RedisServer, free_address};
use super::start::output_of_refused;
use crate::certificate::{Chain, chain};
use crate::harness::{Frame, masked, text};
use crate::server_process::command;
use crate::tls_server::Files;

/// A certificate of `localhost` with its key, and the certificate of its CA.
struct Certificates {
    server: Files,
    authority: Files,
}

impl Certificates {
    fn new() -> Self {
        let Chain { root, middle, leaf, key } = chain();
        Self { server: Files::with(&(leaf + &middle), &key), authority: Files::with(&root, "") }
    }

    /// Starts a Redis whose instances trust the CA.
    fn serve(&self, address: SocketAddr, options: &[&str]) -> RedisServer {
        RedisServer::secure(address, &self.server, &self.authority.certificate, options)
    }
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_with_tls_carries_one_order_and_is_connected_again() {
    let certificates = Certificates::new();
    let no_client_certificates = ["--tls-auth-clients", "no"];
    let redis = certificates.serve(free_address(), &no_client_certificates);
    let servers = instances(&redis, &[]);
    assert_one_order(&servers);
    let (mut sender, mut member) = (join(&servers[0], "large"), join(&servers[1], "large"));
    until(&mut sender, "here");
    let large = vec![0xfe; 1 << 20];
    sender.send(masked(0x82, &large));
    assert!(member.read_frame() == Frame::new(0x82, &large), "another frame");
    assert!(sender.read_frame() == Frame::new(0x82, &large), "another frame");

    let address = redis.kill();
    assert_eq!(read_close(&mut member), Frame::close(1012, LOST));
    let _redis = certificates.serve(address, &no_client_certificates);
    for server in &servers {
        wait_until_connected(server, 1);
    }
    let (mut sender, mut member) = (join(&servers[0], "again"), join(&servers[1], "again"));
    sender.send(text("through"));
    until(&mut member, "through");
}

#[test]
#[ignore = "needs redis-server of Debian; scripts/test installs it"]
fn redis_certificate_that_is_not_trusted_is_one_line_that_names_the_variable() {
    let certificates = Certificates::new();
    let redis = certificates.serve(free_address(), &["--tls-auth-clients", "no"]);
    let strict = certificates
        .serve(free_address(), &["--tls-ca-cert-file", certificates.authority.certificate.to_str().unwrap()]);
    let port = redis.address.port();
    let (trusted, other) = (&certificates.authority.certificate, Certificates::new());
    for (url, authority, words) in [
        (redis.url(), &*other.authority.certificate, ["invalid peer certificate", "SSL_CERT_FILE"]),
        (redis.url(), Path::new("/nonexistent/ca.pem"), ["'/nonexistent/ca.pem'", "SSL_CERT_FILE"]),
        (format!("rediss://127.0.0.1:{port}"), trusted, ["not valid for name", "SSL_CERT_FILE"]),
        (strict.url(), trusted, ["CertificateRequired", "tls-auth-clients"]),
        (
            format!("redis://127.0.0.1:{port}"),
            trusted,
            ["cannot share rooms over Redis", "correct the address"],
        ),
    ] {
        let mut command = command(&["--listen", "127.0.0.1:0", "--rooms", &url]);
        let err = output_of_refused(command.env("SSL_CERT_FILE", authority));
        assert!(words.iter().all(|words| err.contains(words)), "not all of {words:?} in {err}");
    }
}
