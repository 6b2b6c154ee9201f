//! Replies that are no echoes.

use crate::{
    runs::{faults, ws_load},
    test_servers::Server,
};
use tungstenite::Message;

/// Starts a server that replies with what `reply` makes of the text.
fn replying(reply: impl Fn(String) -> String + Send + Sync + 'static) -> Server {
    Server::replying(move |_, message| vec![Message::text(reply(message.to_string()))])
}

#[test]
fn expect_checks_replies_that_are_no_echoes() {
    let shouting = replying(|text| text.to_uppercase());
    let json = replying(|text| serde_json::json!({ "data": { "text": text } }).to_string());
    for (server, expect, valid) in [
        (&shouting, "any", true),
        (&shouting, "regex:^[-_0-9A-Z]{20}$", true),
        (&shouting, "regex:^[a-z]*$", false),
        (&shouting, "json:", false),
        (&json, "json:/data/text", true),
        (&json, "json:/data/other", false),
        (&json, "echo", false),
    ] {
        for load in [&["-d", "3"][..], &["--churn"]] {
            let run = ws_load(&server.url(), &[&["-c", "2", "-n", "20", "--expect", expect], load].concat());
            let expected = if valid { (Some(0), 20) } else { (Some(1), 0) };
            assert_eq!((run.code, run.count("replies")), expected, "{expect}: {run:?}");
            let errors = run.count("changed") + run.count("unasked") + run.count("missing");
            assert_eq!(errors >= 20, !valid, "{expect}: {run:?}");
        }
    }
    for options in
        [&["--expect", "none"][..], &["--expect", "any", "--expect-prefix", "x"], &["--expect", "regex:("]]
    {
        assert_eq!(ws_load(&json.url(), options).code, Some(2), "{options:?}");
    }
}

#[test]
fn expect_any_finds_a_missing_reply() {
    let server = Server::replying(|number, message| if number == 3 { vec![] } else { vec![message] });
    let run =
        ws_load(&server.url(), &["-c", "1", "-d", "20", "-n", "20", "--expect", "any", "--drain", "1s"]);
    assert_eq!((run.code, faults(&run)), (Some(1), vec![("missing", 1)]), "{run:?}");
}

#[test]
fn expect_none_measures_what_is_sent() {
    let server = Server::replying(|_, _| vec![]);
    let run = ws_load(&server.url(), &["-c", "3", "--rate", "300", "-D", "1s", "--expect", "none"]);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    assert_eq!((run.count("sent"), run.count("replies"), server.counted()), (300, 0, 300), "{run:?}");
    assert!((290.0..=300.0).contains(&run.number("/rate")), "{run:?}");
}

#[test]
fn unasked_messages_are_ignored_on_request() {
    // Between the replies come messages as long as these.
    let server = Server::replying(|_, message| vec![Message::text("12345678901234567890"), message]);
    let options = ["-c", "2", "-n", "40", "-d", "2"];
    let run = ws_load(&server.url(), &[&options[..], &["--ignore-unasked"]].concat());
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    assert_eq!((run.count("replies"), run.count("ignored")), (40, 40), "{run:?}");
    let run = ws_load(&server.url(), &options);
    assert_eq!((run.code, run.count("ignored")), (Some(1), 0), "{run:?}");
}

#[test]
fn first_message_is_sent_once_and_its_reply_is_ignored() {
    // Closes a connection that does not begin with "subscribe".
    for welcome in ["subscribe", "welcome"] {
        let server = Server::raw(move |stream, _, messages| {
            let Ok(mut websocket) = tungstenite::accept(stream) else { return };
            let Ok(first) = websocket.read() else { return };
            if first != Message::text("subscribe") || websocket.send(Message::text(welcome)).is_err() {
                return;
            }
            while let Ok(message) = websocket.read() {
                messages.fetch_add(u64::from(message.is_text()), std::sync::atomic::Ordering::Relaxed);
                if message.is_text() && websocket.send(message).is_err() {
                    return;
                }
            }
        });
        // Without the rate, the load of a connection may start before the reply to the first message.
        let options = ["-c", "3", "-n", "30", "--first", "subscribe", "--ignore-unasked"];
        let run = ws_load(&server.url(), &options);
        assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{welcome}: {run:?}");
        assert_eq!((run.count("sent"), run.count("replies"), server.counted()), (30, 30, 30), "{run:?}");
        assert_eq!(run.count("ignored"), 3, "{welcome}: {run:?}");
        let run = ws_load(&server.url(), &["-c", "3", "-n", "30"]);
        assert_eq!((run.code, run.count("lost")), (Some(1), 3), "{run:?}");
    }
}
