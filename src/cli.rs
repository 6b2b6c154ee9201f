//! Arguments and environment variables, checked once into a [`Config`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, ValueEnum};

use crate::config::{Config, DEFAULT_WORKERS};
use crate::extensions::deflate;

/// The longest wait that an option takes.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// The shortest wait that an option takes: a shorter one would end healthy sessions.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// The largest message that an option takes: a message is held in memory as a whole.
const LARGEST_MESSAGE: u64 = 1 << 30;

/// A blocking WebSocket echo server: one thread a connection, from a fixed pool.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// Where and how many.
    #[command(flatten)]
    capacity: Capacity,
    /// The listener with TLS.
    #[command(flatten)]
    tls: TlsArguments,
    /// What is said and to whom.
    #[command(flatten)]
    protocol: Protocol,
    /// How long anything may take.
    #[command(flatten)]
    waits: Waits,
    /// What is logged.
    #[command(flatten)]
    logs: Logs,
}

/// Shown below the options.
const AFTER_HELP: &str = "\
Open the printed address in a browser for a page to try it from. Ctrl-C or SIGTERM stops it
cleanly: sessions are closed with 1001 and a summary is printed. A second one ends it at once.
SIGHUP reads certificate and key again; without --tls-listen it stops the server too.

Durations are written 500ms, 20s or 1m30s; sizes 512, 64KiB or 16MiB. Every option can be set in
the environment too, as WS_ECHO_ and its name: WS_ECHO_LISTEN, WS_ECHO_PING_INTERVAL.

Examples:
  ws-echo                                      try it: open http://127.0.0.1:1234/ in a browser
  ws-echo --listen 0.0.0.0:80 --workers 10000  serve a network
  ws-echo --tls-listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem
                                               serve wss:// beside ws://
  RUST_LOG=ws_echo=debug ws-echo               see every message
";

/// Where the server listens and how much it takes on.
#[derive(Args, Debug)]
#[command(next_help_heading = "Capacity")]
struct Capacity {
    /// Address to listen on; port 0 takes a free one, and `none` leaves only --tls-listen
    #[arg(
        long,
        env = "WS_ECHO_LISTEN",
        hide_env = true,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:1234"
    )]
    #[arg(value_parser = address_or_none)]
    listen: String,
    /// Worker threads, that is connections served at once [default: 1024, or what fits]
    #[arg(long, env = "WS_ECHO_WORKERS", hide_env = true, value_name = "N", value_parser = at_least_one)]
    workers: Option<usize>,
    /// Connections that may wait for a worker before others get 503
    #[arg(long, env = "WS_ECHO_WAITING", hide_env = true, value_name = "N", default_value_t = 128, value_parser = waiting)]
    waiting: usize,
    /// Largest message taken; a larger one ends the session with 1009
    #[arg(long, env = "WS_ECHO_MAX_MESSAGE", hide_env = true, value_name = "SIZE", default_value = "16MiB", value_parser = size)]
    max_message: usize,
}

/// The listener with TLS.
#[derive(Args, Debug)]
#[command(next_help_heading = "TLS")]
struct TlsArguments {
    /// Address to listen on for wss://; scripts/dev-cert makes a certificate to try it with
    #[arg(id = "tls_listen", long = "tls-listen", env = "WS_ECHO_TLS_LISTEN", hide_env = true, value_name = "HOST:PORT", value_parser = address)]
    listen: Option<String>,
    /// Its certificate, followed by the chain behind it, in PEM
    #[arg(
        id = "tls_cert",
        long = "tls-cert",
        env = "WS_ECHO_TLS_CERT",
        hide_env = true,
        value_name = "FILE"
    )]
    cert: Option<PathBuf>,
    /// The certificate's key in PEM
    #[arg(id = "tls_key", long = "tls-key", env = "WS_ECHO_TLS_KEY", hide_env = true, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// What the server says, and to whom.
#[derive(Args, Debug)]
#[command(next_help_heading = "Protocol")]
struct Protocol {
    /// Words in front of a text echoed on /
    #[arg(
        long,
        env = "WS_ECHO_REPLY_PREFIX",
        hide_env = true,
        value_name = "TEXT",
        default_value = "Received: "
    )]
    reply_prefix: String,
    /// Origin that browsers may connect from, repeatable [default: any]
    #[arg(long, env = "WS_ECHO_ALLOW_ORIGIN", hide_env = true, value_name = "ORIGIN", value_delimiter = ',', value_parser = origin)]
    allow_origin: Vec<String>,
    /// Subprotocol to speak, repeatable, the preferred one first [default: none]
    #[arg(long, env = "WS_ECHO_SUBPROTOCOL", hide_env = true, value_name = "NAME", value_delimiter = ',', value_parser = token)]
    subprotocol: Vec<String>,
    /// Decline compression (permessage-deflate), which is on by default
    #[arg(long, env = "WS_ECHO_NO_DEFLATE", hide_env = true)]
    no_deflate: bool,
    /// Level of compression, from 0 (none, but in its format) to 9 (smallest)
    #[arg(long, env = "WS_ECHO_DEFLATE_LEVEL", hide_env = true, value_name = "LEVEL")]
    #[arg(default_value_t = deflate::DEFAULT_LEVEL, value_parser = level)]
    deflate_level: u32,
}

/// How long anything may take.
#[derive(Args, Debug)]
#[command(next_help_heading = "Time-outs")]
struct Waits {
    /// For the whole request head to arrive
    #[arg(long, env = "WS_ECHO_HANDSHAKE_TIMEOUT", hide_env = true, value_name = "TIME", default_value = "5s", value_parser = wait)]
    handshake_timeout: Duration,
    /// Silence after which a Ping is sent; 0s sends none
    #[arg(long, env = "WS_ECHO_PING_INTERVAL", hide_env = true, value_name = "TIME", default_value = "20s")]
    #[arg(value_parser = wait_or_none)]
    ping_interval: Duration,
    /// Silence after a Ping that ends the session with 1011
    #[arg(long, env = "WS_ECHO_PONG_TIMEOUT", hide_env = true, value_name = "TIME", default_value = "20s", value_parser = wait)]
    pong_timeout: Duration,
    /// Without progress, until a peer that does not read is cut
    #[arg(long, env = "WS_ECHO_WRITE_TIMEOUT", hide_env = true, value_name = "TIME", default_value = "10s", value_parser = wait)]
    write_timeout: Duration,
    /// For a peer to answer a Close
    #[arg(long, env = "WS_ECHO_CLOSE_TIMEOUT", hide_env = true, value_name = "TIME", default_value = "5s", value_parser = wait)]
    close_timeout: Duration,
    /// From Ctrl-C until the sessions that are left are cut
    #[arg(long, env = "WS_ECHO_DRAIN_TIMEOUT", hide_env = true, value_name = "TIME", default_value = "10s", value_parser = wait)]
    drain_timeout: Duration,
}

/// What is logged and how.
#[derive(Args, Debug)]
#[command(next_help_heading = "Logging")]
struct Logs {
    /// How events are logged on standard error: text or json; `RUST_LOG` chooses which
    #[arg(long, env = "WS_ECHO_LOG_FORMAT", hide_env = true, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, hide_possible_values = true)]
    log_format: LogFormat,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: an object with `time`, `level`, `target` and `message`.
    Json,
}

/// Where TLS is spoken, and as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls<'a> {
    /// Where to listen, as `HOST:PORT`.
    pub address: &'a str,
    /// The file with the certificate and its chain.
    pub certificate: &'a Path,
    /// The file with its key.
    pub key: &'a Path,
}

impl Cli {
    /// The process's arguments and environment. Ends the process when it is asked for help, or they make no sense.
    #[must_use]
    pub fn from_arguments() -> Self {
        let cli = Self::parse();
        if let Err(sentence) = cli.check() {
            Self::command().error(ErrorKind::MissingRequiredArgument, sentence).exit();
        }
        cli
    }

    /// Whether the options go together; if not, a sentence says what is missing.
    fn check(&self) -> Result<(), String> {
        let TlsArguments { listen, cert, key } = &self.tls;
        let files = [("--tls-cert FILE", cert.is_some()), ("--tls-key FILE", key.is_some())];
        if listen.is_some() {
            let missing: Vec<_> = files.iter().filter(|(_, given)| !given).map(|(name, _)| *name).collect();
            if !missing.is_empty() {
                return Err(format!(
                    "--tls-listen needs {}; scripts/dev-cert makes a certificate for localhost",
                    missing.join(" and ")
                ));
            }
        } else if let Some((name, _)) = files.iter().find(|(_, given)| *given) {
            return Err(format!("{name} needs --tls-listen HOST:PORT"));
        } else if self.listen().is_none() {
            return Err(
                "--listen none needs --tls-listen HOST:PORT: there is nothing to listen on".to_owned()
            );
        }
        Ok(())
    }

    /// Where to listen without TLS, as `HOST:PORT`, if anywhere.
    #[must_use]
    pub fn listen(&self) -> Option<&str> {
        Some(self.capacity.listen.as_str()).filter(|&address| address != NOWHERE)
    }

    /// Where to listen with TLS, if anywhere.
    #[must_use]
    pub fn tls(&self) -> Option<Tls<'_>> {
        let TlsArguments { listen, cert, key } = &self.tls;
        Some(Tls { address: listen.as_deref()?, certificate: cert.as_deref()?, key: key.as_deref()? })
    }

    /// How log lines are written.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        self.logs.log_format
    }

    /// How many workers were asked for, if anybody asked.
    #[must_use]
    pub fn workers(&self) -> Option<usize> {
        self.capacity.workers
    }

    /// The server's configuration.
    #[must_use]
    pub fn into_config(self) -> Config {
        let Self { capacity, protocol, waits, .. } = self;
        Config {
            workers: capacity.workers.unwrap_or(DEFAULT_WORKERS),
            waiting: capacity.waiting,
            max_message: capacity.max_message,
            handshake_timeout: waits.handshake_timeout,
            ping_interval: waits.ping_interval,
            pong_timeout: waits.pong_timeout,
            write_timeout: waits.write_timeout,
            close_timeout: waits.close_timeout,
            drain_timeout: waits.drain_timeout,
            reply_prefix: protocol.reply_prefix,
            allow_origin: protocol.allow_origin,
            subprotocols: protocol.subprotocol,
            deflate: (!protocol.no_deflate).then_some(protocol.deflate_level),
        }
    }
}

/// In place of an address: do not listen.
const NOWHERE: &str = "none";

/// An address, or `none`.
fn address_or_none(text: &str) -> Result<String, String> {
    if text == NOWHERE { Ok(text.to_owned()) } else { address(text) }
}

/// `HOST:PORT`, where HOST is a name, an IPv4 address or an IPv6 address in brackets.
fn address(text: &str) -> Result<String, String> {
    let accepted = "give HOST:PORT, for example 127.0.0.1:1234, localhost:0 or [::]:1234";
    let (host, port) = text.rsplit_once(':').ok_or(accepted)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || (host.contains(':') && !bracketed) || port.parse::<u16>().is_err() {
        return Err(accepted.to_owned());
    }
    Ok(text.to_owned())
}

/// A whole number from 1.
fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "give a whole number from 1".to_owned())
}

/// How many connections may wait: each is an open file, so the number has a bound.
fn waiting(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n <= 65_536).ok_or_else(|| "give a whole number from 0 to 65536".to_owned())
}

/// A level of compression.
fn level(text: &str) -> Result<u32, String> {
    let highest = deflate::HIGHEST_LEVEL;
    text.parse()
        .ok()
        .filter(|&n| n <= highest)
        .ok_or_else(|| format!("give a whole number from 0 to {highest}"))
}

/// A message size.
fn size(text: &str) -> Result<usize, String> {
    text.parse::<ByteSize>()
        .ok()
        .filter(|size| (1..=LARGEST_MESSAGE).contains(&size.0))
        .and_then(|size| usize::try_from(size.0).ok())
        .ok_or_else(|| "give a size from 1 to 1GiB, for example 512, 64KiB or 16MiB".to_owned())
}

/// A time-out.
fn wait(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .ok()
        .filter(|wait| (SHORTEST_WAIT..=LONGEST_WAIT).contains(wait))
        .ok_or_else(|| "give a time from 10ms to 1day, for example 500ms, 20s or 1m30s".to_owned())
}

/// A time-out that zero turns off.
fn wait_or_none(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(wait) if wait.is_zero() => Ok(wait),
        _ => wait(text).map_err(|accepted| format!("{accepted}, or 0s for never")),
    }
}

/// An origin as browsers send it (RFC 6454, 7): a scheme and a host, or `null`.
fn origin(text: &str) -> Result<String, String> {
    let complete = text.split_once("://").is_some_and(|(scheme, host)| {
        !scheme.is_empty() && !host.is_empty() && !host.contains(['/', ' ', ','])
    });
    if complete || text == "null" {
        return Ok(text.to_ascii_lowercase());
    }
    Err("give scheme://host or scheme://host:port without a path, for example https://example.com".to_owned())
}

/// A token (RFC 9110, 5.6.2), which is what a subprotocol's name has to be.
fn token(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(crate::http::is_token_byte) {
        return Ok(text.to_owned());
    }
    Err("give a name of letters, digits and !#$%&'*+-.^_`|~".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_defaults_are_the_libraries_defaults() {
        let config = Cli::parse_from(["ws-echo"]).into_config();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn the_definition_holds_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert!(size("0").is_err() && size("2GiB").is_err() && size("-1").is_err() && size("many").is_err());
    }

    #[test]
    fn waits_are_written_as_people_write_them() {
        assert_eq!(wait("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(wait("1m30s"), Ok(Duration::from_secs(90)));
        assert!(wait("0s").is_err() && wait("1ms").is_err() && wait("5").is_err() && wait("8days").is_err());
        assert_eq!(wait_or_none("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["127.0.0.1:1234", "localhost:0", "[::1]:80"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["1234", "::1:80", "host:", "host:65536", ":80", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn options_that_need_each_other_say_so() {
        let check = |arguments: &[&str]| Cli::parse_from([&["ws-echo"], arguments].concat()).check();
        let files = ["--tls-cert=c", "--tls-key=k"];
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[&["--listen=none", "--tls-listen=[::]:443"], &files[..]].concat()), Ok(()));
        for (arguments, words) in [
            (&["--tls-listen=localhost:0"][..], "--tls-cert FILE and --tls-key FILE; scripts/dev-cert"),
            (&["--tls-listen=localhost:0", files[0]], "needs --tls-key FILE;"),
            (&[files[1]], "--tls-key FILE needs --tls-listen"),
            (&["--listen=none"], "nothing to listen on"),
        ] {
            let sentence = check(arguments).expect_err("a usage error");
            assert!(sentence.contains(words), "no `{words}` in {sentence}");
        }
    }

    #[test]
    fn an_origin_has_a_scheme_and_no_path() {
        assert_eq!(origin("HTTPS://Example.com"), Ok("https://example.com".to_owned()));
        assert!(origin("null").is_ok());
        assert!(origin("example.com").is_err() && origin("https://example.com/").is_err());
    }
}
