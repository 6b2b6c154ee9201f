//! A multi-threaded, blocking WebSocket echo server on a fixed thread pool.
//!
//! # The threads
//!
//! ```text
//! main: accept loop ──socket──► queue ──► ThreadPool, N workers: one connection each, from first byte to last
//!             │ queue full                   │ Opened(handle) / Closed(report)    bounded crossbeam channel
//!             └──────────► rejector (503)    ▼
//! signals ───── stop ────────────────────► supervisor: select! over events, stop and a tick
//!                                          owns the open sessions, the timers and the totals
//! ```
//!
//! A worker blocks in its own socket. The supervisor compares the counters of each session at each tick, and sends Ping
//! and Close frames through the session's frame writer, a mutex that the worker uses too. As a last resort it calls
//! `shutdown(2)`, which wakes a blocked worker. A second accept loop, for TLS, has a thread of its own.
//!
//! A thread that logs a line adds it to a bounded queue and never waits. The thread `log` writes the lines to standard
//! error. Lines that do not fit are dropped and counted ([`logging::start`]).
//!
//! # The folders
//!
//! Folders are layers: a file uses its own folder and the folders below it. `tests/it/layers.rs` checks it.
//!
//! | folder or file | purpose |
//! |---|---|
//! | `main.rs` | the program: options, listeners, run, summary, exit code |
//! | [`cli`] | options, environment variables, their values |
//! | [`server`] | listeners, accept loops, admission, workers, rejector, supervisor, shutdown |
//! | [`endpoints`] | the table of endpoints, their parameters, one file for each endpoint |
//! | [`session`] | one WebSocket session: receive, send, close; the handle for other threads |
//! | [`http`] | request head, header fields, responses, opening handshake, files of the page |
//! | [`transport`] | socket reader, frame writer, TLS records, read-ahead, buffers |
//! | [`protocol`] | frame inspector, UTF-8, permessage-deflate and its negotiation |
//! | [`tls`] | certificate and key, validity |
//! | [`metrics`] | counters, snapshot, `/metrics`, summary |
//! | [`platform`] | limits of the machine, signals, scheduling policy, pools, random numbers |
//! | [`config`], [`error`], [`logging`] | what every layer may use |
//!
//! # The path of a message
//!
//! 1. `SocketReader::receive` (`transport/socket_reader.rs`) receives bytes. Before a receive that may block, the
//!    replies that have gathered are sent: by `ByteSource::read` of `SocketReader`, over TLS by `FrameWriter::decrypt`.
//! 2. `FrameInspector::scan` (`protocol/frame_inspector.rs`) follows the frames, rejects what breaks a rule, and clears
//!    RSV1 of compressed messages, which tungstenite does not support.
//! 3. tungstenite unmasks and joins the frames. `WebSocketSession::next_message` (`session/websocket.rs`) takes the
//!    message, inflates it with `Codec::decode` (`session/codec.rs`), and counts it.
//! 4. `WebSocketSession::receive` returns it to the handler of the endpoint, such as [`endpoints::echo::echo`].
//! 5. `WebSocketSession::send` deflates the reply with `Codec::encode` and calls `FrameWriter::send`
//!    (`transport/frame_writer.rs`), which appends a whole frame to the write queue, or sends a large one at once.
//! 6. At the next receive that may block, step 1 sends the queue in one system call.
//!
//! # The path of a stop
//!
//! 1. `platform::signals::watch` calls [`ShutdownSignal::request`]. A SIGINT after it exits the process with code 130.
//! 2. `Supervisor::run` (`server/supervisor.rs`) receives it and calls `begin_drain` (`server/drain.rs`).
//! 3. `Admission::close` rejects new connections, and the queued ones get 503 from the rejector.
//! 4. `notify_shutdown` sends 503 to clients in the handshake, through `FrameWriter::try_respond`, and Close 1001 to
//!    sessions, through `FrameWriter::try_close`. `continue_drain` repeats it every 10 ms for those whose writer was
//!    busy.
//! 5. `InterruptibleListener::interrupt` (`server/listener.rs`) wakes the accept loops, which end.
//! 6. A worker that receives the Close of its peer ends its session; `SessionGuard` (`server/connection.rs`) reports
//!    it.
//! 7. After [`Config::drain_timeout`] the supervisor aborts the remaining sessions. `has_stopped` returns `true` when
//!    none remains, and `run` returns the [`Summary`].
//!
//! # Example: an endpoint of your own
//!
//! ```
//! use std::{net::TcpStream, thread};
//! use tungstenite::Message;
//! use ws_echo::{Config, Routes, Server, ShutdownSignal, listen};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let routes = Routes::standard().with("/upper", |session| {
//!     loop {
//!         if let Message::Text(text) = session.receive()? {
//!             session.send_text("", &text.to_uppercase())?;
//!         }
//!     }
//! });
//! let listener = listen("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let stop = ShutdownSignal::new();
//! let server = Server::new(listener, Config { workers: 2, ..Config::default() }).with_routes(routes);
//! let stop_seen = stop.clone();
//! let running = thread::spawn(move || server.run(&stop_seen));
//!
//! let (mut client, _) = tungstenite::client(format!("ws://{address}/upper"), TcpStream::connect(address)?)?;
//! client.send(Message::text("hello"))?;
//! assert_eq!(client.read()?, Message::text("HELLO"));
//!
//! stop.request();
//! assert_eq!(client.read()?.to_text()?, "server shutting down");
//! # client.flush()?;
//! let summary = running.join().expect("the server does not panic")?;
//! assert_eq!(summary.totals.sessions, 1);
//! # Ok(())
//! # }
//! ```

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
