//! The header of the PROXY protocol, versions 1 and 2, with which a proxy names the client of a connection
//! (`HAProxy`, doc/proxy-protocol.txt).

use std::net::SocketAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader, SslInfo};

/// The first bytes of version 1.
const SIGNATURE_1: &[u8] = b"PROXY ";

/// The first bytes of version 2.
const SIGNATURE_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Maximum length of a header of version 1, in bytes, with its line end.
const MAX_LENGTH_1: usize = 107;

/// Length of the fixed part of version 2, in bytes: signature, command, family, length of the rest.
const FIXED_LENGTH_2: usize = 16;

/// Maximum length of what follows the fixed part of version 2, in bytes. The addresses take at most 216, and
/// the values are names: the subject of a certificate, a host name.
const MAX_REST_2: usize = 4 << 10;

/// What a proxy says about the connection of its client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxiedConnection {
    /// Version of the header, 1 or 2.
    pub version: u8,
    /// Address of the client. `None` for a connection of the proxy itself (LOCAL), and for a client without
    /// an address of TCP (UNKNOWN).
    pub source: Option<SocketAddr>,
    /// The address to which the client connected.
    pub destination: Option<SocketAddr>,
    /// The host name that the client asked for (RFC 6066, 3).
    pub authority: Option<String>,
    /// The application protocol (RFC 7301).
    pub alpn: Option<String>,
    /// TLS between the client and the proxy.
    pub tls: Option<ProxiedTls>,
}

/// TLS between a client and a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxiedTls {
    /// Version, for example `TLSv1.3`.
    pub version: Option<String>,
    /// Name of the cipher suite.
    pub cipher: Option<String>,
    /// Common name of the client's certificate.
    pub common_name: Option<String>,
    /// The client sent a certificate, and the proxy has verified it.
    pub verified: bool,
}

/// The outcome of looking for a header in the first bytes of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The bytes can be the begin of a header.
    Incomplete,
    /// The bytes do not begin with a signature.
    Absent,
    /// A header, and its length in bytes.
    Complete(Box<ProxiedConnection>, usize),
    /// The bytes begin with a signature, and the rest is no header. Contains the sentence for the client.
    Malformed(String),
}

/// Looks for a header at the begin of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    if bytes.starts_with(SIGNATURE_1) {
        return parse_line(bytes);
    }
    if bytes.starts_with(SIGNATURE_2) {
        return parse_binary(bytes);
    }
    let begins = |signature: &[u8]| signature.starts_with(bytes);
    if begins(SIGNATURE_1) || begins(SIGNATURE_2) { Parsed::Incomplete } else { Parsed::Absent }
}

/// Parses version 1, a line.
fn parse_line(bytes: &[u8]) -> Parsed {
    let line = &bytes[..bytes.len().min(MAX_LENGTH_1)];
    match line.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => parse_whole(&bytes[..end + 2], 1),
        None if line.len() < MAX_LENGTH_1 => Parsed::Incomplete,
        None => Parsed::Malformed(format!("the PROXY header has no line end in {MAX_LENGTH_1} bytes")),
    }
}

/// Parses version 2.
fn parse_binary(bytes: &[u8]) -> Parsed {
    let Some(fixed) = bytes.first_chunk::<FIXED_LENGTH_2>() else { return Parsed::Incomplete };
    let rest = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if rest > MAX_REST_2 {
        let sentence = format!("the PROXY header has {rest} bytes after its first 16; at most {MAX_REST_2}");
        return Parsed::Malformed(sentence);
    }
    let length = FIXED_LENGTH_2 + rest;
    match bytes.get(..length) {
        None => Parsed::Incomplete,
        // LOCAL: the receiver must ignore the family and what follows.
        Some(_) if fixed[12] == 0x20 => {
            Parsed::Complete(Box::new(ProxiedConnection { version: 2, ..<_>::default() }), length)
        }
        Some(header) => parse_whole(header, 2),
    }
}

/// Parses a header of known length.
fn parse_whole(bytes: &[u8], version: u8) -> Parsed {
    let header = match ProxyHeader::parse(bytes, ParseConfig::default()) {
        Ok((header, length)) if length == bytes.len() => header,
        _ => return Parsed::Malformed(format!("the PROXY header of version {version} is malformed")),
    };
    let addresses = header.proxied_address().filter(|address| address.protocol == Protocol::Stream);
    let connection = ProxiedConnection {
        version,
        source: addresses.map(|addresses| addresses.source),
        destination: addresses.map(|addresses| addresses.destination),
        authority: header.authority().map(str::to_owned),
        alpn: header.alpn().map(|name| String::from_utf8_lossy(name).into_owned()),
        tls: header.ssl().filter(SslInfo::client_ssl).map(|tls| ProxiedTls::new(&tls)),
    };
    Parsed::Complete(Box::new(connection), bytes.len())
}

impl ProxiedTls {
    fn new(tls: &SslInfo<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            version: owned(tls.version()),
            cipher: owned(tls.cipher()),
            common_name: owned(tls.cn()),
            verified: (tls.client_cert_conn() || tls.client_cert_sess()) && tls.verify() == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proxy_header::{ProxiedAddress, Tlv};

    use super::*;

    /// Returns a header of version 2 with this command, family and rest.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE_2, &[command, family], &length, rest].concat()
    }

    fn complete(bytes: &[u8]) -> ProxiedConnection {
        match parse(bytes) {
            Parsed::Complete(connection, length) if length == bytes.len() => *connection,
            other => panic!("{other:?} of {bytes:?}"),
        }
    }

    #[test]
    fn proxy_header_names_the_client() {
        let (source, destination) = ("192.0.2.1:5000", "192.0.2.2:443");
        let seen = complete(b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n");
        assert_eq!((seen.version, seen.source), (1, Some(source.parse().unwrap())));
        let address = ProxiedAddress::stream(source.parse().unwrap(), destination.parse().unwrap());
        let mut tls = SslInfo::new(true, true, false, 0);
        tls.append_tlv(Tlv::SslVersion("TLSv1.3".into()));
        tls.append_tlv(Tlv::SslCn("client".into()));
        let values =
            [Tlv::Authority("example.org".into()), Tlv::Custom(0xe0, vec![0xff].into()), Tlv::Ssl(tls)];
        let mut bytes = Vec::new();
        ProxyHeader::with_tlvs(Some(address), values).encode_v2(&mut bytes).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Parsed::Incomplete, "after {end} bytes");
        }
        let seen = complete(&bytes);
        assert_eq!((seen.version, seen.source), (2, Some(source.parse().unwrap())));
        assert_eq!(
            (seen.destination, seen.authority.as_deref()),
            (destination.parse().ok(), Some("example.org"))
        );
        let tls = seen.tls.unwrap();
        assert_eq!((tls.version.as_deref(), tls.common_name.as_deref()), (Some("TLSv1.3"), Some("client")));
        assert!(tls.verified);
    }

    #[test]
    fn proxy_header_of_an_unknown_client_has_no_address() {
        let addresses = [192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2];
        for bytes in [
            &b"PROXY UNKNOWN\r\n"[..],
            b"PROXY UNKNOWN ffff:f...f:ffff 1\r\n",
            &binary(0x20, 0, &[]),
            &binary(0x20, 0x11, &addresses),
            &binary(0x20, 0x77, &[1]),
            &binary(0x21, 0, &[]),
            &binary(0x21, 0x31, &[0; 216]),
            &binary(0x21, 0x12, &addresses),
        ] {
            assert_eq!(complete(bytes).source, None, "{bytes:?}");
        }
    }

    #[test]
    fn proxy_header_that_lies_is_malformed_or_incomplete() {
        let addresses = [192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2];
        for bytes in [
            &b"PROXY TCP4 192.0.2.1\r\n"[..],
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            b"PROXY \r\n",
            &[&b"PROXY UNKNOWN "[..], &[b'a'; 100]].concat(),
            &binary(0x21, 0x11, &addresses[..11]),
            &binary(0x21, 0x21, &addresses),
            &binary(0x21, 0x41, &addresses),
            &binary(0x31, 0x11, &addresses),
            &binary(0x22, 0x11, &addresses),
            &binary(0x21, 0x11, &[0; MAX_REST_2 + 1]),
        ] {
            assert!(matches!(parse(bytes), Parsed::Malformed(_)), "{:?} of {bytes:?}", parse(bytes));
        }
        let mut longer = binary(0x21, 0x11, &addresses);
        longer[15] += 1;
        assert_eq!(parse(&longer), Parsed::Incomplete);
        for other in ["GET / HTTP/1.1\r\n", "PROXY\r\n", "PROPFIND", "\r\n\r\nGET", "\x16\x03\x01"] {
            assert_eq!(parse(other.as_bytes()), Parsed::Absent, "{other}");
        }
        assert!(["", "P", "\r\n"].iter().all(|begin| parse(begin.as_bytes()) == Parsed::Incomplete));
    }

    /// Values with lengths that are right or not, some of them inside of TLS.
    fn values() -> impl Strategy<Value = Vec<u8>> {
        let kind = prop_oneof![Just(0x01), Just(0x02), Just(0x20), Just(0x21), Just(0x22), any::<u8>()];
        let lie = prop_oneof![3 => Just(0), 1 => -2..3_i32];
        let value = (kind, lie, prop::collection::vec(any::<u8>(), 0..20));
        let bytes = value.prop_map(|(kind, lie, value)| {
            let length = i32::try_from(value.len()).unwrap() + lie;
            [&[kind], &u16::try_from(length.max(0)).unwrap().to_be_bytes()[..], &value].concat()
        });
        prop::collection::vec(bytes, 0..6).prop_map(|values| values.concat())
    }

    proptest! {
        #[test]
        fn proxy_header_with_any_values_names_the_client(outer in values(), inner in values()) {
            let tls = [&[0x20, 0, u8::try_from(inner.len() + 5).unwrap(), 7, 0, 0, 0, 0], &inner[..]].concat();
            let addresses = [192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2];
            let seen = complete(&binary(0x21, 0x11, &[&addresses[..], &outer, &tls].concat()));
            prop_assert_eq!(seen.source, Some("192.0.2.1:1".parse().unwrap()));
        }

        #[test]
        fn proxy_header_of_any_bytes_has_a_bounded_length(
            version in 0..3_u8, command in 0x1f..0x23_u8, family in 0..0x33_u8, rest in any::<Vec<u8>>()
        ) {
            let bytes = match version {
                0 => rest,
                1 => [SIGNATURE_1, &rest].concat(),
                _ => binary(command, family, &rest),
            };
            match parse(&bytes) {
                Parsed::Complete(_, length) => prop_assert!(length <= bytes.len()),
                Parsed::Incomplete => prop_assert!(bytes.len() < FIXED_LENGTH_2 + MAX_REST_2),
                Parsed::Absent | Parsed::Malformed(_) => {}
            }
        }
    }
}
