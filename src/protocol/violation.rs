//! Protocol violations that the frame inspector and inflate find.

use std::{error, fmt};

use tungstenite::protocol::frame::coding::CloseCode;

/// A protocol violation by a client (RFC 6455; RFC 7692 for [`CorruptDeflate`](Self::CorruptDeflate)).
///
/// tungstenite detects most of them later, when the payload is complete, or reports 1009 instead if the
/// declared length exceeds the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// RSV1, RSV2 or RSV3 is set and no negotiated extension defines it (section 5.2).
    ReservedBits,
    /// The opcode is reserved (section 5.2).
    ReservedOpcode,
    /// A continuation frame without an open message (section 5.4).
    UnexpectedContinuation,
    /// A new message before the end of the open one (section 5.4).
    ExpectedContinuation,
    /// A Close, Ping or Pong without FIN (section 5.5).
    FragmentedControl,
    /// A Close, Ping or Pong of more than 125 bytes (section 5.5).
    ControlTooLong,
    /// A frame from a client without a mask (section 5.1).
    Unmasked,
    /// A payload length in more bytes than necessary (section 5.2).
    LengthNotMinimal,
    /// A payload length with its most significant bit set (section 5.2).
    LengthTooLarge,
    /// A Close frame with this code, which must not be sent (section 7.4).
    ForbiddenCloseCode(u16),
    /// A text message that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// A compressed message that does not inflate (RFC 7692, section 7.2.2).
    CorruptDeflate,
}

impl Violation {
    /// Returns the close code for the violation (section 7.4.1).
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::CorruptDeflate => CloseCode::Invalid,
            _ => CloseCode::Protocol,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBits => "reserved bit set without an extension that uses it",
            Self::ReservedOpcode => "reserved opcode",
            Self::UnexpectedContinuation => "continuation frame without a message to continue",
            Self::ExpectedContinuation => "new message before the last one ended",
            Self::FragmentedControl => "fragmented control frame",
            Self::ControlTooLong => "control frame of more than 125 bytes",
            Self::Unmasked => "frame without a mask",
            Self::LengthNotMinimal => "payload length in more bytes than needed",
            Self::LengthTooLarge => "payload length with its highest bit set",
            Self::ForbiddenCloseCode(code) => {
                return write!(f, "Close frame with code {code}, which must not be sent");
            }
            Self::InvalidUtf8 => "text that is not UTF-8",
            Self::CorruptDeflate => "compressed message that does not inflate",
        })
    }
}

/// The transport wraps it in `std::io::Error`; the session finds it by type.
impl error::Error for Violation {}
