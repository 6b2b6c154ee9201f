//! permessage-deflate (RFC 7692) and strict frame checks in front of an unmodified tungstenite.
//!
//! tungstenite supports no extensions: it fails the connection on RSV1. It also checks the text of a frame
//! only when the frame is complete. The frame inspector therefore processes the bytes before tungstenite:
//!
//! ```text
//! socket ──► frame inspector ──────► tungstenite ──────► session ───────────────► handler
//!            checks each frame,      returns a plain     pops one MessageInfo
//!            clears RSV1 and sets    binary message      per data message and
//!            opcode 2 in byte 0                          inflates it if compressed
//!            of compressed messages
//!
//! socket ◄── frame writer ◄── frame with RSV1 ◄── deflate ◄── session ◄── handler
//! ```
//!
//! | file | purpose |
//! |---|---|
//! | `negotiation` | accepts an offer of permessage-deflate and formats the response |
//! | `offer`, `token` | parse the `Sec-WebSocket-Extensions` field |
//! | `frame_inspector` | checks frames, rewrites byte 0 |
//! | `frame_splitter` | presents a large frame to tungstenite as fragments |
//! | `frame_header` | parses one frame header byte by byte and checks it |
//! | `close_code` | which codes a Close frame may carry |
//! | `message_info` | queues the kind and compression of each data message |
//! | `utf8` | checks text while it is received |
//! | `violation` | protocol violations and their close codes |
//! | `deflate`, `inflate` | compress and inflate one message with shared zlib streams |

pub(crate) mod close_code;
pub mod deflate;
mod frame_header;
pub mod frame_inspector;
#[cfg(test)]
mod frame_inspector_tests;
pub(crate) mod frame_splitter;
pub mod inflate;
pub mod message_info;
pub mod negotiation;
mod offer;
pub(crate) mod opcode;
pub(crate) mod token;
mod utf8;
pub mod violation;
