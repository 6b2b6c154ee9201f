//! Where a write ends while more follows.
//!
//! TCP sends all that it has when a write ends, so the bytes behind the last whole segment go out in one of their own. It
//! costs as much as a full one: on the loopback, where a segment carries 65,483 bytes, a message of 64 KiB is a full one and
//! one of 63. So while more follows, these bytes wait for it. `MSG_MORE` would let the kernel hold them, which sends them
//! by a timer where the connection is paced, as with BBR: a third of a timer a message, and a tenth fewer messages.

use std::os::fd::AsFd;

use socket2::SockRef;

/// The most bytes that wait: they are copied, which should cost less than what it saves.
const MAX_DEFERRED: usize = 2 << 10;

/// How many of the last bytes of a write of `length` should wait for what follows; 0 if there are too many.
///
/// The kernel is asked each time. It begins with small segments, and one byte too few a write would spoil it all.
pub fn mss_remainder(socket: &impl AsFd, length: usize) -> usize {
    let segment = SockRef::from(socket).tcp_mss().ok().and_then(|size| usize::try_from(size).ok());
    let over = segment.and_then(|segment| length.checked_rem(segment)).unwrap_or(0);
    if over <= MAX_DEFERRED { over } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_few_bytes_behind_whole_segments_wait() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let segment = usize::try_from(SockRef::from(&socket).tcp_mss().unwrap()).unwrap();
        for (length, expected) in [
            (0, 0),
            (segment, 0),
            (segment + 1, 1),
            (3 * segment + 63, 63),
            (2 * segment + MAX_DEFERRED, MAX_DEFERRED),
            (2 * segment + MAX_DEFERRED + 1, 0),
            (2 * segment - 1, 0),
        ] {
            assert_eq!(mss_remainder(&socket, length), expected, "{length} bytes in segments of {segment}");
        }
    }
}
