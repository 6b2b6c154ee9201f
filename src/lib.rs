//! A multi-threaded WebSocket echo server on a small fixed thread pool.
//!
//! # The threads
//!
//! ```text
//! main: accept loop ──────► readiness set: sessions that wait for bytes, for room in their socket, or a time
//!                                       │ ready      ▲ nothing to do
//!                                       ▼            │
//!                                    ThreadPool, N workers: read what is there, run the endpoint, write what is owed
//!                                       │ Opened(handle) / Closed(report)    bounded crossbeam channel
//!                                       ▼
//! signals ───── stop ──────────────► supervisor: select! over events, stop and a tick
//!                                    owns the registry of sessions, the timers and the totals
//! ```
//!
//! A session holds a worker only for a turn: from the time when bytes have arrived, or when it asked to be
//! woken, until it has nothing more to do. All workers wait in one `epoll(7)` set. The supervisor compares
//! the counters of each session at each tick, and sends Ping and Close frames through the session's frame
//! writer, a mutex that the worker uses too. As a last resort it calls `shutdown(2)`, which makes the session
//! ready. The accept loop of each further listener has a thread of its own.
//!
//! A thread that logs a line adds it to a bounded queue and never waits. The thread `log` writes the lines to
//! standard error. Lines that do not fit are dropped and counted ([`logging::start`]).
//!
//! With `--admin-listen`, the thread `admin` answers probes without a worker (`server/admin.rs`). Under a
//! service manager, the thread `notify` sends it messages ([`platform::service_manager`]).
//!
//! # The folders
//!
//! Folders are layers: a file uses its own folder and the folders below it. `tests/it/layers.rs` checks it.
//!
//! | folder or file | purpose |
//! |---|---|
//! | `main.rs` | the program: options, listeners, run, summary, exit code |
//! | [`commands`] | check, health check, completions and manual page |
//! | [`cli`] | options, environment variables, their values |
//! | [`server`] | listeners, accept loops, admission, scheduler, workers, supervisor, shutdown |
//! | [`endpoints`] | the table of endpoints, their parameters, one file for each endpoint |
//! | `rooms` | the rooms of `/broadcast`, in this process or shared over Redis |
//! | [`session`] | one WebSocket session: its turns, its endpoint, its end; the handle for other threads |
//! | [`http`] | request head, header fields, responses, opening handshake, files of the page |
//! | [`transport`] | socket reader, frame writer, TLS records, read-ahead, buffers |
//! | [`protocol`] | frame inspector, UTF-8, permessage-deflate and its negotiation |
//! | [`tls`] | certificate and key, validity |
//! | [`metrics`] | counters, snapshot, `/metrics`, summary |
//! | [`platform`] | readiness set, limits of the machine, signals, pools, random numbers |
//! | [`config`], [`error`], [`logging`] | what every layer may use |
//!
//! # The path of a message
//!
//! 1. A worker gets the number of a ready session from `Waiter::next` (`platform/readiness.rs`) and takes the
//!    session (`platform/turn_state.rs`); `WebSocketSession::turn` (`session/turn.rs`) begins.
//! 2. `SocketReader::receive` (`transport/socket_reader.rs`) receives bytes without waiting.
//! 3. `FrameInspector::scan` (`protocol/frame_inspector.rs`) follows the frames, rejects what breaks a rule,
//!    and clears RSV1 of compressed messages, which tungstenite does not support.
//! 4. tungstenite unmasks and joins the frames. `WebSocketSession::next_message` (`session/turn.rs`) takes
//!    the message, inflates it with `Codec::decode` (`session/codec.rs`), counts it, and passes it to the
//!    [`Endpoint`], such as `endpoints::echo`.
//! 5. `WebSocketSession::send` deflates the reply with `Codec::encode` and calls `FrameWriter::send`
//!    (`transport/frame_writer.rs`), which appends a whole frame to the write queue, or sends a large one at
//!    once.
//! 6. When nothing more has arrived, the turn sends the queue in one system call, arms the socket again, and
//!    gives the session up. If the socket has no room, the session waits for room and reads nothing
//!    meanwhile.
//!
//! # The path of a stop
//!
//! 1. `platform::signals::watch` calls [`ShutdownSignal::request`]. A SIGINT after it exits the process with
//!    code 130.
//! 2. `Supervisor::run` (`server/supervisor.rs`) receives it. `announce_stop` (`server/drain.rs`) ends the
//!    accept loops of sockets that other processes share. After [`Config::shutdown_delay`], `begin_drain`
//!    follows.
//! 3. `Admission::close` gives no more places: requests that come now, and those that wait for a place, get
//!    503.
//! 4. `notify_shutdown` sends 503 to clients in the handshake, through `FrameWriter::respond`, and Close 1001
//!    to sessions, through `FrameWriter::terminate`.
//! 5. `InterruptibleListener::interrupt` (`server/listener.rs`) wakes the accept loops, which end.
//! 6. A worker that receives the Close of a peer ends that session; `ConnectionTask::end`
//!    (`server/connection.rs`) reports it.
//! 7. After [`Config::drain_timeout`] the supervisor aborts the remaining sessions. `has_stopped` returns
//!    `true` when none remains, and `run` returns the [`Summary`].
//!
//! # Example: an endpoint of your own
//!
//! ```
//! use std::{net::TcpStream, thread};
//! use tungstenite::Message;
//! use ws_echo::{Config, Next, Routes, Server, ShutdownSignal, WebSocketSession, listen};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let upper = |session: &mut WebSocketSession, message: Message| {
//!     if let Message::Text(text) = message {
//!         session.send_text("", text.to_uppercase());
//!     }
//!     Next::Continue
//! };
//! let routes = Routes::standard().with("/upper", move || upper);
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
pub mod commands;
pub mod config;
pub mod endpoints;
pub mod error;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod platform;
pub mod protocol;
mod rooms;
pub mod server;
pub mod session;
pub mod tls;
pub mod transport;

pub use config::{Config, VERSION};
pub use endpoints::routes::Routes;
pub use error::Error;
pub use metrics::summary::Summary;
pub use server::bind::listen;
pub use server::listener::Listener;
pub use server::ready::{ReadyServer, Server};
pub use server::shutdown::ShutdownSignal;
pub use session::end::SessionEnd;
pub use session::endpoint::{Endpoint, Next};
pub use session::handle::{PushError, SessionHandle};
pub use session::peer::Peer;
pub use session::websocket::WebSocketSession;
pub use tls::certificate::Certificate;
