//! The frame inspector in front of tungstenite, in memory, compared with the reference reader.

use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};
use ws_echo::protocol::{
    message_info::{MessageInfo, MessageKind},
    violation::Violation,
};

use super::oracle::{self, End};
use super::wire::{self, MAX_MESSAGE};
use super::{Floor, run};
use crate::frame_inspector::InspectedStream;

/// Returns the first byte of the message as it was sent.
fn first_byte(message: &Message, info: MessageInfo) -> u8 {
    match info {
        MessageInfo::Plain if message.is_text() => 0x81,
        MessageInfo::Plain => 0x82,
        MessageInfo::Compressed(MessageKind::Text) => 0xc1,
        MessageInfo::Compressed(MessageKind::Binary) => 0xc2,
    }
}

/// Returns the close code for an error, and `None` for the end of the bytes.
fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Io(error) => {
            let violation: Violation = *error.get_ref()?.downcast_ref()?;
            Some(violation.close_code().into())
        }
        Error::ConnectionClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(1002),
        Error::Utf8(_) => Some(1007),
        Error::Capacity(_) => Some(1009),
        other => panic!("an error that bytes must not cause: {other}"),
    }
}

/// What has to be checked at least. About half as often as it is with the usual seeds.
const FLOORS: &[Floor] =
    &[("message", 80), ("Ping", 25), ("Close", 4), ("violation", 20), ("end of the bytes", 20)];

#[test]
fn inspector_and_tungstenite_agree_with_the_reference_reader() {
    run("fuzz::inspector", 1, FLOORS, |random, coverage| {
        let deflate = random.chance(70);
        let bytes = wire::session(random, deflate);
        let cuts = random.pieces(&bytes).iter().map(|piece| piece.len()).collect();
        let config = WebSocketConfig::default()
            .read_buffer_size(random.pick(&[16, 2048, 16_384]))
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let reading = oracle::read(&bytes, deflate);
        let mut socket = WebSocket::from_raw_socket(
            InspectedStream::new(deflate, bytes, cuts),
            Role::Server,
            Some(config),
        );
        let mut messages = reading.messages.iter();
        let mut pings = reading.pings.iter();
        loop {
            match socket.read() {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    let info =
                        socket.get_mut().inspector.next_message_info().expect("each message has an info");
                    let first = first_byte(&message, info);
                    let Some(wanted) = messages.next() else {
                        // Compressed, and rejected when it is inflated.
                        assert!(first & 0x40 != 0, "too many messages: {message:?}");
                        assert!(matches!(reading.end, End::Failed(_)), "{:?}", reading.end);
                        return;
                    };
                    assert_eq!(first, wanted.first);
                    assert!(first & 0x40 != 0 || message.into_data() == wanted.payload);
                    coverage.count("message");
                }
                Ok(Message::Ping(payload)) => {
                    assert_eq!(Some(&payload.to_vec()), pings.next());
                    coverage.count("Ping");
                }
                Ok(Message::Pong(_) | Message::Frame(_)) => {}
                Ok(Message::Close(frame)) => {
                    coverage.count("Close");
                    let code = socket.get_ref().inspector.close_code();
                    assert_eq!(frame.is_some(), code.is_some());
                    let End::Closed(payload) = &reading.end else { panic!("{:?}", reading.end) };
                    assert_eq!(code, payload.first_chunk().map(|code| u16::from_be_bytes(*code)));
                    break;
                }
                Err(error) => {
                    match (&reading.end, code(&error)) {
                        (End::Open, None) => coverage.count("end of the bytes"),
                        (End::Failed(codes), Some(code)) if codes.contains(&code) => {
                            coverage.count("violation");
                        }
                        (end, _) => panic!("{error} instead of {end:?}"),
                    }
                    break;
                }
            }
        }
        assert_eq!(messages.next(), None, "a message is missing");
        assert_eq!(pings.next(), None, "a Ping is missing");
    });
}
