//! Who has how much to do: the loads and turns of addresses with a choice, counted exactly without
//! a shared counter.
//!
//! Owns boards of cells, one board for each shard, written by that shard alone with plain stores. A
//! *load* is the sum of a slot over all boards: the shard that chooses a target adds to its own
//! cell, the shard that ends the delivery takes it off its own. A *turn* is a sum, too. Decision:
//! sums modulo 2³² over boards instead of one atomic counter for each target; a choice then writes
//! a line that no other shard writes, and a slot is free for reuse as soon as additions and
//! removals have paired.
//!
//! ```text
//!              slot 0   slot 1   slot 2 …      a load: 7 + (2³² − 5) + 0 = 2
//!   shard 0         7        1        0
//!   shard 1   2³² − 5        0        0        each row: one writer
//!   control         0        0        4
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_utils::CachePadded;

use crate::ids::ShardId;
use crate::limits::TALLY_REFRESH;

use super::record::NO_SLOT;

/// Cells of a segment, a power of two.
const SEGMENT_CELLS: usize = 1024;

/// A piece of a board; boards grow by whole segments, which never move.
type Segment = CachePadded<[AtomicU32; SEGMENT_CELLS]>;

/// One shard's cells.
type Board = Vec<Arc<Segment>>;

/// The boards of all shards, control plane included. A clone shows the same cells.
#[derive(Clone, Debug)]
pub struct Boards {
    boards: Arc<[Board]>,
}

impl Boards {
    /// Boards without cells for so many shards and the control plane.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        Self {
            boards: (0..=shards).map(|_| Board::new()).collect(),
        }
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> u32 {
        let slots = self.boards[0].len() * SEGMENT_CELLS;
        u32::try_from(slots).expect("slots are dealt as u32")
    }

    /// The load of a slot: what all boards together say of it.
    #[must_use]
    pub fn load(&self, slot: u32) -> u32 {
        let cells = self.boards.iter().filter_map(|board| cell(board, slot));
        let load = cells.fold(0_u32, |sum, cell| {
            sum.wrapping_add(cell.load(Ordering::Relaxed))
        });
        if is_negative(load) { 0 } else { load }
    }

    /// The same boards with room for at least so many slots: old cells stay shared.
    #[must_use]
    pub fn grown(&self, slots: u32) -> Self {
        let segments = (slots as usize).div_ceil(SEGMENT_CELLS);
        if segments <= self.boards[0].len() {
            return self.clone();
        }
        let mut boards = self.boards.to_vec();
        for board in &mut boards {
            board.resize_with(segments, || {
                Arc::new(Segment::new([const { AtomicU32::new(0) }; SEGMENT_CELLS]))
            });
        }
        Self {
            boards: boards.into(),
        }
    }
}

/// What one shard sees of the boards: its own cells as they are, the sums of the others' as they
/// were at the last [`refresh`](Tally::refresh).
#[derive(Debug)]
pub struct Tally {
    shard: usize,
    /// The shard's own board, once more: one step less to its cells.
    own: Board,
    boards: Boards,
    /// By slot.
    others: Vec<Others>,
    /// What is to be added to cells that this shard has not yet heard of: the routes may have
    /// reached whoever chose first.
    early: Vec<(u32, u32)>,
    /// Sums of earlier rounds are out of date.
    round: u32,
    /// Choices in this round.
    choices: u32,
    /// Room for sums while a choice is made.
    scratch: Vec<u32>,
}

/// The sum of a slot over the boards of the other shards.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    sum: u32,
    round: u32,
}

impl Tally {
    /// A shard's view of the boards, the control plane being the shard after the last. To be made
    /// once for each shard: its board has one writer.
    #[must_use]
    pub fn new(boards: &Boards, shard: ShardId) -> Self {
        let shard = shard.index();
        let own = boards.boards[shard].clone();
        let others = vec![Others::default(); boards.slots() as usize];
        Self {
            shard,
            own,
            boards: boards.clone(),
            others,
            early: Vec::new(),
            round: 1,
            choices: 0,
            scratch: Vec::new(),
        }
    }

    /// Goes on with boards that may have grown.
    pub fn adopt(&mut self, boards: &Boards) {
        debug_assert_eq!(
            boards.boards.len(),
            self.boards.boards.len(),
            "shards do not come and go"
        );
        self.boards = boards.clone();
        self.own.clone_from(&boards.boards[self.shard]);
        self.others
            .resize(boards.slots() as usize, Others::default());
        for (slot, n) in std::mem::take(&mut self.early) {
            self.write(slot, n);
        }
    }

    /// Forgets what the others' cells were: to be called at each read from a socket, so that the
    /// next choice sees every effect that the peer may have seen.
    #[inline]
    pub fn refresh(&mut self) {
        self.choices = 0;
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.forget();
        }
    }

    /// Starts the rounds again from 1: after 2³² of them a sum could be taken for a fresh one.
    #[cold]
    fn forget(&mut self) {
        self.others.fill(Others::default());
        self.round = 1;
    }

    /// So many zeros, in memory that is used again.
    pub(super) fn take_scratch(&mut self, count: usize) -> Vec<u32> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.resize(count, 0);
        scratch
    }

    /// Gives back what [`take_scratch`](Self::take_scratch) has given.
    pub(super) fn keep_scratch(&mut self, scratch: Vec<u32>) {
        self.scratch = scratch;
    }

    /// Notes that a choice was made from what the boards show.
    #[inline]
    pub(super) fn chosen(&mut self) {
        self.choices += 1;
        if self.choices >= TALLY_REFRESH {
            self.refresh();
        }
    }

    /// Counts a delivery for a target.
    #[inline]
    pub fn add(&mut self, slot: u32) {
        self.write(slot, 1);
    }

    /// Counts a delivery off that has ended, whichever shard counted it.
    #[inline]
    pub fn sub(&mut self, slot: u32) {
        self.write(slot, u32::MAX);
    }

    /// Adds to a cell of the own board; nothing for [`NO_SLOT`].
    #[inline]
    fn write(&mut self, slot: u32, n: u32) {
        if let Some(cell) = cell(&self.own, slot) {
            // Released, so that who sees the letter posted after this sees this, too.
            cell.store(
                cell.load(Ordering::Relaxed).wrapping_add(n),
                Ordering::Release,
            );
        } else if slot != NO_SLOT {
            self.early.push((slot, n));
        }
    }

    /// The load of a target: its deliveries chosen and not yet ended.
    #[must_use]
    #[inline]
    pub fn load(&mut self, slot: u32) -> u32 {
        let load = self.sum(slot);
        if is_negative(load) {
            self.load_again(slot)
        } else {
            load
        }
    }

    /// The load when the removal of a delivery has been seen before its addition.
    #[cold]
    fn load_again(&mut self, slot: u32) -> u32 {
        if let Some(others) = self.others.get_mut(slot as usize) {
            others.round = 0;
        }
        let load = self.sum(slot);
        if is_negative(load) { 0 } else { load }
    }

    /// The turn of an address among so many targets, at least one.
    #[must_use]
    #[inline]
    pub fn turn(&mut self, slot: u32, targets: usize) -> usize {
        self.sum(slot) as usize % targets
    }

    /// Ends a turn.
    #[inline]
    pub fn advance(&mut self, slot: u32) {
        self.write(slot, 1);
    }

    /// The sum of a slot: the own cell live, the others' of this round; 0 for [`NO_SLOT`].
    #[inline]
    fn sum(&mut self, slot: u32) -> u32 {
        let Some(own) = cell(&self.own, slot) else {
            return 0;
        };
        let own = own.load(Ordering::Relaxed);
        let others = &mut self.others[slot as usize];
        if others.round != self.round {
            let sum = sum_of_others(&self.boards.boards, self.shard, slot);
            *others = Others {
                sum,
                round: self.round,
            };
        }
        own.wrapping_add(others.sum)
    }
}

/// Reads a slot on all boards but one.
fn sum_of_others(boards: &[Board], own: usize, slot: u32) -> u32 {
    let mut sum = 0_u32;
    for (index, board) in boards.iter().enumerate() {
        if index != own
            && let Some(cell) = cell(board, slot)
        {
            sum = sum.wrapping_add(cell.load(Ordering::Acquire));
        }
    }
    sum
}

/// A slot's cell on a board; none for [`NO_SLOT`].
#[inline]
fn cell(board: &Board, slot: u32) -> Option<&AtomicU32> {
    let slot = slot as usize;
    let segment = board.get(slot / SEGMENT_CELLS)?;
    Some(&segment[slot % SEGMENT_CELLS])
}

/// Whether a sum modulo 2³² stands for a number below zero.
fn is_negative(sum: u32) -> bool {
    sum > u32::MAX / 2
}

/// Deals slots: those of loads, which are zero again when their deliveries have ended, apart from
/// those of turns, which never are.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    next: u32,
    loads: Vec<u32>,
    turns: Vec<u32>,
}

impl Slots {
    /// How many slots the boards must have for what has been dealt.
    #[must_use]
    pub fn needed(&self) -> u32 {
        self.next
    }

    /// A slot for the load of a target.
    pub fn load(&mut self) -> u32 {
        self.loads
            .pop()
            .unwrap_or_else(|| Self::deal(&mut self.next))
    }

    /// A slot for the turns of an address.
    pub fn turn(&mut self) -> u32 {
        self.turns
            .pop()
            .unwrap_or_else(|| Self::deal(&mut self.next))
    }

    /// Takes the slot of a target back. Deliveries under way may still count on it: they end.
    pub fn free_load(&mut self, slot: u32) {
        debug_assert_ne!(slot, NO_SLOT, "not a slot");
        self.loads.push(slot);
    }

    /// Takes the slot of an address's turns back.
    pub fn free_turn(&mut self, slot: u32) {
        debug_assert_ne!(slot, NO_SLOT, "not a slot");
        self.turns.push(slot);
    }

    /// A slot that nobody has had.
    fn deal(next: &mut u32) -> u32 {
        let slot = *next;
        assert!(slot < NO_SLOT - 1, "memory ends before the slots do");
        *next += 1;
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tallies of so many shards and the control plane, over a thousand slots.
    fn tallies(shards: u16) -> Vec<Tally> {
        let boards = Boards::new(shards).grown(1000);
        (0..=shards)
            .map(|shard| Tally::new(&boards, ShardId(shard)))
            .collect()
    }

    #[test]
    fn a_load_is_what_all_shards_have_added_less_what_they_have_taken_off() {
        let mut tallies = tallies(2);
        for _ in 0..5 {
            tallies[0].add(3);
        }
        tallies[2].add(3);
        for _ in 0..4 {
            tallies[1].sub(3);
        }
        for tally in &mut tallies {
            tally.refresh();
            assert_eq!(tally.load(3), 2);
            assert_eq!(tally.load(4), 0);
        }
    }

    #[test]
    fn a_delivery_that_ends_before_its_cell_is_known_counts_when_it_is() {
        let small = Boards::new(2);
        let large = small.grown(1);
        let mut chooser = Tally::new(&large, ShardId(0));
        let mut ender = Tally::new(&small, ShardId(1));
        chooser.add(3);
        ender.sub(3);
        ender.adopt(&large);
        chooser.refresh();
        assert_eq!(chooser.load(3), 0);
    }

    #[test]
    fn own_changes_show_at_once_and_the_others_at_the_next_refresh() {
        let mut tallies = tallies(2);
        let [one, other, _] = &mut *tallies else {
            panic!("three tallies")
        };
        assert_eq!(one.load(0), 0);
        other.add(0);
        one.add(0);
        assert_eq!(one.load(0), 1);
        one.refresh();
        assert_eq!(one.load(0), 2);
        other.add(0);
        for _ in 1..TALLY_REFRESH {
            one.chosen();
            assert_eq!(one.load(0), 2);
        }
        one.chosen();
        assert_eq!(one.load(0), 3);
    }

    #[test]
    fn a_removal_seen_before_its_addition_is_no_load_below_zero() {
        let mut tallies = tallies(2);
        let [adds, ends, _] = &mut *tallies else {
            panic!("three tallies")
        };
        assert_eq!(ends.load(0), 0);
        adds.add(0);
        adds.add(0);
        ends.sub(0);
        assert_eq!(ends.load(0), 1, "looks again");
        ends.sub(0);
        ends.sub(0);
        assert_eq!(ends.load(0), 0);
    }

    #[test]
    fn turns_go_round_over_all_shards() {
        let mut tallies = tallies(3);
        let mut turns = Vec::new();
        for shard in [0, 1, 1, 2, 0, 2, 1] {
            tallies[shard].refresh();
            turns.push(tallies[shard].turn(5, 3));
            tallies[shard].advance(5);
        }
        assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn what_has_no_slot_is_not_counted() {
        let mut tallies = tallies(1);
        tallies[0].add(NO_SLOT);
        assert_eq!(tallies[0].load(NO_SLOT), 0);
        tallies[0].advance(NO_SLOT);
        assert_eq!(tallies[0].turn(NO_SLOT, 7), 0);
    }

    #[test]
    fn boards_grow_without_losing_a_count() {
        let boards = Boards::new(1);
        assert_eq!(boards.slots(), 0);
        let small = boards.grown(1);
        let mut one = Tally::new(&small, ShardId(0));
        let mut other = Tally::new(&small, ShardId(1));
        one.add(0);
        let large = small.grown(small.slots() + 1);
        let newest = large.slots() - 1;
        one.adopt(&large);
        one.add(newest);
        other.add(0);
        other.adopt(&large);
        one.refresh();
        assert_eq!((one.load(0), one.load(newest)), (2, 1));
        assert_eq!((other.load(0), other.load(newest)), (2, 1));
        assert_eq!(
            large.grown(1).slots(),
            large.slots(),
            "boards do not shrink"
        );
    }

    #[test]
    fn rounds_wrap_without_taking_an_old_sum_for_a_new_one() {
        let mut tallies = tallies(1);
        assert_eq!(tallies[0].load(0), 0);
        tallies[1].add(0);
        tallies[0].round = u32::MAX;
        tallies[0].refresh();
        assert_eq!(tallies[0].load(0), 1);
    }

    #[test]
    fn slots_of_turns_never_become_slots_of_loads() {
        let mut slots = Slots::default();
        let (load, turn) = (slots.load(), slots.turn());
        slots.free_turn(turn);
        assert_eq!(slots.load(), 2);
        slots.free_load(load);
        assert_eq!((slots.load(), slots.turn()), (load, turn));
        assert_eq!(slots.needed(), 3);
    }
}
