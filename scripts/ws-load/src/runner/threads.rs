//! The driver threads of a run.

use super::{driver::Driver, interval::DriverReport};
use crate::{connection::context::RunState, error::LoadError};
use crossbeam_channel::Sender;
use mio::Waker;
use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

/// The driver threads, and a waker for each.
pub(crate) struct Threads {
    pub(crate) handles: Vec<JoinHandle<()>>,
    wakers: Vec<Waker>,
}

impl Threads {
    /// Starts all threads, or none.
    pub(crate) fn start(run: &Arc<RunState>, reports: &Sender<DriverReport>) -> Result<Self, LoadError> {
        let mut threads = Self { handles: Vec::new(), wakers: Vec::new() };
        let mut drivers = Vec::new();
        for index in 0..run.plan.threads {
            let driver = Driver::new(Arc::clone(run), index, reports.clone())?;
            threads.wakers.push(driver.waker()?);
            drivers.push(driver);
        }
        for (index, driver) in drivers.into_iter().enumerate() {
            let started = thread::Builder::new().name(format!("load-{index}")).spawn(|| driver.run());
            match started {
                Ok(handle) => threads.handles.push(handle),
                Err(source) => {
                    run.stop();
                    threads.wake();
                    return Err(LoadError::System { action: "start a thread", source });
                }
            }
        }
        Ok(threads)
    }

    /// Wakes every thread, so that it reads the state of the run.
    pub(crate) fn wake(&self) {
        for waker in &self.wakers {
            // A thread that cannot be woken reads the state at its next tick.
            let _ = waker.wake();
        }
    }
}
