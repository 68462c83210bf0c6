//! Links that are routed to a container: what passes from end to end, and what is left when either
//! end goes.

use amqp_codec::message::MessageBuilder;
use amqp_codec::{AmqpError, Attach, DeliveryState, DeliveryTag, Role, Str, Symbol, Target};
use amqp_proto::{Event, LinkKey, OutTransfer, Payload, Sent};
use bytes::Bytes;

use super::world::World;
use crate::control::LinkRule;
use crate::ids::{ConnectionId, Direction, ShardId};
use crate::limits;
use crate::mail::Container;
use crate::settings::ConnectionRole;

/// A router with link routes both ways, a client on its first shard and a container on its last.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) client: usize,
    pub(super) container: usize,
}

impl Scene {
    pub(super) fn new(shards: u16) -> Self {
        let mut world = World::new(shards);
        for direction in [Direction::In, Direction::Out] {
            world.control.add_link_route(rule(direction)).unwrap();
        }
        let client = world.connect(0);
        let mut scene = Self {
            world,
            client,
            container: 0,
        };
        scene.container = scene.connect_container(usize::from(shards) - 1);
        scene
    }

    fn connect_container(&mut self, shard: usize) -> usize {
        self.world.listener.role = ConnectionRole::RouteContainer;
        let container = self.world.connect(shard);
        self.world.listener.role = ConnectionRole::Normal;
        container
    }

    /// What a peer was asked to attach last.
    fn asked(&self, peer: usize) -> Option<(LinkKey, Attach)> {
        let mut events = self.world.peers[peer].events.iter().rev();
        events.find_map(|event| match event {
            Event::Attached {
                link,
                attach,
                answer: false,
                ..
            } => Some((*link, Attach::clone(attach))),
            _ => None,
        })
    }

    /// The container answers what it was asked last.
    pub(super) fn answer(&mut self) -> LinkKey {
        let (link, asked) = self.asked(self.container).expect("it was asked");
        let answer = Attach {
            source: asked.source,
            target: asked.target,
            ..Attach::default()
        };
        let peer = &mut self.world.peers[self.container];
        peer.engine.answer_attach(link, answer, &mut peer.output);
        self.world.run();
        link
    }

    /// A link on which the client sends, and the container's end of it.
    pub(super) fn sender(&mut self, name: &str) -> (LinkKey, LinkKey) {
        let near = self.world.sender(self.client, name, "hub/in");
        (near, self.answer())
    }

    /// A link on which the client receives, and the container's end of it.
    pub(super) fn receiver(&mut self, name: &str, credit: u32) -> (LinkKey, LinkKey) {
        let near = self.world.receiver(self.client, name, "hub/out", credit);
        (near, self.answer())
    }

    fn credit(&self, peer: usize, link: LinkKey) -> u32 {
        self.world.peers[peer].engine.credit(link)
    }

    /// How a peer's link was detached: closed, and the condition.
    pub(super) fn detached(&self, peer: usize, link: LinkKey) -> Option<(bool, String)> {
        let mut events = self.world.peers[peer].events.iter();
        events.find_map(|event| match event {
            Event::Detached {
                link: at,
                closed,
                error,
                ..
            } if *at == link => {
                let error = error.as_ref();
                let condition = error.map(|error| error.condition.to_string());
                Some((*closed, condition.unwrap_or_default()))
            }
            _ => None,
        })
    }

    pub(super) fn detach(
        &mut self,
        peer: usize,
        link: LinkKey,
        closed: bool,
        condition: Option<&str>,
    ) {
        let error = condition.map(|condition| AmqpError {
            condition: Symbol::copy(condition),
            description: Some(Str::from("why")),
            info: None,
        });
        let peer = &mut self.world.peers[peer];
        peer.engine.detach(link, closed, error, &mut peer.output);
        self.world.run();
    }

    /// The container settles a delivery with a state.
    fn dispose(&mut self, link: LinkKey, id: u32, state: DeliveryState) {
        let peer = &mut self.world.peers[self.container];
        let session = peer.engine.session_of(link).unwrap();
        let state = Some(state);
        peer.engine
            .queue_disposition(session, Role::Receiver, id, true, state);
        peer.engine.flush_dispositions(session, &mut peer.output);
        self.world.run();
    }

    /// Neither half of any link is left, nor anything that went by one.
    pub(super) fn nothing_is_left(&self) -> bool {
        let mut census = self.world.shards.iter().map(|shard| shard.census());
        self.world.nothing_under_way()
            && census
                .all(|census| census.in_links + census.out_links == 0 && census.held_bytes == 0)
    }
}

fn rule(direction: Direction) -> LinkRule {
    LinkRule {
        name: None,
        identity: 0,
        prefix: Some("hub".to_owned()),
        pattern: None,
        direction,
        container: Some("peer".to_owned()),
        connection: None,
        add_prefix: None,
        del_prefix: None,
    }
}

pub(super) fn message(size: usize) -> Vec<u8> {
    MessageBuilder::new().data(vec![7; size]).build().to_vec()
}

#[test]
fn messages_pass_untouched_and_their_outcomes_come_back() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        let (near, far) = scene.sender("s");
        let (_, attach) = scene.asked(scene.container).unwrap();
        assert_eq!((&*attach.name, attach.role), ("s@peer", Role::Sender));
        assert_eq!(
            scene.credit(scene.client, near),
            0,
            "none but the container's"
        );
        scene.world.credit(scene.container, far, 2, false);
        assert_eq!(scene.credit(scene.client, near), 2);
        let transfer = OutTransfer {
            message_format: 9,
            ..OutTransfer::new(1, DeliveryTag::new(b"a tag of its own").unwrap())
        };
        let body = message(300_000);
        let mut payload = Payload::from(Bytes::copy_from_slice(&body));
        loop {
            let peer = &mut scene.world.peers[scene.client];
            let sent = peer
                .engine
                .send_transfer(near, &transfer, &[], &payload, &mut peer.output);
            scene.world.run();
            match sent {
                Sent::Whole => break,
                Sent::Part(count) => payload.advance(count),
                Sent::Blocked => {}
            }
        }
        let container = &scene.world.peers[scene.container];
        assert_eq!(container.received(), [&body[..]]);
        assert_eq!(
            container.labels,
            [(DeliveryTag::new(b"a tag of its own").unwrap(), 9)]
        );
        let id = container.messages[0].1;
        assert_eq!(scene.world.peers[scene.client].outcome(0), None);
        let state = DeliveryState::Rejected(None);
        scene.dispose(far, id, state.clone());
        let outcome = scene.world.peers[scene.client].outcome(0);
        assert_eq!(outcome, Some((Some(state), true)));
        assert!(scene.world.nothing_under_way());
        assert_eq!(scene.credit(scene.client, near), 1);
    }
}

#[test]
fn credit_and_drain_are_the_receivers() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        let (near, far) = scene.receiver("r", 5);
        assert_eq!(scene.credit(scene.container, far), 5);
        let body = message(10);
        assert!(scene.world.send(scene.container, far, &body, true));
        scene.world.credit(scene.client, near, 4, true);
        let is_draining = scene.world.peers[scene.container]
            .engine
            .drain_requested(far);
        assert!(is_draining);
        assert_eq!(scene.credit(scene.client, near), 4, "nobody else answers");
        let peer = &mut scene.world.peers[scene.container];
        peer.engine.drained(far, &mut peer.output);
        scene.world.run();
        assert_eq!(scene.credit(scene.client, near), 0);
        scene.world.credit(scene.client, near, 4, true);
        assert_eq!(scene.credit(scene.container, far), 4, "once more");
        scene.world.credit(scene.client, near, 6, false);
        assert_eq!(scene.credit(scene.container, far), 6);
        for _ in 0..6 {
            assert!(scene.world.send(scene.container, far, &body, true));
        }
        assert!(!scene.world.send(scene.container, far, &body, true));
        assert_eq!(scene.world.peers[scene.client].messages.len(), 7);
        assert!(scene.world.nothing_under_way());
    }
}

#[test]
fn credit_that_comes_before_the_answer_to_an_attach_is_not_lost() {
    let mut scene = Scene::new(2);
    let (near, far) = scene.sender("s");
    let client = scene.client;
    scene.world.credit(scene.container, far, 1000, false);
    for _ in 0..8 {
        let world = &mut scene.world;
        world.send_many(client, near, &message(1), false, 50);
    }
    let late = scene.world.sender(client, "late", "hub/in");
    // The client has so much to read that what is to be said to it has to wait.
    scene.world.set_stalled(client, true);
    let session = scene.world.peers[scene.container]
        .engine
        .session_of(far)
        .unwrap();
    scene
        .world
        .answer_at_length_on(scene.container, session, 400);
    scene.detach(scene.container, far, true, None);
    let far = scene.answer();
    scene.world.credit(scene.container, far, 5, false);
    scene.world.set_stalled(client, false);
    assert_eq!(scene.credit(client, late), 5);
}

#[test]
fn credit_that_was_given_back_for_a_drain_that_is_no_more_is_given_again() {
    for credit in [4, 5, 100] {
        let mut scene = Scene::new(2);
        let (near, far) = scene.receiver("r", 4);
        scene.world.credit(scene.client, near, 4, true);
        let peer = &mut scene.world.peers[scene.container];
        peer.engine.drained(far, &mut peer.output);
        // That is on its way when the client changes its mind.
        let said = peer.output.to_bytes();
        peer.output.consume(said.len());
        scene.world.credit(scene.client, near, credit, false);
        scene.world.peers[scene.container]
            .output
            .push_shared(said.into());
        scene.world.run();
        assert_eq!(scene.credit(scene.client, near), credit);
        assert_eq!(scene.credit(scene.container, far), credit);
    }
}

#[test]
fn a_delivery_that_is_given_up_takes_no_credit_from_the_next() {
    let mut scene = Scene::new(2);
    let (near, far) = scene.receiver("r", 1);
    // Not a byte of it has left when it is aborted.
    scene.world.set_stalled(scene.client, true);
    let aborted = OutTransfer {
        more: true,
        ..OutTransfer::new(1, DeliveryTag::new(b"t").unwrap())
    };
    let part = Payload::from(Bytes::from(message(10)));
    let peer = &mut scene.world.peers[scene.container];
    peer.engine
        .send_transfer(far, &aborted, &[], &part, &mut peer.output);
    let aborted = OutTransfer {
        aborted: true,
        ..aborted
    };
    peer.engine
        .send_transfer(far, &aborted, &[], &Payload::new(), &mut peer.output);
    scene.world.run();
    scene.world.set_stalled(scene.client, false);
    let used = scene.world.peers[scene.client]
        .events
        .iter()
        .any(|event| matches!(event, Event::Transfer { delivery, .. } if delivery.aborted));
    if used {
        scene.world.credit(scene.client, near, 1, false);
    }
    assert!(scene.world.send(scene.container, far, &message(10), false));
    assert_eq!(scene.world.peers[scene.client].messages.len(), 1);
}

#[test]
fn a_delivery_of_which_little_has_come_uses_credit() {
    let mut scene = Scene::new(2);
    let (near, far) = scene.receiver("r", 1);
    let body = message(10);
    let (first, rest) = body.split_at(1);
    assert!(
        scene
            .world
            .send_part(scene.container, far, first, false, true)
    );
    scene.world.credit(scene.client, near, 5, false);
    assert_eq!(scene.credit(scene.container, far), 4);
    scene
        .world
        .send_part(scene.container, far, rest, false, false);
    assert_eq!(scene.world.peers[scene.client].messages.len(), 1);
    assert_eq!(scene.credit(scene.container, far), 4);
    assert_eq!(scene.credit(scene.client, near), 4);
}

#[test]
fn either_side_hears_of_the_others_detach_and_answers_it() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        let (near, far) = scene.sender("s");
        scene.detach(scene.client, near, false, Some("app:bye"));
        let heard = scene.detached(scene.container, far);
        assert_eq!(heard, Some((false, "app:bye".to_owned())));
        assert_eq!(scene.detached(scene.client, near), None, "not yet");
        scene.detach(scene.container, far, true, None);
        let heard = scene.detached(scene.client, near);
        assert_eq!(heard, Some((true, String::new())));
        let (near, far) = scene.receiver("r", 1);
        scene.detach(scene.container, far, true, Some("app:gone"));
        let heard = scene.detached(scene.client, near);
        assert_eq!(heard, Some((true, "app:gone".to_owned())));
        scene.detach(scene.client, near, true, None);
        assert!(scene.detached(scene.container, far).is_some());
        assert!(scene.nothing_is_left());
    }
}

#[test]
fn a_lost_container_leaves_its_clients_with_outcomes_and_a_reason() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        let (near, far) = scene.sender("s");
        scene.world.credit(scene.container, far, 5, false);
        assert!(scene.world.send(scene.client, near, &message(10), false));
        assert_eq!(scene.world.peers[scene.container].messages.len(), 1);
        scene.world.vanish(scene.container);
        let lost = Some((true, "qd:routed-link-lost".to_owned()));
        assert_eq!(scene.detached(scene.client, near), lost);
        let outcome = scene.world.peers[scene.client].outcome(0);
        assert!(matches!(
            outcome,
            Some((Some(DeliveryState::Modified(_)), true))
        ));
        scene.detach(scene.client, near, true, None);
        assert!(scene.nothing_is_left());
        let refused = scene.world.sender(scene.client, "s", "hub/in");
        let no_route = Some((true, "qd:no-route-to-dest".to_owned()));
        assert_eq!(scene.detached(scene.client, refused), no_route);
        scene.detach(scene.client, refused, true, None);
        scene.container = scene.connect_container(usize::from(shards) - 1);
        let (near, far) = scene.sender("again");
        scene.world.credit(scene.container, far, 1, false);
        assert!(scene.world.send(scene.client, near, &message(10), true));
        assert_eq!(scene.world.peers[scene.container].messages.len(), 1);
    }
}

#[test]
fn what_a_client_sent_before_it_went_arrives_before_its_detach() {
    for shards in [1, 2] {
        let mut scene = Scene::new(shards);
        let (near, far) = scene.sender("s");
        scene.world.credit(scene.container, far, 50, false);
        scene.world.set_stalled(scene.container, true);
        let size = 100_000;
        for _ in 0..20 {
            assert!(scene.world.send(scene.client, near, &message(size), true));
        }
        scene.world.vanish(scene.client);
        scene.world.set_stalled(scene.container, false);
        assert_eq!(scene.world.peers[scene.container].messages.len(), 20);
        let lost = Some((true, "qd:routed-link-lost".to_owned()));
        assert_eq!(scene.detached(scene.container, far), lost);
        scene.detach(scene.container, far, true, None);
        assert!(scene.nothing_is_left());
    }
}

#[test]
fn a_client_that_goes_away_meanwhile_leaves_nothing_behind() {
    for shards in [1, 2] {
        for vanishes in [true, false] {
            let mut scene = Scene::new(shards);
            let near = scene.world.sender(scene.client, "s", "hub/in");
            let (far, _) = scene.asked(scene.container).unwrap();
            match vanishes {
                true => scene.world.vanish(scene.client),
                false => scene.detach(scene.client, near, true, None),
            }
            assert!(scene.detached(scene.container, far).is_some());
            scene.answer();
            scene.detach(scene.container, far, true, None);
            assert!(scene.nothing_is_left());
        }
    }
}

#[test]
fn who_is_not_answered_in_time_is_refused() {
    let mut scene = Scene::new(2);
    let near = scene.world.sender(scene.client, "s", "hub/in");
    let (far, _) = scene.asked(scene.container).unwrap();
    let wait = limits::ROUTED_ATTACH_TIME_OUT.as_secs();
    for _ in 1..wait {
        scene.world.pass(1000);
        assert_eq!(scene.detached(scene.client, near), None);
    }
    scene.world.pass(2000);
    let refused = scene.detached(scene.client, near);
    assert_eq!(refused, Some((true, "qd:routed-link-lost".to_owned())));
    assert!(scene.detached(scene.container, far).is_some());
    scene.detach(scene.client, near, true, None);
    scene.answer();
    scene.detach(scene.container, far, true, None);
    assert!(scene.nothing_is_left());
}

#[test]
fn an_answer_that_lay_in_the_socket_while_the_router_slept_is_in_time() {
    let mut scene = Scene::new(2);
    let near = scene.world.sender(scene.client, "s", "hub/in");
    scene.asked(scene.container).unwrap();
    scene.world.pass(60_000);
    assert_eq!(scene.detached(scene.client, near), None, "refused");
    let far = scene.answer();
    assert_eq!(scene.detached(scene.client, near), None);
    scene.world.credit(scene.container, far, 10, false);
    assert_eq!(scene.credit(scene.client, near), 10);
}

#[test]
fn a_container_that_does_not_read_bounds_what_is_kept_for_it() {
    let mut scene = Scene::new(2);
    let (near, far) = scene.sender("s");
    scene.world.credit(scene.container, far, 1_000_000, false);
    scene.world.set_stalled(scene.container, true);
    for settled in [true, false] {
        let body = message(50_000);
        let mut rest = Payload::from(Bytes::copy_from_slice(&body));
        for _ in 0..2000 {
            if !scene
                .world
                .pour(scene.client, near, &mut rest, settled, false)
            {
                break;
            }
            rest = Payload::from(Bytes::copy_from_slice(&body));
        }
        if settled {
            scene.world.set_stalled(scene.container, false);
            let whole = scene
                .world
                .pour(scene.client, near, &mut rest, settled, false);
            assert!(whole || rest.is_empty());
            scene.world.set_stalled(scene.container, true);
        }
        let held = scene.world.shards[0].census().held_bytes;
        assert!(held < 3 * limits::LINK_BYTES, "{held}");
        let lanes = scene.world.shards[1].census().lane_bytes;
        assert!(lanes < 3 * limits::LINK_BYTES, "{lanes}");
    }
}

#[test]
fn links_are_dealt_to_containers_in_turn() {
    let mut scene = Scene::new(2);
    let other = scene.connect_container(0);
    let of = |scene: &Scene, peer: usize| {
        let events = scene.world.peers[peer].events.iter();
        let is_asked = |event: &&Event| matches!(event, Event::Attached { answer: false, .. });
        events.filter(is_asked).count()
    };
    for number in 0..6 {
        scene
            .world
            .sender(scene.client, &format!("s{number}"), "hub/in");
    }
    assert_eq!((of(&scene, scene.container), of(&scene, other)), (3, 3));
}

#[test]
fn a_link_whose_container_has_just_gone_goes_to_another() {
    let mut scene = Scene::new(2);
    let other = scene.connect_container(0);
    // Its turn comes first, and the control plane chooses before it hears that it has gone.
    let peer = &mut scene.world.peers[scene.client];
    let target = Target {
        address: Some(Str::from("hub/in")),
        ..Target::default()
    };
    let attach = super::world::attach("s", Role::Sender, None, Some(target));
    let session = peer.session.unwrap();
    let near = peer.engine.attach(session, attach, &mut peer.output);
    let near = near.unwrap();
    scene.world.vanish(scene.container);
    assert!(scene.asked(other).is_some());
    assert_eq!(scene.detached(scene.client, near), None);
}

#[test]
fn a_container_gets_its_own_link_back_only_where_there_is_no_other() {
    let mut scene = Scene::new(2);
    let own = scene.world.sender(scene.container, "own", "hub/in");
    let asked = scene.answer();
    assert_ne!(own, asked);
    assert_eq!(scene.detached(scene.container, own), None);
    let other = scene.connect_container(0);
    for name in ["a", "b", "c"] {
        scene.world.sender(scene.container, name, "hub/in");
    }
    let events = scene.world.peers[other].events.iter();
    let is_asked = |event: &&Event| matches!(event, Event::Attached { answer: false, .. });
    assert_eq!(events.filter(is_asked).count(), 3);
}

#[test]
fn a_link_route_of_a_connection_leads_there_and_goes_with_it() {
    let mut scene = Scene::new(2);
    let service = scene.world.connect(1);
    scene.world.sender(service, "m", "$management");
    let owner = Container {
        connection: ConnectionId(service as u64 + 1),
        shard: ShardId(1),
        container: "peer".into(),
        name: "listener".into(),
    };
    let own = LinkRule {
        prefix: None,
        pattern: Some("service/*".to_owned()),
        container: None,
        ..rule(Direction::In)
    };
    scene.world.control.add_scoped_route(own, &owner).unwrap();
    scene.world.run();
    let routes = |scene: &Scene| {
        let control = &scene.world.control;
        (
            control.scoped_routes(owner.connection).count(),
            control.link_routes().count(),
        )
    };
    assert_eq!(routes(&scene), (1, 2));
    let link = scene.world.sender(scene.client, "s", "service/x");
    let (_, asked) = scene.asked(service).expect("it leads there");
    assert_eq!(&*asked.name, "s@peer");
    scene.world.vanish(service);
    assert_eq!(routes(&scene), (0, 2));
    assert!(scene.detached(scene.client, link).is_some());
    scene.world.sender(scene.client, "again", "service/x");
    let events = scene.world.peers[scene.client].events.iter();
    let ends = events.filter(|event| matches!(event, Event::Detached { .. }));
    assert_eq!(ends.count(), 1, "it is an address like others now");
}

#[test]
fn addresses_beside_the_route_are_not_routed() {
    let mut scene = Scene::new(1);
    for address in ["hubs/in", "x/hub", ""] {
        scene.world.sender(scene.client, address, address);
    }
    assert!(scene.asked(scene.container).is_none());
    for address in ["hub", "hub.x", "amqp:/hub/x/y", "/hub"] {
        scene.world.sender(scene.client, address, address);
        let (_, asked) = scene.asked(scene.container).unwrap();
        let target = asked.target.as_ref().and_then(|target| target.as_target());
        let to = target.and_then(|target| target.address.as_deref());
        assert_eq!(to, Some(address));
    }
}

/// What two peers do to each other's links, at random.
struct Chaos {
    scene: Scene,
    seed: u64,
    /// Links by which the client sends, and those by which it receives: near and far end.
    pairs: [Vec<(LinkKey, LinkKey)>; 2],
    sent: u32,
    names: u32,
}

impl Chaos {
    fn draw(&mut self, below: usize) -> usize {
        self.seed = crate::ids::mix(self.seed);
        usize::try_from(self.seed % below as u64).unwrap()
    }

    /// One of the links of a kind, if there are any.
    fn pick(&mut self, kind: usize) -> Option<(LinkKey, LinkKey)> {
        let count = self.pairs[kind].len();
        (count > 0)
            .then(|| self.draw(count))
            .map(|at| self.pairs[kind][at])
    }

    fn step(&mut self) {
        let kind = self.draw(2);
        let (client, container) = (self.scene.client, self.scene.container);
        let (sends, receives) = match kind {
            0 => (client, container),
            _ => (container, client),
        };
        let action = self.draw(12);
        if action < 3 {
            self.names += 1;
            let name = self.names.to_string();
            let pair = match kind {
                0 => self.scene.sender(&name),
                _ => self.scene.receiver(&name, 2),
            };
            self.pairs[kind].push(pair);
            return;
        }
        let Some((near, far)) = self.pick(kind) else {
            return;
        };
        let (out, into) = match kind {
            0 => (near, far),
            _ => (far, near),
        };
        match action {
            3 | 4 => {
                let (credit, drain) = (self.draw(9), self.draw(3) == 0);
                let credit = u32::try_from(credit).unwrap();
                self.scene.world.credit(receives, into, credit, drain);
                let peer = &mut self.scene.world.peers[sends];
                if drain && peer.engine.drain_requested(out) {
                    peer.engine.drained(out, &mut peer.output);
                    self.scene.world.run();
                }
            }
            5..9 => {
                self.sent += 1;
                let mut body = vec![0; self.draw(20_000)];
                body.extend(self.sent.to_be_bytes());
                let message = MessageBuilder::new().data(body).build().to_vec();
                let settled = self.draw(2) == 0;
                self.scene.world.send(sends, out, &message, settled);
            }
            9 => self.scene.detach(client, near, true, None),
            10 => self.scene.detach(container, far, false, Some("app:x")),
            _ if self.draw(4) == 0 => {
                self.scene.world.vanish(container);
                let shard = self.scene.world.shards.len() - 1;
                self.scene.container = self.scene.connect_container(shard);
                self.pairs = [Vec::new(), Vec::new()];
            }
            _ => {}
        }
        self.answer_detaches();
    }

    /// Peers answer what they are told.
    fn answer_detaches(&mut self) {
        for peer in &mut self.scene.world.peers {
            let told = peer.events.iter().filter_map(|event| match event {
                Event::Detached {
                    link,
                    closed,
                    answer: false,
                    ..
                } => Some((*link, *closed)),
                _ => None,
            });
            for (link, closed) in told.collect::<Vec<_>>() {
                peer.engine.detach(link, closed, None, &mut peer.output);
            }
        }
        self.scene.world.run();
    }
}

#[test]
fn whatever_peers_do_order_is_kept_and_nothing_is_left() {
    for seed in 0..120 {
        let mut chaos = Chaos {
            scene: Scene::new(1 + u16::try_from(seed % 2).unwrap()),
            seed,
            pairs: [Vec::new(), Vec::new()],
            sent: 0,
            names: 0,
        };
        for _ in 0..60 {
            chaos.step();
        }
        for peer in &chaos.scene.world.peers {
            let mut last = std::collections::BTreeMap::new();
            for (link, _, message) in &peer.messages {
                let number = message.last_chunk::<4>().map(|of| u32::from_be_bytes(*of));
                let before = last.insert(format!("{link:?}"), number);
                assert!(before < Some(number), "seed {seed}");
            }
        }
        let everybody: Vec<usize> = (0..chaos.scene.world.peers.len()).collect();
        for peer in everybody {
            if !chaos.scene.world.peers[peer].gone {
                chaos.scene.world.vanish(peer);
            }
        }
        assert!(chaos.scene.nothing_is_left(), "seed {seed}");
    }
}
