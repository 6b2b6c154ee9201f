//! The table of endpoints: the one place that says which there are, and what each takes.
//!
//! Requests are checked against it. `GET /endpoints`, the page and the README's table are made from it or compared
//! with it, so that they cannot drift.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::parameters::{Parameter, ParameterKind, Parameters, parameter};
use super::route::{EndpointContext, Route};
use super::{
    broadcast, close, delay, echo, fragment, info, invalid, push, silent, stats, status, throttle, throughput,
};

/// A path that does something of its own.
pub struct Endpoint {
    /// The path; `CODE` in it stands for a number.
    pub path: &'static str,
    /// What happens there, in a few words.
    pub summary: &'static str,
    /// What its query may say.
    pub parameters: &'static [Parameter],
    /// A request target to try it with.
    pub example: &'static str,
    /// Its query may also say anything else, which means nothing to it.
    pub(super) any_query: bool,
    /// What it does with parameters that were found to make sense one by one.
    pub(super) build: fn(&Parameters, &EndpointContext) -> Result<Route, String>,
}

/// The longest time that a parameter takes.
const LONGEST: Duration = Duration::from_hours(1);

/// The most messages that a parameter takes.
const MOST: u64 = 1_000_000_000;

/// How many messages are echoed before something happens.
const AFTER: Parameter =
    parameter("after", ParameterKind::Count(0, MOST), "0", "messages that are echoed first; 0: at once");

/// A size in bytes, up to what the server takes as a message.
const fn size(default: &'static str, meaning: &'static str) -> Parameter {
    parameter("size", ParameterKind::Size(1, 1 << 30), default, meaning)
}

/// Every endpoint, in the order in which they are shown.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/",
        summary: "a text comes back behind \"Received: \", a binary message as it was",
        parameters: &[],
        example: "/",
        any_query: true,
        build: echo::build_echo_with_prefix,
    },
    Endpoint {
        path: "/echo",
        summary: "verbatim echo, as on any path that names nothing else",
        parameters: &[],
        example: "/echo",
        any_query: true,
        build: echo::build_echo,
    },
    Endpoint {
        path: "/delay",
        summary: "echo after a while, order kept",
        parameters: &[
            parameter(
                "ms",
                ParameterKind::Time(Duration::ZERO, LONGEST),
                "250ms",
                "how long each message waits",
            ),
            parameter(
                "jitter",
                ParameterKind::Time(Duration::ZERO, LONGEST),
                "0ms",
                "more or less, at random",
            ),
        ],
        example: "/delay?ms=250&jitter=50",
        any_query: false,
        build: delay::build,
    },
    Endpoint {
        path: "/close",
        summary: "closes with that code",
        parameters: &[
            parameter("code", ParameterKind::Count(0, 65_535), "1000", "close code"),
            parameter("reason", ParameterKind::Text(123), "", "close reason"),
            AFTER,
            parameter("force", ParameterKind::Flag, "0", "1: even a code that must not be sent"),
        ],
        example: "/close?code=4001&reason=bye&after=3",
        any_query: false,
        build: close::build_close,
    },
    Endpoint {
        path: "/drop",
        summary: "ends the TCP connection without a closing handshake",
        parameters: &[
            AFTER,
            parameter("how", ParameterKind::Choice(&["rst", "fin"]), "fin", "reset, or end of stream"),
        ],
        example: "/drop?after=1&how=rst",
        any_query: false,
        build: close::build_drop,
    },
    Endpoint {
        path: "/silent",
        summary: "reads everything, answers nothing but a Close",
        parameters: &[parameter("pong", ParameterKind::Flag, "1", "0: not even a Ping is answered")],
        example: "/silent?pong=0",
        any_query: false,
        build: silent::build,
    },
    Endpoint {
        path: "/fragment",
        summary: "echo split into frames of that size",
        parameters: &[
            size("16", "payload of each frame"),
            parameter("ping", ParameterKind::Flag, "0", "1: a Ping goes between the frames"),
        ],
        example: "/fragment?size=16&ping=1",
        any_query: false,
        build: fragment::build,
    },
    Endpoint {
        path: "/push",
        summary: "the server speaks first and on its own: from_u8, time-stamped messages",
        parameters: &[
            parameter(
                "every",
                ParameterKind::Time(Duration::from_millis(1), LONGEST),
                "1s",
                "time between messages",
            ),
            parameter(
                "count",
                ParameterKind::Count(0, MOST),
                "0",
                "messages, then Close 1000; 0: without end",
            ),
            size("1", "least size of a message, reached with filling"),
        ],
        example: "/push?every=1s&count=10",
        any_query: false,
        build: push::build,
    },
    Endpoint {
        path: "/broadcast",
        summary: "what one client sends, everyone in the room gets, in the same order",
        parameters: &[parameter("room", ParameterKind::Text(64), "lobby", "name of the room")],
        example: "/broadcast?room=name",
        any_query: false,
        build: broadcast::build,
    },
    Endpoint {
        path: "/source",
        summary: "one-way throughput from the server, then a summary and Close 1000",
        parameters: &[
            size("64KiB", "size of a message"),
            parameter("count", ParameterKind::Count(1, MOST), "100", "messages"),
        ],
        example: "/source?size=64KiB&count=100",
        any_query: false,
        build: throughput::build_source,
    },
    Endpoint {
        path: "/sink",
        summary: "one-way throughput to the server; an empty message asks for the summary",
        parameters: &[parameter(
            "count",
            ParameterKind::Count(0, MOST),
            "0",
            "summary after so many messages, too",
        )],
        example: "/sink?count=100",
        any_query: false,
        build: throughput::build_sink,
    },
    Endpoint {
        path: "/throttle",
        summary: "the echo at that many bytes a second, in fragments",
        parameters: &[parameter("bytes", ParameterKind::Size(1, 1 << 30), "1000", "bytes a second")],
        example: "/throttle?bytes=1000",
        any_query: false,
        build: throttle::build,
    },
    Endpoint {
        path: "/invalid",
        summary: "a frame that breaks the RFC, for testing clients",
        parameters: &[
            parameter("kind", ParameterKind::Choice(invalid::KINDS), "utf8", "which rule it breaks"),
            AFTER,
        ],
        example: "/invalid?kind=utf8",
        any_query: false,
        build: invalid::build,
    },
    Endpoint {
        path: "/status/CODE",
        summary: "the request is refused with that HTTP status, 200 to 599",
        parameters: &[
            parameter("retry_after", ParameterKind::Count(0, MOST), "", "seconds, as `Retry-After`"),
            parameter("location", ParameterKind::Text(1024), "", "target of a redirect, as `Location`"),
        ],
        example: "/status/503?retry_after=5",
        any_query: false,
        build: status::build,
    },
    Endpoint {
        path: "/info",
        summary: "first message: JSON of what the server saw of the request; then echo",
        parameters: &[],
        example: "/info",
        any_query: true,
        build: info::build,
    },
    Endpoint {
        path: "/stats",
        summary: "JSON once a second: open sessions, rates each way, totals",
        parameters: &[],
        example: "/stats",
        any_query: false,
        build: stats::build,
    },
];

/// The endpoint that a path names.
pub(super) fn find(path: &str) -> Option<&'static Endpoint> {
    let named = |endpoint: &&Endpoint| match endpoint.path.strip_suffix("CODE") {
        Some(prefix) => path.starts_with(prefix),
        None => path == endpoint.path,
    };
    ENDPOINTS.iter().find(named)
}

/// The table for machines.
#[must_use]
pub fn to_json() -> Json {
    let endpoints = ENDPOINTS.iter().map(|endpoint| {
        let parameters = endpoint.parameters.iter().map(|parameter| {
            json!({
                "name": parameter.name,
                "default": parameter.default,
                "accepts": parameter.kind.to_string(),
                "meaning": parameter.meaning,
            })
        });
        json!({
            "path": endpoint.path,
            "summary": endpoint.summary,
            "parameters": parameters.collect::<Vec<_>>(),
            "example": endpoint.example,
        })
    });
    Json::Array(endpoints.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;
    use crate::endpoints::routes::Routes;

    #[test]
    fn every_default_and_every_example_makes_sense() {
        let (routes, config, published) = (Routes::standard(), Config::default(), Arc::default());
        for endpoint in ENDPOINTS {
            let (path, query) = endpoint.example.split_once('?').unwrap_or((endpoint.example, ""));
            assert!(find(path).is_some_and(|found| found.path == endpoint.path), "{path} is not found");
            for query in ["", query] {
                let planned = routes.route(path, query, &config, &published);
                let refused = planned.err().map(|answer| answer.status);
                let wanted = path.starts_with(status::PREFIX).then_some(503);
                assert_eq!(refused, wanted, "{path}?{query}");
            }
        }
    }
}
