//! A bounded pool of objects that are expensive to create.
//!
//! Public because the load generator pools its send buffers with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A bounded pool of idle objects, last in, first out: the object used last is most likely in the processor's
/// cache.
#[derive(Debug)]
pub struct Pool<T> {
    idle: Mutex<Vec<T>>,
    capacity: usize,
}

impl<T> Pool<T> {
    /// Creates an empty pool that keeps at most `capacity` objects.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { idle: Mutex::new(Vec::new()), capacity }
    }

    /// Removes and returns the last released object that satisfies `matches`, or `None` if there is none.
    pub fn acquire(&self, matches: impl Fn(&T) -> bool) -> Option<T> {
        let mut idle = self.idle();
        let index = idle.iter().rposition(matches)?;
        Some(idle.remove(index))
    }

    /// Adds an object. Drops the oldest object if the pool is full.
    pub fn release(&self, object: T) {
        let mut idle = self.idle();
        idle.push(object);
        if idle.len() > self.capacity {
            let oldest = idle.remove(0);
            // Dropped outside the lock.
            drop(idle);
            drop(oldest);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_returns_the_last_match_and_drops_the_oldest() {
        let pool = Pool::new(3);
        assert_eq!(pool.acquire(|_| true), None);
        for object in [1, 2, 3, 4] {
            pool.release(object);
        }
        assert_eq!(pool.acquire(|object| object % 2 == 1), Some(3));
        assert_eq!(pool.acquire(|object| object % 2 == 1), None, "1 was the oldest of four");
        assert_eq!((pool.acquire(|_| true), pool.acquire(|_| true)), (Some(4), Some(2)));
    }
}
