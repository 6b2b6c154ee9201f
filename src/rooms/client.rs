//! Opens connections to Redis.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ConnectionLike, IntoConnectionInfo, RedisError, RedisResult};

use crate::config::RoomsUrl;
use crate::error::Error;

/// Maximum time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time for Redis to reply or to take bytes.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// What to do if the certificate of Redis is refused.
const CHECK_CERTIFICATES: &str =
    "name the file of its CA (PEM) in the variable SSL_CERT_FILE, and its host as in the certificate";

/// What opens connections to one Redis.
#[derive(Clone)]
pub(super) struct RedisClient {
    client: Client,
    /// Host and port, without user and password.
    pub(super) address: String,
}

impl RedisClient {
    /// Creates a client. Opens no connection.
    ///
    /// # Errors
    /// If the URL is not supported.
    pub(super) fn new(url: &RoomsUrl) -> RedisResult<Self> {
        let info = url.as_str().into_connection_info()?;
        let address = info.addr().to_string();
        match info.addr() {
            ConnectionAddr::Unix(_) => return Err(io::Error::other("not a HOST:PORT").into()),
            // The client takes the provider of the process and panics without one. An error: it has one.
            ConnectionAddr::TcpTls { .. } => {
                drop(rustls::crypto::ring::default_provider().install_default());
            }
            _ => {}
        }
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        Ok(Self { client: Client::open(info)?, address })
    }

    /// Opens a connection. Blocks for at most [`CONNECT_TIMEOUT`], beside the resolution of the host name.
    pub(super) fn connect(&self) -> RedisResult<redis::Connection> {
        let connection = self.client.get_connection_with_timeout(CONNECT_TIMEOUT)?;
        connection.set_read_timeout(Some(REPLY_TIMEOUT))?;
        connection.set_write_timeout(Some(REPLY_TIMEOUT))?;
        debug_assert!(connection.is_open());
        Ok(connection)
    }
}

/// Returns the error of a start that failed, with what to do about it.
pub(super) fn start_error(address: &str, error: &RedisError) -> Error {
    use rustls::{AlertDescription, Error::AlertReceived, Error::InvalidCertificate};
    // The client shares its errors between threads.
    let cause = error.source().and_then(|source| source.downcast_ref::<Arc<dyn StdError + Send + Sync>>());
    let from_io = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    let from_tls = from_io.and_then(|error| error.get_ref()?.downcast_ref::<rustls::Error>());
    let remedy = match from_tls {
        // The only other causes are the files of the CAs, and a host that no certificate can have.
        _ if cause.is_some() && from_io.is_none() => CHECK_CERTIFICATES,
        Some(InvalidCertificate(_)) => CHECK_CERTIFICATES,
        Some(AlertReceived(AlertDescription::CertificateRequired)) => {
            "client certificates are not supported: set `tls-auth-clients no` or `optional` in Redis"
        }
        _ => "start Redis there, correct the address or the password of --rooms, or leave it out",
    };
    let reason = match from_io.map(io::Error::kind) {
        Some(ErrorKind::WouldBlock | ErrorKind::TimedOut) => "no reply in time".to_owned(),
        _ => error.to_string(),
    };
    Error::Rooms { address: address.to_owned(), reason, remedy }
}

/// Returns whether an error is a reply of Redis, after which the connection can be used.
pub(super) fn is_reply(error: &RedisError) -> bool {
    !(error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error())
}
