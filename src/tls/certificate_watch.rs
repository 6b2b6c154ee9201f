//! A thread that reloads the certificate, on request and when its files have changed.
//!
//! To read a file may block without end, for example on a network file system. Signals are handled meanwhile,
//! because no other thread waits for this one, not even the end of the process.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use log::{error, warn};

use super::certificate::Certificate;
use super::file_state::PairState;
use crate::error::Error;
use crate::platform::service_manager::ServiceManager;

/// Requests reloads of a certificate. The thread ends when this is dropped.
#[derive(Debug)]
pub struct CertificateWatch {
    /// Capacity 1: a request during a reload is kept, because the files may have been read before they
    /// changed.
    requests: Sender<()>,
}

/// The state of the thread.
struct WatchThread {
    certificate: Arc<Certificate>,
    /// The files whose error was logged last.
    logged: Option<PairState>,
    service_manager: Option<ServiceManager>,
}

impl CertificateWatch {
    /// Starts the thread. It looks for changed files at each `interval`; zero disables this. It reports
    /// requested reloads to the service manager.
    ///
    /// # Errors
    /// [`Error::Thread`] if the thread cannot be started.
    pub fn start(
        certificate: Arc<Certificate>,
        interval: Duration,
        service_manager: Option<ServiceManager>,
    ) -> Result<Self, Error> {
        let (requests, receiver) = bounded(1);
        let mut thread = WatchThread { certificate, logged: None, service_manager };
        thread::Builder::new()
            .name("certificate".into())
            .spawn(move || thread.run(&receiver, interval))
            .map_err(|source| Error::Thread { purpose: "reloads of the certificate", source })?;
        Ok(Self { requests })
    }

    /// Requests a reload, also of files that have not changed. Does not wait for it.
    pub fn request_reload(&self) {
        if self.requests.try_send(()).is_err() {
            warn!("the certificate is still being read; one more reload follows");
        }
    }
}

impl WatchThread {
    /// Reloads the certificate at each request and after each change, until the requesting end is dropped.
    fn run(&mut self, requests: &Receiver<()>, interval: Duration) {
        loop {
            let request = match interval {
                Duration::ZERO => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
                interval => requests.recv_timeout(interval),
            };
            match request {
                Ok(()) => {
                    self.logged = None;
                    self.service_manager.iter().for_each(ServiceManager::reloading);
                    self.reload(self.certificate.files());
                    self.service_manager.iter().for_each(ServiceManager::ready);
                }
                Err(RecvTimeoutError::Timeout) => self.reload_if_changed(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reloads the certificate if other files than those in use are there. A pair that does not fit, because
    /// only one file has been replaced so far, is tried again at the next call.
    fn reload_if_changed(&mut self) {
        let files = self.certificate.files();
        if self.certificate.differs_from(files) && !files.has_special_file() {
            self.reload(files);
        }
    }

    /// Reloads the certificate. Logs an error once for each state of the files.
    fn reload(&mut self, files: PairState) {
        match self.certificate.reload() {
            Ok(()) => self.logged = None,
            Err(_) if self.logged == Some(files) => {}
            Err(error) => {
                error!("{error}; the certificate in use stays");
                self.logged = Some(files);
            }
        }
    }
}
