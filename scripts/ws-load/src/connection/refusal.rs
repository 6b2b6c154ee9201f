//! A response that refuses the upgrade: what it says besides its status.

use super::failure::Failure;
use crate::net::client_stream::ClientStream;
use std::{
    io::{ErrorKind, Read},
    time::Duration,
};
use tungstenite::{
    handshake::client::Response,
    http::{HeaderName, StatusCode, header},
};

/// Longest wait for the first line of the body.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_millis(500);
/// Longest part of the body that is read, in bytes.
const MAX_BODY: usize = 1 << 10;
/// Longest part of a header field or line that is shown, in characters.
const MAX_SHOWN: usize = 200;

/// A refusal whose body may be incomplete.
#[derive(Debug)]
pub(crate) struct Refusal {
    stream: ClientStream,
    response: Response,
    body: Vec<u8>,
}

impl Refusal {
    /// Creates a refusal of which `body` has been read with the head.
    pub(crate) fn new(stream: ClientStream, response: Response, body: Vec<u8>) -> Self {
        Self { stream, response, body }
    }

    pub(crate) fn stream_mut(&mut self) -> &mut ClientStream {
        &mut self.stream
    }

    /// Reads what has arrived. Returns itself if the first line of the body is still to come, else the
    /// failure.
    pub(crate) fn advance(mut self) -> Result<Self, Failure> {
        let mut piece = [0; MAX_BODY];
        while !self.is_complete() {
            match self.stream.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(self),
                Ok(0) | Err(_) => break,
                Ok(length) => self.body.extend_from_slice(piece.get(..length).unwrap_or_default()),
            }
        }
        Err(self.failure())
    }

    /// Returns the failure with what has been read.
    pub(crate) fn failure(&self) -> Failure {
        let mut details = Vec::new();
        for (name, title) in [(header::LOCATION, "Location"), (header::RETRY_AFTER, "Retry-After")] {
            details.extend(self.field(&name).map(|value| format!("{title}: {}", shown(value))));
        }
        details.extend(self.line().map(|line| format!("\"{}\"", shown(&line))));
        let status = self.response.status();
        let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let redirect = self.field(&header::LOCATION).filter(|_| is_redirect).map(str::to_owned);
        Failure::from_status(status).with_details(&details).with_redirect(redirect)
    }

    fn field(&self, name: &HeaderName) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    fn is_chunked(&self) -> bool {
        self.field(&header::TRANSFER_ENCODING).is_some_and(|value| value.contains("chunked"))
    }

    /// Returns whether the body cannot add to what is shown.
    fn is_complete(&self) -> bool {
        let length = self.field(&header::CONTENT_LENGTH).and_then(|value| value.trim().parse().ok());
        let is_empty = matches!(self.response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let text = self.text();
        let has_line = text.trim_start().contains('\n') && !text.trim_start().starts_with('<');
        is_empty || has_line || self.body.len() >= length.unwrap_or(MAX_BODY).min(MAX_BODY)
    }

    /// Returns the body without the length of its first chunk.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        match text.split_once('\n') {
            _ if !self.is_chunked() => text.into_owned(),
            Some((_, chunk)) => chunk.to_owned(),
            None => String::new(),
        }
    }

    /// Returns the first line of the body that has text; of an HTML page its title.
    fn line(&self) -> Option<String> {
        let text = self.text();
        if text.trim_start().starts_with('<') {
            let (_, title) = text.split_once("<title>")?;
            return title.split('<').next().map(|title| title.trim().to_owned());
        }
        let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        // Not text at all.
        (!line.contains(char::REPLACEMENT_CHARACTER)).then(|| line.to_owned())
    }
}

/// Escapes and shortens text of the server.
fn shown(text: &str) -> String {
    text.chars()
        .take(MAX_SHOWN)
        .flat_map(char::escape_debug)
        .collect::<String>()
        .replace("\\\"", "\"")
        .replace("\\'", "'")
}
