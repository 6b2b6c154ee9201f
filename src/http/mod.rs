//! HTTP/1.1 for a WebSocket server: request head, header fields, responses, opening handshake, embedded page.

pub(crate) mod forwarded;
pub(crate) mod handshake;
pub mod headers;
pub(crate) mod origin;
pub(crate) mod page;
pub(crate) mod request_head;
pub(crate) mod response;
