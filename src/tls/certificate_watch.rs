//! A thread that reloads the certificate.
//!
//! To read a file may block without end, for example on a network file system. Signals are handled meanwhile,
//! because no other thread waits for this one, not even the end of the process.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use log::{error, warn};

use super::certificate::Certificate;
use crate::error::Error;

/// Requests reloads of a certificate. The thread ends when this is dropped.
#[derive(Debug)]
pub struct CertificateWatch {
    /// Capacity 1: a request during a reload is kept, because the files may have been read before they changed.
    requests: Sender<()>,
}

impl CertificateWatch {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Error::Thread`] if the thread cannot be started.
    pub fn start(certificate: Arc<Certificate>) -> Result<Self, Error> {
        let (requests, receiver) = bounded(1);
        thread::Builder::new()
            .name("certificate".into())
            .spawn(move || reload_on_request(&certificate, &receiver))
            .map_err(|source| Error::Thread { purpose: "reloads of the certificate", source })?;
        Ok(Self { requests })
    }

    /// Requests a reload. Does not wait for it.
    pub fn request_reload(&self) {
        if self.requests.try_send(()).is_err() {
            warn!("the certificate is still being read; one more reload follows");
        }
    }
}

/// Reloads the certificate at each request.
fn reload_on_request(certificate: &Certificate, requests: &Receiver<()>) {
    for () in requests {
        if let Err(error) = certificate.reload() {
            error!("{error}; the certificate in use stays");
        }
    }
}
