//! A transfer in: frames are collected, the message is scanned, its address looked up, a target
//! chosen, and the delivery posted to the shard that owns the target.
//!
//! A delivery of several frames is held until it is complete, or too long to be held, or asks to be
//! streamed: half a message must not occupy a consumer's link, and the abort of an ordinary message
//! stays invisible.

use std::sync::Arc;

use amqp_codec::message::{Depth, Sections, scan, to_address};
use amqp_codec::{DeliveryState, Str};
use amqp_proto::{InTransfer, LinkKey, Payload, Time};

use super::annotate::{Opening, depth_of, is_unclear, opening};
use super::conn::LinkSlot;
use super::head::Annotations;
use super::hoard::has_shut;
use super::link::{InTarget, Memo};
use super::parcel::{Parcel, Verdict, rejected};
use super::pins::{Outlook, Sender};
use super::state::{Pipes, Shard};
use crate::address::{Phase, lookup_key, normalise};
use crate::delivery::{Held, Journey, Place, Redirect, Stream};
use crate::ids::{AddressKey, ConnKey, Direction, InKey, InLinkKey, ShardId};
use crate::inspect::LinkType;
use crate::limits;
use crate::mail::{Heads, Label};
use crate::route::{
    Choice, DEFAULT_PRIORITY, Entry, NO_SLOT, Passage, Paths, Route, Tally, Treatment, choose,
    copies,
};

impl Shard {
    /// One frame of a delivery has come.
    pub(super) fn take_transfer(
        &mut self,
        conn: ConnKey,
        link: LinkKey,
        mut delivery: InTransfer,
        payload: Payload,
        now: Time,
    ) {
        // It may wait for long, and what it was read from is larger.
        delivery.state = delivery.state.map(DeliveryState::settle);
        let Some(LinkSlot::In(key)) = self.slot(conn, link) else {
            return;
        };
        let Some(in_link) = self.in_links.get_mut(key) else {
            return;
        };
        if let Some(conn) = self.conns.get_mut(conn) {
            conn.last_delivery = Some(now);
            conn.count_carried(in_link.kind);
        }
        if let Some(record) = in_link.partial {
            self.next_frame(key, record, delivery, payload);
            return;
        }
        if delivery.aborted {
            if self.wanted.messages {
                self.show_aborted(key);
            }
            self.mark_credit(key, false);
            self.renew_credit(key);
            return;
        }
        in_link.held += 1;
        let (conn, session) = (in_link.conn, in_link.session);
        let heads = matches!(in_link.target, InTarget::Routed(_)).then(|| {
            let label = Some(Label {
                tag: delivery.tag,
                format: delivery.message_format,
            });
            Arc::new(Heads {
                label,
                ..Heads::default()
            })
        });
        let redirect = Redirect::at_first(in_link.fallback);
        let parcel = Parcel {
            link: Some(key),
            sender: key,
            conn,
            session,
            delivery_id: delivery.delivery_id,
            record: None,
            settled: delivery.settled,
            complete: !delivery.more,
            born: self.second,
            state: delivery.state.map(Box::new),
            heads,
            payload,
            excluded: None,
            journey: Journey::default(),
            redirect,
        };
        if parcel.complete {
            self.admit(key, parcel);
        } else {
            self.hold(key, parcel);
        }
    }

    /// The first frame of several.
    fn hold(&mut self, key: InLinkKey, parcel: Parcel) {
        let bytes = parcel.payload.len() as u64;
        let mut held = Held {
            state: parcel.state.clone(),
            heads: parcel.heads.clone(),
            ..Held::default()
        };
        held.payload.append_waiting(parcel.payload.clone());
        let record = self.insert_record(&parcel, Place::Hold(Box::new(held)));
        if let Some(link) = self.in_links.get_mut(key) {
            link.partial = Some(record);
        }
        self.count_bytes(record, bytes);
        self.stream_if_due(key, record);
    }

    /// A further frame of a delivery.
    fn next_frame(&mut self, key: InLinkKey, record: InKey, frame: InTransfer, more: Payload) {
        let last = !frame.more || frame.aborted;
        if last && let Some(link) = self.in_links.get_mut(key) {
            link.partial = None;
        }
        let Some(inbound) = self.inbound.get_mut(record) else {
            return;
        };
        inbound.settled |= frame.settled;
        let bytes = more.len() as u64;
        match &mut inbound.place {
            Place::Hold(held) if frame.aborted => {
                held.payload.advance(held.payload.len());
                if self.wanted.messages {
                    self.show_aborted(key);
                }
                self.forget_record(record);
                self.hand_on(key);
                self.unhold(key, false);
                self.renew_credit(key);
            }
            Place::Hold(held) => {
                held.payload.append_waiting(more);
                held.state = frame.state.map(Box::new).or(held.state.take());
                if last {
                    let payload = std::mem::take(&mut held.payload);
                    let heads = held.heads.take();
                    if let Some(mut parcel) = self.parcel_of(record, payload, true) {
                        parcel.heads = heads;
                        self.admit(key, parcel);
                    }
                } else {
                    self.count_bytes(record, bytes);
                    self.stream_if_due(key, record);
                }
            }
            _ => self.stream_frame(key, record, &frame, more),
        }
    }

    /// Begins to stream a held delivery that is long enough, or that says it is a stream.
    fn stream_if_due(&mut self, key: InLinkKey, record: InKey) {
        let Some(link) = self.in_links.get(key) else {
            return;
        };
        let control = link.kind == LinkType::RouterControl;
        let routed = matches!(link.target, InTarget::Routed(_));
        let depth = match self.shows_messages_of(link.conn) {
            true => Depth::ApplicationProperties,
            false => depth_of(matches!(link.target, InTarget::Anonymous { .. })),
        };
        let honour = self.honours(link.conn, Some(key));
        let Some(inbound) = self.inbound.get_mut(record) else {
            return;
        };
        let Place::Hold(held) = &mut inbound.place else {
            return;
        };
        let length = inbound.bytes;
        if control && length < limits::MESH_MESSAGE_BYTES as u64 {
            self.note_arriving(key);
            return;
        }
        if routed && length < limits::OPENING_BYTES && is_unclear(&held.payload) {
            return;
        }
        if !control && !routed && !inbound.plain {
            match opening(&held.payload, depth, honour) {
                Opening::Unclear if length < limits::OPENING_BYTES => return,
                Opening::Unclear | Opening::Stream => {}
                Opening::Plain => inbound.plain = true,
            }
        }
        if inbound.plain && length < limits::STREAM_THRESHOLD as u64 {
            return;
        }
        let payload = std::mem::take(&mut held.payload);
        let heads = held.heads.take();
        inbound.stream = Some(Box::new(Stream {
            received: payload.len() as u64,
            moved: self.second,
            ..Stream::default()
        }));
        if let Some(mut parcel) = self.parcel_of(record, payload, false) {
            parcel.heads = heads;
            self.admit(key, parcel);
        }
    }

    /// A message, or enough of it, is there: it is checked, and goes where it belongs.
    pub(super) fn admit(&mut self, key: InLinkKey, parcel: Parcel) {
        if self.wanted.messages {
            self.show_received(key, &parcel.payload);
        }
        let Some(link) = self.in_links.get(key) else {
            return;
        };
        match &link.target {
            InTarget::Control => self.take_routing(parcel),
            InTarget::Routed(_) => self.pass_on(key, parcel),
            InTarget::Anonymous { .. } => self.route_message(key, parcel, true),
            InTarget::Address { .. } => self.route_message(key, parcel, false),
        }
        self.hand_on(key);
    }

    fn route_message(&mut self, key: InLinkKey, mut parcel: Parcel, anonymous: bool) {
        let depth = depth_of(anonymous);
        let Ok(sections) = scan(parcel.payload.chunks(), depth) else {
            let state = rejected("amqp:decode-error", "invalid message format");
            self.refuse_parcel(parcel, state);
            return;
        };
        let mut head = match self.head_by(key, &parcel, &sections) {
            Ok(head) => head,
            Err(text) => {
                self.refuse_parcel(parcel, rejected("amqp:invalid-field", &text));
                return;
            }
        };
        let annotations = head.as_ref().and_then(|head| head.annotations.as_ref());
        if let Some(annotations) = annotations
            && annotations.hops() > self.paths.radius() as usize + 1
        {
            // More routers than lie between any two of the network: it runs in a circle.
            self.refuse_parcel(parcel, DeliveryState::Released);
            return;
        }
        if let Some(head) = &head {
            parcel.journey = head.journey.clone();
        }
        let verdict = if anonymous {
            self.choose_anonymous(key, &parcel, &sections, annotations)
        } else {
            self.choose_targeted(key, &parcel)
        };
        let annotated = verdict.wants_annotations();
        if head.is_none() && annotated {
            // Without annotations there is nothing to misread.
            head = self.read_head(&parcel, &sections).ok().map(Box::new);
        }
        if let Some(mut head) = head {
            self.rewrite_head(&mut parcel, &mut head, annotated);
            self.keep_head(key, head);
        }
        self.dispatch(parcel, verdict);
    }

    /// Acts on a verdict.
    pub(super) fn dispatch(&mut self, parcel: Parcel, verdict: Verdict) {
        match verdict {
            Verdict::One {
                target,
                slot,
                address,
                ..
            } => {
                self.forward_to_one(parcel, target, slot, address);
            }
            Verdict::Each {
                address,
                shards,
                beyond,
                ..
            } => self.forward_to_all(parcel, address, shards, beyond),
            Verdict::Wait(key) => {
                let record = self.park(parcel, &key);
                self.lines.entry(key).or_default().push_back(record);
            }
            Verdict::NoPath(key) if parcel.excluded.is_none() => {
                let record = self.park(parcel, &key);
                self.doubtful.push(record);
            }
            Verdict::NoPath(_) => self.release_parcel(parcel),
            Verdict::Collect => self.collect(parcel),
            Verdict::Refuse(state) => self.refuse_parcel(parcel, state),
        }
    }

    /// Chooses for a link whose attach named the address.
    pub(super) fn choose_targeted(&mut self, key: InLinkKey, parcel: &Parcel) -> Verdict {
        let Self {
            conns,
            in_links,
            tally,
            pipes,
            lines,
            paths,
            shards,
            id,
            second,
            ..
        } = self;
        let Some(link) = in_links.get(key) else {
            return Verdict::Refuse(DeliveryState::Released);
        };
        let InTarget::Address { key, route, .. } = &link.target else {
            return Verdict::Refuse(DeliveryState::Released);
        };
        let Some(route) = route else {
            return Verdict::NoPath(AddressKey::clone(key));
        };
        if let Some(verdict) = before_in_process(route, parcel) {
            return verdict;
        }
        if !parcel.settled && !lines.is_empty() && lines.contains_key(key) {
            return Verdict::Wait(AddressKey::clone(key));
        }
        let sender = Sender::new(Some(link), conns, *id, *second);
        take_target(route, parcel, sender, tally, pipes, paths, ShardId(*shards))
    }

    /// Chooses for a message that says itself where it goes.
    fn choose_anonymous(
        &mut self,
        key: InLinkKey,
        parcel: &Parcel,
        sections: &Sections,
        annotations: Option<&Annotations>,
    ) -> Verdict {
        let Some((to, phase)) = destination(&parcel.payload, sections, annotations) else {
            return Verdict::Refuse(rejected(
                "amqp:precondition-failed",
                "Routing failure: no address present",
            ));
        };
        self.remember_route(key, &to, phase);
        let Self {
            conns,
            in_links,
            tally,
            pipes,
            lines,
            doubtful,
            paths,
            shards,
            table,
            text,
            context,
            id,
            second,
            ..
        } = self;
        let Some(link) = in_links.get(key) else {
            return Verdict::Refuse(DeliveryState::Released);
        };
        let InTarget::Anonymous { memo: Some(memo) } = &link.target else {
            return Verdict::Refuse(DeliveryState::Released);
        };
        let Some(route) = &memo.route else {
            lookup_key(&to, phase, None, context, text);
            let rule = table.rules().resolve(normalise(&to), Direction::In);
            if rule.treatment == Treatment::Unavailable
                && text.starts_with('M')
                && link.kind == LinkType::Endpoint
            {
                return Verdict::Refuse(rejected(
                    "amqp:not-found",
                    "Deliveries cannot be sent to an unavailable address",
                ));
            }
            return Verdict::NoPath(AddressKey::from(text.as_str()));
        };
        if let Some(verdict) = before_in_process(route, parcel) {
            return verdict;
        }
        if phase == Phase::Fallback && !doubtful.is_empty() {
            // Those before it may have to be sent there by this router.
            return Verdict::NoPath(AddressKey::clone(&route.key));
        }
        if !parcel.settled && !lines.is_empty() && lines.contains_key(&route.key) {
            return Verdict::Wait(AddressKey::clone(&route.key));
        }
        let sender = Sender::new(Some(link), conns, *id, *second);
        take_target(route, parcel, sender, tally, pipes, paths, ShardId(*shards))
    }

    /// The key of the address that a message went to; what it says of its way is read again, too.
    pub(super) fn recall_address(&mut self, parcel: &mut Parcel) -> Option<AddressKey> {
        let sections = scan(parcel.payload.chunks(), Depth::Properties).ok()?;
        let head = self.read_head(parcel, &sections).ok()?;
        parcel.journey = head.journey.clone();
        match &self.in_links.get(parcel.link?)?.target {
            InTarget::Address { key, .. } => Some(AddressKey::clone(key)),
            InTarget::Control | InTarget::Routed(_) => None,
            InTarget::Anonymous { .. } => {
                let (to, phase) =
                    destination(&parcel.payload, &sections, head.annotations.as_ref())?;
                lookup_key(&to, phase, None, &self.context, &mut self.text);
                Some(AddressKey::from(self.text.as_str()))
            }
        }
    }

    /// What a message says of its way; nothing where there is no other router.
    pub(super) fn journey(
        &self,
        sections: &Sections,
        annotations: Option<&Annotations>,
    ) -> Journey {
        if self.paths.neighbors().is_empty() {
            return Journey::default();
        }
        let priority = sections.priority.unwrap_or(DEFAULT_PRIORITY);
        let router = annotations.map(|annotations| &annotations.router);
        let index = |text: &str| self.paths.index(text.strip_prefix("0/")?);
        let entry = |text: &str| match index(text) {
            Some(router) => Entry::Router(router),
            None if text.strip_prefix("0/") == Some(&self.settings.id) => Entry::Here,
            None => Entry::Unknown,
        };
        Journey {
            priority: priority.min(9),
            entry: router
                .and_then(|router| router.ingress.as_ref())
                .map(|text| entry(text)),
            trace: router.map(|router| router.trace.iter().filter_map(index).collect()),
        }
    }

    /// Chooses for a message among the consumers of an address whose key is known.
    pub(super) fn choose_among(&mut self, key: &AddressKey, parcel: &Parcel) -> Verdict {
        let Self {
            conns,
            table,
            tally,
            pipes,
            paths,
            shards,
            in_links,
            id,
            second,
            ..
        } = self;
        let Some(route) = table.lookup(key) else {
            return Verdict::NoPath(AddressKey::clone(key));
        };
        let link = parcel.link.and_then(|key| in_links.get(key));
        let sender = Sender::new(link, conns, *id, *second);
        take_target(route, parcel, sender, tally, pipes, paths, ShardId(*shards))
    }

    /// Looks an anonymous message's address up, unless the last message had the same.
    fn remember_route(&mut self, key: InLinkKey, to: &str, phase: Phase) {
        let generation = self.table.generation();
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        let InTarget::Anonymous { memo } = &mut link.target else {
            return;
        };
        if phase == Phase::Digit(0)
            && memo
                .as_ref()
                .is_some_and(|memo| memo.generation == generation && memo.text == to)
        {
            return;
        }
        lookup_key(to, phase, None, &self.context, &mut self.text);
        let route = self.table.lookup(&self.text).cloned();
        let text = if phase == Phase::Digit(0) {
            to.to_owned()
        } else {
            String::new()
        };
        *memo = Some(Memo {
            text,
            generation,
            route,
        });
    }
}

/// Consumers inside the router get whole messages of bounded length, so that half a request holds
/// no place there that others wait for.
fn before_in_process(route: &Route, parcel: &Parcel) -> Option<Verdict> {
    if route.in_process.is_empty() {
        return None;
    }
    if parcel.payload.len() > limits::IN_PROCESS_MESSAGE_BYTES {
        let state = rejected("amqp:link:message-size-exceeded", "Message size exceeded");
        return Some(Verdict::Refuse(state));
    }
    (!parcel.complete).then_some(Verdict::Collect)
}

/// Chooses a target on a route and charges its window and tally.
fn take_target(
    route: &Route,
    parcel: &Parcel,
    sender: Sender<'_>,
    tally: &mut Tally,
    pipes: &mut Pipes,
    paths: &Paths,
    control: ShardId,
) -> Verdict {
    if route.control_only {
        return Verdict::Refuse(DeliveryState::Released);
    }
    let journey = &parcel.journey;
    let priority = route.priority.unwrap_or(journey.priority);
    let outlook = Outlook {
        pipes,
        sender,
        excluded: parcel.excluded,
    };
    let passage = Passage {
        settled: parcel.settled,
        windows: &outlook,
        excluded: parcel.excluded.as_slice(),
        paths,
        priority,
        entry: journey.entry.unwrap_or(Entry::Here),
    };
    match choose(route, tally, &passage) {
        Choice::One { target, slot } => {
            if slot != NO_SLOT {
                tally.add(slot);
            }
            if !parcel.settled {
                pipes.charge(target, route, paths, control);
            }
            Verdict::One {
                annotated: route.annotated,
                target,
                slot,
                address: route.id,
            }
        }
        Choice::Each => {
            let beyond = copies(
                route,
                paths,
                &outlook,
                priority,
                journey.entry,
                journey.trace.as_deref().unwrap_or_default(),
            );
            let mut shards = route.shards.clone();
            for link in &beyond {
                if !shards.contains(&link.shard) {
                    shards.push(link.shard);
                }
            }
            if !route.in_process.is_empty() && !shards.contains(&control) {
                shards.push(control);
            }
            if shards.is_empty() {
                return Verdict::NoPath(AddressKey::clone(&route.key));
            }
            Verdict::Each {
                annotated: route.annotated,
                address: route.id,
                shards,
                beyond: (!beyond.is_empty()).then(|| Arc::new(beyond)),
            }
        }
        Choice::Wait if has_shut(sender.hoards, route) => Verdict::Refuse(DeliveryState::Released),
        Choice::Wait => Verdict::Wait(AddressKey::clone(&route.key)),
        Choice::Unroutable => Verdict::NoPath(AddressKey::clone(&route.key)),
    }
}

/// Where a message says it goes: by annotation where that is honoured, else by its properties.
fn destination(
    payload: &Payload,
    sections: &Sections,
    annotations: Option<&Annotations>,
) -> Option<(Str, Phase)> {
    let router = annotations.map(|annotations| &annotations.router);
    if let Some(to) = router.and_then(|router| router.to.clone()) {
        let phase = router.and_then(|router| router.phase).unwrap_or(0);
        return Some((to, Phase::of_annotation(phase)?));
    }
    let to = to_address(payload.chunks(), sections).ok()??;
    (!to.is_empty()).then_some((to, Phase::Digit(0)))
}
