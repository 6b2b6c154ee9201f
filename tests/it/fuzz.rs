//! Random bytes for everything that reads bytes of a peer.
//!
//! Each case follows from one number, its seed. A failing case prints its seed, and `scripts/fuzz --seed` begins with
//! that case. In an ordinary test run the seeds are always the same, as many as fit the time.

mod head;
mod inspector;
mod offers;
mod oracle;
mod session;
mod wire;

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::random::Random;

/// Time for each of the four targets, unless `FUZZ_SECONDS` is set. The targets run in parallel.
const USUAL: Duration = Duration::from_secs(5);

/// The least number of cases, however long they take.
const MIN_CASES: u64 = 300;

/// Counts what the cases have checked.
#[derive(Default)]
pub struct Coverage(Mutex<BTreeMap<&'static str, u64>>);

impl Coverage {
    pub fn count(&self, what: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// Panics if anything was checked less often than the floors require.
    fn check(self, cases: u64, floors: &[Floor]) {
        let counts = self.0.into_inner().unwrap();
        println!("{cases} cases: {counts:?}");
        assert!(cases >= MIN_CASES, "only {cases} cases");
        for (what, per_hundred) in floors {
            let count = counts.get(what).copied().unwrap_or_default();
            assert!(count * 100 >= cases * per_hundred, "{what}: {count} of {cases} cases, in {counts:?}");
        }
    }
}

/// Something that has to be checked so often in a hundred cases.
type Floor = (&'static str, u64);

/// Runs cases on several threads until the time is up. Panics if the cases checked less than the floors require.
fn run(target: &str, threads: usize, floors: &[Floor], case: impl Fn(&mut Random, &Coverage) + Sync) {
    let number = |name: &str| env::var(name).ok().map(|value| value.parse::<u64>().expect(name));
    let first = number("FUZZ_SEED").unwrap_or(1);
    let time = number("FUZZ_SECONDS").map_or(USUAL, Duration::from_secs);
    let (since, next, coverage) = (Instant::now(), AtomicU64::new(first), Coverage::default());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while since.elapsed() < time || next.load(Relaxed) - first < MIN_CASES {
                    let seed = Seed { target, seed: next.fetch_add(1, Relaxed) };
                    case(&mut Random::new(seed.seed), &coverage);
                }
            });
        }
    });
    println!("{target} from seed {first}:");
    coverage.check(next.into_inner() - first, floors);
}

/// Prints how to repeat a case, if it fails.
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

#[test]
#[should_panic(expected = "messages: 2 of 300 cases")]
fn coverage_below_a_floor_is_an_error() {
    let coverage = Coverage::default();
    coverage.count("messages");
    coverage.count("messages");
    coverage.check(300, &[("messages", 1)]);
}
