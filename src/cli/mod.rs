//! Command line: options and environment variables, parsed and checked into a
//! [`Config`](crate::config::Config).

mod arguments;
mod commands;
mod environment;
mod options;
mod origin;
mod values;

pub use arguments::{Cli, TlsConfig};
pub use commands::{Command, PROGRAM, Program};
pub use environment::{unknown_variable, unknown_variables};
