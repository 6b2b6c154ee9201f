//! The first bytes of a connection if they can be a PROXY header: they come before TLS and the request.

use std::io::ErrorKind;

use crate::config::ProxyProtocol;
use crate::http::request_head::protocol_of;
use crate::transport::proxy_header::{Parsed, ProxiedConnection, parse};
use crate::transport::stream::{FIRST_BYTES, SessionStream};

/// Bytes per receive. Those behind the header, and a begin of a signature before them, are given back.
const RECEIVE: usize = FIRST_BYTES - 16;

/// Reads a PROXY header in as many pieces as it comes.
pub(super) struct FirstBytes {
    is_required: bool,
    /// What has come of the header.
    bytes: Vec<u8>,
}

/// The outcome of the first bytes.
pub(super) enum FirstBytesOutcome {
    /// More bytes have to arrive.
    Incomplete,
    /// The connection has no header and needs none.
    Absent,
    Header(Box<ProxiedConnection>),
    /// Contains the sentence for the client, and whether the bytes are a TLS handshake.
    Rejected(String, bool),
    /// The connection ended or was aborted. Contains whether a part of a header had come.
    Disconnected(bool),
}

impl FirstBytes {
    /// Returns a reader, or `None` if the bytes need not be looked at.
    pub(super) fn new(mode: ProxyProtocol) -> Option<Self> {
        let is_required = match mode {
            ProxyProtocol::Off => return None,
            ProxyProtocol::Accept => false,
            ProxyProtocol::Require => true,
        };
        Some(Self { is_required, bytes: Vec::new() })
    }

    /// Reads until the header is complete, or until no more bytes have arrived. The bytes of the header do
    /// not count as bytes of the client. Gives the stream what comes behind the header.
    pub(super) fn read(&mut self, stream: &mut SessionStream) -> FirstBytesOutcome {
        loop {
            let mut received = [0; RECEIVE];
            match stream.receive_first(&mut received) {
                Ok(n @ 1..) => self.bytes.extend_from_slice(&received[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return FirstBytesOutcome::Incomplete,
                Ok(0) | Err(_) => return FirstBytesOutcome::Disconnected(!self.bytes.is_empty()),
            }
            match parse(&self.bytes) {
                Parsed::Incomplete => {}
                Parsed::Complete(header, length) => {
                    stream.give_back(self.bytes.split_off(length));
                    return FirstBytesOutcome::Header(header);
                }
                Parsed::Absent if self.is_required => {
                    let (name, is_tls) = protocol_of(&self.bytes);
                    let sentence = format!("this port expects a PROXY header, and gets {name} without it");
                    return FirstBytesOutcome::Rejected(sentence, is_tls);
                }
                Parsed::Absent => {
                    stream.give_back(std::mem::take(&mut self.bytes));
                    return FirstBytesOutcome::Absent;
                }
                Parsed::Malformed(sentence) => return FirstBytesOutcome::Rejected(sentence, false),
            }
        }
    }
}
