//! Opens connections to Redis.

use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ConnectionLike, IntoConnectionInfo, RedisError, RedisResult};

use crate::config::RoomsUrl;

/// Maximum time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time for Redis to reply or to take bytes.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

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
        if matches!(info.addr(), ConnectionAddr::Unix(_)) {
            return Err(RedisError::from(std::io::Error::other("not a HOST:PORT")));
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

/// Returns whether an error is a reply of Redis, after which the connection can be used.
pub(super) fn is_reply(error: &RedisError) -> bool {
    !(error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error())
}
