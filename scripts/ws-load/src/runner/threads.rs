//! The driver threads of a run.

use super::{driver::Driver, interval::DriverReport};
use crate::{connection::context::RunState, error::LoadError};
use crossbeam_channel::Sender;
use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

/// The driver threads.
pub(crate) struct Threads {
    pub(crate) handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts all threads, or none.
    pub(crate) fn start(run: &Arc<RunState>, reports: &Sender<DriverReport>) -> Result<Self, LoadError> {
        let mut threads = Self { handles: Vec::new() };
        let (mut drivers, mut wakers) = (Vec::new(), Vec::new());
        for index in 0..run.plan.threads {
            let driver = Driver::new(Arc::clone(run), index, reports.clone())?;
            wakers.push(driver.waker()?);
            drivers.push(driver);
        }
        // Cannot fail: only this thread sets them, and only once.
        let _ = run.wakers.set(wakers);
        for (index, driver) in drivers.into_iter().enumerate() {
            let started = thread::Builder::new().name(format!("load-{index}")).spawn(|| driver.run());
            match started {
                Ok(handle) => threads.handles.push(handle),
                Err(source) => {
                    run.stop();
                    run.wake();
                    return Err(LoadError::System { action: "start a thread", source });
                }
            }
        }
        Ok(threads)
    }
}
