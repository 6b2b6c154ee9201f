//! The table of endpoints: paths, parameters and descriptions.
//!
//! Requests are checked against it. `GET /endpoints` and the page are generated from it. A test compares the
//! README with it.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::parameters::{Parameter, ParameterKind, Parameters, parameter};
use super::route::{EndpointContext, Route};
use super::{
    broadcast, close, delay, echo, fragment, info, invalid, push, silent, stats, status, throttle, throughput,
};

/// An endpoint: a path, or a group of paths, with its own handler.
pub struct Endpoint {
    /// The path. `CODE` at its end stands for any text.
    pub path: &'static str,
    /// Name, for people.
    pub name: &'static str,
    /// Heading under which the page lists the endpoint.
    pub group: &'static str,
    /// What the endpoint does, for people.
    pub summary: &'static str,
    /// The parameters of its query.
    pub parameters: &'static [Parameter],
    /// Example of a request target.
    pub example: &'static str,
    /// Accepts and ignores any query.
    pub(super) any_query: bool,
    /// Builds the route of a request from its parsed parameters. The error is a sentence for the client.
    pub(super) build: fn(&Parameters, &EndpointContext) -> Result<Route, String>,
}

/// Maximum of parameters that are a time.
const MAX_TIME: Duration = Duration::from_hours(1);

/// Maximum of parameters that are a number of messages or seconds.
const MAX_COUNT: u64 = 1_000_000_000;

/// The parameter of endpoints that echo some messages first.
const AFTER: Parameter =
    parameter("after", ParameterKind::Count(0, MAX_COUNT), "0", "number of messages to echo first");

/// Returns the parameter `size`, from 1 byte to 1 GiB.
const fn size(default: &'static str, meaning: &'static str) -> Parameter {
    parameter("size", ParameterKind::Size(1, 1 << 30), default, meaning)
}

/// All endpoints, in the order in which they are shown.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/",
        name: "Echo with prefix",
        group: "Echo",
        summary: "Echoes text behind the reply prefix, and binary messages unchanged",
        parameters: &[],
        example: "/",
        any_query: true,
        build: echo::build_echo_with_prefix,
    },
    Endpoint {
        path: "/echo",
        name: "Echo",
        group: "Echo",
        summary: "Echoes every message unchanged, like any path that is not listed here",
        parameters: &[],
        example: "/echo",
        any_query: true,
        build: echo::build_echo,
    },
    Endpoint {
        path: "/delay",
        name: "Delay",
        group: "Timing",
        summary: "Echoes each message after a delay, in order",
        parameters: &[
            parameter("ms", ParameterKind::Time(Duration::ZERO, MAX_TIME), "250ms", "delay of each message"),
            parameter(
                "jitter",
                ParameterKind::Time(Duration::ZERO, MAX_TIME),
                "0ms",
                "random deviation from the delay, at most ms",
            ),
        ],
        example: "/delay?ms=250&jitter=50",
        any_query: false,
        build: delay::build,
    },
    Endpoint {
        path: "/close",
        name: "Close",
        group: "Closing",
        summary: "Closes the session with the given code and reason",
        parameters: &[
            parameter("code", ParameterKind::Count(0, 65_535), "1000", "close code"),
            parameter("reason", ParameterKind::Text(123), "", "close reason"),
            AFTER,
            parameter("force", ParameterKind::Flag, "0", "1: accept codes that must not be sent"),
        ],
        example: "/close?code=4001&reason=bye&after=3",
        any_query: false,
        build: close::build_close,
    },
    Endpoint {
        path: "/drop",
        name: "Drop",
        group: "Closing",
        summary: "Ends the TCP connection without a closing handshake",
        parameters: &[
            AFTER,
            parameter("how", ParameterKind::Choice(&["rst", "fin"]), "fin", "fin: end of stream, rst: reset"),
        ],
        example: "/drop?after=1&how=rst",
        any_query: false,
        build: close::build_drop,
    },
    Endpoint {
        path: "/silent",
        name: "Silent",
        group: "Timing",
        summary: "Discards every message and sends none",
        parameters: &[parameter("pong", ParameterKind::Flag, "1", "0: send no Pongs either")],
        example: "/silent?pong=0",
        any_query: false,
        build: silent::build,
    },
    Endpoint {
        path: "/fragment",
        name: "Fragments",
        group: "Echo",
        summary: "Echoes each message in fragments of the given size",
        parameters: &[
            size("16", "payload of each fragment"),
            parameter("ping", ParameterKind::Flag, "0", "1: send a Ping between two fragments"),
        ],
        example: "/fragment?size=16&ping=1",
        any_query: false,
        build: fragment::build,
    },
    Endpoint {
        path: "/push",
        name: "Push",
        group: "Timing",
        summary: "Sends numbered messages with a timestamp at a fixed interval",
        parameters: &[
            parameter(
                "every",
                ParameterKind::Time(Duration::from_millis(1), MAX_TIME),
                "1s",
                "time between messages",
            ),
            parameter(
                "count",
                ParameterKind::Count(0, MAX_COUNT),
                "0",
                "number of messages before Close 1000; 0: no limit",
            ),
            size("1", "minimum size of a message, reached by padding"),
        ],
        example: "/push?every=1s&count=10",
        any_query: false,
        build: push::build,
    },
    Endpoint {
        path: "/broadcast",
        name: "Broadcast",
        group: "Echo",
        summary: "Sends each message to all clients in the room, in the same order",
        parameters: &[parameter("room", ParameterKind::Text(64), "lobby", "name of the room")],
        example: "/broadcast?room=name",
        any_query: false,
        build: broadcast::build,
    },
    Endpoint {
        path: "/source",
        name: "Source",
        group: "Throughput",
        summary: "Sends messages as fast as the client reads, then a summary and Close 1000",
        parameters: &[
            size("64KiB", "size of each message"),
            parameter("count", ParameterKind::Count(1, MAX_COUNT), "100", "number of messages"),
        ],
        example: "/source?size=64KiB&count=100",
        any_query: false,
        build: throughput::build_source,
    },
    Endpoint {
        path: "/sink",
        name: "Sink",
        group: "Throughput",
        summary: "Receives messages; sends a summary after an empty one",
        parameters: &[parameter(
            "count",
            ParameterKind::Count(0, MAX_COUNT),
            "0",
            "also send the summary after this number of messages; 0: never",
        )],
        example: "/sink?count=100",
        any_query: false,
        build: throughput::build_sink,
    },
    Endpoint {
        path: "/throttle",
        name: "Throttle",
        group: "Throughput",
        summary: "Echoes at the given number of bytes per second, in fragments",
        parameters: &[parameter("bytes", ParameterKind::Size(1, 1 << 30), "1000", "bytes per second")],
        example: "/throttle?bytes=1000",
        any_query: false,
        build: throttle::build,
    },
    Endpoint {
        path: "/invalid",
        name: "Invalid frame",
        group: "Faults",
        summary: "Sends a frame that violates RFC 6455, to test clients",
        parameters: &[
            parameter("kind", ParameterKind::Choice(invalid::KINDS), "utf8", "rule that the frame violates"),
            AFTER,
        ],
        example: "/invalid?kind=utf8",
        any_query: false,
        build: invalid::build,
    },
    Endpoint {
        path: "/status/CODE",
        name: "HTTP status",
        group: "Faults",
        summary: "Rejects the handshake with this HTTP status, 200 to 599",
        parameters: &[
            parameter(
                "retry_after",
                ParameterKind::Count(0, MAX_COUNT),
                "",
                "value of `Retry-After`, in seconds",
            ),
            parameter("location", ParameterKind::Text(1024), "", "value of `Location`"),
        ],
        example: "/status/503?retry_after=5",
        any_query: false,
        build: status::build,
    },
    Endpoint {
        path: "/info",
        name: "Request",
        group: "Information",
        summary: "Sends the request as JSON, as the server received it; then echoes",
        parameters: &[],
        example: "/info",
        any_query: true,
        build: info::build,
    },
    Endpoint {
        path: "/stats",
        name: "Statistics",
        group: "Information",
        summary: "Sends JSON once a second: open sessions, rates, totals",
        parameters: &[],
        example: "/stats",
        any_query: false,
        build: stats::build,
    },
];

/// Returns the endpoint of a request path, if there is one.
pub(super) fn find(path: &str) -> Option<&'static Endpoint> {
    let has_path = |endpoint: &&Endpoint| match endpoint.path.strip_suffix("CODE") {
        Some(prefix) => path.starts_with(prefix),
        None => path == endpoint.path,
    };
    ENDPOINTS.iter().find(has_path)
}

/// Returns the table as JSON, for `GET /endpoints`. Omits the endpoints whose paths are in `disabled`.
#[must_use]
pub fn to_json(disabled: &[String]) -> Json {
    let enabled = ENDPOINTS.iter().filter(|endpoint| !disabled.iter().any(|path| path == endpoint.path));
    let endpoints = enabled.map(|endpoint| {
        let parameters = endpoint.parameters.iter().map(|parameter| {
            json!({
                "name": parameter.name,
                "default": parameter.default,
                "accepts": parameter.kind.to_string(),
                "type": parameter.kind.type_name(),
                "range": parameter.kind.range(),
                "choices": parameter.kind.choices(),
                "meaning": parameter.meaning,
            })
        });
        json!({
            "path": endpoint.path,
            "name": endpoint.name,
            "group": endpoint.group,
            "summary": endpoint.summary,
            "parameters": parameters.collect::<Vec<_>>(),
            "example": endpoint.example,
        })
    });
    Json::Array(endpoints.collect())
}
