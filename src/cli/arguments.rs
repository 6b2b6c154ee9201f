//! The parsed command line, its checks, and the conversion to a [`Config`].

use std::path::Path;
use std::time::Duration;

use clap::Parser;

use super::options::{Capacity, Deployment, Logging, Protocol, Timeouts, TlsOptions};
use super::values::{PlainAddress, check_rooms_url};
use crate::config::{Config, DEFAULT_CONNECTIONS, ProxyProtocol, RoomsUrl, default_name, default_workers};
use crate::logging::LogFormat;
use crate::server::listen_address::ListenAddress;

/// Text below the options in `--help`.
pub(super) const AFTER_HELP: &str = "\
Open the printed address in a browser for the test page.

Ctrl-C or SIGTERM shuts the server down: it closes all sessions with 1001 and prints a summary.
Ctrl-C after one of them exits at once. SIGHUP reloads certificate and key, which a
change of the files does too (--cert-watch); without --tls-listen it changes nothing.

Durations: 500ms, 20s, 1m30s. Sizes: 512, 64KiB, 16MiB. Each option is also an environment
variable, for example WS_ECHO_LISTEN or WS_ECHO_PING_INTERVAL. Options take precedence.

Examples:
  ws-echo                                      listen on 127.0.0.1:1234
  ws-echo --listen 0.0.0.0:80                  listen on all interfaces
  ws-echo --tls-listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem
                                               listen for ws:// and wss://
  RUST_LOG=ws_echo=debug ws-echo               log every message
";

/// The options of the server.
#[derive(Debug, Parser)]
pub struct Cli {
    #[command(flatten)]
    capacity: Capacity,
    #[command(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    protocol: Protocol,
    #[command(flatten)]
    timeouts: Timeouts,
    #[command(flatten)]
    deployment: Deployment,
    #[command(flatten)]
    logging: Logging,
}

/// Settings of the TLS listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsConfig<'a> {
    /// Addresses to listen on, at least one.
    pub addresses: &'a [ListenAddress],
    /// File with the certificate and its chain, in PEM.
    pub certificate: &'a Path,
    /// File with the private key, in PEM.
    pub key: &'a Path,
}

impl Cli {
    /// Checks options that require each other. The error is a sentence for the user.
    pub(super) fn check(&self) -> Result<(), String> {
        let TlsOptions { listen, cert, key, .. } = &self.tls;
        let files = [("--tls-cert FILE", cert.is_some()), ("--tls-key FILE", key.is_some())];
        if !listen.is_empty() {
            let missing: Vec<_> = files.iter().filter(|(_, given)| !given).map(|(name, _)| *name).collect();
            if !missing.is_empty() {
                return Err(format!(
                    "--tls-listen requires {}; scripts/dev-cert creates a certificate for localhost",
                    missing.join(" and ")
                ));
            }
        } else if let Some((name, _)) = files.iter().find(|(_, given)| *given) {
            return Err(format!("{name} requires --tls-listen ADDRESS"));
        } else if self.listen().is_empty() {
            return Err("--listen none requires --tls-listen ADDRESS".to_owned());
        }
        if self.capacity.listen.len() > 1 && self.capacity.listen.contains(&PlainAddress::None) {
            return Err("--listen none excludes other addresses of --listen".to_owned());
        }
        if self.deployment.drain_spread > self.timeouts.drain_timeout {
            return Err("--drain-spread must be at most --drain-timeout".to_owned());
        }
        self.deployment.rooms.as_ref().map_or(Ok(()), check_rooms_url)?;
        Ok(())
    }

    /// Returns the addresses for plain connections; none if they are disabled.
    #[must_use]
    pub fn listen(&self) -> Vec<ListenAddress> {
        let at = |address: &PlainAddress| match address {
            PlainAddress::At(address) => Some(address.clone()),
            PlainAddress::None => None,
        };
        self.capacity.listen.iter().filter_map(at).collect()
    }

    /// Returns whether connections begin with a PROXY header.
    #[must_use]
    pub fn proxy_protocol(&self) -> ProxyProtocol {
        self.deployment.proxy_protocol
    }

    /// Returns the addresses of the admin listener.
    #[must_use]
    pub fn admin_listen(&self) -> &[ListenAddress] {
        &self.deployment.admin_listen
    }

    /// Returns the settings of the TLS listener, or `None` without `--tls-listen`.
    #[must_use]
    pub fn tls(&self) -> Option<TlsConfig<'_>> {
        let TlsOptions { listen, cert, key, .. } = &self.tls;
        if listen.is_empty() {
            return None;
        }
        Some(TlsConfig { addresses: listen, certificate: cert.as_deref()?, key: key.as_deref()? })
    }

    /// Returns the addresses of the TLS listener.
    #[must_use]
    pub fn tls_listen(&self) -> &[ListenAddress] {
        &self.tls.listen
    }

    /// Returns the Redis of the rooms; `None` if they are in the process.
    #[must_use]
    pub fn rooms(&self) -> Option<&RoomsUrl> {
        self.deployment.rooms.as_ref()
    }

    /// Returns the interval at which the files of the certificate are looked at; zero disables this.
    #[must_use]
    pub fn cert_watch(&self) -> Duration {
        self.tls.cert_watch
    }

    /// Returns the log format.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        self.logging.log_format
    }

    /// Returns the value of `--workers`, or `None` if it is not set.
    #[must_use]
    pub fn workers(&self) -> Option<usize> {
        self.capacity.workers
    }

    /// Returns the value of `--connections`, or `None` if it is not set.
    #[must_use]
    pub fn connections(&self) -> Option<usize> {
        self.capacity.connections
    }

    /// Converts the options to the configuration of the server.
    #[must_use]
    pub fn into_config(self) -> Config {
        let Self { capacity, protocol, timeouts, deployment, .. } = self;
        Config {
            name: deployment.name.unwrap_or_else(default_name),
            workers: capacity.workers.unwrap_or_else(default_workers),
            connections: capacity.connections.unwrap_or(DEFAULT_CONNECTIONS),
            waiting: capacity.waiting,
            max_per_ip: capacity.max_per_ip,
            proxy_protocol: deployment.proxy_protocol,
            trust_proxy: deployment.trust_proxy,
            max_message: capacity.max_message,
            memory: capacity.memory,
            handshake_timeout: timeouts.handshake_timeout,
            ping_interval: timeouts.ping_interval,
            pong_timeout: timeouts.pong_timeout,
            write_timeout: timeouts.write_timeout,
            close_timeout: timeouts.close_timeout,
            message_timeout: timeouts.message_timeout,
            idle_timeout: timeouts.idle_timeout,
            max_session_age: timeouts.max_session_age,
            shutdown_delay: deployment.shutdown_delay,
            drain_spread: deployment.drain_spread,
            restart: deployment.restart,
            drain_timeout: timeouts.drain_timeout,
            reply_prefix: protocol.reply_prefix,
            allow_origin: protocol.allow_origin,
            subprotocols: protocol.subprotocol,
            allow_host: protocol.allow_host,
            deflate: (!protocol.no_deflate).then_some(protocol.deflate_level),
            rooms: deployment.rooms,
            rooms_lost: deployment.rooms_lost,
            disabled: protocol.disable,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn cli_defaults_are_the_library_defaults() {
        let config = Cli::parse_from(["ws-echo"]).into_config();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn cli_definition_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn cli_reports_options_that_do_not_fit() {
        let check = |arguments: &[&str]| Cli::parse_from([&["ws-echo"], arguments].concat()).check();
        let files = ["--tls-cert=c", "--tls-key=k"];
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[&["--listen=none", "--tls-listen=[::]:443"], &files[..]].concat()), Ok(()));
        for (arguments, words) in [
            (&["--tls-listen=localhost:0"][..], "--tls-cert FILE and --tls-key FILE; scripts/dev-cert"),
            (&["--tls-listen=localhost:0", files[0]], "requires --tls-key FILE;"),
            (&[files[1]], "--tls-key FILE requires --tls-listen"),
            (&["--listen=none"], "--listen none requires --tls-listen"),
            (&["--listen=none,localhost:0"], "excludes other addresses"),
            (&["--rooms=http://:secret@127.0.0.1"], "--rooms takes redis://"),
            (&["--rooms=redis://:secret@127.0.0.1:port"], "--rooms takes redis://"),
            (&["--rooms=rediss://:secret@127.0.0.1/#insecure"], "SSL_CERT_FILE"),
            (&["--drain-spread=11s"], "at most --drain-timeout"),
        ] {
            let error = check(arguments).expect_err("a usage error");
            assert!(error.contains(words) && !error.contains("secret"), "no `{words}` in {error}");
        }
    }
}
