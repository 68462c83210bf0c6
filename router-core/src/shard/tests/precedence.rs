//! Which of a neighbour's links sends first when there is more to send than there is room.

use amqp_codec::Role;
use amqp_proto::{LinkKey, Payload};
use bytes::Bytes;

use super::world::World;
use crate::ids::{AddressId, Key, Origin, ShardId};
use crate::mail::{Command, Forward, Mail, Target};
use crate::route::PRIORITIES;
use crate::settings::ConnectionRole;
use crate::shard::termini::{CONTROL, DATA, pair_attach};

/// A neighbour, with the links on which it receives: the protocol's, then those of each priority.
struct Neighbor {
    world: World,
    peer: usize,
    links: Vec<(LinkKey, Key)>,
}

impl Neighbor {
    fn new() -> Self {
        Self::of(World::new(1))
    }

    fn of(mut world: World) -> Self {
        world.listener.role = ConnectionRole::InterRouter;
        let peer = world.connect(0);
        let mut neighbor = Self {
            world,
            peer,
            links: Vec::new(),
        };
        let data = (0..PRIORITIES).map(|_| DATA);
        for (number, capability) in std::iter::once(CONTROL).chain(data).enumerate() {
            let link = neighbor.attach(&format!("link {number}"), capability);
            neighbor.links.push(link);
        }
        neighbor
    }

    fn attach(&mut self, name: &str, capability: &'static str) -> (LinkKey, Key) {
        let Self { world, peer, .. } = self;
        let link = world.attach(*peer, pair_attach(name, capability, Role::Receiver));
        world.credit(*peer, link, 1000, false);
        let records = world.shards[0].out_links.iter();
        let record = records.map(|(key, link)| (link.id, key)).max().unwrap();
        (link, record.1)
    }

    /// A message for one of its links, of so many bytes.
    fn queue(&mut self, link: usize, size: usize) {
        self.queue_as(link, size, false);
    }

    fn queue_as(&mut self, link: usize, size: usize, urgent: bool) {
        let own = &mut self.world.shards[0];
        let to = own.out_key(self.links[link].1);
        own.take_forward(Forward {
            urgent,
            ..Forward::whole(
                Origin {
                    shard: ShardId(1),
                    delivery: None,
                },
                Target::Link(to),
                AddressId(0),
                Payload::from(Bytes::from(vec![0; size])),
            )
        });
    }

    /// The links by which messages have come, in order.
    fn came_by(&mut self) -> Vec<usize> {
        self.world.run();
        let messages = self.world.peers[self.peer].messages.drain(..);
        let number = |key: LinkKey| self.links.iter().position(|link| link.0 == key);
        messages.filter_map(|message| number(message.0)).collect()
    }
}

#[test]
fn a_hello_and_urgent_messages_leave_before_others_that_wait() {
    let mut neighbor = Neighbor::new();
    for _ in 0..200 {
        // Priority 0, far more than the send queue takes at once.
        neighbor.queue(1, 10_000);
    }
    for priority in [4, 9] {
        neighbor.queue(1 + priority, 100);
    }
    neighbor.queue(0, 100);
    let order = neighbor.came_by();
    assert_eq!(order[..3], [0, 1 + 9, 1 + 4]);
    assert_eq!(order.len(), 203);
}

#[test]
fn a_link_in_place_of_one_that_went_has_its_priority() {
    let mut neighbor = Neighbor::new();
    for round in 0..3 {
        let gone = neighbor.links[1 + 9].0;
        neighbor.world.detach(neighbor.peer, gone);
        neighbor.links[1 + 9] = neighbor.attach(&format!("another {round}"), DATA);
    }
    for _ in 0..200 {
        neighbor.queue(1, 10_000);
    }
    neighbor.queue(1 + 9, 100);
    assert_eq!(neighbor.came_by()[0], 1 + 9);
}

#[test]
fn urgent_messages_without_end_do_not_stop_the_others_for_ever() {
    let mut neighbor = Neighbor::new();
    for _ in 0..240 {
        neighbor.queue(1 + 9, 10_000);
        neighbor.queue(1, 10_000);
    }
    let order = neighbor.came_by();
    let half = &order[..order.len() / 2];
    let urgent = half.iter().filter(|link| **link == 10).count();
    assert!(
        urgent > half.len() * 3 / 4 && urgent < half.len(),
        "{urgent}"
    );
}

#[test]
fn a_long_message_that_comes_in_stands_for_the_hellos_behind_it() {
    let Neighbor {
        mut world, peer, ..
    } = Neighbor::new();
    let link = world.attach(peer, pair_attach("in", CONTROL, Role::Sender));
    let control = ShardId(1);
    world.keep_busy(control);
    world.pass(1000);
    for _ in 0..10 {
        assert!(world.send_part(peer, link, &[0; 100_000], true, true));
        world.pass(500);
    }
    let said = world.busy[&control].iter().flat_map(|batch| &batch.mail);
    let said = said.filter(|mail| match mail {
        Mail::Command(command) => matches!(**command, Command::Arriving(_)),
        _ => false,
    });
    assert_eq!(said.count(), 5, "as often as a hello would be");
}

#[test]
fn the_newest_hello_waits_for_no_list_that_has_not_begun() {
    let mut neighbor = Neighbor::new();
    let lists = [300_000, 300_001, 300_002];
    for size in lists {
        neighbor.queue(0, size);
    }
    // The first one begins: it is more than the send queue takes.
    neighbor.world.shards[0].turn(neighbor.world.now);
    for size in [100, 101] {
        neighbor.queue_as(0, size, true);
    }
    neighbor.world.run();
    let received = neighbor.world.peers[neighbor.peer].received();
    let order: Vec<_> = received.into_iter().map(<[u8]>::len).collect();
    assert_eq!(order, [lists[0], 101, lists[1], lists[2]]);
}

#[test]
fn a_neighbor_that_has_not_read_for_a_minute_finds_one_hello_and_not_sixty() {
    for data in [0, 20] {
        let mut neighbor = Neighbor::of(World::interior("QDR", 1, 1));
        let peer = neighbor.peer;
        neighbor.world.pass(1000);
        neighbor.world.peers[peer].messages.clear();
        neighbor.world.set_stalled(peer, true);
        for _ in 0..data {
            neighbor.queue(1, 10_000);
        }
        for _ in 0..60 {
            neighbor.world.pass(1000);
        }
        neighbor.world.set_stalled(peer, false);
        let came = neighbor.came_by();
        let hellos = came.iter().filter(|link| **link == 0).count();
        // One that was on its way, and the newest.
        assert!((1..=2).contains(&hellos), "{hellos} of {}", came.len());
        assert_eq!(came.len() - hellos, data, "nothing else is lost");
        for _ in 0..3 {
            neighbor.world.pass(1000);
        }
        assert_eq!(neighbor.came_by(), [0, 0, 0], "it goes on as ever");
    }
}
