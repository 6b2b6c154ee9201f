//! Messages that other threads push into a session.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Frame, TEST_TIMEOUT, TestServer, config, masked, text};
use crate::transports::{Transport, TransportServer, both_transports};
use tungstenite::Message;
use ws_echo::endpoints::{echo::echo, routes::Routes};
use ws_echo::{Endpoint, Next, PushError, SessionHandle, WebSocketSession};

both_transports! {
    push_is_sent_while_the_session_waits,
    push_and_echo_are_sent_as_whole_frames,
    push_to_a_client_that_does_not_read_is_busy_and_does_not_block,
    push_after_the_close_is_an_error,
}

/// Sends the handle of its session to the test, and then echoes.
struct SendsHandle(Sender<Arc<SessionHandle>>);

impl Endpoint for SendsHandle {
    fn on_open(&mut self, session: &mut WebSocketSession) -> Next {
        self.0.send(session.handle()).unwrap();
        Next::Continue
    }

    fn on_message(&mut self, session: &mut WebSocketSession, message: Message) -> Next {
        echo(session, message)
    }
}

/// Returns routes whose `/handle` sends the handle of each session to the test, and then echoes.
fn routes_with_handles() -> (Routes, Receiver<Arc<SessionHandle>>) {
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    let routes = Routes::standard().with("/handle", move || SendsHandle(sender.lock().unwrap().clone()));
    (routes, receiver)
}

fn server_with_handles(transport: Transport) -> (TransportServer, Receiver<Arc<SessionHandle>>) {
    let (routes, handles) = routes_with_handles();
    (transport.with_routes(config(), routes), handles)
}

/// Pushes, and retries while the session is busy.
fn push(handle: &SessionHandle, message: &Message) -> Result<(), PushError> {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        match handle.push(message) {
            Err(PushError::Busy) if Instant::now() < deadline => thread::yield_now(),
            outcome => return outcome,
        }
    }
}

fn push_is_sent_while_the_session_waits(transport: Transport) {
    let (server, handles) = server_with_handles(transport);
    let mut client = server.open("/handle");
    let handle = handles.recv_timeout(TEST_TIMEOUT).unwrap();
    push(&handle, &Message::text("pushed")).unwrap();
    assert_eq!(client.read_frame(), Frame::new(0x81, "pushed"));
    push(&handle, &Message::binary(vec![1, 2])).unwrap();
    push(&handle, &Message::Ping(vec![3].into())).unwrap();
    assert_eq!(client.read_frame(), Frame::new(0x82, [1, 2]));
    assert_eq!(client.read_frame(), Frame::new(0x89, [3]));
    client.close();
    let totals = server.finish();
    assert_eq!((totals.traffic.messages_out, totals.traffic.bytes_out), (2, 8));
}

/// Counts the echoes and pushes of a session, each of which must be whole.
#[derive(Default)]
struct Received {
    echoes: usize,
    pushes: [usize; 2],
}

impl Received {
    /// Size of a pushed message, in bytes.
    const PUSH_SIZE: usize = 5000;

    /// Returns the size of an echo, in bytes: every tenth is larger than the socket buffers.
    fn echo_size(n: usize) -> usize {
        if n.is_multiple_of(10) { 100_000 } else { 50 }
    }

    fn check(&mut self, Frame { first, payload }: &Frame) {
        if *first == 0x81 {
            let whole = *payload == vec![b'e'; Self::echo_size(self.echoes)];
            assert!(whole, "echo {} is damaged", self.echoes);
            self.echoes += 1;
        } else {
            assert!(*first == 0x82 && *payload == vec![payload[0]; Self::PUSH_SIZE], "a push is damaged");
            self.pushes[usize::from(payload[0])] += 1;
        }
    }
}

/// Starts two threads that push so many messages each.
fn start_pushing<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    handle: &Arc<SessionHandle>,
    count: usize,
) {
    for id in 0..2_u8 {
        let handle = Arc::clone(handle);
        scope.spawn(move || {
            for _ in 0..count {
                push(&handle, &Message::binary(vec![id; Received::PUSH_SIZE])).unwrap();
            }
        });
    }
}

fn push_and_echo_are_sent_as_whole_frames(transport: Transport) {
    let (server, handles) = server_with_handles(transport);
    let mut client = server.open("/handle");
    let handle = handles.recv_timeout(TEST_TIMEOUT).unwrap();
    let (echoes, pushes) = (100, 300);
    thread::scope(|scope| {
        start_pushing(scope, &handle, pushes);
        let (mut sent, mut received) = (0, Received::default());
        while received.echoes < echoes || received.pushes != [pushes; 2] {
            if sent == received.echoes && sent < echoes {
                client.send(masked(0x81, vec![b'e'; Received::echo_size(sent)]));
                sent += 1;
            }
            received.check(&client.read_frame());
        }
    });
    client.close();
}

/// A thread of its own sends without waiting for echoes, which needs two handles of one socket: no TLS.
#[test]
fn push_never_splits_an_echo_of_a_client_that_sends_all_the_time() {
    let (routes, handles) = routes_with_handles();
    let server = TestServer::with_routes(config(), routes);
    let mut client = server.open("/handle");
    let handle = handles.recv_timeout(TEST_TIMEOUT).unwrap();
    let mut feed = client.stream.try_clone().unwrap();
    let (echoes, pushes) = (300, 500);
    thread::scope(|scope| {
        start_pushing(scope, &handle, pushes);
        scope.spawn(move || {
            for n in 0..echoes {
                feed.write_all(&text(&"e".repeat(Received::echo_size(n)))).unwrap();
            }
        });
        let mut received = Received::default();
        while received.echoes < echoes || received.pushes != [pushes; 2] {
            received.check(&client.read_frame());
        }
    });
    client.close();
}

/// A session that is busy for this long has no room for another message.
const BUSY_FOR_GOOD: Duration = Duration::from_millis(200);

fn push_to_a_client_that_does_not_read_is_busy_and_does_not_block(transport: Transport) {
    let (server, handles) = server_with_handles(transport);
    let mut client = server.open("/handle");
    let handle = handles.recv_timeout(TEST_TIMEOUT).unwrap();
    let message = Message::binary(vec![7; 100_000]);
    let (since, mut pushed, mut busy_since) = (Instant::now(), 0, None);
    // A session is also busy while its worker writes, which is over at once.
    while busy_since.is_none_or(|since: Instant| since.elapsed() < BUSY_FOR_GOOD) {
        match handle.push(&message) {
            Ok(()) => (pushed, busy_since) = (pushed + 1, None),
            Err(PushError::Busy) => busy_since = busy_since.or(Some(Instant::now())),
            Err(PushError::Closed) => panic!("closed after {pushed} messages"),
        }
        assert!(since.elapsed() < TEST_TIMEOUT, "pushed without end");
    }
    assert!(pushed > 0, "not even one message was taken");
    // The messages that were taken arrive whole, although many were sent in parts.
    for n in 0..pushed {
        assert!(client.read_frame() == Frame::new(0x82, vec![7; 100_000]), "push {n} of {pushed} is damaged");
    }
    client.send(text("after the pushes"));
    assert_eq!(client.read_text(), "after the pushes");
}

fn push_after_the_close_is_an_error(transport: Transport) {
    let (server, handles) = server_with_handles(transport);
    let mut client = server.open("/handle");
    let handle = handles.recv_timeout(TEST_TIMEOUT).unwrap();
    client.send(masked(0x88, ""));
    assert_eq!(client.read_frame(), Frame::new(0x88, ""));
    client.expect_end();
    assert_eq!(push(&handle, &Message::text("too late")), Err(PushError::Closed));
    assert_eq!(handle.push(&Message::Close(None)), Err(PushError::Closed), "only the server sends a Close");
    drop(handle);
    let since = Instant::now();
    server.finish();
    assert!(since.elapsed() < Duration::from_secs(5));
}
