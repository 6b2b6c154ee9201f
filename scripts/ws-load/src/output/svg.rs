//! Small line charts as inline SVG. Their colours come from the page's style sheet, so that they follow the
//! light or dark theme. A drawing library would write its own colours and fonts into every element.

use crate::{
    numbers,
    text::{self, escape},
};
use std::fmt::Write;

/// Size and margins in the units of the drawing. The page scales it.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 34.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// Approximate number of ticks of a linear axis.
const TICKS: f64 = 5.0;
/// Smallest distance of two labels of the x axis, and of the y axis. Labels are larger on a small screen.
const LABEL_GAP: f64 = 56.0;
const LABEL_HEIGHT: f64 = 18.5;

/// One axis of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    /// Value and label of each grid line.
    ticks: Vec<(f64, String)>,
    title: &'static str,
    logarithmic: bool,
}

impl Axis {
    /// Creates an axis from zero to `high`, in round steps.
    pub(crate) fn linear(high: f64, title: &'static str) -> Self {
        // Without data.
        let high = if high > 0.0 { high } else { 1.0 };
        let step = round_up(high / TICKS);
        let count = numbers::f64_to_u64((high / step).ceil()).max(1);
        let ticks: Vec<_> = (0..=count)
            .map(|tick| numbers::u64_to_f64(tick) * step)
            .map(|value| (value, number(value)))
            .collect();
        Self { low: 0.0, high: numbers::u64_to_f64(count) * step, ticks, title, logarithmic: false }
    }

    /// Creates a time axis from zero to exactly `high` seconds.
    pub(crate) fn seconds(high: f64, title: &'static str) -> Self {
        let mut axis = Self::linear(high, title);
        axis.high = high.max(1e-9);
        axis.ticks.retain(|(value, _)| *value <= high);
        axis
    }

    /// Creates a logarithmic axis of nanoseconds, in steps of 1, 2 and 5, or of ten.
    pub(crate) fn durations(low: f64, high: f64, title: &'static str) -> Self {
        let (low, high) = (low.max(1.0), high.max(low.max(1.0) * 1.01));
        let is_wide = high / low > 300.0;
        let factors: &[f64] = if is_wide { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let steps = (0..12).flat_map(|decade| factors.iter().map(move |factor| factor * 10_f64.powi(decade)));
        let steps: Vec<f64> = steps.collect();
        let low = steps.iter().copied().rfind(|step| *step <= low).unwrap_or(low);
        let high = steps.iter().copied().find(|step| *step >= high).unwrap_or(high);
        let ticks = steps
            .iter()
            .filter(|step| (low..=high).contains(*step))
            .map(|step| (*step, short_time(*step)))
            .collect();
        Self { low, high, ticks, title, logarithmic: true }
    }

    /// Creates an axis of percentiles, up to the one that `count` values can resolve. Each additional nine
    /// has the same width. A value is 1 / (1 - quantile).
    pub(crate) fn percentiles(count: u64, title: &'static str) -> Self {
        let high = numbers::u64_to_f64(count).max(100.0);
        let ticks = [(1.0, "0"), (2.0, "50 %"), (10.0, "90 %"), (100.0, "99 %"), (1e3, "99.9 %")];
        let more = [(1e4, "99.99 %"), (1e5, "99.999 %"), (1e6, "99.9999 %")];
        let ticks = ticks
            .into_iter()
            .chain(more)
            .filter(|(value, _)| *value <= high)
            .map(|(value, label)| (value, label.to_owned()))
            .collect();
        Self { low: 1.0, high, ticks, title, logarithmic: true }
    }

    /// Returns the position of `value` on the axis, from 0 to 1.
    fn position(&self, value: f64) -> f64 {
        let position = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        position.clamp(0.0, 1.0)
    }
}

/// One line of a chart.
#[derive(Debug)]
pub(crate) struct ChartLine {
    pub(crate) name: &'static str,
    /// The class in the style sheet.
    pub(crate) class: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Draws `lines`, with a legend if there are several.
pub(crate) fn chart(title: &str, x: &Axis, y: &Axis, lines: &[ChartLine]) -> String {
    let mut svg = String::new();
    let names: Vec<&str> = lines.iter().map(|line| line.name).collect();
    let label = format!("{title}: {}", names.join(", "));
    // Writing into a string cannot fail.
    let _ = write!(
        svg,
        "<figure><figcaption><b>{}</b>{}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(title),
        legend(lines),
        escape(&label)
    );
    grid(&mut svg, x, y);
    for line in lines {
        let points: Vec<String> = line
            .points
            .iter()
            .map(|(px, py)| format!("{:.1},{:.1}", x_position(x, *px), y_position(y, *py)))
            .collect();
        let _ = match &points[..] {
            [point] => {
                let (cx, cy) = point.split_once(',').unwrap_or_default();
                write!(svg, "<circle class=\"{}\" cx=\"{cx}\" cy=\"{cy}\" r=\"3\"/>", line.class)
            }
            _ => write!(svg, "<polyline class=\"{}\" points=\"{}\"/>", line.class, points.join(" ")),
        };
    }
    svg.push_str("</svg></figure>");
    svg
}

fn legend(lines: &[ChartLine]) -> String {
    if lines.len() < 2 {
        return String::new();
    }
    lines.iter().fold(String::new(), |mut html, line| {
        let _ = write!(html, " <span class=\"key {}\">{}</span>", line.class, escape(line.name));
        html
    })
}

fn grid(svg: &mut String, x: &Axis, y: &Axis) {
    let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut last = f64::INFINITY;
    for (value, label) in &y.ticks {
        let at = y_position(y, *value);
        let _ =
            write!(svg, "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
        if last - at >= LABEL_HEIGHT {
            let (x, y) = (left - 6.0, at + 4.0);
            let _ = write!(svg, "<text class=\"y\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(label));
            last = at;
        }
    }
    let mut last = f64::NEG_INFINITY;
    for (value, label) in &x.ticks {
        let at = x_position(x, *value);
        let _ =
            write!(svg, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
        if at - last >= LABEL_GAP {
            let _ = write!(
                svg,
                "<text class=\"x\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
                bottom + 16.0,
                escape(label)
            );
            last = at;
        }
    }
    let middle = f64::midpoint(left, right);
    let _ = write!(
        svg,
        "<text class=\"x\" x=\"{middle:.1}\" y=\"{:.1}\">{}</text>",
        HEIGHT - 10.0,
        escape(x.title)
    );
    let _ = write!(svg, "<title>{} by {}</title>", escape(y.title), escape(x.title));
}

fn x_position(x: &Axis, value: f64) -> f64 {
    LEFT + x.position(value) * (WIDTH - LEFT - RIGHT)
}

fn y_position(y: &Axis, value: f64) -> f64 {
    HEIGHT - BOTTOM - y.position(value) * (HEIGHT - TOP - BOTTOM)
}

/// Returns the smallest of 1, 2, 5, 10, 20, 50 and so on that is at least `value`.
fn round_up(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors.into_iter().find(|factor| factor * decade >= value * 0.999).unwrap_or(10.0) * decade
}

fn number(value: f64) -> String {
    if value < 10.0 && value.fract().abs() > 1e-9 {
        return format!("{value:.1}");
    }
    text::grouped(numbers::f64_to_u64(value))
}

/// Formats a time without trailing zeros: `500 µs`.
fn short_time(nanos: f64) -> String {
    let text = text::time(numbers::f64_to_u64(nanos));
    let Some((digits, unit)) = text.split_once(' ') else { return text };
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn svg_axes_are_round_and_contain_their_data() {
        let axis = Axis::linear(47_300.0, "rate");
        assert_eq!(axis.ticks.last().map(|(_, label)| label.as_str()), Some("50,000"));
        let axis = Axis::durations(83_000.0, 9_600_000.0, "latency");
        let labels: Vec<_> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["50 µs", "100 µs", "200 µs", "500 µs", "1 ms", "2 ms", "5 ms", "10 ms"]);
        assert!((axis.position(50_000.0), axis.position(10_000_000.0)) == (0.0, 1.0));
    }

    #[test]
    fn svg_chart_without_data_is_well_formed() {
        let axis = Axis::linear(0.0, "nothing");
        let svg = chart("Empty", &axis, &axis, &[ChartLine { name: "n", class: "a", points: vec![] }]);
        assert!(svg.starts_with("<figure>") && svg.ends_with("</figure>") && !svg.contains("NaN"), "{svg}");
    }
}
