//! The command line of `ws-load`.

use super::{
    address::{ResolveEntry, SourceAddresses},
    arrivals::Arrivals,
    expectation::Expectation,
    fan_out::MAX_SENDERS,
    mode::OneWay,
    sizes::Sizes,
    stages::Stages,
    start_at::StartAt,
};
use crate::stats::assertion::Assertion;
use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// A load generator for WebSocket echo endpoints that verifies every reply.
///
/// Closed loop by default: each connection keeps --depth messages in flight. With --rate it sends at a
/// constant rate instead, and every latency counts from the moment the message should have been sent.
///
/// Exit code: 0 success; 1 wrong, unsolicited or missing replies, failed or lost connections; 2 invalid
/// options; 3 an --assert did not hold or is inconclusive, --abort-on ended the run, or the --rate was not
/// reached; 130 a signal ended the run (SIGINT, SIGTERM, SIGHUP: with all figures; the second signal
/// without).
#[derive(Debug, Parser)]
#[command(name = "ws-load", version = ws_echo::VERSION, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    /// Another command than a run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The run.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// The commands besides a run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Join the interval logs (--hdr-log) of several runs or machines into one report.
    Merge {
        /// The interval logs.
        #[arg(required = true, value_name = "FILE")]
        logs: Vec<PathBuf>,
        /// Where the results go.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Compare the results (--json) of two runs: each figure, its change, and whether that is more than its
    /// spread over the seconds of a run.
    Compare {
        /// The results of the first run.
        #[arg(value_name = "A.json")]
        before: PathBuf,
        /// The results of the second run.
        #[arg(value_name = "B.json")]
        after: PathBuf,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff.
    Man,
}

/// Parses a time.
fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "expected a number with a unit, for example 500ms, 5s or 1m30s".to_owned())
}

/// The options of a run.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// The endpoint: ws://host:port/path or wss://host:port/path. Or tcp://host:port, a server that sends
    /// every byte back, to measure the same messages without WebSocket.
    #[arg(required = true)]
    pub url: Option<String>,
    /// Number of connections.
    #[arg(short, long, value_name = "N",
          default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Number of threads that drive the connections.
    #[arg(short, long, value_name = "N",
          default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// Maximum number of messages in flight on a connection.
    #[arg(short, long, value_name = "N",
          default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub depth: u32,
    /// Send at this constant rate, in messages per second over all connections, instead of as fast as replies
    /// arrive.
    #[arg(short, long, value_name = "PER_SECOND",
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub rate: Option<u64>,
    /// Send at rates that change over time: RATE/TIME or FROM..TO/TIME, one after the other, such as
    /// 0..5000/30s,5000/2m.
    #[arg(long, value_name = "STAGES",
          conflicts_with_all = ["rate", "duration", "messages", "warmup", "hold"])]
    pub stages: Option<Stages>,
    /// With --rate or --stages: send at equal distances, or at the random ones of independent users.
    #[arg(long, value_enum, default_value_t = Arrivals::Even)]
    pub arrivals: Arrivals,
    /// Search for the highest rate at which this holds, such as 'p99<10ms'; may be repeated. The first step
    /// is at --rate, or 1000. Each takes --warmup [default here: 1s] and --duration [default here: 5s].
    #[arg(long, value_name = "EXPRESSION",
          conflicts_with_all = ["stages", "messages", "churn", "hold", "one_way", "hdr_log", "abort_on"])]
    pub find: Vec<Assertion>,
    /// With --find: how often the search is repeated from its result, for the spread.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "find",
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub find_rounds: u32,
    /// Measure one direction: receive what the server sends, its rate and the gaps between messages; or send
    /// as fast as the server reads, or at the --rate. Receiving starts with the opening of the connections.
    #[arg(long, value_enum, value_name = "DIRECTION", conflicts_with_all = ["depth", "churn", "hold"])]
    pub one_way: Option<OneWay>,
    /// The first SENDERS connections send at the --rate, and each message has to reach all --connections, as
    /// in a chat room. Latency counts from the moment a message should have been sent to each delivery of it.
    /// Not with --reconnect: what a member misses while it is away is no delivery.
    #[arg(long, value_name = "SENDERS", value_parser = clap::value_parser!(u32).range(1..=MAX_SENDERS),
          conflicts_with_all = ["one_way", "depth", "churn", "hold", "file"])]
    pub fan_out: Option<u32>,
    /// With --fan-out: messages do not come back to the connection that sent them.
    #[arg(long, requires = "fan_out")]
    pub not_to_sender: bool,
    /// How long to measure [default: 10s, or no limit with --messages].
    #[arg(short = 'D', long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// Stop after this many messages over all connections (with --churn: this many cycles).
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: Option<u64>,
    /// What is sent.
    #[command(flatten)]
    pub message: MessageArgs,
    /// How connections are opened.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// How the host is reached.
    #[command(flatten)]
    pub route: RouteArgs,
    /// Start the load at this time in UTC, such as 2026-01-31T12:00:00Z, or +10s from now. The connections
    /// are opened before. Generators on several machines then start together, if their clocks agree.
    #[arg(long, value_name = "TIME", conflicts_with = "find")]
    pub start_at: Option<StartAt>,
    /// Load for this long before measuring. Errors count from the start.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub warmup: Option<Duration>,
    /// A reply is missing from this time on, and late if it arrives after all. Its latency is at least this
    /// time.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub timeout: Duration,
    /// Wait this long for outstanding replies.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub drain: Duration,
    /// End the run early when this is true, such as 'errors>100', 'p99>1s' or 'missing/sent>1%'; may be
    /// repeated. Checked once a second: rate and open of that second, the rest since the start.
    #[arg(long, value_name = "EXPRESSION")]
    pub abort_on: Vec<Assertion>,
    /// Where the results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What is sent, and which reply is expected.
#[derive(Debug, Clone, Args)]
pub struct MessageArgs {
    /// Message size: 20, a range 16..4KiB, or a list with weights 20:90,1KiB:9,64KiB:1.
    #[arg(short, long, default_value = "20", conflicts_with = "file")]
    pub size: Sizes,
    /// Send binary messages instead of text.
    #[arg(short, long)]
    pub binary: bool,
    /// Send the messages in this file instead of generated ones. "-" is standard input.
    #[arg(short, long)]
    pub file: Option<PathBuf>,
    /// What --file is: lines; messages after their lengths in 4 bytes, most significant first; or a folder
    /// with a file for each message.
    #[arg(long, value_enum, default_value_t = FileFormat::Lines, requires = "file")]
    pub file_format: FileFormat,
    /// Send this message instead of generated ones.
    #[arg(long = "message", value_name = "TEXT", conflicts_with_all = ["file", "size", "fan_out"])]
    pub text: Option<String>,
    /// Seed of generated messages.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Prefix of text replies, such as "Received: ".
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub expect_prefix: String,
    /// Which reply is valid: echo, any, none, regex:PATTERN or json:POINTER. All but echo take replies in the
    /// order of the messages; none needs --rate or --stages.
    #[arg(long, value_name = "WHAT", default_value = "echo")]
    pub expect: Expectation,
    /// Do not count messages that are no reply as errors.
    #[arg(long)]
    pub ignore_unasked: bool,
    /// Send this text on each connection before the load. A reply to it is ignored if it arrives before the
    /// load or is an echo.
    #[arg(long, value_name = "MESSAGE")]
    pub first: Option<String>,
    /// Offer permessage-deflate, and compress if the server agrees.
    #[arg(long)]
    pub deflate: bool,
}

/// What a file of messages is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FileFormat {
    /// A message on each line.
    Lines,
    /// Each message follows its length.
    Lengths,
    /// A folder with a file for each message.
    Dir,
}

/// How connections are opened.
#[derive(Debug, Clone, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct ConnectArgs {
    /// Offer this subprotocol; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub subprotocol: Vec<String>,
    /// Send this header field with the handshake; may be repeated.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// Send the header fields in this file, "NAME: VALUE" on each line: the first line with the first
    /// connection, and so on.
    #[arg(long, value_name = "FILE")]
    pub header_file: Option<PathBuf>,
    /// Replace {conn} (number of the connection), {seq} (number of the message, or of the opening), {uuid}
    /// and {token} in --message, --file, --first, --header, and the path and query of the URL.
    #[arg(long)]
    pub template: bool,
    /// The lines for {token}: the first line for the first connection, and so on.
    #[arg(long, value_name = "FILE", requires = "template")]
    pub token_file: Option<PathBuf>,
    /// Send this Origin.
    #[arg(long)]
    pub origin: Option<String>,
    /// Trust the certificates in this PEM file instead of the system's: as issuers, or as the server's own.
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Trust any certificate.
    #[arg(long, conflicts_with = "cacert")]
    pub insecure: bool,
    /// Show the certificate in this PEM file to the server, with the certificates of its issuers behind it.
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Private key of --cert, if that file does not have it.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Host name in the TLS handshake, and in the server's certificate, instead of the URL's.
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,
    /// Resume TLS sessions where the server offers it. Without this every TLS handshake is a full one.
    #[arg(long)]
    pub tls_resume: bool,
    /// Spread the opening of connections over this time. In a closed loop each sends as soon as it is open.
    #[arg(long, value_name = "TIME", value_parser = time,
          conflicts_with = "connect_rate")]
    pub ramp: Option<Duration>,
    /// Open this many connections per second instead of all at once.
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub connect_rate: Option<u64>,
    /// Connect, echo one message, close, and again, on --connections at a time; with --connect-rate so many a
    /// second. There is no --rate.
    #[arg(long, conflicts_with_all = ["depth", "ramp"])]
    pub churn: bool,
    /// Open connections, send nothing, and count how many stay open.
    #[arg(long, conflicts_with_all = ["rate", "depth", "churn", "messages", "warmup"])]
    pub hold: bool,
    /// Open lost connections again, after a wait that grows from 0.1 s to 5 s while the server is down. A
    /// message that has no reply when the server closes with 1001 or 1012 is sent again.
    #[arg(long)]
    pub reconnect: bool,
    /// Time-out of each step of opening a connection.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub connect_timeout: Duration,
}

/// How the host is reached.
#[derive(Debug, Clone, Args)]
pub struct RouteArgs {
    /// Connect to these addresses for a host and port of the URL, instead of asking the resolver; may be
    /// repeated.
    #[arg(long, value_name = "HOST:PORT:ADDRESS[,ADDRESS]")]
    pub resolve: Vec<ResolveEntry>,
    /// Connect from this local address, or from those of a prefix in turn, such as 127.0.0.0/24; may be
    /// repeated. One address has at most 64,511 ports for connections to one server.
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    pub source: Vec<SourceAddresses>,
    /// Connect to this Unix socket. The URL gives the scheme, the Host field and the path.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["resolve", "source"])]
    pub unix: Option<PathBuf>,
    /// Connect through this HTTP proxy (CONNECT), which resolves the host of the URL.
    #[arg(long, value_name = "http://[USER:PASSWORD@]HOST:PORT", conflicts_with = "unix")]
    pub proxy: Option<String>,
    /// Follow up to N redirects (status 301, 302, 303, 307, 308) before the run, and load the URL they lead
    /// to. Authorization and Cookie fields are not sent to another server.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=20))]
    pub follow: u32,
}

/// Where the results go.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// Write the results as JSON. "-" is standard output, here and in four more options; the summary
    /// then goes to standard error.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a report for a browser, as one HTML file.
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Write rate, latency and errors over time as CSV.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write errors and --assert results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Show no live line and no summary: only errors and what does not hold.
    #[arg(short, long)]
    pub quiet: bool,
    /// Show the latencies as a histogram below the summary.
    #[arg(long)]
    pub histogram: bool,
    /// Write an interval log in the format of HdrHistogram, version 2: one line per second. "-" is standard
    /// output.
    #[arg(long, value_name = "FILE")]
    pub hdr_log: Option<PathBuf>,
    /// Listen here for HTTP requests of Prometheus while the run goes on, such as 127.0.0.1:9100. The path is
    /// /metrics.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// A condition on the result, such as 'p99<5ms', 'rate>=50000' or 'missing/sent<0.1%'; may be repeated.
    /// Errors that no condition names have to be 0.
    #[arg(long = "assert", value_name = "EXPRESSION")]
    pub asserts: Vec<Assertion>,
}
