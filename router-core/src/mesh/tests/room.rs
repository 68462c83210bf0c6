//! The table of routers when it is full.

use bytes::Bytes;

use super::lone::{Lone, TO_B, TO_C, writer_of};
use crate::address::AddressContext;
use crate::limits;
use crate::mesh::envelope::Envelope;
use crate::mesh::names::NeighborLink;

/// Of so many names that a neighbour brings, how many are refused.
fn crowd(lone: &mut Lone, link: NeighborLink, names: usize) -> usize {
    let context = AddressContext::new("A");
    let neighbor = if link == TO_B { "0/B" } else { "0/C" };
    let refused = (0..names).filter(|number| {
        let id = format!("r{link:?}{number}");
        let question = writer_of(&id, 1).link_state_request("A", None);
        let question = Envelope::read(&question, &context).unwrap();
        lone.hear(link, &question.passed_on(neighbor)).is_err()
    });
    let refused = refused.count();
    lone.pass(100);
    refused
}

#[test]
fn no_more_routers_than_are_remembered() {
    let mut lone = Lone::with_neighbors();
    let refused = crowd(&mut lone, TO_B, limits::MESH_ROUTERS);
    assert_eq!(
        refused,
        limits::MESH_ROUTERS - limits::MESH_ROUTERS_PER_LINK + 1
    );
    let room = limits::MESH_ROUTERS - limits::MESH_ROUTERS_PER_LINK - 1;
    assert_eq!(crowd(&mut lone, TO_C, room + 10), 10);
    assert_eq!(lone.engine.nodes().len(), limits::MESH_ROUTERS + 1);
    lone.pass(5000);
    assert_eq!(lone.engine.nodes().len(), 3, "nobody else speaks of them");
}

/// A table that is full of names that nobody has heard, but for one place.
fn crowded() -> Lone {
    let mut lone = Lone::with_neighbors();
    crowd(&mut lone, TO_B, limits::MESH_ROUTERS);
    let room = limits::MESH_ROUTERS - limits::MESH_ROUTERS_PER_LINK - 1;
    crowd(&mut lone, TO_C, room - 1);
    assert_eq!(lone.engine.nodes().len(), limits::MESH_ROUTERS);
    lone
}

#[test]
fn a_full_table_has_room_for_who_speaks_and_for_neighbours() {
    let mut lone = crowded();
    let known = |lone: &Lone, id: &str| lone.engine.nodes().iter().any(|node| *node.id == *id);
    crowd(&mut lone, TO_C, limits::MESH_ROUTERS);
    let context = AddressContext::new("A");
    let far = |payload: &Bytes| Envelope::read(payload, &context).unwrap().passed_on("0/C");
    let speaks = far(&writer_of("S", 1).advertisement(1, 0));
    assert_eq!(lone.hear(TO_C, &speaks), Ok(()));
    assert!(known(&lone, "S") && known(&lone, "B") && known(&lone, "C"));
    for _ in 0..3 {
        crowd(&mut lone, TO_C, limits::MESH_ROUTERS);
    }
    assert!(known(&lone, "S"), "who has spoken is not the first to go");
    let link = NeighborLink(3);
    lone.engine.link_up(link, 1, lone.now);
    let hello = writer_of("N", 1).hello(["A"].into_iter());
    assert_eq!(lone.hear(link, &hello), Ok(()));
    lone.pass(1000);
    let nodes = lone.engine.nodes();
    let neighbor = nodes.iter().find(|node| *node.id == *"N").unwrap();
    assert_eq!((neighbor.cost, neighbor.link), (Some(1), Some(link)));
}

#[test]
fn nobody_is_made_known_to_others_for_whom_there_is_no_room() {
    let mut lone = Lone::with_neighbors();
    let context = AddressContext::new("A");
    let speaks = |id: &str, link| {
        let said = writer_of(id, 1).advertisement(1, 0);
        let said = Envelope::read(&said, &context).unwrap();
        said.passed_on(if link == TO_B { "0/B" } else { "0/C" })
    };
    let crowd = 0..limits::MESH_ROUTERS;
    let passed = crowd.filter(|number| {
        lone.take();
        lone.hear(TO_B, &speaks(&format!("x{number}"), TO_B)).ok();
        lone.sent(TO_C).contains(&"RA")
    });
    let most = limits::MESH_ROUTERS_PER_LINK + limits::MESH_EVICTED;
    assert!((1..=most).contains(&passed.count()), "some left, once");
    lone.take();
    assert_eq!(lone.hear(TO_C, &speaks("h", TO_C)), Ok(()));
    assert!(lone.sent(TO_B).contains(&"RA"), "others have their share");
}

#[test]
fn whom_there_was_no_room_for_is_asked_for_again() {
    let mut lone = crowded();
    let context = AddressContext::new("A");
    let far = |payload: &Bytes| Envelope::read(payload, &context).unwrap().passed_on("0/C");
    let cost = |lone: &Lone| {
        let nodes = lone.engine.nodes();
        let node = nodes.iter().find(|node| *node.id == *"Z");
        node.and_then(|node| node.cost)
    };
    let c = writer_of("C", 100);
    let seen = c.link_state("A", 1, [("A", 1), ("Z", 1)].into_iter());
    lone.hear(TO_C, &seen).unwrap();
    lone.pass(200);
    assert_eq!(cost(&lone), Some(2));
    lone.hear(TO_C, &far(&writer_of("S", 1).advertisement(1, 0)))
        .unwrap();
    lone.pass(200);
    assert_eq!(cost(&lone), None, "it had not spoken");
    lone.hear(TO_C, &far(&writer_of("Z", 1).advertisement(1, 0)))
        .unwrap();
    lone.take();
    lone.hear(TO_C, &c.advertisement(1, 0)).unwrap();
    lone.pass(300);
    assert!(lone.sent(TO_C).contains(&"LSR"));
    lone.hear(TO_C, &seen).unwrap();
    lone.pass(200);
    assert_eq!(cost(&lone), Some(2));
}
