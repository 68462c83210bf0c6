//! Which of a connection's links sends next, among those that have something to send.
//!
//! By class: the routing protocol, then priorities 9 to 0; clients' links, and all others without a
//! priority of their own, are of the usual one. Within a class it is first come first served.
//!
//! Owns the queues. Decision: whoever is favoured is so by much and not for ever. After so many
//! shares in a row over the heads of others one of these has a share, each class in turn: else a
//! list of a million addresses, or one busy sender of urgent messages, would stop all others.
//! Decision: a connection whose links are all of the usual class has one queue and nothing else.

use std::collections::VecDeque;

use crate::ids::Key;
use crate::route::{DEFAULT_PRIORITY, PRIORITIES};

/// The class of what routers say to each other.
pub(super) const PROTOCOL: u8 = 10;

/// Shares in a row that go over the heads of others.
const FAVOURS: u8 = 8;

/// Links with something to send.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// All of them, until there is one that is not of the usual class.
    usual: VecDeque<Key>,
    classes: Option<Box<Classes>>,
    /// Why a hello is not sent although there is room.
    pub(super) hello: LastHello,
}

/// What became of the last hello that was sent. Its peer gets no more of them than it reads: what
/// lies in the send queue cannot be replaced by what is newer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastHello {
    /// It is in the send queue, of which nothing has been written since.
    pub(super) is_unwritten: bool,
    /// The link whose next one waits for that.
    pub(super) waits: Option<Key>,
}

#[derive(Debug, Default)]
struct Classes {
    links: [VecDeque<Key>; PRIORITIES + 1],
    /// The classes in which somebody waits, a bit each.
    waiting: u16,
    /// Shares in a row that went over the heads of others.
    favours: u8,
    /// The class that had a share out of turn last.
    relieved: u8,
}

impl Ready {
    /// A link of a class is the last of this class.
    pub(super) fn push(&mut self, link: Key, class: u8) {
        if self.classes.is_none() && class == DEFAULT_PRIORITY {
            self.usual.push_back(link);
        } else {
            self.push_by_class(link, class);
        }
    }

    fn push_by_class(&mut self, link: Key, class: u8) {
        let usual = &mut self.usual;
        let classes = self.classes.get_or_insert_with(|| {
            let mut classes = Box::<Classes>::default();
            for link in usual.drain(..) {
                classes.push(link, DEFAULT_PRIORITY);
            }
            classes
        });
        classes.push(link, class);
    }

    /// The next link.
    pub(super) fn pop(&mut self) -> Option<Key> {
        match &mut self.classes {
            None => self.usual.pop_front(),
            Some(classes) => classes.pop(),
        }
    }

    /// Whether no link waits.
    pub(super) fn is_empty(&self) -> bool {
        let classes = self.classes.as_ref();
        self.usual.is_empty() && classes.is_none_or(|classes| classes.waiting == 0)
    }
}

impl Classes {
    fn push(&mut self, link: Key, class: u8) {
        let class = class.min(PROTOCOL);
        self.links[usize::from(class)].push_back(link);
        self.waiting |= 1 << class;
    }

    fn pop(&mut self) -> Option<Key> {
        let class = self.choose()?;
        let links = &mut self.links[usize::from(class)];
        let link = links.pop_front();
        if links.is_empty() {
            self.waiting &= !(1 << class);
        }
        link
    }

    fn choose(&mut self) -> Option<u8> {
        let first = highest(self.waiting)?;
        let others = self.waiting & !(1 << first);
        if others == 0 {
            self.favours = 0;
            return Some(first);
        }
        if self.favours < FAVOURS {
            self.favours += 1;
            return Some(first);
        }
        self.favours = 0;
        let below = others & ((1 << self.relieved) - 1);
        let class = highest(below).or(highest(others))?;
        self.relieved = class;
        Some(class)
    }
}

/// The highest class of a set.
fn highest(classes: u16) -> Option<u8> {
    let bit = classes.checked_ilog2()?;
    u8::try_from(bit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        Key::from_token(u64::from(number))
    }

    #[test]
    fn the_higher_class_goes_first_and_within_it_who_came_first() {
        let mut ready = Ready::default();
        for (number, class) in [
            (1, 4),
            (2, 4),
            (3, 0),
            (4, 9),
            (5, PROTOCOL),
            (6, 9),
            (7, 4),
        ] {
            ready.push(key(number), class);
        }
        let order: Vec<_> = std::iter::from_fn(|| ready.pop()).collect();
        assert_eq!(order, [5, 4, 6, 1, 2, 7, 3].map(key));
        assert!(ready.is_empty());
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut ready = Ready::default();
        let classes = [0, 4, 9, PROTOCOL];
        for class in classes {
            ready.push(key(u32::from(class)), class);
        }
        let mut shares = [0; PRIORITIES + 1];
        for _ in 0..270 {
            let link = ready.pop().unwrap();
            let class = classes
                .into_iter()
                .find(|class| key(u32::from(*class)) == link);
            let class = class.unwrap();
            shares[usize::from(class)] += 1;
            ready.push(link, class);
        }
        assert_eq!(
            classes.map(|class| shares[usize::from(class)]),
            [10, 10, 10, 240]
        );
    }
}
