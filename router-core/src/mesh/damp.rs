//! Not too often, not too soon: what holds back reactions to a network that will not come to rest.
//!
//! Owns the arithmetic of time. Decision: the first of a row is never held back, so that a network
//! at rest reacts at once, and each further one twice as long as the one before. Of neighbours that
//! come and go, losses are told at once whatever the row, a few a second; it is their return that
//! is held back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;

use crate::limits;

/// Lets the first of a row of acts through at once and spaces out the rest.
#[derive(Clone, Debug)]
pub(super) struct Damper {
    first: Duration,
    longest: Duration,
    hold: Duration,
    last: Option<Time>,
}

impl Damper {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            hold: Duration::ZERO,
            last: None,
        }
    }

    /// When the next act may be.
    pub(super) fn ready(&self) -> Time {
        self.last.map_or(Time::ZERO, |last| last + self.hold)
    }

    /// Takes note of an act. A row ends when nothing was done for twice the time to wait.
    pub(super) fn acted(&mut self, now: Time) {
        let quiet = self
            .last
            .is_none_or(|last| now > last + (self.hold + self.first) * 2);
        self.hold = if quiet {
            self.first
        } else {
            (self.hold * 2).min(self.longest)
        };
        self.last = Some(now);
    }
}

/// A question to another router that is repeated until it is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    wanted: bool,
    tries: u32,
    asked: Option<Time>,
    not_before: Time,
    /// It may not be asked before.
    held: Time,
}

impl Ask {
    /// The answer is needed.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// When to ask; `None` if the answer is not needed.
    pub(super) fn due(&self) -> Option<Time> {
        self.wanted.then_some(self.not_before)
    }

    /// Whether it was asked and not answered.
    pub(super) fn is_asked(&self) -> bool {
        self.wanted && self.tries > 0
    }

    /// The question was sent.
    pub(super) fn asked(&mut self, now: Time) {
        let wait = limits::MESH_ASK_TIME_OUT * (1 << self.tries.min(8));
        self.not_before = now + wait.min(limits::MESH_ASK_TIME_OUT_MAX);
        self.asked = Some(now);
        self.tries += 1;
    }

    /// The answer came, or is not needed any more.
    pub(super) fn answered(&mut self, now: Time) {
        self.wanted = false;
        self.tries = 0;
        self.not_before = now + limits::MESH_ASK_INTERVAL;
    }

    /// There is something newer to be asked for than when it was last asked.
    pub(super) fn hurry(&mut self) {
        self.tries = 0;
        self.hasten();
    }

    /// The question, or its answer, may have gone astray: it is asked again without waiting for
    /// the time-out.
    pub(super) fn doubt(&mut self) {
        if self.is_asked() {
            self.hasten();
        }
    }

    /// What has never been asked waits as long as it was to wait.
    fn hasten(&mut self) {
        if let Some(asked) = self.asked {
            let soon = self.not_before.min(asked + limits::MESH_ASK_INTERVAL);
            self.not_before = soon.max(self.held);
        }
    }

    /// Not before this time, unless there is reason to hurry.
    pub(super) fn wait(&mut self, until: Time) {
        self.not_before = self.not_before.max(until);
    }

    /// Not before this time, however urgent it is.
    pub(super) fn postpone(&mut self, until: Time) {
        self.wait(until);
        self.held = until;
    }

    /// Whether it was asked, or is about to be, and may yet be answered.
    pub(super) fn is_under_way(&self, now: Time) -> bool {
        let is_late = |asked| now.saturating_sub(asked) >= limits::MESH_ASK_TIME_OUT;
        let is_soon = self.not_before <= now + limits::MESH_ASK_TIME_OUT;
        self.wanted
            && match self.tries {
                0 => is_soon,
                _ => !self.asked.is_some_and(is_late),
            }
    }

    /// The way on which it was asked is gone: ask again as soon as there is another.
    pub(super) fn retry(&mut self) {
        self.tries = 0;
        self.not_before = Time::ZERO;
    }
}

/// Neighbours that were lost lately, and how long they are not believed to be back.
#[derive(Debug, Default)]
pub(super) struct Flaps {
    rows: BTreeMap<Arc<str>, Row>,
}

/// Losses of one neighbour, none of them long after the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    losses: u32,
    last: Time,
    until: Time,
}

impl Flaps {
    /// A neighbour was lost. Unless that is the first loss in a row: how many there were, and how
    /// long it is held back.
    pub(super) fn lost(&mut self, id: &Arc<str>, now: Time) -> Option<(u32, Duration)> {
        self.rows
            .retain(|_, row| now.saturating_sub(row.last) < limits::MESH_FLAP_MEMORY);
        if self.rows.len() >= limits::MESH_FLAPS && !self.rows.contains_key(id) {
            return None;
        }
        let row = self.rows.entry(Arc::clone(id)).or_default();
        row.losses = row.losses.saturating_add(1);
        row.last = now;
        let doublings = row.losses.checked_sub(2)?;
        let hold = limits::MESH_FLAP_HOLD * (1 << doublings.min(16));
        let hold = hold.min(limits::MESH_FLAP_HOLD_MAX);
        row.until = now + hold;
        Some((row.losses, hold))
    }

    /// Whether a neighbour is not believed to be back.
    pub(super) fn holds(&self, id: &str, now: Time) -> bool {
        self.rows.get(id).is_some_and(|row| now < row.until)
    }
}

/// So much a second, and what was not used lately besides.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    per_second: u64,
    /// When it will have been full again if nothing more is taken.
    full_at: Time,
    /// The latest time that somebody was given who has to wait.
    turn: Time,
}

impl Bucket {
    pub(super) const fn new(per_second: u64) -> Self {
        Self {
            per_second,
            full_at: Time::ZERO,
            turn: Time::ZERO,
        }
    }

    /// Whether there is anything in it.
    pub(super) fn is_open(&self, now: Time) -> bool {
        self.full_at <= now + Duration::from_secs(1)
    }

    /// Whether nothing is missing from it.
    pub(super) fn is_full(&self, now: Time) -> bool {
        self.full_at <= now
    }

    /// When there will be.
    pub(super) fn opens(&self) -> Time {
        let wait = self
            .full_at
            .saturating_sub(Time::ZERO + Duration::from_secs(1));
        Time::ZERO + wait
    }

    /// When there will be something for whoever comes behind the last who was given a time.
    pub(super) fn next_turn(&mut self) -> Time {
        self.turn = self.opens().max(self.turn + self.time_for(1));
        self.turn
    }

    /// Takes out so much, even if that is more than there is.
    pub(super) fn take(&mut self, amount: u64, now: Time) {
        self.full_at = self.full_at.max(now) + self.time_for(amount);
    }

    /// How long it takes until so much has come in.
    fn time_for(&self, amount: u64) -> Duration {
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(self.per_second.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn the_first_act_is_at_once_and_a_row_of_them_slows_down() {
        let mut damper = Damper::new(Duration::from_millis(100), Duration::from_millis(500));
        let mut now = at(1000);
        let mut waits = Vec::new();
        for _ in 0..6 {
            let next = damper.ready().max(now);
            waits.push(next.saturating_sub(now).as_millis());
            now = next;
            damper.acted(now);
        }
        assert_eq!(waits, [0, 100, 200, 400, 500, 500]);
        let later = now + Duration::from_secs(2);
        assert!(damper.ready() <= later);
        damper.acted(later);
        assert_eq!(
            damper.ready(),
            later + Duration::from_millis(100),
            "a new row"
        );
    }

    #[test]
    fn a_question_is_repeated_ever_more_seldom_until_it_is_answered() {
        let mut ask = Ask::default();
        assert_eq!(ask.due(), None);
        ask.want();
        assert_eq!(ask.due(), Some(Time::ZERO));
        ask.asked(at(0));
        assert_eq!(ask.due(), Some(at(500)));
        ask.asked(at(500));
        assert_eq!(ask.due(), Some(at(1500)));
        for _ in 0..10 {
            ask.asked(at(3000));
        }
        assert_eq!(ask.due(), Some(at(33_000)));
        ask.doubt();
        assert_eq!(ask.due(), Some(at(3200)), "the way may have been lost");
        ask.answered(at(4000));
        assert_eq!(ask.due(), None);
        ask.want();
        ask.doubt();
        assert_eq!(ask.due(), Some(at(4200)));
    }

    #[test]
    fn a_neighbour_that_is_lost_again_and_again_is_held_back_ever_longer() {
        let mut flaps = Flaps::default();
        let id = Arc::from("B");
        let mut now = at(1000);
        let mut holds = Vec::new();
        for _ in 0..9 {
            let hold = flaps.lost(&id, now).map_or(0, |(_, hold)| hold.as_millis());
            holds.push(hold);
            let hold = Duration::from_millis(u64::try_from(hold).unwrap());
            assert!(hold.is_zero() || flaps.holds("B", now));
            now = now + hold;
            assert!(!flaps.holds("B", now) && !flaps.holds("C", now));
            now = now + Duration::from_secs(1);
        }
        let expected = [0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
        assert_eq!(holds, expected);
        now = now + limits::MESH_FLAP_MEMORY;
        assert_eq!(flaps.lost(&id, now), None, "a new row");
    }

    #[test]
    fn a_bucket_gives_its_rate_and_a_second_in_advance() {
        let mut bucket = Bucket::new(10);
        let mut taken = 0;
        for millis in 0..10_000 {
            if bucket.is_open(at(millis)) {
                bucket.take(1, at(millis));
                taken += 1;
            }
        }
        assert!((109..=112).contains(&taken), "{taken}");
        bucket.take(100, at(10_000));
        assert!(!bucket.is_open(at(10_001)));
        assert!(bucket.is_open(bucket.opens()));
    }
}
