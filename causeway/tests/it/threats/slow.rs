//! Consumers that never read, and what is sent to them all the same.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use amqp_codec::message::{MessageBuilder, Properties};
use amqp_codec::{Performative, Transfer};

use super::exchange::wait_until;
use super::peer::{Peer, WIDE, accepted, flow_of_link, frame, message, transfer};
use super::pump::Pump;
use super::scene::{GROWTH_MAX, Scene};
use crate::harness::{Router, configuration, listening_with};

/// As much as a producer sends before it is clear that nobody holds it back.
const ENOUGH: usize = 512 * 1024 * 1024;

/// What is sent to `all/x` goes to everybody there.
const MULTICAST: &str = "address {\n prefix: all\n distribution: multicast\n}\n";

/// A consumer that reads and accepts in a thread.
struct Reader {
    received: Arc<AtomicU32>,
    stream: TcpStream,
    thread: JoinHandle<()>,
}

impl Reader {
    fn start(router: &Router, address: &str) -> Self {
        let mut peer = Peer::consuming(router, address, WIDE);
        let stream = peer.stream.try_clone().unwrap();
        let received = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&received);
        let run = move || read_all(&mut peer, &count);
        let thread = thread::Builder::new().spawn(run).unwrap();
        Self {
            received,
            stream,
            thread,
        }
    }

    /// Whole messages so far.
    fn received(&self) -> u32 {
        self.received.load(Ordering::Relaxed)
    }

    fn end(self) {
        self.stream.shutdown(Shutdown::Both).unwrap();
        self.thread.join().unwrap();
    }
}

fn read_all(peer: &mut Peer, count: &AtomicU32) {
    let mut id = 0;
    while let Some((_, performative, _)) = peer.next() {
        let Performative::Transfer(transfer) = performative else {
            continue;
        };
        id = transfer.delivery_id.unwrap_or(id);
        if !transfer.more && !transfer.aborted {
            if transfer.settled != Some(true) {
                peer.pour(&frame(0, &accepted(id, id), b""));
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A producer sends messages of a size to a consumer that never reads.
fn send_to_who_never_reads(size: usize, settled: bool) {
    let mut scene = Scene::new();
    let consumer = Peer::consuming(&scene.router, "stuck", WIDE);
    let mut pump = Pump::producing(&scene.router, "stuck");
    let count = u32::try_from(ENOUGH / size).unwrap();
    for _ in 0..8 {
        pump.send(&message(size), settled, count / 8);
        scene.stays_small();
    }
    if !settled {
        assert!(
            pump.sent < count,
            "a consumer's slowness reaches its producer"
        );
    }
    consumer.vanish();
    pump.peer.vanish();
    scene.ends_well();
}

#[test]
fn class_6_small_messages_for_who_never_reads_stay_bounded() {
    send_to_who_never_reads(10_000, false);
}

#[test]
fn class_6_small_settled_messages_for_who_never_reads_stay_bounded() {
    send_to_who_never_reads(10_000, true);
}

#[test]
fn class_6_large_messages_for_who_never_reads_stay_bounded() {
    send_to_who_never_reads(1_000_000, false);
}

#[test]
fn class_6_large_settled_messages_for_who_never_reads_stay_bounded() {
    send_to_who_never_reads(1_000_000, true);
}

#[test]
fn class_6_tiny_messages_do_not_keep_large_buffers() {
    let mut scene = Scene::new();
    let consumer = Peer::consuming(&scene.router, "stuck", 0);
    let mut pumps: Vec<_> = (0..4)
        .map(|_| {
            let mut producer = Peer::producing(&scene.router, "stuck");
            producer.consume(1, "through", WIDE);
            producer.produce(2, "through");
            Pump::new(producer, 0)
        })
        .collect();
    // Between two small messages that wait, much passes through the same buffers.
    for round in 0..60 {
        for pump in &mut pumps {
            pump.send(&message(1), round % 2 == 0, 1);
            let large = Transfer {
                settled: Some(true),
                ..transfer(2, pump.sent)
            };
            pump.parts(&large, message(400_000).chunks(16_000), false);
            pump.sent += 1;
        }
    }
    scene.stays_small();
    drop(pumps);
    consumer.vanish();
    scene.ends_well();
}

fn multicast_to_who_never_reads(size: usize, settled: bool) {
    let mut scene = Scene::with(&configuration(MULTICAST));
    let stuck = Peer::consuming(&scene.router, "all/x", WIDE);
    let reader = Reader::start(&scene.router, "all/x");
    let mut pump = Pump::producing(&scene.router, "all/x");
    let count = u32::try_from(ENOUGH / 4 / size).unwrap();
    pump.send(&message(size), settled, count);
    scene.stays_small();
    assert!(reader.received() > 0);
    stuck.vanish();
    // Without the one who held them back, the others go on.
    let before = reader.received();
    pump.send(&message(size), settled, 300);
    wait_until("who reads gets more", || reader.received() > before);
    scene.stays_small();
    pump.peer.vanish();
    reader.end();
    scene.ends_well();
}

#[test]
fn class_6_small_multicast_to_who_never_reads_stays_bounded() {
    multicast_to_who_never_reads(10_000, false);
}

#[test]
fn class_6_settled_multicast_to_who_never_reads_stays_bounded() {
    multicast_to_who_never_reads(10_000, true);
}

#[test]
fn class_6_large_multicast_to_who_never_reads_stays_bounded() {
    multicast_to_who_never_reads(1_000_000, false);
}

#[test]
fn class_6_copies_for_many_who_never_read_are_one() {
    let mut scene = Scene::with(&configuration(MULTICAST));
    let mut crowd = Peer::begun(&scene.router);
    for handle in 0..100 {
        crowd.consume(handle, "all/x", 0);
    }
    let mut pump = Pump::producing(&scene.router, "all/x");
    pump.send(&message(10_000), false, 250);
    scene.stays_small();
    crowd.vanish();
    pump.peer.vanish();
    scene.ends_well();
}

#[test]
fn class_5_crumbs_of_a_delivery_do_not_keep_large_buffers() {
    let mut scene = Scene::new();
    let stuck = Peer::consuming(&scene.router, "stuck", 0);
    let reader = Reader::start(&scene.router, "through");
    // Deliveries that are held, and one that is streamed: a byte of each, then much that passes
    // through the same buffers.
    let mut pumps: Vec<_> = (0..2)
        .map(|_| {
            let mut producer = Peer::producing(&scene.router, "stuck");
            producer.produce(1, "stuck");
            producer.produce(2, "through");
            Pump::new(producer, 0)
        })
        .collect();
    let open_end = |handle| Transfer {
        more: true,
        ..transfer(handle, handle)
    };
    for pump in &mut pumps {
        pump.frame(&open_end(0), &message(1));
        for _ in 0..10 {
            pump.frame(&open_end(1), &message(15_000));
        }
    }
    for round in 0..200 {
        for pump in &mut pumps {
            pump.frame(&open_end(0), b"x");
            pump.frame(&open_end(1), b"x");
            let large = Transfer {
                settled: Some(true),
                ..transfer(2, 2 + round)
            };
            pump.parts(&large, message(300_000).chunks(16_000), false);
        }
    }
    assert!(reader.received() > 0);
    scene.stays_small();
    pumps.into_iter().for_each(|pump| pump.peer.vanish());
    stuck.vanish();
    reader.end();
    scene.ends_well();
}

#[test]
fn class_5_streams_that_nobody_takes_stay_bounded() {
    let mut scene = Scene::new();
    let consumer = Peer::consuming(&scene.router, "stuck", 0);
    let mut pumps: Vec<_> = (0..3)
        .map(|_| Pump::producing(&scene.router, "stuck"))
        .collect();
    let part = message(15_000);
    for pump in &mut pumps {
        let endless = std::iter::repeat_n(&part[..], ENOUGH / 8 / part.len());
        let whole = pump.parts(&transfer(0, 0), endless, true);
        assert!(!whole, "a stream that nobody takes is held back");
    }
    scene.stays_below(3 * GROWTH_MAX);
    for pump in &mut pumps {
        pump.peer.is_alive();
    }
    pumps.into_iter().for_each(|pump| pump.peer.vanish());
    consumer.vanish();
    scene.ends_well();
}

#[test]
fn class_6_a_producer_that_never_reads_its_outcomes_costs_nothing() {
    let wide = listening_with("maxSessionFrames: 1000000");
    let mut scene = Scene::with(&wide);
    let mut producer = Peer::begun(&scene.router);
    let nowhere = MessageBuilder::new()
        .properties(Properties {
            to: Some("nowhere".into()),
            ..Properties::default()
        })
        .build();
    let mut id = 0;
    for handle in 0..200 {
        producer.produce(handle, "");
    }
    for handle in 0..200 {
        for _ in 0..100 {
            producer.deliver(handle, id, &nowhere);
            id += 1;
        }
    }
    scene.stays_small();
    // All of it was answered, and can still be read.
    let mut settled = 0;
    while settled < id {
        let (_, told, _) =
            producer.until(|performative| matches!(performative, Performative::Disposition(_)));
        if let Performative::Disposition(told) = told {
            settled += told.last.unwrap_or(told.first) - told.first + 1;
        }
    }
    producer.vanish();
    scene.ends_well();
}

#[test]
fn class_7_a_consumer_that_reads_and_never_settles_is_given_no_more_than_a_window() {
    let mut scene = Scene::new();
    let mut consumer = Peer::consuming(&scene.router, "unsettled", WIDE);
    let drain = consumer.drain();
    let mut pump = Pump::producing(&scene.router, "unsettled");
    pump.send(&message(100), false, 100_000);
    assert!(
        pump.sent < 100_000,
        "nothing settles, so nothing more comes"
    );
    scene.stays_small();
    // Settling what was never sent, again and again, is not worth more than settling it once.
    for _ in 0..1000 {
        consumer.send(0, &accepted(0, u32::MAX >> 1));
    }
    consumer.send(0, &flow_of_link(0, 0, WIDE));
    pump.send(&message(100), false, 1000);
    scene.goes_on();
    consumer.vanish();
    drain.join().unwrap();
    pump.peer.vanish();
    scene.ends_well();
}
