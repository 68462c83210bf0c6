//! How routed links end: a detach is passed on behind all that came before it, and nobody waits
//! for ever for somebody else's peer.
//!
//! Decision: routed links of many clients share sessions at their container. A client that does not
//! read what it has given credit for could shut such a session for all of them, so its link is
//! ended once others wait. One that is merely slow sets the pace, as anywhere.

use std::collections::BTreeMap;

use amqp_proto::SessionKey;

use super::attach::Refusal;
use super::link::{InLink, InTarget, Parting, Passing, Routed, Stage};
use super::relay::error_of;
use super::scrub::stops_others;
use super::state::Shard;
use crate::ids::{ConnKey, InLinkKey};
use crate::limits;
use crate::mail::{Half, RelayEvent};
use crate::notice::{Notice, cut};

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
        self.forget_lingering();
        self.watch_routed();
    }

    /// Whether there is something to do for them when the second is over.
    pub(super) fn watches_routed(&self) -> bool {
        let waits = &self.routed_waits;
        !(waits.asking.is_empty() && waits.parting.is_empty() && waits.lingering.is_empty())
            || waits.held
    }

    /// A client's link waits for its far end's answer.
    pub(super) fn note_asking(&mut self, near: Half) {
        let wait = limits::ROUTED_ATTACH_TIME_OUT.as_secs();
        let until = u64::from(self.second) + wait;
        self.routed_waits.asking.push_back((until, near));
    }

    /// A client's link is gone of which a container has yet to hear: it counts for a while, so that
    /// nobody has more links there than it may by attaching faster than the container answers.
    pub(super) fn linger(&mut self, conn: ConnKey) {
        let until = u64::from(self.second) + limits::ROUTED_ATTACH_TIME_OUT.as_secs();
        self.routed_waits.lingering.push_back((until, conn));
    }

    fn forget_lingering(&mut self) {
        let second = u64::from(self.second);
        while let Some(&(until, key)) = self.routed_waits.lingering.front()
            && until <= second
        {
            self.routed_waits.lingering.pop_front();
            if let Some(conn) = self.conns.get_mut(key) {
                conn.routed -= 1;
            }
        }
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
            if let Some(routed) = self.routed(half) {
                routed.lingers = true;
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
        let Some((key, session, link)) = self.place_of(half) else {
            return;
        };
        let Some(routed) = self.routed(half) else {
            return;
        };
        if let Some(parting) = routed.parting.take() {
            self.settle_half(half);
            if let Some(conn) = self.conns.get_mut(key) {
                // As far as there is room: all of them, others' among them, could be so much that
                // the connection ended, and others' links with it. The rest follows the detach.
                conn.engine.flush_dispositions(session, &mut conn.output);
            }
            self.detach_now(half, *parting);
        } else if let Stage::PeerGone(closed) = routed.stage {
            routed.other = None;
            routed.lingers = true;
            self.drop_half(key, link, Some(closed));
            self.touch(key);
        }
    }

    /// The end of a half waits for its other peer, which may never do anything: not for ever.
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
            self.routed_waits.held = true;
            if self.since(moved) >= limits::STREAM_STALLED.as_secs() {
                stand.push((std::cmp::Reverse(link.bytes), link.conn, key));
            }
        }
        stand.sort_unstable();
        // Those that hold most go first, as many as it takes.
        let mut freed = BTreeMap::<ConnKey, u64>::new();
        let mut shut = Vec::new();
        for (bytes, conn, key) in stand {
            let freed = freed.entry(conn).or_default();
            let other = self.other_if_in_the_way(InLinkKey(key), *freed, &mut shut);
            if let Some(other) = other {
                *freed += bytes.0;
                self.relay(other, RelayEvent::Stalled);
            }
        }
    }

    /// The other half of a link, if others have to wait for it even after so many bytes of its
    /// connection are freed.
    fn other_if_in_the_way(
        &mut self,
        key: InLinkKey,
        freed: u64,
        shut: &mut Vec<(ConnKey, SessionKey, bool)>,
    ) -> Option<Half> {
        let link = self.in_links.get(key)?;
        let conn = self.conns.get(link.conn)?;
        let shared = conn.routing.contains(&link.session) || self.is_inter_router(link.conn);
        let enough = conn.settings.held_bytes / 2;
        let is_full =
            conn.is_full() && (freed == 0 || conn.held_bytes.saturating_sub(freed) > enough);
        // What a client merely has not settled yet shuts no session: it is not its doing.
        let is_much = link.bytes > limits::STREAM_WINDOW;
        let mut is_shut = || {
            let of = (link.conn, link.session);
            if let Some(known) = shut.iter().find(|known| (known.0, known.1) == of) {
                return known.2;
            }
            let stops = stops_others(conn, link.session);
            shut.push((link.conn, link.session, stops));
            stops
        };
        let is_shut = !conn.is_full() && is_much && is_shut();
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
        let is_neighbor = self.is_inter_router(link.conn);
        let patience = match is_neighbor {
            true => limits::STREAM_STALLED * 3,
            false => limits::STREAM_STALLED,
        };
        let since = self.since(link.moved);
        let is_open = |of: &Routed| matches!(of.stage, Stage::Open);
        let conn = self.conns.get(link.conn);
        let keeps = || conn.is_some_and(|conn| conn.engine.unsettled_on(link.link) > 0);
        let ends = (!link.lane.is_empty() || keeps())
            && since >= patience.as_secs()
            && link.routed.as_deref().is_some_and(is_open);
        if !ends {
            return;
        }
        // Nor is a neighbour to blame for a client of its own.
        if let Some(conn) = conn.filter(|_| !is_neighbor) {
            self.notices.push(Notice::PeerMisbehaved {
                connection: conn.id,
                condition: STALLED.0.to_owned(),
                description: format!("{}: link '{}'", STALLED.1, cut(&link.name)),
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
            // What came first is what the peer hears.
            Stage::Open if routed.parting.is_some() => {}
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

    /// Detaches a half; what its deliveries have come to is said before. All of its session's
    /// outcomes go first, and they may be others': if that is much it waits until they have left.
    pub(super) fn detach_half(&mut self, half: Half, parting: Parting) {
        let Some((key, session, _)) = self.place_of(half) else {
            return;
        };
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if !conn.engine.flush_dispositions(session, &mut conn.output) {
            self.detach_now(half, parting);
            return;
        }
        conn.passing.push_back(Passing::Detach(half));
        if let Some(routed) = self.routed(half) {
            routed.parting = Some(Box::new(parting));
        }
        self.note_parting(half);
        self.touch(key);
    }

    /// Tries again what had to wait; whether it waits no longer.
    pub(super) fn detach_waiting(&mut self, half: Half) -> bool {
        let Some((key, session, _)) = self.place_of(half) else {
            return true;
        };
        if let Some(conn) = self.conns.get_mut(key)
            && conn.engine.flush_dispositions(session, &mut conn.output)
        {
            conn.passing.push_front(Passing::Detach(half));
            return false;
        }
        let parting = self.routed(half).and_then(|routed| routed.parting.take());
        if let Some(parting) = parting {
            self.detach_now(half, *parting);
        }
        true
    }

    fn detach_now(&mut self, half: Half, parting: Parting) {
        let Some((key, _, link)) = self.place_of(half) else {
            return;
        };
        if let Some(routed) = self.routed(half) {
            routed.stage = Stage::Detaching;
        }
        if let Some(conn) = self.conns.get_mut(key) {
            let Parting { closed, error } = parting;
            let error = error.map(|error| *error);
            conn.engine.detach(link, closed, error, &mut conn.output);
        }
        self.touch(key);
    }
}
