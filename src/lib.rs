//! A multi-threaded, **blocking** WebSocket echo server with a fixed thread pool.
//!
//! # The threads
//!
//! ```text
//! main: accept loop ──socket──► ThreadPool, N workers: one session each, from the first byte to the last
//!           │ no worker, no place      │ Opened(handle) / Closed(report)       crossbeam channel, bounded
//!           └──► refusal lane (503)    ▼
//! ctrlc ───── stop ───────────► supervisor: select! over events, stop and a tick
//!                               owns the open sessions, the clock and the totals
//! ```
//!
//! A worker blocks in its own socket and nowhere else. Time belongs to the supervisor: it sees each session's
//! counters move, or not, between two ticks, and speaks to a peer through the session's outbox, the same lock
//! through which the worker speaks. Its last resort is `shutdown(2)`, which wakes a blocked worker.
//!
//! # Which file to open
//!
//! | to learn | open |
//! |---|---|
//! | what can be configured | [`config`], [`cli`], [`machine`] (how many threads fit) |
//! | how connections come in, wait or are refused | [`server`], `admission`, `refusal` |
//! | one connection from its first byte to its last | `session`, `http`, `handshake`, [`conversation`] |
//! | what each path does with a message | [`behavior`] |
//! | how a session ended, and who ended it | [`ended`] |
//! | how two threads share one socket | `transport/outbox`, [`handle`] |
//! | time-outs, pings, the drain | `supervisor`, `supervisor/watch` |
//! | what is counted | [`metrics`] |
//! | what a plain HTTP request gets | `site`, and `html/` |
//! | how it stops | [`stop`] |
//! | how the load generator works | [`load`] |

pub mod behavior;
pub mod cli;
pub mod config;
pub mod conversation;
pub mod ended;
pub mod error;
pub mod handle;
pub mod load;
pub mod logging;
pub mod machine;
pub mod metrics;
pub mod server;
pub mod stop;

mod admission;
mod handshake;
mod http;
mod refusal;
mod session;
mod site;
mod supervisor;
mod transport;

pub use config::Config;
pub use error::Error;
pub use metrics::Summary;
pub use server::{Server, listen};
pub use stop::Stop;
