//! The report of runs that were merged.

use super::{
    host_info::HostInfo,
    log_format::{LoggedTotals, utc},
    merged_logs::{MergedLogs, MergedRun},
    report::{Report, mib_per_second},
};
use crate::{numbers, text};
use std::time::Duration;

/// Merged runs that have less than this share of the longest one in common get a note.
const IN_COMMON: f64 = 0.9;

impl Report {
    /// Creates the report of merged runs. The generator's part is that of the worst run: a figure that is
    /// wrong in one run is wrong in the sum.
    pub(crate) fn of_logs(merged: MergedLogs) -> Self {
        let (common, longest) = merged.common_and_longest();
        let logs = &merged.logs;
        let totals = || logs.iter().map(|log| &log.totals);
        let mut urls: Vec<&str> = logs.iter().map(|log| log.run.url.as_str()).collect();
        urls.dedup();
        let machine = logs.first().map_or_else(HostInfo::detect, |log| log.run.machine.clone());
        let measured = Duration::from_nanos(longest);
        let mut report = Self::of_total(urls.join(", "), machine, merged.total, measured);
        report.options.insert("logs".into(), logs.len().to_string());
        report.ended = utc(totals().map(|totals| totals.span().1).max().unwrap_or(0));
        report.rate = totals().filter_map(LoggedTotals::rate).reduce(|sum, rate| sum + rate);
        report.mib_per_second = mib_per_second(report.rate, &report.total);
        report.started = utc(totals().map(|totals| totals.measured_from_ns).min().unwrap_or(0));
        report.rate_asked = logs.iter().map(|log| log.run.rate_asked).sum();
        report.rate_reached = totals().filter_map(|totals| totals.rate_reached).reduce(|all, run| all && run);
        report.opening_seconds = totals().filter_map(|totals| totals.opening_seconds).reduce(f64::max);
        report.interrupted = totals().any(|totals| totals.interrupted);
        report.open_at_end = totals().map(|totals| totals.open_at_end).sum();
        report.open_peak = totals().map(|totals| totals.open_peak).sum();
        let generator = &mut report.generator;
        generator.kept_schedule = totals().all(|totals| totals.kept_schedule);
        generator.sent_late = totals().any(|totals| totals.sent_late);
        generator.in_flight_limit = totals().find_map(|totals| totals.in_flight_limit);
        generator.saturated = totals().any(|totals| totals.saturated);
        generator.starved = totals().any(|totals| totals.starved);
        generator.waited = totals().filter_map(|totals| totals.waited).reduce(f64::max);
        generator.busy = totals().filter_map(|totals| totals.busy).reduce(f64::max);
        generator.cpu_user_seconds = totals().map(|totals| totals.cpu_user_seconds).sum();
        generator.cpu_system_seconds = totals().map(|totals| totals.cpu_system_seconds).sum();
        if numbers::u64_to_f64(common) < numbers::u64_to_f64(longest) * IN_COMMON {
            report.notes.push(format!(
                "measured together for only {} of {}: the rate is the sum of the rates of the runs.",
                text::time(common),
                text::time(longest)
            ));
        }
        report.runs = logs.iter().map(MergedRun::of).collect();
        report
    }
}
