//! Neighbours of our kind, which tell each other of all others.

use std::collections::BTreeSet;
use std::time::Duration;

use super::lone::{Lone, TO_B, TO_C, opcode, writer_of};
use super::network::Network;
use crate::ids::Opener;
use crate::limits;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::names::NeighborLink;
use crate::mesh::write::Speaker;

const TO_D: NeighborLink = NeighborLink(3);

/// Router `A` with the neighbours `B` and `C` of its own kind, and `D`, which is not.
fn between() -> Lone {
    let mut lone = Lone::with_neighbors();
    lone.engine.link_up(TO_D, 1, lone.now);
    for (link, id, is_kin) in [(TO_B, "B", true), (TO_C, "C", true), (TO_D, "D", false)] {
        let opener = Opener {
            container: id.into(),
            is_product: true,
            is_kin,
        };
        lone.engine.opened_by(link, opener);
    }
    lone.hear(TO_D, &writer_of("D", 100).hello(["A"].into_iter()))
        .unwrap();
    lone.take();
    lone
}

/// What `B` tells its neighbour of `X`: how far it has got, and its neighbours.
fn of_x(instance: i64, sequence: i64, addresses: i64) -> [bytes::Bytes; 2] {
    let x = Speaker { id: "X", instance };
    let b = writer_of("B", 100);
    [
        b.advertisement_of(&x, sequence, addresses),
        b.link_state_of(&x, sequence, [("B", 1)].into_iter()),
    ]
}

fn tell(lone: &mut Lone, said: &[bytes::Bytes]) -> Result<(), Misdeed> {
    said.iter().try_for_each(|message| lone.hear(TO_B, message))
}

/// What was sent to each of the neighbours but hellos.
fn passed_on(lone: &mut Lone) -> [Vec<&'static str>; 3] {
    lone.take();
    [TO_B, TO_C, TO_D].map(|link| {
        let on_link = lone.sent.iter().filter(|(to, _)| *to == link);
        let said = on_link.map(|(_, payload)| opcode(payload));
        said.filter(|opcode| *opcode != "HELLO").collect()
    })
}

fn sequence_of_x(lone: &Lone) -> Option<(i64, usize)> {
    let nodes = lone.engine.nodes();
    let x = nodes.iter().find(|node| *node.id == *"X");
    x.map(|node| (node.instance, node.link_state.len()))
}

#[test]
fn news_of_others_is_taken_and_passed_on_to_our_kind_and_nothing_twice() {
    let mut lone = between();
    let nothing: [Vec<&str>; 3] = Default::default();
    tell(&mut lone, &of_x(100, 5, 0)).unwrap();
    assert_eq!(sequence_of_x(&lone), Some((100, 1)));
    let [to_b, to_c, to_d] = passed_on(&mut lone);
    assert_eq!(to_b, Vec::<&str>::new(), "it has told us");
    assert_eq!(to_c, ["RA", "LSU"]);
    assert_eq!(to_d, Vec::<&str>::new(), "it would not understand");
    // The same again, and what is older.
    for said in [of_x(100, 5, 0), of_x(100, 4, 0), of_x(99, 9, 9)] {
        tell(&mut lone, &said).unwrap();
        assert_eq!(sequence_of_x(&lone), Some((100, 1)));
        assert_eq!(passed_on(&mut lone), nothing);
    }
    // More addresses alone; a further link state; a new life.
    for said in [of_x(100, 5, 1), of_x(100, 6, 1), of_x(101, 1, 0)] {
        tell(&mut lone, &said).unwrap();
        let [_, to_c, _] = passed_on(&mut lone);
        assert!(to_c.starts_with(&["RA", "LSU"]), "{to_c:?}");
    }
    assert_eq!(sequence_of_x(&lone), Some((101, 1)));
}

#[test]
fn whoever_is_told_of_is_not_asked_for_what_was_told() {
    let mut lone = between();
    let of_b = writer_of("B", 100).link_state("all", 7, [("A", 1), ("X", 1)].into_iter());
    lone.hear(TO_B, &of_b).unwrap();
    tell(&mut lone, &of_x(100, 5, 2)).unwrap();
    lone.pass(1000);
    lone.take();
    let to_x = b"amqp:/_topo/0/X/qdrouter";
    let is_to_x = |payload: &[u8]| payload.windows(to_x.len()).any(|part| part == to_x);
    let asked = lone.sent.iter().map(|(_, payload)| payload);
    let asked: BTreeSet<_> = asked
        .filter(|payload| is_to_x(payload))
        .map(|payload| opcode(payload))
        .collect();
    assert_eq!(asked, BTreeSet::from(["MAR"]), "it has addresses");
}

#[test]
fn nobody_is_told_of_himself_and_nobody_tells_us_of_ourselves() {
    let mut lone = between();
    let a = Speaker {
        id: "A",
        instance: 100,
    };
    let said = writer_of("B", 100).link_state_of(&a, 9, [("B", 1)].into_iter());
    assert_eq!(lone.hear(TO_B, &said), Err(Misdeed::OurIdentity));
    // `C` is new: it hears of `B`, and of `X` behind it.
    tell(&mut lone, &of_x(100, 5, 0)).unwrap();
    let b = writer_of("B", 100);
    let own = b.link_state("all", 7, [("A", 1), ("X", 1)].into_iter());
    lone.hear(TO_B, &own).unwrap();
    lone.pass(1000);
    lone.take();
    lone.engine.link_down(TO_C, lone.now);
    lone.engine.link_up(TO_C, 1, lone.now);
    lone.engine.opened_by(
        TO_C,
        Opener {
            container: "C".into(),
            is_product: true,
            is_kin: true,
        },
    );
    lone.hear(TO_C, &writer_of("C", 100).hello(["A"].into_iter()))
        .unwrap();
    lone.now = lone.now + Duration::from_millis(200);
    lone.engine.tick(lone.now);
    lone.take();
    let told = lone.sent.iter().filter(|(to, _)| *to == TO_C);
    let told = told.filter(|(_, payload)| opcode(payload) == "LSU");
    let of = |id: &str| {
        let ls = [b"\xa1\x02id\xa1\x01", id.as_bytes()].concat();
        let says = |payload: &[u8]| payload.windows(ls.len()).any(|part| part == ls);
        told.clone().filter(|(_, payload)| says(payload)).count()
    };
    assert_eq!((of("B"), of("X"), of("C")), (1, 1, 0));
}

#[test]
fn networks_that_are_joined_know_each_other_without_questions() {
    let mut network = Network::of("A-B B-C C-D D-E E-F  G-H H-I I-J J-K K-L");
    for id in ["A", "F", "L"] {
        network.subscribe(id, "M0here", true);
    }
    network.run(10_000);
    network.arrived.clear();
    network.connect("C", "J", 1);
    network.run(1000);
    network.assert_settled();
    let questions = network.arrived.get("LSR").copied().unwrap_or_default();
    // The two in the middle ask each other, as neighbours do.
    assert!(questions <= 2, "{questions}");
}

#[test]
fn questions_are_spread_over_time() {
    let mut lone = Lone::with_neighbors();
    let many = usize::try_from(3 * limits::MESH_QUESTIONS_PER_SECOND).unwrap();
    let names: Vec<_> = (0..many).map(|number| format!("N{number:04}")).collect();
    let peers = names.iter().map(|name| (&**name, 1));
    let state = writer_of("B", 100).link_state("A", 9, peers);
    lone.hear(TO_B, &state).unwrap();
    let mut asked = Vec::new();
    for _ in 0..3 {
        lone.pass(1000);
        let questions = lone.sent(TO_B).into_iter();
        asked.push(questions.filter(|opcode| *opcode == "LSR").count());
    }
    let burst = usize::try_from(2 * limits::MESH_QUESTIONS_PER_SECOND).unwrap();
    assert!(
        asked.iter().all(|count| *count > 0 && *count <= burst),
        "{asked:?}"
    );
    assert!(asked.iter().sum::<usize>() >= many, "{asked:?}");
}
