//! The run as a whole: starts the threads, starts the load when all connections are settled, collects the
//! figures.

use super::{
    aggregate::Aggregate,
    interval::DriverReport,
    outcome::{FanOutOutcome, MetCondition, RunObserver, RunOutcome, SecondFigures},
    threads::Threads,
};
use crate::{
    connection::context::RunState,
    error::LoadError,
    stats::{
        assertion::{AssertInput, Doubt},
        counters::Count,
    },
    workload::{plan::Plan, send_schedule::Timeline},
};
use crossbeam_channel::{Receiver, bounded, select};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Capacity of the channel, in reports for each thread.
const REPORTS_PER_THREAD: usize = 4;
/// From the decision to start the load until it starts: longer than it takes to wake every thread.
const START_DELAY: Duration = Duration::from_millis(20);

/// Runs `plan`. Blocks until it is over, also if `stop` receives a message.
pub(crate) fn run(
    plan: Plan,
    stop: &Receiver<()>,
    observer: &mut dyn RunObserver,
) -> Result<RunOutcome, LoadError> {
    let run = Arc::new(RunState::new(plan));
    let threads = usize::try_from(run.plan.threads).unwrap_or(1);
    let (sender, reports) = bounded(threads * REPORTS_PER_THREAD);
    let driver_threads = Threads::start(&run, &sender)?;
    drop(sender);
    let mut coordinator = Coordinator {
        aggregate: Aggregate::new(threads),
        run,
        threads: driver_threads,
        settled: 0,
        done: 0,
        timeline: None,
        interrupted: false,
        aborted: None,
        ended: None,
        error: None,
    };
    coordinator.run_loop(&reports, stop, observer);
    coordinator.finish(observer)
}

struct Coordinator {
    run: Arc<RunState>,
    threads: Threads,
    aggregate: Aggregate,
    settled: usize,
    done: usize,
    timeline: Option<Timeline>,
    interrupted: bool,
    aborted: Option<MetCondition>,
    /// When one of these ended the run early.
    ended: Option<Instant>,
    /// The first error. It is returned when the threads have stopped.
    error: Option<LoadError>,
}

impl Coordinator {
    fn run_loop(
        &mut self,
        reports: &Receiver<DriverReport>,
        stop: &Receiver<()>,
        observer: &mut dyn RunObserver,
    ) {
        let never = crossbeam_channel::never();
        let mut stop = stop;
        while self.done < self.threads.handles.len() {
            let result = select! {
                recv(reports) -> report => match report {
                    Ok(report) => self.on_report(report, observer),
                    // A thread panicked: every other one sends `Done` before it ends.
                    Err(_) => break,
                },
                recv(stop) -> message => {
                    self.interrupted = message.is_ok();
                    stop = &never;
                    if message.is_ok() { self.end_early(); }
                    Ok(())
                },
            };
            if let Err(error) = result {
                self.error.get_or_insert(error);
                self.stop_threads();
            }
        }
    }

    fn end_early(&mut self) {
        self.ended.get_or_insert_with(Instant::now);
        self.stop_threads();
    }

    fn stop_threads(&self) {
        self.run.stop();
        self.run.wake();
    }

    fn on_report(&mut self, report: DriverReport, observer: &mut dyn RunObserver) -> Result<(), LoadError> {
        match report {
            DriverReport::Interval(interval) => {
                self.aggregate.add(&interval);
                while let Some(second) = self.aggregate.pop_complete() {
                    observer.on_second(&second);
                    self.check_abort(&second);
                }
                self.check_reachable()
            }
            DriverReport::Settled => {
                self.settled += 1;
                if self.settled == self.threads.handles.len() { self.start_load(observer) } else { Ok(()) }
            }
            DriverReport::Done(result) => {
                self.done += 1;
                result
            }
        }
    }

    /// Ends the run if a condition of `--abort-on` is true.
    fn check_abort(&mut self, second: &SecondFigures) {
        let rate = second.measured_rate();
        let input = AssertInput {
            total: &self.aggregate.total,
            rate,
            open: rate.map(|_| second.open),
            doubt: Doubt::None,
        };
        let met = self.run.plan.abort_on.iter().find_map(|condition| {
            Some(MetCondition { seen: condition.met_by(&input)?, expression: condition.to_string() })
        });
        if met.is_some() && self.aborted.is_none() {
            self.aborted = met;
            self.end_early();
        }
    }

    /// Sets the timeline. Fails if no connection could be opened.
    fn start_load(&mut self, observer: &mut dyn RunObserver) -> Result<(), LoadError> {
        let plan = &self.run.plan;
        let counters = &self.aggregate.total.counters;
        if !plan.mode.opens_in_measured_time() && counters.get(Count::Opened) == 0 {
            return Err(self.unreachable());
        }
        let soon = Instant::now() + START_DELAY;
        let start = plan.start_at.map_or(soon, |start_at| start_at.moment(soon));
        let timeline = Timeline::new(start, plan.warmup, plan.duration);
        observer.on_start(&timeline, self.run.epoch);
        self.timeline = Some(timeline);
        // Cannot fail: only this thread sets it, and only once.
        let _ = self.run.timeline.set(timeline);
        self.run.wake();
        Ok(())
    }

    /// Fails if a run that opens its connections in the measured time has failed to open as many as it has,
    /// and has opened none.
    fn check_reachable(&self) -> Result<(), LoadError> {
        let counters = &self.aggregate.total.counters;
        let unreachable = self.run.plan.mode.opens_in_measured_time()
            && counters.get(Count::Opened) == 0
            && counters.get(Count::Failed) >= u64::from(self.run.plan.connections);
        if unreachable { Err(self.unreachable()) } else { Ok(()) }
    }

    fn unreachable(&self) -> LoadError {
        let counters = &self.aggregate.total.counters;
        let most = counters.causes.iter().max_by_key(|(_, cause)| cause.number);
        let (reason, advice) = most.map_or_else(
            || ("no response".to_owned(), ""),
            |(reason, cause)| (format!("{reason}{}", cause.detail), cause.advice),
        );
        LoadError::Unreachable { url: self.run.plan.target.url.to_string(), reason, advice }
    }

    fn finish(mut self, observer: &mut dyn RunObserver) -> Result<RunOutcome, LoadError> {
        for handle in self.threads.handles.drain(..) {
            if handle.join().is_err() {
                let source = std::io::Error::other("a load thread panicked; please report this as a bug");
                self.error.get_or_insert(LoadError::System { action: "finish the run", source });
            }
        }
        while let Some(second) = self.aggregate.pop_next() {
            observer.on_second(&second);
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        let counters = &self.aggregate.total.counters;
        // All other modes check this before they start the load.
        let none_opened = counters.get(Count::Opened) == 0 && counters.get(Count::Attempted) > 0;
        if self.run.plan.mode.opens_in_measured_time() && none_opened && !self.interrupted {
            return Err(self.unreachable());
        }
        let unsent = self.unsent();
        self.aggregate.total.counters.add(Count::Unsent, unsent);
        let end = [self.ended, self.timeline.and_then(|timeline| timeline.end)];
        let without_service =
            self.run.plan.reconnect.then(|| {
                self.run.service.until(end.into_iter().flatten().fold(Instant::now(), Instant::min))
            });
        let fan_out = self
            .run
            .room
            .as_ref()
            .map(|room| FanOutOutcome { senders: room.fan_out.senders, is_same_order: room.is_same_order() });
        let (timeline, epoch) = (self.timeline.as_ref(), self.run.epoch);
        let mut outcome = self.aggregate.outcome(timeline, epoch, self.interrupted, without_service);
        (outcome.aborted, outcome.fan_out) = (self.aborted, fan_out);
        Ok(outcome)
    }

    /// Returns the number of messages of the schedule that were due and not sent.
    fn unsent(&self) -> u64 {
        let Some(timeline) = &self.timeline else { return 0 };
        let due = self.ended.zip(self.run.schedule(timeline));
        let due = due.map_or(u64::MAX, |(moment, schedule)| schedule.slots_before(moment));
        let due = due.min(self.run.slots(timeline));
        due.saturating_sub(self.aggregate.total.counters.get(Count::Sent))
    }
}
