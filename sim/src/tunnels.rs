//! The books of routed links: what a device attached and which hub it came to, every delivery that
//! either end sent, what arrived of it, what was said of it and what its sender heard, and how each
//! end went. What can be judged at once is judged at once; the rest at rest, by `check`.

use std::collections::BTreeMap;
use std::time::Duration;

use amqp_codec::{
    AmqpError, Attach, DeliveryState, DeliveryTag, ReceiverSettleMode, Role, SenderSettleMode,
};
use amqp_proto::{LinkKey, Time};
use bytes::Bytes;
use router_core::limits;

use crate::heard::{Heard, SLACK};
use crate::message;
use crate::rests::Rests;

/// Numbers of messages on routed links begin here, so that one is known that went astray.
pub(crate) const FIRST: u64 = 1 << 40;

/// The books of all routed links of a world.
#[derive(Debug, Default)]
pub(crate) struct Tunnels {
    pub(crate) all: Vec<Tunnel>,
    pub(crate) parcels: Vec<Parcel>,
    /// Connections of hubs.
    pub(crate) hubs: Vec<HubBook>,
    /// Hubs that have yet to hear that they are connected, with their routers.
    pub(crate) expected: BTreeMap<usize, usize>,
    /// When a hub last ended a session.
    pub(crate) session_ended: Option<Time>,
    /// When a router found that a connection with another by which routed links may go was no more,
    /// and which.
    pub(crate) cuts: Vec<(Time, [usize; 2])>,
    /// When the wire of a peer stood still.
    pub(crate) stalls: Vec<Stall>,
    /// Deliveries that have arrived whole.
    pub(crate) delivered: u64,
    /// Ends that heard that their link kept others waiting.
    pub(crate) stalled: u64,
}

/// A time in which nothing came to a peer, nor from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stall {
    pub(crate) peer: usize,
    pub(crate) from: Time,
    pub(crate) until: Time,
}

/// An end of a routed link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Device = 0,
    Hub = 1,
}

/// One attach of a device, and what became of it.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// What the device asked for; its name is what hubs get.
    pub(crate) attach: Attach,
    /// Which end sends.
    pub(crate) sender: Side,
    pub(crate) survives: bool,
    pub(crate) asked: Time,
    /// The device, and the hub once it was asked.
    pub(crate) ends: [EndBook; 2],
    pub(crate) parcels: Vec<usize>,
    /// When its receiver neither took nor settled what it was to.
    rests: Rests,
    /// The place of the parcel that is to come next, if all went well.
    next: usize,
}

/// What one end of a routed link did.
#[derive(Debug, Default)]
pub(crate) struct EndBook {
    pub(crate) peer: Option<usize>,
    /// The router of that peer.
    pub(crate) node: Option<usize>,
    pub(crate) link: Option<LinkKey>,
    /// The device has the hub's answer; the hub has given it.
    pub(crate) up: Option<Time>,
    /// How it went, if it went first.
    pub(crate) left: Option<Leave>,
    /// When it began to go, if it had its link by then.
    pub(crate) leaving: Option<Time>,
    /// Its session or its connection has begun to end, whatever it had done before.
    pub(crate) gone: bool,
    /// There is nothing of it left.
    pub(crate) over: Option<Time>,
    /// How much of the credit that it gave it has taken back and not given again.
    pub(crate) surplus: u32,
}

/// For how long a link may still end for a wait that is over: what was said of it then may take as
/// long as a router waits for a detach to be read.
const REMEMBERED: Duration = limits::ROUTED_DETACH_TIME_OUT.saturating_add(SLACK);

/// How an end goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Detach {
        closed: bool,
        error: Option<AmqpError>,
    },
    /// With its session or its connection.
    Gone,
}

/// A delivery on a routed link.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) tunnel: usize,
    pub(crate) bytes: Bytes,
    pub(crate) tag: DeliveryTag,
    pub(crate) format: u32,
    pub(crate) settled: bool,
    pub(crate) begun: Time,
    pub(crate) whole: bool,
    pub(crate) aborted: bool,
    /// Its sender settled it, not having heard of a settlement.
    pub(crate) early: bool,
    pub(crate) arrived: bool,
    /// A later one arrived, or its end, before it was whole there.
    pub(crate) lost: bool,
    /// Its receiver has settled it.
    pub(crate) concluded: bool,
    /// What its receiver said.
    pub(crate) gave: Option<DeliveryState>,
    /// What its sender heard.
    pub(crate) heard: Heard,
}

/// A hub's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HubBook {
    pub(crate) peer: usize,
    pub(crate) node: usize,
    pub(crate) up: Time,
    pub(crate) ending: Option<Time>,
    /// Its router knows that it has gone.
    pub(crate) over: Option<Time>,
}

impl Parcel {
    /// What became of it, in words.
    pub(crate) fn fate(&self) -> String {
        let Self {
            settled,
            begun,
            arrived,
            lost,
            gave,
            heard,
            ..
        } = self;
        format!(
            "{} bytes, settled {settled}, begun {begun:?}, arrived {arrived}, cut {lost}, given \
             {gave:?}, told {heard:?}",
            self.bytes.len()
        )
    }

    /// One that has begun.
    pub(crate) fn new(
        tunnel: usize,
        bytes: Bytes,
        (tag, format): (DeliveryTag, u32),
        settled: bool,
        begun: Time,
    ) -> Self {
        Self {
            tunnel,
            bytes,
            tag,
            format,
            settled,
            begun,
            whole: false,
            aborted: false,
            early: false,
            arrived: false,
            lost: false,
            concluded: false,
            gave: None,
            heard: Heard::default(),
        }
    }
}

impl Parcel {
    /// Its receiver is still to take or to settle something of it.
    fn is_owed(&self) -> bool {
        let is_over = self.settled || self.early || self.concluded || self.heard.state.is_some();
        !(self.aborted || self.lost || (self.arrived && is_over))
    }
}

impl Tunnel {
    /// Of a device.
    pub(crate) fn new(
        (device, node): (usize, usize),
        attach: Attach,
        survives: bool,
        now: Time,
    ) -> Self {
        let sender = match attach.role {
            Role::Sender => Side::Device,
            Role::Receiver => Side::Hub,
        };
        let device = EndBook {
            peer: Some(device),
            node: Some(node),
            ..EndBook::default()
        };
        Self {
            attach,
            sender,
            survives,
            asked: now,
            ends: [device, EndBook::default()],
            parcels: Vec::new(),
            rests: Rests::default(),
            next: 0,
        }
    }

    pub(crate) fn end(&self, side: Side) -> &EndBook {
        &self.ends[side as usize]
    }

    pub(crate) fn end_mut(&mut self, side: Side) -> &mut EndBook {
        &mut self.ends[side as usize]
    }

    /// How it is settled.
    pub(crate) fn modes(&self) -> (SenderSettleMode, ReceiverSettleMode) {
        (self.attach.snd_settle_mode, self.attach.rcv_settle_mode)
    }
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Device => Self::Hub,
            Self::Hub => Self::Device,
        }
    }
}

impl EndBook {
    /// It is there, and has no wish to go.
    pub(crate) fn is_up(&self) -> bool {
        self.up.is_some() && self.left.is_none() && self.over.is_none()
    }

    /// It goes, with its session or its connection.
    pub(crate) fn go(&mut self, now: Time) {
        self.left.get_or_insert(Leave::Gone);
        self.leaving.get_or_insert(now);
        self.gone = true;
    }

    /// It has gone or is about to, or was never there.
    pub(crate) fn has_left(&self) -> bool {
        self.left.is_some() || self.over.is_some()
    }
}

impl Tunnels {
    /// A device attaches a link; its number.
    pub(crate) fn add(&mut self, tunnel: Tunnel) -> usize {
        self.all.push(tunnel);
        self.all.len() - 1
    }

    /// A hub is connected.
    pub(crate) fn hub_came(&mut self, peer: usize, node: usize, now: Time) {
        self.expected.remove(&peer);
        self.hubs.push(HubBook {
            peer,
            node,
            up: now,
            ending: None,
            over: None,
        });
    }

    /// Whether a router has found since a time that a hub has gone, or is to find it yet, or a hub
    /// has ended a session since: links on their way to it end without its having heard of them.
    pub(crate) fn hub_left(&self, since: Time) -> bool {
        let mut gone = self.hubs.iter().filter(|hub| hub.ending.is_some());
        gone.any(|hub| hub.over.is_none_or(|over| over >= since))
            || self
                .session_ended
                .is_some_and(|ended| self.left(ended) >= since)
    }

    /// When what a peer said at a time had left it, at the latest: some stand still.
    fn left(&self, said: Time) -> Time {
        let stalls = self.stalls.iter();
        let stalls = stalls.filter(|stall| stall.from <= said && said <= stall.until);
        stalls.map(|stall| stall.until).fold(said, Time::max)
    }

    /// Whether a hub is about to go, if only its router knows it so far.
    pub(crate) fn is_ending(&self, peer: usize) -> bool {
        let mut hubs = self.hubs.iter().filter(|hub| hub.peer == peer);
        hubs.any(|hub| hub.ending.is_some())
    }

    /// Whether what a peer heard at one time may have been on its way to it since another.
    pub(crate) fn was_stalled(&self, peer: Option<usize>, since: Time, heard: Time) -> bool {
        self.stalls.iter().any(|stall| {
            let spans = stall.from <= since + SLACK && heard <= stall.until + SLACK;
            Some(stall.peer) == peer && spans
        })
    }

    /// All wires are as they should be.
    pub(crate) fn healed(&mut self, now: Time) {
        for stall in &mut self.stalls {
            stall.until = stall.until.min(now);
        }
    }

    /// All links of a peer end.
    pub(crate) fn peer_ending(&mut self, peer: usize, now: Time) {
        for hub in self.hubs.iter_mut().filter(|hub| hub.peer == peer) {
            hub.ending.get_or_insert(now);
        }
        for tunnel in &mut self.all {
            for end in &mut tunnel.ends {
                if end.peer == Some(peer) && end.over.is_none() {
                    end.go(now);
                }
            }
        }
    }

    /// A router knows that nothing is left of a peer.
    pub(crate) fn peer_known_over(&mut self, peer: usize, now: Time) {
        if let Some(node) = self.expected.remove(&peer) {
            // Its router may have sent links to it of which it was never to hear.
            self.hub_came(peer, node, now);
            self.peer_ending(peer, now);
        }
        for hub in self.hubs.iter_mut().filter(|hub| hub.peer == peer) {
            hub.over.get_or_insert(now);
        }
    }

    /// Nothing is left of a peer.
    pub(crate) fn peer_over(&mut self, peer: usize, now: Time) {
        self.peer_ending(peer, now);
        for tunnel in &mut self.all {
            for end in tunnel.ends.iter_mut().filter(|end| end.peer == Some(peer)) {
                end.over.get_or_insert(now);
            }
        }
    }

    /// The number of the next delivery, and of the message in it.
    pub(crate) fn next_parcel(&self) -> usize {
        self.parcels.len()
    }

    /// An end begins a delivery.
    pub(crate) fn begin(&mut self, parcel: Parcel) {
        let number = self.parcels.len();
        let tunnel = &mut self.all[parcel.tunnel];
        tunnel.parcels.push(number);
        tunnel.rests.begin(parcel.begun);
        self.parcels.push(parcel);
    }

    /// The receiver has taken something, or settled it: what it has done is in the books already.
    pub(crate) fn moved(&mut self, tunnel: usize, now: Time) {
        let is_owed = self.is_owed(tunnel);
        let rests = &mut self.all[tunnel].rests;
        rests.end(now);
        if is_owed {
            rests.begin(now);
        }
    }

    /// Its sender has sent a delivery to its end, or given it up.
    pub(crate) fn ended(&mut self, number: usize, aborted: bool, now: Time) {
        self.parcels[number].aborted = aborted;
        self.released(number, now);
    }

    /// Its sender settles a delivery without having heard of a settlement.
    pub(crate) fn settled_early(&mut self, number: usize, now: Time) {
        self.parcels[number].early = true;
        self.released(number, now);
    }

    /// Something has become of a delivery without the receiver: if that was the last that it was
    /// to take or settle, it keeps nobody waiting any more.
    fn released(&mut self, number: usize, now: Time) {
        let tunnel = self.parcels[number].tunnel;
        if !self.is_owed(tunnel) {
            self.all[tunnel].rests.end(now);
        }
    }

    /// Whether there is anything that the receiver is still to take or settle.
    fn is_owed(&self, tunnel: usize) -> bool {
        let tunnel = &self.all[tunnel];
        let mut owed = tunnel.parcels.iter().map(|&number| &self.parcels[number]);
        owed.any(Parcel::is_owed)
    }

    /// Whether the receiver of a link takes and settles nothing of what is there for it, or did so
    /// lately, for as long as links may keep others waiting.
    pub(crate) fn kept_waiting(&self, tunnel: usize, now: Time) -> bool {
        self.all[tunnel].rests.is_long(now, REMEMBERED)
    }

    /// Whether it did so between two times.
    pub(crate) fn has_kept(&self, tunnel: usize, from: Time, until: Time) -> bool {
        self.all[tunnel].rests.was_long(from, until)
    }

    /// Whether who sends by a link sends by others, too.
    pub(crate) fn shares_its_sender(&self, tunnel: usize) -> bool {
        let sender = |tunnel: &Tunnel| tunnel.end(tunnel.sender).peer;
        let own = sender(&self.all[tunnel]);
        let others = self.all.iter().filter(|other| sender(other) == own);
        own.is_some() && others.count() > 1
    }

    /// The number of a delivery of which the first has come.
    pub(crate) fn coming(&self, tunnel: usize, tag: DeliveryTag) -> usize {
        self.all[tunnel].parcels[self.find(tunnel, tag)]
    }

    /// The place of a delivery among those of its link that are still to come.
    fn find(&self, tunnel: usize, tag: DeliveryTag) -> usize {
        let to_come = &self.all[tunnel];
        let is_it = |place: &usize| self.parcels[to_come.parcels[*place]].tag == tag;
        let place = (to_come.next..to_come.parcels.len()).find(is_it);
        let Some(place) = place else {
            let came = (0..to_come.next).find(is_it);
            let what = match came {
                Some(place) => format!("delivery {place} once more, or late"),
                None => "a delivery that nobody sent".to_owned(),
            };
            panic!("tunnel {tunnel}: {what}: {tag:?}");
        };
        place
    }

    /// What comes before a delivery that has come does not come any more.
    fn pass(&mut self, tunnel: usize, place: usize) -> usize {
        let Self { all, parcels, .. } = self;
        let tunnel = &mut all[tunnel];
        for &number in &tunnel.parcels[tunnel.next..place] {
            parcels[number].lost |= !parcels[number].aborted;
        }
        tunnel.next = place + 1;
        tunnel.parcels[place]
    }

    /// A delivery has arrived whole; its number.
    pub(crate) fn arrived(
        &mut self,
        tunnel: usize,
        (tag, format): (DeliveryTag, u32),
        bytes: &Bytes,
        settled: bool,
    ) -> usize {
        let place = self.find(tunnel, tag);
        let number = self.pass(tunnel, place);
        self.delivered += 1;
        let parcel = &mut self.parcels[number];
        let name = format!("delivery {place} of tunnel {tunnel}");
        assert!(parcel.whole && !parcel.aborted, "{name} was never whole");
        assert!(parcel.bytes == *bytes, "the bytes of {name} changed");
        assert_eq!(parcel.format, format, "the format of {name}");
        assert!(
            parcel.settled == settled || (parcel.early && settled),
            "{name} came settled {settled}, was sent {}",
            parcel.settled
        );
        assert_eq!(
            message::number_of(bytes),
            Some(FIRST + number as u64),
            "{name} is another"
        );
        parcel.arrived = true;
        number
    }

    /// A delivery has ended before it was whole.
    pub(crate) fn cut(&mut self, tunnel: usize, tag: DeliveryTag, bytes: &[u8]) {
        let place = self.find(tunnel, tag);
        let number = self.pass(tunnel, place);
        let parcel = &mut self.parcels[number];
        assert!(
            parcel.bytes.starts_with(bytes),
            "the bytes of delivery {place} of tunnel {tunnel} changed"
        );
        parcel.lost |= !parcel.aborted;
    }

    /// The receiving end gives a state, or settles.
    pub(crate) fn gave(
        &mut self,
        number: usize,
        state: Option<&DeliveryState>,
        settled: bool,
        now: Time,
    ) {
        let parcel = &mut self.parcels[number];
        parcel.concluded |= settled;
        if parcel.gave.is_none() {
            parcel.gave = state.filter(|state| state.is_terminal()).cloned();
        }
        let tunnel = parcel.tunnel;
        self.moved(tunnel, now);
    }

    /// The sending end hears a state. Whether it is a true word is judged at rest.
    pub(crate) fn told(
        &mut self,
        number: usize,
        state: Option<&DeliveryState>,
        settled: bool,
        now: Time,
    ) {
        let parcel = &mut self.parcels[number];
        assert!(!parcel.settled, "parcel {number} was settled when sent");
        let what = format_args!("parcel {number}");
        parcel.heard.hear(what, state, settled, now);
        self.released(number, now);
    }

    /// Whether all that was sent has come to something, and its sender knows what.
    pub(crate) fn is_settled(&self, tunnel: usize) -> bool {
        self.all[tunnel].parcels.iter().all(|&number| {
            let parcel = &self.parcels[number];
            let is_told = parcel.settled || parcel.early || parcel.heard.settlements > 0;
            parcel.aborted
                || (is_told && (parcel.arrived || parcel.lost || parcel.heard.state.is_some()))
        })
    }

    /// An end hears, unasked, that its link is over: what the other end has got of its deliveries
    /// has an outcome by then. Only who does not read its outcomes for as long as a detach waits
    /// for that has them later, or never; and where the other end has `kept_waiting` others until
    /// the link was ended for that, and stands still yet, its last words have stayed with it.
    pub(crate) fn parted(&self, tunnel: usize, side: Side, kept_waiting: bool, now: Time) {
        let book = &self.all[tunnel];
        if book.sender != side || book.end(side).left.is_some() {
            return;
        }
        // Routers count in whole seconds.
        let waits = limits::ROUTED_DETACH_TIME_OUT - Duration::from_secs(1);
        let began = book.end(side.other()).leaving;
        if began.is_some_and(|at| now.saturating_sub(at) >= waits) {
            return;
        }
        let other = book.end(side.other()).peer;
        let is_mute = kept_waiting && self.was_stalled(other, now, now);
        for &number in &book.parcels {
            let parcel = &self.parcels[number];
            let is_said = is_mute && parcel.gave.is_some();
            let is_owed = parcel.arrived && !parcel.settled && !parcel.early && !is_said;
            assert!(
                !is_owed || parcel.heard.state.is_some(),
                "tunnel {tunnel} ends, parcel {number} has arrived and has no outcome: {parcel:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Head, make};
    use crate::random::Random;

    /// A tunnel on which its device sends, and some deliveries that it has sent.
    fn sent(count: u8) -> Tunnels {
        let mut books = Tunnels::default();
        let attach = Attach {
            role: Role::Sender,
            ..Attach::default()
        };
        books.add(Tunnel::new((0, 0), attach, false, Time::ZERO));
        for number in 0..count {
            let bytes = make(
                FIRST + u64::from(number),
                9,
                &Head::default(),
                &mut Random::new(1),
            );
            let parcel = Parcel::new(0, bytes, (tag(number), 1), false, Time::ZERO);
            books.begin(Parcel {
                whole: true,
                ..parcel
            });
        }
        books
    }

    fn tag(number: u8) -> DeliveryTag {
        DeliveryTag::new(&[number]).unwrap()
    }

    fn arrive(books: &mut Tunnels, number: u8) {
        let bytes = books.parcels[usize::from(number)].bytes.clone();
        books.arrived(0, (tag(number), 1), &bytes, false);
    }

    #[test]
    fn deliveries_in_order_are_fine_and_a_gap_is_noted() {
        let mut books = sent(3);
        arrive(&mut books, 0);
        arrive(&mut books, 2);
        let lost: Vec<_> = books.parcels.iter().map(|parcel| parcel.lost).collect();
        assert_eq!(lost, [false, true, false]);
        assert_eq!(books.delivered, 2);
    }

    #[test]
    #[should_panic(expected = "delivery 0 once more, or late")]
    fn a_delivery_that_comes_twice_is_seen() {
        let mut books = sent(1);
        arrive(&mut books, 0);
        arrive(&mut books, 0);
    }

    #[test]
    #[should_panic(expected = "delivery 0 once more, or late")]
    fn an_overtaken_delivery_is_seen() {
        let mut books = sent(2);
        arrive(&mut books, 1);
        arrive(&mut books, 0);
    }

    #[test]
    #[should_panic(expected = "the bytes of delivery 0 of tunnel 0 changed")]
    fn a_changed_byte_is_seen() {
        let mut books = sent(1);
        books.arrived(0, (tag(0), 1), &Bytes::from_static(b"else"), false);
    }

    #[test]
    #[should_panic(expected = "the format of delivery 0")]
    fn another_format_is_seen() {
        let mut books = sent(1);
        let bytes = books.parcels[0].bytes.clone();
        books.arrived(0, (tag(0), 0), &bytes, false);
    }

    #[test]
    #[should_panic(expected = "has no outcome")]
    fn a_link_that_ends_before_the_outcome_is_told_is_seen() {
        let mut books = sent(1);
        arrive(&mut books, 0);
        books.all[0].end_mut(Side::Hub).go(Time::ZERO);
        books.parted(0, Side::Device, false, Time::from_millis(28_000));
    }

    #[test]
    fn who_does_not_read_outcomes_is_waited_for_only_so_long() {
        let mut books = sent(1);
        arrive(&mut books, 0);
        books.all[0].end_mut(Side::Hub).go(Time::ZERO);
        books.parted(0, Side::Device, false, Time::from_millis(30_000));
    }

    #[test]
    fn the_last_words_of_who_stands_still_are_not_missed() {
        let mut books = sent(1);
        arrive(&mut books, 0);
        let (peer, from, until) = (7, Time::ZERO, Time::from_millis(20_000));
        books.all[0].end_mut(Side::Hub).peer = Some(peer);
        books.stalls.push(Stall { peer, from, until });
        books.parcels[0].gave = Some(DeliveryState::Accepted);
        books.parted(0, Side::Device, true, Time::from_millis(11_000));
    }

    #[test]
    #[should_panic(expected = "has no outcome")]
    fn of_who_has_only_kept_others_waiting_they_are() {
        let mut books = sent(1);
        arrive(&mut books, 0);
        books.parcels[0].gave = Some(DeliveryState::Accepted);
        books.parted(0, Side::Device, true, Time::from_millis(11_000));
    }

    #[test]
    fn who_leaves_is_owed_nothing() {
        let mut books = sent(1);
        arrive(&mut books, 0);
        books.all[0].end_mut(Side::Device).left = Some(Leave::Gone);
        books.parted(0, Side::Device, false, Time::ZERO);
    }
}
