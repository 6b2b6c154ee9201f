//! Random offers of permessage-deflate, made of parts that are known to be acceptable or not.

use ws_echo::protocol::negotiation::negotiate;

use super::{Floor, run};
use crate::random::Random;

const ACCEPTED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Parameters, and whether an offer with them may be accepted.
const PARAMETERS: [(&str, bool); 20] = [
    ("server_no_context_takeover", true),
    ("client_no_context_takeover", true),
    ("client_max_window_bits", true),
    ("client_max_window_bits=8", true),
    ("client_max_window_bits = \"15\"", true),
    ("server_max_window_bits=9", true),
    ("server_max_window_bits=\"12\"", true),
    ("server_max_window_bits=\"1\\5\"", true),
    ("server_no_context_takeover=1", false),
    ("client_no_context_takeover=true", false),
    ("client_max_window_bits=7", false),
    ("client_max_window_bits=16", false),
    ("client_max_window_bits=010", false),
    ("server_max_window_bits", false),
    ("server_max_window_bits=8", false),
    ("server_max_window_bits=16", false),
    ("server_max_window_bits=x", false),
    ("mystery", false),
    ("mystery=\"quoted\"", false),
    ("Server_No_Context_Takeover", false),
];

/// Returns an offer and the window in its response: `None` if it must be declined, 0 for no window.
fn offer(random: &mut Random) -> (String, Option<u8>) {
    let name = if random.chance(80) { "permessage-deflate" } else { "x-other" };
    let mut written = name.to_owned();
    let (mut window, mut names) = (Some(0), Vec::new());
    for _ in 0..random.below(4) {
        // Mostly acceptable ones, so that some offers are accepted.
        let (parameter, fine) =
            if random.chance(75) { random.pick(&PARAMETERS[..8]) } else { random.pick(&PARAMETERS) };
        written += random.pick(&[";", "; ", " ;\t"]);
        written += parameter;
        let (parameter, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let parameter = parameter.trim();
        window = window.filter(|_| fine && !names.contains(&parameter));
        if parameter == "server_max_window_bits" && window.is_some() {
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            window = digits.parse().ok();
        }
        names.push(parameter);
    }
    (written, window.filter(|_| name == "permessage-deflate"))
}

/// What has to be checked at least. About half as often as it is with the usual seeds.
const FLOORS: &[Floor] = &[("accepted", 30), ("declined", 10), ("accepted after a change", 5)];

#[test]
fn deflate_negotiation_accepts_the_first_acceptable_offer() {
    run("fuzz::offers", 1, FLOORS, |random, coverage| {
        let mut lines = vec![String::new()];
        let mut wanted = None;
        for _ in 0..random.below(6) {
            let (written, window) = offer(random);
            wanted = wanted.or(window);
            if random.chance(50) {
                lines.push(written);
            } else if let Some(line) = lines.last_mut() {
                *line = format!("{line}{}{written}", random.pick(&[",", ", ", " ,, "]));
            }
        }
        let response = negotiate(lines.iter().map(String::as_bytes)).map(|it| it.map(|it| it.to_string()));
        let wanted = wanted.map(|window| match window {
            0 => ACCEPTED.to_owned(),
            bits => format!("{ACCEPTED}; server_max_window_bits={bits}"),
        });
        coverage.count(if wanted.is_some() { "accepted" } else { "declined" });
        assert_eq!(response, Ok(wanted), "{lines:?}");

        let mut lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        for line in &mut lines {
            random.mutate(line);
        }
        if let Ok(Some(negotiated)) = negotiate(lines.iter().map(Vec::as_slice)) {
            assert!((9..=15).contains(&negotiated.server_max_window_bits()), "{lines:?}");
            assert!(negotiated.to_string().starts_with(ACCEPTED), "{lines:?}");
            coverage.count("accepted after a change");
        }
    });
}
