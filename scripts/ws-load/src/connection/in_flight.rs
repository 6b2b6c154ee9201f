//! The messages of one connection that wait for their reply, and the classification of each message that
//! arrives.

use crate::{net::message_kind::MessageKind, workload::payload::Payloads};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Number of timed-out messages that a connection keeps in order to recognise a late reply. Older ones
/// stay missing.
const MAX_OVERDUE: usize = 64;
/// Number of earlier messages that a reply is compared with where the content carries no identity.
const REPEAT_WINDOW: u64 = 64;

/// A message that was sent and has no reply yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) sequence: u64,
    /// When the schedule wanted it sent. In a closed loop, when it was sent.
    pub(crate) due: Instant,
    pub(crate) sent: Instant,
    /// The reply to a later message arrived first.
    overtaken: bool,
}

/// The class of a message from the server. All but the last three are the reply to a message that was in
/// flight.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReplyClass {
    /// Correct and in order.
    Valid(Pending),
    /// Correct, after the reply to a later message.
    Reordered(Pending),
    /// Correct, after the reply time-out.
    Late,
    /// Correct bytes, wrong opcode.
    WrongKind,
    /// Other bytes than were sent.
    Changed,
    /// A second reply to the same message.
    Repeated,
    /// The message of another connection.
    WrongConnection,
    /// No reply to any message.
    Unsolicited,
}

/// The table of messages in flight. Its size is bounded by the depth and [`MAX_OVERDUE`].
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    pending: VecDeque<Pending>,
    overdue: VecDeque<Pending>,
    /// The sequence number of the next message.
    pub(crate) next_sequence: u64,
}

/// What replies are compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplyRules<'a> {
    pub(crate) payloads: &'a Payloads,
    pub(crate) connection: u32,
    /// What a text reply starts with, before the message.
    pub(crate) prefix: &'a str,
    /// Unknown bytes are unsolicited, also if they are as long as a message.
    pub(crate) ignore_unasked: bool,
}

impl ReplyRules<'_> {
    fn body<'r>(&self, reply: &'r [u8], kind: MessageKind) -> Option<&'r [u8]> {
        match kind {
            MessageKind::Text => reply.strip_prefix(self.prefix.as_bytes()),
            MessageKind::Binary => Some(reply),
        }
    }
}

impl InFlight {
    /// Creates the table of a connection whose next message has the sequence number `next`.
    pub(crate) fn starting_at(next: u64) -> Self {
        Self { next_sequence: next, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Inserts the message with the sequence number `next_sequence`.
    pub(crate) fn insert(&mut self, due: Instant, sent: Instant) {
        self.pending.push_back(Pending { sequence: self.next_sequence, due, sent, overtaken: false });
        self.next_sequence += 1;
    }

    /// Classifies a message from the server. Removes the message that it is the reply to, if there is one.
    pub(crate) fn classify(&mut self, rules: ReplyRules<'_>, reply: &[u8], kind: MessageKind) -> ReplyClass {
        if let Some(front) = self.pending.front()
            && kind == rules.payloads.kind
            && let Some(body) = rules.body(reply, kind)
            && rules.payloads.matches(rules.connection, front.sequence, body)
        {
            let overtaken = front.overtaken;
            if let Some(pending) = self.pending.pop_front() {
                return if overtaken { ReplyClass::Reordered(pending) } else { ReplyClass::Valid(pending) };
            }
        }
        self.classify_mismatch(rules, reply, kind)
    }

    /// Takes a message from the server as the reply to the oldest message in flight. `is_valid` is what the
    /// reply itself shows.
    pub(crate) fn take_in_order(&mut self, is_valid: bool) -> ReplyClass {
        match self.pending.pop_front() {
            Some(pending) if is_valid => ReplyClass::Valid(pending),
            Some(_) => ReplyClass::Changed,
            None if self.overdue.pop_front().is_some() => ReplyClass::Late,
            None => ReplyClass::Unsolicited,
        }
    }

    /// Classifies anything but the reply that was expected next.
    fn classify_mismatch(&mut self, rules: ReplyRules<'_>, reply: &[u8], kind: MessageKind) -> ReplyClass {
        let ReplyRules { payloads, connection, .. } = rules;
        // A binary message may come back as text with the prefix or without it. Both are the wrong kind.
        let bodies = [rules.body(reply, kind), (kind != payloads.kind).then_some(reply)];
        for body in bodies.into_iter().flatten() {
            let is_reply_to = |pending: &Pending| payloads.matches(connection, pending.sequence, body);
            if let Some(index) = self.pending.iter().position(is_reply_to)
                && let Some(pending) = self.pending.remove(index)
            {
                self.pending.iter_mut().take(index).for_each(|earlier| earlier.overtaken = true);
                return match kind == payloads.kind {
                    false => ReplyClass::WrongKind,
                    true if pending.overtaken => ReplyClass::Reordered(pending),
                    true => ReplyClass::Valid(pending),
                };
            }
            if let Some(index) = self.overdue.iter().position(is_reply_to) {
                self.overdue.remove(index);
                return ReplyClass::Late;
            }
            match payloads.identify(body) {
                Some((other, _)) if other != connection => return ReplyClass::WrongConnection,
                Some((_, sequence)) if sequence < self.next_sequence => return ReplyClass::Repeated,
                _ => {}
            }
            let mut earlier = self.next_sequence.saturating_sub(REPEAT_WINDOW)..self.next_sequence;
            if earlier.any(|sequence| payloads.matches(connection, sequence, body)) {
                return ReplyClass::Repeated;
            }
        }
        self.classify_unknown(rules, reply)
    }

    /// Classifies bytes that this program did not send: changed if they look like a message, or else
    /// unsolicited.
    fn classify_unknown(&mut self, rules: ReplyRules<'_>, reply: &[u8]) -> ReplyClass {
        if rules.ignore_unasked {
            return ReplyClass::Unsolicited;
        }
        let without_prefix = reply.get(rules.prefix.len()..).unwrap_or_default();
        let position = self.pending.iter().position(|pending| {
            [without_prefix, reply]
                .iter()
                .any(|body| rules.payloads.looks_changed(rules.connection, pending.sequence, body))
        });
        match position.and_then(|index| self.pending.remove(index)) {
            Some(_) => ReplyClass::Changed,
            None => ReplyClass::Unsolicited,
        }
    }

    /// Moves messages that were sent `timeout` ago or earlier to the overdue ones, and passes each to
    /// `expired`.
    pub(crate) fn expire_overdue(
        &mut self,
        now: Instant,
        timeout: Duration,
        mut expired: impl FnMut(Pending),
    ) {
        while let Some(front) = self.pending.front()
            && now.saturating_duration_since(front.sent) >= timeout
            && let Some(pending) = self.pending.pop_front()
        {
            if self.overdue.len() == MAX_OVERDUE {
                self.overdue.pop_front();
            }
            expired(pending);
            self.overdue.push_back(pending);
        }
    }

    /// Removes the messages that have no reply and have not timed out.
    pub(crate) fn drain_missing(&mut self) -> impl Iterator<Item = Pending> {
        self.pending.drain(..)
    }
}
