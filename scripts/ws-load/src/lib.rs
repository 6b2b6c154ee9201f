//! A load generator for WebSocket echo endpoints, behind `ws-load`.
//!
//! ```text
//! main: starts the drivers, then coordinates: starts the load when all connections are open or have failed,
//!   │   writes the live line and the interval log, collects the figures
//!   │ timeline, stop flag, wakers          ▲ figures, once a second: bounded crossbeam channel
//!   ▼                                      │
//! load-0 … load-N (--threads): an event loop each, over its share of the connections
//!     connect_schedule: when to open the next one      send_schedule: when each message is due
//!     load_connection: opening (TCP, TLS, WebSocket) ─► open_connection ─► closing handshake
//!         open_connection: sends what is due, in_flight classifies what arrives
//!
//! signals: sends a stop message to main; the second signal ends the process
//! ```
//!
//! Drivers share nothing while messages flow, and no memory grows with the length of a run: latencies go into
//! histograms, a backlog is arithmetic on sequence numbers, and a message is computed again from its number
//! when its reply is verified.
//!
//! Every connection that was begun ends in exactly one counted way: `attempted` = `opened` + `failed` +
//! `unfinished`, and `opened` = `closed_clean` + `cut` + `lost`.
//!
//! | to learn | open |
//! |---|---|
//! | the commands: `run`, `merge`, `compare`, `completions`, `man` | `commands` |
//! | the options, and how they are checked | `workload/`: `cli`, `plan`, `target`, `url`, `tls` |
//! | what a message contains | `workload/`: `payload`, `template`, `input_files` |
//! | what differs between the requests of connections | `workload/connection_fields` |
//! | when messages are due | `workload/`: `send_schedule`, `stages`, `arrivals`, `slot_queue` |
//! | which connection sends a message | `runner/dealer`, `connection/unassigned` |
//! | how lost connections are opened again | `runner/reconnects`, `connection/service_clock` |
//! | why a latency is *corrected* | `workload/send_schedule`, `connection/latency` |
//! | the threads, and the stages of a run | `runner/`: `coordinator`, `driver`, `transitions` |
//! | the search for the highest rate (`--find`) | `find`, `workload/rate_search`, `output/found` |
//! | when connections are opened | `runner/connect_schedule` |
//! | how redirects are followed | `runner/redirects` |
//! | how the figures of the threads are combined | `runner/`: `interval`, `aggregate`, `outcome` |
//! | one connection from the SYN to its end | `connection/`: `load_connection`, `opening`, `refusal` |
//! | what makes a reply wrong | `connection/`: `in_flight`, `replies`, `workload/expectation` |
//! | messages in one direction | `connection/`: `gaps`, `sending` |
//! | rooms (`--fan-out`) | `workload/fan_out`, `connection/`: `room`, `deliveries` |
//! | sockets, TLS, frames, compression | `net/`: `client_stream`, `protocol`, `deflate` |
//! | messages without WebSocket (`tcp://`) | `net/raw_tcp` |
//! | what is counted and measured | `stats/`: `counters`, `recorder`, `timeseries` |
//! | assertions | `stats/assertion` |
//! | whether this program was the bottleneck | `output/`: `verdict`, `in_flight_limit` |
//! | whether the rate was reached | `output/reached` |
//! | what is shown and written | `output/`: `progress`, `summary`, `conclusions`, `html`, `csv`, `junit` |
//! | the JSON, and the comparison of two | `output/`: `report`, `comparison` |
//! | metrics while the run goes on | `output/`: `metrics_listener`, `exposition` |
//! | the interval log and its merge | `output/`: `log_format`, `hdr_log`, `merged_logs`, `merged_report` |
//!
//! Files import only from their own folder and from those below it, in this order: `find`, `commands`,
//! `output`, `runner`, `connection`, `workload`, `net`, `stats`, and `error`, `text`, `numbers`.

mod commands;
mod connection;
mod error;
mod find;
mod net;
mod numbers;
mod output;
mod runner;
mod stats;
mod text;
mod workload;

pub use commands::{Completed, compare, completions, man, merge, run};
pub use error::LoadError;
pub use find::find;
pub use net::message_kind::MessageKind;
pub use output::{
    comparison::Comparison,
    found::{Found, FoundStep},
    generator::Generator,
    host_info::HostInfo,
    in_flight_limit::InFlightLimit,
    merged_logs::MergedRun,
    report::{Aborted, AssertResult, FanOutResult, INTERRUPTED, Report},
    series::SeriesPoint,
    summary::TextSummary,
};
pub use stats::{
    assertion::{AssertOutcome, Assertion},
    percentiles::Percentiles,
};
pub use workload::{
    address::{ResolveEntry, SourceAddresses},
    arrivals::Arrivals,
    cli::{Cli, Command, ConnectArgs, FileFormat, LoadArgs, MessageArgs, OutputArgs, RouteArgs},
    expectation::Expectation,
    mode::{Mode, OneWay},
    plan::Plan,
    sizes::{MAX_SIZE, Sizes},
    stages::Stages,
};
