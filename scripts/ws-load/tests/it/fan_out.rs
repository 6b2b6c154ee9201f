//! Rooms: each message has to reach every connection.

use crate::{
    harness::{TestServer, config},
    runs::{Run, faults, ws_load},
    test_servers::Server,
};
use std::{
    net::TcpStream,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};
use tungstenite::{Message, WebSocket};
use ws_echo::Config;

/// What a room does with a message: its number in the room, the member, and the text. Returns what the member
/// is sent.
type Deliver = dyn Fn(u64, u64, String) -> Vec<String> + Send + Sync;

/// Starts a server with one room. Its messages pass through one thread, which writes to the members in turn.
fn room(deliver: impl Fn(u64, u64, String) -> Vec<String> + Send + Sync + 'static) -> Server {
    let members = Arc::new(Mutex::new(Vec::<(u64, WebSocket<TcpStream>)>::new()));
    let (sender, messages) = mpsc::channel::<String>();
    let writers = Arc::clone(&members);
    let deliver: Box<Deliver> = Box::new(deliver);
    thread::spawn(move || {
        for (number, text) in (0..).zip(messages) {
            for (member, websocket) in writers.lock().unwrap().iter_mut() {
                for text in deliver(number, *member, text.clone()) {
                    let _ = websocket.send(Message::text(text));
                }
            }
        }
    });
    let sender = Mutex::new(sender);
    Server::raw(move |stream, number, _| {
        let writer = stream.try_clone().expect("a second handle of the socket");
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        let role = tungstenite::protocol::Role::Server;
        members.lock().unwrap().push((number, WebSocket::from_raw_socket(writer, role, None)));
        let sender = sender.lock().unwrap().clone();
        while let Ok(message) = websocket.read() {
            if message.is_text() {
                let _ = sender.send(message.to_string());
            }
        }
        members.lock().unwrap().retain(|(member, _)| *member != number);
    })
}

const OPTIONS: [&str; 8] = ["-c", "6", "--rate", "100", "-D", "1s", "--fan-out", "2"];

fn run_room(server: &Server, more: &[&str]) -> Run {
    ws_load(&server.url(), &[&OPTIONS[..], more].concat())
}

#[test]
fn fan_out_counts_a_delivery_for_each_member() {
    let server = room(|_, _, text| vec![text]);
    for threads in ["1", "3"] {
        let run = run_room(&server, &["-t", threads]);
        assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
        assert_eq!(
            (run.count("sent"), run.count("expected"), run.count("replies")),
            (100, 600, 600),
            "{run:?}"
        );
        assert!((550.0..=600.0).contains(&run.number("/rate")), "{run:?}");
        assert_eq!(run.json["corrected"]["count"], 600, "{run:?}");
        assert_eq!(
            (&run.json["fan_out"]["senders"], &run.json["fan_out"]["same_order"]),
            (&2.into(), &true.into())
        );
        assert!(run.words().contains("600 of 600 deliveries"), "{run:?}");
    }
}

#[test]
fn fan_out_latency_counts_from_the_moment_a_message_was_due() {
    // The room stops for 0.5 s once. The messages behind that one are late because of it.
    let server = room(|number, member, text| {
        thread::sleep(Duration::from_millis(if (number, member % 6) == (30, 0) { 500 } else { 0 }));
        vec![text]
    });
    let run = run_room(&server, &[]);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    // 50 messages of 100 came 0.5 s late at most, and 0.25 s in the middle.
    assert!(run.number("/corrected/max_us") > 490_000.0, "{run:?}");
    assert!(run.number("/corrected/p90_us") > 250_000.0, "{run:?}");
}

#[test]
fn fan_out_finds_a_delivery_that_is_missing() {
    let server =
        room(|number, member, text| if (number % 10, member % 6) == (5, 3) { vec![] } else { vec![text] });
    let run = run_room(&server, &["--timeout", "600ms", "--drain", "2s"]);
    assert_eq!((run.code, faults(&run)), (Some(1), vec![("missing", 10)]), "{run:?}");
    assert!(run.stdout.contains("10 missing deliveries"), "{run:?}");
    assert_eq!((run.count("replies"), run.count("expected")), (590, 600), "{run:?}");
    assert!(run.number("/corrected/max_us") >= 300_000.0, "{run:?}");
    // It is counted when its time-out is over, not at the end.
    let early = run.json["series"][0]["errors"].as_u64().unwrap();
    assert!(early >= 1, "{run:?}");
}

#[test]
fn fan_out_finds_a_member_that_is_forgotten() {
    // One member receives nothing from message 50 on.
    let server =
        room(|number, member, text| if number >= 50 && member % 6 == 4 { vec![] } else { vec![text] });
    let run = run_room(&server, &["--timeout", "600ms", "--drain", "2s", "--assert", "missing/expected<10%"]);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![("missing", 50)]), "{run:?}");
}

/// Returns the number of a message of its sender, if it is below 64, and the sender. A message begins with nine
/// digits of the one and five of the other, the lowest first.
fn identity(text: &str) -> (u64, u64) {
    let digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    let digit = |place: usize| digits.find(&text[place..=place]).unwrap() as u64;
    (digit(0), digit(9))
}

#[test]
fn fan_out_finds_what_is_out_of_order_repeated_and_changed() {
    let held = Mutex::new(None);
    let server = room(move |_, member, text| match (identity(&text), member % 6) {
        // To one member two messages of a sender are exchanged.
        ((10, 0), 1) => {
            *held.lock().unwrap() = Some(text);
            vec![]
        }
        ((11, 0), 1) => [Some(text), held.lock().unwrap().take()].into_iter().flatten().collect(),
        ((20, 0), 2) => vec![text.clone(), text],
        ((30, 0), 3) => vec![text[..19].to_owned() + "?"],
        ((40, 0), 4) => vec![text, "hello".to_owned()],
        _ => vec![text],
    });
    let run = run_room(&server, &[]);
    let expected = [("changed", 1), ("reordered", 1), ("repeated", 1), ("unasked", 1)];
    assert_eq!((run.code, faults(&run)), (Some(1), expected.to_vec()), "{run:?}");
    assert_eq!(run.count("replies"), 598, "{run:?}");
}

#[test]
fn fan_out_notes_members_that_see_other_orders() {
    // Member 1 receives each message of the first sender behind the next one of the other sender.
    let held = Mutex::new(None);
    let server = room(move |_, member, text| match (identity(&text), member % 6) {
        ((number, 0), 1) if number < 49 => held.lock().unwrap().replace(text).into_iter().collect(),
        ((_, 0), 1) => held.lock().unwrap().take().into_iter().chain([text]).collect(),
        (_, 1) => [Some(text), held.lock().unwrap().take()].into_iter().flatten().collect(),
        _ => vec![text],
    });
    let run = run_room(&server, &[]);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    assert_eq!(run.json["fan_out"]["same_order"], false, "{run:?}");
    let words = "did not all receive the messages of several senders in the same order";
    assert!(run.words().contains(words), "{run:?}");
}

#[test]
fn fan_out_can_leave_the_sender_out() {
    // The text begins with the number of the message, and then has the number of its sender.
    let server = room(|_, member, text| {
        let is_own = text.as_bytes()[9..14] == [b'0' + (member % 6) as u8, b'0', b'0', b'0', b'0'];
        if is_own { vec![] } else { vec![text] }
    });
    let run = run_room(&server, &["--not-to-sender"]);
    // Connections are numbered in the order in which they are opened, the server's in that of their arrival.
    assert_eq!((run.code, run.count("expected")), (Some(0), 500), "{run:?}");
    let run = run_room(&server, &["--timeout", "600ms", "--drain", "1s"]);
    assert_eq!((run.code, faults(&run)), (Some(1), vec![("missing", 100)]), "{run:?}");
}

#[test]
fn fan_out_ends_although_a_sender_was_lost() {
    // Without --duration: the messages of the lost sender must not be waited for.
    let server = Server::raw(|stream, number, _| {
        let Ok(mut websocket) = tungstenite::accept(stream) else { return };
        if number == 0 {
            let _ = websocket.read();
            return;
        }
        while websocket.read().is_ok() {}
    });
    let options = ["-c", "2", "--rate", "100", "-n", "50", "--fan-out", "2", "--drain", "200ms"];
    let run = ws_load(&server.url(), &options);
    assert_eq!((run.code, run.count("lost")), (Some(1), 1), "{run:?}");
    assert!(run.count("unsent") >= 15 && run.count("sent") + run.count("unsent") == 50, "{run:?}");
    // What the room should have delivered and did not.
    assert_eq!((run.count("replies"), run.count("missing")), (0, run.count("expected")), "{run:?}");
}

#[test]
fn fan_out_measures_the_rooms_of_the_server() {
    let server = TestServer::with(Config { connections: 60, ..config() });
    let url = format!("ws://{}/broadcast?room=load", server.address);
    let options = ["-c", "30", "-t", "2", "--rate", "200", "-D", "1s", "--fan-out", "5", "--size", "14..500"];
    let run = ws_load(&url, &options);
    assert_eq!((run.code, faults(&run)), (Some(0), vec![]), "{run:?}");
    assert_eq!((run.count("sent"), run.count("replies")), (200, 6000), "{run:?}");
    assert_eq!(run.json["fan_out"]["same_order"], true, "{run:?}");
    assert!(run.stdout.contains("  order        every member received the messages of "), "{run:?}");
    let totals = server.finish().totals;
    assert_eq!((totals.traffic.messages_in, totals.traffic.messages_out), (200, 6000));
}

#[test]
fn fan_out_rejects_what_contradicts_it() {
    let server = Server::echo();
    for options in [
        &["--fan-out", "2"][..],
        &["--fan-out", "2", "--rate", "10", "-c", "1"],
        &["--fan-out", "0", "--rate", "10"],
        &["--fan-out", "2", "--rate", "10", "--size", "13"],
        &["--fan-out", "2", "--rate", "10", "--expect", "any"],
        &["--fan-out", "2", "--rate", "10", "--reconnect"],
        &["--not-to-sender"],
    ] {
        assert_eq!(ws_load(&server.url(), options).code, Some(2), "{options:?}");
    }
}
