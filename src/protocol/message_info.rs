//! Kind and compression of data messages that tungstenite has not returned yet.

use std::collections::VecDeque;
use std::iter;

/// Text or binary, as sent by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A text message.
    Text,
    /// A binary message.
    Binary,
}

/// A data message that was passed to tungstenite, in whole or in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageInfo {
    /// Not compressed. tungstenite returns its kind.
    Plain,
    /// Compressed. tungstenite returns it as binary; this is its kind.
    Compressed(MessageKind),
}

/// Capacity of the queue, in entries, above which it frees its memory when it becomes empty.
const MAX_IDLE_CAPACITY: usize = 64;

/// A queue of message infos, oldest first.
///
/// Its size is bounded, because tungstenite reads only when it has no complete message left: the queue holds
/// the infos of one read and of one incomplete message. A frame has at least six bytes and an info has one,
/// so the queue takes at most a sixth of the size of one read. Equal infos at its head are only counted:
/// without compression it allocates nothing.
#[derive(Debug)]
pub(super) struct MessageInfoQueue {
    /// The info repeated at the head of the queue.
    run: MessageInfo,
    /// How many times `run` is repeated.
    run_length: usize,
    rest: VecDeque<MessageInfo>,
}

impl MessageInfoQueue {
    pub(super) fn new() -> Self {
        Self { run: MessageInfo::Plain, run_length: 0, rest: VecDeque::new() }
    }

    pub(super) fn push(&mut self, info: MessageInfo, count: usize) {
        if self.rest.is_empty() && (self.run_length == 0 || self.run == info) {
            self.run = info;
            self.run_length += count;
        } else {
            self.rest.extend(iter::repeat_n(info, count));
        }
    }

    pub(super) fn pop(&mut self) -> Option<MessageInfo> {
        if self.run_length > 0 {
            self.run_length -= 1;
            return Some(self.run);
        }
        let info = self.rest.pop_front();
        if self.rest.is_empty() && self.rest.capacity() > MAX_IDLE_CAPACITY {
            self.rest = VecDeque::new();
        }
        info
    }

    pub(super) fn is_empty(&self) -> bool {
        self.run_length == 0 && self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_info_queue_counts_equal_infos_without_memory() {
        let mut messages = MessageInfoQueue::new();
        messages.push(MessageInfo::Plain, 1_000_000);
        assert_eq!(messages.rest.capacity(), 0);
        assert_eq!(size_of::<MessageInfo>(), 1);
    }

    #[test]
    fn message_info_queue_keeps_order_and_frees_memory() {
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
