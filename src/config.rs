//! Every wait and every limit of a server, as plain values.

use std::time::Duration;

use crate::protocol::deflate;

/// Connections that a worker serves at once, unless told otherwise; each is a thread.
pub const DEFAULT_WORKERS: usize = 1024;

/// How a server behaves. [`cli`](crate::cli) fills it from arguments and the environment; a library user from
/// [`Config::default`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Worker threads, each serving one connection at a time. At least 1.
    pub workers: usize,
    /// Connections that may wait for a worker before others are refused with 503. May be 0.
    pub waiting: usize,
    /// Largest message taken, in bytes of payload; a larger one is answered with Close 1009 (RFC 6455, 7.4.1).
    pub max_message: usize,
    /// Time for a client to send its whole request head, and to wait for a worker before that.
    pub handshake_timeout: Duration,
    /// Silence after which the server sends a Ping (RFC 6455, 5.5.2); zero sends none.
    pub ping_interval: Duration,
    /// Silence after that Ping which ends the session with Close 1011.
    pub pong_timeout: Duration,
    /// Time without progress after which a peer that does not read is cut.
    pub write_timeout: Duration,
    /// Time for a peer to answer a Close frame (RFC 6455, 7.1.1).
    pub close_timeout: Duration,
    /// Time from the request to stop until the sessions that are left are cut.
    pub drain_timeout: Duration,
    /// Words in front of a text that is echoed on `/`.
    pub reply_prefix: String,
    /// Values of `Origin` that may connect; empty allows any, and clients that send none are always allowed
    /// (RFC 6455, 10.2: only browsers send it).
    pub allow_origin: Vec<String>,
    /// Subprotocols that the server speaks, the one it likes best first (RFC 6455, 1.9).
    pub subprotocols: Vec<String>,
    /// Level of compression for clients that offer permessage-deflate (RFC 7692), 0 to 9; `None` declines it.
    pub deflate: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: DEFAULT_WORKERS,
            waiting: 128,
            max_message: 16 << 20,
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
            reply_prefix: "Received: ".to_owned(),
            allow_origin: Vec::new(),
            subprotocols: Vec::new(),
            deflate: Some(deflate::DEFAULT_LEVEL),
        }
    }
}

/// The supervisor looks at the sessions at most this often, however short the time-outs are.
const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// The supervisor looks at the sessions at least this often.
const LONGEST_TICK: Duration = Duration::from_secs(1);

impl Config {
    /// The longest wait that means anything; a longer one is taken for this.
    pub(crate) const LONGEST_WAIT: Duration = Duration::from_hours(24);

    /// How often the supervisor looks at the sessions: a fifth of the shortest time-out, within 10 ms and 1 s.
    /// A deadline is met at most one tick late.
    #[must_use]
    pub fn tick(&self) -> Duration {
        [
            self.handshake_timeout,
            self.ping_interval,
            self.pong_timeout,
            self.write_timeout,
            self.close_timeout,
        ]
        .into_iter()
        .filter(|wait| !wait.is_zero())
        .min()
        .map_or(LONGEST_TICK, |shortest| shortest / 5)
        .clamp(SHORTEST_TICK, LONGEST_TICK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_tick_is_a_second() {
        assert_eq!(Config::default().tick(), Duration::from_secs(1));
    }

    #[test]
    fn short_time_outs_are_looked_at_more_often() {
        let config = Config { handshake_timeout: Duration::from_millis(500), ..Config::default() };
        assert_eq!(config.tick(), Duration::from_millis(100));
        let config =
            Config { ping_interval: Duration::ZERO, write_timeout: Duration::from_millis(1), ..config };
        assert_eq!(config.tick(), SHORTEST_TICK);
    }
}
