//! `/delay`: a slow line. Each message waits on its own, so many can be on their way at once.

use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::{Parameters, Plan, Setting};
use crate::conversation::Conversation;
use crate::ended::Ended;
use crate::random::Random;

/// `/delay`.
pub(super) fn plan(given: &Parameters, _: &Setting) -> Result<Plan, String> {
    let (delay, jitter) = (given.time("ms"), given.time("jitter"));
    if jitter > delay {
        return Err("jitter may be at most ms, since no echo comes before its message".to_owned());
    }
    Ok(Plan::talk(move |conversation| echo_later(conversation, delay, jitter)))
}

/// Echoes each message after `delay`, give or take `jitter`. None overtakes another.
fn echo_later(conversation: &mut Conversation, delay: Duration, jitter: Duration) -> Result<(), Ended> {
    let spread = u64::try_from(jitter.as_micros() * 2).unwrap_or(u64::MAX);
    let mut random = Random::new();
    let mut backlog = Backlog::default();
    let mut due = Instant::now();
    loop {
        let (arrived, message) = backlog.next(conversation)?;
        let wait = delay.saturating_sub(jitter) + Duration::from_micros(random.up_to(spread));
        due = due.max(arrived + wait);
        backlog.wait_until(due, conversation)?;
        conversation.send(&message)?;
    }
}
