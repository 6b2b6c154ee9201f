//! Messages of the schedule that wait for a connection or on it, in memory that does not grow with their
//! number.

use std::collections::VecDeque;

/// Largest number of runs in a queue. A queue has one more at each change in the number of open connections,
/// and what is beyond is not sent.
const MAX_RUNS: usize = 4096;

/// A message of the schedule: the `index`th of thread `lane`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) lane: u32,
    pub(crate) index: u64,
}

/// Messages of one lane at equal distances.
#[derive(Debug, Clone, Copy)]
struct TicketRun {
    first: Ticket,
    stride: u64,
    count: u64,
}

/// A queue of messages. Those that were dealt at equal distances share one entry.
#[derive(Debug, Default)]
pub(crate) struct SlotQueue {
    runs: VecDeque<TicketRun>,
    len: u64,
}

impl SlotQueue {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Appends a message. Drops it if the queue has [`MAX_RUNS`] entries.
    pub(crate) fn push(&mut self, ticket: Ticket) {
        self.push_run(TicketRun { first: ticket, stride: 1, count: 1 });
    }

    /// Appends `count` messages that follow each other in their lane.
    pub(crate) fn push_range(&mut self, first: Ticket, count: u64) {
        if count > 0 {
            self.push_run(TicketRun { first, stride: 1, count });
        }
    }

    fn push_run(&mut self, run: TicketRun) {
        if let Some(last) = self.runs.back_mut().filter(|last| last.first.lane == run.first.lane) {
            // The stride of a run of one is not determined yet.
            let distance = run.first.index.checked_sub(last.first.index);
            let stride =
                if last.count == 1 { distance.filter(|distance| *distance > 0) } else { Some(last.stride) };
            if let Some(stride) = stride
                && (run.count == 1 || run.stride == stride)
                && distance == stride.checked_mul(last.count)
            {
                (last.stride, last.count) = (stride, last.count + run.count);
                self.len += run.count;
                return;
            }
        }
        if self.runs.len() < MAX_RUNS {
            self.runs.push_back(run);
            self.len += run.count;
        }
    }

    /// Removes the first message.
    pub(crate) fn pop(&mut self) -> Option<Ticket> {
        let run = self.runs.front_mut()?;
        let ticket = run.first;
        run.count -= 1;
        run.first.index = run.first.index.saturating_add(run.stride);
        if run.count == 0 {
            self.runs.pop_front();
        }
        self.len -= 1;
        Some(ticket)
    }

    /// Moves all messages of `other` to the end of this queue.
    pub(crate) fn append(&mut self, other: &mut Self) {
        for run in other.runs.drain(..) {
            self.push_run(run);
        }
        other.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut SlotQueue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|ticket| ticket.index).collect()
    }

    #[test]
    fn slot_queue_of_equal_distances_takes_one_entry() {
        let mut queue = SlotQueue::default();
        for number in 0..10_000 {
            queue.push(Ticket { lane: 0, index: 5 + number * 7 });
        }
        assert_eq!((queue.runs.len(), queue.len()), (1, 10_000));
        let expected: Vec<u64> = (0..10_000).map(|number| 5 + number * 7).collect();
        assert_eq!(drain(&mut queue), expected);
        assert_eq!((queue.runs.len(), queue.len()), (0, 0));
    }

    #[test]
    fn slot_queue_keeps_order_and_number_of_any_messages() {
        let indexes = [3, 4, 5, 9, 13, 2, 2, 8, 100, 99];
        let (mut queue, mut other) = (SlotQueue::default(), SlotQueue::default());
        for index in indexes {
            other.push(Ticket { lane: 1, index });
        }
        queue.push_range(Ticket { lane: 1, index: 0 }, 3);
        queue.append(&mut other);
        queue.push_range(Ticket { lane: 2, index: 7 }, 2);
        queue.push_range(Ticket { lane: 2, index: 9 }, 2);
        queue.push_range(Ticket { lane: 2, index: 0 }, 0);
        assert_eq!((queue.len(), other.len()), (17, 0));
        let expected = [&[0, 1, 2][..], &indexes, &[7, 8, 9, 10]].concat();
        assert_eq!(drain(&mut queue), expected);
    }

    #[test]
    fn slot_queue_is_bounded() {
        let mut queue = SlotQueue::default();
        for number in 0..100_000_u64 {
            queue.push(Ticket { lane: 0, index: number * number });
        }
        assert!(queue.runs.len() <= MAX_RUNS);
        assert_eq!(queue.len(), drain(&mut queue).len() as u64);
    }
}
