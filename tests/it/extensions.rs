//! Properties of the codecs and of the negotiation, on bytes nobody chose.

use std::time::Instant;

use proptest::prelude::*;
use ws_echo::protocol::deflate::deflate;
use ws_echo::protocol::inflate::{InflateError, inflate};
use ws_echo::protocol::negotiation::negotiate;

proptest! {
    #[test]
    fn messages_come_back_from_deflate_and_inflate(
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
    fn any_bytes_inflate_to_an_end_within_the_limit(
        mut payload in prop::collection::vec(any::<u8>(), 0..600),
        message in prop::collection::vec(0..4_u8, 0..600),
        flip in any::<(u16, u8)>(),
        max in 0..2000_usize,
    ) {
        // Half of the time a real stream with one byte broken, which gets further than noise does.
        if flip.1 & 1 == 0 {
            payload = deflate(&message, 6, 15).unwrap();
            let at = usize::from(flip.0) % payload.len();
            payload[at] ^= flip.1;
        }
        if let Ok(inflated) = inflate(&payload, max) {
            prop_assert!(inflated.len() <= max);
            prop_assert!(inflated.capacity() <= max + 1);
        }
    }

    #[test]
    fn any_extension_header_is_negotiated_without_panic(
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

/// 64 KiB that would become 64 MiB: refused for the price of the limit.
#[test]
fn a_zip_bomb_stops_at_the_limit() {
    const LIMIT: usize = 1 << 20;
    // Each part compressed by itself, and joined where the sender's flush left them.
    let mut part = deflate(&vec![0; 1 << 20], 9, 15).unwrap();
    part.extend([0x00, 0x00, 0xff, 0xff]);
    let bomb = part.repeat(64);
    assert!(bomb.len() < 70_000, "{} bytes", bomb.len());
    assert_eq!(inflate(&bomb, LIMIT), Err(InflateError::TooLarge));
}

/// `cargo test --release --test it codec_cost -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn codec_cost_of_json_messages() {
    for (size, rounds) in [(1 << 10, 20_000), (1 << 17, 200)] {
        let message: String = (0..size / 40)
            .map(|n| {
                format!("{{\"id\":{n},\"name\":\"sensor-{}\",\"value\":{}.5}},", n * 7 % 13, n * 37 % 1009)
            })
            .collect();
        for level in [1, 6] {
            let payload = deflate(message.as_bytes(), level, 15).unwrap();
            let start = Instant::now();
            for _ in 0..rounds {
                assert!(deflate(message.as_bytes(), level, 15).is_some());
            }
            let deflating = start.elapsed() / rounds;
            let start = Instant::now();
            for _ in 0..rounds {
                assert!(inflate(&payload, 1 << 20).is_ok());
            }
            let inflating = start.elapsed() / rounds;
            let (length, small) = (message.len(), payload.len());
            println!(
                "level {level}: {length} to {small} bytes, deflate {deflating:?}, inflate {inflating:?}"
            );
        }
    }
}
