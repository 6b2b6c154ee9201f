//! Time that the frame inspector takes for a message of plain text.

use std::time::Instant;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use ws_echo::protocol::frame_inspector::FrameInspector;

/// How often the messages are inspected.
const ROUNDS: u32 = 50;

/// Total size of the messages, in bytes.
const TOTAL: usize = 1 << 18;

/// Size of a read that has many messages in it, in bytes.
const LARGE_READ: usize = 8192;

/// Prints nanoseconds a message, for messages of several sizes and alphabets.
pub(crate) fn run() {
    let texts =
        [("ASCII", 20, "x"), ("ASCII", 1 << 10, "x"), ("ASCII", 1 << 20, "x"), ("Greek", 1 << 20, "λ")];
    for (name, size, character) in texts {
        let mut bytes = Vec::new();
        let mut messages = 0_u32;
        while bytes.len() < TOTAL {
            append_text(&mut bytes, &character.repeat(size / character.len()));
            messages += 1;
        }
        for read in [bytes.len() / messages as usize, LARGE_READ] {
            let mut inspector = FrameInspector::new(true);
            let start = Instant::now();
            for _ in 0..ROUNDS {
                for piece in bytes.chunks_mut(read) {
                    assert_eq!(inspector.scan(piece), piece.len(), "the frames are valid");
                }
                while inspector.next_message_info().is_some() {}
            }
            let cost = start.elapsed().as_secs_f64() * 1e9 / f64::from(messages * ROUNDS);
            println!("{size} bytes of {name}, in reads of {read}: {cost:.1} ns a message");
        }
    }
}

/// Appends a text message as a client sends it.
fn append_text(bytes: &mut Vec<u8>, text: &str) {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let opcode = OpCode::Data(Data::Text);
    let header = FrameHeader { is_final: true, opcode, mask: Some(MASK), ..FrameHeader::default() };
    // A vector takes all bytes.
    let _ = header.format(text.len() as u64, bytes);
    bytes.extend(text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}
