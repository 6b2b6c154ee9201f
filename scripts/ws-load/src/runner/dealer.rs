//! Deals the messages of one thread to its open connections, which take turns.

use crate::workload::slot_queue::Ticket;
use std::time::Instant;

/// The open connections of one thread, and the next message of its part of the schedule.
#[derive(Debug)]
pub(crate) struct Dealer {
    lane: u32,
    /// Index of the next message in the lane.
    next: u64,
    /// When the next message is due, once computed.
    next_due: Option<Instant>,
    /// The open connections.
    open: Vec<usize>,
    /// For each connection its place in `open`.
    places: Vec<Option<usize>>,
    turn: usize,
}

impl Dealer {
    /// Creates the dealer of thread `lane` with this number of connections, none of which is open.
    pub(crate) fn new(lane: u32, connections: usize) -> Self {
        Self { lane, next: 0, next_due: None, open: Vec::new(), places: vec![None; connections], turn: 0 }
    }

    /// Notes whether a connection is open.
    pub(crate) fn note(&mut self, connection: usize, is_open: bool) {
        let Some(place) = self.places.get_mut(connection) else { return };
        match (*place, is_open) {
            (None, true) => {
                *place = Some(self.open.len());
                self.open.push(connection);
            }
            (Some(index), false) => {
                *place = None;
                self.open.swap_remove(index);
                if let Some(moved) = self.open.get(index).and_then(|moved| self.places.get_mut(*moved)) {
                    *moved = Some(index);
                }
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    pub(crate) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Returns the connection whose turn it is.
    pub(crate) fn next_turn(&mut self) -> Option<usize> {
        self.turn = if self.turn + 1 < self.open.len() { self.turn + 1 } else { 0 };
        self.open.get(self.turn).copied()
    }

    /// Returns the next message.
    pub(crate) fn peek(&self) -> Ticket {
        Ticket { lane: self.lane, index: self.next }
    }

    /// Returns when the next message is due, which `compute` returns for it.
    pub(crate) fn next_due(&mut self, compute: impl FnOnce(Ticket) -> Instant) -> Instant {
        let ticket = self.peek();
        *self.next_due.get_or_insert_with(|| compute(ticket))
    }

    /// Removes the next `count` messages, and returns the first of them.
    pub(crate) fn take(&mut self, count: u64) -> Ticket {
        let first = self.peek();
        self.next = self.next.saturating_add(count);
        self.next_due = None;
        first
    }

    /// Returns how many of the first `until` messages of the lane were not taken.
    pub(crate) fn left(&self, until: u64) -> u64 {
        until.saturating_sub(self.next)
    }

    /// Returns the number of the thread.
    pub(crate) fn lane(&self) -> u32 {
        self.lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn dealer_gives_equal_turns_to_the_open_connections() {
        let mut dealer = Dealer::new(0, 5);
        assert_eq!(dealer.next_turn(), None);
        for connection in 0..5 {
            dealer.note(connection, true);
            dealer.note(connection, true);
        }
        dealer.note(1, false);
        dealer.note(4, false);
        dealer.note(4, false);
        dealer.note(1, true);
        dealer.note(0, false);
        for _ in 0..3 {
            let turns: BTreeSet<_> = (0..3).map(|_| dealer.next_turn()).collect();
            assert_eq!(turns, BTreeSet::from([Some(1), Some(2), Some(3)]));
        }
    }
}
