//! Whether there is a reason for the end of a routed link: what is to be heard of it is the other
//! end's detach, or a loss that has happened, or a wait that was too long.

use std::time::Duration;

use amqp_codec::AmqpError;
use amqp_proto::Time;

use crate::books::{Books, Map};
use crate::heard::SLACK;
use crate::tunnels::{Leave, Side, Tunnel};

/// What is said of a link that has kept others waiting.
pub(super) const KEPT_WAITING: &str =
    "The receiver does not take or settle what it has given credit for while others wait";

/// How long a router waits for the answer to an attach, less what clocks and turns make of it.
const PATIENCE: Duration = Duration::from_secs(29);

/// Whether there is a reason for a link's end that comes from elsewhere.
pub(super) fn judge(
    books: &Books,
    (number, side): (usize, Side),
    (closed, error): (bool, Option<&AmqpError>),
    now: Time,
) -> Result<(), String> {
    let tunnel = &books.tunnels.all[number];
    let other = tunnel.end(side.other());
    if let Some(Leave::Detach {
        closed: wanted,
        error: reason,
    }) = &other.left
        && (*wanted, reason.as_ref()) == (closed, error)
    {
        return Ok(());
    }
    // A jump of a router's clock that is no sleep to it takes something from its patience.
    let patience = PATIENCE.saturating_sub(books.ahead);
    let waited = now.saturating_sub(tunnel.asked) >= patience;
    let condition = error.map_or("", |error| error.condition.as_str());
    let description = error.and_then(|error| error.description.as_deref());
    let description = description.unwrap_or_default();
    let is_new = tunnel.end(Side::Device).up.is_none();
    // The router tells the device that nobody answered, or is about to; the hub hears of it in one
    // way if its answer was on its way, in another if not. What it had said in time is no reason.
    let hub = tunnel.end(Side::Hub);
    let was_late = hub
        .up
        .is_none_or(|up| up + SLACK >= tunnel.asked + patience);
    let is_told = tunnel.end(Side::Device).over.is_some();
    let has_given_up = side == Side::Hub && is_new && waited && (was_late || is_told);
    match (condition, description) {
        ("qd:routed-link-lost", "Connectivity to the peer container was lost") => {
            // One to come back to, if its terminus is to survive.
            if !is_new && closed == tunnel.survives {
                return Err("it is closed, or not, against its terminus' wish".to_owned());
            }
            let unheard = other.peer.is_none() && books.tunnels.hub_left(earlier(tunnel.asked));
            match other.gone || unheard || has_given_up || books.lost_way(number, now) {
                true => Ok(()),
                false => Err("lost, and nothing happened".to_owned()),
            }
        }
        ("qd:routed-link-lost", "The container has not answered the attach") => {
            match is_new && waited {
                true => Ok(()),
                false => Err("given up too early".to_owned()),
            }
        }
        ("qd:no-route-to-dest", _) if is_new => match books.knew_a_hub(tunnel, now) {
            true => Err("refused while a hub was there".to_owned()),
            false => Ok(()),
        },
        // It kept others waiting: both ends are told.
        ("amqp:resource-limit-exceeded", KEPT_WAITING) => {
            match books.tunnels.kept_waiting(number, now) {
                true => Ok(()),
                false => Err("it did not stand still".to_owned()),
            }
        }
        // The router has given up waiting.
        ("", "") if closed && has_given_up => Ok(()),
        _ => Err("for no reason of anybody's".to_owned()),
    }
}

/// A time so much earlier that routers may not have noticed what had happened.
fn earlier(time: Time) -> Time {
    Time::ZERO + time.saturating_sub(Time::ZERO + SLACK)
}

impl Books {
    /// Whether routers lost a connection by which a link went, or was about to go, to another one.
    /// What the hub agreed to later did not go by it, unless its attach had been on the way to it
    /// before: then the loss comes right behind it.
    fn lost_way(&self, number: usize, now: Time) -> bool {
        let tunnel = &self.tunnels.all[number];
        let [Some(device), hub] = tunnel.ends.each_ref().map(|end| end.node) else {
            return false;
        };
        let end = tunnel.end(Side::Hub);
        let is_before = |at: Time, agreed: Time| {
            let is_behind = now <= agreed + SLACK;
            is_behind || agreed <= at + SLACK || self.tunnels.was_stalled(end.peer, at, agreed)
        };
        let is_of_link =
            |at: Time| at >= tunnel.asked && end.up.is_none_or(|agreed| is_before(at, agreed));
        let cuts = self.tunnels.cuts.iter();
        let mut later = cuts.filter(|(at, _)| is_of_link(*at));
        later.any(|&(_, cut)| {
            let mut passed = vec![device];
            hub.is_none_or(|hub| self.map.leads_over(&mut passed, hub, cut))
        })
    }

    /// Whether the routers must have known of a hub when a device attached, and as long as it took.
    fn knew_a_hub(&self, tunnel: &Tunnel, now: Time) -> bool {
        let many = u32::from(self.map.ids.len() > 1);
        let slack = SLACK * (1 + 2 * many);
        let hubs = &self.tunnels.hubs;
        hubs.iter().any(|hub| {
            let steady = hub.ending.is_none() && hub.up + slack < tunnel.asked;
            steady && !self.was_troubled(hub.up, now)
        })
    }
}

impl Map {
    /// Whether a way without circles that has passed some routers, and goes on to another, goes
    /// from one of two to the other or may.
    fn leads_over(&self, passed: &mut Vec<usize>, to: usize, cut: [usize; 2]) -> bool {
        let is_cut = |step: &[usize]| step == cut || step == [cut[1], cut[0]];
        let Some(&at) = passed.last().filter(|at| **at != to) else {
            return passed.windows(2).any(is_cut);
        };
        let joined = self.joined.iter().filter_map(|&(one, other)| match at {
            _ if at == one => Some(other),
            _ if at == other => Some(one),
            _ => None,
        });
        joined.into_iter().any(|next| {
            if passed.contains(&next) {
                return false;
            }
            passed.push(next);
            let leads = self.leads_over(passed, to, cut);
            passed.pop();
            leads
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use amqp_codec::{Attach, DeliveryTag, Role};
    use bytes::Bytes;

    use super::*;
    use crate::message::{Head, make};
    use crate::random::Random;
    use crate::tunnels::{FIRST, Parcel, Stall};

    const LOST: (&str, &str) = (
        "qd:routed-link-lost",
        "Connectivity to the peer container was lost",
    );
    const OVER: (&str, &str) = ("amqp:resource-limit-exceeded", KEPT_WAITING);

    /// A link from a device at the first of four routers to a hub at another; the first three are
    /// in a line, the last is joined to the second.
    fn link(hub: usize) -> Books {
        let mut books = Books::default();
        books.map.joined = BTreeSet::from([(0, 1), (1, 2), (1, 3)]);
        let attach = Attach {
            role: Role::Sender,
            ..Attach::default()
        };
        let tunnel = Tunnel::new((7, 0), attach, false, at(1));
        books.tunnels.add(tunnel);
        let ends = &mut books.tunnels.all[0].ends;
        (ends[1].peer, ends[1].node) = (Some(8), Some(hub));
        for end in ends {
            end.up = Some(at(1));
        }
        books
    }

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    /// Whether the device's end may hear this.
    fn is_fair(books: &Books, (condition, text): (&'static str, &'static str), now: u64) -> bool {
        let error = AmqpError::new(condition, text);
        judge(books, (0, Side::Device), (true, Some(&error)), at(now)).is_ok()
    }

    #[test]
    fn a_link_is_lost_with_its_peer_and_not_because_that_has_detached() {
        let mut books = link(2);
        assert!(!is_fair(&books, LOST, 20));
        books.tunnels.all[0].ends[1].left = Some(Leave::Detach {
            closed: true,
            error: None,
        });
        assert!(
            !is_fair(&books, LOST, 20),
            "its detach is what is passed on"
        );
        books.tunnels.peer_ending(8, at(20));
        assert!(is_fair(&books, LOST, 20));
    }

    #[test]
    fn a_link_is_lost_with_a_hub_that_was_gone_before_its_router_knew() {
        let mut books = link(2);
        (
            books.tunnels.all[0].asked,
            books.tunnels.all[0].ends[1].peer,
        ) = (at(10), None);
        books.tunnels.hub_came(8, 2, at(0));
        assert!(!is_fair(&books, LOST, 20), "it is there");
        books.tunnels.peer_ending(8, at(1));
        assert!(is_fair(&books, LOST, 20));
        books.tunnels.peer_known_over(8, at(12));
        assert!(is_fair(&books, LOST, 20));
        let mut books = link(2);
        (
            books.tunnels.all[0].asked,
            books.tunnels.all[0].ends[1].peer,
        ) = (at(10), None);
        books.tunnels.expected.insert(8, 2);
        assert!(!is_fair(&books, LOST, 20), "nobody has gone");
        books.tunnels.peer_known_over(8, at(12));
        assert!(
            is_fair(&books, LOST, 20),
            "before it knew that it was there"
        );
        let mut books = link(2);
        (
            books.tunnels.all[0].asked,
            books.tunnels.all[0].ends[1].peer,
        ) = (at(10), None);
        books.tunnels.hub_came(8, 2, at(0));
        books.tunnels.peer_ending(8, at(1));
        books.tunnels.peer_known_over(8, at(2));
        assert!(!is_fair(&books, LOST, 20), "the router knew");
    }

    #[test]
    fn a_link_is_lost_with_a_connection_of_its_way_alone() {
        for (hub, cut, when, is_lost) in [
            (2, [0, 1], 5, true),
            (2, [2, 1], 5, true),
            (2, [1, 3], 5, false),
            (2, [1, 2], 0, false),
            (2, [1, 2], 3, true),
            (0, [0, 1], 5, false),
        ] {
            let mut books = link(hub);
            books.tunnels.cuts.push((at(when), cut));
            assert_eq!(is_fair(&books, LOST, 20), is_lost, "{hub} {cut:?} {when}");
        }
        let mut books = link(2);
        books.tunnels.all[0].ends[1].up = Some(at(9));
        books.tunnels.cuts.push((at(5), [1, 2]));
        assert!(!is_fair(&books, LOST, 20), "it was agreed to afterwards");
        assert!(is_fair(&books, LOST, 9), "it waited behind others");
        for (from, until, is_lost) in [(1, 5, false), (9, 12, false), (4, 9, true)] {
            let (peer, from, until) = (8, at(from), at(until));
            books.tunnels.stalls = vec![Stall { peer, from, until }];
            let was_on_its_way = is_fair(&books, LOST, 20);
            assert_eq!(was_on_its_way, is_lost, "{from:?} {until:?}");
        }
        let mut books = link(2);
        books.tunnels.all[0].ends[1].node = None;
        books.tunnels.cuts.push((at(5), [1, 3]));
        assert!(
            is_fair(&books, LOST, 20),
            "it may have been on its way there"
        );
    }

    #[test]
    fn a_link_is_too_much_only_if_its_receiver_has_kept_it_waiting() {
        let mut books = link(2);
        assert!(!is_fair(&books, OVER, 60), "there was nothing to wait for");
        let tag = DeliveryTag::new(b"t").unwrap();
        let parcel = Parcel::new(0, Bytes::from_static(b"one"), (tag, 0), false, at(30));
        books.tunnels.begin(parcel);
        assert!(is_fair(&books, OVER, 41));
        for second in (32..60).step_by(2) {
            books.tunnels.moved(0, at(second));
            assert!(!is_fair(&books, OVER, second + 1), "it is taken slowly");
        }
        books.tunnels.moved(0, at(75));
        assert!(
            is_fair(&books, OVER, 76),
            "what had waited has come with it"
        );
        books.tunnels.moved(0, at(80));
        assert!(is_fair(&books, OVER, 105), "it may hear of it late");
        for second in (82..110).step_by(2) {
            books.tunnels.moved(0, at(second));
        }
        assert!(!is_fair(&books, OVER, 109), "that was long ago");
        let other = ("amqp:resource-limit-exceeded", "too many links");
        books.tunnels.moved(0, at(140));
        assert!(is_fair(&books, OVER, 141) && !is_fair(&books, other, 141));
    }

    #[test]
    fn a_hub_that_has_answered_in_time_is_not_given_up() {
        let mut books = link(2);
        books.tunnels.all[0].end_mut(Side::Device).up = None;
        let error = AmqpError::new(LOST.0, LOST.1);
        let is_fair = |books: &Books| {
            let heard = (true, Some(&error));
            judge(books, (0, Side::Hub), heard, at(40)).is_ok()
        };
        assert!(!is_fair(&books), "its answer only waits to be read");
        books.tunnels.all[0].end_mut(Side::Hub).up = Some(at(31));
        assert!(is_fair(&books), "it came too late");
    }

    #[test]
    fn who_has_nothing_to_take_keeps_nobody_waiting() {
        let mut books = link(2);
        let tag = DeliveryTag::new(b"t").unwrap();
        let bytes = make(FIRST, 9, &Head::default(), &mut Random::new(1));
        let parcel = Parcel::new(0, bytes.clone(), (tag, 0), true, at(30));
        let whole = Parcel {
            whole: true,
            ..parcel
        };
        books.tunnels.begin(whole);
        books.tunnels.arrived(0, (tag, 0), &bytes, true);
        books.tunnels.moved(0, at(31));
        assert!(!is_fair(&books, OVER, 60), "it has taken all there was");
    }
}
