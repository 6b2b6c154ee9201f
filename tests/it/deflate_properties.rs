//! Properties of deflate, inflate and the negotiation, on random bytes.

use proptest::prelude::*;
use ws_echo::protocol::deflate::deflate;
use ws_echo::protocol::inflate::{InflateError, inflate};
use ws_echo::protocol::negotiation::negotiate;

proptest! {
    #[test]
    fn inflate_restores_what_deflate_compressed(
        message in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3000),
            any::<String>().prop_map(|text| text.repeat(50).into_bytes()),
        ],
        level in 0..=9_u32,
        window_bits in 9..=15_u8,
    ) {
        let payload = deflate(&message, level, window_bits).unwrap();
        let back = inflate(&payload, message.len());
        prop_assert!(back.as_ref() == Ok(&message));
        if !message.is_empty() {
            prop_assert_eq!(inflate(&payload, message.len() - 1), Err(InflateError::TooLarge));
        }
    }

    #[test]
    fn inflate_of_random_bytes_stays_within_the_limit(
        noise in prop::collection::vec(any::<u8>(), 0..600),
        message in prop::collection::vec(0..4_u8, 0..600),
        (kind, at, flip) in (0..3_u8, any::<u16>(), 1..=255_u8),
        max in 0..2000_usize,
    ) {
        let whole = deflate(&message, 6, 15).unwrap();
        let payload = match kind {
            0 => noise,
            // One byte is wrong: this gets further than noise does.
            1 => {
                let mut damaged = whole.clone();
                damaged[usize::from(at) % whole.len()] ^= flip;
                damaged
            }
            _ => whole,
        };
        let result = inflate(&payload, max);
        if kind == 2 {
            let expected = if message.len() <= max { Ok(message) } else { Err(InflateError::TooLarge) };
            prop_assert_eq!(&result, &expected);
        }
        if let Ok(inflated) = result {
            prop_assert!(inflated.len() <= max);
            prop_assert!(inflated.capacity() <= max + 1);
        }
    }

    #[test]
    fn negotiation_of_random_headers_never_panics(
        lines in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "(permessage-deflate|[ ;,=\"\\\\a-z0-9]|server_max_window_bits|client_no_context_takeover){0,12}"
                .prop_map(String::into_bytes),
        ], 0..4),
    ) {
        if let Ok(Some(negotiated)) = negotiate(lines.iter().map(Vec::as_slice)) {
            prop_assert!((9..=15).contains(&negotiated.server_max_window_bits()));
            prop_assert!(negotiated.to_string().starts_with("permessage-deflate; server_no_context_takeover"));
        }
    }
}

/// 64 KiB that inflate to 64 MiB.
#[test]
fn inflate_of_a_zip_bomb_stops_at_the_limit() {
    const LIMIT: usize = 1 << 20;
    // Parts that were compressed separately, joined at the end of a flush.
    let mut part = deflate(&vec![0; 1 << 20], 9, 15).unwrap();
    part.extend([0x00, 0x00, 0xff, 0xff]);
    let bomb = part.repeat(64);
    assert!(bomb.len() < 70_000, "{} bytes", bomb.len());
    assert_eq!(inflate(&bomb, LIMIT), Err(InflateError::TooLarge));
}
