//! The plan of a run. The options are checked here, once.

use super::{
    arrivals::Arrivals,
    cli::{FileFormat, LoadArgs, OutputArgs},
    expectation::Expectation,
    fan_out::FanOut,
    input_files::{self, is_standard_input},
    mode::{Mode, OneWay},
    payload::{PayloadSource, Payloads},
    send_schedule::Pace,
    stages::Stages,
    start_at::StartAt,
    target::{Target, TargetOptions},
    template::Template,
};
use crate::{error::LoadError, net::message_kind::MessageKind, numbers, stats::assertion::Assertion};
use std::{fs, sync::Arc, time::Duration};
use ws_echo::platform::random::Random;

/// Length of the measured time without `--duration` and `--messages`.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// The same for a step of `--find`, and the time that it loads before.
const STEP_DURATION: Duration = Duration::from_secs(5);
const STEP_WARMUP: Duration = Duration::from_secs(1);
/// Number of descriptors that a thread needs: poll, timer, waker, and one in reserve.
const DESCRIPTORS_PER_THREAD: u64 = 4;
/// Number of other descriptors: standard streams, logs, libraries.
const OTHER_DESCRIPTORS: u64 = 64;

/// A checked run.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Plan {
    pub(crate) target: Target,
    /// Number of redirects to follow before the run.
    pub(crate) follow: u32,
    pub(crate) connections: u32,
    pub(crate) threads: u32,
    pub(crate) depth: usize,
    pub(crate) mode: Mode,
    pub(crate) fan_out: Option<FanOut>,
    /// The rate, if the mode has one.
    pub(crate) pace: Pace,
    pub(crate) duration: Option<Duration>,
    pub(crate) messages: Option<u64>,
    pub(crate) payloads: Payloads,
    pub(crate) expect_prefix: String,
    pub(crate) expect: Expectation,
    /// Messages that are no reply are no errors.
    pub(crate) ignore_unasked: bool,
    /// What each connection sends before the load.
    pub(crate) first: Option<Template>,
    pub(crate) deflate: bool,
    /// Time between two openings, over all threads. Zero opens all connections at once.
    pub(crate) opening_gap: Duration,
    /// Each connection sends as soon as it is open.
    pub(crate) starts_while_opening: bool,
    /// Lost connections are opened again.
    pub(crate) reconnect: bool,
    /// Messages that cross the Close of a server that stops are sent again.
    pub(crate) resend: bool,
    /// When the load starts; `None` as soon as all connections are settled.
    pub(crate) start_at: Option<StartAt>,
    pub(crate) warmup: Duration,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) drain: Duration,
    pub(crate) abort_on: Vec<Assertion>,
    pub(crate) output: OutputArgs,
}

impl Plan {
    /// Checks the options, reads the files they name, and resolves the host.
    ///
    /// # Errors
    ///
    /// Returns an error if options are invalid, a file cannot be read or the host has no address.
    pub fn new(args: LoadArgs) -> Result<Self, LoadError> {
        let inputs = [
            ("--file", args.message.file.as_deref().filter(|path| !is_standard_input(path))),
            ("--header-file", args.connect.header_file.as_deref()),
            ("--token-file", args.connect.token_file.as_deref()),
            ("--cacert", args.connect.cacert.as_deref()),
            ("--cert", args.connect.cert.as_deref()),
            ("--key", args.connect.key.as_deref()),
        ];
        let inputs: Vec<_> = inputs.into_iter().filter_map(|(option, path)| Some((option, path?))).collect();
        args.output.check_names(&inputs)?;
        let pace = pace(&args);
        let mode = mode(&args, pace.as_ref());
        if !args.find.is_empty() && args.message.file.as_deref().is_some_and(is_standard_input) {
            return Err(LoadError::Usage(
                "--find reads --file at each step: standard input has it once".into(),
            ));
        }
        if args.threads > args.connections {
            return Err(LoadError::Usage(
                "more --threads than --connections: some threads would have nothing to do".into(),
            ));
        }
        if args.arrivals == Arrivals::Poisson && pace.is_none() {
            return Err(LoadError::Usage("--arrivals poisson needs --rate or --stages".into()));
        }
        check_expectation(&args, mode)?;
        check_directions(&args, mode)?;
        if args.connect.reconnect && !args.connect.churn && args.messages.is_some() && args.duration.is_none()
        {
            return Err(LoadError::Usage(
                "--reconnect with --messages needs --duration: without a server the run would not end".into(),
            ));
        }
        // After the checks of all options, and before that of files and of the host: scripts/load-fleet checks
        // the options of other machines with a time in the past.
        if let Some(start_at) = args.start_at {
            start_at.check()?;
        }
        for (option, path) in inputs {
            fs::metadata(path).map_err(|error| LoadError::named(option, path, error))?;
        }
        let (default_duration, default_warmup) = if args.find.is_empty() {
            (DEFAULT_DURATION, Duration::ZERO)
        } else {
            (STEP_DURATION, STEP_WARMUP)
        };
        let duration =
            if args.messages.is_some() { args.duration } else { args.duration.or(Some(default_duration)) };
        let duration = args.stages.as_ref().map(Stages::duration).or(duration);
        let opening_gap = match (args.connect.ramp, args.connect.connect_rate) {
            (Some(ramp), _) => ramp / args.connections,
            (_, Some(rate)) => Duration::from_nanos(1_000_000_000 / rate),
            _ => Duration::ZERO,
        };
        let fan_out = args.fan_out.map(|senders| FanOut { senders, to_sender: !args.not_to_sender });
        let target_options = TargetOptions {
            connect: args.connect.clone(),
            route: args.route.clone(),
            deflate: args.message.deflate,
            is_elsewhere: false,
        };
        let target = Target::new(&args.url.clone().unwrap_or_default(), target_options)?;
        let (payloads, first) = (payloads(&args, &target)?, first_message(&args, &target)?);
        if fan_out.is_some() && !payloads.have_identities() {
            return Err(LoadError::Usage(
                "--fan-out needs messages of at least 14 bytes, which contain their numbers: see --size"
                    .into(),
            ));
        }
        let is_sending = args.one_way == Some(OneWay::Send);
        Ok(Self {
            target,
            follow: args.route.follow,
            connections: args.connections,
            threads: args.threads,
            depth: numbers::u64_to_usize(u64::from(args.depth)),
            mode,
            pace: pace.unwrap_or_default(),
            duration,
            messages: args.messages,
            fan_out,
            payloads,
            expect_prefix: args.message.expect_prefix,
            expect: if is_sending { Expectation::None } else { args.message.expect },
            ignore_unasked: args.message.ignore_unasked,
            first,
            deflate: args.message.deflate,
            opening_gap,
            starts_while_opening: mode == Mode::Closed
                && args.connect.ramp.is_some()
                && args.start_at.is_none(),
            // A connection of --churn is opened again in any case.
            reconnect: args.connect.reconnect && !args.connect.churn,
            resend: args.connect.reconnect,
            start_at: args.start_at,
            warmup: args.warmup.unwrap_or(default_warmup),
            timeout: args.timeout,
            connect_timeout: args.connect.connect_timeout,
            drain: args.drain,
            abort_on: args.abort_on,
            output: args.output,
        })
    }

    /// Returns the number of connections that send.
    pub(crate) fn senders(&self) -> u32 {
        self.fan_out.map_or(self.connections, |fan_out| fan_out.senders)
    }

    /// Raises the soft limit of open files to what the run needs. Fails if the hard limit is lower.
    pub(crate) fn raise_limit(&self) -> Result<(), LoadError> {
        let needed = u64::from(self.connections)
            + u64::from(self.threads) * DESCRIPTORS_PER_THREAD
            + OTHER_DESCRIPTORS;
        // A connection can try several addresses at once. It does without if there are no descriptors left.
        let spare = if self.target.endpoints.len() > 1 { u64::from(self.connections) } else { 0 };
        let limit = rlimit::increase_nofile_limit(needed + spare)
            .map_err(LoadError::system("raise the limit of open files"))?;
        if limit < needed { Err(LoadError::Descriptors { needed, limit }) } else { Ok(()) }
    }
}

fn mode(args: &LoadArgs, pace: Option<&Pace>) -> Mode {
    match (pace, args.one_way) {
        _ if args.connect.churn => Mode::Churn,
        _ if args.connect.hold => Mode::Hold,
        (_, Some(OneWay::Receive)) => Mode::Receive,
        (Some(pace), _) => Mode::Rate(pace.rate),
        (None, Some(OneWay::Send)) => Mode::Send,
        (None, None) => Mode::Closed,
    }
}

/// Fails if `--one-way` or `--fan-out` contradicts another option.
fn check_directions(args: &LoadArgs, mode: Mode) -> Result<(), LoadError> {
    let has_reply = !args.message.expect.is_echo() || !args.message.expect_prefix.is_empty();
    let has_load = args.rate.is_some() || args.stages.is_some() || args.messages.is_some();
    let problem = match (mode, args.fan_out) {
        (Mode::Churn, _) if args.rate.is_some() || args.stages.is_some() => {
            "--churn sends one message on each connection: use --connect-rate instead of --rate and --stages"
        }
        (_, Some(_)) if args.connect.reconnect => {
            "--fan-out needs members that stay: remove --reconnect; a restart is measured without --fan-out"
        }
        (Mode::Receive, _) if has_load => {
            "--one-way receive sends nothing: remove --rate, --stages and --messages"
        }
        (Mode::Receive, _) => return Ok(()),
        _ if args.one_way == Some(OneWay::Send) && has_reply => "--one-way send expects no replies",
        (_, None) => return Ok(()),
        (Mode::Rate(_), Some(senders)) if senders > args.connections => {
            "--fan-out has more senders than --connections"
        }
        (Mode::Rate(_), Some(_)) if args.message.expect.is_echo() => return Ok(()),
        (Mode::Rate(_), Some(_)) => "--fan-out expects the messages themselves: remove --expect",
        (_, Some(_)) => "--fan-out needs --rate or --stages",
    };
    Err(LoadError::Usage(problem.into()))
}

/// Fails if the expected replies contradict another option.
fn check_expectation(args: &LoadArgs, mode: Mode) -> Result<(), LoadError> {
    let message = &args.message;
    let problem = match message.expect {
        Expectation::None if !matches!(mode, Mode::Rate(_) | Mode::Hold) => {
            "--expect none needs --rate or --stages: replies set the pace of a closed loop"
        }
        Expectation::Echo => return Ok(()),
        _ if !message.expect_prefix.is_empty() => "--expect-prefix is for --expect echo",
        _ => return Ok(()),
    };
    Err(LoadError::Usage(problem.into()))
}

/// Returns the rate over time. `None` without `--rate` and `--stages`.
fn pace(args: &LoadArgs) -> Option<Pace> {
    let (arrivals, seed) = (args.arrivals, args.message.seed);
    match (args.rate, &args.stages) {
        (_, Some(stages)) => Some(Pace {
            rate: stages.mean().max(1),
            peak: stages.peak().max(1),
            stages: Some(Arc::new(stages.clone())),
            arrivals,
            seed,
        }),
        (Some(rate), None) => Some(Pace { rate, peak: rate, stages: None, arrivals, seed }),
        (None, None) => None,
    }
}

fn payloads(args: &LoadArgs, target: &Target) -> Result<Payloads, LoadError> {
    let message = &args.message;
    let kind = if message.binary { MessageKind::Binary } else { MessageKind::Text };
    let (origin, messages) = match (&message.file, &message.text) {
        (Some(path), _) => {
            let messages = input_files::messages(path, message.file_format, kind == MessageKind::Text)?;
            let unit = if message.file_format == FileFormat::Lines { "lines" } else { "messages" };
            let name =
                if is_standard_input(path) { "standard input".into() } else { path.display().to_string() };
            (format!("the {} {unit} of {name}", messages.len()), messages)
        }
        (None, Some(text)) => (format!("{} bytes given", text.len()), vec![text.clone().into_bytes()]),
        (None, None) => {
            let source = PayloadSource::Generated { sizes: message.size.clone(), seed: message.seed };
            return Ok(Payloads::new(source, kind));
        }
    };
    if !args.connect.template {
        return Ok(Payloads::new(PayloadSource::Given { origin, messages }, kind));
    }
    let templates: Vec<_> = messages.iter().map(|message| Template::parse(message)).collect();
    let tokens = &target.fields.tokens;
    templates.iter().try_for_each(|template| tokens.check(template))?;
    let nonce = Random::new().next_u64();
    let source = PayloadSource::Templates { origin, templates, tokens: Arc::clone(tokens), nonce };
    Ok(Payloads::new(source, kind))
}

/// Returns the message of `--first`.
fn first_message(args: &LoadArgs, target: &Target) -> Result<Option<Template>, LoadError> {
    let Some(text) = &args.message.first else { return Ok(None) };
    let first = if args.connect.template {
        Template::parse(text.as_bytes())
    } else {
        Template::literal(text.as_bytes())
    };
    target.fields.tokens.check(&first)?;
    Ok(Some(first))
}
