//! The options in the groups of `--help`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::origin::{host, origin};
use super::values::{
    PlainAddress, address_or_none, at_least_one, deflate_level, endpoint, memory_size, message_size, name,
    queue_length, rooms_url, timeout, timeout_or_zero, token, trusted_proxy,
};
use crate::config::{DEFAULT_DEFLATE_LEVEL, ProxyProtocol, RoomsLost, RoomsUrl, TrustedProxy};
use crate::logging::LogFormat;
use crate::server::listen_address::ListenAddress;

/// Addresses and limits.
#[derive(Args, Debug)]
#[command(next_help_heading = "Capacity")]
pub(super) struct Capacity {
    /// Address to listen on, repeatable: HOST:PORT, for all addresses of a name, with port 0 for a free
    /// port; unix:PATH; or systemd:NAME, the sockets of a socket unit; `none` disables plain connections
    #[arg(long, env = "WS_ECHO_LISTEN", value_name = "ADDRESS", value_delimiter = ',')]
    #[arg(default_value = "127.0.0.1:1234", value_parser = address_or_none)]
    pub(super) listen: Vec<PlainAddress>,
    /// Number of worker threads [default: one per processor, at least 2]
    #[arg(long, env = "WS_ECHO_WORKERS", value_name = "N", value_parser = at_least_one)]
    pub(super) workers: Option<usize>,
    /// Maximum number of connections at once [default: what descriptors and memory allow, up to 100000]
    #[arg(long, env = "WS_ECHO_CONNECTIONS", value_name = "N", value_parser = at_least_one)]
    pub(super) connections: Option<usize>,
    /// Maximum number of connections that wait for one of --connections to end; further ones get 503
    #[arg(long, env = "WS_ECHO_WAITING", value_name = "N")]
    #[arg(default_value_t = 128, value_parser = queue_length)]
    pub(super) waiting: usize,
    /// Maximum number of connections from one IP address; further ones get 429 [default: no limit]
    #[arg(long, env = "WS_ECHO_MAX_PER_IP", value_name = "N", value_parser = at_least_one)]
    pub(super) max_per_ip: Option<usize>,
    /// Maximum size of a message; a larger one closes the session with 1009
    #[arg(long, env = "WS_ECHO_MAX_MESSAGE", value_name = "SIZE")]
    #[arg(default_value = "16MiB", value_parser = message_size)]
    pub(super) max_message: usize,
    /// Memory for messages and unsent replies of all sessions; one that asks for more closes with 1013
    /// [default: half of RAM or of the cgroup's limit]
    #[arg(long, env = "WS_ECHO_MEMORY", value_name = "SIZE", value_parser = memory_size)]
    pub(super) memory: Option<usize>,
}

/// The TLS listener.
#[derive(Args, Debug)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsOptions {
    /// Address to listen on for wss://, repeatable; scripts/dev-cert creates a test certificate
    #[arg(id = "tls_listen", long = "tls-listen", env = "WS_ECHO_TLS_LISTEN", value_name = "ADDRESS")]
    #[arg(value_delimiter = ',', value_parser = ListenAddress::from_str)]
    pub(super) listen: Vec<ListenAddress>,
    /// File with the certificate and its chain, in PEM
    #[arg(id = "tls_cert", long = "tls-cert", env = "WS_ECHO_TLS_CERT", value_name = "FILE")]
    pub(super) cert: Option<PathBuf>,
    /// File with the private key of the certificate, in PEM
    #[arg(id = "tls_key", long = "tls-key", env = "WS_ECHO_TLS_KEY", value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// Look for a changed certificate or key at this interval; 0s disables it
    #[arg(id = "cert_watch", long = "cert-watch", env = "WS_ECHO_CERT_WATCH", value_name = "TIME")]
    #[arg(default_value = "1m", value_parser = timeout_or_zero)]
    pub(super) cert_watch: Duration,
}

/// Replies and negotiation.
#[derive(Args, Debug)]
#[command(next_help_heading = "Protocol")]
pub(super) struct Protocol {
    /// Prefix of text replies on /
    #[arg(long, env = "WS_ECHO_REPLY_PREFIX", value_name = "TEXT", default_value = "Received: ")]
    pub(super) reply_prefix: String,
    /// Allowed value of Origin, or same-origin, repeatable [default: any]
    #[arg(long, env = "WS_ECHO_ALLOW_ORIGIN", value_name = "ORIGIN")]
    #[arg(value_delimiter = ',', value_parser = origin)]
    pub(super) allow_origin: Vec<String>,
    /// Supported subprotocol, repeatable, in order of preference; * is any [default: none]
    #[arg(long, env = "WS_ECHO_SUBPROTOCOL", value_name = "NAME")]
    #[arg(value_delimiter = ',', value_parser = token)]
    pub(super) subprotocol: Vec<String>,
    /// Disable compression (permessage-deflate)
    #[arg(long, env = "WS_ECHO_NO_DEFLATE", value_parser = BoolishValueParser::new())]
    pub(super) no_deflate: bool,
    /// Compression level, from 0 (store only) to 9 (smallest)
    #[arg(long, env = "WS_ECHO_DEFLATE_LEVEL", value_name = "LEVEL")]
    #[arg(default_value_t = DEFAULT_DEFLATE_LEVEL, value_parser = deflate_level)]
    pub(super) deflate_level: u32,
    /// Allowed value of Host, with or without a port, repeatable [default: any]
    #[arg(long, env = "WS_ECHO_ALLOW_HOST", value_name = "HOST")]
    #[arg(value_delimiter = ',', value_parser = host)]
    pub(super) allow_host: Vec<String>,
    /// Endpoint that gets 404, repeatable, for example /broadcast [default: none]
    #[arg(long, env = "WS_ECHO_DISABLE", value_name = "ENDPOINT")]
    #[arg(value_delimiter = ',', value_parser = endpoint)]
    pub(super) disable: Vec<String>,
}

/// Time-outs.
#[derive(Args, Debug)]
#[command(next_help_heading = "Time-outs")]
pub(super) struct Timeouts {
    /// Maximum time to wait for a place, and then for the TLS handshake and the request head
    #[arg(long, env = "WS_ECHO_HANDSHAKE_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "5s", value_parser = timeout)]
    pub(super) handshake_timeout: Duration,
    /// Send a Ping after this time without received data; 0s disables Pings
    #[arg(long, env = "WS_ECHO_PING_INTERVAL", value_name = "TIME")]
    #[arg(default_value = "20s", value_parser = timeout_or_zero)]
    pub(super) ping_interval: Duration,
    /// Maximum time to wait for data after a Ping; then closes with 1011
    #[arg(long, env = "WS_ECHO_PONG_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "20s", value_parser = timeout)]
    pub(super) pong_timeout: Duration,
    /// Abort a connection that accepts no data for this long
    #[arg(long, env = "WS_ECHO_WRITE_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "10s", value_parser = timeout)]
    pub(super) write_timeout: Duration,
    /// Maximum time for the closing handshake, and for a client to stop sending after an error
    #[arg(long, env = "WS_ECHO_CLOSE_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "5s", value_parser = timeout)]
    pub(super) close_timeout: Duration,
    /// Maximum time for a message, from its first byte to its last; then closes with 1008; 0s: no limit
    #[arg(long, env = "WS_ECHO_MESSAGE_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "60s", value_parser = timeout_or_zero)]
    pub(super) message_timeout: Duration,
    /// Maximum time without a message from the client; then closes with 1001; 0s: no limit
    #[arg(long, env = "WS_ECHO_IDLE_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "0s", value_parser = timeout_or_zero)]
    pub(super) idle_timeout: Duration,
    /// Maximum age of a session; then closes with 1001; 0s: no limit
    #[arg(long, env = "WS_ECHO_MAX_SESSION_AGE", value_name = "TIME")]
    #[arg(default_value = "0s", value_parser = timeout_or_zero)]
    pub(super) max_session_age: Duration,
    /// Maximum time for graceful shutdown, after --shutdown-delay
    #[arg(long, env = "WS_ECHO_DRAIN_TIMEOUT", value_name = "TIME")]
    #[arg(default_value = "10s", value_parser = timeout)]
    pub(super) drain_timeout: Duration,
}

/// One of several instances.
#[derive(Args, Debug)]
#[command(next_help_heading = "Deployment")]
pub(super) struct Deployment {
    /// Address for /livez, /readyz, /health and /metrics, answered also while all workers are busy,
    /// repeatable [default: none]
    #[arg(long, env = "WS_ECHO_ADMIN_LISTEN", value_name = "ADDRESS")]
    #[arg(value_delimiter = ',', value_parser = ListenAddress::from_str)]
    pub(super) admin_listen: Vec<ListenAddress>,
    /// Name of this instance in X-Served-By, /info, /metrics and the summary [default: host name]
    #[arg(long, env = "WS_ECHO_NAME", value_name = "NAME", value_parser = name)]
    pub(super) name: Option<String>,
    /// PROXY header, version 1 or 2, at the beginning of a connection: off, accept or require; it names the
    /// client of a proxy, so `accept` is for ports that only proxies reach
    #[arg(long, env = "WS_ECHO_PROXY_PROTOCOL", value_name = "MODE", value_enum)]
    #[arg(default_value_t = ProxyProtocol::Off, hide_possible_values = true)]
    pub(super) proxy_protocol: ProxyProtocol,
    /// Range of addresses of proxies, or `unix`, repeatable: their Forwarded or X-Forwarded-For names the
    /// client, the last address that is in no range [default: off]
    #[arg(long, env = "WS_ECHO_TRUST_PROXY", value_name = "CIDR")]
    #[arg(value_delimiter = ',', value_parser = trusted_proxy)]
    pub(super) trust_proxy: Vec<TrustedProxy>,
    /// Time from SIGTERM to the drain: the server goes on accepting and serving, and /readyz responds 503
    #[arg(long, env = "WS_ECHO_SHUTDOWN_DELAY", value_name = "TIME")]
    #[arg(default_value = "0s", value_parser = timeout_or_zero)]
    pub(super) shutdown_delay: Duration,
    /// Spread the Closes of the drain over this time; 0s: all at once
    #[arg(long, env = "WS_ECHO_DRAIN_SPREAD", value_name = "TIME")]
    #[arg(default_value = "0s", value_parser = timeout_or_zero)]
    pub(super) drain_spread: Duration,
    /// Close sessions with 1012 (service restart) instead of 1001 when the server stops
    #[arg(long, env = "WS_ECHO_RESTART", value_parser = BoolishValueParser::new())]
    pub(super) restart: bool,
    /// Redis over which instances share the rooms of /broadcast, as redis://HOST:PORT[/DB], or rediss:// for
    /// TLS with the CAs of the system; without it rooms are in this process
    #[arg(long, env = "WS_ECHO_ROOMS", value_name = "URL", value_parser = rooms_url)]
    pub(super) rooms: Option<RoomsUrl>,
    /// When Redis is lost: close the members of rooms with 1012 (close, the default), or let them wait and
    /// perhaps miss messages (wait)
    #[arg(long, env = "WS_ECHO_ROOMS_LOST", value_name = "WHAT", value_enum, hide_possible_values = true)]
    #[arg(default_value_t = RoomsLost::Close, hide_default_value = true, requires = "rooms")]
    pub(super) rooms_lost: RoomsLost,
}

/// Logging.
#[derive(Args, Debug)]
#[command(next_help_heading = "Logging")]
pub(super) struct Logging {
    /// Log format on standard error: text or json; `RUST_LOG` selects the level
    #[arg(long, env = "WS_ECHO_LOG_FORMAT", value_name = "FORMAT", value_enum)]
    #[arg(default_value_t = LogFormat::Text, hide_possible_values = true)]
    pub(super) log_format: LogFormat,
}
