//! Certificates and keys.

pub mod certificate;
mod validity;
