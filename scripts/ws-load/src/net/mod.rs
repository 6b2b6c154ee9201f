//! The transport under one connection, and the protocols on it. Nothing here depends on a run.

pub(crate) mod client_stream;
pub(crate) mod deflate;
pub(crate) mod frame_inspector;
pub(crate) mod message_kind;
mod mss;
pub(crate) mod protocol;
pub(crate) mod raw_tcp;
pub(crate) mod response;
pub(crate) mod send_buffer;
pub(crate) mod socket;
pub(crate) mod tcp_info;
