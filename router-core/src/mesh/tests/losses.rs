//! What is told when a neighbour is lost, and what is not taken for a loss.

use std::time::Duration;

use super::lone::{Lone, TO_B, TO_C, b, opcode, writer_of};
use crate::address::AddressContext;
use crate::mesh::envelope::Envelope;
use crate::mesh::event::MeshEvent;
use crate::mesh::names::NeighborLink;
use crate::mesh::wire::Body;

#[test]
fn its_own_sleep_is_not_its_neighbours_silence() {
    let mut lone = Lone::with_neighbors();
    lone.now = lone.now + Duration::from_secs(20);
    lone.engine.tick(lone.now);
    let down = |event: &MeshEvent| matches!(event, MeshEvent::NeighborDown { .. });
    assert!(
        !lone.take().iter().any(down),
        "they had no chance to be heard"
    );
    let quiet = |lone: &mut Lone, millis: u64| {
        for _ in 0..millis / 100 {
            lone.now = lone.now + Duration::from_millis(100);
            lone.engine.tick(lone.now);
        }
        lone.take().iter().filter(|event| down(event)).count()
    };
    assert_eq!(quiet(&mut lone, 1500), 0);
    assert_eq!(quiet(&mut lone, 3000), 2, "but silence is noticed again");
}

impl Lone {
    /// Strangers come and go, each under a name of its own, four times a second.
    fn be_pestered(&mut self, times: u64) {
        for number in 0..times {
            let link = NeighborLink(10 + number);
            self.engine.link_up(link, 1, self.now);
            let stranger = writer_of(&format!("x{number}"), 1);
            self.hear(link, &stranger.hello(["A"].into_iter())).unwrap();
            self.pass(200);
            self.engine.link_down(link, self.now);
            self.pass(100);
        }
    }

    /// Gives up a neighbour's connection; what the others are told at once.
    fn lose(&mut self, link: NeighborLink) -> Vec<&'static str> {
        self.take();
        self.engine.link_down(link, self.now);
        self.sent(TO_B)
    }
}

#[test]
fn a_loss_is_told_at_once_whatever_else_keeps_changing() {
    let mut lone = Lone::with_neighbors();
    lone.be_pestered(60);
    assert!(lone.lose(TO_C).contains(&"LSU"));
    let context = AddressContext::new("B");
    let told = lone
        .sent
        .iter()
        .find(|(_, payload)| opcode(payload) == "LSU");
    let told = Envelope::read(&told.unwrap().1, &context).unwrap();
    let Body::LinkState { peers, .. } = told.control().unwrap().body else {
        panic!("{told:?}");
    };
    assert_eq!(peers.count(), 2, "B and what it costs: nobody new");
}

#[test]
fn who_comes_and_goes_is_told_of_no_more_often_than_before() {
    let mut lone = Lone::with_neighbors();
    lone.be_pestered(20);
    lone.take();
    lone.be_pestered(100);
    let told = lone.sent(TO_B);
    let told = told.iter().filter(|opcode| **opcode == "LSU").count();
    assert!(told <= 2 * 7 + 1, "{told} times in 30 seconds");
}

#[test]
fn what_lies_behind_a_lost_neighbour_is_reached_the_other_way_at_once() {
    let mut lone = Lone::with_neighbors();
    let cost = |lone: &Lone, id: &str| {
        let nodes = lone.engine.nodes();
        nodes.iter().find(|node| *node.id == *id).unwrap().cost
    };
    let far = |lone: &mut Lone, sequence| {
        let ring = [("A", 1), ("D", 1)].into_iter();
        lone.hear(TO_B, &b().link_state("A", sequence, ring.clone()))
            .unwrap();
        let c = writer_of("C", 100);
        let dear = [("A", 1), ("D", u32::try_from(sequence).unwrap())];
        lone.hear(TO_C, &c.link_state("A", sequence, dear.into_iter()))
            .unwrap();
    };
    for sequence in 10..20 {
        far(&mut lone, sequence);
        lone.engine.tick(lone.now);
    }
    lone.pass(100);
    assert_eq!(cost(&lone, "D"), Some(2));
    far(&mut lone, 20);
    lone.engine.tick(lone.now);
    far(&mut lone, 21);
    lone.engine.link_down(TO_B, lone.now);
    assert_eq!(cost(&lone, "D"), Some(22), "without a tick between");
}
