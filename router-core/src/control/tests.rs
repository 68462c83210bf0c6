//! The control plane as shards see it: mail in, mail out.

use std::sync::Arc;

use amqp_proto::Time;

use super::*;
use crate::ids::{InLinkKey, Key, LinkId, OutLinkKey};
use crate::mail::{Bind, Bound, BoundLink, Unbind};
use crate::route::{NO_SLOT, Paths, Route, Treatment};
use crate::settings::RouterMode;

mod beside;
mod in_process;

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
            resumable_link_routes: true,
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
        from: None,
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

#[test]
fn a_command_reaches_every_shard_for_one_of_them_has_the_connection() {
    let mut control = control();
    control.command(ConnectionId(5), ConnectionCommand::Drop(None));
    for sent in turn(&mut control) {
        let [Mail::Command(command)] = &*sent else {
            panic!("{sent:?}")
        };
        let Command::Connection(id, ConnectionCommand::Drop(None)) = **command else {
            panic!("{command:?}")
        };
        assert_eq!(id, ConnectionId(5));
    }
}

#[test]
fn changed_rules_are_published_without_changing_routes() {
    let mut control = control();
    let rule = AddressRule::for_prefix("news", Treatment::Multicast);
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
