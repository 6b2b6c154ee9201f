//! Opcodes of frames (RFC 6455, 5.2 and 11.8).

/// The bits of a frame's first byte that hold the opcode.
pub(super) const OPCODE: u8 = 0x0f;

pub(super) const CONTINUATION: u8 = 0x0;
pub(super) const TEXT: u8 = 0x1;
pub(super) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// Returns the opcode of the frame that `bytes` begin with, or `None` if `bytes` is empty.
pub(crate) fn first_opcode(bytes: &[u8]) -> Option<u8> {
    bytes.first().map(|byte| byte & OPCODE)
}
