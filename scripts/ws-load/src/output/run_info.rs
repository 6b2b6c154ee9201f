//! What a report contains of the plan.

use crate::workload::{arrivals::Arrivals, mode::Mode, plan::Plan};
use std::{collections::BTreeMap, time::Duration};

/// What a report contains of the plan. Copied from it, because the run consumes the plan.
#[derive(Debug)]
pub(crate) struct RunInfo {
    pub(crate) url: String,
    pub(crate) mode: Mode,
    /// The highest rate, if the mode has a rate.
    pub(crate) peak_rate: u64,
    pub(crate) connections: u32,
    pub(crate) depth: u32,
    pub(crate) options: BTreeMap<&'static str, String>,
}

impl RunInfo {
    pub(crate) fn from_plan(plan: &Plan) -> Self {
        let time = |duration: Duration| humantime::format_duration(duration).to_string();
        let load = match plan.mode {
            Mode::Closed => "closed loop".to_owned(),
            Mode::Rate(rate) => {
                let stages = plan.pace.stages.as_ref().map_or_else(|| rate.to_string(), ToString::to_string);
                let random = if plan.pace.arrivals == Arrivals::Poisson { ", random" } else { "" };
                format!("{stages} messages/s{random}")
            }
            Mode::Churn => "connect, echo, close".to_owned(),
            Mode::Hold => "idle connections".to_owned(),
        };
        let mut options = BTreeMap::from([
            ("load", load),
            ("connections", plan.connections.to_string()),
            ("threads", plan.threads.to_string()),
            ("depth", plan.depth.to_string()),
            ("warm-up", time(plan.warmup)),
            ("reply time-out", time(plan.timeout)),
        ]);
        if plan.mode != Mode::Hold {
            options.insert("messages", plan.payloads.describe());
        }
        if let Some(duration) = plan.duration {
            options.insert("duration", time(duration));
        }
        if let Some(messages) = plan.messages {
            options.insert("number", messages.to_string());
        }
        if !plan.expect_prefix.is_empty() {
            options.insert("expected prefix", plan.expect_prefix.escape_debug().to_string());
        }
        if !plan.expect.is_echo() {
            options.insert("expected reply", plan.expect.to_string());
        }
        if plan.ignore_unasked {
            options.insert("unsolicited messages", "ignored".into());
        }
        if let Some(first) = &plan.first {
            options.insert("first message", first.escape_debug().to_string());
        }
        if plan.deflate {
            options.insert("permessage-deflate", "offered".into());
        }
        if !plan.target.redirects.is_empty() {
            options.insert("redirected from", plan.target.redirects.join(", "));
        }
        Self {
            url: plan.target.url.to_string(),
            mode: plan.mode,
            peak_rate: plan.pace.peak,
            connections: plan.connections,
            depth: u32::try_from(plan.depth).unwrap_or(u32::MAX),
            options,
        }
    }
}
