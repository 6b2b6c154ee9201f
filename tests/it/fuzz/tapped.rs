//! The tap in front of tungstenite, in memory, against the oracle.

use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};
use ws_echo::protocol::{
    message_info::{MessageInfo, MessageKind},
    violation::Violation,
};

use super::oracle::{self, End};
use super::run;
use super::wire::{self, MAX_MESSAGE};
use crate::tap::Tapped;

/// The first byte with which the message was sent.
fn first_byte(message: &Message, info: MessageInfo) -> u8 {
    match info {
        MessageInfo::Plain if message.is_text() => 0x81,
        MessageInfo::Plain => 0x82,
        MessageInfo::Compressed(MessageKind::Text) => 0xc1,
        MessageInfo::Compressed(MessageKind::Binary) => 0xc2,
    }
}

/// The close code for an error; `None` for the end of the bytes.
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
        other => panic!("an error that no bytes should cause: {other}"),
    }
}

#[test]
fn tap_and_tungstenite_read_what_the_rfcs_say() {
    run("fuzz::tapped", 1, |dice| {
        let deflate = dice.chance(70);
        let bytes = wire::session(dice, deflate);
        let cuts = dice.pieces(&bytes).iter().map(|piece| piece.len()).collect();
        let config = WebSocketConfig::default()
            .read_buffer_size(dice.pick(&[16, 2048, 16_384]))
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let reading = oracle::read(&bytes, deflate);
        let mut socket =
            WebSocket::from_raw_socket(Tapped::new(deflate, bytes, cuts), Role::Server, Some(config));
        let mut messages = reading.messages.iter();
        let mut pings = reading.pings.iter();
        loop {
            match socket.read() {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    let info = socket.get_mut().tap.next_message_info().expect("each message has an info");
                    let first = first_byte(&message, info);
                    let Some(wanted) = messages.next() else {
                        // Compressed, and to be refused by whoever inflates it.
                        assert!(first & 0x40 != 0, "too many messages: {message:?}");
                        assert!(matches!(reading.end, End::Failed(_)), "{:?}", reading.end);
                        return;
                    };
                    assert_eq!(first, wanted.first);
                    assert!(first & 0x40 != 0 || message.into_data() == wanted.payload);
                }
                Ok(Message::Ping(payload)) => assert_eq!(Some(&payload.to_vec()), pings.next()),
                Ok(Message::Pong(_) | Message::Frame(_)) => {}
                Ok(Message::Close(frame)) => {
                    let code = frame.map(|frame| u16::from(frame.code));
                    match &reading.end {
                        End::Closed(payload) => {
                            assert_eq!(code, payload.first_chunk().map(|code| u16::from_be_bytes(*code)));
                        }
                        // tungstenite puts the code of its answer in the place of one that may not be sent.
                        end => assert!(matches!(end, End::Failed(codes) if codes.contains(&1002)), "{end:?}"),
                    }
                    break;
                }
                Err(error) => {
                    match (&reading.end, code(&error)) {
                        (End::Open, None) => {}
                        (End::Failed(codes), Some(code)) if codes.contains(&code) => {}
                        (end, _) => panic!("{error} where the end should be {end:?}"),
                    }
                    break;
                }
            }
        }
        assert_eq!(messages.next(), None, "a message is missing");
        assert_eq!(pings.next(), None, "a Ping is missing");
    });
}
