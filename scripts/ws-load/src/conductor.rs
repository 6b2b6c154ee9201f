//! The run as a whole: starts the threads, sets the timeline when all connections are settled, gathers the figures.

use super::{
    context::Shared,
    driver::Driver,
    error::LoadError,
    gather::Gather,
    interval::Report,
    plan::{Mode, Plan},
    schedule::Timeline,
    series::Series,
    stats::{Count, Recorder},
};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use mio::Waker;
use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Reports that may wait for each thread; a thread whose place is taken keeps its figures for the next time.
const WAITING_REPORTS: usize = 4;
/// How much later than the moment of the decision the load starts, so that every thread has heard of it.
const START_DELAY: Duration = Duration::from_millis(20);

/// What a run gathered.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) total: Recorder,
    pub(super) series: Series,
    /// How long was measured.
    pub(super) measured: Duration,
    /// From the start of the run until the last connection was open.
    pub(super) opening: Duration,
    /// How much of the measured time the threads were at work, of all they had.
    pub(super) busy: f64,
    /// The most connections that were open at once.
    pub(super) peak_open: u32,
    /// Connections open when the measured time ended.
    pub(super) open_at_end: u32,
    /// The user ended it.
    pub(super) interrupted: bool,
}

/// What is shown or written while the run goes on.
pub(super) trait Watch {
    /// The load starts at the timeline's start.
    fn started(&mut self, timeline: &Timeline, epoch: Instant);
    /// A second has passed, with its figures over all threads.
    fn second(&mut self, second: &Second);
}

/// The figures of one second over all threads.
#[derive(Debug)]
pub(super) struct Second {
    pub(super) start: Duration,
    pub(super) end: Duration,
    /// The part of it that lies within the measured time.
    pub(super) measured: Option<(Duration, Duration)>,
    pub(super) recorder: Recorder,
    pub(super) open: u32,
    pub(super) in_flight: u64,
    /// Errors since the start of the run.
    pub(super) errors: u64,
}

/// Runs `plan` until it is over, or `stop` says so.
pub(super) fn run(plan: Plan, stop: &Receiver<()>, watch: &mut dyn Watch) -> Result<Outcome, LoadError> {
    let shared = Arc::new(Shared::new(plan));
    let threads = usize::try_from(shared.plan.threads).unwrap_or(1);
    let (reports, inbox) = bounded(threads * WAITING_REPORTS);
    let crew = Crew::start(&shared, &reports)?;
    drop(reports);
    let mut conductor = Conductor {
        gather: Gather::new(threads),
        shared,
        crew,
        settled: 0,
        done: 0,
        timeline: None,
        interrupted: false,
        error: None,
    };
    conductor.follow(&inbox, stop, watch);
    conductor.finish(watch)
}

/// The threads, and what wakes each of them.
struct Crew {
    handles: Vec<JoinHandle<()>>,
    wakers: Vec<Waker>,
}

impl Crew {
    fn start(shared: &Arc<Shared>, reports: &Sender<Report>) -> Result<Self, LoadError> {
        let mut crew = Self { handles: Vec::new(), wakers: Vec::new() };
        let mut drivers = Vec::new();
        for index in 0..shared.plan.threads {
            let driver = Driver::new(Arc::clone(shared), index, reports.clone())?;
            crew.wakers.push(driver.waker()?);
            drivers.push(driver);
        }
        for (index, driver) in drivers.into_iter().enumerate() {
            let started = thread::Builder::new().name(format!("load-{index}")).spawn(|| driver.run());
            match started {
                Ok(handle) => crew.handles.push(handle),
                Err(source) => {
                    shared.stop();
                    crew.wake();
                    return Err(LoadError::System { action: "start a thread", source });
                }
            }
        }
        Ok(crew)
    }

    fn wake(&self) {
        for waker in &self.wakers {
            // One that cannot be woken comes round at its next tick.
            let _ = waker.wake();
        }
    }
}

struct Conductor {
    shared: Arc<Shared>,
    crew: Crew,
    gather: Gather,
    settled: usize,
    done: usize,
    timeline: Option<Timeline>,
    interrupted: bool,
    /// The first thing that went wrong; the threads are stopped, and then it is returned.
    error: Option<LoadError>,
}

impl Conductor {
    /// Follows the run to its end.
    fn follow(&mut self, inbox: &Receiver<Report>, stop: &Receiver<()>, watch: &mut dyn Watch) {
        let never = crossbeam_channel::never();
        let mut stop = stop;
        while self.done < self.crew.handles.len() {
            let result = select! {
                recv(inbox) -> report => match report {
                    Ok(report) => self.take(report, watch),
                    // Every thread says that it is done before it goes; this is for one that panicked.
                    Err(_) => break,
                },
                recv(stop) -> word => {
                    self.interrupted = word.is_ok();
                    stop = &never;
                    if word.is_ok() { self.stop_threads(); }
                    Ok(())
                },
            };
            if let Err(error) = result {
                self.error.get_or_insert(error);
                self.stop_threads();
            }
        }
    }

    fn stop_threads(&self) {
        self.shared.stop();
        self.crew.wake();
    }

    fn take(&mut self, report: Report, watch: &mut dyn Watch) -> Result<(), LoadError> {
        match report {
            Report::Interval(interval) => {
                self.gather.add(&interval);
                while let Some(second) = self.gather.complete() {
                    watch.second(&second);
                }
                self.check_reachable()
            }
            Report::Settled => {
                self.settled += 1;
                if self.settled == self.crew.handles.len() { self.begin(watch) } else { Ok(()) }
            }
            Report::Done(result) => {
                self.done += 1;
                result
            }
        }
    }

    /// All connections are open, or have failed: the load can start.
    fn begin(&mut self, watch: &mut dyn Watch) -> Result<(), LoadError> {
        let plan = &self.shared.plan;
        let counters = &self.gather.total.counters;
        if plan.mode != Mode::Churn && counters.get(Count::Opened) == 0 {
            return Err(self.unreachable());
        }
        let now = Instant::now();
        let timeline = Timeline::new(now + START_DELAY, plan.warmup, plan.duration);
        watch.started(&timeline, self.shared.epoch);
        self.timeline = Some(timeline);
        // Only this thread sets it, and only once.
        let _ = self.shared.timeline.set(timeline);
        self.crew.wake();
        Ok(())
    }

    /// A storm of connections none of which ever gets through is no measurement.
    fn check_reachable(&self) -> Result<(), LoadError> {
        let counters = &self.gather.total.counters;
        let hopeless = self.shared.plan.mode == Mode::Churn
            && counters.get(Count::Opened) == 0
            && counters.get(Count::Failed) >= u64::from(self.shared.plan.connections);
        if hopeless { Err(self.unreachable()) } else { Ok(()) }
    }

    fn unreachable(&self) -> LoadError {
        let counters = &self.gather.total.counters;
        let most = counters.reasons.iter().max_by_key(|(_, blame)| blame.number);
        let (reason, advice) =
            most.map_or(("no answer", ""), |(reason, blame)| (reason.as_str(), blame.advice));
        let reason = reason.to_owned();
        LoadError::Unreachable { url: self.shared.plan.target.url.clone(), reason, advice }
    }

    fn finish(mut self, watch: &mut dyn Watch) -> Result<Outcome, LoadError> {
        for handle in self.crew.handles.drain(..) {
            if handle.join().is_err() {
                let source = std::io::Error::other("a load thread panicked; please report this as a bug");
                self.error.get_or_insert(LoadError::System { action: "finish the run", source });
            }
        }
        while let Some(second) = self.gather.rest() {
            watch.second(&second);
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        Ok(self.gather.outcome(self.timeline.as_ref(), self.shared.epoch, self.interrupted))
    }
}
