//! Bytes that nobody chose, against everything that reads bytes of a peer.
//!
//! Each case is made from one number, its seed. A failing case names its seed, and `scripts/fuzz --seed` begins with
//! that case. In an ordinary test run the seeds are always the same ones, as many as fit the time.

mod dice;
mod head;
mod offers;
mod oracle;
mod session;
mod tapped;
mod wire;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use dice::Dice;

/// Time for each of the four targets, unless `FUZZ_SECONDS` says otherwise; they run beside each other.
const USUAL: Duration = Duration::from_secs(5);

/// Runs a case again and again, each with dice of its own, on several threads until the time is up.
fn run(target: &str, threads: usize, case: impl Fn(&mut Dice) + Sync) {
    let number = |name: &str| env::var(name).ok().map(|value| value.parse::<u64>().expect(name));
    let seed = number("FUZZ_SEED").unwrap_or(1);
    let time = number("FUZZ_SECONDS").map_or(USUAL, Duration::from_secs);
    let (since, next) = (Instant::now(), AtomicU64::new(seed));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while since.elapsed() < time {
                    let seed = Seed { target, seed: next.fetch_add(1, Relaxed) };
                    case(&mut Dice::new(seed.seed));
                }
            });
        }
    });
    println!("{target}: {} cases from seed {seed}", next.into_inner() - seed);
}

/// Says how to repeat a case, if it fails.
struct Seed<'a> {
    target: &'a str,
    seed: u64,
}

impl Drop for Seed<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self { target, seed } = self;
            eprintln!("to repeat: scripts/fuzz --seed {seed} --seconds 1 {target}");
        }
    }
}
