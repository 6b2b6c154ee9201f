//! The kind of a message.

/// Whether a message is text or binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8, opcode 1.
    Text,
    /// Any bytes, opcode 2.
    Binary,
}
