//! A session, for its endpoint: send, wait for a time, stop reading.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use log::debug;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Message, Utf8Bytes};

use super::codec::Codec;
use super::end::{DropMode, SessionEnd};
use super::handle::SessionHandle;
use crate::config::Config;
use crate::http::headers::Headers;
use crate::logging::EscapedPreview;
use crate::platform::memory_budget::{MemoryBudget, Reservation};
use crate::platform::tune::tuning;
pub use crate::transport::record_layer::TlsInfo;
use crate::transport::stream::SessionStream;
use crate::transport::write_queue::single_frame_header;

/// Size of tungstenite's read buffer, in bytes. Every open session keeps one, and tungstenite zero-fills it
/// before each read.
const READ_BUFFER: usize = 1536;

/// Size of tungstenite's read buffer, in bytes, while large messages come: fewer reads for each. Saves a
/// sixth of the CPU time at 1 MiB; see scripts/TUNING.md.
const LARGE_READ_BUFFER: usize = 16 << 10;

/// Message size, in bytes, above which tungstenite's buffers are released when no such message has come for a
/// second.
const LARGE_MESSAGE: usize = 32 << 10;

/// Maximum number of bytes that tungstenite may hold back for sending. It writes Pongs and Closes only, each
/// at once.
const CONTROL_BUFFER: usize = 4 << 10;

/// The request that opened the session, and what was negotiated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRequest {
    /// The path of the request target.
    pub path: String,
    /// The query of the request target, without the `?`. Empty if there is none.
    pub query: String,
    /// All header fields of the request.
    pub headers: Headers,
    /// The negotiated subprotocol.
    pub subprotocol: Option<String>,
    /// The value of `Sec-WebSocket-Extensions` in the 101 response.
    pub extensions: Option<String>,
    /// The result of the TLS handshake; `None` over plain TCP.
    pub tls: Option<TlsInfo>,
}

/// The server's side of one open session, for its endpoint. No method blocks.
pub struct WebSocketSession {
    /// tungstenite's protocol state.
    pub(super) context: WebSocketContext,
    pub(super) transport: SessionStream,
    pub(super) codec: Codec,
    pub(super) handle: Arc<SessionHandle>,
    pub(super) request: SessionRequest,
    pub(super) config: Arc<Config>,
    /// When the endpoint asked to be woken.
    pub(super) wake_at: Option<Instant>,
    /// The endpoint wants no messages.
    pub(super) reading_paused: bool,
    /// The first error of a send, until the turn ends with it.
    pub(super) send_error: Option<io::Error>,
    /// The end of the session if its endpoint has sent a Close; the peer's Close makes it clean.
    pub(super) closed_as: Option<SessionEnd>,
    /// The endpoint ends the connection without a Close.
    pub(super) dropping: Option<DropMode>,
    /// When tungstenite's buffers, which have grown to the size of a large message, may be released.
    pub(super) release_buffers_at: Option<Instant>,
    /// A large message came since `release_buffers_at` was set.
    pub(super) large_buffers_used: bool,
    /// tungstenite's read buffer has [`LARGE_READ_BUFFER`] bytes.
    pub(super) has_large_read_buffer: bool,
    /// Payload of messages that the endpoint keeps, in bytes.
    pub(super) kept_by_endpoint: usize,
    /// The memory that this session holds, beside the write queue.
    pub(super) memory: Reservation,
}

impl WebSocketSession {
    /// Creates a session after its opening handshake.
    pub(crate) fn new(
        transport: SessionStream,
        codec: Codec,
        handle: Arc<SessionHandle>,
        request: SessionRequest,
        config: Arc<Config>,
        memory: &Arc<MemoryBudget>,
    ) -> Self {
        let context = new_context(&config, READ_BUFFER);
        Self {
            context,
            transport,
            codec,
            handle,
            request,
            config,
            wake_at: None,
            reading_paused: false,
            send_error: None,
            closed_as: None,
            dropping: None,
            release_buffers_at: None,
            large_buffers_used: false,
            has_large_read_buffer: false,
            kept_by_endpoint: 0,
            memory: Reservation::new(memory),
        }
    }

    /// Returns the request that opened the session.
    #[must_use]
    pub fn request(&self) -> &SessionRequest {
        &self.request
    }

    /// Returns the configuration of the server.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the configuration of the server, for use beside methods that change the session.
    pub(crate) fn shared_config(&self) -> Arc<Config> {
        Arc::clone(&self.config)
    }

    /// Returns the handle with which other threads can push messages to this session.
    #[must_use]
    pub fn handle(&self) -> Arc<SessionHandle> {
        Arc::clone(&self.handle)
    }

    /// Asks for a call of [`Endpoint::on_wake`](super::endpoint::Endpoint::on_wake) at `time`, or as soon as
    /// all queued bytes were sent if that is later. Replaces an earlier request.
    pub fn wake_at(&mut self, time: Instant) {
        self.wake_at = Some(time);
    }

    /// Asks for a call of [`Endpoint::on_wake`](super::endpoint::Endpoint::on_wake) as soon as all queued
    /// bytes were sent: for an endpoint that sends more than one call should queue.
    pub fn wake_when_sent(&mut self) {
        self.wake_at(Instant::now());
    }

    /// Stops reading, so that TCP flow control slows the peer down. Messages that have arrived stay unread.
    pub fn pause_reading(&mut self) {
        self.reading_paused = true;
    }

    /// Reads again after [`pause_reading`](Self::pause_reading).
    pub fn resume_reading(&mut self) {
        self.reading_paused = false;
    }

    /// Returns whether the peer has taken all bytes that were sent so far.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.handle.writer().has_unsent() && self.send_error.is_none()
    }

    /// Counts messages that the endpoint keeps: `added` bytes more, `removed` bytes less. The count is
    /// checked against the server's memory at the end of the turn.
    pub(crate) fn count_kept(&mut self, added: usize, removed: usize) {
        self.kept_by_endpoint = (self.kept_by_endpoint + added).saturating_sub(removed);
    }

    /// Returns the budget of all sessions.
    pub(crate) fn memory_budget(&self) -> &Arc<MemoryBudget> {
        self.memory.budget()
    }

    /// Counts the memory that this session holds. Returns `false` if the server has not enough for it.
    pub(super) fn count_memory(&mut self) -> bool {
        self.memory.resize(self.transport.held_bytes().saturating_add(self.kept_by_endpoint))
    }

    /// Releases tungstenite's buffers, and returns to a small read buffer. Returns `false`, and does nothing,
    /// while they hold part of a message.
    pub(super) fn release_buffers(&mut self) -> bool {
        let released = self.replace_context(READ_BUFFER);
        if released {
            self.has_large_read_buffer = false;
            self.handle.writer().shrink();
        }
        released
    }

    /// Gives tungstenite a large read buffer, unless its buffers hold part of a message.
    pub(super) fn enlarge_read_buffer(&mut self) {
        let size = tuning().large_read_buffer.unwrap_or(LARGE_READ_BUFFER);
        self.has_large_read_buffer = self.replace_context(size);
    }

    /// Replaces tungstenite's state, and its buffers with it. Returns `false`, and does nothing, while they
    /// hold part of a message.
    fn replace_context(&mut self, read_buffer: usize) -> bool {
        let between_messages = self.transport.is_between_messages();
        if between_messages {
            // The old state may hold an unsent Pong. If this fails, the next read fails as well.
            let _ = self.context.flush(&mut self.transport);
            self.context = new_context(&self.config, read_buffer);
            self.transport.buffers_released();
        }
        between_messages
    }

    /// Sends a text or binary message; ignores other messages. The message is queued, and sent before the
    /// session waits or when enough bytes have gathered. Has no effect after a Close. A connection that fails
    /// ends the session.
    pub fn send(&mut self, message: Message) {
        match message {
            Message::Text(text) => self.send_parts(Data::Text, "", &Bytes::from(text)),
            Message::Binary(bytes) => self.send_parts(Data::Binary, "", &bytes),
            _ => {}
        }
    }

    /// Sends a text message of `prefix` and `text`, as [`send`](Self::send) does.
    pub fn send_text(&mut self, prefix: &str, text: impl Into<Utf8Bytes>) {
        self.send_parts(Data::Text, prefix, &Bytes::from(text.into()));
    }

    /// Sends a text message of `prefix` and `payload`, which must be UTF-8, as [`send`](Self::send) does.
    pub(crate) fn send_text_parts(&mut self, prefix: &str, payload: &Bytes) {
        self.send_parts(Data::Text, prefix, payload);
    }

    /// Keeps the first error of a send; the turn ends with it. Returns whether the frame was added.
    pub(super) fn note_sent(&mut self, result: io::Result<bool>) -> bool {
        match result {
            Ok(sent) => sent,
            Err(error) => {
                self.send_error.get_or_insert(error);
                false
            }
        }
    }

    /// Sends one data frame whose payload is `prefix` followed by `payload`.
    fn send_parts(&mut self, kind: Data, prefix: &str, payload: &Bytes) {
        let length = prefix.len() + payload.len();
        debug!(session = self.handle.id(); "#{} Sending to client: {}", self.handle.id(), PayloadPreview(kind, prefix.as_bytes(), payload));
        let writer = self.handle.writer();
        let header = single_frame_header(OpCode::Data(kind));
        let result = match self.codec.encode(prefix.as_bytes(), payload) {
            // `more_follows` is false: to wait would delay this reply by the time to deflate the next one.
            Some(deflated) => {
                writer.send(&FrameHeader { rsv1: true, ..header }, b"", &Bytes::from(deflated), false)
            }
            None => writer.send(&header, prefix.as_bytes(), payload, self.transport.has_more()),
        };
        if self.note_sent(result) {
            let counters = self.handle.counters();
            counters.messages_out.add(1);
            counters.bytes_out.add(length as u64);
        }
    }

    /// Counts and logs a received data message.
    pub(super) fn count_received(&mut self, message: &Message) {
        if message.len() > LARGE_MESSAGE {
            self.note_large_buffers();
        }
        self.handle.counters().record_received(message.len());
        let (kind, payload) = kind_and_payload(message);
        debug!(session = self.handle.id(); "#{} Received back from client: {}", self.handle.id(), PayloadPreview(kind, b"", payload));
    }
}

/// Creates tungstenite's state, with a read buffer of `read_buffer` bytes.
fn new_context(config: &Config, read_buffer: usize) -> WebSocketContext {
    let limits = WebSocketConfig::default()
        .read_buffer_size(read_buffer)
        .write_buffer_size(0)
        .max_write_buffer_size(CONTROL_BUFFER)
        .max_message_size(Some(config.max_message))
        .max_frame_size(Some(config.max_message));
    WebSocketContext::new(Role::Server, Some(limits))
}

/// Formats a payload for a log line: escaped text, or the size of a binary payload. Fields: kind, prefix,
/// payload.
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

/// Returns the kind and the payload of a data message.
pub(crate) fn kind_and_payload(message: &Message) -> (Data, &[u8]) {
    match message {
        Message::Text(text) => (Data::Text, text.as_ref()),
        Message::Binary(bytes) => (Data::Binary, bytes),
        // Not reached: endpoints get data messages only.
        _ => (Data::Binary, b""),
    }
}
