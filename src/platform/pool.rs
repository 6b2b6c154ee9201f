//! Things that are dear to make, kept for whoever needs one next.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// At most so many things that nobody uses. The one that was used last is handed out first: it is the one that a
/// processor still has in its cache.
#[derive(Debug)]
pub struct Pool<T> {
    /// Those that nobody uses.
    idle: Mutex<Vec<T>>,
    /// How many are kept.
    capacity: usize,
}

impl<T> Pool<T> {
    /// Keeps at most so many.
    pub const fn new(capacity: usize) -> Self {
        Self { idle: Mutex::new(Vec::new()), capacity }
    }

    /// The one that was used last among those that fit.
    pub fn acquire(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut idle = self.idle();
        let at = idle.iter().rposition(fits)?;
        Some(idle.remove(at))
    }

    /// Keeps one for the next; lets go of the one that was used longest ago where there are enough.
    pub fn release(&self, spare: T) {
        let mut idle = self.idle();
        idle.push(spare);
        if idle.len() > self.capacity {
            let oldest = idle.remove(0);
            drop(idle);
            drop(oldest);
        }
    }

    /// The lock. Nothing in here panics half-way.
    fn idle(&self) -> MutexGuard<'_, Vec<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_that_fits_is_handed_out_and_the_oldest_forgotten() {
        let pool = Pool::new(3);
        assert_eq!(pool.acquire(|_| true), None);
        for spare in [1, 2, 3, 4] {
            pool.release(spare);
        }
        assert_eq!(pool.acquire(|spare| spare % 2 == 1), Some(3));
        assert_eq!(pool.acquire(|spare| spare % 2 == 1), None, "1 was the oldest of four");
        assert_eq!((pool.acquire(|_| true), pool.acquire(|_| true)), (Some(4), Some(2)));
    }
}
