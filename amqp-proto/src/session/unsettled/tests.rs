//! The ring of unsettled deliveries against what a map would do.

use super::*;
use proptest::prelude::*;

fn entry(token: u64) -> Entry {
    Entry { token, link: 1 }
}

fn tokens(unsettled: &mut Unsettled, first: u32, last: u32, settled: bool) -> Vec<u64> {
    let mut tokens = Vec::new();
    unsettled.visit(first, last, settled, |entry| tokens.push(entry.token));
    tokens
}

#[test]
fn a_range_wider_than_the_ring_gives_only_what_is_known() {
    let mut unsettled = Unsettled::default();
    for id in 10..13 {
        unsettled.insert(id, entry(u64::from(id)));
    }
    assert_eq!(tokens(&mut unsettled, 0, 0x7fff_ffff, false), [10, 11, 12]);
    assert_eq!(tokens(&mut unsettled, 11, 11, true), [11]);
    assert_eq!(tokens(&mut unsettled, 12, 11, true), [0; 0]);
    assert_eq!(tokens(&mut unsettled, 0, 0x7fff_ffff, true), [10, 12]);
    assert_eq!(unsettled.len(), 0);
}

#[test]
fn one_straggler_does_not_stretch_the_ring() {
    let mut unsettled = Unsettled::default();
    unsettled.insert(0, entry(0));
    for id in 1..100_000 {
        unsettled.insert(id, entry(u64::from(id)));
        unsettled.remove(id);
        assert!(unsettled.ring.len() <= RING_ALWAYS);
    }
    assert_eq!(unsettled.len(), 1);
    assert_eq!(tokens(&mut unsettled, 0, 99_999, true), [0]);
}

#[test]
fn a_jump_over_settled_deliveries_costs_no_places() {
    let mut unsettled = Unsettled::default();
    unsettled.insert(0, entry(0));
    unsettled.insert(1_000_000, entry(1));
    assert!(unsettled.ring.len() <= RING_ALWAYS);
    assert_eq!(tokens(&mut unsettled, 0, 2_000_000, false), [0, 1]);
}

#[test]
fn memory_is_given_back_when_all_is_settled() {
    let mut unsettled = Unsettled::default();
    for id in 0..1000 {
        unsettled.insert(id, entry(1));
    }
    assert_eq!(tokens(&mut unsettled, 0, 999, true).len(), 1000);
    assert_eq!(unsettled.ring.capacity(), 0);
}

#[test]
fn a_link_takes_its_own_away_in_order() {
    let mut unsettled = Unsettled::default();
    for id in 0..10 {
        unsettled.insert(
            id * 1000,
            Entry {
                token: u64::from(id),
                link: id % 2,
            },
        );
    }
    let mut gone = vec![99];
    unsettled.remove_link(1, 5, &mut gone);
    assert_eq!(gone, [99, 1, 3, 5, 7, 9]);
    assert_eq!(tokens(&mut unsettled, 0, 10_000, true), [0, 2, 4, 6, 8]);
}

proptest! {
    #[test]
    fn agrees_with_a_map(
        start in any::<u32>(),
        ops in prop::collection::vec((0u8..4, 0u32..3000, 0u32..3000), 0..300),
    ) {
        let mut unsettled = Unsettled::default();
        let mut model = BTreeMap::new();
        let mut next = 0u32;
        for (op, a, b) in ops {
            match op {
                0 | 1 => {
                    next += 1 + if op == 1 { a } else { 0 };
                    unsettled.insert(start.wrapping_add(next), entry(u64::from(next)));
                    model.insert(next, u64::from(next));
                }
                2 => {
                    let id = next.saturating_sub(a);
                    let removed = unsettled.remove(start.wrapping_add(id)).map(|entry| entry.token);
                    prop_assert_eq!(removed, model.remove(&id));
                }
                _ => {
                    let first = next.saturating_sub(a.max(b));
                    let last = next.saturating_sub(a.min(b));
                    let found = tokens(
                        &mut unsettled,
                        start.wrapping_add(first),
                        start.wrapping_add(last),
                        a % 2 == 0,
                    );
                    let known = model.range(first..=last).map(|(_, &token)| token);
                    let known: Vec<_> = known.collect();
                    prop_assert_eq!(found, known);
                    if a % 2 == 0 {
                        model.retain(|id, _| !(first..=last).contains(id));
                    }
                }
            }
            prop_assert_eq!(unsettled.len(), model.len());
        }
    }
}
