//! What a client may say in a session: mostly right, sometimes nearly so.

use crate::harness::masked_with;
use std::sync::LazyLock;

use super::dice::Dice;
use crate::compression::{TAIL, deflated_at};

/// The largest message, in bytes, of the servers that are tested.
pub const MAX_MESSAGE: usize = 64 << 10;

/// The bytes of a session, from behind the handshake to wherever the client stops.
pub fn session(dice: &mut Dice, deflate: bool) -> Vec<u8> {
    let mut wire = Vec::new();
    for _ in 0..dice.below(12) {
        match dice.below(20) {
            0..=11 => message(dice, deflate, &mut wire),
            12..=14 => control(dice, &mut wire),
            15 => close(dice, &mut wire),
            16 => broken_frame(dice, &mut wire),
            17 => broken_text(dice, &mut wire),
            18 if dice.chance(30) => broken_compression(dice, &mut wire),
            19 if dice.chance(30) => {
                let length = dice.below(40);
                wire.extend(dice.bytes(length));
            }
            _ => {}
        }
    }
    if dice.chance(20) {
        dice.mutate(&mut wire);
    }
    wire
}

/// A frame of a client, with a mask of its own.
fn frame(dice: &mut Dice, first: u8, payload: &[u8], wire: &mut Vec<u8>) {
    let mask = if dice.chance(10) { [0; 4] } else { [(); 4].map(|()| dice.byte()) };
    wire.extend(masked_with(first, payload, mask));
}

/// Sizes on both sides of every boundary that anything here has.
fn size(dice: &mut Dice) -> usize {
    match dice.below(200) {
        0..=19 => 0,
        20..=159 => dice.below(130),
        160..=189 => dice.pick(&[125, 126, 127, 255, 256, 511, 512, 513, 2047, 2048, 2049]),
        190..=196 => dice.below(6000),
        197 => dice.pick(&[16_383, 16_384, 32_768, 65_535, 65_536, 65_537]),
        198 => dice.below(MAX_MESSAGE),
        _ => MAX_MESSAGE - 2 + dice.below(5),
    }
}

fn text_of(dice: &mut Dice, size: usize) -> String {
    let alphabet =
        dice.pick(&[&['a'][..], &['x', 'é', '€', '\u{10348}'], &['\0', '"', '\u{7ff}', '\u{ffff}']]);
    let mut text = String::with_capacity(size);
    loop {
        let next = dice.pick(alphabet);
        if text.len() + next.len_utf8() > size {
            return text;
        }
        text.push(next);
        // Long texts grow by doubling: what they are made of has been thrown by then.
        if text.len() > 1000 && text.len() * 2 < size {
            text.extend_from_within(..);
        }
    }
}

/// A whole data message, sometimes in fragments with control frames between them.
fn message(dice: &mut Dice, deflate: bool, wire: &mut Vec<u8>) {
    let (is_text, size) = (dice.chance(60), size(dice));
    let mut payload = if is_text { text_of(dice, size).into_bytes() } else { dice.bytes(size) };
    let mut first = if is_text { 0x01 } else { 0x02 };
    if deflate && dice.chance(25) {
        let level = dice.pick(&[0, 1, 6, 9]);
        payload = deflated_at(level, payload);
        first |= 0x40;
    }
    let mut rest = &payload[..];
    while dice.chance(35) {
        let (fragment, after) = rest.split_at(dice.below(rest.len() + 1));
        frame(dice, first, fragment, wire);
        (first, rest) = (0x00, after);
        if dice.chance(30) {
            control(dice, wire);
        }
    }
    frame(dice, 0x80 | first, rest, wire);
}

fn control(dice: &mut Dice, wire: &mut Vec<u8>) {
    let length = dice.pick(&[0, 1, 4, 124, 125]);
    let (first, payload) = (dice.pick(&[0x89, 0x89, 0x8a]), dice.bytes(length));
    frame(dice, first, &payload, wire);
}

fn close(dice: &mut Dice, wire: &mut Vec<u8>) {
    let code =
        dice.pick(&[1000, 1001, 1003, 1007, 1011, 3000, 4999, 0, 999, 1005, 1006, 1015, 1016, 2999, 5000]);
    let mut payload = u16::to_be_bytes(code).to_vec();
    match dice.below(5) {
        0 => payload.clear(),
        1 => payload.truncate(1),
        2 => payload.extend(text_of(dice, 123).into_bytes()),
        3 => payload.push(0xff),
        _ => {}
    }
    frame(dice, 0x88, &payload, wire);
}

/// A frame whose first bytes anything may stand in.
fn broken_frame(dice: &mut Dice, wire: &mut Vec<u8>) {
    let (at, length) = (wire.len(), dice.below(200));
    let (first, payload) = (dice.pick(&[0x81, 0x82, 0x01, 0x80, 0x89]), dice.bytes(length));
    frame(dice, first, &payload, wire);
    match dice.below(6) {
        0 => wire[at] = dice.byte(),
        1 => wire[at + 1] = dice.byte(),
        2 => wire[at] ^= dice.pick(&[0x40, 0x20, 0x10]),
        // Longer than is needed, or than anything may be.
        3 => drop(wire.splice(at + 1..at + 2, [0xfe, 0, 5])),
        4 => drop(wire.splice(at + 1..at + 2, [0xff, 0, 0, 0, 0, 0, 0, 1, 0])),
        _ => drop(wire.splice(at + 1..at + 2, [0xff, dice.pick(&[0, 0x7f, 0x80]), 0, 0, 1, 0, 0, 0, 0])),
    }
}

/// Text that is not UTF-8, somewhere.
fn broken_text(dice: &mut Dice, wire: &mut Vec<u8>) {
    let size = size(dice).min(MAX_MESSAGE - 8);
    let mut payload = text_of(dice, size).into_bytes();
    let at = dice.below(payload.len() + 1);
    let wrong =
        dice.pick(&[&[0xff][..], &[0xc0, 0x80], &[0xed, 0xa0, 0x80], &[0xe2, 0x82], &[0xf4, 0x90], &[0x80]]);
    drop(payload.splice(at..at, wrong.iter().copied()));
    let (start, end) = payload.split_at(dice.below(payload.len() + 1));
    if dice.chance(50) {
        frame(dice, 0x01, start, wire);
        frame(dice, 0x80, end, wire);
    } else {
        frame(dice, 0x81, &payload, wire);
    }
}

/// A compressed message that breaks off, makes no sense, or is far larger than it looks.
fn broken_compression(dice: &mut Dice, wire: &mut Vec<u8>) {
    let mut payload = match dice.below(3) {
        0 => dice.bytes(50),
        1 => deflated_at(6, text_of(dice, 300)),
        _ => {
            static MEBIBYTE: LazyLock<Vec<u8>> = LazyLock::new(|| deflated_at(9, vec![0; 1 << 20]));
            [&MEBIBYTE[..], &TAIL].concat().repeat(1 + dice.below(60))
        }
    };
    if dice.chance(50) {
        dice.mutate(&mut payload);
    }
    let first = dice.pick(&[0xc1, 0xc2]);
    frame(dice, first, &payload, wire);
}
