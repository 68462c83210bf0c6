//! The control plane as shards see it: mail in, mail out.

use std::sync::Arc;
use std::time::Duration;

use amqp_codec::DeliveryState;
use amqp_proto::Time;
use bytes::Bytes;

use super::*;
use crate::ids::{InKey, InLinkKey, Key, LinkId, Origin, OutLinkKey};
use crate::limits::{IN_PROCESS_BYTES, IN_PROCESS_DEPTH, IN_PROCESS_MESSAGE_BYTES, MESH_EVENTS};
use crate::mail::{Bind, Bound, BoundLink, End, Forward, RouterLink, Target, Unbind};
use crate::mesh::{Engine, MeshSettings, NeighborLink};
use crate::notice::NetworkNotice;
use crate::route::{NO_SLOT, Paths, Route, Treatment};

const SHARDS: u16 = 2;

fn control() -> ControlPlane {
    control_of(RouterMode::Standalone)
}

fn control_of(mode: RouterMode) -> ControlPlane {
    ControlPlane::new(ControlConfig {
        instance: 1,
        settings: Arc::new(RouterSettings {
            id: "router".into(),
            default_treatment: Treatment::AnycastBalanced,
            version: "0",
            mode,
            timers: crate::settings::MeshTimers::default(),
            trunk_connections: 1,
        }),
        shards: SHARDS,
        seed: 1,
        counters: Counters::new(SHARDS),
    })
}

fn consumer(shard: u16, index: u32) -> BoundLink {
    let link = OutLinkKey {
        shard: ShardId(shard),
        link: Key {
            index,
            generation: 0,
        },
    };
    BoundLink::Out {
        link,
        capacity: 250,
        annotated: false,
    }
}

fn producer(shard: u16, index: u32) -> BoundLink {
    BoundLink::In(
        ShardId(shard),
        InLinkKey(Key {
            index,
            generation: 0,
        }),
    )
}

fn take(control: &mut ControlPlane, mail: Mail) {
    control.handle_mail(Batch { mail: vec![mail] });
}

fn bind(control: &mut ControlPlane, key: &str, treatment: Treatment, link: BoundLink) {
    let bind = Bind {
        key: key.into(),
        treatment,
        priority: None,
        link,
        id: LinkId(1),
    };
    take(control, Mail::Command(Box::new(Command::Bind(bind))));
}

fn unbind(control: &mut ControlPlane, key: &str, link: BoundLink) {
    let unbind = Unbind {
        key: key.into(),
        link,
    };
    take(control, Mail::Command(Box::new(Command::Unbind(unbind))));
}

/// What goes to each shard after a turn.
fn turn(control: &mut ControlPlane) -> Vec<Vec<Mail>> {
    control.turn(Time::ZERO);
    let mut sent: Vec<Vec<Mail>> = (0..SHARDS).map(|_| Vec::new()).collect();
    for (shard, batch) in control.outboxes().drain() {
        sent[shard.index()].extend(batch.mail);
    }
    sent
}

fn route(control: &ControlPlane, key: &str) -> Option<Arc<Route>> {
    control.table().lookup(key).cloned()
}

fn slots(control: &ControlPlane, key: &str) -> Vec<u32> {
    let route = route(control, key).expect("a route");
    route
        .consumers
        .iter()
        .map(|consumer| consumer.slot)
        .collect()
}

#[test]
fn every_shard_has_the_routes_before_a_receiver_is_confirmed() {
    let mut control = control();
    bind(
        &mut control,
        "M0q",
        Treatment::AnycastBalanced,
        consumer(1, 4),
    );
    bind(
        &mut control,
        "M0r",
        Treatment::AnycastBalanced,
        consumer(1, 5),
    );
    let before = control.table().generation();
    control.turn(Time::ZERO);
    assert_eq!(
        control.table().generation(),
        before + 1,
        "one generation a turn"
    );
    let sent = turn(&mut control);
    let [Mail::Routes(table, changed)] = &*sent[0] else {
        panic!("{:?}", sent[0])
    };
    assert_eq!(changed.len(), 2);
    assert!(
        table
            .lookup("M0q")
            .expect("published")
            .is_reachable(&Paths::default())
    );
    assert!(matches!(&*sent[1], [Mail::Routes(..)]), "{:?}", sent[1]);
    assert!(control.is_runnable(), "the confirmations are still to come");
    let sent = turn(&mut control);
    let [Mail::Command(first), Mail::Command(_)] = &*sent[1] else {
        panic!("{:?}", sent[1])
    };
    let Command::Bound(Bound { link, address }) = **first else {
        panic!("{first:?}")
    };
    assert_eq!(
        BoundLink::Out {
            link,
            capacity: 250,
            annotated: false
        },
        consumer(1, 4)
    );
    assert_eq!(Some(address), route(&control, "M0q").map(|route| route.id));
    assert!(
        turn(&mut control).iter().all(Vec::is_empty),
        "nothing changed since"
    );
}

#[test]
fn the_first_treatment_of_a_record_stays_and_the_last_link_takes_it_along() {
    let mut control = control();
    bind(&mut control, "M0q", Treatment::Multicast, producer(0, 1));
    bind(
        &mut control,
        "M0q",
        Treatment::AnycastClosest,
        consumer(0, 2),
    );
    turn(&mut control);
    let first = route(&control, "M0q").expect("a route");
    assert_eq!(first.treatment, Treatment::Multicast);
    unbind(&mut control, "M0q", consumer(0, 2));
    turn(&mut control);
    assert!(
        !route(&control, "M0q")
            .expect("its producer is there")
            .is_reachable(&Paths::default())
    );
    unbind(&mut control, "M0q", producer(0, 1));
    let sent = turn(&mut control);
    assert!(route(&control, "M0q").is_none());
    assert!(matches!(&*sent[1], [Mail::Routes(_, changed)] if **changed == ["M0q".into()]));
    bind(
        &mut control,
        "M0q",
        Treatment::AnycastClosest,
        consumer(0, 2),
    );
    turn(&mut control);
    let second = route(&control, "M0q").expect("a route");
    assert_eq!(second.treatment, Treatment::AnycastClosest);
    assert_ne!(
        first.id, second.id,
        "counters of the dead record are not revived"
    );
}

#[test]
fn a_receiver_that_leaves_in_the_turn_it_came_is_not_confirmed() {
    let mut control = control();
    bind(
        &mut control,
        "M0q",
        Treatment::AnycastBalanced,
        consumer(0, 1),
    );
    unbind(&mut control, "M0q", consumer(0, 1));
    let sent = turn(&mut control);
    assert!(matches!(&*sent[0], [Mail::Routes(..)]));
    assert!(route(&control, "M0q").is_none());
}

#[test]
fn who_was_never_bound_can_leave() {
    let mut control = control();
    unbind(&mut control, "M0q", consumer(0, 1));
    bind(
        &mut control,
        "M0q",
        Treatment::AnycastBalanced,
        consumer(0, 1),
    );
    unbind(&mut control, "M0q", consumer(1, 1));
    turn(&mut control);
    assert_eq!(
        route(&control, "M0q").map(|route| route.consumers.len()),
        Some(1)
    );
}

#[test]
fn a_route_names_the_shards_of_its_consumers_once_each() {
    let mut control = control();
    for (shard, index) in [(1, 1), (0, 2), (1, 3)] {
        bind(
            &mut control,
            "M0q",
            Treatment::Multicast,
            consumer(shard, index),
        );
    }
    turn(&mut control);
    assert_eq!(
        route(&control, "M0q").expect("a route").shards,
        [ShardId(0), ShardId(1)]
    );
}

#[test]
fn only_who_has_a_choice_is_counted() {
    let mut control = control();
    bind(
        &mut control,
        "M0one",
        Treatment::AnycastBalanced,
        consumer(0, 1),
    );
    for index in [2, 3] {
        bind(
            &mut control,
            "M0many",
            Treatment::Multicast,
            consumer(0, index),
        );
        bind(
            &mut control,
            "M0near",
            Treatment::AnycastClosest,
            consumer(0, index + 10),
        );
        bind(
            &mut control,
            "M0two",
            Treatment::AnycastBalanced,
            consumer(0, index + 20),
        );
    }
    turn(&mut control);
    assert_eq!(slots(&control, "M0one"), [NO_SLOT]);
    assert_eq!(slots(&control, "M0many"), [NO_SLOT; 2]);
    assert_eq!(slots(&control, "M0near"), [NO_SLOT; 2]);
    assert_ne!(
        route(&control, "M0near").expect("a route").turn_slot,
        NO_SLOT
    );
    let two = slots(&control, "M0two");
    assert!(two[0] != two[1] && !two.contains(&NO_SLOT), "{two:?}");
    let most = two.iter().max().expect("two");
    assert!(
        control.table().boards().slots() > *most,
        "the boards come with the routes"
    );
}

#[test]
fn cells_are_used_again_by_their_own_kind() {
    let mut control = control();
    for index in [1, 2] {
        bind(
            &mut control,
            "M0a",
            Treatment::AnycastBalanced,
            consumer(0, index),
        );
    }
    turn(&mut control);
    let first = route(&control, "M0a").expect("a route");
    let counted = slots(&control, "M0a");
    for index in [1, 2] {
        unbind(&mut control, "M0a", consumer(0, index));
    }
    for index in [1, 2] {
        bind(
            &mut control,
            "M0b",
            Treatment::AnycastBalanced,
            consumer(0, index),
        );
    }
    turn(&mut control);
    let mut again = slots(&control, "M0b");
    again.sort_unstable();
    assert_eq!(again, counted);
    assert_eq!(
        route(&control, "M0b").expect("a route").turn_slot,
        first.turn_slot
    );
}

/// A delivery for the agent.
fn request(control: &ControlPlane, shard: u16, index: u32, message: Bytes) -> Forward {
    let route = route(control, "M0$management").expect("it is there from the start");
    let key = InKey(Key {
        index,
        generation: 0,
    });
    Forward {
        origin: Origin {
            shard: ShardId(shard),
            delivery: Some(key),
        },
        to: Target::Link(route.in_process[0]),
        address: route.id,
        slot: NO_SLOT,
        born: 0,
        settled: false,
        complete: true,
        awaited: false,
        urgent: false,
        sender: InLinkKey(Key::NONE),
        beyond: None,
        state: None,
        heads: None,
        payload: message.into(),
    }
}

fn outcomes(sent: &[Mail]) -> Vec<DeliveryState> {
    let state = |mail: &Mail| match mail {
        Mail::Outcome {
            state,
            settled: true,
            shard: ShardId(SHARDS),
            ..
        } => state.clone(),
        _ => None,
    };
    sent.iter().filter_map(state).collect()
}

#[test]
fn the_management_addresses_are_there_from_the_start() {
    let control = control();
    for key in ["M0$management", "L$management", "L$_management_internal"] {
        let route = route(&control, key).expect("a route");
        assert_eq!(
            (route.treatment, route.in_process.len()),
            (Treatment::AnycastClosest, 1)
        );
    }
}

#[test]
fn a_request_reaches_the_agent_whole_and_gets_the_outcome_it_is_given() {
    let mut control = control();
    let mut forward = request(&control, 1, 7, Bytes::from_static(b"one "));
    forward.complete = false;
    let of = forward.origin;
    take(&mut control, Mail::Forward(forward));
    assert!(
        control.poll_request().is_none(),
        "half a message is no request"
    );
    let chunk = Bytes::from_static(b"two").into();
    take(
        &mut control,
        Mail::Data {
            of,
            chunk,
            end: End::Last,
            state: None,
        },
    );
    let request = control.poll_request().expect("a request");
    assert_eq!(
        (&*request.message, &*request.address),
        (&b"one two"[..], "M0$management")
    );
    control.settle(&request, DeliveryState::Released);
    let sent = turn(&mut control);
    assert_eq!(outcomes(&sent[1]), [DeliveryState::Released]);
    assert!(
        sent[1]
            .iter()
            .any(|mail| matches!(mail, Mail::Progress { bytes: 7, .. }))
    );
    let id = route(&control, "M0$management").expect("a route").id;
    assert_eq!(control.in_process_counters(id).to_container, 1);
}

#[test]
fn an_aborted_request_vanishes() {
    let mut control = control();
    let mut forward = request(&control, 0, 7, Bytes::from_static(b"one"));
    forward.complete = false;
    let of = forward.origin;
    take(&mut control, Mail::Forward(forward));
    let chunk = Bytes::new().into();
    take(
        &mut control,
        Mail::Data {
            of,
            chunk,
            end: End::Aborted,
            state: None,
        },
    );
    assert!(control.poll_request().is_none());
    assert_eq!(outcomes(&turn(&mut control)[0]), []);
}

#[test]
fn a_request_beyond_the_limit_is_rejected_and_what_follows_of_it_is_thrown_away() {
    let mut control = control();
    let mut forward = request(
        &control,
        0,
        7,
        Bytes::from(vec![0; IN_PROCESS_MESSAGE_BYTES]),
    );
    forward.complete = false;
    let of = forward.origin;
    take(&mut control, Mail::Forward(forward));
    for end in [End::More, End::More, End::Last] {
        let chunk = Bytes::from_static(b"more").into();
        let state = None;
        take(
            &mut control,
            Mail::Data {
                of,
                chunk,
                end,
                state,
            },
        );
    }
    assert!(control.poll_request().is_none());
    let sent = turn(&mut control);
    let [DeliveryState::Rejected(Some(error))] = &*outcomes(&sent[0]) else {
        panic!("{sent:?}")
    };
    assert_eq!(&*error.condition, "amqp:link:message-size-exceeded");
}

#[test]
fn the_window_opens_as_the_agent_takes_requests() {
    let mut control = control();
    for index in 0..IN_PROCESS_DEPTH {
        let forward = request(&control, 0, index, Bytes::from_static(b"x"));
        take(&mut control, Mail::Forward(forward));
    }
    let limits = |sent: &[Mail]| -> Vec<u32> {
        let limit = |mail: &Mail| match mail {
            Mail::Window { limit, .. } => Some(*limit),
            _ => None,
        };
        sent.iter().filter_map(limit).collect()
    };
    assert_eq!(limits(&turn(&mut control)[0]), [], "nothing was taken yet");
    for _ in 0..IN_PROCESS_DEPTH / 2 {
        control.poll_request().expect("a request");
    }
    assert_eq!(limits(&turn(&mut control)[0]), [IN_PROCESS_DEPTH * 3 / 2]);
    while control.poll_request().is_some() {}
    assert_eq!(limits(&turn(&mut control)[0]), [IN_PROCESS_DEPTH * 2]);
}

#[test]
fn what_waits_for_all_in_process_consumers_is_bounded_in_bytes() {
    let mut control = control();
    let large = Bytes::from(vec![0; IN_PROCESS_MESSAGE_BYTES]);
    let fit = u32::try_from(IN_PROCESS_BYTES / IN_PROCESS_MESSAGE_BYTES).unwrap();
    let names = ["M0$management", "L$management", "L$_management_internal"];
    let mut number = 0;
    let mut send = |control: &mut ControlPlane, shard, settled| {
        let name = names[number as usize % names.len()];
        let mut forward = request(control, shard, number, large.clone());
        forward.to = Target::Link(route(control, name).expect("a route").in_process[0]);
        forward.settled = settled;
        take(control, Mail::Forward(forward));
        number += 1;
    };
    for _ in 0..fit {
        send(&mut control, 0, false);
    }
    assert_eq!(outcomes(&turn(&mut control)[0]), []);
    send(&mut control, 0, false);
    assert_eq!(outcomes(&turn(&mut control)[0]), [DeliveryState::Released]);
    send(&mut control, 0, true);
    send(&mut control, 1, false);
    let sent = turn(&mut control);
    assert_eq!(outcomes(&sent[0]), [], "settled messages are dropped");
    assert_eq!(outcomes(&sent[1]), [], "each shard has its own");
    let taken = std::iter::from_fn(|| control.poll_request()).count();
    assert_eq!(taken, fit as usize + 1);
    send(&mut control, 0, false);
    assert!(control.poll_request().is_some(), "there is room again");
}

#[test]
fn settled_requests_beyond_the_depth_are_dropped() {
    let mut control = control();
    for _ in 0..IN_PROCESS_DEPTH * 3 {
        let mut forward = request(&control, 0, 0, Bytes::from_static(b"x"));
        forward.settled = true;
        forward.origin.delivery = None;
        take(&mut control, Mail::Forward(forward));
    }
    let taken = std::iter::from_fn(|| control.poll_request()).count();
    assert_eq!(taken, IN_PROCESS_DEPTH as usize);
    let mut forward = request(&control, 0, 0, Bytes::from_static(b"y"));
    forward.settled = true;
    take(&mut control, Mail::Forward(forward));
    assert!(control.poll_request().is_some(), "there is room again");
    assert_eq!(outcomes(&turn(&mut control)[0]), [], "nothing comes back");
}

fn forwards(sent: &[Mail]) -> Vec<Target> {
    let to = |mail: &Mail| match mail {
        Mail::Forward(forward) => Some(forward.to),
        _ => None,
    };
    sent.iter().filter_map(to).collect()
}

#[test]
fn a_message_of_the_router_finds_the_receiver_that_came_in_the_same_turn() {
    let mut control = control();
    bind(
        &mut control,
        "Ltemp.x",
        Treatment::AnycastBalanced,
        consumer(1, 9),
    );
    control.send("amqp:/_topo/0/router/temp.x", Bytes::from_static(b"hello"));
    assert!(control.is_runnable());
    let sent = turn(&mut control);
    let BoundLink::Out { link, .. } = consumer(1, 9) else {
        unreachable!()
    };
    assert_eq!(forwards(&sent[1]), [Target::Link(link)]);
    assert!(
        matches!(sent[1][0], Mail::Routes(..)),
        "its route is known before it comes"
    );
    let id = route(&control, "Ltemp.x").expect("a route").id;
    assert_eq!(control.in_process_counters(id).from_container, 1);
    unbind(&mut control, "Ltemp.x", consumer(1, 9));
    turn(&mut control);
    assert_eq!(
        control.in_process_counters(id).from_container,
        0,
        "counters die with the record"
    );
}

#[test]
fn a_message_without_a_receiver_is_dropped() {
    let mut control = control();
    control.send("nobody", Bytes::from_static(b"hello"));
    assert!(turn(&mut control).iter().all(Vec::is_empty));
    assert!(!control.is_runnable());
}

#[test]
fn a_multicast_message_goes_to_each_shard_once() {
    let mut control = control();
    for (shard, index) in [(0, 1), (1, 2), (1, 3)] {
        bind(
            &mut control,
            "M0all",
            Treatment::Multicast,
            consumer(shard, index),
        );
    }
    control.send("all", Bytes::from_static(b"hello"));
    let sent = turn(&mut control);
    let id = route(&control, "M0all").expect("a route").id;
    assert_eq!(forwards(&sent[0]), [Target::Fan(id)]);
    assert_eq!(forwards(&sent[1]), [Target::Fan(id)]);
}

#[test]
fn a_command_reaches_every_shard_for_one_of_them_has_the_connection() {
    let mut control = control();
    control.command(ConnectionId(5), ConnectionCommand::Drop);
    for sent in turn(&mut control) {
        let [Mail::Command(command)] = &*sent else {
            panic!("{sent:?}")
        };
        let Command::Connection(id, ConnectionCommand::Drop) = **command else {
            panic!("{command:?}")
        };
        assert_eq!(id, ConnectionId(5));
    }
}

#[test]
fn changed_rules_are_published_without_changing_routes() {
    let mut control = control();
    let rule = AddressRule {
        name: None,
        identity: 0,
        prefix: Some("news".to_owned()),
        pattern: None,
        treatment: Treatment::Multicast,
        waypoint: false,
        ingress_phase: None,
        egress_phase: None,
        priority: None,
        fallback: false,
    };
    let identity = control.add_address(rule.clone()).expect("a good rule");
    assert!(control.add_address(rule).is_err(), "it is there already");
    let sent = turn(&mut control);
    let [Mail::Routes(table, changed)] = &*sent[0] else {
        panic!("{sent:?}")
    };
    assert_eq!((table.rules().iter().count(), changed.len()), (1, 0));
    assert!(control.remove_address(identity));
    assert!(!control.remove_address(identity));
    turn(&mut control);
    assert_eq!(control.table().rules().iter().count(), 0);
}

/// A router next to the one of the control plane.
struct Beside {
    engine: Engine,
    now: Time,
    hellos: usize,
}

impl Beside {
    const LINK: NeighborLink = NeighborLink(1);
    const CONNECTION: ConnectionId = ConnectionId(7);

    /// A turn of the control plane, and what both routers say to each other; the keys that are
    /// published.
    fn turn(&mut self, control: &mut ControlPlane) -> usize {
        self.engine.tick(self.now);
        while let Some((_, message)) = self.engine.poll_output() {
            let said = Command::Routing(Self::CONNECTION, message);
            take(control, Mail::Command(Box::new(said)));
        }
        control.turn(self.now);
        let mut published = 0;
        for (_, batch) in control.outboxes().drain() {
            for mail in batch.mail {
                match mail {
                    Mail::Routes(_, keys) => published = keys.len(),
                    Mail::Forward(forward) => {
                        let message = forward.payload.chunks().concat();
                        let is_hello = message.windows(7).any(|part| *part == *b"\xa1\x05HELLO");
                        self.hellos += usize::from(is_hello);
                        self.engine
                            .received(Self::LINK, &message, self.now)
                            .expect("a good message");
                    }
                    _ => {}
                }
            }
        }
        while self.engine.poll_event().is_some() {}
        published
    }
}

#[test]
fn a_long_list_of_addresses_is_taken_in_parts_with_hellos_between() {
    let mut control = control_of(RouterMode::Interior);
    let BoundLink::Out { link, .. } = consumer(0, 9) else {
        unreachable!()
    };
    let up = RouterLink {
        connection: Beside::CONNECTION,
        link,
        priority: None,
        capacity: 250,
        cost: 1,
    };
    take(&mut control, Mail::Command(Box::new(Command::LinkUp(up))));
    let now = Time::from_millis(1000);
    let engine = Engine::new(MeshSettings::new("beside", 5), now);
    let mut beside = Beside {
        engine,
        now,
        hellos: 0,
    };
    let many = 3 * MESH_EVENTS;
    for number in 0..many {
        let (key, hint) = (format!("M0{number}").into(), Treatment::Multicast);
        beside.engine.local_address(&key, hint, true, now);
    }
    beside.engine.link_up(Beside::LINK, 1, now);
    while control.address_count() < MESH_EVENTS {
        beside.turn(&mut control);
        beside.now = beside.now + Duration::from_millis(10);
        assert!(beside.now < Time::from_millis(60_000), "it is told");
    }
    let mut turns = 0;
    while control.is_runnable() {
        assert!(control.address_count() < many, "not all at once");
        beside.now = beside.now + Duration::from_secs(1);
        let hellos = std::mem::take(&mut beside.hellos);
        assert!(turns == 0 || hellos > 0, "a hello is said");
        assert!(beside.turn(&mut control) <= MESH_EVENTS);
        turns += 1;
    }
    assert!(turns >= 2 && control.address_count() > many);
    let mut notices = Vec::new();
    control.drain_notices(&mut notices);
    let is_one = |notice: &&Notice| matches!(notice, Notice::AddressAdded { .. });
    let lines = notices.iter().filter(is_one).count();
    assert!(lines < 10, "{lines} lines for other routers' addresses");
    let learnt = notices.iter().map(|notice| match notice {
        Notice::Network(NetworkNotice::AddressesLearnt { added, .. }) => *added,
        _ => 0,
    });
    assert!(learnt.sum::<usize>() >= many);
}

#[test]
fn a_neighbour_whose_hellos_are_behind_a_long_message_is_not_lost() {
    let mut control = control_of(RouterMode::Interior);
    let BoundLink::Out { link, .. } = consumer(0, 9) else {
        unreachable!()
    };
    let up = RouterLink {
        connection: Beside::CONNECTION,
        link,
        priority: None,
        capacity: 250,
        cost: 1,
    };
    take(&mut control, Mail::Command(Box::new(Command::LinkUp(up))));
    let now = Time::from_millis(1000);
    let mut beside = Beside {
        engine: Engine::new(MeshSettings::new("beside", 5), now),
        now,
        hellos: 0,
    };
    beside.engine.link_up(Beside::LINK, 1, now);
    for _ in 0..500 {
        beside.turn(&mut control);
        beside.now = beside.now + Duration::from_millis(10);
    }
    let lost = |control: &mut ControlPlane| {
        let mut notices = Vec::new();
        control.drain_notices(&mut notices);
        let is_loss =
            |notice: &Notice| matches!(notice, Notice::Network(NetworkNotice::NeighborLost { .. }));
        notices.iter().any(is_loss)
    };
    let second = |control: &mut ControlPlane, now: &mut Time, arriving: bool| {
        if arriving {
            let more = Command::Arriving(Beside::CONNECTION);
            take(control, Mail::Command(Box::new(more)));
        }
        control.turn(*now);
        let _said = control.outboxes().drain().count();
        *now = *now + Duration::from_secs(1);
    };
    for _ in 0..20 {
        second(&mut control, &mut beside.now, true);
    }
    assert!(!lost(&mut control));
    for _ in 0..6 {
        second(&mut control, &mut beside.now, false);
    }
    assert!(lost(&mut control), "silence is noticed again");
}
