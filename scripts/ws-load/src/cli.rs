//! The command line of `ws-load`.

use super::{assertion::Assertion, sizes::Sizes};
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, time::Duration};

/// A load generator for WebSocket echo endpoints that verifies every reply.
///
/// Closed loop by default: each connection keeps --depth messages in flight. With --rate it sends at a constant rate
/// instead, and every latency counts from the moment the message should have been sent.
///
/// Exit code: 0 fine; 1 wrong, unasked or missing replies, failed or lost connections; 2 usage; 3 an --assert did not
/// hold, or could not be judged.
#[derive(Debug, Parser)]
#[command(name = "ws-load", version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    /// Other things to do than to load.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
}

/// What `ws-load` can do besides a run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Join the interval logs (--hdr-log) of several runs or machines into one report.
    Merge {
        /// The logs.
        #[arg(required = true, value_name = "FILE")]
        logs: Vec<PathBuf>,
        /// Where the results go.
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// A run.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The endpoint: ws://host:port/path or wss://host:port/path; or tcp://host:port, a server that sends every byte back,
    /// to see what the same messages cost without WebSocket.
    #[arg(required = true)]
    pub url: Option<String>,
    /// How many connections.
    #[arg(short, long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// How many threads drive them.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// How many messages a connection has in flight at most.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub depth: u32,
    /// Send at this constant rate, in messages a second over all connections, instead of as fast as replies come.
    #[arg(short, long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub rate: Option<u64>,
    /// How long to measure [default: 10s, or without end when --messages is given].
    #[arg(short = 'D', long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Stop after this many messages over all connections (with --churn: this many cycles).
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: Option<u64>,
    /// What is sent.
    #[command(flatten)]
    pub message: MessageArgs,
    /// How connections are made.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// Load this long before measuring; errors count all the same.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub warmup: Duration,
    /// A reply that takes longer is late, or missing if it never comes.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// How long the end waits for replies on their way.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub drain: Duration,
    /// Where the results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What is sent, and what has to come back.
#[derive(Debug, Args)]
pub struct MessageArgs {
    /// Message size: 20, a range 16..4KiB, or a list with weights 20:90,1KiB:9,64KiB:1.
    #[arg(short, long, default_value = "20", conflicts_with = "file")]
    pub size: Sizes,
    /// Send binary messages instead of text.
    #[arg(short, long)]
    pub binary: bool,
    /// Send the lines of this file instead of generated messages.
    #[arg(short, long)]
    pub file: Option<PathBuf>,
    /// Other generated messages for other numbers.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// What text replies start with before the message itself, such as "Received: ".
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub expect_prefix: String,
    /// Offer permessage-deflate, and compress where the server agrees.
    #[arg(long)]
    pub deflate: bool,
}

/// How connections are made.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Offer this subprotocol; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub subprotocol: Vec<String>,
    /// Send this header with the handshake; may be repeated.
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// Send this Origin.
    #[arg(long)]
    pub origin: Option<String>,
    /// Trust the certificates in this PEM file instead of the system's.
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Trust any certificate.
    #[arg(long, conflicts_with = "cacert")]
    pub insecure: bool,
    /// Spread the opening of connections over this time; in a closed loop each starts as soon as it is open.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "connect_rate")]
    pub ramp: Option<Duration>,
    /// Open connections at this rate a second instead of all at once.
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub connect_rate: Option<u64>,
    /// Connect, one echo, close, and again: a storm of connections, --connections at a time.
    #[arg(long, conflicts_with_all = ["rate", "depth", "ramp"])]
    pub churn: bool,
    /// Open connections, send nothing, and see how many stay.
    #[arg(long, conflicts_with_all = ["rate", "depth", "churn", "messages", "warmup"])]
    pub hold: bool,
    /// How long each step of opening a connection may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub connect_timeout: Duration,
}

/// Where the results go.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// Write the results as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a report that a browser shows, in one file.
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Write an interval log as `HdrHistogram` reads it, version 2: one line a second.
    #[arg(long, value_name = "FILE")]
    pub hdr_log: Option<PathBuf>,
    /// What has to hold, such as 'p99<5ms', 'errors==0' or 'rate>=50000'; may be repeated.
    #[arg(long = "assert", value_name = "EXPRESSION")]
    pub asserts: Vec<Assertion>,
}
