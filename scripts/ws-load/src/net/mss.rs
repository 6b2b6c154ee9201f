//! Where a write ends if more data follows.
//!
//! When a write ends, TCP sends the bytes after the last full segment in a segment of their own, which costs
//! as much as a full one. So if more data follows, these bytes are kept and sent with it. `MSG_MORE` is not
//! used: on a paced connection (BBR) the kernel holds the bytes until a timer expires; see scripts/TUNING.md.

use std::os::fd::AsFd;

use socket2::SockRef;

/// Most bytes that are kept for the next write. They are copied, and a copy must cost less than the segment
/// it saves.
const MAX_DEFERRED: usize = 2 << 10;

/// Returns how many of the last bytes of a write of `length` bytes to keep for the next write: those after
/// the last full segment. Returns 0 if there are more than 2 KiB of them, or if `socket` has no segment size.
///
/// Reads the segment size from the kernel on each call (`TCP_MAXSEG`, tcp(7)), because it grows during a
/// connection.
pub(super) fn mss_remainder(socket: &impl AsFd, length: usize) -> usize {
    let segment = SockRef::from(socket).tcp_mss().ok().and_then(|size| usize::try_from(size).ok());
    let remainder = segment.and_then(|segment| length.checked_rem(segment)).unwrap_or(0);
    if remainder <= MAX_DEFERRED { remainder } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn mss_remainder_is_at_most_two_kibibytes_after_full_segments() {
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
