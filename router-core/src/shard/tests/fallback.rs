//! Addresses with a fallback: what goes there and what does not, on one shard and on two.

use amqp_codec::message::{Body, MessageBuilder, Properties, parse};
use amqp_codec::{DeliveryState, DeliveryTag, Role, Source, Str, Symbol, Target, Value};
use amqp_proto::{LinkKey, OutTransfer, Payload, Sent};
use bytes::Bytes;

use super::world::{Peer, World, attach};
use crate::counters::Counter;
use crate::ids::ShardId;
use crate::inspect::{AddressCounters, Rows, Subject};
use crate::limits;
use crate::route::{AddressRule, Treatment};

/// A router where `queue` has a fallback: its sender is on the first shard, both its receivers on
/// the last.
struct Scene {
    world: World,
    producer: usize,
    consumer: usize,
    spare: usize,
}

fn rule(treatment: Treatment) -> AddressRule {
    AddressRule {
        fallback: true,
        ..AddressRule::for_prefix("queue", treatment)
    }
}

fn message(text: &str) -> Vec<u8> {
    let properties = Properties {
        to: Some(Str::from("queue")),
        ..Properties::default()
    };
    MessageBuilder::new()
        .properties(properties)
        .value(text.to_owned())
        .build()
        .to_vec()
}

fn text_of(message: &[u8]) -> String {
    match parse(&Bytes::copy_from_slice(message)).unwrap().body {
        Body::Value(Value::String(text)) => text.to_string(),
        body => panic!("{body:?}"),
    }
}

/// What two senders have sent that take turns.
fn twice(count: u32) -> Vec<String> {
    let numbers = (0..count).map(|number| number.to_string());
    numbers.flat_map(|text| [text.clone(), text]).collect()
}

impl Scene {
    fn new(shards: u16) -> Self {
        Self::with(shards, &[rule(Treatment::AnycastBalanced)])
    }

    fn two_senders(&mut self) -> [LinkKey; 2] {
        ["s1", "s2"].map(|name| self.world.sender(self.producer, name, "queue"))
    }

    /// Sends numbers, each by both.
    fn send_each(&mut self, senders: [LinkKey; 2], count: u32) {
        for number in 0..count {
            for sender in senders {
                assert!(self.send(sender, &number.to_string(), false));
            }
        }
    }

    fn with(shards: u16, rules: &[AddressRule]) -> Self {
        let mut world = World::new(shards);
        for rule in rules {
            world.control.add_address(rule.clone()).unwrap();
        }
        let far = usize::from(shards) - 1;
        let (producer, consumer) = (world.connect(0), world.connect(far));
        let spare = world.connect(far);
        Self {
            world,
            producer,
            consumer,
            spare,
        }
    }

    fn primary(&mut self, credit: u32) -> LinkKey {
        self.world.receiver(self.consumer, "r", "queue", credit)
    }

    fn fallback(&mut self, credit: u32) -> LinkKey {
        self.fallback_at(self.spare, credit)
    }

    fn fallback_at(&mut self, peer: usize, credit: u32) -> LinkKey {
        let source = Source {
            address: Some(Str::from("queue")),
            capabilities: vec![Symbol::from("qd.fallback")],
            ..Source::default()
        };
        let attach = attach("f", Role::Receiver, Some(source), Some(Target::default()));
        let link = self.world.attach(peer, attach);
        if credit > 0 {
            self.world.credit(peer, link, credit, false);
        }
        link
    }

    /// A sender of what has come back from a fallback.
    fn sender_of_fallback(&mut self) -> LinkKey {
        let target = Target {
            address: Some(Str::from("queue")),
            capabilities: vec![Symbol::from("qd.fallback")],
            ..Target::default()
        };
        let attach = attach("b", Role::Sender, Some(Source::default()), Some(target));
        self.world.attach(self.spare, attach)
    }

    fn send(&mut self, link: LinkKey, text: &str, settled: bool) -> bool {
        self.world
            .send(self.producer, link, &message(text), settled)
    }

    /// A message comes, and its shard does nothing about it yet.
    fn put(&mut self, peer: usize, link: LinkKey, text: &str, settled: bool) {
        self.put_all(peer, link, &[message(text)], settled);
    }

    /// Messages come together.
    fn put_all(&mut self, peer: usize, link: LinkKey, messages: &[Vec<u8>], settled: bool) {
        let World {
            peers, shards, now, ..
        } = &mut self.world;
        let Peer {
            engine,
            output,
            shard,
            key,
            ..
        } = &mut peers[peer];
        let transfer = OutTransfer {
            settled,
            ..OutTransfer::new(7, DeliveryTag::new(b"t").unwrap())
        };
        for message in messages {
            let payload = Payload::from(Bytes::copy_from_slice(message));
            let sent = engine.send_transfer(link, &transfer, &[], &payload, output);
            assert_eq!(sent, Sent::Whole);
        }
        let bytes = output.to_bytes();
        output.consume(bytes.len());
        let shard = &mut shards[*shard];
        shard.window()[..bytes.len()].copy_from_slice(&bytes);
        shard.received(*key, bytes.len(), *now);
    }

    /// What has come for a receiver since the last time.
    fn take(&mut self, peer: usize) -> Vec<String> {
        let messages = std::mem::take(&mut self.world.peers[peer].messages);
        messages
            .iter()
            .map(|(_, _, bytes)| text_of(bytes))
            .collect()
    }

    fn credit(&self, peer: usize, link: LinkKey) -> u32 {
        self.world.peers[peer].engine.credit(link)
    }

    fn outcome(&self, id: u32) -> Option<(Option<DeliveryState>, bool)> {
        self.world.peers[self.producer].outcome(id)
    }

    fn total(&self, counter: Counter) -> u64 {
        self.world.counters.total(counter)
    }

    /// What an address has carried, as management is told.
    fn carried(&mut self, key: &str) -> AddressCounters {
        let id = self.world.control.address(key).expect("an address").id;
        self.world.control.ask(Subject::Addresses);
        self.world.run();
        let gathered = self.world.control.poll_gathered().expect("an answer");
        let Rows::Addresses(rows) = gathered.rows else {
            panic!("asked for addresses")
        };
        let mut sum = AddressCounters::default();
        for (_, counters) in rows.iter().filter(|(of, _)| *of == id) {
            sum.add(counters);
        }
        sum
    }
}

const ACCEPTED: Option<(Option<DeliveryState>, bool)> = Some((Some(DeliveryState::Accepted), true));
const RELEASED: Option<(Option<DeliveryState>, bool)> = Some((Some(DeliveryState::Released), true));

#[test]
fn each_message_goes_to_the_fallback_as_long_as_nobody_else_receives() {
    for (shards, address) in [(1, "queue"), (2, "queue"), (1, ""), (2, "")] {
        for settled in [false, true] {
            let mut scene = Scene::new(shards);
            let sender = scene.world.sender(scene.producer, "s", address);
            scene.fallback(100);
            assert_eq!(scene.credit(scene.producer, sender), 250);
            assert!(scene.send(sender, "one", settled));
            assert_eq!(scene.take(scene.spare), ["one"]);
            let primary = scene.primary(100);
            assert!(scene.send(sender, "two", settled));
            assert_eq!(scene.take(scene.spare), [""; 0], "not while it is served");
            assert_eq!(scene.take(scene.consumer), ["two"]);
            if !settled {
                scene
                    .world
                    .dispose(scene.spare, 0, DeliveryState::Accepted, true);
                scene
                    .world
                    .dispose(scene.consumer, 0, DeliveryState::Accepted, true);
                assert_eq!((scene.outcome(0), scene.outcome(1)), (ACCEPTED, ACCEPTED));
            }
            scene.world.detach(scene.consumer, primary);
            assert!(scene.send(sender, "three", settled));
            assert_eq!(scene.take(scene.spare), ["three"]);
            assert_eq!(scene.total(Counter::DeliveriesIngress), 3);
            assert_eq!(scene.total(Counter::DeliveriesEgress), 1);
            assert_eq!(scene.total(Counter::DeliveriesRedirectedToFallback), 2);
            assert_eq!(scene.carried("MFqueue").egress, 0);
            scene.world.leaves_nothing();
        }
    }
}

#[test]
fn an_address_shows_how_much_of_it_went_to_its_fallback() {
    let mut scene = Scene::new(2);
    let sender = scene.world.sender(scene.producer, "s", "queue");
    let anonymous = scene.world.sender(scene.producer, "a", "");
    scene.fallback(100);
    for link in [sender, anonymous, sender] {
        assert!(scene.send(link, "x", false));
    }
    let carried = scene.carried("M0queue");
    assert_eq!((carried.ingress, carried.redirected), (3, 3));
    let carried = scene.carried("MFqueue");
    assert_eq!((carried.ingress, carried.redirected), (0, 0));
    let row = scene.world.control.address("MFqueue").unwrap();
    assert_eq!(row.treatment, Treatment::AnycastBalanced);
}

#[test]
fn what_waits_for_the_fallback_of_an_address_that_goes_counts_for_nobody() {
    let mut scene = Scene::new(2);
    let named = scene.world.sender(scene.producer, "s", "queue");
    let senders = ["a1", "a2"].map(|name| scene.world.sender(scene.producer, name, ""));
    let spare = scene.fallback(0);
    for number in 0..200 {
        for sender in senders {
            assert!(scene.send(sender, &number.to_string(), false));
        }
    }
    scene.world.detach(scene.producer, named);
    assert!(scene.world.control.address("M0queue").is_none());
    // At rest nothing is kept for an address that is gone.
    scene.world.credit(scene.spare, spare, 1000, false);
    assert_eq!(scene.take(scene.spare).len(), 400);
    assert_eq!(scene.carried("MFqueue").ingress, 0);
    scene.world.leaves_nothing();
}

#[test]
fn what_nobody_but_the_fallback_knows_does_not_count_as_sent_to_that() {
    let mut scene = Scene::new(2);
    let anonymous = scene.world.sender(scene.producer, "a", "");
    scene.fallback(10);
    assert!(scene.send(anonymous, "x", false));
    assert_eq!(scene.take(scene.spare), ["x"]);
    let carried = scene.carried("MFqueue");
    assert_eq!((carried.ingress, carried.redirected), (0, 0));
    assert_eq!(scene.total(Counter::DeliveriesIngress), 1);
}

#[test]
fn nobody_sends_to_a_fallback_before_that_can_be_counted() {
    let mut scene = Scene::new(2);
    scene.fallback(10);
    let control = ShardId(2);
    scene.world.keep_busy(control);
    let sender = scene.world.sender(scene.producer, "s", "queue");
    assert_eq!(scene.credit(scene.producer, sender), 0);
    scene.world.let_take_mail(control);
    assert_eq!(scene.credit(scene.producer, sender), 250);
}

#[test]
fn an_address_without_a_fallback_leads_to_none() {
    let mut rule = rule(Treatment::AnycastBalanced);
    rule.fallback = false;
    let mut scene = Scene::with(2, &[rule.clone()]);
    scene.fallback(100);
    let sender = scene.world.sender(scene.producer, "s", "queue");
    assert_eq!(scene.credit(scene.producer, sender), 0);
    let anonymous = scene.world.sender(scene.producer, "a", "");
    assert!(scene.send(anonymous, "x", false));
    assert_eq!(scene.outcome(0), RELEASED);
    // It gets one: for those that are attached already.
    let identity = scene.world.control.address_rules().next().unwrap().identity;
    assert!(scene.world.control.remove_address(identity));
    rule.fallback = true;
    let identity = scene.world.control.add_address(rule).unwrap();
    scene.world.run();
    assert_eq!(scene.credit(scene.producer, sender), 250);
    assert!(scene.send(sender, "y", false));
    assert_eq!(scene.take(scene.spare), ["y"]);
    assert!(scene.world.control.remove_address(identity));
    scene.world.run();
    assert!(scene.send(sender, "z", false));
    assert_eq!(scene.outcome(2), RELEASED);
}

#[test]
fn nothing_of_a_fallback_goes_back_to_one() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        let back = scene.sender_of_fallback();
        scene.fallback(100);
        assert_eq!(scene.credit(scene.spare, back), 0);
        let primary = scene.primary(100);
        assert_eq!(scene.credit(scene.spare, back), 250);
        let spare = scene.spare;
        assert!(scene.world.send(spare, back, &message("back"), false));
        assert_eq!(scene.take(scene.consumer), ["back"]);
        scene.world.detach(scene.consumer, primary);
        assert!(scene.world.send(spare, back, &message("again"), false));
        assert_eq!(scene.world.peers[spare].outcome(1), RELEASED);
        // Nor when whoever has sent it is gone before that is asked.
        scene.fallback_at(scene.producer, 100);
        scene.put(spare, back, "last", false);
        scene.world.vanish(spare);
        scene.world.run();
        assert!(scene.take(spare).is_empty());
        assert!(scene.take(scene.producer).is_empty());
        assert_eq!(scene.total(Counter::DeliveriesIngress), 0);
        assert_eq!(scene.carried("MFqueue").ingress, 0);
        assert_eq!(scene.total(Counter::DeliveriesRedirectedToFallback), 0);
        scene.world.leaves_nothing();
    }
}

#[test]
fn what_its_receiver_refuses_does_not_go_to_the_fallback() {
    let mut scene = Scene::new(2);
    let sender = scene.world.sender(scene.producer, "s", "queue");
    scene.primary(100);
    scene.fallback(100);
    for (id, state) in [DeliveryState::Released, DeliveryState::Rejected(None)]
        .into_iter()
        .enumerate()
    {
        let id = u32::try_from(id).unwrap();
        assert!(scene.send(sender, "x", false));
        scene.world.dispose(scene.consumer, id, state.clone(), true);
        assert_eq!(scene.outcome(id), Some((Some(state), true)));
    }
    assert!(scene.take(scene.spare).is_empty());
}

#[test]
fn what_waited_for_a_receiver_that_leaves_goes_to_the_fallback_in_order() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        let senders = scene.two_senders();
        let primary = scene.primary(1);
        // More than its lane takes: the rest waits in the address's line.
        scene.send_each(senders, 150);
        assert_eq!(scene.take(scene.consumer), ["0"]);
        scene.fallback(1000);
        scene.world.detach(scene.consumer, primary);
        assert_eq!(scene.take(scene.spare), twice(150)[1..]);
        assert_eq!(scene.total(Counter::DeliveriesRedirectedToFallback), 299);
        scene.world.leaves_nothing();
    }
}

#[test]
fn a_fallback_that_takes_little_gets_all_in_order() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        // Two senders have more under way than the way to one receiver holds.
        let senders = scene.two_senders();
        let spare = scene.fallback(0);
        scene.send_each(senders, 200);
        scene.world.credit(scene.spare, spare, 1000, false);
        assert_eq!(scene.take(scene.spare), twice(200));
        assert_eq!(scene.total(Counter::DeliveriesRedirectedToFallback), 400);
        scene.world.leaves_nothing();
    }
}

#[test]
fn what_waited_for_a_fallback_that_leaves_goes_to_who_has_come_meanwhile() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        scene.world.listener.strip_annotations.outbound = false;
        scene.consumer = scene.world.connect(usize::from(shards) - 1);
        let senders = scene.two_senders();
        let spare = scene.fallback(0);
        scene.send_each(senders, 200);
        scene.primary(1000);
        assert!(scene.take(scene.consumer).is_empty());
        scene.world.detach(scene.spare, spare);
        let messages = &scene.world.peers[scene.consumer].messages;
        let own = (Some("queue".to_owned()), None);
        assert!(messages.iter().all(|(.., bytes)| annotations(bytes) == own));
        assert_eq!(scene.take(scene.consumer), twice(200));
        scene.world.leaves_nothing();
    }
}

#[test]
fn what_one_fallback_leaves_behind_another_gets() {
    let mut scene = Scene::new(2);
    let sender = scene.world.sender(scene.producer, "s", "queue");
    let first = scene.fallback(1);
    for text in ["one", "two", "three"] {
        assert!(scene.send(sender, text, false));
    }
    assert_eq!(scene.take(scene.spare), ["one"]);
    scene.fallback_at(scene.consumer, 10);
    scene.world.detach(scene.spare, first);
    assert_eq!(scene.take(scene.consumer), ["two", "three"]);
    // Those that came home count once.
    assert_eq!(scene.total(Counter::DeliveriesRedirectedToFallback), 3);
    assert_eq!(scene.carried("M0queue").redirected, 3);
    scene.world.leaves_nothing();
}

#[test]
fn where_neither_is_there_a_sender_is_told_to_wait() {
    let mut scene = Scene::new(2);
    let sender = scene.world.sender(scene.producer, "s", "queue");
    assert_eq!(scene.credit(scene.producer, sender), 0);
    let spare = scene.fallback(10);
    assert_eq!(scene.credit(scene.producer, sender), 250);
    scene.world.detach(scene.spare, spare);
    assert!(scene.send(sender, "x", false));
    assert_eq!(scene.outcome(0), RELEASED);
    let engine = &mut scene.world.peers[scene.producer].engine;
    assert!(engine.drain_requested(sender));
    scene.fallback(10);
    let engine = &mut scene.world.peers[scene.producer].engine;
    assert!(!engine.drain_requested(sender));
    assert_eq!(engine.credit(sender), 250);
}

#[test]
fn a_large_message_goes_to_the_fallback_while_it_comes() {
    for (shards, settled) in [(1, false), (2, false), (2, true)] {
        let mut scene = Scene::new(shards);
        let sender = scene.world.sender(scene.producer, "s", "queue");
        scene.fallback(10);
        let text = "x".repeat(600_000);
        let bytes = message(&text);
        let (first, rest) = bytes.split_at(400_000);
        let producer = scene.producer;
        let world = &mut scene.world;
        assert!(world.send_part(producer, sender, first, settled, true));
        assert!(world.send_part(producer, sender, rest, settled, false));
        assert_eq!(scene.take(scene.spare), [text]);
        if !settled {
            scene
                .world
                .dispose(scene.spare, 0, DeliveryState::Accepted, true);
            assert_eq!(scene.outcome(0), ACCEPTED);
        }
        scene.world.leaves_nothing();
    }
}

#[test]
fn who_floods_a_fallback_that_is_slow_is_held_back() {
    let mut scene = Scene::new(2);
    let sender = scene.world.sender(scene.producer, "s", "queue");
    scene.fallback(10_000);
    scene.world.keep_busy(ShardId(1));
    let text = "x".repeat(10_000);
    let sent = (0..2000).take_while(|_| scene.send(sender, &text, true));
    let sent = sent.count();
    assert!(sent < 2000, "{sent}");
    let waiting = scene.world.let_take_mail(ShardId(1));
    let most = usize::try_from(limits::TRANSIT_BYTES).unwrap() + 3 * text.len();
    assert!(waiting > 50 * text.len() && waiting < most, "{waiting}");
    assert_eq!(scene.take(scene.spare).len(), sent);
    assert!(scene.send(sender, &text, true));
    assert_eq!(scene.take(scene.spare).len(), 1);
    scene.world.leaves_nothing();
}

#[test]
fn an_address_of_any_distribution_may_have_a_fallback() {
    for treatment in [Treatment::Multicast, Treatment::AnycastClosest] {
        let mut scene = Scene::with(2, &[rule(treatment)]);
        let sender = scene.world.sender(scene.producer, "s", "queue");
        scene.fallback(10);
        scene.fallback_at(scene.producer, 10);
        assert!(scene.send(sender, "one", false));
        let there = [scene.take(scene.spare), scene.take(scene.producer)];
        assert_eq!(there.concat(), ["one"], "to one of them, once");
        scene.primary(10);
        assert!(scene.send(sender, "two", false));
        assert_eq!(scene.take(scene.consumer), ["two"]);
    }
}

/// Where a message says that it goes, and in which phase.
fn annotations(message: &[u8]) -> (Option<String>, Option<Value>) {
    let parsed = parse(&Bytes::copy_from_slice(message)).unwrap();
    let to = parsed.message_annotations.get("x-opt-qd.to");
    let to = to.and_then(|to| match to {
        Value::String(text) => Some(text.to_string()),
        _ => None,
    });
    let phase = parsed.message_annotations.get("x-opt-qd.phase").cloned();
    (to, phase)
}

#[test]
fn a_message_says_that_it_goes_to_the_fallback_and_no_longer_when_it_does_not() {
    for (shards, address) in [(1, "queue"), (2, "amqp:/queue"), (1, ""), (2, "")] {
        let mut scene = Scene::with(shards, &[rule(Treatment::AnycastBalanced)]);
        scene.world.listener.strip_annotations.outbound = false;
        let wants_all = scene.world.connect(usize::from(shards) - 1);
        let sender = scene.world.sender(scene.producer, "s", address);
        let fallback = scene.fallback_at(wants_all, 1);
        assert!(scene.send(sender, "one", false));
        assert!(scene.send(sender, "two", false));
        let said = annotations(&scene.world.peers[wants_all].messages[0].2);
        assert_eq!(said, (Some("queue".to_owned()), Some(Value::Int(22))));
        let trace = parse(&Bytes::from(
            scene.world.peers[wants_all].messages[0].2.clone(),
        ));
        let trace = trace.unwrap().message_annotations;
        let trace = trace.get("x-opt-qd.trace").cloned();
        let own = Value::List([Value::String("0/QDR".into())].into_iter().collect());
        assert_eq!(trace, Some(own));
        // The second waits, and comes home to an address that is served again.
        scene.world.receiver(wants_all, "r", "queue", 10);
        scene.world.detach(wants_all, fallback);
        let (_, _, second) = &scene.world.peers[wants_all].messages[1];
        let (to, phase) = annotations(second);
        assert_eq!((text_of(second), phase), ("two".to_owned(), None));
        assert_eq!(to, (!address.is_empty()).then(|| address.to_owned()));
    }
}

#[test]
fn what_another_router_has_redirected_does_not_overtake_what_is_redirected_here() {
    for settled in [false, true] {
        let mut scene = Scene::new(2);
        scene.fallback(10);
        scene.world.listener.strip_annotations.inbound = false;
        let router = scene.world.connect(0);
        let sender = scene.world.sender(router, "s", "");
        let redirected = MessageBuilder::new()
            .message_annotations(
                [
                    (
                        Value::Symbol(Symbol::from("x-opt-qd.to")),
                        Value::from("queue"),
                    ),
                    (
                        Value::Symbol(Symbol::from("x-opt-qd.phase")),
                        Value::Int(22),
                    ),
                ]
                .into_iter()
                .collect(),
            )
            .value("later".to_owned())
            .build()
            .to_vec();
        let messages = [message("sooner"), redirected];
        scene.put_all(router, sender, &messages, settled);
        scene.world.run();
        assert_eq!(scene.take(scene.spare), ["sooner", "later"]);
        assert_eq!(scene.total(Counter::DeliveriesRedirectedToFallback), 1);
    }
}

#[test]
fn who_is_told_that_it_receives_is_not_passed_over() {
    let mut scene = Scene::new(2);
    let sender = scene.world.sender(scene.producer, "s", "queue");
    scene.fallback(10);
    scene.world.keep_busy(ShardId(0));
    let primary = scene.primary(10);
    assert!(
        scene.world.peers[scene.consumer]
            .engine
            .is_attached(primary)
    );
    // The route is in the mailbox of the sender's shard when the message is read there.
    let mail = scene.world.busy.remove(&ShardId(0)).unwrap();
    scene.put(scene.producer, sender, "late", false);
    let World { shards, now, .. } = &mut scene.world;
    shards[0].turn(*now);
    for batch in mail {
        shards[0].take_mail(batch, *now);
    }
    scene.world.run();
    assert_eq!(scene.take(scene.consumer), ["late"]);
    assert!(scene.take(scene.spare).is_empty());
}

#[test]
fn who_sends_and_leaves_at_once_is_served_by_the_fallback() {
    for (shards, settled) in [(1, false), (2, false), (2, true)] {
        let mut scene = Scene::new(shards);
        let sender = scene.world.sender(scene.producer, "s", "queue");
        scene.fallback(10);
        scene.put(scene.producer, sender, "last", settled);
        scene.world.vanish(scene.producer);
        scene.world.run();
        assert_eq!(scene.take(scene.spare), ["last"]);
        scene.world.leaves_nothing();
    }
}
