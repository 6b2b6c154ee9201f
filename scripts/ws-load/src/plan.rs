//! A run as it was asked for, checked once: everything that can be wrong with the options is found here.

use super::{
    cli::{LoadArgs, OutputArgs},
    deflate,
    error::LoadError,
    numbers,
    payload::{Kind, Payloads, Source},
    tls,
};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    fs,
    net::{SocketAddr, ToSocketAddrs},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tungstenite::{
    client::IntoClientRequest,
    handshake::client::Request,
    http::{HeaderName, HeaderValue},
};

/// How long a run measures when nothing says otherwise.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// The largest file of messages; it is kept in memory.
const MAX_FILE: u64 = 64 << 20;
/// Descriptors that are no connections: standard streams, polls, alarms, logs.
const OTHER_DESCRIPTORS: u64 = 64;

/// What the connections do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As fast as replies come.
    Closed,
    /// So many messages a second over all connections.
    Rate(u64),
    /// Connect, one echo, close, again.
    Churn,
    /// Nothing; just stay.
    Hold,
}

/// Where to connect, and with which words.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) addresses: Vec<SocketAddr>,
    /// The handshake; each connection puts a key of its own in.
    pub(super) request: Request,
    /// No WebSocket at all.
    pub(super) plain: bool,
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// A checked run.
#[derive(Debug)]
pub struct Plan {
    pub(super) target: Target,
    pub(super) connections: u32,
    pub(super) threads: u32,
    pub(super) depth: usize,
    pub(super) mode: Mode,
    pub(super) duration: Option<Duration>,
    pub(super) messages: Option<u64>,
    pub(super) payloads: Payloads,
    pub(super) expect_prefix: String,
    pub(super) deflate: bool,
    /// Between two connections that are opened, over all threads.
    pub(super) opening_gap: Duration,
    /// Connections do not wait for each other before they start.
    pub(super) starts_while_opening: bool,
    pub(super) warmup: Duration,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) drain: Duration,
    pub(super) output: OutputArgs,
}

impl Plan {
    /// Checks the arguments, reads the files they name, and resolves the host.
    ///
    /// # Errors
    ///
    /// Returns an error if options contradict each other, a file cannot be read or the host has no address.
    pub fn new(args: LoadArgs) -> Result<Self, LoadError> {
        let mode = match (args.rate, args.connect.churn, args.connect.hold) {
            (_, true, _) => Mode::Churn,
            (_, _, true) => Mode::Hold,
            (Some(rate), ..) => Mode::Rate(rate),
            _ => Mode::Closed,
        };
        if args.threads > args.connections {
            return Err(LoadError::Usage(
                "more --threads than --connections leaves some without work".into(),
            ));
        }
        let duration =
            if args.messages.is_some() { args.duration } else { args.duration.or(Some(DEFAULT_DURATION)) };
        let opening_gap = match (args.connect.ramp, args.connect.connect_rate) {
            (Some(ramp), _) => ramp / args.connections,
            (_, Some(rate)) => Duration::from_nanos(1_000_000_000 / rate),
            _ => Duration::ZERO,
        };
        Ok(Self {
            target: target(&args)?,
            connections: args.connections,
            threads: args.threads,
            depth: numbers::narrow(u64::from(args.depth)),
            mode,
            duration,
            messages: args.messages,
            payloads: payloads(&args)?,
            expect_prefix: args.message.expect_prefix,
            deflate: args.message.deflate,
            opening_gap,
            starts_while_opening: mode == Mode::Closed && args.connect.ramp.is_some(),
            warmup: args.warmup,
            timeout: args.timeout,
            connect_timeout: args.connect.connect_timeout,
            drain: args.drain,
            output: args.output,
        })
    }

    /// Raises the limit of open files to what the run needs.
    pub(super) fn raise_limit(&self) -> Result<(), LoadError> {
        let needed = u64::from(self.connections) + u64::from(self.threads) * 4 + OTHER_DESCRIPTORS;
        let limit = rlimit::increase_nofile_limit(needed)
            .map_err(LoadError::system("raise the limit of open files"))?;
        if limit < needed { Err(LoadError::Descriptors { needed, limit }) } else { Ok(()) }
    }
}

fn target(args: &LoadArgs) -> Result<Target, LoadError> {
    let url = args.url.clone().unwrap_or_default();
    let bad_url = |problem: &str| LoadError::Usage(format!("the URL \"{url}\" {problem}"));
    let mut request = url.as_str().into_client_request().map_err(|_| bad_url("is not one"))?;
    let uri = request.uri();
    let (secure, plain) = match uri.scheme_str() {
        Some("ws") => (false, false),
        Some("wss") => (true, false),
        Some("tcp") if uri.port_u16().is_some() => (false, true),
        _ => return Err(bad_url("must start with ws:// or wss:// (or tcp:// with a port)")),
    };
    let host = uri.host().ok_or_else(|| bad_url("has no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    headers(&mut request, args)?;
    let addresses: Vec<_> = (host.as_str(), port)
        .to_socket_addrs()
        .map_err(|source| LoadError::Unresolvable { host: host.clone(), source: Some(source) })?
        .collect();
    if addresses.is_empty() {
        return Err(LoadError::Unresolvable { host, source: None });
    }
    let tls = if secure {
        let config = tls::client_config(args.connect.cacert.as_deref(), args.connect.insecure)?;
        let name =
            ServerName::try_from(host).map_err(|_| bad_url("has a host that no certificate can name"))?;
        Some((config, name))
    } else {
        None
    };
    Ok(Target { url, addresses, request, plain, tls })
}

fn headers(request: &mut Request, args: &LoadArgs) -> Result<(), LoadError> {
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| LoadError::Usage(format!("\"{text}\" cannot stand in a header")))
    };
    let headers = request.headers_mut();
    for line in &args.connect.header {
        let parts = line.split_once(':');
        let (name, text) =
            parts.ok_or_else(|| LoadError::Usage(format!("the header \"{line}\" has no colon")))?;
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| LoadError::Usage(format!("\"{name}\" is not the name of a header")))?;
        // What a handshake has once is replaced; anything else may stand there many times.
        if headers.contains_key(&name) && !args.connect.header.is_empty() && is_single(&name) {
            headers.insert(name, value(text.trim())?);
        } else {
            headers.append(name, value(text.trim())?);
        }
    }
    if let Some(origin) = &args.connect.origin {
        headers.insert("origin", value(origin)?);
    }
    if !args.connect.subprotocol.is_empty() {
        headers.insert("sec-websocket-protocol", value(&args.connect.subprotocol.join(", "))?);
    }
    if args.message.deflate {
        headers.insert("sec-websocket-extensions", HeaderValue::from_static(deflate::OFFER));
    }
    Ok(())
}

fn is_single(name: &HeaderName) -> bool {
    ["host", "connection", "upgrade", "sec-websocket-version", "sec-websocket-key"].contains(&name.as_str())
}

fn payloads(args: &LoadArgs) -> Result<Payloads, LoadError> {
    let kind = if args.message.binary { Kind::Binary } else { Kind::Text };
    let source = match &args.message.file {
        Some(path) => Source::Lines { path: path.clone(), lines: lines(path)? },
        None => Source::Generated { sizes: args.message.size.clone(), seed: args.message.seed },
    };
    Ok(Payloads::new(source, kind))
}

fn lines(path: &Path) -> Result<Vec<String>, LoadError> {
    let content = |problem: String| LoadError::Content { path: path.to_owned(), problem };
    let size = fs::metadata(path).map_err(|error| LoadError::file(path, error))?.len();
    if size > MAX_FILE {
        return Err(content(format!("{size} bytes are more than the {MAX_FILE} that are kept in memory")));
    }
    let text = fs::read_to_string(path).map_err(|error| LoadError::file(path, error))?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() { Err(content("no message in it".into())) } else { Ok(lines) }
}
