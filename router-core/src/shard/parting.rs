//! How routed links end: a detach is passed on behind all that came before it, and nobody waits
//! for ever for somebody else's peer.
//!
//! Decision: routed links of many clients share sessions at their container. A client that does not
//! read what it has given credit for could shut such a session for all of them, so its link is
//! ended once others wait. One that is merely slow sets the pace, as anywhere.

use std::collections::BTreeMap;

use super::attach::Refusal;
use super::link::{InLink, InTarget, Parting, Routed, Stage};
use super::relay::error_of;
use super::scrub::stops_others;
use super::state::Shard;
use crate::ids::{ConnKey, InLinkKey};
use crate::limits;
use crate::mail::{Half, RelayEvent};
use crate::notice::Notice;

/// What both peers hear of a link that kept others waiting.
const STALLED: Refusal = (
    "amqp:resource-limit-exceeded",
    "The receiver does not take or settle what it has given credit for while others wait",
);
const TOO_LATE: Refusal = (
    "qd:routed-link-lost",
    "The container has not answered the attach",
);

impl Shard {
    /// Once a second: what has waited too long for somebody's peer.
    pub(super) fn tend_routed(&mut self) {
        self.give_up_asking();
        self.give_up_parting();
        self.watch_routed();
    }

    /// Whether there is something to do for them when the second is over.
    pub(super) fn watches_routed(&self) -> bool {
        !self.routed_waits.asking.is_empty()
            || !self.routed_waits.parting.is_empty()
            || self.routed_waits.held
    }

    /// A client's link waits for its far end's answer.
    pub(super) fn note_asking(&mut self, near: Half) {
        let wait = limits::ROUTED_ATTACH_TIME_OUT.as_secs();
        let until = u64::from(self.second) + wait;
        self.routed_waits.asking.push_back((until, near));
    }

    /// Gives up those whose far end has not answered in time, and forgets those that need no watch.
    fn give_up_asking(&mut self) {
        let asks = |routed: &mut Routed| matches!(routed.stage, Stage::Asking(_));
        let second = u64::from(self.second);
        let waiting = std::mem::take(&mut self.routed_waits.asking);
        for (until, half) in waiting {
            if !self.routed(half).is_some_and(asks) {
                continue;
            }
            if until > second {
                self.routed_waits.asking.push_back((until, half));
                continue;
            }
            let (closed, error) = (true, None);
            self.tell_other(half, RelayEvent::Detach { closed, error }, true);
            self.refuse_near(half, TOO_LATE);
        }
    }

    /// Ends those for whose end the other peer should have done something in time.
    fn give_up_parting(&mut self) {
        let second = u64::from(self.second);
        let waiting = std::mem::take(&mut self.routed_waits.parting);
        for (until, half) in waiting {
            let Some(routed) = self.routed(half) else {
                continue;
            };
            let waits = routed.parting.is_some() || matches!(routed.stage, Stage::PeerGone(_));
            match waits {
                true if until <= second => self.give_up_peer(half),
                true => self.routed_waits.parting.push_back((until, half)),
                false => {}
            }
        }
    }

    /// A peer has not taken what came before its detach, or not answered that: the peer at the
    /// other end waits no longer.
    fn give_up_peer(&mut self, half: Half) {
        let Some((key, _, link)) = self.place_of(half) else {
            return;
        };
        let Some(routed) = self.routed(half) else {
            return;
        };
        if let Some(parting) = routed.parting.take() {
            self.empty_and_detach(half, *parting);
        } else if let Stage::PeerGone(closed) = routed.stage {
            routed.other = None;
            self.drop_half(key, link, Some(closed));
            self.touch(key);
        }
    }

    /// A half has to do with somebody else's peer: not for ever.
    pub(super) fn note_parting(&mut self, half: Half) {
        let wait = limits::ROUTED_DETACH_TIME_OUT.as_secs();
        self.routed_waits
            .parting
            .push_back((u64::from(self.second) + wait, half));
    }

    /// Asks the other halves of those that hold up others, and have not moved for long, to end.
    fn watch_routed(&mut self) {
        if !self.routed_waits.held {
            return;
        }
        let withheld = |link: &InLink| {
            let conn = self.conns.get(link.conn);
            conn.is_some_and(|conn| conn.is_full() || conn.withheld(link.session) > 0)
        };
        let moved = |link: &InLink| match &link.target {
            InTarget::Routed(routed) if link.bytes > 0 && withheld(link) => Some(routed.moved),
            _ => None,
        };
        let links = self.in_links.iter();
        let links = links.filter_map(|(key, link)| moved(link).map(|moved| (key, link, moved)));
        let mut stand = Vec::new();
        self.routed_waits.held = false;
        for (key, link, moved) in links {
            let since = u64::from(self.second.saturating_sub(moved));
            self.routed_waits.held = true;
            if since >= limits::STREAM_STALLED.as_secs() {
                stand.push((std::cmp::Reverse(link.bytes), link.conn, key));
            }
        }
        stand.sort_unstable();
        // Those that hold most go first, as many as it takes.
        let mut freed = BTreeMap::<ConnKey, u64>::new();
        for (bytes, conn, key) in stand {
            let freed = freed.entry(conn).or_default();
            let other = self.other_if_in_the_way(InLinkKey(key), *freed);
            if let Some(other) = other {
                *freed += bytes.0;
                self.relay(other, RelayEvent::Stalled);
            }
        }
    }

    /// The other half of a link, if others have to wait for it even after so many bytes of its
    /// connection are freed.
    fn other_if_in_the_way(&mut self, key: InLinkKey, freed: u64) -> Option<Half> {
        let link = self.in_links.get(key)?;
        let conn = self.conns.get(link.conn)?;
        let shared = conn.routing.contains(&link.session) || self.is_inter_router(link.conn);
        let enough = conn.settings.held_bytes / 2;
        let is_full =
            conn.is_full() && (freed == 0 || conn.held_bytes.saturating_sub(freed) > enough);
        let is_shut = !conn.is_full() && stops_others(conn, link.session);
        let in_the_way = shared && (is_full || is_shut);
        let other = self.in_links.get_mut(key)?.routed()?.other;
        other.filter(|_| in_the_way)
    }

    /// What came for this half keeps others waiting at its other one: if its peer takes none of
    /// it, or settles none of very much, the link ends.
    pub(super) fn end_if_stalled(&mut self, half: Half) {
        let Half::Out(out) = half else { return };
        let Some(link) = self.out_links.get(out.link) else {
            return;
        };
        // The next router knows better whose fault it is, and gets the time to do something.
        let patience = match self.is_inter_router(link.conn) {
            true => limits::STREAM_STALLED * 3,
            false => limits::STREAM_STALLED,
        };
        let since = u64::from(self.second.saturating_sub(link.moved));
        let is_open = |of: &Routed| matches!(of.stage, Stage::Open);
        let conn = self.conns.get(link.conn);
        let keeps = || conn.is_some_and(|conn| conn.engine.unsettled_on(link.link) > 0);
        let ends = (!link.lane.is_empty() || keeps())
            && since >= patience.as_secs()
            && link.routed.as_deref().is_some_and(is_open);
        if !ends {
            return;
        }
        if let Some(conn) = conn {
            self.notices.push(Notice::PeerMisbehaved {
                connection: conn.id,
                condition: STALLED.0.to_owned(),
                description: format!("{}: link '{}'", STALLED.1, link.name),
            });
        }
        let error = || Some(Box::new(error_of(STALLED)));
        let closed = true;
        let to_other = RelayEvent::Detach {
            closed,
            error: error(),
        };
        self.tell_other(half, to_other, false);
        self.empty_and_detach(
            half,
            Parting {
                closed,
                error: error(),
            },
        );
    }

    /// Detaches a half for which deliveries still wait: these go home.
    fn empty_and_detach(&mut self, half: Half, parting: Parting) {
        self.settle_half(half);
        self.detach_half(half, parting);
    }

    /// The other half's peer has gone: this one's is told, once all that came for it was sent.
    pub(super) fn part(&mut self, half: Half, parting: Parting) {
        let Some((key, _, link)) = self.place_of(half) else {
            return;
        };
        let Some(routed) = self.routed(half) else {
            return;
        };
        match routed.stage {
            Stage::Detaching => {}
            Stage::PeerGone(closed) => {
                self.tell_other(half, RelayEvent::Answered(closed), true);
                self.drop_half(key, link, Some(closed));
            }
            Stage::Open if matches!(half, Half::Out(_)) => {
                routed.parting = Some(Box::new(parting));
                self.note_parting(half);
                if let Half::Out(out) = half {
                    self.mark_ready(out.link);
                }
            }
            Stage::Asking(_) | Stage::Offered | Stage::Open => self.detach_half(half, parting),
        }
    }

    /// Detaches a half; what its deliveries have come to is said before.
    pub(super) fn detach_half(&mut self, half: Half, parting: Parting) {
        let Some((key, session, link)) = self.place_of(half) else {
            return;
        };
        if let Some(routed) = self.routed(half) {
            routed.stage = Stage::Detaching;
        }
        if let Some(conn) = self.conns.get_mut(key) {
            let Parting { closed, error } = parting;
            conn.engine
                .flush_all_dispositions(session, &mut conn.output);
            let error = error.map(|error| *error);
            conn.engine.detach(link, closed, error, &mut conn.output);
        }
        self.touch(key);
    }
}
