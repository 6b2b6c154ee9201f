//! A room of `--fan-out`: what its senders have sent, and whether its members received it in one order.

use crate::{numbers, workload::fan_out::FanOut};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Largest number of entries of a [`SentHistory`].
const MAX_HISTORY: u32 = 64;

/// What all members of the room share.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) fan_out: FanOut,
    /// For each sender the number of its messages.
    sent: Vec<AtomicU64>,
    order: Mutex<MemberOrders>,
}

/// The orders in which members received the messages.
#[derive(Debug, Default)]
struct MemberOrders {
    first: Option<u64>,
    differ: bool,
}

impl Room {
    pub(crate) fn new(fan_out: FanOut) -> Self {
        Self {
            sent: (0..fan_out.senders).map(|_| AtomicU64::new(0)).collect(),
            order: Mutex::default(),
            fan_out,
        }
    }

    /// Counts a message of `sender`. To be called before it is sent.
    pub(crate) fn note_sent(&self, sender: u32) {
        if let Some(sent) = self.sent.get(numbers::u64_to_usize(u64::from(sender))) {
            sent.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns the number of messages of `sender`.
    pub(crate) fn sent_by(&self, sender: usize) -> u64 {
        self.sent.get(sender).map_or(0, |sent| sent.load(Ordering::Acquire))
    }

    /// Returns the numbers of messages of all senders.
    pub(crate) fn sent(&self) -> impl Iterator<Item = u64> {
        self.sent.iter().map(|sent| sent.load(Ordering::Acquire))
    }

    /// Notes the order in which a member received all messages.
    pub(crate) fn note_order(&self, order: u64) {
        let mut orders = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        orders.differ |= *orders.first.get_or_insert(order) != order;
    }

    /// Returns whether all members that received all messages received them in the same order. `None` without
    /// such a member.
    pub(crate) fn is_same_order(&self) -> Option<bool> {
        let orders = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        orders.first.map(|_| !orders.differ)
    }
}

/// How many messages had been sent at earlier moments. A message that is older than the reply time-out and
/// was not received is missing.
#[derive(Debug, Default)]
pub(crate) struct SentHistory {
    entries: VecDeque<(Instant, Arc<[u64]>)>,
}

impl SentHistory {
    /// Adds the present numbers, at most [`MAX_HISTORY`] times within `timeout`. Returns those of `timeout`
    /// ago.
    pub(crate) fn advance(&mut self, room: &Room, now: Instant, timeout: Duration) -> Option<Arc<[u64]>> {
        let is_due = |(at, _): &(Instant, _)| now.saturating_duration_since(*at) >= timeout / MAX_HISTORY;
        if self.entries.back().is_none_or(is_due) {
            self.entries.push_back((now, room.sent().collect()));
        }
        let is_old = |entry: &(Instant, Arc<[u64]>)| now.saturating_duration_since(entry.0) >= timeout;
        while self.entries.get(1).is_some_and(is_old) {
            self.entries.pop_front();
        }
        self.entries.front().filter(|entry| is_old(entry)).map(|(_, sent)| Arc::clone(sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_history_returns_the_numbers_before_the_time_out() {
        let room = Room::new(FanOut { senders: 1, to_sender: true });
        let mut history = SentHistory::default();
        let start = Instant::now();
        let mut at = |millis| {
            room.note_sent(0);
            let sent = history.advance(&room, start + Duration::from_millis(millis), Duration::from_secs(1));
            sent.map(|sent| sent[0])
        };
        assert_eq!(at(0), None);
        assert_eq!(at(500), None);
        assert_eq!(at(1000), Some(1));
        assert_eq!(at(1600), Some(2));
        assert_eq!(at(9000), Some(4));
    }

    #[test]
    fn room_compares_the_orders_of_its_members() {
        let room = Room::new(FanOut { senders: 1, to_sender: true });
        assert_eq!(room.is_same_order(), None);
        room.note_order(7);
        room.note_order(7);
        assert_eq!(room.is_same_order(), Some(true));
        room.note_order(8);
        assert_eq!(room.is_same_order(), Some(false));
    }
}
