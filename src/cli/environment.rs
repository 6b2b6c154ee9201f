//! Environment variables that look like options and are none.

use clap::CommandFactory;

use super::arguments::Cli;
use crate::platform::tune;

/// What the names of all options begin with in the environment.
const PREFIX: &str = "WS_ECHO_";

/// Returns the names of variables that begin with `WS_ECHO_` and that the program does not read: probably
/// misspelt. Leaves out those that Kubernetes sets for a Service with the name `ws-echo`.
#[must_use]
pub fn unknown_variables() -> Vec<String> {
    unknown(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
}

/// Returns a sentence about a variable that the program does not read.
#[must_use]
pub fn unknown_variable(name: &str) -> String {
    format!("{name} in the environment is no option; `ws-echo --help` lists the options")
}

fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
    let command = Cli::command();
    let is_option =
        |name: &str| command.get_arguments().any(|arg| arg.get_env().is_some_and(|env| env == name));
    let is_of_service =
        |rest: &str| rest.starts_with("SERVICE_") || rest == "PORT" || rest.starts_with("PORT_");
    let mut unknown: Vec<_> = names
        .filter(|name| name.strip_prefix(PREFIX).is_some_and(|rest| !is_of_service(rest)))
        .filter(|name| name != tune::VARIABLE && !is_option(name))
        .collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_that_is_no_option_is_unknown() {
        let names = [
            "WS_ECHO_LISTEN",
            "WS_ECHO_REPLY_PREFX",
            "WS_ECHO_TUNE",
            "WS_ECHO_RESTART",
            "WS_ECHO_SERVICE_HOST",
            "WS_ECHO_PORT",
            "WS_ECHO_PORT_80_TCP",
            "WS_LOAD",
            "HOME",
            "WS_ECHO_PORTS",
        ];
        assert_eq!(unknown(names.map(String::from).into_iter()), ["WS_ECHO_PORTS", "WS_ECHO_REPLY_PREFX"]);
    }
}
