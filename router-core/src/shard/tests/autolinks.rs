//! Links that the router attaches by itself to a broker: what goes by them, and what becomes of
//! them when the broker refuses, detaches, leaves, or says nothing.

use amqp_codec::message::MessageBuilder;
use amqp_codec::{
    AmqpError, Attach, DeliveryState, Role, Source, Str, Symbol, Target, TargetArchetype,
};
use amqp_proto::{Event, LinkKey};

use super::world::World;
use crate::control::{AutoLinkRow, AutoLinkRule, AutoLinkStatus};
use crate::counters::Counter;
use crate::ids::Direction::{self, In, Out};
use crate::limits;
use crate::route::{AddressRule, Treatment};
use crate::settings::ConnectionRole;

/// What is said of a link for whose attach there was no room.
const TOO_FAST: &str = "too much waits to be sent on the connection";

/// A router whose address `queue` has a broker in its path: a client on its first shard, and the
/// broker on its last.
struct Scene {
    world: World,
    client: usize,
    broker: usize,
}

fn auto_link(direction: Direction) -> AutoLinkRule {
    AutoLinkRule {
        name: None,
        identity: 0,
        address: "queue".to_owned(),
        direction,
        phase: None,
        container: Some("peer".to_owned()),
        connection: None,
        external_address: None,
        fallback: false,
    }
}

fn message(text: &str) -> Vec<u8> {
    MessageBuilder::new()
        .value(text.to_owned())
        .build()
        .to_vec()
}

impl Scene {
    /// With both links asked for, and taken by the broker.
    fn new(shards: u16) -> Self {
        let mut scene = Self::of(shards, &[auto_link(Out), auto_link(In)]);
        for direction in [Out, In] {
            scene.answer(scene.broker, direction);
        }
        scene
    }

    /// With these links asked for, and nothing answered.
    fn of(shards: u16, links: &[AutoLinkRule]) -> Self {
        let mut world = World::new(shards);
        world.control.add_address(waypoint()).unwrap();
        for link in links {
            world.control.add_auto_link(link.clone()).unwrap();
        }
        let client = world.connect(0);
        let mut scene = Self {
            world,
            client,
            broker: 0,
        };
        scene.broker = scene.connect_broker(usize::from(shards) - 1);
        scene
    }

    fn connect_broker(&mut self, shard: usize) -> usize {
        self.world.listener.role = ConnectionRole::RouteContainer;
        let broker = self.world.connect(shard);
        self.world.listener.role = ConnectionRole::Normal;
        broker
    }

    /// All that a broker was asked to attach, in order: the router sends (`Out`) or receives.
    fn asked(&self, broker: usize, direction: Direction) -> Vec<(LinkKey, Attach)> {
        let role = match direction {
            Out => Role::Sender,
            In => Role::Receiver,
        };
        let events = self.world.peers[broker].events.iter();
        let asked = events.filter_map(|event| match event {
            Event::Attached {
                link,
                attach,
                answer: false,
                ..
            } if attach.role == role => Some((*link, Attach::clone(attach))),
            _ => None,
        });
        asked.collect()
    }

    /// The broker takes what it was asked last; the link.
    fn answer(&mut self, broker: usize, direction: Direction) -> LinkKey {
        let (link, asked) = self.asked(broker, direction).pop().expect("it was asked");
        let answer = Attach {
            source: asked.source,
            target: asked.target,
            ..Attach::default()
        };
        let peer = &mut self.world.peers[broker];
        peer.engine.answer_attach(link, answer, &mut peer.output);
        self.world.run();
        link
    }

    /// The broker refuses what it was asked last, as most do: without terminus, then with a
    /// reason.
    fn refuse(&mut self, direction: Direction, reason: &str) {
        let (link, _) = self
            .asked(self.broker, direction)
            .pop()
            .expect("it was asked");
        let peer = &mut self.world.peers[self.broker];
        peer.engine
            .answer_attach(link, Attach::default(), &mut peer.output);
        let error = AmqpError {
            condition: Symbol::from("amqp:not-found"),
            description: Some(Str::copy(reason)),
            info: None,
        };
        peer.engine
            .detach(link, true, Some(error), &mut peer.output);
        self.world.run();
    }

    fn last(&self, direction: Direction) -> LinkKey {
        self.asked(self.broker, direction).pop().unwrap().0
    }

    fn credit(&self, peer: usize, link: LinkKey) -> u32 {
        self.world.peers[peer].engine.credit(link)
    }

    fn is_detached(&self, peer: usize, link: LinkKey) -> bool {
        let mut events = self.world.peers[peer].events.iter();
        events.any(|event| matches!(event, Event::Detached { link: of, .. } if *of == link))
    }

    fn statuses(&self) -> Vec<AutoLinkStatus> {
        let rows = self.world.control.auto_links();
        rows.map(|row: AutoLinkRow<'_>| row.status).collect()
    }

    /// Why the first of those that have failed has.
    fn last_error(&self) -> Option<String> {
        let mut rows = self.world.control.auto_links();
        let failed = rows.find(|row| row.status == AutoLinkStatus::Failed);
        failed?.last_error.map(str::to_owned)
    }

    fn identity(&self, place: usize) -> u64 {
        let mut rows = self.world.control.auto_links();
        rows.nth(place).unwrap().rule.identity
    }

    /// A broker takes a delivery of one of its links.
    fn accept(&mut self, broker: usize, link: LinkKey, id: u32) {
        let peer = &mut self.world.peers[broker];
        let session = peer.engine.session_of(link).expect("a session");
        let state = Some(DeliveryState::Accepted);
        peer.engine
            .queue_disposition(session, Role::Receiver, id, true, state);
        peer.engine.flush_dispositions(session, &mut peer.output);
        self.world.run();
    }

    /// Another program takes what comes to the broker.
    fn other_broker(&mut self) -> usize {
        let other = self.world.connect(0);
        let source = Source {
            address: Some(Str::from("queue")),
            capabilities: vec![Symbol::from("qd.waypoint")],
            ..Source::default()
        };
        let attach = super::world::attach("w", Role::Receiver, Some(source), None);
        let link = self.world.attach(other, attach);
        self.world.credit(other, link, 10, false);
        other
    }

    /// What a broker does with a message that it gets: takes it, and sends it on.
    fn pass_on(&mut self, broker: usize, source: LinkKey) {
        let (link, id, bytes) = self.world.peers[broker].messages.pop().expect("a message");
        self.accept(broker, link, id);
        assert!(self.world.send(broker, source, &bytes, false), "no credit");
    }
}

fn waypoint() -> AddressRule {
    AddressRule {
        waypoint: true,
        ..AddressRule::for_prefix("queue", Treatment::AnycastBalanced)
    }
}

#[test]
fn messages_to_an_address_go_through_the_broker_in_its_path() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        assert_eq!(scene.statuses(), [AutoLinkStatus::Active; 2]);
        let (sink, source) = (scene.last(Out), scene.last(In));
        let consumer = scene.world.receiver(scene.client, "r", "queue", 10);
        let producer = scene.world.sender(scene.client, "s", "queue");
        assert_eq!(scene.credit(scene.client, producer), 250);
        assert!(
            scene
                .world
                .send(scene.client, producer, &message("one"), false)
        );
        assert!(scene.world.peers[scene.broker].messages.is_empty());
        scene.world.credit(scene.broker, sink, 10, false);
        assert!(
            scene.world.peers[scene.client].messages.is_empty(),
            "not past the broker"
        );
        scene.pass_on(scene.broker, source);
        let first = scene.world.peers[scene.client]
            .engine
            .last_delivery_id(producer);
        let told = scene.world.peers[scene.client].outcome(first);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
        let (link, id, bytes) = scene.world.peers[scene.client].messages.pop().unwrap();
        assert_eq!((link, bytes), (consumer, message("one")));
        scene
            .world
            .dispose(scene.client, id, DeliveryState::Accepted, true);
        let sent = scene.world.peers[scene.broker]
            .engine
            .last_delivery_id(source);
        let told = scene.world.peers[scene.broker].outcome(sent);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
        let total = |counter| scene.world.counters.total(counter);
        assert_eq!(total(Counter::DeliveriesEgressRouteContainer), 1);
        assert_eq!(total(Counter::DeliveriesIngressRouteContainer), 1);
        assert_eq!(total(Counter::DeliveriesEgress), 2);
        scene.world.leaves_nothing();
    }
}

#[test]
fn the_container_knows_the_address_by_another_name() {
    let external = |direction| AutoLinkRule {
        external_address: Some("broker::q1".to_owned()),
        address: "/queue/.".to_owned(),
        ..auto_link(direction)
    };
    let mut scene = Scene::of(1, &[external(Out), external(In)]);
    let (_, asked) = scene.asked(scene.broker, Out).pop().unwrap();
    let Some(TargetArchetype::Target(target)) = &asked.target else {
        panic!("{asked:?}");
    };
    assert_eq!(target.address.as_deref(), Some("broker::q1"));
    assert_eq!(asked.source.unwrap().address, None);
    let (_, asked) = scene.asked(scene.broker, In).pop().unwrap();
    let address = asked.source.unwrap().address;
    assert_eq!(address.as_deref(), Some("broker::q1"));
    let (sink, source) = (
        scene.answer(scene.broker, Out),
        scene.answer(scene.broker, In),
    );
    scene.world.credit(scene.broker, sink, 10, false);
    let keys: Vec<_> = ["M0queue/", "M1queue/"]
        .map(|key| scene.world.control.address(key).is_some())
        .into();
    assert_eq!(keys, [true, true], "one separator at the end is dropped");
    let consumer = scene.world.receiver(scene.client, "r", "queue/.", 10);
    let producer = scene.world.sender(scene.client, "s", "queue/.");
    assert!(
        scene
            .world
            .send(scene.client, producer, &message("x"), false)
    );
    scene.pass_on(scene.broker, source);
    assert_eq!(scene.world.peers[scene.client].messages[0].0, consumer);
}

#[test]
fn a_broker_may_send_only_while_somebody_receives() {
    let mut scene = Scene::new(2);
    let source = scene.last(In);
    assert_eq!(scene.credit(scene.broker, source), 0);
    let consumer = scene.world.receiver(scene.client, "r", "queue", 0);
    assert_eq!(scene.credit(scene.broker, source), 250);
    scene.world.detach(scene.client, consumer);
    // One for the other phase does not count.
    let mut scene = Scene::new(2);
    let source = scene.last(In);
    let waypoint = Source {
        address: Some(Str::from("queue")),
        capabilities: vec![Symbol::from("qd.waypoint")],
        ..Source::default()
    };
    let target = Some(Target::default());
    let attach = super::world::attach("w", Role::Receiver, Some(waypoint), target);
    scene.world.attach(scene.client, attach);
    assert_eq!(scene.credit(scene.broker, source), 0);
}

#[test]
fn who_refuses_is_asked_again_after_two_seconds_and_then_every_five() {
    let mut scene = Scene::of(2, &[auto_link(Out)]);
    let asked = |scene: &Scene| scene.asked(scene.broker, Out).len();
    scene.refuse(Out, "no such queue");
    assert_eq!(scene.statuses(), [AutoLinkStatus::Failed]);
    assert_eq!(scene.last_error().as_deref(), Some("no such queue"));
    scene.world.pass(1999);
    assert_eq!(asked(&scene), 1);
    scene.world.pass(1);
    assert_eq!(asked(&scene), 2);
    assert_eq!(scene.statuses(), [AutoLinkStatus::Attaching]);
    for round in 2..5 {
        scene.refuse(Out, "still not");
        scene.world.pass(4999);
        assert_eq!(asked(&scene), round);
        scene.world.pass(1);
        assert_eq!(asked(&scene), round + 1);
    }
    scene.answer(scene.broker, Out);
    assert_eq!(scene.statuses(), [AutoLinkStatus::Active]);
    let mut rows = scene.world.control.auto_links();
    assert_eq!(rows.next().unwrap().last_error, None);
    drop(rows);
    scene.world.leaves_nothing();
}

#[test]
fn who_takes_a_link_and_detaches_it_at_once_is_not_asked_more_often() {
    let mut scene = Scene::of(1, &[auto_link(Out)]);
    for _ in 0..100 {
        let link = scene.answer(scene.broker, Out);
        scene.world.detach(scene.broker, link);
        assert_eq!(scene.statuses(), [AutoLinkStatus::Failed]);
        let before = scene.asked(scene.broker, Out).len();
        scene.world.pass(1999);
        assert_eq!(scene.asked(scene.broker, Out).len(), before);
        scene.world.pass(3001);
        assert_eq!(scene.asked(scene.broker, Out).len(), before + 1);
    }
    // One that has lasted may fail for a first time again.
    let link = scene.answer(scene.broker, Out);
    scene.world.pass(10_000);
    scene.world.detach(scene.broker, link);
    let before = scene.asked(scene.broker, Out).len();
    scene.world.pass(2000);
    assert_eq!(scene.asked(scene.broker, Out).len(), before + 1);
    let census = scene.world.shards[0].census();
    assert_eq!((census.out_links, census.in_links), (0, 1));
}

#[test]
fn an_answer_without_an_address_is_no_link() {
    let mut scene = Scene::of(2, &[auto_link(In)]);
    let (link, _) = scene.asked(scene.broker, In).pop().unwrap();
    let answer = Attach {
        source: Some(Source::default()),
        ..Attach::default()
    };
    let broker = &mut scene.world.peers[scene.broker];
    broker
        .engine
        .answer_attach(link, answer, &mut broker.output);
    scene.world.run();
    assert!(scene.is_detached(scene.broker, link));
    scene.world.detach(scene.broker, link);
    assert_eq!(scene.statuses(), [AutoLinkStatus::Failed]);
    let why = scene.last_error().unwrap();
    assert!(why.contains("without an address"), "{why}");
    scene.world.leaves_nothing();
}

#[test]
fn who_never_answers_is_asked_once_and_hinders_nobody() {
    let mut scene = Scene::of(2, &[auto_link(Out), auto_link(In)]);
    scene.world.pass(3_600_000);
    assert_eq!(scene.statuses(), [AutoLinkStatus::Attaching; 2]);
    assert_eq!(scene.asked(scene.broker, Out).len(), 1);
    for _ in 0..2 {
        let identity = scene.identity(0);
        assert!(scene.world.control.remove_auto_link(identity));
        assert!(!scene.world.control.remove_auto_link(identity));
        scene.world.run();
    }
    assert_eq!(scene.statuses(), []);
    let link = scene.last(Out);
    assert!(scene.is_detached(scene.broker, link));
    // It answers after all: too late.
    scene.answer(scene.broker, Out);
    scene.answer(scene.broker, In);
    assert!(scene.world.control.address("M0queue").is_none());
    scene.world.leaves_nothing();
}

#[test]
fn what_waits_for_a_deleted_link_goes_elsewhere_and_what_was_sent_is_modified() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        let sink = scene.last(Out);
        let producer = scene.world.sender(scene.client, "s", "queue");
        scene.world.credit(scene.broker, sink, 1, false);
        let mut ids = Vec::new();
        for text in ["sent", "waits"] {
            assert!(
                scene
                    .world
                    .send(scene.client, producer, &message(text), false)
            );
            let client = &scene.world.peers[scene.client];
            ids.push(client.engine.last_delivery_id(producer));
        }
        assert_eq!(scene.world.peers[scene.broker].messages.len(), 1);
        // Another broker, which the entry does not name, takes the same phase.
        let other = scene.other_broker();
        let identity = scene.identity(0);
        assert!(scene.world.control.remove_auto_link(identity));
        scene.world.run();
        assert!(scene.is_detached(scene.broker, sink));
        let client = &scene.world.peers[scene.client];
        let told = client.outcome(ids[0]).expect("an outcome");
        assert!(
            matches!(told, (Some(DeliveryState::Modified { .. }), true)),
            "{told:?}"
        );
        assert_eq!(client.outcome(ids[1]), None);
        let (_, id, bytes) = scene.world.peers[other]
            .messages
            .pop()
            .expect("it came here");
        assert_eq!(bytes, message("waits"));
        scene
            .world
            .dispose(other, id, DeliveryState::Accepted, true);
        let told = scene.world.peers[scene.client].outcome(ids[1]);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
        // What the broker still says of the link that it has lost is no fault.
        scene.accept(scene.broker, sink, 0);
        scene.world.detach(scene.broker, sink);
        assert!(!scene.world.peers[scene.broker].gone);
        scene.world.leaves_nothing();
    }
}

#[test]
fn a_broker_hears_what_became_of_its_messages_before_its_link_is_detached() {
    for stalls in [1, limits::ROUTED_DETACH_TIME_OUT.as_secs() + 2] {
        let mut scene = Scene::new(2);
        let (client, broker, source) = (scene.client, scene.broker, scene.last(In));
        scene.world.receiver(client, "r", "queue", 1000);
        let small = message("x");
        for _ in 0..4 {
            scene.world.send_many(broker, source, &small, false, 50);
        }
        scene.world.set_stalled(broker, true);
        scene.world.answer_at_length(scene.client, 200);
        scene.world.run();
        let identity = scene.identity(1);
        assert!(scene.world.control.remove_auto_link(identity));
        for _ in 0..stalls {
            scene.world.pass(1000);
        }
        scene.world.set_stalled(broker, false);
        let events = &mut scene.world.peers[broker].events;
        let is_end = |event: &Event| matches!(event, Event::Detached { .. });
        let end = events.iter().position(is_end).expect("it is detached");
        events.truncate(end);
        let told = (0..200).filter(|&id| {
            let told = scene.world.peers[broker].outcome(id);
            told.is_some_and(|(state, settled)| settled && state.is_some())
        });
        // Not for ever: who does not read for so long hears the rest later.
        assert_eq!(told.count() == 200, stalls == 1);
        assert!(!scene.world.peers[broker].gone, "{stalls}");
        scene.world.detach(broker, source);
        scene.world.leaves_nothing();
    }
}

#[test]
fn a_deleted_link_is_sent_nothing_more_however_much_its_broker_has_yet_to_hear() {
    let mut scene = Scene::new(2);
    let (client, broker, source) = (scene.client, scene.broker, scene.last(In));
    let sink = scene.last(Out);
    scene.world.credit(broker, sink, 10, false);
    scene.world.receiver(client, "r", "queue", 1000);
    let producer = scene.world.sender(client, "s", "queue");
    let small = message("x");
    for _ in 0..4 {
        scene.world.send_many(broker, source, &small, false, 50);
    }
    scene.world.set_stalled(broker, true);
    scene.world.answer_at_length(scene.client, 200);
    scene.world.run();
    let other = scene.other_broker();
    let identity = scene.identity(0);
    assert!(scene.world.control.remove_auto_link(identity));
    scene.world.run();
    for _ in 0..4 {
        assert!(scene.world.send(client, producer, &small, false));
    }
    assert_eq!(scene.world.peers[other].messages.len(), 4);
    scene.world.set_stalled(broker, false);
    assert!(scene.is_detached(broker, sink));
    assert!(scene.world.peers[broker].messages.is_empty());
    scene.world.leaves_nothing();
}

#[test]
fn what_a_broker_has_sent_goes_on_when_its_link_is_deleted() {
    let mut scene = Scene::new(2);
    let source = scene.last(In);
    let consumer = scene.world.receiver(scene.client, "r", "queue", 0);
    assert!(
        scene
            .world
            .send(scene.broker, source, &message("one"), false)
    );
    let identity = scene.identity(1);
    assert!(scene.world.control.remove_auto_link(identity));
    scene.world.run();
    assert!(scene.is_detached(scene.broker, source));
    scene.world.credit(scene.client, consumer, 5, false);
    let client = &scene.world.peers[scene.client];
    assert_eq!(client.received(), [&message("one")[..]]);
    scene.world.leaves_nothing();
}

#[test]
fn a_broker_that_comes_back_is_asked_at_once() {
    let mut scene = Scene::new(2);
    let producer = scene.world.sender(scene.client, "s", "queue");
    assert_eq!(scene.credit(scene.client, producer), 250);
    scene.world.vanish(scene.broker);
    assert_eq!(scene.statuses(), [AutoLinkStatus::Inactive; 2]);
    scene.broker = scene.connect_broker(0);
    assert_eq!(scene.statuses(), [AutoLinkStatus::Attaching; 2]);
    let sink = scene.answer(scene.broker, Out);
    scene.world.credit(scene.broker, sink, 10, false);
    assert!(
        scene
            .world
            .send(scene.client, producer, &message("back"), false)
    );
    assert_eq!(scene.world.peers[scene.broker].messages.len(), 1);
    scene.world.leaves_nothing();
}

#[test]
fn a_session_that_the_broker_ends_takes_its_links_along_for_two_seconds() {
    let mut scene = Scene::new(2);
    let link = scene.last(Out);
    let broker = &mut scene.world.peers[scene.broker];
    let session = broker.engine.session_of(link).unwrap();
    broker.engine.end(session, None, &mut broker.output);
    scene.world.run();
    assert_eq!(scene.statuses(), [AutoLinkStatus::Failed; 2]);
    scene.world.pass(2000);
    for direction in [Out, In] {
        assert_eq!(scene.asked(scene.broker, direction).len(), 2);
        scene.answer(scene.broker, direction);
    }
    assert_eq!(scene.statuses(), [AutoLinkStatus::Active; 2]);
    scene.world.leaves_nothing();
}

#[test]
fn all_connections_of_a_container_have_a_link_each() {
    let mut scene = Scene::new(2);
    let other = scene.connect_broker(0);
    for direction in [Out, In] {
        scene.answer(other, direction);
    }
    let brokers = [scene.broker, other];
    for broker in brokers {
        let (sink, _) = scene.asked(broker, Out).pop().unwrap();
        scene.world.credit(broker, sink, 10, false);
    }
    let producer = scene.world.sender(scene.client, "s", "queue");
    for _ in 0..4 {
        assert!(
            scene
                .world
                .send(scene.client, producer, &message("x"), false)
        );
    }
    let counts = brokers.map(|broker| scene.world.peers[broker].messages.len());
    assert_eq!(counts, [2, 2]);
    scene.world.vanish(other);
    assert_eq!(scene.statuses(), [AutoLinkStatus::Active; 2]);
    // An entry that comes later finds the connection there; one for nobody stays inactive.
    let late = AutoLinkRule {
        address: "late".to_owned(),
        container: None,
        connection: Some(scene.world.listener.name.clone()),
        ..auto_link(Out)
    };
    scene.world.control.add_auto_link(late).unwrap();
    let nobody = AutoLinkRule {
        address: "nobody".to_owned(),
        container: None,
        ..auto_link(Out)
    };
    scene.world.control.add_auto_link(nobody).unwrap();
    scene.world.run();
    assert_eq!(
        scene.statuses()[2..],
        [AutoLinkStatus::Attaching, AutoLinkStatus::Inactive]
    );
    scene.world.leaves_nothing();
}

#[test]
fn auto_links_beyond_what_a_connection_has_room_for_wait() {
    let mut scene = Scene::of(1, &[]);
    let count = limits::LINKS_PER_CONNECTION + 5;
    for number in 0..count {
        let link = AutoLinkRule {
            address: format!("queue/{number}"),
            ..auto_link(Out)
        };
        scene.world.control.add_auto_link(link).unwrap();
    }
    scene.world.run();
    let failed = |scene: &Scene| {
        let statuses = scene.statuses();
        let failed = statuses.iter().filter(|of| **of == AutoLinkStatus::Failed);
        failed.count()
    };
    // No more is written at once than a broker can be expected to read.
    assert!(failed(&scene) > 5);
    assert_eq!(scene.last_error().as_deref(), Some(TOO_FAST));
    for _ in 0..10 {
        scene.world.pass(5000);
    }
    // Nor are there more links than a connection may have, some of which are others'.
    assert_eq!(failed(&scene), 5);
    assert_eq!(
        scene.last_error().as_deref(),
        Some("too many links on one connection")
    );
    assert!(!scene.world.peers[scene.broker].gone);
}
