//! Random bytes of a client in a session: mostly valid, sometimes nearly valid.

use crate::harness::masked_with;
use std::sync::LazyLock;

use crate::deflate_client::{TAIL, deflated_at};
use crate::random::Random;

/// The largest message, in bytes, of the servers that are tested.
pub const MAX_MESSAGE: usize = 64 << 10;

/// Returns the bytes of a session behind the handshake.
pub fn session(random: &mut Random, deflate: bool) -> Vec<u8> {
    let mut wire = Vec::new();
    for _ in 0..random.below(12) {
        match random.below(20) {
            0..=11 => message(random, deflate, &mut wire),
            12..=14 => control(random, &mut wire),
            15 => close(random, &mut wire),
            16 => broken_frame(random, &mut wire),
            17 => broken_text(random, &mut wire),
            18 if random.chance(30) => broken_compression(random, &mut wire),
            19 if random.chance(30) => {
                let length = random.below(40);
                wire.extend(random.bytes(length));
            }
            _ => {}
        }
    }
    if random.chance(20) {
        random.mutate(&mut wire);
    }
    wire
}

/// Appends a frame with a random mask.
fn frame(random: &mut Random, first: u8, payload: &[u8], wire: &mut Vec<u8>) {
    let mask = if random.chance(10) { [0; 4] } else { [(); 4].map(|()| random.byte()) };
    wire.extend(masked_with(first, payload, mask));
}

/// Returns a payload size, often on one side of a boundary.
fn size(random: &mut Random) -> usize {
    match random.below(200) {
        0..=19 => 0,
        20..=159 => random.below(130),
        160..=189 => random.pick(&[125, 126, 127, 255, 256, 511, 512, 513, 2047, 2048, 2049]),
        190..=196 => random.below(6000),
        197 => random.pick(&[16_383, 16_384, 32_768, 65_535, 65_536, 65_537]),
        198 => random.below(MAX_MESSAGE),
        _ => MAX_MESSAGE - 2 + random.below(5),
    }
}

fn text_of(random: &mut Random, size: usize) -> String {
    let alphabet =
        random.pick(&[&['a'][..], &['x', 'é', '€', '\u{10348}'], &['\0', '"', '\u{7ff}', '\u{ffff}']]);
    let mut text = String::with_capacity(size);
    loop {
        let next = random.pick(alphabet);
        if text.len() + next.len_utf8() > size {
            return text;
        }
        text.push(next);
        // Long texts grow by doubling.
        if text.len() > 1000 && text.len() * 2 < size {
            text.extend_from_within(..);
        }
    }
}

/// Appends a data message, sometimes in fragments with control frames between them.
fn message(random: &mut Random, deflate: bool, wire: &mut Vec<u8>) {
    let (is_text, size) = (random.chance(60), size(random));
    let mut payload = if is_text { text_of(random, size).into_bytes() } else { random.bytes(size) };
    let mut first = if is_text { 0x01 } else { 0x02 };
    if deflate && random.chance(25) {
        let level = random.pick(&[0, 1, 6, 9]);
        payload = deflated_at(level, payload);
        first |= 0x40;
    }
    let mut rest = &payload[..];
    while random.chance(35) {
        let (fragment, after) = rest.split_at(random.below(rest.len() + 1));
        frame(random, first, fragment, wire);
        (first, rest) = (0x00, after);
        if random.chance(30) {
            control(random, wire);
        }
    }
    frame(random, 0x80 | first, rest, wire);
}

fn control(random: &mut Random, wire: &mut Vec<u8>) {
    let length = random.pick(&[0, 1, 4, 124, 125]);
    let (first, payload) = (random.pick(&[0x89, 0x89, 0x8a]), random.bytes(length));
    frame(random, first, &payload, wire);
}

fn close(random: &mut Random, wire: &mut Vec<u8>) {
    let code =
        random.pick(&[1000, 1001, 1003, 1007, 1011, 3000, 4999, 0, 999, 1005, 1006, 1015, 1016, 2999, 5000]);
    let mut payload = u16::to_be_bytes(code).to_vec();
    match random.below(5) {
        0 => payload.clear(),
        1 => payload.truncate(1),
        2 => payload.extend(text_of(random, 123).into_bytes()),
        3 => payload.push(0xff),
        _ => {}
    }
    frame(random, 0x88, &payload, wire);
}

/// Appends a frame with a damaged header.
fn broken_frame(random: &mut Random, wire: &mut Vec<u8>) {
    let (at, length) = (wire.len(), random.below(200));
    let (first, payload) = (random.pick(&[0x81, 0x82, 0x01, 0x80, 0x89]), random.bytes(length));
    frame(random, first, &payload, wire);
    match random.below(6) {
        0 => wire[at] = random.byte(),
        1 => wire[at + 1] = random.byte(),
        2 => wire[at] ^= random.pick(&[0x40, 0x20, 0x10]),
        // A length that is encoded in too many bytes, or that is too large.
        3 => drop(wire.splice(at + 1..at + 2, [0xfe, 0, 5])),
        4 => drop(wire.splice(at + 1..at + 2, [0xff, 0, 0, 0, 0, 0, 0, 1, 0])),
        _ => drop(wire.splice(at + 1..at + 2, [0xff, random.pick(&[0, 0x7f, 0x80]), 0, 0, 1, 0, 0, 0, 0])),
    }
}

/// Appends a text with invalid UTF-8 at some position.
fn broken_text(random: &mut Random, wire: &mut Vec<u8>) {
    let size = size(random).min(MAX_MESSAGE - 8);
    let mut payload = text_of(random, size).into_bytes();
    let at = random.below(payload.len() + 1);
    let wrong = random.pick(&[
        &[0xff][..],
        &[0xc0, 0x80],
        &[0xed, 0xa0, 0x80],
        &[0xe2, 0x82],
        &[0xf4, 0x90],
        &[0x80],
    ]);
    drop(payload.splice(at..at, wrong.iter().copied()));
    let (start, end) = payload.split_at(random.below(payload.len() + 1));
    if random.chance(50) {
        frame(random, 0x01, start, wire);
        frame(random, 0x80, end, wire);
    } else {
        frame(random, 0x81, &payload, wire);
    }
}

/// Appends a compressed message that is incomplete, invalid, or far larger when inflated.
fn broken_compression(random: &mut Random, wire: &mut Vec<u8>) {
    let mut payload = match random.below(3) {
        0 => random.bytes(50),
        1 => deflated_at(6, text_of(random, 300)),
        _ => {
            static MEBIBYTE: LazyLock<Vec<u8>> = LazyLock::new(|| deflated_at(9, vec![0; 1 << 20]));
            [&MEBIBYTE[..], &TAIL].concat().repeat(1 + random.below(60))
        }
    };
    if random.chance(50) {
        random.mutate(&mut payload);
    }
    let first = random.pick(&[0xc1, 0xc2]);
    frame(random, first, &payload, wire);
}
