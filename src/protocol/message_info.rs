//! What each data message was, kept until the session takes the message from tungstenite.

use std::collections::VecDeque;
use std::iter;

/// Text or binary, as the client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A text message.
    Text,
    /// A binary message.
    Binary,
}

/// One data message that tungstenite has been given, in whole or in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageInfo {
    /// It is what tungstenite says it is.
    Plain,
    /// It is compressed. tungstenite calls it binary, whatever it was.
    Compressed(MessageKind),
}

/// Longer than this the queue gives its memory back once it is empty.
const KEEP: usize = 64;

/// The queue of arrivals, oldest first.
///
/// Bounded by how it is used: tungstenite reads on only when it has no complete message left, so the queue
/// holds at most the message that is still coming in and those of one read. A frame has at least six bytes
/// and an arrival has one: the queue never exceeds a sixth of the bytes read at once. A run of equal
/// arrivals, all there is while nobody compresses, is only counted and takes no memory at all.
#[derive(Debug)]
pub(super) struct MessageInfoQueue {
    run: MessageInfo,
    length: usize,
    rest: VecDeque<MessageInfo>,
}

impl MessageInfoQueue {
    pub(super) fn new() -> Self {
        Self { run: MessageInfo::Plain, length: 0, rest: VecDeque::new() }
    }

    pub(super) fn push(&mut self, info: MessageInfo, count: usize) {
        if self.rest.is_empty() && (self.length == 0 || self.run == info) {
            self.run = info;
            self.length += count;
        } else {
            self.rest.extend(iter::repeat_n(info, count));
        }
    }

    pub(super) fn pop(&mut self) -> Option<MessageInfo> {
        if self.length > 0 {
            self.length -= 1;
            return Some(self.run);
        }
        let info = self.rest.pop_front();
        if self.rest.is_empty() && self.rest.capacity() > KEEP {
            self.rest = VecDeque::new();
        }
        info
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0 && self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_arrivals_take_no_memory() {
        let mut messages = MessageInfoQueue::new();
        messages.push(MessageInfo::Plain, 1_000_000);
        assert_eq!(messages.rest.capacity(), 0);
        assert_eq!(size_of::<MessageInfo>(), 1);
    }

    #[test]
    fn mixed_arrivals_keep_their_order_and_give_memory_back() {
        let mut messages = MessageInfoQueue::new();
        let text = MessageInfo::Compressed(MessageKind::Text);
        for _ in 0..1000 {
            messages.push(MessageInfo::Plain, 2);
            messages.push(text, 1);
        }
        for _ in 0..1000 {
            assert_eq!(
                [(); 3].map(|()| messages.pop().unwrap()),
                [MessageInfo::Plain, MessageInfo::Plain, text]
            );
        }
        assert!(messages.is_empty());
        assert_eq!(messages.pop(), None);
        assert_eq!(messages.rest.capacity(), 0);
    }
}
