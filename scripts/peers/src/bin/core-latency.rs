//! Prints the core-to-core latency of this machine: the time for a cache line to the other processor and
//! back, in ns.
//!
//! Usage: core-latency
//!
//! The host of a virtual machine moves its processors. While they share no cache, data between a client and a
//! server takes longer, and servers reach about two thirds of their rate.

use std::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release},
    thread,
    time::{Duration, Instant},
};

/// Round trips in a batch. A batch is timed as a whole.
const BATCH: u32 = 200;
/// Length of the measurement. The result is the median of the batches, because both threads may start on one
/// processor.
const DURATION: Duration = Duration::from_millis(20);

/// A flag in a cache line that holds nothing else.
#[repr(align(128))]
struct CacheLine(AtomicBool);

/// Set by the main thread, reset by the other one.
static FLAG: CacheLine = CacheLine(AtomicBool::new(false));
/// Ends the other thread.
static STOP: CacheLine = CacheLine(AtomicBool::new(false));

fn main() {
    let responder = thread::spawn(|| {
        while !STOP.0.load(Acquire) {
            if FLAG.0.load(Acquire) {
                FLAG.0.store(false, Release);
            }
            spin_loop();
        }
    });
    let mut batches = vec![round_trip()];
    let began = Instant::now();
    while began.elapsed() < DURATION {
        batches.push(round_trip());
    }
    batches.sort_unstable();
    STOP.0.store(true, Release);
    let _ = responder.join();
    println!("{}", batches[batches.len() / 2].as_nanos());
}

/// Returns the mean time of a round trip in one batch.
fn round_trip() -> Duration {
    let since = Instant::now();
    for _ in 0..BATCH {
        FLAG.0.store(true, Release);
        while FLAG.0.load(Acquire) {
            spin_loop();
        }
    }
    since.elapsed() / BATCH
}
