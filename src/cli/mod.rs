//! Command line: options and environment variables, parsed and checked into a
//! [`Config`](crate::config::Config).

mod arguments;
mod commands;
mod options;
mod origin;
mod values;

pub use arguments::{Cli, TlsConfig};
pub use commands::{Command, PROGRAM, Program};
