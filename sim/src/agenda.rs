//! What is going to happen, in the order of virtual time; what is due at the same moment happens in
//! the order in which it was written down.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use amqp_proto::Time;

/// The agenda of a world.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    written: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Time,
    number: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            written: 0,
        }
    }

    /// Writes something down.
    pub(crate) fn add(&mut self, at: Time, what: T) {
        self.written += 1;
        self.heap.push(Reverse(Entry {
            at,
            number: self.written,
            what,
        }));
    }

    /// Writes down that somebody acts, unless that is to happen earlier; `wake` is when.
    pub(crate) fn wake(&mut self, wake: &mut Option<Time>, at: Time, what: T) {
        if wake.is_none_or(|wake| at < wake) {
            *wake = Some(at);
            self.add(at, what);
        }
    }

    /// What comes next, unless it comes after a time.
    pub(crate) fn next_until(&mut self, end: Time) -> Option<(Time, T)> {
        if self.heap.peek().is_none_or(|Reverse(entry)| entry.at > end) {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_comes_first_and_what_was_written_first_among_equals() {
        let mut agenda = Agenda::new();
        for (millis, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            agenda.add(Time::from_millis(millis), what);
        }
        let mut order = String::new();
        while let Some((_, what)) = agenda.next_until(Time::from_millis(5)) {
            order.push(what);
        }
        assert_eq!(order, "abcd");
    }

    #[test]
    fn what_is_later_stays() {
        let mut agenda = Agenda::new();
        agenda.add(Time::from_millis(2), ());
        assert!(agenda.next_until(Time::from_millis(1)).is_none());
        assert!(agenda.next_until(Time::from_millis(2)).is_some());
    }
}
