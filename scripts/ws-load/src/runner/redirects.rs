//! Follows redirects before the run, with one connection each (`--follow`). The connections are not counted.

use crate::{
    connection::{
        context::{DriverContext, RunState},
        open_scope::OpenScope,
        opening::{OpenStep, Opening},
    },
    error::LoadError,
    net::client_stream::Readiness,
    workload::plan::Plan,
};
use crossbeam_channel::Receiver;
use mio::{Events, Poll, Token};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

/// Time between two checks of the deadlines.
const TICK: Duration = Duration::from_millis(20);
/// The token of the only connection.
const TOKEN: Token = Token(0);

/// Replaces the target of `plan` by the one that its redirects lead to, `--follow` of them at most. Any other
/// response, and a message to `stop`, leaves it as it is: the run then reports what there is to report.
///
/// # Errors
/// If a redirect leads to an invalid URL or a host without an address, or the system provides no poll.
pub(crate) fn follow(mut plan: Plan, stop: &Receiver<()>) -> Result<Plan, LoadError> {
    for _ in 0..plan.follow {
        let run = Arc::new(RunState::new(plan));
        let location = probe(&run, stop)?;
        let Some(run) = Arc::into_inner(run) else {
            return Err(LoadError::system("follow a redirect")(io::ErrorKind::ResourceBusy.into()));
        };
        plan = run.plan;
        let Some(location) = location else { break };
        plan.target = plan.target.redirect(&location)?;
    }
    Ok(plan)
}

/// Opens one connection. Returns where it is redirected to. Blocks until it is open or has failed, at most
/// for the time-outs of opening.
fn probe(run: &Arc<RunState>, stop: &Receiver<()>) -> Result<Option<String>, LoadError> {
    let failed = LoadError::system("poll sockets");
    let mut poll = Poll::new().map_err(&failed)?;
    let mut events = Events::with_capacity(8);
    let mut ctx = DriverContext::new(Arc::clone(run), 0, 0);
    let Ok(mut opening) = Opening::start(&mut scope(&poll, &mut ctx)) else { return Ok(None) };
    while stop.is_empty() {
        match poll.poll(&mut events, Some(TICK)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(failed(error)),
            _ => {}
        }
        for event in &events {
            match opening.advance(&mut scope(&poll, &mut ctx), Readiness::from_event(event)) {
                Ok(OpenStep::Pending(next)) => opening = next,
                Ok(OpenStep::Open { mut protocol, .. }) => {
                    // The server may read it; there is no wait for its reply.
                    let _ = protocol.close(CloseFrame { code: CloseCode::Normal, reason: "".into() });
                    let _ = protocol.flush();
                    return Ok(None);
                }
                Err(failure) => return Ok(failure.redirect),
            }
        }
        let now = Instant::now();
        while ctx.pop_resumption(now).is_some() {
            if opening.resume(&mut scope(&poll, &mut ctx)).is_err() {
                return Ok(None);
            }
        }
        if let Some(failure) = opening.timed_out(now, run.plan.connect_timeout) {
            return Ok(failure.redirect);
        }
    }
    Ok(None)
}

fn scope<'a>(poll: &'a Poll, ctx: &'a mut DriverContext) -> OpenScope<'a> {
    let registry = poll.registry();
    OpenScope { registry, token: TOKEN, connection: 0, attempt: 0, ctx, now: Instant::now() }
}
