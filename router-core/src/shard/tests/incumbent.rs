//! Conversations with the incumbent, played again: what it said on a recorded day is said to a
//! router of ours, byte for byte, and clients of that router do what clients did then.

use std::collections::BTreeMap;

use amqp_codec::message::{self, Body, Message, MessageBuilder, Properties};
use amqp_codec::{DeliveryState, Modified, Performative, Role, Source, Str, Target, Value};
use amqp_proto::{Event, LinkKey, Payload};

use super::scene::{Scene, annotations, body, check_links, check_open, find, text, trace};
use super::world::attach;
use crate::transcript;

/// The conversation of a router at the end of a line, whose neighbour is the incumbent.
struct Leaf {
    scene: Scene,
    client: usize,
    near: LinkKey,
    crowd: LinkKey,
    service: LinkKey,
    replies: LinkKey,
    senders: BTreeMap<&'static str, LinkKey>,
}

impl Leaf {
    fn new() -> Self {
        let mut scene = Scene::new("A", transcript::LEAF);
        scene.is_dialled('b');
        scene.play("meet");
        assert_eq!(scene.routers(), [("B".to_owned(), 1), ("C".to_owned(), 2)]);
        check_open(&scene.wires[&'b'], "A");
        check_links(&scene.wires[&'b']);
        let client = scene.client();
        let world = &mut scene.world;
        let near = world.receiver(client, "near", "closest/near", 10);
        let crowd = world.receiver(client, "crowd", "multicast/m", 10);
        let service = world.receiver(client, "service", "closest/service", 10);
        let source = Source {
            dynamic: true,
            ..Source::default()
        };
        let target = Some(Target::default());
        let replies = attach("replies", Role::Receiver, Some(source), target);
        let replies = world.attach(client, replies);
        world.credit(client, replies, 10, false);
        let leaf = Self {
            scene,
            client,
            near,
            crowd,
            service,
            replies,
            senders: BTreeMap::new(),
        };
        leaf.told_of_consumers()
    }

    fn told_of_consumers(mut self) -> Self {
        let scene = &mut self.scene;
        scene.play("consumers");
        assert_eq!(scene.consumers_at("closest/far"), ["C"]);
        assert_eq!(scene.consumers_at("multicast/m"), ["B", "C"]);
        assert_eq!(scene.consumers_at("balanced/b"), ["B"]);
        for address in ["M0closest/near", "M0multicast/m", "M0closest/service"] {
            let sent = scene.wires[&'b'].sent.iter();
            let mut control = sent.filter(|frame| frame.channel == 0);
            let told = control.any(|frame| find(&frame.payload, address.as_bytes()).is_some());
            assert!(told, "{address}");
        }
        self
    }

    fn sender(&mut self, address: &'static str) -> LinkKey {
        if let Some(link) = self.senders.get(address) {
            return *link;
        }
        let link = self.scene.world.sender(self.client, address, address);
        self.senders.insert(address, link);
        self.scene.run();
        link
    }

    /// Sends a message to the incumbent, which says in the next step what becomes of it.
    fn send(&mut self, step: &str, address: &'static str, message: &[u8]) -> DeliveryState {
        let link = self.sender(address);
        let id = self.scene.send(self.client, link, message);
        self.scene.run();
        let (transfer, routers, _) = self.scene.last_sent('b');
        assert!(transfer.settled != Some(true) && !transfer.more);
        assert_eq!(routers.ingress.as_deref(), Some("0/A"));
        assert_eq!(trace(&routers), ["0/A"]);
        if !address.is_empty() {
            assert_eq!(routers.to.as_deref(), Some(address));
        }
        self.scene.play(step);
        self.scene.outcome(self.client, id)
    }

    fn outcomes_come_back(&mut self) {
        let modified = DeliveryState::Modified(Box::new(Modified {
            delivery_failed: true,
            undeliverable_here: false,
            message_annotations: None,
        }));
        for (step, expected) in [
            ("accepted", DeliveryState::Accepted),
            ("released", DeliveryState::Released),
            ("modified", modified),
            ("rejected", DeliveryState::Rejected(None)),
        ] {
            let outcome = self.send(step, "closest/far", &text(step));
            assert_eq!(outcome, expected, "{step}");
        }
    }

    /// A consumer settles what it got last; the incumbent is told.
    fn settle(&mut self, link: LinkKey, state: &DeliveryState) -> Message {
        let (id, message) = self.scene.last(self.client, link);
        let before = self.scene.wires[&'b'].dispositions().len();
        self.scene
            .world
            .dispose(self.client, id, state.clone(), true);
        self.scene.run();
        let told = self.scene.wires[&'b'].dispositions().split_off(before);
        assert_eq!(told, [(Some(state.clone()), true)]);
        message
    }

    fn messages_are_delivered(&mut self) {
        self.scene.play("to us accepted");
        let message = self.settle(self.near, &DeliveryState::Accepted);
        assert_eq!(body(&message), "to us accepted");
        assert_eq!(message.header.unwrap().priority, 7);
        let own = &message.message_annotations;
        assert_eq!(own.get("x-opt-user"), Some(&Value::from("kept")));
        assert_eq!(own.len(), 1, "{own:?}");
        self.scene.play("to us rejected");
        let message = self.settle(self.near, &DeliveryState::Rejected(None));
        assert_eq!(body(&message), "to us rejected");
    }

    fn copies_go_once_each_way(&mut self) {
        let sent = self.sender("multicast/m");
        let id = self.scene.send(self.client, sent, &text("from us"));
        self.scene.run();
        let (own, message) = self.scene.last(self.client, self.crowd);
        assert_eq!(body(&message), "from us");
        assert_eq!(trace(&self.scene.last_sent('b').1), ["0/A"]);
        let accepted = DeliveryState::Accepted;
        self.scene
            .world
            .dispose(self.client, own, accepted.clone(), true);
        assert_eq!(self.scene.world.peers[self.client].outcome(id), None);
        self.scene.play("multicast from us");
        assert_eq!(self.scene.outcome(self.client, id), accepted);

        let before = self.scene.wires[&'b'].messages();
        self.scene.play("multicast to us");
        let message = self.settle(self.crowd, &accepted);
        assert_eq!(body(&message), "multicast to us");
        assert_eq!(self.scene.wires[&'b'].messages(), before, "none goes back");
        let outcome = self.send("balanced", "balanced/b", &text("balanced"));
        assert_eq!(outcome, accepted);
    }

    fn its_management_answers(&mut self) {
        let address = self.scene.world.peers[self.client].address_of(self.replies);
        let at = transcript::LEAF.find("amqp:/_topo/0/A/temp.").unwrap();
        let before = transcript::LEAF[at..at + address.len()].to_owned();
        self.scene.temporary = Some((before, address.clone()));
        let properties = Properties {
            reply_to: Some(Str::copy(&address)),
            ..Properties::default()
        };
        let request = MessageBuilder::new()
            .properties(properties)
            .value("?")
            .build();
        let outcome = self.send("manage", "_topo/0/B/$management", &request);
        assert_eq!(outcome, DeliveryState::Accepted);
        let (_, answer) = self.scene.last(self.client, self.replies);
        let status = answer.application_properties.get("statusCode").unwrap();
        assert_eq!(status.as_i64(), Some(200));
        let said = format!("{:?}", answer.body);
        assert!(said.contains("1.19.0"), "{said}");
    }

    fn a_request_is_answered(&mut self) {
        self.scene.play("request");
        let request = self.settle(self.service, &DeliveryState::Accepted);
        assert_eq!(body(&request), "ask");
        let properties = Properties {
            to: request.properties.reply_to,
            ..Properties::default()
        };
        let to = properties.to.as_ref().unwrap();
        assert!(to.starts_with("amqp:/_topo/0/C/temp."), "{to}");
        let answer = MessageBuilder::new()
            .properties(properties)
            .value("re")
            .build();
        let outcome = self.send("reply", "", &answer);
        assert_eq!(outcome, DeliveryState::Accepted);
    }

    fn large_messages_pass(&mut self) {
        self.scene.play("large to us");
        let message = self.settle(self.near, &DeliveryState::Accepted);
        let large = Body::Value(Value::Binary(vec![b'a'; 200_000].into()));
        assert!(message.body == large, "every byte of it");

        let link = self.sender("closest/far");
        let client = self.client;
        let large = MessageBuilder::new().data(vec![b'b'; 200_000]).build();
        let mut rest = Payload::from(large);
        let mut is_poured = self.scene.world.pour(client, link, &mut rest, false, false);
        self.scene.run();
        assert_eq!(self.scene.wires[&'b'].attaches().len(), 24, "a link for it");
        self.scene.play_with("large from us", |world| {
            is_poured = is_poured || world.pour(client, link, &mut rest, false, false);
        });
        assert!(is_poured);
        let id = self.scene.world.peers[client].engine.last_delivery_id(link);
        assert_eq!(self.scene.outcome(client, id), DeliveryState::Accepted);

        let before = self.scene.world.peers[client].messages.len();
        self.scene.play("aborted to us");
        let peer = &self.scene.world.peers[client];
        assert_eq!(peer.messages.len(), before, "never whole");
        let is_abort = |event: &Event| match event {
            Event::Transfer { link, delivery, .. } => *link == self.near && delivery.aborted,
            _ => false,
        };
        assert!(peer.events.iter().any(is_abort));
    }

    fn routers_come_and_go(&mut self) {
        let scene = &mut self.scene;
        scene.play("consumer leaves");
        assert!(scene.consumers_at("closest/far").is_empty());
        scene.play("kill C");
        assert_eq!(scene.routers(), [("B".to_owned(), 1)]);
        scene.play("start C");
        assert_eq!(scene.routers(), [("B".to_owned(), 1), ("C".to_owned(), 2)]);
        scene.play("consumer again");
        assert_eq!(scene.consumers_at("closest/far"), ["C"]);
        let outcome = self.send("sent again", "closest/far", &text("again"));
        assert_eq!(outcome, DeliveryState::Accepted);
        let scene = &mut self.scene;
        scene.play("kill B");
        assert!(scene.routers().is_empty());
        let producer = scene.client();
        let sender = scene.world.sender(producer, "s", "balanced/b");
        let peer = &scene.world.peers[producer];
        assert_eq!(peer.engine.credit(sender), 0, "nobody can take it");
    }
}

#[test]
fn the_end_of_a_line_with_the_incumbent_in_its_middle() {
    let mut leaf = Leaf::new();
    leaf.outcomes_come_back();
    leaf.messages_are_delivered();
    leaf.copies_go_once_each_way();
    leaf.its_management_answers();
    leaf.a_request_is_answered();
    leaf.large_messages_pass();
    leaf.routers_come_and_go();
    leaf.scene.nobody_complains();
    assert!(leaf.scene.world.nothing_under_way());
}

/// A router between two of the incumbent's, one of which it has dialled.
fn between() -> Scene {
    let mut scene = Scene::new("B", transcript::BETWEEN);
    scene.dials('c');
    scene.play("dial");
    check_open(&scene.wires[&'c'], "B");
    check_links(&scene.wires[&'c']);
    scene.is_dialled('a');
    scene.play("meet");
    assert_eq!(scene.routers(), [("A".to_owned(), 1), ("C".to_owned(), 1)]);
    for (wire, from) in [('c', ["0/A", "0/B"]), ('a', ["0/C", "0/B"])] {
        let sent = scene.wires[&wire].sent.iter();
        let control = sent.filter(|frame| frame.channel == 0 && !frame.payload.is_empty());
        let mut passed = control.map(|frame| annotations(&frame.payload));
        let is_passed = passed.any(|routers| trace(&routers) == from);
        assert!(is_passed, "what {from:?} said is passed on to {wire}");
    }
    scene
}

#[test]
fn the_middle_of_a_line_with_the_incumbent_at_both_ends() {
    let mut scene = between();
    let client = scene.client();
    let crowd = scene.world.receiver(client, "crowd", "multicast/m", 10);
    scene.play("consumers");
    assert_eq!(scene.consumers_at("closest/far"), ["C"]);
    assert_eq!(scene.consumers_at("multicast/m"), ["A", "C"]);
    for (step, state) in [
        ("accepted", DeliveryState::Accepted),
        ("released", DeliveryState::Released),
        ("rejected", DeliveryState::Rejected(None)),
    ] {
        scene.play(step);
        let (_, routers, message) = scene.last_sent('c');
        assert_eq!(routers.to.as_deref(), Some("closest/far"));
        assert_eq!(routers.ingress.as_deref(), Some("0/A"));
        assert_eq!(trace(&routers), ["0/A", "0/B"]);
        assert_eq!(body(&message::parse(&message).unwrap()), step);
        let told = scene.wires[&'a'].dispositions();
        assert_eq!(told.last(), Some(&(Some(state), true)));
    }

    let before = ['a', 'c'].map(|wire| scene.wires[&wire].messages());
    let told = scene.wires[&'a'].dispositions().len();
    scene.play("multicast");
    let after = ['a', 'c'].map(|wire| scene.wires[&wire].messages());
    assert_eq!(after, [before[0], before[1] + 1], "once on, and none back");
    let (id, message) = scene.last(client, crowd);
    assert_eq!(body(&message), "to all");
    assert_eq!(scene.wires[&'a'].dispositions().len(), told);
    scene
        .world
        .dispose(client, id, DeliveryState::Accepted, true);
    scene.run();
    let told = scene.wires[&'a'].dispositions().split_off(told);
    assert_eq!(told, [(Some(DeliveryState::Accepted), true)]);

    scene.play("manage");
    let (_, routers, request) = scene.last_sent('c');
    assert_eq!(trace(&routers), ["0/A", "0/B"]);
    assert!(find(&request, b"attributeNames").is_some());
    let (_, routers, answer) = scene.last_sent('a');
    assert_eq!(trace(&routers), ["0/C", "0/B"]);
    assert!(find(&answer, b"1.19.0").is_some());
}

#[test]
fn a_large_message_and_a_death_at_the_end_of_a_line() {
    let mut scene = between();
    let client = scene.client();
    let crowd = scene.world.receiver(client, "crowd", "multicast/m", 10);
    for step in ["consumers", "accepted", "released", "rejected", "multicast"] {
        scene.play(step);
    }
    let (id, _) = scene.last(client, crowd);
    scene
        .world
        .dispose(client, id, DeliveryState::Accepted, true);
    scene.play("manage");
    scene.play("large");
    let streamed = scene.wires[&'c']
        .sent
        .iter()
        .filter(|frame| frame.channel == 11);
    let bytes = streamed
        .clone()
        .map(|frame| frame.payload.len())
        .sum::<usize>();
    assert!(bytes > 200_000, "{bytes}");
    let first = streamed.clone().find(|frame| !frame.payload.is_empty());
    let routers = annotations(&first.unwrap().payload);
    assert_eq!(routers.to.as_deref(), Some("closest/far"));
    assert_eq!(trace(&routers), ["0/A", "0/B"]);
    let told = scene.wires[&'a'].dispositions();
    assert_eq!(told.last(), Some(&(Some(DeliveryState::Accepted), true)));

    scene.play("consumer leaves");
    assert!(scene.consumers_at("closest/far").is_empty());
    scene.play("kill C");
    assert_eq!(scene.routers(), [("A".to_owned(), 1)]);
    scene.nobody_complains();
    assert!(scene.world.nothing_under_way());
}

#[test]
fn a_listener_for_clients_refuses_the_links_of_a_router() {
    let mut scene = Scene::new("A", transcript::REFUSED);
    scene.dials('b');
    scene.play("links");
    assert!(scene.routers().is_empty());
    let sent = &scene.closed[&'b'].sent;
    let close = &sent.last().expect("a Close").performative;
    let Performative::Close(close) = close else {
        panic!("{close:?}");
    };
    let error = close.error.as_ref().expect("a reason");
    let reason = error.description.as_deref().unwrap_or_default();
    assert!(reason.contains("qd:forbidden"), "{reason}");
    // Who asks why there is no neighbour finds out.
    let row = format!("{:?}", scene.world.control.connector("connector/b:1"));
    assert!(row.contains("needs a listener of that role"), "{row}");
}
