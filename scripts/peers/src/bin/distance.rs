//! How far apart this machine's processors are: the time, in ns, that a cache line takes from one thread to another and
//! back.
//!
//! usage: distance
//!
//! A virtual machine's processors are moved about by its host. Where they do not share a cache, all that a client and a
//! server say to each other has a longer way to go, and servers are measured at about two thirds of their rate.

use std::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release},
    thread,
    time::{Duration, Instant},
};

/// Round trips that are timed together.
const BATCH: u32 = 200;
/// How long to go on. The median of the batches counts: both threads may begin on the same processor.
const DURATION: Duration = Duration::from_millis(20);

/// A cache line of its own.
#[repr(align(128))]
struct Line(AtomicBool);

static BALL: Line = Line(AtomicBool::new(false));
static OVER: Line = Line(AtomicBool::new(false));

fn main() {
    let partner = thread::spawn(|| {
        while !OVER.0.load(Acquire) {
            if BALL.0.load(Acquire) {
                BALL.0.store(false, Release);
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
    OVER.0.store(true, Release);
    let _ = partner.join();
    println!("{}", batches[batches.len() / 2].as_nanos());
}

/// The mean of a batch.
fn round_trip() -> Duration {
    let since = Instant::now();
    for _ in 0..BATCH {
        BALL.0.store(true, Release);
        while BALL.0.load(Acquire) {
            spin_loop();
        }
    }
    since.elapsed() / BATCH
}
