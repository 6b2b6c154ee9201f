//! Server push: messages from other threads.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Frame, PATIENCE, TestServer, config, masked, text};
use tungstenite::Message;
use ws_echo::endpoints::{echo::echo, routes::Routes};
use ws_echo::session::handle::{PushError, SessionHandle};

/// A server that hands the handle of every session on `/handle` to the test, and then echoes.
fn server_with_handles() -> (TestServer, std::sync::mpsc::Receiver<Arc<SessionHandle>>) {
    let (sender, receiver) = channel();
    let sender: Mutex<Sender<Arc<SessionHandle>>> = Mutex::new(sender);
    let routes = Routes::standard().with("/handle", move |conversation| {
        sender.lock().unwrap().send(conversation.handle()).unwrap();
        echo(conversation)
    });
    (TestServer::with_routes(config(), routes), receiver)
}

/// Pushes, and tries again while the session is busy.
fn push(handle: &SessionHandle, message: &Message) -> Result<(), PushError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match handle.push(message) {
            Err(PushError::Busy) if Instant::now() < deadline => thread::yield_now(),
            outcome => return outcome,
        }
    }
}

#[test]
fn the_server_speaks_first_while_its_worker_is_blocked_in_a_read() {
    let (server, handles) = server_with_handles();
    let mut client = server.open("/handle");
    let handle = handles.recv_timeout(PATIENCE).unwrap();
    push(&handle, &Message::text("unasked")).unwrap();
    assert_eq!(client.read_frame(), Frame::new(0x81, "unasked"));
    push(&handle, &Message::binary(vec![1, 2])).unwrap();
    push(&handle, &Message::Ping(vec![3].into())).unwrap();
    assert_eq!(client.read_frame(), Frame::new(0x82, [1, 2]));
    assert_eq!(client.read_frame(), Frame::new(0x89, [3]));
    client.close();
    let totals = server.finish().totals;
    assert_eq!((totals.traffic.messages_out, totals.traffic.bytes_out), (2, 9));
}

#[test]
fn pushed_messages_never_tear_an_echo() {
    let (server, handles) = server_with_handles();
    let mut client = server.open("/handle");
    let handle = handles.recv_timeout(PATIENCE).unwrap();
    let mut feed = client.stream.try_clone().unwrap();
    let echoes = 300;
    let pushes = 500;
    thread::scope(|scope| {
        for thread in 0..2_u8 {
            let handle = &handle;
            scope.spawn(move || {
                for _ in 0..pushes {
                    push(handle, &Message::binary(vec![thread; 300])).unwrap();
                }
            });
        }
        scope.spawn(move || {
            for n in 0..echoes {
                let size = if n % 10 == 0 { 100_000 } else { 50 };
                std::io::Write::write_all(&mut feed, &text(&"e".repeat(size))).unwrap();
            }
        });
        let (mut echoed, mut pushed) = (0, [0; 2]);
        while echoed < echoes || pushed != [pushes; 2] {
            let Frame { first, payload } = client.read_frame();
            if first == 0x81 {
                let size = if echoed % 10 == 0 { 100_000 } else { 50 };
                assert!(payload.len() == size && payload.iter().all(|&b| b == b'e'), "echo {echoed} is torn");
                echoed += 1;
            } else {
                assert!(first == 0x82 && payload == vec![payload[0]; 300], "a push is torn");
                pushed[usize::from(payload[0])] += 1;
            }
        }
    });
    client.close();
}

#[test]
fn a_client_that_does_not_read_makes_a_push_busy_and_not_stuck() {
    let (server, handles) = server_with_handles();
    let mut client = server.open("/handle");
    let handle = handles.recv_timeout(PATIENCE).unwrap();
    let message = Message::binary(vec![7; 100_000]);
    let mut pushed = 0;
    let since = Instant::now();
    while handle.push(&message).is_ok() {
        pushed += 1;
        assert!(since.elapsed() < PATIENCE, "pushed without end");
    }
    assert_eq!(handle.push(&message), Err(PushError::Busy));
    // What was taken arrives whole, in spite of the many sends that went out in part.
    for _ in 0..pushed {
        assert!(client.read_frame() == Frame::new(0x82, vec![7; 100_000]));
    }
    client.send(text("and on"));
    assert_eq!(client.read_text(), "and on");
}

#[test]
fn nothing_can_be_pushed_after_the_end() {
    let (server, handles) = server_with_handles();
    let mut client = server.open("/handle");
    let handle = handles.recv_timeout(PATIENCE).unwrap();
    client.send(masked(0x88, ""));
    assert_eq!(client.read_frame(), Frame::new(0x88, ""));
    client.expect_end();
    assert_eq!(push(&handle, &Message::text("too late")), Err(PushError::Closed));
    assert_eq!(handle.push(&Message::Close(None)), Err(PushError::Closed), "a Close is the server's to send");
    drop(handle);
    let since = Instant::now();
    server.finish();
    assert!(since.elapsed() < Duration::from_secs(5));
}
