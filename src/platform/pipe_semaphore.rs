//! A bell: each ring wakes one of the threads that wait for it.
//!
//! It is a pipe, and a ring is a byte. Whoever sleeps at a lock, a condition variable or a channel stands in a table of
//! the kernel; since Linux 6.16 each process has its own, with few lists, and ten thousand idle workers make every
//! wake-up walk past hundreds of them. Those who read a pipe wait at that pipe and nowhere else, and since Linux 5.6 a
//! byte wakes one of them. Measured on Linux 6.18 with 10,000 idle workers: connect, echo and close cost the server 90 µs
//! instead of 140.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::{Mutex, PoisonError};

use log::error;

/// What idle workers wait for.
#[derive(Debug)]
pub(crate) struct PipeSemaphore {
    /// Where they listen.
    reader: PipeReader,
    /// Where it is rung; `None` once it has fallen silent.
    writer: Mutex<Option<PipeWriter>>,
}

impl PipeSemaphore {
    /// A bell that has not been rung. Takes two descriptors.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { reader, writer: Mutex::new(Some(writer)) })
    }

    /// Wakes one thread that waits or, if none does, the next one that will.
    pub(crate) fn post(&self) {
        if let Some(writer) = &mut *self.writer.lock().unwrap_or_else(PoisonError::into_inner)
            // A pipe takes every byte while somebody could read it (pipe(7)), and the reader is ours.
            && let Err(error) = writer.write_all(&[0])
        {
            error!("cannot wake a worker: {error}");
        }
    }

    /// Nobody is woken any more: those who wait, and those who will, do so in vain.
    pub(crate) fn close(&self) {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Waits for a ring. Returns whether there was one; there will be none when the bell has fallen silent.
    pub(crate) fn wait(&self) -> bool {
        loop {
            match (&self.reader).read(&mut [0]) {
                Ok(heard) => return heard > 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn each_ring_wakes_one_and_silence_wakes_all() {
        let semaphore = PipeSemaphore::new().unwrap();
        let (woken, wakings) = channel();
        thread::scope(|scope| {
            for _ in 0..5 {
                let (semaphore, woken) = (&semaphore, woken.clone());
                scope.spawn(move || {
                    while semaphore.wait() {
                        woken.send(true).unwrap();
                    }
                    woken.send(false).unwrap();
                });
            }
            for _ in 0..20 {
                semaphore.post();
                assert!(wakings.recv().unwrap());
            }
            semaphore.close();
            assert!(wakings.iter().take(5).all(|heard| !heard), "no ring was heard twice");
            semaphore.post();
            assert!(!semaphore.wait(), "a silent semaphore cannot be rung");
        });
    }
}
