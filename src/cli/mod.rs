//! Command line: options and environment variables, parsed and checked into a
//! [`Config`](crate::config::Config).

mod arguments;
mod options;
mod origin;
mod values;

pub use arguments::{Cli, TlsConfig};
