//! The labels of ended connections. Their number is bounded: clients choose codes, and each label is a series
//! of the monitoring system.

/// HTTP statuses that the server sends by itself. `/status/CODE` sends any other.
const OWN_STATUSES: [u16; 11] = [200, 400, 403, 404, 405, 408, 426, 429, 431, 500, 503];

/// Ends of connections that are shown before the first of them: by cause, and code or status.
pub(super) const SHOWN_ENDS: [(&str, u16); 29] = [
    ("client", 1000),
    ("client", 1001),
    ("client", 1002),
    ("client", 1005),
    ("cut", 1006),
    ("dropped", 1006),
    ("http", 200),
    ("http", 400),
    ("http", 403),
    ("http", 404),
    ("http", 405),
    ("http", 408),
    ("http", 426),
    ("http", 429),
    ("http", 431),
    ("http", 500),
    ("http", 503),
    ("server", 1000),
    ("server", 1001),
    ("server", 1002),
    ("server", 1007),
    ("server", 1008),
    ("server", 1009),
    ("server", 1011),
    ("server", 1012),
    ("server", 1013),
    ("vanished", 1006),
    ("silent", 0),
    ("tls", 0),
];

/// The cause whose codes are HTTP statuses.
const HTTP: &str = "http";

/// Returns the code under which the end of a connection is counted: its own if it is 0, registered (RFC 6455,
/// 11.7) or sent by the server itself; otherwise the last of its class, for example 4999 for 4000 to 4999.
pub(super) fn counted_code(cause: &str, code: u16) -> u16 {
    let class = if cause == HTTP { 100 } else { 1000 };
    if has_own_label(cause, code) { code } else { (code / class * class).saturating_add(class - 1) }
}

/// Returns the label of a code that [`counted_code`] returned: the code, or its class, for example `4xxx`.
pub(super) fn code_label(cause: &str, code: u16) -> String {
    match (has_own_label(cause, code), cause) {
        (true, _) => code.to_string(),
        (false, HTTP) => format!("{}xx", code / 100),
        (false, _) => format!("{}xxx", code / 1000),
    }
}

/// Returns whether a code is counted and shown by itself.
fn has_own_label(cause: &str, code: u16) -> bool {
    match cause {
        HTTP => OWN_STATUSES.contains(&code),
        // 3000, 3003 and 3008 are those that IANA has registered of 3000 to 3999.
        _ => matches!(code, 0 | 1000..=1015 | 3000 | 3003 | 3008),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_labels_of_codes_are_the_registered_ones_and_classes() {
        for (cause, code, label) in [
            ("client", 1000, "1000"),
            ("client", 3000, "3000"),
            ("client", 3001, "3xxx"),
            ("client", 4000, "4xxx"),
            ("server", 4999, "4xxx"),
            ("server", 1016, "1xxx"),
            ("server", 65_535, "65xxx"),
            ("tls", 0, "0"),
            ("http", 404, "404"),
            ("http", 418, "4xx"),
            ("http", 599, "5xx"),
        ] {
            assert_eq!(code_label(cause, counted_code(cause, code)), label, "{cause} {code}");
        }
        assert!(SHOWN_ENDS.iter().all(|&(cause, code)| has_own_label(cause, code)));
    }
}
