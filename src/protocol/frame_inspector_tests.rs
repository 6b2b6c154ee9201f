//! Tests of the frame inspector.

use super::frame_inspector::FrameInspector;
use super::message_info::MessageInfo;
use super::violation::Violation;

const DEFLATE: bool = true;

#[test]
fn frame_inspector_finds_each_violation_at_its_byte() {
    let hello = &[0x81, 0x81, 0, 0, 0, 0, b'h'][..];
    let open = &[0x01, 0x81, 0, 0, 0, 0, b'h'][..];
    for (before, wrong, offset, violation) in [
        (hello, &[0xa1, 0x80][..], 0, Violation::ReservedBits),
        (hello, &[0xd2, 0x80], 0, Violation::ReservedBits),
        (hello, &[0xc9, 0x80], 0, Violation::ReservedBits),
        (open, &[0xc0, 0x80], 0, Violation::ReservedBits),
        (hello, &[0x83, 0x80], 0, Violation::ReservedOpcode),
        (hello, &[0x8b, 0x80], 0, Violation::ReservedOpcode),
        (hello, &[0x80, 0x80], 0, Violation::UnexpectedContinuation),
        (open, &[0x81, 0x80, 0, 0, 0, 0], 0, Violation::ExpectedContinuation),
        (open, &[0xc2, 0x80], 0, Violation::ExpectedContinuation),
        (open, &[0x08, 0x80], 0, Violation::FragmentedControl),
        (hello, &[0x89, 0xfe], 1, Violation::ControlTooLong),
        (hello, &[0x88, 0x82, 1, 1, 0, 0, 2, 0xec], 7, Violation::ForbiddenCloseCode(1005)),
        (hello, &[0x82, 0x00], 1, Violation::Unmasked),
        (hello, &[0x82, 0xfe, 0, 1, 0, 0, 0, 0], 7, Violation::LengthNotMinimal),
        (open, &[0x80, 0x82, 0, 0, 0, 0, 0xff], 6, Violation::InvalidUtf8),
    ] {
        let mut bytes = [before, wrong].concat();
        let mut inspector = FrameInspector::new(DEFLATE);
        assert_eq!(inspector.scan(&mut bytes), before.len() + offset, "{wrong:02x?}");
        assert_eq!(inspector.violation(), Some(violation), "{wrong:02x?}");
        assert!(!inspector.between_messages());
    }
}

#[test]
fn frame_inspector_ignores_bytes_after_a_close_frame() {
    let mut bytes = [0x88, 0x80, 0, 0, 0, 0, 0xff, 0xff, 0xff];
    let mut inspector = FrameInspector::new(DEFLATE);
    assert_eq!(inspector.scan(&mut bytes), bytes.len());
    assert_eq!(inspector.violation(), None);
    assert!(!inspector.between_messages());
}

#[test]
fn frame_inspector_passes_close_code_1014_as_1013() {
    let [high, low] = 1014_u16.to_be_bytes();
    let mut bytes = [0x88, 0x83, 1, 2, 3, 4, high ^ 1, low ^ 2, b'x' ^ 3];
    let mut inspector = FrameInspector::new(DEFLATE);
    // Each byte in a scan of its own.
    assert!(bytes.chunks_mut(1).all(|byte| inspector.scan(byte) == 1));
    assert_eq!(inspector.close_code(), Some(1014));
    assert_eq!(u16::from_be_bytes([bytes[6] ^ 1, bytes[7] ^ 2]), 1013);
    assert_eq!(bytes[8], b'x' ^ 3);
}

#[test]
fn frame_inspector_numbers_what_is_unfinished() {
    let mut inspector = FrameInspector::new(DEFLATE);
    let mut after = |bytes: &[u8]| {
        inspector.scan(&mut bytes.to_vec());
        inspector.unfinished()
    };
    let ping = &[0x89, 0x80, 0, 0, 0, 0];
    assert_eq!(after(&[]), None);
    assert_eq!(after(&[0x02]), Some(0), "the header of a fragment");
    assert_eq!(after(&[0x81, 0, 0, 0, 0, b'a']), Some(0), "between two fragments");
    assert_eq!(after(ping), Some(0), "a Ping does not end the message");
    assert_eq!(after(&[0x80, 0x81, 0, 0, 0, 0]), Some(0));
    assert_eq!(after(b"b"), None);
    assert_eq!(after(&ping[..3]), Some(1), "the header of a Ping");
    assert_eq!(after(&[0, 0, 0, 0x82, 0x80, 0, 0, 0, 0, 0x82]), Some(3), "a Ping, a message, another");
    assert_eq!(after(&[0x80, 0, 0, 0, 0, 0x88, 0x80, 0, 0, 0, 0]), Some(4), "a Close is never finished");
}

#[test]
fn frame_inspector_is_between_messages_after_a_frame_whose_info_was_taken() {
    let mut inspector = FrameInspector::new(DEFLATE);
    let mut after = |bytes: &[u8], messages| {
        inspector.scan(&mut bytes.to_vec());
        (0..messages).for_each(|_| assert_eq!(inspector.next_message_info(), Some(MessageInfo::Plain)));
        inspector.between_messages()
    };
    assert!(after(&[], 0), "no byte received");
    assert!(!after(&[0x81, 0x81, 0, 0, 0, 0, b'a'], 0), "an info was not taken");
    assert!(after(&[], 1));
    assert!(!after(&[0x89], 0), "the header of a Ping is incomplete");
    assert!(after(&[0x80, 0, 0, 0, 0], 0));
    assert!(!after(&[0x89, 0x82, 0, 0, 0, 0, b'a'], 0), "the payload of a Ping is incomplete");
    assert!(after(b"b", 0));
    assert!(!after(&[0x01, 0x80, 0, 0, 0, 0], 1), "a message is open");
    assert!(after(&[0x80, 0x80, 0, 0, 0, 0], 0));
    assert!(!after(&[0x88, 0x80, 0, 0, 0, 0], 0), "a Close was received");
}
