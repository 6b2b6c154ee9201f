//! A session, for its handler: receive, send, close.

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

/// Size of tungstenite's read buffer, in bytes. Every open session keeps one, and tungstenite zero-fills it before
/// each read.
const READ_BUFFER: usize = 1536;

/// Message size, in bytes, above which tungstenite's buffers are released after [`BUFFER_IDLE_TIMEOUT`].
const LARGE_MESSAGE: usize = 32 << 10;

/// How long the buffers of a large message are kept for the next one. To allocate them for every message costs more
/// than the echo; see scripts/TUNING.md.
const BUFFER_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of bytes that tungstenite may hold back for sending. It writes Pongs and Closes only, each at once.
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

/// The server's side of one open session, used by its worker.
///
/// Receiving and sending block. The supervisor ends a session whose peer does not respond. A method returns `Err` when
/// the session has ended, and a handler passes that on with `?`.
pub struct WebSocketSession {
    /// tungstenite's protocol state.
    pub(super) context: WebSocketContext,
    pub(super) transport: BlockingStream,
    pub(super) codec: Codec,
    pub(super) handle: Arc<SessionHandle>,
    pub(super) request: SessionRequest,
    pub(super) config: Arc<Config>,
    /// Whether tungstenite's buffers have grown to the size of a large message.
    pub(super) has_large_buffers: bool,
}

impl WebSocketSession {
    /// Creates a session after its opening handshake.
    pub(crate) fn new(
        transport: BlockingStream,
        codec: Codec,
        handle: Arc<SessionHandle>,
        request: SessionRequest,
        config: Arc<Config>,
    ) -> Self {
        let context = new_context(&config);
        Self { context, transport, codec, handle, request, config, has_large_buffers: false }
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

    /// Returns the handle with which other threads can push messages to this session.
    #[must_use]
    pub fn handle(&self) -> Arc<SessionHandle> {
        Arc::clone(&self.handle)
    }

    /// Blocks until the next data message arrives and returns it. Sends all unsent bytes before it blocks, and sends
    /// Pongs for Pings meanwhile.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
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

    /// Blocks until the next data message. Returns `None` at the deadline of the transport, if it has one.
    ///
    /// A session that another thread has terminated or aborted gets no more messages, also if some have arrived: no
    /// reply can be sent, and to inflate them would delay a shutdown.
    pub(super) fn next_message(&mut self) -> Result<Option<Message>, SessionEnd> {
        loop {
            self.check_terminated()?;
            match self.context.read(&mut self.transport) {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    let info = self.transport.next_message_info();
                    self.transport.record_message(message.len());
                    let message =
                        self.codec.decode(message, info).map_err(|error| self.close_with_error(error))?;
                    self.has_large_buffers |= message.len() > LARGE_MESSAGE;
                    self.count_received(&message);
                    return Ok(Some(message));
                }
                Ok(Message::Ping(_)) => self.handle.counters().pings_in.add(1),
                Ok(Message::Pong(_)) => self.handle.counters().pongs_in.add(1),
                Ok(Message::Close(frame)) => return Err(self.on_close(frame.as_ref())),
                // tungstenite never returns a raw frame from a read.
                Ok(Message::Frame(_)) => {}
                Err(Error::Io(error)) if is_transient(&error) => return Ok(None),
                Err(error) => return Err(self.close_with_error(error)),
            }
        }
    }

    /// Releases tungstenite's buffers by replacing its state. Does nothing while they hold part of a message.
    pub(super) fn release_buffers(&mut self) {
        if self.transport.is_between_messages() {
            // The old state may hold an unsent Pong. If this fails, the next read fails as well.
            let _ = self.context.flush(&mut self.transport);
            self.context = new_context(&self.config);
            self.has_large_buffers = false;
            self.transport.set_deadline(None);
        }
    }

    /// Sends a text or binary message; ignores other messages. The message is written before the worker blocks in a
    /// read, or when enough unsent bytes have gathered. Blocks if the peer does not read.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
    pub fn send(&mut self, message: &Message) -> Result<(), SessionEnd> {
        match message {
            Message::Text(text) => self.send_parts(Data::Text, b"", text.as_bytes()),
            Message::Binary(bytes) => self.send_parts(Data::Binary, b"", bytes),
            _ => Ok(()),
        }
    }

    /// Sends a text message of `prefix` and `text`, as [`send`](Self::send) does.
    ///
    /// # Errors
    /// The end of the session, if it has ended.
    pub fn send_text(&mut self, prefix: &str, text: &str) -> Result<(), SessionEnd> {
        self.send_parts(Data::Text, prefix.as_bytes(), text.as_bytes())
    }

    /// Maps the result of a send. If another thread queued a Close before, blocks until the peer replies to it.
    pub(super) fn check_sent(&mut self, result: io::Result<bool>) -> Result<(), SessionEnd> {
        match result {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.await_queued_close()),
            Err(error) => Err(self.io_failed(&error)),
        }
    }

    /// Sends one data frame whose payload is `prefix` followed by `payload`.
    fn send_parts(&mut self, kind: Data, prefix: &[u8], payload: &[u8]) -> Result<(), SessionEnd> {
        debug!(session = self.handle.id(); "#{} Sending to client: {}", self.handle.id(), PayloadPreview(kind, prefix, payload));
        let writer = self.handle.writer();
        let header = single_frame_header(OpCode::Data(kind));
        let result = match self.codec.encode(prefix, payload) {
            // `more_follows` is false: to wait would delay this reply by the time to deflate the next one.
            Some(deflated) => writer.send(&FrameHeader { rsv1: true, ..header }, b"", &deflated, false),
            None => writer.send(&header, prefix, payload, self.transport.has_more()),
        };
        self.check_sent(result)?;
        let counters = self.handle.counters();
        counters.messages_out.add(1);
        counters.bytes_out.add((prefix.len() + payload.len()) as u64);
        Ok(())
    }

    /// Counts and logs a received data message.
    fn count_received(&self, message: &Message) {
        self.handle.counters().record_received(message.len());
        let (kind, payload) = kind_and_payload(message);
        debug!(session = self.handle.id(); "#{} Received back from client: {}", self.handle.id(), PayloadPreview(kind, b"", payload));
    }
}

/// Creates tungstenite's state for a new session.
fn new_context(config: &Config) -> WebSocketContext {
    let limits = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(CONTROL_BUFFER)
        .max_message_size(Some(config.max_message))
        .max_frame_size(Some(config.max_message));
    WebSocketContext::new(Role::Server, Some(limits))
}

/// Formats a payload for a log line: escaped text, or the size of a binary payload. Fields: kind, prefix, payload.
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
        // Not reached: `receive` returns data messages only.
        _ => (Data::Binary, b""),
    }
}
