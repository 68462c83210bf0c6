//! Who is next: steps of authentication in a line for each peer.
//!
//! Owns the order and the bounds; never knows what a step is. Decision: peers take turns, however
//! many steps each of them has, so that whoever tries a thousand passwords waits for itself.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;

/// Steps of one peer that may wait.
const PEER_MAX: usize = 1024;

/// Steps that may wait in all.
const ALL_MAX: usize = 16 * 1024;

/// Lines of waiting steps.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lines: BTreeMap<String, VecDeque<T>>,
    /// Whose turn it is; everybody with a line once.
    turns: VecDeque<String>,
    length: usize,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            lines: BTreeMap::new(),
            turns: VecDeque::new(),
            length: 0,
        }
    }

    /// Takes a step of a peer, unless too many wait.
    pub(super) fn push(&mut self, peer: &str, step: T) -> Result<(), T> {
        if self.length >= ALL_MAX {
            return Err(step);
        }
        match self.lines.get_mut(peer) {
            Some(line) if line.len() >= PEER_MAX => return Err(step),
            Some(line) => line.push_back(step),
            None => {
                self.lines.insert(peer.to_owned(), VecDeque::from([step]));
                self.turns.push_back(peer.to_owned());
            }
        }
        self.length += 1;
        Ok(())
    }

    /// The next step of whoever has waited longest for a turn.
    pub(super) fn pop(&mut self) -> Option<T> {
        let peer = self.turns.pop_front()?;
        let line = self.lines.get_mut(&peer)?;
        let step = line.pop_front()?;
        self.length -= 1;
        if line.is_empty() {
            self.lines.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        Some(step)
    }

    /// Nobody waits for these any more.
    pub(super) fn forget(&mut self, peer: &str, is_gone: impl Fn(&T) -> bool) {
        let Some(line) = self.lines.get_mut(peer) else {
            return;
        };
        let before = line.len();
        line.retain(|step| !is_gone(step));
        self.length -= before - line.len();
        if line.is_empty() {
            self.lines.remove(peer);
            self.turns.retain(|other| other != peer);
        }
    }
}

/// Whose line a peer's steps are in, from its `host:port`. Who has one IPv6 address has all that
/// begin with the same 64 bits.
pub(super) fn line_of(peer: &str) -> String {
    let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let Ok(address) = bare.parse::<Ipv6Addr>() else {
        return host.to_owned();
    };
    match address.to_ipv4_mapped() {
        Some(address) => address.to_string(),
        None => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_many_addresses_has_one_line() {
        assert_eq!(line_of("127.0.0.1:5672"), "127.0.0.1");
        assert_eq!(line_of("[::ffff:10.0.0.1]:1"), "10.0.0.1");
        assert_eq!(line_of("[2001:db8:1:2::3]:1"), "2001:db8:1:2::");
        assert_eq!(line_of("[2001:db8:1:2:f::9]:77"), "2001:db8:1:2::");
        assert_ne!(line_of("[2001:db8:1:3::3]:1"), "2001:db8:1:2::");
        assert_eq!(line_of("pipe"), "pipe");
    }

    #[test]
    fn peers_take_turns_however_much_they_ask() {
        let mut queue = Queue::new();
        for step in 0..4 {
            queue.push("a", ("a", step)).unwrap();
        }
        queue.push("b", ("b", 0)).unwrap();
        queue.push("c", ("c", 0)).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        let expected = [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("a", 2), ("a", 3)];
        assert_eq!(order, expected);
        assert_eq!(queue.length, 0);
    }

    #[test]
    fn one_peer_cannot_fill_the_line_of_others() {
        let mut queue = Queue::new();
        for step in 0..PEER_MAX {
            queue.push("a", step).unwrap();
        }
        assert_eq!(queue.push("a", 7), Err(7));
        assert_eq!(queue.push("b", 8), Ok(()));
        queue.pop();
        assert_eq!(queue.push("a", 9), Ok(()));
        queue.forget("a", |_| true);
        assert_eq!((queue.pop(), queue.pop()), (Some(8), None));
    }

    #[test]
    fn there_is_an_end_to_all_lines_together() {
        let mut queue = Queue::new();
        for step in 0..ALL_MAX {
            queue.push(&format!("peer{}", step % 1000), step).unwrap();
        }
        assert_eq!(queue.push("another", 1), Err(1));
    }
}
