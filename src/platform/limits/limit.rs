//! A limit, and the choice of a number that fits several.

use crate::error::{Error, Limited};

/// A limit of which each worker, or each connection, uses a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// Name of the limit, without its value.
    pub(super) name: String,
    pub(super) value: u64,
    /// What everything else uses.
    pub(super) reserved: u64,
    /// What one worker or one connection uses.
    pub(super) each: u64,
    /// Largest value that can be set.
    pub(super) ceiling: u64,
    /// A command that sets the limit: the parts before and behind the value.
    pub(super) raise_command: (String, String),
    /// Number of connections that may wait for a place, if each uses one of the limit and `reserved` includes
    /// them.
    pub(super) waiting: u64,
}

impl Limit {
    /// Returns how many fit.
    fn allowed(&self) -> u64 {
        self.value.saturating_sub(self.reserved) / self.each
    }

    /// Returns a command after which `count` fit. Returns `None` if the kernel accepts no such value.
    fn command_for(&self, count: u64) -> Option<String> {
        let needed = count.saturating_mul(self.each).saturating_add(self.reserved);
        let (before, behind) = &self.raise_command;
        (needed <= self.ceiling).then(|| format!("{before}{needed}{behind}"))
    }

    /// Returns numbers of connections, at most `count`, and of waiting ones that fit together. Returns `None`
    /// if a shorter queue makes no place for connections.
    fn with_shorter_queue(&self, count: u64) -> Option<(u64, u64)> {
        let free = self.value.saturating_sub(self.reserved.saturating_sub(self.waiting));
        // A quarter is for the queue.
        let count = count.min(free - free / 4);
        (count > 0 && self.waiting > 0).then_some((count, self.waiting.min(free - count)))
    }
}

/// A number of workers or connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// The number.
    pub count: usize,
    /// A sentence for the operator, if the limits allow only few.
    pub warning: Option<String>,
}

impl From<usize> for Fitted {
    fn from(count: usize) -> Self {
        Self { count, warning: None }
    }
}

/// Returns `requested`, or without it `default` lowered to what the limits allow, with a warning if that is
/// less than `warn_below`.
///
/// # Errors
/// [`Error::TooMany`] if the limits allow less than `requested`, or none at all.
pub(super) fn choose(
    what: Limited,
    requested: Option<usize>,
    default: usize,
    warn_below: usize,
    mut limits: Vec<Limit>,
) -> Result<Fitted, Error> {
    let count = requested.unwrap_or(default);
    limits.retain(|limit| limit.allowed() < count as u64);
    limits.sort_by_key(Limit::allowed);
    let Some(tightest) = limits.first() else { return Ok(count.into()) };
    let allowed = usize::try_from(tightest.allowed()).unwrap_or(usize::MAX);
    let explanation = explain(&limits);
    // A default that is high because waiting connections cost little is no reason to raise limits so far.
    let worth_raising_to = requested.unwrap_or(count.min(warn_below));
    let raise = raise_advice(&limits, worth_raising_to as u64);
    if requested.is_none() && allowed > 0 {
        let raise = raise.map(|raise| format!("; {raise}")).unwrap_or_default();
        let warning =
            (allowed < warn_below).then(|| format!("{allowed} {what} at most: {explanation}{raise}"));
        return Ok(Fitted { count: allowed, warning });
    }
    let smaller = match allowed {
        0 => tightest
            .with_shorter_queue(count as u64)
            .filter(|(count, _)| limits[1..].iter().all(|limit| limit.allowed() >= *count))
            .map(|(count, waiting)| format!("use --{what} {count} --waiting {waiting}")),
        _ => Some(format!("use --{what} {allowed}")),
    };
    let advice: Vec<_> = smaller.into_iter().chain(raise).collect();
    Err(Error::TooMany { what, requested, allowed, explanation, advice: advice.join(", or ") })
}

/// Returns how many each limit allows.
fn explain(limits: &[Limit]) -> String {
    let sentences = limits.iter().map(|limit| {
        let Limit { name, value, waiting, .. } = limit;
        let allowed = match limit.allowed() {
            0 => "none".to_owned(),
            count => count.to_string(),
        };
        let beside = if *waiting > 0 { format!(" beside --waiting {waiting}") } else { String::new() };
        format!("{name} ({value}) allows {allowed}{beside}")
    });
    sentences.collect::<Vec<_>>().join(", ")
}

/// Returns how to raise the limits so that `count` fit. Returns `None` if one cannot be raised so far.
fn raise_advice(limits: &[Limit], count: u64) -> Option<String> {
    let commands: Vec<_> = limits.iter().map(|limit| limit.command_for(count)).collect::<Option<_>>()?;
    let noun = if commands.len() == 1 { "limit" } else { "limits" };
    let commands: Vec<_> = commands.iter().map(|command| format!("`{command}`")).collect();
    Some(format!("raise the {noun} with {}", commands.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::limits::system::kernel_setting;

    fn limit(name: &str, allowed: u64) -> Limit {
        kernel_setting(name, allowed + 5, 5, 1000)
    }

    fn error_of(requested: Option<usize>, limits: Vec<Limit>) -> String {
        choose(Limited::Workers, requested, 900, 900, limits).unwrap_err().to_string()
    }

    #[test]
    fn requested_workers_start_or_fail_with_the_tightest_limit_first() {
        let limits = || vec![limit("wide", 20), limit("tight", 10), limit("widest", 2000)];
        assert_eq!(choose(Limited::Workers, Some(10), 900, 900, limits()).unwrap(), 10.into());
        assert_eq!(
            error_of(Some(30), limits()),
            "cannot start 30 workers: tight (15) allows 10, wide (25) allows 20; use --workers 10, \
             or raise the limits with `sysctl -w tight=35` and `sysctl -w wide=35`"
        );
        assert_eq!(
            error_of(Some(15), limits()),
            "cannot start 15 workers: tight (15) allows 10; use --workers 10, \
             or raise the limit with `sysctl -w tight=20`"
        );
        let impossible = error_of(Some(996), limits());
        assert!(impossible.ends_with("; use --workers 10"), "1000 is the largest value: {impossible}");
    }

    #[test]
    fn default_is_lowered_to_the_limit() {
        let lowered = choose(Limited::Workers, None, 900, 900, vec![limit("tight", 10)]).unwrap();
        assert_eq!(lowered.count, 10);
        let warning = "10 workers at most: tight (15) allows 10; raise the limit with `sysctl -w tight=905`";
        assert_eq!(lowered.warning.as_deref(), Some(warning));
        let lowered = choose(Limited::Workers, None, 900, 5, vec![limit("tight", 10)]).unwrap();
        assert_eq!(lowered, 10.into(), "not few");
        assert_eq!(choose(Limited::Workers, None, 900, 900, Vec::new()).unwrap(), 900.into());
        assert_eq!(
            error_of(None, vec![limit("tight", 0)]),
            "cannot start workers: tight (5) allows none; raise the limit with `sysctl -w tight=905`"
        );
    }

    #[test]
    fn queue_is_shortened_if_it_leaves_no_place_for_connections() {
        let files = |value| Limit { waiting: 128, ..kernel_setting("files", value, 128 + 64, 2000) };
        let error_of = |requested, value| {
            choose(Limited::Connections, requested, 900, 900, vec![files(value)]).unwrap_err().to_string()
        };
        let error = error_of(None, 104);
        let words = "files (104) allows none beside --waiting 128; use --connections 30 --waiting 10, or";
        assert!(error.contains(words), "{error}");
        let error = error_of(Some(7), 104);
        assert!(error.contains("; use --connections 7 --waiting 33, or"), "{error}");
        for too_few in [0, 64] {
            let error = error_of(None, too_few);
            assert!(!error.contains("use --connections"), "{error}");
        }
    }
}
