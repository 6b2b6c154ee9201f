//! Loads and checks the TLS certificate and its key.

pub mod certificate;
mod validity;
