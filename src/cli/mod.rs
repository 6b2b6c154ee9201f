//! Arguments and environment variables, checked once into a [`Config`].

mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser};

use crate::config::DEFAULT_DEFLATE_LEVEL;
use crate::config::{Config, DEFAULT_WORKERS};
use crate::logging::LogFormat;
use values::{
    NOWHERE, address, address_or_none, at_least_one, level, origin, size, token, wait, wait_or_none, waiting,
};

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
    #[arg(default_value_t = DEFAULT_DEFLATE_LEVEL, value_parser = level)]
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
}
