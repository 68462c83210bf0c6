//! Neighbours of our kind, which tell each other of all others.

use std::collections::BTreeSet;
use std::time::Duration;

use super::lone::{Lone, TO_B, TO_C, opcode, writer_of};
use super::network::Network;
use crate::address::AddressContext;
use crate::ids::Opener;
use crate::limits;
use crate::mesh::envelope::Envelope;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::names::NeighborLink;
use crate::mesh::wire::Wanted;
use crate::mesh::write::{Speaker, Writer};
use crate::route::Treatment;

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
        b.link_state_of(&x, sequence, [("B", 1)].into_iter()),
        b.advertisement_of(&x, sequence, addresses),
    ]
}

/// What `B` tells its neighbour of the addresses of `X`.
fn list_of_x(instance: i64, sequence: i64, count: usize) -> bytes::Bytes {
    let x = Speaker { id: "X", instance };
    let keys: Vec<_> = (0..count).map(|number| format!("M0{number:04}")).collect();
    let keys = keys.iter();
    let keys = keys.map(|key| (&**key, Some(Treatment::AnycastClosest)));
    writer_of("B", 100).addresses_of(&x, sequence, keys)
}

/// What another router has said, as a neighbour passes it on.
fn by(neighbor: &str, said: &[u8]) -> bytes::Bytes {
    let context = AddressContext::new(neighbor);
    let envelope = Envelope::read(said, &context).unwrap();
    envelope.passed_on(&format!("0/{neighbor}"))
}

/// `A` between `B`, behind which is `X`, and `C` and `D`.
fn before_x(sequence: i64, addresses: i64) -> Lone {
    let mut lone = between();
    let of_b = writer_of("B", 100).link_state("all", 7, [("A", 1), ("X", 1)].into_iter());
    lone.hear(TO_B, &of_b).unwrap();
    tell(&mut lone, &of_x(100, sequence, addresses)).unwrap();
    lone.pass(100);
    lone.take();
    lone
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
    let only_to_c = |said: &[&'static str]| [Vec::new(), said.to_vec(), Vec::new()];
    tell(&mut lone, &of_x(100, 5, 0)).unwrap();
    assert_eq!(sequence_of_x(&lone), Some((100, 1)));
    // `B` has told us, and `D` would not understand.
    assert_eq!(passed_on(&mut lone), only_to_c(&["LSU", "RA"]));
    // The same again, and what is older.
    for said in [of_x(100, 5, 0), of_x(100, 4, 0), of_x(99, 9, 9)] {
        tell(&mut lone, &said).unwrap();
        assert_eq!(sequence_of_x(&lone), Some((100, 1)));
        assert_eq!(passed_on(&mut lone), nothing);
    }
    tell(&mut lone, &of_x(100, 6, 0)).unwrap();
    assert_eq!(passed_on(&mut lone), only_to_c(&["LSU", "RA"]));
    // All its addresses, if they are not many; those of another life are none.
    tell(&mut lone, &[list_of_x(99, 9, 1)]).unwrap();
    assert_eq!(passed_on(&mut lone), nothing);
    tell(&mut lone, &[list_of_x(100, 2, 2)]).unwrap();
    assert_eq!(passed_on(&mut lone), only_to_c(&["MAU"]));
    tell(&mut lone, &[list_of_x(100, 2, 2)]).unwrap();
    assert_eq!(passed_on(&mut lone), nothing);
    let many = limits::MESH_TOLD_ADDRESSES + 1;
    tell(&mut lone, &[list_of_x(100, 3, many)]).unwrap();
    assert_eq!(passed_on(&mut lone), only_to_c(&["LSU", "RA"]));
}

#[test]
fn many_changes_are_told_once_and_at_a_bounded_rate() {
    let mut lone = between();
    let b = writer_of("B", 100);
    let per_second = usize::try_from(limits::MESH_TOLD_PER_SECOND).unwrap();
    let names: Vec<_> = (0..2 * per_second).map(|at| format!("N{at:04}")).collect();
    for sequence in 1..=3 {
        for name in &names {
            let speaker = Speaker {
                id: name,
                instance: 100,
            };
            let peers = [("B", sequence)].into_iter();
            let said = b.link_state_of(&speaker, sequence.into(), peers);
            lone.hear(TO_B, &said).unwrap();
        }
    }
    let mut told = Vec::new();
    let latest = [b"\xa1\x01B", [0x54, 3].as_slice()].concat();
    let mut of_latest = 0;
    for _ in 0..4 {
        let mut said = Vec::new();
        for _ in 0..10 {
            lone.take();
            let sent = std::mem::take(&mut lone.sent).into_iter();
            let to_c = sent.filter(|(to, payload)| *to == TO_C && opcode(payload) == "LSU");
            said.extend(to_c.map(|(_, payload)| payload));
            lone.pass(100);
        }
        told.push(said.len());
        let says_it = |payload: &[u8]| payload.windows(latest.len()).any(|part| part == latest);
        of_latest += said.iter().filter(|payload| says_it(payload)).count();
    }
    // What a second holds comes at once, and the rest follows as it is by then.
    assert!(
        told[0] > per_second && told[0] <= 2 * per_second + 1,
        "{told:?}"
    );
    assert!(told[1] > 0 && told[1] <= per_second + 1, "{told:?}");
    let all = told.iter().sum::<usize>();
    assert!(all >= names.len() && all <= 2 * names.len(), "{told:?}");
    assert_eq!(of_latest, names.len(), "each of them as it is by now");
    assert_eq!(told[3], 0, "{told:?}");
}

#[test]
fn that_somebody_is_told_of_is_no_sign_of_life() {
    let mut lone = before_x(5, 0);
    let is_known = |lone: &Lone| {
        let nodes = lone.engine.nodes();
        nodes
            .iter()
            .any(|node| *node.id == *"X" && !node.link_state.is_empty())
    };
    for _ in 0..5 {
        lone.pass(10_000);
        tell(&mut lone, &of_x(100, 5, 0)).unwrap();
        assert!(is_known(&lone));
    }
    lone.pass(15_000);
    assert!(!is_known(&lone), "it has said nothing for a minute");
}

#[test]
fn another_life_is_believed_of_whoever_is_silent_or_says_so_itself() {
    let mut lone = before_x(5, 0);
    let itself = writer_of("X", 100).link_state("all", 6, [("B", 1)].into_iter());
    lone.hear(TO_B, &by("B", &itself)).unwrap();
    for _ in 0..3 {
        tell(&mut lone, &of_x(200, 9, 0)).unwrap();
        assert_eq!(sequence_of_x(&lone), Some((100, 1)), "one that has ended");
        lone.pass(10_000);
    }
    // There is no way to it any more.
    let of_b = writer_of("B", 100).link_state("all", 8, [("A", 1)].into_iter());
    lone.hear(TO_B, &of_b).unwrap();
    lone.pass(1000);
    tell(&mut lone, &of_x(200, 9, 0)).unwrap();
    assert_eq!(sequence_of_x(&lone), Some((200, 1)));
    let itself = writer_of("X", 300).link_state("all", 1, [("B", 1)].into_iter());
    lone.hear(TO_B, &by("B", &itself)).unwrap();
    assert_eq!(sequence_of_x(&lone), Some((300, 1)));
}

#[test]
fn only_neighbours_of_our_kind_may_speak_for_others() {
    let mut lone = between();
    let x = Speaker {
        id: "X",
        instance: 100,
    };
    let d = writer_of("D", 100);
    let said = d.link_state_of(&x, 5, [("D", 1)].into_iter());
    assert_eq!(lone.hear(TO_D, &said), Err(Misdeed::Speaker));
    // Nor may somebody behind a neighbour.
    let said = by(
        "B",
        &writer_of("Y", 100).link_state_of(&x, 5, [("D", 1)].into_iter()),
    );
    assert_eq!(lone.hear(TO_B, &said), Err(Misdeed::Speaker));
    assert_eq!(sequence_of_x(&lone), None);
}

/// Questions of `C`, and of `D` behind it, for the link state and the addresses of `X`.
fn questions(of: &Writer, sequence: i64, have: i64) -> [bytes::Bytes; 2] {
    let wanted = Wanted {
        life: 100,
        sequence,
    };
    [
        of.link_state_request("X", Some(wanted)),
        of.address_request("X", have, Some(100)),
    ]
}

#[test]
fn a_question_is_answered_where_the_answer_is_known_and_else_passed_on() {
    let mut lone = before_x(5, 2);
    tell(&mut lone, &[list_of_x(100, 2, 2)]).unwrap();
    lone.pass(3000);
    lone.take();
    let c = writer_of("C", 100);
    let asks = |lone: &mut Lone, link, said: [bytes::Bytes; 2]| {
        for question in said {
            lone.hear(link, &question).unwrap();
        }
        passed_on(lone)
    };
    let nothing = Vec::<&str>::new();
    let answered = asks(&mut lone, TO_C, questions(&c, 5, 0));
    assert_eq!(answered, [vec![], vec!["LSU", "RA", "MAU"], vec![]]);
    // What is wanted is newer than what is known here.
    let passed = asks(&mut lone, TO_C, questions(&c, 6, 2));
    assert_eq!(
        passed,
        [vec!["LSR", "MAR"], nothing.clone(), nothing.clone()]
    );
    // Routers of the other kind are answered by whom they ask.
    let d = writer_of("D", 100);
    let plain = [
        d.link_state_request("X", None),
        d.address_request("X", 0, None),
    ];
    let passed = asks(&mut lone, TO_D, plain);
    assert_eq!(passed, [vec!["LSR", "MAR"], nothing.clone(), nothing]);
    // It may have begun anew: its numbers are lower than they were.
    let rewound = by("B", &writer_of("X", 100).advertisement(1, 1));
    lone.hear(TO_B, &rewound).unwrap();
    passed_on(&mut lone);
    let passed = asks(&mut lone, TO_C, questions(&c, 1, 0));
    assert_eq!(passed[0], ["LSR", "MAR"]);
    let itself = by("B", &writer_of("X", 100).advertisement(5, 2));
    lone.hear(TO_B, &itself).unwrap();
    passed_on(&mut lone);
    // More addresses than may be told in somebody else's name.
    let many = limits::MESH_TOLD_ADDRESSES + 1;
    tell(&mut lone, &[list_of_x(100, 3, many)]).unwrap();
    passed_on(&mut lone);
    let [_, question] = questions(&c, 5, 0);
    lone.hear(TO_C, &question).unwrap();
    assert_eq!(passed_on(&mut lone)[0], ["MAR"]);
}

#[test]
fn whoever_does_not_say_which_life_it_is_in_is_asked_itself() {
    let mut lone = between();
    let of_b = writer_of("B", 100).link_state("all", 7, [("A", 1), ("X", 1)].into_iter());
    lone.hear(TO_B, &of_b).unwrap();
    let itself = writer_of("X", 0);
    let state = itself.link_state("A", 5, [("B", 1)].into_iter());
    lone.hear(TO_B, &by("B", &state)).unwrap();
    let key = [("M0one", Treatment::AnycastClosest)].into_iter();
    let list = itself.address_answer("A", &itself.all_addresses(2, key));
    lone.hear(TO_B, &by("B", &list)).unwrap();
    lone.pass(3000);
    passed_on(&mut lone);
    let wanted = Wanted {
        life: 0,
        sequence: 5,
    };
    let c = writer_of("C", 100);
    for question in [
        c.link_state_request("X", Some(wanted)),
        c.address_request("X", 0, Some(0)),
    ] {
        lone.hear(TO_C, &question).unwrap();
    }
    let [to_b, to_c, _] = passed_on(&mut lone);
    assert_eq!((to_b, to_c), (vec!["LSR", "MAR"], vec![]));
}

#[test]
fn what_is_asked_for_from_here_is_told_when_it_comes() {
    let mut lone = before_x(5, 0);
    lone.pass(3000);
    lone.take();
    // It has got further, says an advertisement of its own, and is asked.
    let itself = writer_of("X", 100);
    lone.hear(TO_B, &by("B", &itself.advertisement(6, 2)))
        .unwrap();
    let [to_b, ..] = passed_on(&mut lone);
    assert_eq!(to_b, ["LSR", "MAR"]);
    for question in questions(&writer_of("C", 100), 6, 0) {
        lone.hear(TO_C, &question).unwrap();
    }
    assert_eq!(passed_on(&mut lone)[0], Vec::<&str>::new(), "asked already");
    tell(&mut lone, &[list_of_x(100, 2, 1)]).unwrap();
    assert_eq!(passed_on(&mut lone)[1], ["MAU"]);
    let answer = itself.link_state("A", 6, [("B", 2)].into_iter());
    lone.hear(TO_B, &by("B", &answer)).unwrap();
    let [_, mut to_c, _] = passed_on(&mut lone);
    // `C` is asked for its own, because paths have changed.
    to_c.retain(|opcode| *opcode != "LSR");
    assert_eq!(to_c, ["LSU", "RA"]);
}

#[test]
fn whoever_has_just_come_does_not_ask_routers_of_the_other_kind_for_addresses() {
    let mut lone = between();
    let of_d = writer_of("D", 100).link_state("all", 7, [("A", 1), ("X", 1)].into_iter());
    lone.hear(TO_D, &of_d).unwrap();
    let itself = writer_of("X", 100).link_state("A", 5, [("D", 1)].into_iter());
    lone.hear(TO_D, &by("D", &itself)).unwrap();
    lone.pass(500);
    lone.take();
    // `N` is behind `C`, and of our kind; nobody has heard of it before.
    let n = writer_of("N", 100).address_request("X", 0, Some(100));
    let by_c = by("C", &n);
    lone.hear(TO_C, &by_c).unwrap();
    assert_eq!(passed_on(&mut lone)[2], Vec::<&str>::new());
    let of_n = writer_of("N", 100).link_state("all", 1, [("C", 1)].into_iter());
    lone.hear(TO_C, &by("C", &of_n)).unwrap();
    lone.pass(limits::MESH_INTRODUCTION.as_millis().try_into().unwrap());
    lone.take();
    lone.hear(TO_C, &by_c).unwrap();
    assert_eq!(passed_on(&mut lone)[2], ["MAR"]);
}

#[test]
fn names_that_one_neighbour_makes_up_do_not_keep_the_others_from_being_asked() {
    let mut lone = Lone::with_neighbors();
    let names: Vec<_> = (0..limits::MESH_PEERS)
        .map(|at| format!("N{at:04}"))
        .collect();
    for turn in 0..30 {
        let peers = names.iter().map(|name| (&**name, 1 + turn % 2));
        let state = writer_of("B", 100).link_state("all", 9 + i64::from(turn), peers);
        lone.hear(TO_B, &state).unwrap();
        lone.pass(100);
    }
    lone.take();
    let of_c = writer_of("C", 100).link_state("all", 9, [("A", 1), ("X", 1)].into_iter());
    lone.hear(TO_C, &of_c).unwrap();
    lone.pass(1000);
    let asked = lone.sent(TO_C);
    assert!(asked.contains(&"LSR"), "{asked:?}");
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
fn parts_that_have_changed_meanwhile_know_each_other_without_questions() {
    let mut network = Network::of("A-B B-C C-D D-E E-F A-G B-G C-G");
    for id in ["A", "B", "E", "F"] {
        network.subscribe(id, &format!("M0{id}"), true);
    }
    network.run(10_000);
    network.cut(2);
    for id in ["A", "B", "E", "F"] {
        network.subscribe(id, &format!("M0{id}/more"), true);
    }
    network.cut(5);
    network.kill("E");
    network.run(4000);
    network.revive("E");
    network.subscribe("E", "M0E/again", true);
    network.run(5000);
    network.arrived.clear();
    network.plug(2);
    network.run(2000);
    network.assert_settled();
    let questions = network.arrived.get("LSR").copied().unwrap_or_default();
    assert!(questions <= 4, "{:?}", network.arrived);
}

#[test]
fn addresses_of_many_routers_are_asked_for_by_neighbours_alone() {
    let names: Vec<_> = (0..30).map(|number| format!("R{number:02}")).collect();
    let mut network = Network::new(7);
    for pair in names.windows(2) {
        network.connect(&pair[0], &pair[1], 1);
    }
    for name in &names {
        network.subscribe(name, &format!("M0{name}"), true);
    }
    for number in 0..=limits::MESH_TOLD_ADDRESSES {
        network.subscribe("R05", &format!("M0many/{number}"), true);
    }
    network.run(8000);
    network.assert_settled();
    let questions = network.arrived.get("MAR").copied().unwrap_or_default();
    let each_of_each: usize = (0..30_usize)
        .flat_map(|a| (0..30).map(move |b| a.abs_diff(b)))
        .sum();
    assert!(questions < each_of_each / 4, "{:?}", network.arrived);
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
