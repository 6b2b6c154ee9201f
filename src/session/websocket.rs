//! A session as its behaviour sees it: receive, send, close.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::debug;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::codec::Codec;
use super::end::SessionEnd;
use super::handle::SessionHandle;
use crate::config::Config;
use crate::http::headers::Headers;
use crate::logging::EscapedPreview;
use crate::transport::blocking_stream::BlockingStream;
pub use crate::transport::record_layer::TlsInfo;
use crate::transport::transient::is_transient;
use crate::transport::write_queue::single_frame_header;

/// What a session was opened with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRequest {
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
    pub tls: Option<TlsInfo>,
}

/// An open session, in the hands of its worker.
///
/// Everything blocks; the supervisor keeps the time. An `Err` says how the session ended, and a behaviour hands it
/// on with `?`.
pub struct WebSocketSession {
    /// The protocol.
    pub(super) protocol: WebSocketContext,
    /// The worker's end of the connection.
    pub(super) transport: BlockingStream,
    /// Compression, where it was agreed on.
    pub(super) codec: Codec,
    /// What other threads know of the session.
    pub(super) session: Arc<SessionHandle>,
    /// What it was opened with.
    pub(super) request: SessionRequest,
    /// The server's waits and limits.
    pub(super) config: Arc<Config>,
    /// A large message has come, and tungstenite keeps its buffers at that size.
    pub(super) has_large_buffers: bool,
}

impl WebSocketSession {
    /// A session whose handshake is done.
    pub(crate) fn new(
        transport: BlockingStream,
        codec: Codec,
        session: Arc<SessionHandle>,
        request: SessionRequest,
        config: Arc<Config>,
    ) -> Self {
        Self {
            protocol: protocol(&config),
            transport,
            codec,
            session,
            request,
            config,
            has_large_buffers: false,
        }
    }

    /// What the session was opened with.
    #[must_use]
    pub fn request(&self) -> &SessionRequest {
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
    pub fn receive(&mut self) -> Result<Message, SessionEnd> {
        loop {
            if self.has_large_buffers {
                self.transport.set_deadline(Some(Instant::now() + BUFFER_IDLE_TIMEOUT));
            }
            match self.next_message()? {
                Some(message) => return Ok(message),
                None => self.release_buffers(),
            }
        }
    }

    /// The next data message; `None` when the transport's deadline came first, if it has one.
    pub(super) fn next_message(&mut self) -> Result<Option<Message>, SessionEnd> {
        loop {
            match self.protocol.read(&mut self.transport) {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    let info = self.transport.next_message_info();
                    self.transport.record_message(message.len());
                    let message =
                        self.codec.decode(message, info).map_err(|error| self.close_with_error(error))?;
                    self.has_large_buffers |= message.len() > LARGE_MESSAGE;
                    self.note_received(&message);
                    return Ok(Some(message));
                }
                Ok(Message::Ping(_)) => self.session.counters().pings_in.add(1),
                Ok(Message::Pong(_)) => self.session.counters().pongs_in.add(1),
                Ok(Message::Close(frame)) => return Err(self.answer_close(frame.as_ref())),
                // Only writing makes raw frames.
                Ok(Message::Frame(_)) => {}
                Err(Error::Io(error)) if is_transient(&error) => return Ok(None),
                Err(error) => return Err(self.close_with_error(error)),
            }
        }
    }

    /// Nothing has come for a while after a large message: lets go of tungstenite's state, and of its buffers with it,
    /// unless there is something in them.
    pub(super) fn release_buffers(&mut self) {
        if self.transport.is_between_messages() {
            // A Pong may wait in the old state. What fails here fails again at the next read.
            let _ = self.protocol.flush(&mut self.transport);
            self.protocol = protocol(&self.config);
            self.has_large_buffers = false;
            self.transport.set_deadline(None);
        }
    }

    /// Sends a data message. It goes out when the worker is about to block, or when enough has gathered; the end of a large
    /// one may wait as well while more has been received.
    pub fn send(&mut self, message: &Message) -> Result<(), SessionEnd> {
        match message {
            Message::Text(text) => self.send_parts(Data::Text, b"", text.as_bytes()),
            Message::Binary(bytes) => self.send_parts(Data::Binary, b"", bytes),
            // Control frames are the server's own business.
            _ => Ok(()),
        }
    }

    /// Sends a text message that has `prefix` in front of `text`.
    pub fn send_text(&mut self, prefix: &str, text: &str) -> Result<(), SessionEnd> {
        self.send_parts(Data::Text, prefix.as_bytes(), text.as_bytes())
    }

    /// What came of a frame that the outbox was given.
    pub(super) fn check_sent(&mut self, check_sent: io::Result<bool>) -> Result<(), SessionEnd> {
        match check_sent {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.await_posted_close()),
            Err(error) => Err(self.io_failed(&error)),
        }
    }

    /// Sends one data frame whose payload lies in two parts.
    fn send_parts(&mut self, kind: Data, prefix: &[u8], payload: &[u8]) -> Result<(), SessionEnd> {
        debug!("#{} Sending to client: {}", self.session.id(), PayloadPreview(kind, prefix, payload));
        let writer = self.session.writer();
        let header = single_frame_header(OpCode::Data(kind));
        let sent = match self.codec.encode(prefix, payload) {
            // What it took to make is more than waiting for the next would save, which takes as long.
            Some(deflated) => writer.send(&FrameHeader { rsv1: true, ..header }, b"", &deflated, false),
            None => writer.send(&header, prefix, payload, self.transport.has_more()),
        };
        self.check_sent(sent)?;
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
        let (kind, payload) = opcode_and_payload(message);
        debug!("#{} Received back from client: {}", self.session.id(), PayloadPreview(kind, b"", payload));
    }
}

/// Bytes that tungstenite reads at a time. It zero-fills them before every read, and a session keeps them while it
/// is idle.
const READ_BUFFER: usize = 3 << 9;

/// A message larger than this, in bytes, leaves buffers behind that are worth giving back.
const LARGE_MESSAGE: usize = 32 << 10;

/// How long those buffers are kept for the next large message: to make and to touch them anew costs more than to
/// echo what they hold.
const BUFFER_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

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
struct PayloadPreview<'a>(Data, &'a [u8], &'a [u8]);

impl std::fmt::Display for PayloadPreview<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(kind, prefix, payload) = self;
        match (kind, std::str::from_utf8(payload)) {
            (Data::Text, Ok(text)) => {
                write!(f, "{}{}", EscapedPreview(&String::from_utf8_lossy(prefix)), EscapedPreview(text))
            }
            _ => write!(f, "{} bytes", prefix.len() + payload.len()),
        }
    }
}

/// The kind of a data message and its payload.
pub(crate) fn opcode_and_payload(message: &Message) -> (Data, &[u8]) {
    match message {
        Message::Text(text) => (Data::Text, text.as_ref()),
        Message::Binary(bytes) => (Data::Binary, bytes),
        // Nothing else is ever received as a message.
        _ => (Data::Binary, b""),
    }
}
