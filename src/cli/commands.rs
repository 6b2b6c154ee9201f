//! The command line as a whole: the commands, and the options of the server without one.

use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use super::arguments::{AFTER_HELP, Cli};
use super::values::{health_target, timeout};
use crate::config::VERSION;

/// The name of the program in usage errors and completion scripts.
pub const PROGRAM: &str = "ws-echo";

/// A multi-threaded WebSocket echo server on a small fixed pool of threads
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version = VERSION, max_term_width = 100, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, mut_args(|arg| arg.hide_env(true)))]
pub struct Program {
    /// The command; without one the server runs.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of the server.
    #[command(flatten)]
    pub cli: Cli,
}

/// The commands besides the server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the options of a server, its certificate, its Redis and the limits of this machine; exits with 1
    /// after a problem
    #[command(mut_args(|arg| arg.hide_env(true)))]
    Check(Box<Cli>),
    /// Ask a running server for its health; exits with 1 if the answer is not 200
    Healthcheck {
        /// URL to ask, or a path of the server that --listen or --tls-listen of the environment describes;
        /// https:// accepts any certificate
        #[arg(value_name = "URL", default_value = "/livez", value_parser = health_target)]
        url: String,
        /// Maximum time to wait for the answer
        #[arg(long, value_name = "TIME", default_value = "3s", value_parser = timeout)]
        timeout: Duration,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff
    Man,
}

impl Program {
    /// Parses the arguments and the environment of the process. Exits the process after `--help` and
    /// `--version`, and with code 2 after a usage error.
    #[must_use]
    pub fn from_arguments() -> Self {
        let program = Self::parse();
        let options = match &program.command {
            None => Some(&program.cli),
            Some(Command::Check(cli)) => Some(&**cli),
            Some(_) => None,
        };
        if let Some(Err(error)) = options.map(Cli::check) {
            Self::command().error(ErrorKind::MissingRequiredArgument, error).exit();
        }
        program
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_valid_and_have_the_options_of_the_server() {
        Program::command().debug_assert();
        let parsed = Program::parse_from(["ws-echo", "check", "--listen", "[::]:80"]);
        let Some(Command::Check(cli)) = parsed.command else { panic!("{:?}", parsed.command) };
        assert_eq!(cli.listen(), ["[::]:80".parse().expect("an address")]);
        assert_eq!(Program::parse_from(["ws-echo", "--listen", "none"]).cli.listen(), []);
        assert!(Program::try_parse_from(["ws-echo", "--listen", "none", "man"]).is_err());
    }
}
