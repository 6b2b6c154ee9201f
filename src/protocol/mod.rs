//! permessage-deflate (RFC 7692) and strict reading of frames, beside an unmodified tungstenite.
//!
//! tungstenite knows no extension: it fails a connection on the first RSV1 bit, and it looks at the text of
//! a frame only when the frame is complete. So the bytes are looked at on their way in:
//!
//! ```text
//! socket ──► Tap ──────────────► tungstenite ──► session ─────────────────► behaviour
//!            follows the frames,  sees a plain    pops one Arrival a data
//!            clears RSV1 and      binary message  message; inflates the
//!            turns text to binary                 compressed ones
//!            in byte 0
//!
//! socket ◄── outbox ◄── tungstenite ◄── frame with RSV1 set ◄── deflate ◄── behaviour
//! ```
//!
//! | file | purpose |
//! |---|---|
//! | `negotiation`, `offer` | which offer of the request is accepted, and how offers are read |
//! | `inspector` | follows the frames, rewrites byte 0, finds what breaks a rule |
//! | `frame` | one frame header, byte by byte, and the rules for it |
//! | `messages` | what each data message was before byte 0 was rewritten |
//! | `utf8` | text checked while it is still coming in |
//! | `inflate`, `deflate` | one message in, one message out, with codecs that the sessions share |

pub mod deflate;
mod frame_header;
pub mod frame_inspector;
pub mod inflate;
pub mod message_info;
pub mod negotiation;
mod offer;
pub(crate) mod opcode;
pub(crate) mod token;
mod utf8;
pub mod violation;
