//! Where links to neighbours belong: a table for one question, asked several times a delivery.
//!
//! Decision: a table with free places and no removal, made once for a snapshot. A search in order
//! takes five comparisons where a neighbour has twenty links, this one or two.

use crate::ids::{OutLinkKey, mix};

/// Of a link to a neighbour, the places of the neighbour and of the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// A power of two of them, at least half of them free; none where there are no links.
    slots: Vec<Option<(OutLinkKey, u16, u16)>>,
}

impl Places {
    /// Of each link the last place that is given for it.
    pub(super) fn new(entries: &[(OutLinkKey, u16, u16)]) -> Self {
        let mut places = Self::default();
        if !entries.is_empty() {
            places.slots = vec![None; (entries.len() * 2).next_power_of_two()];
        }
        for &entry in entries {
            if let Some(at) = places.slot_of(entry.0)
                && let Some(slot) = places.slots.get_mut(at)
            {
                *slot = Some(entry);
            }
        }
        places
    }

    /// The places of a link's neighbour and connection.
    pub(super) fn of(&self, link: OutLinkKey) -> Option<(u16, u16)> {
        let (_, neighbor, member) = self.slots.get(self.slot_of(link)?).copied()??;
        Some((neighbor, member))
    }

    /// Where a link is, or would be.
    fn slot_of(&self, link: OutLinkKey) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let key = u64::from(link.link.index) << 16 | u64::from(link.shard.0);
        let mut at = usize::try_from(mix(key) & mask as u64).ok()?;
        while let Some(Some(entry)) = self.slots.get(at)
            && entry.0 != link
        {
            at = (at + 1) & mask;
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Key, ShardId};

    fn link(number: u32) -> OutLinkKey {
        OutLinkKey {
            shard: ShardId(u16::try_from(number % 3).unwrap()),
            link: Key {
                index: number,
                generation: number % 2,
            },
        }
    }

    #[test]
    fn a_link_is_found_where_it_belongs_and_no_other_is_found() {
        for count in [0_u16, 1, 2, 20, 1000] {
            let link = |number: u16| link(number.into());
            let entries = (0..count).map(|number| (link(number), number, 7));
            let places = Places::new(&entries.collect::<Vec<_>>());
            for number in 0..count {
                assert_eq!(places.of(link(number)), Some((number, 7)));
                let mut former = link(number);
                former.link.generation += 2;
                assert_eq!(places.of(former), None);
            }
            assert_eq!(places.of(link(count)), None);
        }
    }

    #[test]
    fn links_of_one_index_are_told_apart() {
        let link = |shard, generation| OutLinkKey {
            shard: ShardId(shard),
            link: Key {
                index: 7,
                generation,
            },
        };
        let entries = [(link(0, 1), 1, 2), (link(1, 1), 3, 4), (link(0, 2), 5, 6)];
        let places = Places::new(&entries);
        for (link, neighbor, member) in entries {
            assert_eq!(places.of(link), Some((neighbor, member)));
        }
        assert_eq!(places.of(link(2, 1)), None);
        assert_eq!(places.of(link(1, 2)), None);
    }

    #[test]
    fn the_last_place_of_a_link_counts() {
        let places = Places::new(&[(link(1), 1, 1), (link(1), 2, 3)]);
        assert_eq!(places.of(link(1)), Some((2, 3)));
    }
}
