//! HTTP/1.1 as far as a WebSocket server needs it: request head, responses, the opening handshake, the page's files.

pub(crate) mod handshake;
pub mod headers;
pub(crate) mod page;
pub(crate) mod request_head;
pub(crate) mod response;
