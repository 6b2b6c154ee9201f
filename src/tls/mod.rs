//! Loads and checks the TLS certificate and its key.

pub mod certificate;
pub mod certificate_watch;
mod chain;
mod der;
mod file_state;
mod key;
pub(crate) mod unverified;
mod validity;
