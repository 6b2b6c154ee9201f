//! What a report contains of the plan.

use super::{host_info::HostInfo, log_format::LOG_VERSION};
use crate::workload::{arrivals::Arrivals, mode::Mode, plan::Plan};
use std::{
    collections::BTreeMap,
    env,
    time::{Duration, SystemTime},
};

/// Header fields whose values stay out of reports.
const SECRET_FIELDS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// What a report contains of the plan. Copied from it, because the run consumes the plan.
#[derive(Debug)]
pub(crate) struct RunInfo {
    pub(crate) url: String,
    pub(crate) mode: Mode,
    /// The highest rate, if the mode has a rate.
    pub(crate) peak_rate: u64,
    pub(crate) connections: u32,
    pub(crate) depth: u32,
    pub(crate) options: BTreeMap<&'static str, String>,
    pub(crate) machine: HostInfo,
    /// When the run started, in UTC.
    pub(crate) started: String,
}

impl RunInfo {
    pub(crate) fn from_plan(plan: &Plan) -> Self {
        let time = |duration: Duration| humantime::format_duration(duration).to_string();
        let load = match plan.mode {
            Mode::Closed => "closed loop".to_owned(),
            Mode::Rate(rate) => {
                let stages = plan.pace.stages.as_ref().map_or_else(|| rate.to_string(), ToString::to_string);
                let random = if plan.pace.arrivals == Arrivals::Poisson { ", random" } else { "" };
                let direction = match plan.fan_out {
                    Some(fan_out) => format!(" from {} connections to all", fan_out.senders),
                    None if plan.expect.is_none() => ", one way".to_owned(),
                    None => String::new(),
                };
                format!("{stages} messages/s{random}{direction}")
            }
            Mode::Send => "sending only".to_owned(),
            Mode::Receive => "receiving only".to_owned(),
            Mode::Churn => "connect, echo, close".to_owned(),
            Mode::Hold => "idle connections".to_owned(),
        };
        let mut options = BTreeMap::from([
            ("load", load),
            ("connections", plan.connections.to_string()),
            ("threads", plan.threads.to_string()),
            ("depth", plan.depth.to_string()),
            ("warm-up", time(plan.warmup)),
            ("reply time-out", time(plan.timeout)),
        ]);
        if !matches!(plan.mode, Mode::Hold | Mode::Receive) {
            options.insert("messages", plan.payloads.describe());
        }
        if let Some(duration) = plan.duration {
            options.insert("duration", time(duration));
        }
        if let Some(messages) = plan.messages {
            options.insert("number", messages.to_string());
        }
        if !plan.expect_prefix.is_empty() {
            options.insert("expected prefix", plan.expect_prefix.escape_debug().to_string());
        }
        if !plan.expect.is_echo() {
            options.insert("expected reply", plan.expect.to_string());
        }
        if plan.ignore_unasked {
            options.insert("unsolicited messages", "ignored".into());
        }
        if plan.first.is_some() {
            // It may be a login.
            options.insert("first message", "yes".into());
        }
        if plan.deflate {
            options.insert("permessage-deflate", "offered".into());
        }
        if !plan.target.redirects.is_empty() {
            options.insert("redirected from", plan.target.redirects.join(", "));
        }
        Self {
            url: plan.target.url.to_string(),
            mode: plan.mode,
            peak_rate: plan.pace.peak,
            connections: plan.connections,
            depth: u32::try_from(plan.depth).unwrap_or(u32::MAX),
            options,
            machine: HostInfo::detect(),
            started: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        }
    }

    /// Returns the requested rate (`--rate`).
    pub(crate) fn rate_asked(&self) -> Option<u64> {
        if let Mode::Rate(rate) = self.mode { Some(rate) } else { None }
    }
}

/// Returns the versions of this program and of what it writes.
pub(crate) fn versions() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("ws-load", env!("CARGO_PKG_VERSION").to_owned()),
        ("hdr-log", LOG_VERSION.to_string()),
        ("system", format!("{} {}", env::consts::OS, env::consts::ARCH)),
    ])
}

/// Returns the command line of this process, without secrets.
pub(crate) fn command_line() -> Vec<String> {
    hide_secrets(env::args_os().map(|argument| argument.to_string_lossy().into_owned()))
}

/// Replaces the value of `--first`, which may be a login, and the secrets in other arguments.
fn hide_secrets(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut is_first_message = false;
    arguments
        .map(|argument| match argument.strip_prefix("--first=") {
            Some(_) => "--first=***".to_owned(),
            None if std::mem::replace(&mut is_first_message, argument == "--first") => "***".to_owned(),
            None => without_secrets(&argument),
        })
        .collect()
}

/// Replaces the value of a header field with a secret, and the user and password of a URL.
fn without_secrets(argument: &str) -> String {
    let field =
        argument.strip_prefix("--header=").or_else(|| argument.strip_prefix("-H")).unwrap_or(argument);
    let is_secret = |name: &str| SECRET_FIELDS.contains(&name.trim().to_ascii_lowercase().as_str());
    if let Some((name, value)) = field.split_once(':').filter(|(name, _)| is_secret(name)) {
        let kept = argument.len() - field.len() + name.len();
        return if value.is_empty() { argument.to_owned() } else { format!("{}: ***", &argument[..kept]) };
    }
    let Some((scheme, rest)) = argument.split_once("://") else { return argument.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_contains_no_secrets() {
        for (argument, kept) in [
            ("Authorization: Bearer x", "Authorization: ***"),
            ("-HCookie: a=b", "-HCookie: ***"),
            ("--header=proxy-authorization:x", "--header=proxy-authorization: ***"),
            ("X-One: 1", "X-One: 1"),
            ("wss://user:p@ss@host:1/path?a=b@c", "wss://***@host:1/path?a=b@c"),
            ("ws://host/a@b", "ws://host/a@b"),
            ("p99<5ms", "p99<5ms"),
        ] {
            assert_eq!(without_secrets(argument), kept);
        }
    }

    #[test]
    fn command_line_contains_no_first_message() {
        let arguments = ["ws://host/", "--first", "login x", "--first=login y", "-d", "2"];
        let kept = hide_secrets(arguments.iter().map(|&argument| argument.to_owned()));
        assert_eq!(kept, ["ws://host/", "--first", "***", "--first=***", "-d", "2"]);
    }
}
