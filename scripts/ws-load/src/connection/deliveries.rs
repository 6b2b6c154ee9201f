//! What one member of a room has received from each sender: order and completeness.

use crate::{numbers, workload::fan_out::FanOut};
use std::collections::VecDeque;
use ws_echo::platform::random::splitmix64;

/// Number of messages that were overtaken or are missing, and that a member keeps in order to recognise them
/// when they arrive after all.
const MAX_SKIPPED: usize = 1024;

/// A message that has not arrived, although a later one has or the reply time-out is over.
#[derive(Debug, Clone, Copy)]
struct Skipped {
    sender: u32,
    sequence: u64,
    timed_out: bool,
}

/// What a message is for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The first of this content, after all earlier ones of the sender that arrived. So many messages that
    /// wait for their time-out cannot be kept any longer.
    New { dropped: u64 },
    /// A later one of the sender arrived first.
    Overtaken,
    /// It was counted as missing.
    TimedOut,
    /// It has arrived before.
    Repeated,
}

/// What one member has received. Its memory is bounded by the number of senders and [`MAX_SKIPPED`].
#[derive(Debug)]
pub(crate) struct Deliveries {
    member: u32,
    fan_out: FanOut,
    /// For each sender the number of the message that follows in order.
    next: Vec<u64>,
    skipped: VecDeque<Skipped>,
    /// Number of messages that were counted as missing and are not in `skipped`.
    forgotten: u64,
    /// A hash of all messages in the order of their arrival.
    order: u64,
    /// Nothing was skipped or repeated.
    is_clean: bool,
}

impl Deliveries {
    pub(crate) fn new(member: u32, fan_out: FanOut) -> Self {
        Self {
            member,
            fan_out,
            next: vec![0; numbers::u64_to_usize(u64::from(fan_out.senders))],
            skipped: VecDeque::new(),
            forgotten: 0,
            order: 0,
            is_clean: true,
        }
    }

    /// Returns the senders whose messages reach this member, with the number of the next message.
    fn senders(&self) -> impl Iterator<Item = (u32, usize)> + use<> {
        let (fan_out, member) = (self.fan_out, self.member);
        (0..fan_out.senders).zip(0..).filter(move |(sender, _)| fan_out.reaches(member, *sender))
    }

    /// Notes the arrival of a message, which must have been sent.
    pub(crate) fn arrive(&mut self, sender: u32, sequence: u64) -> Arrival {
        let Some(next) = self.next.get_mut(numbers::u64_to_usize(u64::from(sender))) else {
            return Arrival::Repeated;
        };
        if sequence >= *next {
            let from = std::mem::replace(next, sequence + 1);
            self.order = splitmix64(self.order ^ splitmix64(self.fan_out.slot(sender, sequence)));
            return Arrival::New { dropped: self.skip(sender, from..sequence, false) };
        }
        self.is_clean = false;
        let is_this = |skipped: &Skipped| (skipped.sender, skipped.sequence) == (sender, sequence);
        if let Some(index) = self.skipped.iter().position(is_this)
            && let Some(skipped) = self.skipped.remove(index)
        {
            return if skipped.timed_out { Arrival::TimedOut } else { Arrival::Overtaken };
        }
        if self.forgotten > 0 {
            self.forgotten -= 1;
            return Arrival::TimedOut;
        }
        Arrival::Repeated
    }

    /// Keeps messages of `sender` that have not arrived. Returns how many that had not timed out could not be
    /// kept.
    fn skip(&mut self, sender: u32, sequences: std::ops::Range<u64>, timed_out: bool) -> u64 {
        let count = sequences.end - sequences.start;
        self.is_clean &= count == 0;
        let kept = sequences.start.max(sequences.end.saturating_sub(numbers::usize_to_u64(MAX_SKIPPED)));
        let not_kept = kept - sequences.start;
        self.forgotten += not_kept;
        let mut dropped = if timed_out { 0 } else { not_kept };
        for sequence in kept..sequences.end {
            if self.skipped.len() == MAX_SKIPPED
                && let Some(oldest) = self.skipped.pop_front()
            {
                self.forgotten += 1;
                dropped += u64::from(!oldest.timed_out);
            }
            self.skipped.push_back(Skipped { sender, sequence, timed_out });
        }
        dropped
    }

    /// Passes each message to `missing` that had been sent when the senders had sent `sent` messages, has not
    /// arrived and was not missing before.
    pub(crate) fn expire(&mut self, sent: &[u64], mut missing: impl FnMut(u32, u64)) {
        for skipped in &mut self.skipped {
            let sender = numbers::u64_to_usize(u64::from(skipped.sender));
            if !skipped.timed_out && sent.get(sender).is_some_and(|sent| skipped.sequence < *sent) {
                skipped.timed_out = true;
                missing(skipped.sender, skipped.sequence);
            }
        }
        for (sender, index) in self.senders() {
            let (Some(next), Some(sent)) = (self.next.get_mut(index), sent.get(index)) else { continue };
            if *next < *sent {
                let from = std::mem::replace(next, *sent);
                (from..*sent).for_each(|sequence| missing(sender, sequence));
                self.skip(sender, from..*sent, true);
            }
        }
    }

    /// Returns the number of messages that must reach this member, of `sent` messages of each sender.
    pub(crate) fn expected(&self, sent: &[u64]) -> u64 {
        self.senders().filter_map(|(_, index)| sent.get(index)).sum()
    }

    /// Returns whether all of `sent` messages of each sender have arrived or are missing.
    pub(crate) fn is_settled(&self, sent: impl Fn(usize) -> u64) -> bool {
        self.skipped.iter().all(|skipped| skipped.timed_out)
            && self.senders().all(|(_, index)| self.next.get(index).is_some_and(|next| *next >= sent(index)))
    }

    /// Returns a hash of the order of all messages. `None` if messages were skipped or repeated, or those of
    /// a sender do not reach this member.
    pub(crate) fn order(&self) -> Option<u64> {
        let has_all = self.fan_out.to_sender || self.member >= self.fan_out.senders;
        (self.is_clean && has_all).then_some(self.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliveries(member: u32, to_sender: bool) -> Deliveries {
        Deliveries::new(member, FanOut { senders: 2, to_sender })
    }

    #[test]
    fn deliveries_in_order_are_new_once() {
        let mut member = deliveries(5, true);
        for sequence in 0..3 {
            for sender in [1, 0] {
                assert_eq!(member.arrive(sender, sequence), Arrival::New { dropped: 0 });
            }
        }
        assert!(member.is_settled(|_| 3) && !member.is_settled(|_| 4) && member.order().is_some());
        assert_eq!(member.arrive(0, 1), Arrival::Repeated);
        assert_eq!(member.order(), None);
    }

    #[test]
    fn deliveries_that_skip_a_message_recognise_it_later() {
        let mut member = deliveries(0, true);
        assert_eq!(member.arrive(0, 2), Arrival::New { dropped: 0 });
        assert_eq!(member.arrive(0, 1), Arrival::Overtaken);
        let mut missing = Vec::new();
        member.expire(&[4, 1], |sender, sequence| missing.push((sender, sequence)));
        assert_eq!(missing, [(0, 0), (0, 3), (1, 0)]);
        member.expire(&[4, 1], |_, _| panic!("missing once"));
        assert_eq!((member.arrive(0, 3), member.arrive(0, 3)), (Arrival::TimedOut, Arrival::Repeated));
        assert_eq!(member.expected(&[4, 1]), 5);
    }

    #[test]
    fn deliveries_keep_a_bounded_number_of_skipped_messages() {
        let mut member = deliveries(0, true);
        assert_eq!(member.arrive(1, 5000), Arrival::New { dropped: 5000 - 1024 });
        assert_eq!(member.skipped.len(), MAX_SKIPPED);
        assert_eq!(member.arrive(1, 3), Arrival::TimedOut);
        assert_eq!(member.arrive(1, 4999), Arrival::Overtaken);
    }

    #[test]
    fn deliveries_to_a_sender_can_leave_its_own_messages_out() {
        let member = deliveries(1, false);
        assert_eq!((member.expected(&[4, 7]), member.order()), (4, None));
        assert!(deliveries(2, false).order().is_some());
    }
}
