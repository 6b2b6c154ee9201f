//! A reference reader: the rules of RFC 6455 and RFC 7692 for the bytes of a client, written a second time, simple and
//! slow, with all bytes in memory.

use ws_echo::protocol::inflate::{InflateError, inflate};

use super::wire::MAX_MESSAGE;
use crate::harness::Frame;

/// How the client's bytes end.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Between two frames, or inside one.
    Open,
    /// With a Close, whose payload must be echoed.
    Closed(Vec<u8>),
    /// With an error for one of these close codes.
    Failed(Vec<u16>),
}

/// Everything that needs a reply.
#[derive(Debug)]
pub struct Reading {
    /// The complete messages, inflated. Their first byte shows whether they were compressed.
    pub messages: Vec<Frame>,
    pub pings: Vec<Vec<u8>>,
    pub end: End,
}

/// A data message that is not complete.
struct Partial {
    first: u8,
    payload: Vec<u8>,
}

/// Reads a client's bytes.
pub fn read(wire: &[u8], deflate: bool) -> Reading {
    let mut reading = Reading { messages: Vec::new(), pings: Vec::new(), end: End::Open };
    if let Err(end) = reading.read_frames(wire, deflate) {
        reading.end = end;
    }
    reading
}

fn fail<T>(code: u16) -> Result<T, End> {
    Err(End::Failed(vec![code]))
}

impl Reading {
    fn read_frames(&mut self, mut wire: &[u8], deflate: bool) -> Result<(), End> {
        let mut open: Option<Partial> = None;
        while let [first, after @ ..] = wire {
            check_first(*first, open.is_some(), deflate)?;
            let (length, mask, after) = header(*first, after)?;
            if *first & 0x08 == 0 && length > MAX_MESSAGE as u64 {
                return fail(1009);
            }
            let here = usize::try_from(length).unwrap_or(usize::MAX).min(after.len());
            let payload: Vec<u8> =
                after[..here].iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            let whole = here as u64 == length;
            wire = &after[here..];
            if *first & 0x08 != 0 {
                self.control(*first, payload, whole)?;
                continue;
            }
            let message = open.get_or_insert(Partial { first: *first, payload: Vec::new() });
            message.payload.extend(payload);
            message.check_so_far(whole)?;
            if whole && first & 0x80 != 0 {
                let message = open.take().unwrap();
                self.messages.push(message.finish()?);
            }
        }
        Ok(())
    }

    fn control(&mut self, first: u8, payload: Vec<u8>, whole: bool) -> Result<(), End> {
        match (first & 0x0f, &payload[..]) {
            // The code is checked before the rest of the frame has come.
            (0x8, [high, low, ..]) if !may_be_sent(u16::from_be_bytes([*high, *low])) => return fail(1002),
            _ if !whole => {}
            (0x9, _) => self.pings.push(payload),
            (0x8, [_]) => return fail(1002),
            (0x8, [_, _, reason @ ..]) if str::from_utf8(reason).is_err() => return fail(1007),
            (0x8, _) => return Err(End::Closed(payload)),
            _ => {}
        }
        Ok(())
    }
}

/// Returns whether a Close may have this code (RFC 6455, 7.4, and the registry of close codes).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Checks the rules of the first byte (RFC 6455, 5.2, 5.4 and 5.5; RFC 7692, 6).
fn check_first(first: u8, open: bool, deflate: bool) -> Result<(), End> {
    let (fin, rsv, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0f);
    let starts = matches!(opcode, 0x1 | 0x2);
    let rsv_fits = rsv == 0 || rsv == 0x40 && deflate && starts;
    let fits = match opcode {
        0x0 => open,
        0x1 | 0x2 => !open,
        0x8..=0xa => fin,
        _ => false,
    };
    if rsv_fits && fits { Ok(()) } else { fail(1002) }
}

/// Returns the rest of the header: length, mask, and the bytes behind it. An incomplete header ends the reading.
fn header(first: u8, bytes: &[u8]) -> Result<(u64, [u8; 4], &[u8]), End> {
    let [second, bytes @ ..] = bytes else { return Err(End::Open) };
    let short = second & 0x7f;
    if second & 0x80 == 0 || first & 0x08 != 0 && short > 125 {
        return fail(1002);
    }
    let size = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some((extended, bytes)) = bytes.split_at_checked(size) else { return Err(End::Open) };
    let Some((mask, bytes)) = bytes.split_first_chunk::<4>() else { return Err(End::Open) };
    let length = extended.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
    match size {
        0 => Ok((u64::from(short), *mask, bytes)),
        2 if length > 125 => Ok((length, *mask, bytes)),
        8 if length > 0xffff && length >> 63 == 0 => Ok((length, *mask, bytes)),
        _ => fail(1002),
    }
}

impl Partial {
    fn is_compressed(&self) -> bool {
        self.first & 0x40 != 0
    }

    fn is_text(&self) -> bool {
        self.first & 0x0f == 0x1
    }

    /// Checks what can be checked before the message is complete. `whole` is true if its last frame is complete.
    fn check_so_far(&self, whole: bool) -> Result<(), End> {
        let checked = self.is_text() && !self.is_compressed();
        let invalid =
            checked && str::from_utf8(&self.payload).is_err_and(|error| error.error_len().is_some());
        // The size is checked when a frame is complete. Which error comes first depends on how the bytes arrive.
        match (invalid, whole && self.payload.len() > MAX_MESSAGE) {
            (true, true) => Err(End::Failed(vec![1007, 1009])),
            (true, false) => fail(1007),
            (false, true) => fail(1009),
            (false, false) => Ok(()),
        }
    }

    fn finish(self) -> Result<Frame, End> {
        let (is_text, is_compressed, first) = (self.is_text(), self.is_compressed(), self.first | 0x80);
        let payload = if is_compressed {
            inflate(&self.payload, MAX_MESSAGE).map_err(|error| {
                End::Failed(vec![if error == InflateError::TooLarge { 1009 } else { 1007 }])
            })?
        } else {
            self.payload
        };
        if is_text && str::from_utf8(&payload).is_err() { fail(1007) } else { Ok(Frame { first, payload }) }
    }
}
