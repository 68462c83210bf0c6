//! Questions to the shards: scattered as mail, gathered with a deadline, merged and sorted.
//! It never answers from memory. Decision: few questions are out at a time and the others wait
//! their turn, so that what shards write for management is bounded whatever clients ask. Only
//! whether shards answer at all is asked at once: nothing is written for it, and who asks has a
//! router restarted that seems to be silent.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use amqp_proto::Time;

use crate::ids::{AddressId, ShardId};
use crate::inspect::{AddressCounters, Answer, PoolRow, Query, Rows, Subject};

/// Questions that may be out at once, those left out that wait for nobody.
const OUTSTANDING: usize = 4;

/// How long shards have to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// The number of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueryId(pub u64);

/// All answers to a question.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The question's.
    pub id: QueryId,
    /// Every shard has answered; else the rows are only those of the shards that were in time.
    pub complete: bool,
    /// Connections and links by number, hence about by age; addresses by record.
    pub rows: Rows,
}

#[derive(Debug)]
struct Open {
    query: Query,
    deadline: Time,
    waiting: Vec<ShardId>,
    rows: Rows,
}

#[derive(Debug)]
pub(super) struct Gather {
    shards: u16,
    next: u64,
    queue: VecDeque<Query>,
    open: Vec<Open>,
    done: VecDeque<Gathered>,
}

impl Gather {
    pub(super) fn new(shards: u16) -> Self {
        Self {
            shards,
            next: 0,
            queue: VecDeque::new(),
            open: Vec::new(),
            done: VecDeque::new(),
        }
    }

    /// Takes a question; [`Gather::start`] hands it to the shards.
    pub(super) fn ask(&mut self, what: Subject) -> QueryId {
        self.next += 1;
        let id = self.next;
        let query = Query { id, what };
        match is_urgent(what) {
            true => self.queue.push_front(query),
            false => self.queue.push_back(query),
        }
        QueryId(id)
    }

    /// The next question to send to all shards, if one may go out.
    pub(super) fn start(&mut self, now: Time) -> Option<Query> {
        if !self.is_waiting() {
            return None;
        }
        let query = self.queue.pop_front()?;
        self.open.push(Open {
            query,
            deadline: now + DEADLINE,
            waiting: (0..self.shards).map(ShardId).collect(),
            rows: empty(query.what),
        });
        Some(query)
    }

    /// Whether a question may go out.
    pub(super) fn is_waiting(&self) -> bool {
        let Some(first) = self.queue.front() else {
            return false;
        };
        let others = self.open.iter().filter(|open| !is_urgent(open.query.what));
        is_urgent(first.what) || others.count() < OUTSTANDING
    }

    /// Takes a shard's answer; one that is late, or of the wrong kind, is dropped.
    pub(super) fn answer(&mut self, answer: Answer) {
        let Some(at) = self.open.iter().position(|open| open.query.id == answer.id) else {
            return;
        };
        let open = &mut self.open[at];
        let Some(shard) = open.waiting.iter().position(|shard| *shard == answer.shard) else {
            return;
        };
        if !append(&mut open.rows, answer.rows) {
            return;
        }
        open.waiting.swap_remove(shard);
        if open.waiting.is_empty() {
            self.finish(at, true);
        }
    }

    /// Ends the questions whose time is up.
    pub(super) fn expire(&mut self, now: Time) {
        while let Some(at) = self.open.iter().position(|open| open.deadline <= now) {
            self.finish(at, false);
        }
    }

    pub(super) fn poll(&mut self) -> Option<Gathered> {
        self.done.pop_front()
    }

    /// The answer to one of these questions; the others stay.
    pub(super) fn poll_of(&mut self, asked: &[QueryId]) -> Option<Gathered> {
        let is_asked = |gathered: &Gathered| asked.contains(&gathered.id);
        let at = self.done.iter().position(is_asked)?;
        self.done.remove(at)
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.open.iter().map(|open| open.deadline).min()
    }

    fn finish(&mut self, at: usize, complete: bool) {
        let open = self.open.remove(at);
        let id = QueryId(open.query.id);
        self.done.push_back(Gathered {
            id,
            complete,
            rows: merged(open.rows),
        });
    }
}

/// Whether a question goes out before all others.
fn is_urgent(what: Subject) -> bool {
    matches!(what, Subject::Presence)
}

fn empty(what: Subject) -> Rows {
    match what {
        Subject::Connections => Rows::Connections(Vec::new()),
        Subject::Links => Rows::Links(Vec::new()),
        Subject::Addresses => Rows::Addresses(Vec::new()),
        Subject::Pools => Rows::Pools(Vec::new()),
        Subject::Presence => Rows::Presence,
    }
}

fn append(rows: &mut Rows, more: Rows) -> bool {
    match (rows, more) {
        (Rows::Connections(rows), Rows::Connections(more)) => rows.extend(more),
        (Rows::Links(rows), Rows::Links(more)) => rows.extend(more),
        (Rows::Addresses(rows), Rows::Addresses(more)) => rows.extend(more),
        (Rows::Pools(rows), Rows::Pools(more)) => rows.extend(more),
        (Rows::Presence, Rows::Presence) => {}
        _ => return false,
    }
    true
}

fn merged(rows: Rows) -> Rows {
    match rows {
        Rows::Connections(mut rows) => {
            rows.sort_by_key(|row| row.id);
            Rows::Connections(rows)
        }
        Rows::Links(mut rows) => {
            rows.sort_by_key(|row| row.id);
            Rows::Links(rows)
        }
        Rows::Addresses(rows) => {
            let mut sums: BTreeMap<AddressId, AddressCounters> = BTreeMap::new();
            for (address, counters) in rows {
                sums.entry(address).or_default().add(&counters);
            }
            Rows::Addresses(sums.into_iter().collect())
        }
        Rows::Pools(rows) => Rows::Pools(of_all_shards(rows)),
        Rows::Presence => Rows::Presence,
    }
}

/// Pools of the same kind, whosever they are, as one; by name.
fn of_all_shards(rows: Vec<PoolRow>) -> Vec<PoolRow> {
    let mut pools: BTreeMap<&'static str, PoolRow> = BTreeMap::new();
    for row in rows {
        let pool = pools.entry(row.name).or_insert(PoolRow {
            held: 0,
            given_back: 0,
            ..row
        });
        pool.held += row.held;
        pool.given_back += row.given_back;
    }
    pools.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: QueryId, shard: u16, of: &[(u64, u64)]) -> Answer {
        let counters = |ingress| AddressCounters {
            ingress,
            ..AddressCounters::default()
        };
        let rows = of
            .iter()
            .map(|(id, ingress)| (AddressId(*id), counters(*ingress)))
            .collect();
        Answer {
            id: id.0,
            shard: ShardId(shard),
            rows: Rows::Addresses(rows),
        }
    }

    #[test]
    fn answers_of_all_shards_are_summed_and_sorted() {
        let mut gather = Gather::new(2);
        let id = gather.ask(Subject::Addresses);
        assert_eq!(gather.start(Time::ZERO).map(|query| query.id), Some(id.0));
        gather.answer(answer(id, 1, &[(7, 1), (2, 5)]));
        gather.answer(answer(id, 1, &[(7, 100)]));
        assert!(gather.poll().is_none());
        gather.answer(answer(id, 0, &[(7, 10)]));
        let gathered = gather.poll().expect("both have answered");
        assert!(gathered.complete);
        let Rows::Addresses(rows) = gathered.rows else {
            panic!("asked for addresses")
        };
        let rows: Vec<_> = rows
            .iter()
            .map(|(id, counters)| (id.0, counters.ingress))
            .collect();
        assert_eq!(rows, [(2, 5), (7, 11)]);
    }

    #[test]
    fn a_shard_that_is_late_leaves_the_answer_incomplete() {
        let mut gather = Gather::new(2);
        let id = gather.ask(Subject::Links);
        gather.start(Time::ZERO);
        let deadline = gather.next_deadline().expect("a question is out");
        gather.answer(Answer {
            id: id.0,
            shard: ShardId(0),
            rows: Rows::Links(Vec::new()),
        });
        gather.expire(deadline);
        assert_eq!(gather.poll().map(|gathered| gathered.complete), Some(false));
        gather.answer(Answer {
            id: id.0,
            shard: ShardId(1),
            rows: Rows::Links(Vec::new()),
        });
        assert!(gather.poll().is_none());
    }

    #[test]
    fn each_asker_takes_its_own_answers() {
        let mut gather = Gather::new(1);
        let ids = [Subject::Presence, Subject::Links].map(|what| gather.ask(what));
        let rows = [Rows::Presence, Rows::Links(Vec::new())];
        for (id, rows) in ids.iter().zip(rows) {
            gather.start(Time::ZERO);
            gather.answer(Answer {
                id: id.0,
                shard: ShardId(0),
                rows,
            });
        }
        let taken = gather.poll_of(&ids[1..]).expect("it is answered");
        assert_eq!((taken.id, taken.complete), (ids[1], true));
        assert!(gather.poll_of(&ids[1..]).is_none());
        let taken = gather.poll().expect("it is left");
        assert!(taken.id == ids[0] && matches!(taken.rows, Rows::Presence));
    }

    #[test]
    fn whether_shards_answer_is_asked_whatever_else_waits() {
        let mut gather = Gather::new(1);
        for _ in 0..2 * OUTSTANDING {
            gather.ask(Subject::Links);
        }
        while gather.start(Time::ZERO).is_some() {}
        assert!(!gather.is_waiting());
        let id = gather.ask(Subject::Presence);
        assert!(gather.is_waiting());
        let query = gather.start(Time::ZERO).expect("it goes out");
        assert!(query.id == id.0 && !gather.is_waiting());
        gather.answer(Answer {
            id: id.0,
            shard: ShardId(0),
            rows: Rows::Presence,
        });
        assert!(gather.poll_of(&[id]).is_some_and(|all| all.complete));
    }

    #[test]
    fn questions_beyond_a_few_wait_their_turn() {
        let mut gather = Gather::new(1);
        let ids: Vec<_> = (0..OUTSTANDING + 1)
            .map(|_| gather.ask(Subject::Connections))
            .collect();
        for _ in 0..OUTSTANDING {
            assert!(gather.start(Time::ZERO).is_some());
        }
        assert!(gather.start(Time::ZERO).is_none());
        let rows = Rows::Connections(Vec::new());
        gather.answer(Answer {
            id: ids[0].0,
            shard: ShardId(0),
            rows,
        });
        assert_eq!(
            gather.start(Time::ZERO).map(|query| query.id),
            Some(ids[OUTSTANDING].0)
        );
    }
}
