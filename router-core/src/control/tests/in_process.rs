//! Requests to consumers inside the router, and what the router itself sends.

use amqp_codec::DeliveryState;
use bytes::Bytes;

use super::{SHARDS, bind, consumer, control, route, take, turn, unbind};
use crate::control::*;
use crate::ids::{InKey, Key, Origin};
use crate::limits::{IN_PROCESS_BYTES, IN_PROCESS_DEPTH, IN_PROCESS_MESSAGE_BYTES};
use crate::mail::{BoundLink, End, Forward, Target};
use crate::route::Treatment;

/// A delivery for the agent.
fn request(control: &ControlPlane, shard: u16, index: u32, message: Bytes) -> Forward {
    let route = route(control, "M0$management").expect("it is there from the start");
    let key = InKey(Key {
        index,
        generation: 0,
    });
    Forward::whole(
        Origin {
            shard: ShardId(shard),
            delivery: Some(key),
        },
        Target::Link(route.in_process[0]),
        route.id,
        message.into(),
    )
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
