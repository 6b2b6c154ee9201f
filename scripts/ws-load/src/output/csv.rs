//! The figures over time as CSV: one line for each point of the series.

use super::report::Report;
use std::fmt::Write;

/// Returns the whole file. A figure that was not measured is empty.
pub(crate) fn table(report: &Report) -> String {
    let mut csv = String::from("start_seconds,seconds,rate,p50_us,p99_us,max_us,errors\n");
    for point in &report.series {
        let latencies = [point.p50_us, point.p99_us, point.max_us]
            .map(|micros| micros.map_or_else(String::new, |micros| micros.to_string()));
        // Writing into a string cannot fail.
        let _ = writeln!(
            csv,
            "{:.3},{:.3},{:.1},{},{}",
            point.start_seconds,
            point.seconds,
            point.rate,
            latencies.join(","),
            point.errors
        );
    }
    csv
}
