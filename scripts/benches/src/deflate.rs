//! Time that deflate and inflate take for a JSON message.

use std::hint::black_box;
use std::time::Instant;

use ws_echo::protocol::deflate::deflate;
use ws_echo::protocol::inflate::inflate;

/// Sizes of the messages in bytes, and how often each is compressed.
const SIZES: [(usize, u32); 2] = [(1 << 10, 20_000), (1 << 17, 200)];

/// Compression levels.
const LEVELS: [u32; 2] = [1, 6];

/// The largest window (RFC 7692, 7.1.2).
const WINDOW_BITS: u8 = 15;

/// Prints the compressed size and the times for a message.
pub(crate) fn run() {
    for (size, rounds) in SIZES {
        let items: Vec<String> = (0..size / 40)
            .map(|n| {
                let (sensor, value) = (n * 7 % 13, n * 37 % 1009);
                format!("{{\"id\":{n},\"name\":\"sensor-{sensor}\",\"value\":{value}.5}},")
            })
            .collect();
        let message = items.concat();
        for level in LEVELS {
            let compress = || deflate(message.as_bytes(), level, WINDOW_BITS).unwrap_or_default();
            let payload = compress();
            assert_eq!(inflate(&payload, message.len()).as_deref(), Ok(message.as_bytes()));
            let start = Instant::now();
            for _ in 0..rounds {
                black_box(compress());
            }
            let deflating = start.elapsed() / rounds;
            let start = Instant::now();
            for _ in 0..rounds {
                assert!(black_box(inflate(&payload, message.len())).is_ok());
            }
            let inflating = start.elapsed() / rounds;
            let (length, small) = (message.len(), payload.len());
            println!(
                "level {level}: {length} to {small} bytes, deflate {deflating:?}, inflate {inflating:?}"
            );
        }
    }
}
