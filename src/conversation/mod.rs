//! A session as its behaviour sees it: receive, send, close.

mod closing;
mod faults;
mod timing;

pub use faults::HangUp;
pub(crate) use faults::parts_of;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::debug;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use crate::codec::Codec;
use crate::config::Config;
use crate::ended::Ended;
use crate::handle::SessionHandle;
use crate::headers::Headers;
use crate::logging::Excerpt;
use crate::transport::Transport;
use crate::transport::outbox::is_passing;
use crate::transport::queue::header_of;
pub use crate::transport::wire::TlsFacts;

/// What a session was opened with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The path of the request target.
    pub path: String,
    /// What followed the `?` of the target; empty without one.
    pub query: String,
    /// All header fields.
    pub headers: Headers,
    /// The subprotocol that was agreed on.
    pub subprotocol: Option<String>,
    /// The extensions that were agreed on, as the answer named them.
    pub extensions: Option<String>,
    /// What the TLS handshake agreed on; `None` over plain TCP.
    pub tls: Option<TlsFacts>,
}

/// An open session, in the hands of its worker.
///
/// Everything blocks; the supervisor keeps the time. An `Err` says how the session ended, and a behaviour hands it
/// on with `?`.
pub struct Conversation {
    /// The protocol.
    protocol: WebSocketContext,
    /// The worker's end of the connection.
    transport: Transport,
    /// Compression, where it was agreed on.
    codec: Codec,
    /// What other threads know of the session.
    session: Arc<SessionHandle>,
    /// What it was opened with.
    request: Request,
    /// The server's waits and limits.
    config: Arc<Config>,
    /// A large message has come, and tungstenite keeps its buffers at that size.
    bulky: bool,
}

impl Conversation {
    /// A session whose handshake is done.
    pub(crate) fn new(
        transport: Transport,
        codec: Codec,
        session: Arc<SessionHandle>,
        request: Request,
        config: Arc<Config>,
    ) -> Self {
        Self { protocol: protocol(&config), transport, codec, session, request, config, bulky: false }
    }

    /// What the session was opened with.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The server's waits and limits.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The handle through which other threads may push to this session.
    #[must_use]
    pub fn handle(&self) -> Arc<SessionHandle> {
        Arc::clone(&self.session)
    }

    /// Waits for the next data message. Everything sent before goes out before it
    /// blocks; Pings are answered on the way.
    pub fn receive(&mut self) -> Result<Message, Ended> {
        loop {
            if self.bulky {
                self.transport.set_deadline(Some(Instant::now() + KEEP_FOR));
            }
            match self.next_message()? {
                Some(message) => return Ok(message),
                None => self.give_back(),
            }
        }
    }

    /// The next data message; `None` when the transport's deadline came first, if it has one.
    fn next_message(&mut self) -> Result<Option<Message>, Ended> {
        loop {
            match self.protocol.read(&mut self.transport) {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    let arrival = self.transport.next_arrival();
                    self.transport.note_message(message.len());
                    let message = self.codec.decode(message, arrival).map_err(|error| self.fail(error))?;
                    self.bulky |= message.len() > BULKY;
                    self.note_received(&message);
                    return Ok(Some(message));
                }
                Ok(Message::Ping(_)) => self.session.counters().pings_in.add(1),
                Ok(Message::Pong(_)) => self.session.counters().pongs_in.add(1),
                Ok(Message::Close(frame)) => return Err(self.answer_close(frame.as_ref())),
                // Only writing makes raw frames.
                Ok(Message::Frame(_)) => {}
                Err(Error::Io(error)) if is_passing(&error) => return Ok(None),
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// Nothing has come for a while after a large message: lets go of tungstenite's state, and of its buffers with it,
    /// unless there is something in them.
    fn give_back(&mut self) {
        if self.transport.is_between_messages() {
            // A Pong may wait in the old state. What fails here fails again at the next read.
            let _ = self.protocol.flush(&mut self.transport);
            self.protocol = protocol(&self.config);
            self.bulky = false;
            self.transport.set_deadline(None);
        }
    }

    /// Sends a data message. It goes out when the worker is about to block, or when enough has gathered; the end of a large
    /// one may wait as well while more has been received.
    pub fn send(&mut self, message: &Message) -> Result<(), Ended> {
        match message {
            Message::Text(text) => self.send_parts(Data::Text, b"", text.as_bytes()),
            Message::Binary(bytes) => self.send_parts(Data::Binary, b"", bytes),
            // Control frames are the server's own business.
            _ => Ok(()),
        }
    }

    /// Sends a text message that has `prefix` in front of `text`.
    pub fn send_text(&mut self, prefix: &str, text: &str) -> Result<(), Ended> {
        self.send_parts(Data::Text, prefix.as_bytes(), text.as_bytes())
    }

    /// What came of a frame that the outbox was given.
    fn taken(&mut self, taken: io::Result<bool>) -> Result<(), Ended> {
        match taken {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.sealed()),
            Err(error) => Err(self.lost(&error)),
        }
    }

    /// Sends one data frame whose payload lies in two parts.
    fn send_parts(&mut self, kind: Data, prefix: &[u8], payload: &[u8]) -> Result<(), Ended> {
        debug!("#{} Sending to client: {}", self.session.id(), Shown(kind, prefix, payload));
        let outbox = self.session.outbox();
        let header = header_of(OpCode::Data(kind));
        let sent = match self.codec.encode(prefix, payload) {
            // What it took to make is more than waiting for the next would save, which takes as long.
            Some(deflated) => outbox.send(&FrameHeader { rsv1: true, ..header }, b"", &deflated, false),
            None => outbox.send(&header, prefix, payload, self.transport.has_more()),
        };
        self.taken(sent)?;
        let counters = self.session.counters();
        counters.messages_out.add(1);
        counters.bytes_out.add((prefix.len() + payload.len()) as u64);
        Ok(())
    }

    /// Counts and logs a data message.
    fn note_received(&self, message: &Message) {
        let counters = self.session.counters();
        counters.messages_in.add(1);
        counters.bytes_in.add(message.len() as u64);
        let (kind, payload) = parts_of(message);
        debug!("#{} Received back from client: {}", self.session.id(), Shown(kind, b"", payload));
    }
}

/// Bytes that tungstenite reads at a time. It zero-fills them before every read, and a session keeps them while it
/// is idle.
const READ_BUFFER: usize = 3 << 9;

/// A message larger than this, in bytes, leaves buffers behind that are worth giving back.
const BULKY: usize = 32 << 10;

/// How long those buffers are kept for the next large message: to make and to touch them anew costs more than to
/// echo what they hold.
const KEEP_FOR: Duration = Duration::from_secs(1);

/// Bytes that tungstenite may hold back for sending: its own Pongs and Closes, each handed on at once.
const CONTROL_BUFFER: usize = 4 << 10;

/// tungstenite's state of a session in which nothing has been said.
fn protocol(config: &Config) -> WebSocketContext {
    let limits = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(CONTROL_BUFFER)
        .max_message_size(Some(config.max_message))
        .max_frame_size(Some(config.max_message));
    WebSocketContext::new(Role::Server, Some(limits))
}

/// A payload in two parts as a log line shows it.
struct Shown<'a>(Data, &'a [u8], &'a [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(kind, prefix, payload) = self;
        match (kind, std::str::from_utf8(payload)) {
            (Data::Text, Ok(text)) => {
                write!(f, "{}{}", Excerpt(&String::from_utf8_lossy(prefix)), Excerpt(text))
            }
            _ => write!(f, "{} bytes", prefix.len() + payload.len()),
        }
    }
}
