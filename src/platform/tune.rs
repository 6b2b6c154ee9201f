//! Replaces tuning constants for a measurement: `WS_ECHO_TUNE=NAME=VALUE,...` (scripts/TUNING.md).

use std::sync::OnceLock;

use crate::error::Error;

/// The variable.
pub(crate) const VARIABLE: &str = "WS_ECHO_TUNE";

/// Values that replace constants; `None` keeps the constant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tuning {
    pub(crate) max_events: Option<usize>,
    pub(crate) turn_steps: Option<usize>,
    pub(crate) turn_bytes: Option<usize>,
    pub(crate) direct_write_min: Option<usize>,
    pub(crate) buffer_idle_ms: Option<usize>,
    pub(crate) large_read_buffer: Option<usize>,
    pub(crate) room_help_min: Option<usize>,
    pub(crate) room_part: Option<usize>,
    pub(crate) room_stalled_ms: Option<usize>,
}

static TUNING: OnceLock<Tuning> = OnceLock::new();

/// Reads the variable. Call once, before the server starts; without this call all constants keep their
/// values.
///
/// # Errors
/// [`Error::Tuning`] if the variable has an unknown name or a value that is not a number from 1 on.
pub fn read() -> Result<(), Error> {
    let Some(text) = std::env::var_os(VARIABLE) else { return Ok(()) };
    let tuning = parse(&text.to_string_lossy()).map_err(Error::Tuning)?;
    let _ = TUNING.set(tuning);
    Ok(())
}

/// Returns the values that replace constants.
pub(crate) fn tuning() -> &'static Tuning {
    TUNING.get_or_init(Tuning::default)
}

fn parse(text: &str) -> Result<Tuning, String> {
    let mut tuning = Tuning::default();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        let (field, allowed) = match name {
            "max_events" => (&mut tuning.max_events, 1..=4096),
            "turn_steps" => (&mut tuning.turn_steps, 1..=usize::MAX),
            "turn_bytes" => (&mut tuning.turn_bytes, 1..=usize::MAX),
            "direct_write_min" => (&mut tuning.direct_write_min, 1..=usize::MAX),
            "large_read_buffer" => (&mut tuning.large_read_buffer, 14..=1 << 20),
            "room_help_min" => (&mut tuning.room_help_min, 1..=usize::MAX),
            "room_part" => (&mut tuning.room_part, 1..=1 << 20),
            "room_stalled_ms" => (&mut tuning.room_stalled_ms, 1..=86_400_000),
            "buffer_idle_ms" => (&mut tuning.buffer_idle_ms, 1..=86_400_000),
            _ => return Err(format!("unknown name {name}; scripts/TUNING.md lists the names")),
        };
        let number = value.parse().ok().filter(|number| allowed.contains(number));
        *field = Some(number.ok_or_else(|| format!("{name} must be a number from {}", allowed.start()))?);
    }
    Ok(tuning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuning_has_names_with_numbers() {
        let wanted = Tuning { max_events: Some(4), turn_steps: Some(9), ..Tuning::default() };
        assert_eq!(parse("max_events=4, turn_steps=9"), Ok(wanted));
        assert_eq!(parse(""), Ok(Tuning::default()));
        for (text, part) in
            [("events=4", "unknown name events"), ("max_events=0", "from 1"), ("turn_bytes", "from 1")]
        {
            assert!(parse(text).unwrap_err().contains(part), "{text}");
        }
    }
}
