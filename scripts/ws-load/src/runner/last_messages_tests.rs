//! The end of the load, in an order of the threads that a run meets seldom.

use super::{driver::Driver, interval::DriverReport, stage::Stage};
use crate::{
    connection::{context::RunState, load_connection::LoadConnection},
    stats::counters::Count,
    workload::{cli::LoadArgs, plan::Plan, send_schedule::Timeline},
};
use clap::{Args, Command, FromArgMatches};
use crossbeam_channel::unbounded;
use mio::Events;
use std::{
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// Echoes on the first connection, and ends the second one at once.
fn serve(listener: &TcpListener) {
    let mut first = tungstenite::accept(listener.accept().unwrap().0).unwrap();
    drop(tungstenite::accept(listener.accept().unwrap().0).unwrap());
    while let Ok(message) = first.read() {
        if !message.is_close() && first.send(message).is_err() {
            return;
        }
    }
}

/// Takes turns until a condition is true.
fn turn_until(driver: &mut Driver, is_true: impl Fn(&Driver) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut events = Events::with_capacity(16);
    while !is_true(driver) {
        assert!(Instant::now() < deadline, "thread in stage {:?}", driver.stage);
        driver.turn(&mut events, Instant::now()).unwrap();
    }
}

#[test]
fn messages_that_a_late_thread_leaves_at_the_end_of_the_load_are_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || serve(&listener));
    let line = ["ws-load", &url, "-c", "2", "-t", "2", "-d", "99", "--rate", "1000", "-D", "60ms"];
    let matches = LoadArgs::augment_args(Command::new("ws-load")).get_matches_from(line);
    let plan = Plan::new(LoadArgs::from_arg_matches(&matches).unwrap()).unwrap();
    let run = Arc::new(RunState::new(plan));
    let (sender, reports) = unbounded();
    let new_driver = |index| Driver::new(Arc::clone(&run), index, sender.clone()).unwrap();
    let (mut with_connection, mut without) = (new_driver(0), new_driver(1));
    run.wakers.set(vec![with_connection.waker().unwrap(), without.waker().unwrap()]).unwrap();
    turn_until(&mut with_connection, |driver| driver.ctx.open == 1);
    turn_until(&mut without, |driver| driver.connections.iter().all(LoadConnection::is_done));
    let timeline = Timeline::new(Instant::now(), Duration::ZERO, Some(Duration::from_millis(60)));
    run.timeline.set(timeline).unwrap();

    // This thread begins the load, and runs again when the other one has ended its own.
    without.advance(Instant::now());
    assert_eq!(without.stage, Stage::Running);
    turn_until(&mut with_connection, |driver| driver.stage == Stage::Draining);
    without.advance(Instant::now());
    assert_eq!(without.stage, Stage::Draining);
    turn_until(&mut with_connection, |driver| driver.stage == Stage::Closing);

    let handed_over = reports.try_iter().map(|report| match report {
        DriverReport::Interval(interval) => interval.recorder.counters.get(Count::Sent),
        DriverReport::Settled | DriverReport::Done(_) => 0,
    });
    let sent = handed_over.sum::<u64>() + with_connection.ctx.recorder.counters.get(Count::Sent);
    assert_eq!(sent, run.slots(&timeline));
    drop((with_connection, without));
    server.join().unwrap();
}
