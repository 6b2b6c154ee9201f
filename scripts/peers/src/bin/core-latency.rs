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
const BATCH: u32 = 20;
/// Length of the measurement. The result is the median of the batches.
const DURATION: Duration = Duration::from_millis(20);
/// A longer round trip means that both threads ran on one processor. Such a batch does not count.
const LONGEST: Duration = Duration::from_micros(2);
/// Longest time to wait for a batch that counts.
const TIMEOUT: Duration = Duration::from_millis(500);

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
    let mut batches = Vec::new();
    let began = Instant::now();
    while began.elapsed() < DURATION || (batches.is_empty() && began.elapsed() < TIMEOUT) {
        let time = round_trip();
        if time <= LONGEST {
            batches.push(time);
        }
    }
    batches.sort_unstable();
    STOP.0.store(true, Release);
    let _ = responder.join();
    let median = batches.get(batches.len() / 2).unwrap_or(&LONGEST);
    println!("{}", median.as_nanos());
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
