//! Offers of permessage-deflate, made from parts of which it is known what they are worth.

use ws_echo::protocol::negotiation::negotiate;

use super::dice::Dice;
use super::run;

const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Parameters with what they are worth: whether they may be accepted.
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

/// One offer as it is written, and the window in its answer: `None` when it is to be declined, 0 for none.
fn offer(dice: &mut Dice) -> (String, Option<u8>) {
    let name = if dice.chance(80) { "permessage-deflate" } else { "x-other" };
    let mut written = name.to_owned();
    let (mut window, mut names) = (Some(0), Vec::new());
    for _ in 0..dice.below(4) {
        // Enough that are fine, so that some offer is accepted.
        let (parameter, fine) =
            if dice.chance(75) { dice.pick(&PARAMETERS[..8]) } else { dice.pick(&PARAMETERS) };
        written += dice.pick(&[";", "; ", " ;\t"]);
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

#[test]
fn the_first_acceptable_offer_is_answered_and_no_header_is_too_much() {
    run("fuzz::offers", 1, |dice| {
        let mut lines = vec![String::new()];
        let mut wanted = None;
        for _ in 0..dice.below(6) {
            let (written, window) = offer(dice);
            wanted = wanted.or(window);
            if dice.chance(50) {
                lines.push(written);
            } else if let Some(line) = lines.last_mut() {
                *line = format!("{line}{}{written}", dice.pick(&[",", ", ", " ,, "]));
            }
        }
        let answer = negotiate(lines.iter().map(String::as_bytes)).map(|it| it.map(|it| it.to_string()));
        let wanted = wanted.map(|window| match window {
            0 => ANSWER.to_owned(),
            bits => format!("{ANSWER}; server_max_window_bits={bits}"),
        });
        assert_eq!(answer, Ok(wanted), "{lines:?}");

        let mut lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        for line in &mut lines {
            dice.mutate(line);
        }
        if let Ok(Some(negotiated)) = negotiate(lines.iter().map(Vec::as_slice)) {
            assert!((9..=15).contains(&negotiated.server_max_window_bits()), "{lines:?}");
            assert!(negotiated.to_string().starts_with(ANSWER), "{lines:?}");
        }
    });
}
