//! Routed links whose peers do not do their part: others do not wait for them for ever.

use amqp_codec::{AmqpError, DeliveryState, Role, Str, Symbol, Target};
use amqp_proto::{Event, LinkKey, Payload};
use bytes::Bytes;

use super::routed::{Scene, message};
use crate::limits;

const OVER: &str = "amqp:resource-limit-exceeded";

/// Two clients that receive from the same container.
struct Two {
    scene: Scene,
    clients: [usize; 2],
    near: [LinkKey; 2],
    far: [LinkKey; 2],
}

impl Two {
    fn new(shards: u16, credit: u32) -> Self {
        let mut scene = Scene::new(shards);
        let clients = [scene.client, scene.world.connect(0)];
        let links = clients.map(|client| {
            scene.client = client;
            scene.receiver("r", credit)
        });
        Self {
            scene,
            clients,
            near: links.map(|(near, _)| near),
            far: links.map(|(_, far)| far),
        }
    }

    /// The container sends messages of this size to a client until no more can be; what is left of
    /// the last.
    fn fill(&mut self, client: usize, size: usize, most: usize) -> Payload {
        let (container, link) = (self.scene.container, self.far[client]);
        let body = Bytes::from(message(size));
        for _ in 0..most {
            let mut rest = Payload::from(body.clone());
            if !self
                .scene
                .world
                .pour(container, link, &mut rest, false, false)
            {
                return rest;
            }
        }
        Payload::default()
    }

    /// The container sends so many messages of this size to the first client, a window at a time,
    /// unless it runs out of that; how many it has sent.
    fn send_small(&mut self, most: u64, size: usize) -> u64 {
        let (container, far) = (self.scene.container, self.far[0]);
        let body = message(size);
        let mut sent = 0;
        while sent < most {
            let engine = &self.scene.world.peers[container].engine;
            let window = engine.session_window(engine.session_of(far).unwrap());
            let count = u64::from(window).min(most - sent).min(64);
            if count == 0 {
                break;
            }
            let number = usize::try_from(count).unwrap();
            let world = &mut self.scene.world;
            world.send_many(container, far, &body, false, number);
            sent += count;
        }
        sent
    }

    fn pour(&mut self, client: usize, rest: &mut Payload) -> bool {
        let (container, link) = (self.scene.container, self.far[client]);
        self.scene.world.pour(container, link, rest, false, false)
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.scene.world.pass(1000);
        }
    }

    fn stall(&mut self, client: usize, stalled: bool) {
        self.scene.world.set_stalled(self.clients[client], stalled);
    }
}

#[test]
fn a_client_that_does_not_read_does_not_keep_the_container_from_the_others() {
    for shards in [1, 2] {
        for size in [10_000, 100_000, 1_000_000] {
            let mut two = Two::new(shards, 1_000_000);
            two.stall(0, true);
            let rest = two.fill(0, size, 100_000);
            assert!(!rest.is_empty(), "it is held back");
            let mut other = Payload::from(Bytes::from(message(size)));
            assert!(!two.pour(1, &mut other), "the session is shut");
            two.pass(limits::STREAM_STALLED.as_secs() - 2);
            let container = two.scene.container;
            assert_eq!(two.scene.detached(container, two.far[0]), None);
            two.pass(5);
            let told = two.scene.detached(container, two.far[0]);
            assert_eq!(told, Some((true, OVER.to_owned())), "{shards} {size}");
            assert!(two.pour(1, &mut other));
            assert_eq!(two.scene.world.peers[two.clients[1]].messages.len(), 1);
            let id = two.scene.world.peers[container]
                .engine
                .last_delivery_id(two.far[0]);
            // What it was never sent is the container's again.
            let released = (0..id)
                .filter_map(|id| two.scene.world.peers[container].outcome(id))
                .filter(|(state, settled)| *settled && *state == Some(DeliveryState::Released));
            assert!(released.count() > 0);
            two.stall(0, false);
            let told = two.scene.detached(two.clients[0], two.near[0]);
            assert_eq!(told, Some((true, OVER.to_owned())));
            two.scene.detach(two.clients[0], two.near[0], true, None);
            two.scene.detach(container, two.far[0], true, None);
            two.scene.detach(two.clients[1], two.near[1], true, None);
            two.scene.detach(container, two.far[1], true, None);
            assert!(two.scene.nothing_is_left(), "{shards} {size}");
        }
    }
}

#[test]
fn a_client_that_is_merely_slow_keeps_its_link() {
    let mut two = Two::new(2, 1_000_000);
    two.stall(0, true);
    let mut rest = two.fill(0, 50_000, 100_000);
    for _ in 0..8 {
        two.pass(5);
        two.stall(0, false);
        two.stall(0, true);
        if two.pour(0, &mut rest) {
            rest = two.fill(0, 50_000, 100_000);
        }
    }
    let container = two.scene.container;
    assert_eq!(two.scene.detached(container, two.far[0]), None);
    assert_eq!(two.scene.detached(two.clients[0], two.near[0]), None);
}

#[test]
fn what_a_client_has_read_and_not_settled_holds_up_nobody() {
    let mut two = Two::new(2, 1_000_000);
    assert_eq!(two.send_small(8000, 1000), 8000);
    let held = two.scene.world.shards[1].census().held_bytes;
    assert_eq!(held, 8000 * limits::DELIVERY_OVERHEAD);
    assert!(held < limits::LINK_BYTES);
}

#[test]
fn a_client_that_settles_nothing_of_very_much_does_not_keep_the_container_from_the_others() {
    let mut two = Two::new(2, 1_000_000);
    let (container, far) = (two.scene.container, two.far[0]);
    let least = limits::LINK_BYTES / limits::DELIVERY_OVERHEAD;
    let sent = two.send_small(2 * least, 1);
    assert!((least..2 * least).contains(&sent), "it is held back");
    let mut other = Payload::from(Bytes::from(message(1)));
    assert!(!two.pour(1, &mut other), "the session is shut");
    two.pass(limits::STREAM_STALLED.as_secs() + 3);
    let told = two.scene.detached(container, far);
    assert_eq!(told, Some((true, OVER.to_owned())));
    assert!(two.pour(1, &mut other));
}

#[test]
fn a_client_that_detaches_waits_for_its_container_only_so_long() {
    for behind in [0, 100] {
        let mut scene = Scene::new(2);
        let (near, far) = scene.sender("s");
        scene.world.credit(scene.container, far, 1000, false);
        scene.world.set_stalled(scene.container, true);
        let body = Bytes::from(message(20_000));
        for _ in 0..behind {
            let mut message = Payload::from(body.clone());
            assert!(
                scene
                    .world
                    .pour(scene.client, near, &mut message, false, false)
            );
        }
        scene.detach(scene.client, near, true, None);
        let wait = limits::ROUTED_DETACH_TIME_OUT.as_secs();
        for _ in 1..wait {
            scene.world.pass(1000);
        }
        assert_eq!(scene.detached(scene.client, near), None);
        let held = scene.world.shards[0].census().held_bytes;
        assert_eq!(held > 1_000_000, behind > 0, "the client answers for it");
        for _ in 0..3 {
            scene.world.pass(1000);
        }
        assert!(scene.detached(scene.client, near).is_some(), "{behind}");
        scene.world.set_stalled(scene.container, false);
        assert!(scene.detached(scene.container, far).is_some());
        scene.detach(scene.container, far, true, None);
        assert!(scene.nothing_is_left(), "{behind}");
    }
}

#[test]
fn devices_that_are_called_alike_share_a_session() {
    let two = Two::new(2, 10);
    let engine = &two.scene.world.peers[two.scene.container].engine;
    let [first, second] = two.far.map(|link| engine.session_of(link));
    assert_eq!(first, second);
}

#[test]
fn one_client_does_not_get_all_links_of_a_container() {
    let mut scene = Scene::new(1);
    for number in 0..limits::ROUTED_LINKS_PER_CLIENT {
        scene
            .world
            .sender(scene.client, &format!("s{number}"), "hub/in");
    }
    let over = scene.world.sender(scene.client, "over", "hub/in");
    let told = scene.detached(scene.client, over);
    assert_eq!(told, Some((true, OVER.to_owned())));
    scene.client = scene.world.connect(0);
    let (_, far) = scene.sender("another");
    assert_eq!(scene.detached(scene.container, far), None);
}

#[test]
fn a_client_that_settles_late_keeps_its_link_when_another_is_ended() {
    let mut two = Two::new(2, 1_000_000);
    let mut one = Payload::from(Bytes::from(message(10)));
    assert!(
        two.pour(1, &mut one),
        "it is read, and not settled for long"
    );
    two.stall(0, true);
    two.fill(0, 100_000, 100_000);
    two.pass(limits::STREAM_STALLED.as_secs() + 5);
    let container = two.scene.container;
    assert!(two.scene.detached(container, two.far[0]).is_some());
    assert_eq!(two.scene.detached(container, two.far[1]), None);
    assert_eq!(two.scene.detached(two.clients[1], two.near[1]), None);
}

#[test]
fn a_crowd_of_clients_that_attaches_at_once_does_not_cost_the_container_its_connection() {
    let mut scene = Scene::new(2);
    let crowd: Vec<usize> = (0..4).map(|_| scene.world.connect(0)).collect();
    let address = format!("hub/{}", "x".repeat(3000));
    let mut links = Vec::new();
    for number in 0..150 {
        for &client in &crowd {
            let target = Target {
                address: Some(Str::copy(&address)),
                ..Target::default()
            };
            let name = number.to_string();
            let attach = super::world::attach(&name, Role::Sender, None, Some(target));
            let peer = &mut scene.world.peers[client];
            let session = peer.session.unwrap();
            let link = peer.engine.attach(session, attach, &mut peer.output);
            links.push((client, link.unwrap()));
        }
    }
    scene.world.run();
    let asked = scene.world.peers[scene.container].events.iter();
    let asked = asked.filter(|event| matches!(event, Event::Attached { answer: false, .. }));
    assert_eq!(asked.count(), links.len());
    // All at once they take leave with a long reason.
    for &(client, link) in &links {
        let error = AmqpError {
            condition: Symbol::from("app:bye"),
            description: Some(Str::copy(&"y".repeat(3000))),
            info: None,
        };
        let peer = &mut scene.world.peers[client];
        peer.engine
            .detach(link, true, Some(error), &mut peer.output);
    }
    scene.world.run();
    assert!(scene.world.peers[scene.container].engine.is_open());
    let told = scene.world.peers[scene.container].events.iter();
    let told = told.filter(|event| matches!(event, Event::Detached { .. }));
    assert_eq!(told.count(), links.len());
}

#[test]
fn a_container_hears_the_reason_that_its_client_gave_before_it_was_lost() {
    let mut scene = Scene::new(2);
    let (near, far) = scene.sender("s");
    scene.world.credit(scene.container, far, 1000, false);
    scene.world.set_stalled(scene.container, true);
    let body = Bytes::from(message(20_000));
    for _ in 0..100 {
        let mut message = Payload::from(body.clone());
        let world = &mut scene.world;
        assert!(world.pour(scene.client, near, &mut message, false, false));
    }
    scene.detach(scene.client, near, true, Some("app:bye"));
    scene.world.vanish(scene.client);
    scene.world.set_stalled(scene.container, false);
    let told = scene.detached(scene.container, far);
    assert_eq!(told, Some((true, "app:bye".to_owned())));
    assert_eq!(scene.world.peers[scene.container].messages.len(), 100);
}

/// Of how many of its first deliveries the container has heard what has become.
fn told(scene: &Scene, count: u32) -> usize {
    let told = (0..count).filter(|&id| {
        let told = scene.world.peers[scene.container].outcome(id);
        told.is_some_and(|(state, settled)| settled && state.is_some())
    });
    told.count()
}

#[test]
fn outcomes_with_long_reasons_and_a_detach_do_not_cost_the_container_its_connection() {
    let mut scene = Scene::new(2);
    let (near, far) = scene.receiver("r", 1000);
    let small = message(1);
    for _ in 0..8 {
        let world = &mut scene.world;
        world.send_many(scene.container, far, &small, false, 50);
    }
    scene.world.answer_at_length(scene.client, 400);
    let peer = &mut scene.world.peers[scene.client];
    peer.engine.detach(near, true, None, &mut peer.output);
    scene.world.run();
    assert!(scene.world.peers[scene.container].engine.is_open());
    assert_eq!(told(&scene, 400), 400);
    assert_eq!(
        scene.detached(scene.container, far),
        Some((true, String::new()))
    );
    scene.detach(scene.container, far, true, None);
    assert!(scene.detached(scene.client, near).is_some());
    assert!(scene.nothing_is_left());
}

#[test]
fn outcomes_that_a_container_does_not_read_and_a_detach_do_not_cost_others_their_links() {
    let mut two = Two::new(2, 1000);
    let (container, client) = (two.scene.container, two.clients[0]);
    assert_eq!(two.send_small(400, 1), 400);
    two.scene.world.set_stalled(container, true);
    two.scene.client = client;
    two.scene.world.answer_at_length(two.scene.client, 400);
    two.scene.detach(client, two.near[0], true, None);
    two.pass(limits::ROUTED_DETACH_TIME_OUT.as_secs() + 3);
    assert!(two.scene.detached(client, two.near[0]).is_some());
    assert!(!two.scene.world.peers[container].gone);
    two.scene.world.set_stalled(container, false);
    let end = two.scene.detached(container, two.far[0]);
    assert_eq!(end, Some((true, String::new())));
    assert_eq!(told(&two.scene, 400), 400);
    assert_eq!(two.scene.detached(container, two.far[1]), None);
    let mut other = Payload::from(Bytes::from(message(1)));
    assert!(two.pour(1, &mut other));
    assert_eq!(two.scene.world.peers[two.clients[1]].messages.len(), 1);
}
