//! What the control thread has said, and what is made of it, for all who ask at that time.
//!
//! ```text
//!   one slot for each scope:  asked at ──► facts, said at ──► texts of metrics, by their limits
//! ```
//!
//! Decision: a text of metrics is made once from what was said, and handed to everybody who wants
//! the same; what slow readers keep of older ones is bounded by [`Slots::is_outdated`].

use std::collections::BTreeMap;

use amqp_proto::Time;
use bytes::Bytes;
use web::limits::{FACTS_AGE, FACTS_TIME, SERIES_AGE, TEXTS_BYTES};

use super::facts::{Facts, Scope};

/// All slots.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: [Slot; Scope::COUNT],
    /// Bytes of all texts so far.
    made: u64,
}

#[derive(Debug, Default)]
struct Slot {
    asked: Option<Time>,
    said: Option<Said>,
}

/// What was said, and when.
#[derive(Debug)]
pub(super) struct Said {
    at: Time,
    pub(super) facts: Facts,
    texts: BTreeMap<Limits, Text>,
}

/// How many addresses and connections may have series.
pub(super) type Limits = (usize, usize);

/// A text of metrics.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) bytes: Bytes,
    /// How many bytes had been made when it was.
    pub(super) made: u64,
}

impl Said {
    fn is_good_for(&self, scope: Scope, now: Time) -> bool {
        let age = match scope == Scope::default() {
            true => FACTS_AGE,
            false => SERIES_AGE,
        };
        self.facts.scope.covers(scope) && now.saturating_sub(self.at) < age
    }
}

impl Slots {
    /// Whether the control thread is to be asked, which is remembered.
    pub(super) fn ask(&mut self, scope: Scope, now: Time) -> bool {
        let slot = &mut self.slots[scope.index()];
        let is_recent = |at: &Time| now.saturating_sub(*at) < FACTS_TIME;
        if slot.asked.as_ref().is_some_and(is_recent) {
            return false;
        }
        slot.asked = Some(now);
        true
    }

    /// Takes what the control thread has said.
    pub(super) fn take(&mut self, facts: Facts, now: Time) {
        let slot = &mut self.slots[facts.scope.index()];
        slot.asked = None;
        slot.said = Some(Said {
            at: now,
            facts,
            texts: BTreeMap::new(),
        });
    }

    /// What was said lately.
    pub(super) fn known(&self, scope: Scope, now: Time) -> Option<&Facts> {
        let said = self.slots.iter().filter_map(|slot| slot.said.as_ref());
        let mut said = said.filter(|said| said.is_good_for(scope, now));
        said.next().map(|said| &said.facts)
    }

    /// The metrics that were said lately, made by `make` if they are not there.
    ///
    /// # Errors
    /// What `make` says.
    pub(super) fn text<E>(
        &mut self,
        (scope, limits): (Scope, Limits),
        now: Time,
        make: impl FnOnce(&Facts) -> Result<String, E>,
    ) -> Result<Option<Text>, E> {
        let said = self.slots.iter_mut().filter_map(|slot| slot.said.as_mut());
        let mut said = said.filter(|said| said.is_good_for(scope, now));
        let Some(said) = said.next() else {
            return Ok(None);
        };
        if let Some(text) = said.texts.get(&limits) {
            return Ok(Some(text.clone()));
        }
        let bytes = Bytes::from(make(&said.facts)?);
        self.made += bytes.len() as u64;
        let text = Text {
            bytes,
            made: self.made,
        };
        said.texts.insert(limits, text.clone());
        Ok(Some(text))
    }

    /// Whether so much has been made since a text that who still reads it has to stop.
    pub(super) fn is_outdated(&self, made: u64) -> bool {
        self.made - made > TEXTS_BYTES
    }

    /// Forgets what is too old to be an answer.
    pub(super) fn expire(&mut self, now: Time) {
        for slot in &mut self.slots {
            slot.said
                .take_if(|said| now.saturating_sub(said.at) >= SERIES_AGE);
        }
    }

    /// When [`Slots::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let said = self.slots.iter().filter_map(|slot| slot.said.as_ref());
        said.map(|said| said.at + SERIES_AGE).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ALL: Scope = Scope {
        addresses: true,
        connections: true,
    };

    fn slots(scope: Scope) -> Slots {
        let mut slots = Slots::default();
        slots.take(Facts::of_nobody(scope, true), Time::ZERO);
        slots
    }

    fn text(slots: &mut Slots, limits: Limits, now: Time, text: &str) -> Option<Text> {
        let made = slots.text((ALL, limits), now, |_| Ok::<_, ()>(text.to_owned()));
        made.unwrap()
    }

    #[test]
    fn metrics_are_made_once_for_all_who_want_the_same() {
        let mut slots = slots(ALL);
        let first = text(&mut slots, (1, 1), Time::ZERO, "first").unwrap();
        let again = text(&mut slots, (1, 1), Time::ZERO, "again").unwrap();
        assert_eq!(first.bytes.as_ptr(), again.bytes.as_ptr());
        let other = text(&mut slots, (1, 2), Time::ZERO, "other").unwrap();
        assert_eq!(other.bytes, "other");
        let late = Time::ZERO + SERIES_AGE;
        assert!(text(&mut slots, (1, 1), late, "late").is_none());
        slots.expire(late);
        assert_eq!(slots.next_deadline(), None);
    }

    #[test]
    fn whether_threads_answer_is_never_said_from_what_is_kept_for_scrapes() {
        let slots = slots(ALL);
        let now = Time::ZERO + FACTS_AGE;
        assert!(slots.known(Scope::default(), now).is_none());
        assert!(slots.known(ALL, now).is_some());
    }

    #[test]
    fn each_question_is_asked_once_until_it_is_answered_or_lost() {
        let mut slots = Slots::default();
        assert!(slots.ask(ALL, Time::ZERO) && !slots.ask(ALL, Time::ZERO));
        // What takes long must not keep who asks for little.
        assert!(slots.ask(Scope::default(), Time::ZERO));
        assert!(slots.ask(ALL, Time::ZERO + FACTS_TIME));
        slots.take(Facts::of_nobody(ALL, true), Time::ZERO);
        assert!(slots.ask(ALL, Time::ZERO + Duration::from_nanos(1)));
    }

    #[test]
    fn who_reads_an_old_text_has_to_stop_when_too_much_is_kept() {
        let mut slots = slots(ALL);
        let first = text(&mut slots, (1, 1), Time::ZERO, "first").unwrap();
        assert!(!slots.is_outdated(first.made));
        slots.made += TEXTS_BYTES;
        assert!(!slots.is_outdated(first.made));
        slots.made += 1;
        assert!(slots.is_outdated(first.made));
    }
}
