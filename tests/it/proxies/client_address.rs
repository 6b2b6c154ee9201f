//! The address of the client behind a proxy, as the server has it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value as Json;

use super::proxy::{Kind, free_port, start};
use crate::harness::{Client, eventually, request};
use crate::server_process::LogLines;
use crate::session_limits::connect_from;
use crate::tls_server::{Files, secure};

/// An address that proxies do not have.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Fields with which a client names another address.
const FORGED: &[(&str, &str)] = &[("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9")];

each_proxy! {
    proxied_client_address_is_in_info_and_in_the_log,
    proxied_client_address_is_the_one_of_the_address_limit,
}

/// Opens a session with fields that name another address. Returns the response and the session.
fn open_from(address: Ipv4Addr, proxy: SocketAddr, path: &str) -> (String, Client) {
    let mut client = connect_from(proxy, address);
    client.send(request(path, FORGED));
    let head = client.read_head();
    (head, client)
}

fn proxied_client_address_is_in_info_and_in_the_log(kind: Kind) {
    let (mut instances, proxy) = start(kind, &[], &[]);
    let logs = instances.each_mut().map(LogLines::of);
    let (head, mut client) = open_from(CLIENT, proxy.address, "/info");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let seen: Json = serde_json::from_str(&client.read_text()).unwrap();
    let peer = seen["peer"].as_str().unwrap();
    let (forwarded_by, version) = match kind {
        Kind::Haproxy => {
            assert_eq!(peer, client.stream.local_addr().unwrap().to_string());
            (Json::Null, 2.into())
        }
        Kind::Nginx | Kind::Caddy => {
            assert_eq!(peer, CLIENT.to_string());
            ("X-Forwarded-For".into(), Json::Null)
        }
    };
    assert_eq!((&seen["forwarded_by"], &seen["proxy_protocol"]["version"]), (&forwarded_by, &version));
    assert!(seen["proxy"].as_str().unwrap().starts_with("127.0.0.1:"), "{seen}");
    let log = if seen["served_by"] == "web-1" { &logs[0] } else { &logs[1] };
    assert!(log.expect(" opened /info").contains(&format!(" {peer} opened")));
}

fn proxied_client_address_is_the_one_of_the_address_limit(kind: Kind) {
    let (_instances, proxy) = start(kind, &["--max-per-ip", "1"], &[]);
    let mut held = Vec::new();
    // One on each instance.
    eventually("the address has its maximum", || {
        let (head, client) = open_from(CLIENT, proxy.address, "/echo");
        held.push(client);
        head.starts_with("HTTP/1.1 429 ")
    });
    let (head, _other) = open_from(Ipv4Addr::new(127, 0, 0, 3), proxy.address, "/echo");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[test]
#[ignore = "needs proxies of Debian; scripts/test installs them"]
fn haproxy_names_host_version_and_certificate_of_tls() {
    let files = Files::new();
    let (certificate, key) = (fs::read(&files.certificate).unwrap(), fs::read(&files.key).unwrap());
    let own = CertificateDer::from_pem_slice(&certificate).unwrap();
    let private_key = PrivateKeyDer::from_pem_slice(&key).unwrap();
    // HAProxy reads certificate and key from one file.
    fs::write(&files.certificate, [certificate, key].concat()).unwrap();
    let (port, file) = (free_port(), files.certificate.display());
    let bind = format!(
        "bind 127.0.0.1:8080\n    bind 127.0.0.1:{port} ssl crt {file} ca-file {file} verify optional"
    );
    let (_instances, _proxy) = start(Kind::Haproxy, &[], &[("bind 127.0.0.1:8080", &bind)]);
    let mut roots = RootCertStore::empty();
    roots.add(own.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![own], private_key)
        .unwrap();
    let socket = connect_from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), CLIENT).stream;
    let mut client = secure(socket, &Arc::new(config)).open("/info");
    let seen: Json = serde_json::from_str(&client.read_text()).unwrap();
    let header = &seen["proxy_protocol"];
    assert_eq!((&header["authority"], &header["tls"]["version"]), (&"localhost".into(), &"TLSv1.3".into()));
    assert_eq!(header["tls"]["common_name"], "rcgen self signed cert");
    assert_eq!((&header["tls"]["verified"], &seen["tls"]), (&true.into(), &Json::Null));
}
