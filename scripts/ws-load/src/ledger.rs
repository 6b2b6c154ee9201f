//! The messages of one connection that await their reply, and the judgement on each message that comes in.

use super::{
    numbers,
    payload::{Kind, Payloads},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How many messages past their time-out a connection keeps in mind, to know a late reply when it comes. Older ones are
/// missing for good.
const MAX_OVERDUE: usize = 64;
/// How far back a reply is compared with messages that were answered already, where content carries no identity.
const REPEAT_WINDOW: u64 = 64;

/// A message that was sent and awaits its reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) sequence: u64,
    /// When it should have been sent; in a closed loop, when it was.
    pub(super) due: Instant,
    pub(super) sent: Instant,
    /// A later message's reply came first.
    overtaken: bool,
}

/// What a message from the server is. All but the last three settle a message, which then awaits nothing more.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// The reply, right in every way.
    Right(Asked),
    /// Right, but after a later one's.
    Reordered(Asked),
    /// Right, but past its time-out.
    Late(Asked),
    /// Right bytes, wrong opcode.
    WrongKind,
    /// Other bytes than were sent.
    Changed,
    /// This message had its reply.
    Repeated,
    /// Another connection's message.
    Misdelivered,
    /// Nothing that was asked for.
    Unasked,
}

/// The in-flight messages of one connection. Its size is bounded by the depth and [`MAX_OVERDUE`].
#[derive(Debug, Default)]
pub(super) struct Ledger {
    in_flight: VecDeque<Asked>,
    overdue: VecDeque<Asked>,
    /// The sequence number of the next message.
    pub(super) next: u64,
}

/// What stays the same over all judgements.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) payloads: &'a Payloads,
    pub(super) connection: u32,
    /// What a text reply starts with before the message itself.
    pub(super) prefix: &'a str,
}

impl Rules<'_> {
    fn body<'r>(&self, reply: &'r [u8], kind: Kind) -> Option<&'r [u8]> {
        match kind {
            Kind::Text => reply.strip_prefix(self.prefix.as_bytes()),
            Kind::Binary => Some(reply),
        }
    }
}

impl Ledger {
    /// The account of a connection whose next message is `next`.
    pub(super) fn starting_at(next: u64) -> Self {
        Self { next, ..Self::default() }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Enters the next message; its number was [`Ledger::next`].
    pub(super) fn ask(&mut self, due: Instant, sent: Instant) {
        self.in_flight.push_back(Asked { sequence: self.next, due, sent, overtaken: false });
        self.next += 1;
    }

    /// Judges a message from the server.
    pub(super) fn judge(&mut self, rules: Rules<'_>, reply: &[u8], kind: Kind) -> Verdict {
        if let Some(front) = self.in_flight.front()
            && kind == rules.payloads.kind
            && let Some(body) = rules.body(reply, kind)
            && rules.payloads.matches(rules.connection, front.sequence, body)
        {
            let overtaken = front.overtaken;
            if let Some(asked) = self.in_flight.pop_front() {
                return if overtaken { Verdict::Reordered(asked) } else { Verdict::Right(asked) };
            }
        }
        self.judge_odd(rules, reply, kind)
    }

    /// Anything but the reply that was expected next.
    fn judge_odd(&mut self, rules: Rules<'_>, reply: &[u8], kind: Kind) -> Verdict {
        let Rules { payloads, connection, .. } = rules;
        // A binary message may come back as text with the prefix, or without; either way it is the wrong kind.
        let bodies = [rules.body(reply, kind), (kind != payloads.kind).then_some(reply)];
        for body in bodies.into_iter().flatten() {
            let is_reply_to = |asked: &Asked| payloads.matches(connection, asked.sequence, body);
            if let Some(index) = self.in_flight.iter().position(is_reply_to)
                && let Some(asked) = self.in_flight.remove(index)
            {
                self.in_flight.iter_mut().take(index).for_each(|earlier| earlier.overtaken = true);
                return match kind == payloads.kind {
                    false => Verdict::WrongKind,
                    true if asked.overtaken => Verdict::Reordered(asked),
                    true => Verdict::Right(asked),
                };
            }
            if let Some(index) = self.overdue.iter().position(is_reply_to)
                && let Some(asked) = self.overdue.remove(index)
            {
                return Verdict::Late(asked);
            }
            match payloads.identify(body) {
                Some((other, _)) if other != connection => return Verdict::Misdelivered,
                Some((_, sequence)) if sequence < self.next => return Verdict::Repeated,
                _ => {}
            }
            let mut answered = self.next.saturating_sub(REPEAT_WINDOW)..self.next;
            if answered.any(|sequence| payloads.matches(connection, sequence, body)) {
                return Verdict::Repeated;
            }
        }
        self.judge_unknown(rules, reply)
    }

    /// Bytes that nobody sent: a message spoiled on its way if they look like one, or else an intruder.
    fn judge_unknown(&mut self, rules: Rules<'_>, reply: &[u8]) -> Verdict {
        let without_prefix = reply.get(rules.prefix.len()..).unwrap_or_default();
        let position = self.in_flight.iter().position(|asked| {
            [without_prefix, reply]
                .iter()
                .any(|body| rules.payloads.resembles(rules.connection, asked.sequence, body))
        });
        match position.and_then(|index| self.in_flight.remove(index)) {
            Some(_) => Verdict::Changed,
            None => Verdict::Unasked,
        }
    }

    /// Sets aside what has waited longer than `timeout`. Returns how many were given up for good.
    pub(super) fn expire(&mut self, now: Instant, timeout: Duration) -> u64 {
        let mut given_up = 0;
        while let Some(front) = self.in_flight.front()
            && now.saturating_duration_since(front.sent) >= timeout
            && let Some(asked) = self.in_flight.pop_front()
        {
            if self.overdue.len() == MAX_OVERDUE {
                self.overdue.pop_front();
                given_up += 1;
            }
            self.overdue.push_back(asked);
        }
        given_up
    }

    /// Ends the account: everything that still awaits a reply is missing.
    pub(super) fn settle(&mut self) -> u64 {
        let missing = self.in_flight.len() + self.overdue.len();
        self.in_flight.clear();
        self.overdue.clear();
        numbers::wide(missing)
    }
}
