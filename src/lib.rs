//! A multi-threaded, **blocking** WebSocket echo server with a fixed thread pool.
//!
//! # The threads
//!
//! ```text
//! main: accept loop ──socket──► ThreadPool, N workers: one session each, from the first byte to the last
//!           │ no worker, no place      │ Opened(handle) / Closed(report)       crossbeam channel, bounded
//!           └──► refusal lane (503)    ▼
//! signals ─── stop ───────────► supervisor: select! over events, stop and a tick
//!                               owns the open sessions, the clock and the totals
//! ```
//!
//! A worker blocks in its own socket and nowhere else; before it does, it lets the others run once where that has
//! paid. Time belongs to the supervisor: it sees each session's counters move, or not, between two ticks, and speaks
//! to a peer through the session's outbox, the same lock through which the worker speaks. Its last resort is
//! `shutdown(2)`, which wakes a blocked worker.
//!
//! # Which file to open
//!
//! | to learn | open |
//! |---|---|
//! | what can be configured | [`config`], [`cli`], [`machine`] (how many threads fit) |
//! | how connections come in, wait or are refused | [`listener`], [`server`], `admission`, `refusal` |
//! | how an idle worker waits and is called | `workers`, `semaphore` |
//! | one connection from its first byte to its last | `session`, `http`, [`headers`], `handshake`, [`conversation`] |
//! | what each path does with a message | [`behavior`] |
//! | compression, and what is wrong with a frame | [`extensions`] |
//! | how a session ends, and who ended it | `conversation/closing`, [`ended`] |
//! | how two threads share one socket | `transport/writer/`, [`handle`] |
//! | how a worker waits for bytes, and takes many at once | `transport/receiver`, `transport/patience`, `readahead` |
//! | where a write ends while more follows | `segment` |
//! | who goes first when a thread is woken | `scheduling`, `transport/courtesy` |
//! | how TLS fits between them | `transport/wire`, `transport/tls`, [`certificate`] |
//! | how a behaviour waits | `conversation/timing`, `pause` |
//! | time-outs, pings, the drain | `supervisor`, `supervisor/watch` |
//! | what is counted | [`metrics`] |
//! | what a plain HTTP request gets | `site`, and `html/` |
//! | how it stops, and what signals do | [`stop`], [`signals`] |
//! | how the load generator works | [`load`] |

pub mod cli;
pub mod config;
pub mod endpoints;
pub mod error;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod platform;
pub mod protocol;
pub mod server;
pub mod session;
pub mod tls;
pub mod transport;

pub use config::Config;
pub use endpoints::routes::Routes;
pub use error::Error;
pub use metrics::summary::Summary;
pub use server::listener::{Listener, listen};
pub use server::ready::{ReadyServer, Server};
pub use server::shutdown::ShutdownSignal;
pub use session::end::SessionEnd;
pub use session::handle::{PushError, SessionHandle};
pub use session::websocket::WebSocketSession;
pub use tls::certificate::Certificate;
