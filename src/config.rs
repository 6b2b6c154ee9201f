//! Configuration of a server: limits and time-outs.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZero;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use ipnet::IpNet;

/// Version, commit if it is known, and target of this build, as `--version` prints it.
pub const VERSION: &str = env!("WS_ECHO_VERSION");

/// Maximum number of connections at once, unless more are asked for.
pub const DEFAULT_CONNECTIONS: usize = 100_000;

/// Default level of compression, the fastest. Level 6 takes five times as long for a few per cent fewer
/// bytes.
pub const DEFAULT_DEFLATE_LEVEL: u32 = 1;

/// Highest level of compression, zlib's 9.
pub const MAX_DEFLATE_LEVEL: u32 = 9;

/// Maximum length of [`Config::name`] in bytes. A pod of Kubernetes has a name of at most 253.
pub const MAX_NAME_LENGTH: usize = 255;

/// Value of [`Config::allow_origin`] for the origin of the server itself.
pub const SAME_ORIGIN: &str = "same-origin";

/// Value of [`Config::subprotocols`] for any subprotocol.
pub const ANY_SUBPROTOCOL: &str = "*";

/// Whether a connection begins with a header of the PROXY protocol, versions 1 and 2, with which a proxy
/// names its client (`HAProxy`, doc/proxy-protocol.txt).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProxyProtocol {
    /// A header is an error.
    #[default]
    Off,
    /// A connection that begins with the signature of a header is read with it. Any client can send one.
    Accept,
    /// A connection without a header is rejected.
    Require,
}

/// Proxies that are trusted to name their clients in `Forwarded` and `X-Forwarded-For`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Those with an address in this range.
    Network(IpNet),
    /// The peers of Unix sockets.
    Unix,
}

/// Configuration of a server. Values outside the documented ranges are not checked here; the command line
/// checks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of this instance: letters, digits and `-._~:@/+`, at most [`MAX_NAME_LENGTH`] bytes. Clients get
    /// it in `X-Served-By` and in `/info`.
    pub name: String,
    /// Number of worker threads, at least 1. A connection that waits needs none.
    pub workers: usize,
    /// Maximum number of connections at once, at least 1.
    pub connections: usize,
    /// Maximum number of connections that wait until another one ends, when `connections` are open; further
    /// ones are rejected with 503. May be 0.
    pub waiting: usize,
    /// Maximum number of connections from one IPv4 address or one IPv6 network of 64 bits; further ones are
    /// rejected with 429. `None`: no limit.
    pub max_per_ip: Option<usize>,
    /// Whether connections begin with a PROXY header, in front of TLS. The address in it is the one that
    /// logs, `max_per_ip` and `/info` use.
    pub proxy_protocol: ProxyProtocol,
    /// Proxies whose `Forwarded` (RFC 7239) and `X-Forwarded-For` name the client. The fields of others have
    /// no effect.
    pub trust_proxy: Vec<TrustedProxy>,
    /// Maximum size of a message's payload in bytes, before and after inflating. A larger message closes the
    /// session with 1009 (RFC 6455, section 7.4.1).
    pub max_message: usize,
    /// Memory, in bytes, that all sessions together may use for messages, inflated or not complete, for
    /// replies that their peers have not read, and for messages that an endpoint delays or sends to a room. A
    /// session that asks for more closes with 1013. `None`: half of what the process may use
    /// ([`default_memory`](crate::platform::limits::default_memory)).
    pub memory: Option<usize>,
    /// Maximum time to wait for a place among the connections, and then for the PROXY header, the TLS
    /// handshake and the request head together.
    pub handshake_timeout: Duration,
    /// Time without received data after which the supervisor sends a Ping (RFC 6455, section 5.5.2). Zero
    /// disables Pings.
    pub ping_interval: Duration,
    /// Maximum time without received data after a Ping; then the session closes with 1011.
    pub pong_timeout: Duration,
    /// Maximum time that a peer accepts none of the unsent bytes; then the session is aborted.
    pub write_timeout: Duration,
    /// Maximum time for the peer to complete the closing handshake (RFC 6455, section 7.1.1), and to stop
    /// sending after a Close for an error.
    pub close_timeout: Duration,
    /// Maximum time that a peer may take for one message, from its first byte to its last; then the session
    /// closes with 1008. Also applies to a TLS record. Zero: no limit.
    pub message_timeout: Duration,
    /// Maximum time without a message from the peer; then the session closes with 1001. Zero: no limit.
    pub idle_timeout: Duration,
    /// Maximum age of a session; then it closes with 1001. Zero: no limit.
    pub max_session_age: Duration,
    /// Time from the stop request to the drain. The server goes on accepting and serving, and `/readyz`
    /// responds 503.
    pub shutdown_delay: Duration,
    /// Time over which the drain spreads the Closes of open sessions, at most `drain_timeout`. Zero: all at
    /// once.
    pub drain_spread: Duration,
    /// The drain closes sessions with 1012, service restart, instead of 1001.
    pub restart: bool,
    /// Maximum time for graceful shutdown after `shutdown_delay`; then the remaining sessions are aborted.
    pub drain_timeout: Duration,
    /// Prefix of text replies on `/`.
    pub reply_prefix: String,
    /// Allowed values of `Origin`; empty allows any, and [`SAME_ORIGIN`] one with the host and port of
    /// `Host`. Clients that send no `Origin` are always allowed, because only browsers must send it (RFC
    /// 6455, section 10.2).
    pub allow_origin: Vec<String>,
    /// Allowed values of `Host`; empty allows any. One without a port allows every port.
    pub allow_host: Vec<String>,
    /// Supported subprotocols in order of preference (RFC 6455, section 1.9). [`ANY_SUBPROTOCOL`] is the
    /// first one that the client offers.
    pub subprotocols: Vec<String>,
    /// Level of compression for clients that offer permessage-deflate (RFC 7692), 0 to 9. `None` declines the
    /// offer.
    pub deflate: Option<u32>,
    /// Redis over which instances share their rooms. `None`: rooms are in this process only.
    pub rooms: Option<RoomsUrl>,
    /// What happens to the members of shared rooms when the connection to Redis is lost.
    pub rooms_lost: RoomsLost,
    /// Endpoints that get 404, by their path in the table of endpoints, for example `/status/CODE`.
    pub disabled: Vec<String>,
}

/// What happens to the members of shared rooms when the connection to Redis is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RoomsLost {
    /// They are closed with 1012, and so are new ones until the connection is back.
    #[default]
    Close,
    /// They wait, and may miss messages. One that sends meanwhile is closed with 1013.
    Wait,
}

/// The URL of a Redis: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]`, or `rediss:` for TLS. `Debug` does not
/// show it, because it may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RoomsUrl(String);

impl RoomsUrl {
    /// Creates a URL, which is not checked.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// Returns the URL with its password.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RoomsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomsUrl(..)")
    }
}

/// Returns the default number of worker threads: one for each processor, and two at least, so that one
/// session that keeps its worker busy does not hold up the others. See scripts/TUNING.md.
#[must_use]
pub fn default_workers() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get).max(2)
}

/// Returns the default name of the instance: the host name, with `-` for each character that a name must not
/// have.
#[must_use]
pub fn default_name() -> String {
    let host = rustix::system::uname();
    let name: String =
        host.nodename().to_string_lossy().chars().map(|c| if is_name_char(c) { c } else { '-' }).collect();
    if name.is_empty() { "ws-echo".to_owned() } else { name }
}

/// Returns whether a character may be in a name: it needs no quotes in a header field, in JSON and in a
/// metric label.
pub(crate) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:@/+".contains(c)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: default_name(),
            workers: default_workers(),
            connections: DEFAULT_CONNECTIONS,
            waiting: 128,
            max_per_ip: None,
            proxy_protocol: ProxyProtocol::Off,
            trust_proxy: Vec::new(),
            max_message: 16 << 20,
            memory: None,
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            message_timeout: Duration::from_mins(1),
            idle_timeout: Duration::ZERO,
            max_session_age: Duration::ZERO,
            shutdown_delay: Duration::ZERO,
            drain_spread: Duration::ZERO,
            restart: false,
            drain_timeout: Duration::from_secs(10),
            reply_prefix: "Received: ".to_owned(),
            allow_origin: Vec::new(),
            allow_host: Vec::new(),
            subprotocols: Vec::new(),
            deflate: Some(DEFAULT_DEFLATE_LEVEL),
            rooms: None,
            rooms_lost: RoomsLost::default(),
            disabled: Vec::new(),
        }
    }
}

/// Shortest interval between two checks of the time-outs.
const MIN_TICK: Duration = Duration::from_millis(10);

/// Longest interval between two checks of the time-outs.
const MAX_TICK: Duration = Duration::from_secs(1);

impl Config {
    /// Longest time-out on the command line. Also replaces a drain time-out whose deadline overflows.
    pub(crate) const MAX_TIMEOUT: Duration = Duration::from_hours(24);

    /// Returns whether a proxy is trusted to name its client. `ip` is `None` for the peer of a Unix socket.
    pub(crate) fn trusts(&self, ip: Option<IpAddr>) -> bool {
        self.trust_proxy.iter().any(|proxy| match (proxy, ip) {
            (TrustedProxy::Network(network), Some(ip)) => network.contains(&ip),
            (TrustedProxy::Unix, ip) => ip.is_none(),
            (TrustedProxy::Network(_), None) => false,
        })
    }

    /// Returns the interval at which the supervisor checks the time-outs: a fifth of the shortest one,
    /// clamped to 10 ms and 1 s. A time-out is applied at most one tick late.
    #[must_use]
    pub fn tick(&self) -> Duration {
        let shortest = self.handshake_timeout.min(self.close_timeout) / 5;
        shortest.min(self.open_tick()).clamp(MIN_TICK, MAX_TICK)
    }

    /// Returns the interval at which the supervisor looks at an open session if there are many: that of
    /// [`open_tick`](Self::open_tick), at most half of the close time-out, and at least a tick.
    pub(crate) fn open_poll(&self) -> Duration {
        self.open_tick().min(self.close_timeout / 2).max(self.tick())
    }

    /// Returns a fifth of the shortest time-out of open sessions.
    fn open_tick(&self) -> Duration {
        [
            self.ping_interval,
            self.pong_timeout,
            self.write_timeout,
            self.message_timeout,
            self.idle_timeout,
            self.max_session_age,
        ]
        .into_iter()
        .filter(|timeout| !timeout.is_zero())
        .min()
        .map_or(Self::MAX_TIMEOUT, |shortest| shortest / 5)
        .max(MIN_TICK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_sessions_are_polled_within_a_fifth_of_their_time_outs_and_half_of_the_close_time_out() {
        let config = |close_timeout| Config { close_timeout, ..Config::default() };
        assert_eq!(config(Duration::from_secs(5)).open_poll(), Duration::from_secs(2));
        assert_eq!(config(Duration::from_secs(1)).open_poll(), Duration::from_millis(500));
    }

    #[test]
    fn tick_defaults_to_one_second() {
        assert_eq!(Config::default().tick(), Duration::from_secs(1));
    }

    #[test]
    fn tick_is_a_fifth_of_the_shortest_timeout() {
        let config = Config { handshake_timeout: Duration::from_millis(500), ..Config::default() };
        assert_eq!(config.tick(), Duration::from_millis(100));
        let config =
            Config { ping_interval: Duration::ZERO, write_timeout: Duration::from_millis(1), ..config };
        assert_eq!(config.tick(), MIN_TICK);
    }
}
