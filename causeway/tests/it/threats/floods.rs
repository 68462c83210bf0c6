//! Much of what costs its sender little: ranges, echoes, empty frames, drains, churn.

use amqp_codec::{
    Attach, Detach, Disposition, End, Flow, Performative, Role, Source, Target, Transfer,
};

use super::peer::{
    Peer, WIDE, accepted, attach, begin, flow_of_link, flow_of_session, frame, message, told,
    transfer,
};
use super::pump::Pump;
use super::scene::{GROWTH_MAX, Scene};

/// How often something is repeated.
const FLOOD: usize = 50_000;

/// Bytes written at once.
const PIECE: usize = 256 * 1024;

/// Sends bytes over and over while somebody reads the answers; whether the router took them all.
fn flood(peer: &mut Peer, bytes: &[u8], count: usize) -> bool {
    let times = PIECE.div_ceil(bytes.len()).min(count);
    let piece = bytes.repeat(times);
    let reader = peer.drain();
    let taken = (0..count.div_ceil(times)).all(|_| peer.pour(&piece));
    peer.stream
        .shutdown(std::net::Shutdown::Write)
        .unwrap_or(());
    reader.join().unwrap();
    taken
}

/// The same while nobody reads.
fn flood_unread(peer: &mut Peer, bytes: &[u8], count: usize) -> bool {
    let times = PIECE.div_ceil(bytes.len()).min(count);
    let piece = bytes.repeat(times);
    (0..count.div_ceil(times)).all(|_| peer.pour(&piece))
}

/// A peer with a session, a producer's link 0 and a consumer's link 1 on an address of its own.
fn peer(scene: &Scene) -> Peer {
    let mut peer = Peer::begun(&scene.router);
    peer.consume(1, "flooded", 10);
    peer.produce(0, "flooded");
    peer
}

/// Both kinds of flood with the same frames: one that reads answers, one that does not.
fn flood_twice(frames: &[u8]) {
    let mut scene = Scene::new();
    let mut reads = peer(&scene);
    assert!(flood(&mut reads, frames, FLOOD), "who reads is served");
    scene.stays_small();
    let mut reads_not = peer(&scene);
    // It may be cut off, and need not be.
    flood_unread(&mut reads_not, frames, FLOOD);
    scene.stays_small();
    reads.vanish();
    reads_not.vanish();
    scene.ends_well();
}

fn range(role: Role, first: u32, last: u32, settled: bool) -> Performative {
    Performative::Disposition(Disposition {
        role,
        first,
        last: Some(last),
        settled,
        state: Some(amqp_codec::DeliveryState::Accepted),
        ..Disposition::default()
    })
}

#[test]
fn class_7_ranges_of_everything_cost_what_is_unsettled() {
    let mut scene = Scene::new();
    let mut consumer = Peer::consuming(&scene.router, "ranges", WIDE);
    let mut pump = Pump::producing(&scene.router, "ranges");
    pump.send(&message(10), false, 250);
    // Everything there is, as far as serial numbers reach, by both ends, settled and not.
    let mut frames = Vec::new();
    for (first, last) in [(0, u32::MAX >> 1), (1 << 31, u32::MAX), (u32::MAX, 1000)] {
        for settled in [false, true] {
            frames.extend(frame(0, &range(Role::Receiver, first, last, settled), b""));
        }
    }
    assert!(flood_unread(&mut consumer, &frames, FLOOD));
    scene.goes_on();
    let frames: Vec<u8> = [(1 << 31, u32::MAX), (0, u32::MAX >> 1)]
        .iter()
        .flat_map(|&(first, last)| frame(0, &range(Role::Sender, first, last, true), b""))
        .collect();
    assert!(flood_unread(&mut pump.peer, &frames, FLOOD));
    scene.stays_small();
    pump.peer.is_alive();
    consumer.is_alive();
    pump.peer.vanish();
    consumer.vanish();
    scene.ends_well();
}

#[test]
fn class_7_a_range_that_runs_backwards_ends_the_session() {
    let mut scene = Scene::new();
    for (first, last) in [(10, 0), (0, u32::MAX), (1 << 31, 1)] {
        let mut peer = peer(&scene);
        peer.send(0, &range(Role::Receiver, first, last, true));
        assert_eq!(
            peer.told(),
            told("end", "amqp:invalid-field"),
            "{first}..{last}"
        );
        peer.is_alive();
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_8_echoes_are_answered_at_a_rate() {
    let mut scene = Scene::new();
    let echo = |handle: Option<u32>| {
        let flow = Flow {
            echo: true,
            handle,
            delivery_count: handle.map(|_| 0),
            link_credit: handle.map(|_| 10),
            ..flow_of_session()
        };
        frame(0, &Performative::Flow(flow), b"")
    };
    for frames in [
        echo(None),
        echo(Some(1)),
        [echo(None), echo(Some(1))].concat(),
    ] {
        let mut peer = peer(&scene);
        let reader = peer.drain();
        for _ in 0..FLOOD / 1000 {
            assert!(peer.pour(&frames.repeat(1000)));
        }
        peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answers = reader.join().unwrap();
        // A hundred a second, of some thirty bytes each.
        let asked = (frames.len() * FLOOD) as u64;
        assert!(answers < asked / 2, "{answers} bytes for {asked}");
        scene.stays_small();
    }
    scene.ends_well();
}

#[test]
fn class_8_empty_frames_are_paid_from_a_budget() {
    let mut scene = Scene::new();
    let empty = [0, 0, 0, 8, 2, 0, 0, 0];
    // Heartbeats, even many, are fine.
    let mut peer = peer(&scene);
    assert!(peer.pour(&empty.repeat(100)));
    peer.is_alive();
    flood_unread(&mut peer, &empty, FLOOD);
    assert_eq!(
        peer.is_dropped(),
        Some(told("close", "amqp:resource-limit-exceeded"))
    );
    let mut peer = self::peer(&scene);
    let nothing = Transfer {
        more: true,
        ..transfer(0, 0)
    };
    let nothing = frame(0, &Performative::Transfer(nothing), b"");
    flood_unread(&mut peer, &nothing, FLOOD);
    // The budget ends the connection, unless the window has ended the session before.
    let told = peer.told();
    assert!(matches!(told.0, "close" | "end"), "{told:?}");
    peer.vanish();
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_8_drains_and_credit_to_and_fro() {
    let flow = |credit, drain| {
        let Performative::Flow(flow) = flow_of_link(1, 0, credit) else {
            unreachable!()
        };
        frame(0, &Performative::Flow(Flow { drain, ..flow }), b"")
    };
    flood_twice(
        &[
            flow(10, true),
            flow(0, false),
            flow(WIDE, false),
            flow(1, true),
        ]
        .concat(),
    );
}

fn link_and_end(handle: u32, role: Role, address: &str) -> Vec<u8> {
    let (mut source, mut target) = (Source::default(), Target::default());
    source.address = Some(address.to_owned().into());
    target.address = Some(address.to_owned().into());
    let attach = Attach {
        name: format!("churn {handle}").into(),
        ..attach(handle, role, source, target)
    };
    let detach = Detach {
        handle,
        closed: true,
        error: None,
    };
    [
        frame(0, &Performative::Attach(Box::new(attach)), b""),
        frame(0, &Performative::Detach(detach), b""),
    ]
    .concat()
}

#[test]
fn class_8_churn_of_links() {
    // Handles are free again when the router has answered: each pair has its own.
    let frames: Vec<u8> = (10..20_010)
        .flat_map(|handle| {
            let role = if handle % 2 == 0 {
                Role::Sender
            } else {
                Role::Receiver
            };
            link_and_end(handle, role, &format!("churn/{}", handle % 7))
        })
        .collect();
    let mut scene = Scene::new();
    let mut reads = peer(&scene);
    assert!(flood(&mut reads, &frames, 1));
    scene.goes_on();
    let mut reads_not = peer(&scene);
    flood_unread(&mut reads_not, &frames, 1);
    scene.stays_below(2 * GROWTH_MAX);
    reads.vanish();
    reads_not.vanish();
    scene.ends_well();
}

#[test]
fn class_8_churn_of_sessions() {
    let end = Performative::End(End { error: None });
    let frames: Vec<u8> = (10..20_010)
        .flat_map(|channel| {
            [
                frame(channel, &Performative::Begin(Box::new(begin())), b""),
                frame(channel, &end, b""),
            ]
            .concat()
        })
        .collect();
    let mut scene = Scene::new();
    let mut reads = peer(&scene);
    assert!(flood(&mut reads, &frames, 1));
    scene.stays_small();
    let mut reads_not = peer(&scene);
    flood_unread(&mut reads_not, &frames, 1);
    scene.stays_small();
    reads.vanish();
    reads_not.vanish();
    scene.ends_well();
}

#[test]
fn class_8_churn_of_connections() {
    let mut scene = Scene::new();
    for number in 0..1500 {
        let peer = match number % 3 {
            0 => Peer::silent(&scene.router),
            1 => Peer::opened(&scene.router),
            _ => peer(&scene),
        };
        peer.vanish();
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_5_a_delivery_of_too_many_transfers_detaches_its_link() {
    let mut scene = Scene::new();
    let consumer = Peer::consuming(&scene.router, "crumbs", 10);
    let reader = consumer.drain();
    let mut peer = Peer::producing(&scene.router, "crumbs");
    peer.produce(1, "crumbs");
    let mut pump = Pump::new(peer, 0);
    let crumb = Transfer {
        more: true,
        ..transfer(0, 0)
    };
    let mut told = None;
    while told.is_none() {
        assert!(pump.frame(&crumb, b"x"), "the window stays open");
        told = pump.detached.take();
    }
    assert_eq!(told.as_deref(), Some("amqp:resource-limit-exceeded"));
    pump.peer.is_alive();
    scene.stays_small();
    pump.peer.vanish();
    consumer.vanish();
    reader.join().unwrap();
    scene.ends_well();
}

#[test]
fn class_5_aborted_deliveries_leave_nothing() {
    let mut scene = Scene::new();
    let mut consumer = Peer::consuming(&scene.router, "aborted", WIDE);
    let reader = consumer.drain();
    let mut pump = Pump::producing(&scene.router, "aborted");
    for id in 0..200 {
        let begun = Transfer {
            more: true,
            ..transfer(0, id)
        };
        // Short ones are still held; long ones are on their way.
        for _ in 0..if id % 2 == 0 { 1 } else { 20 } {
            assert!(pump.frame(&begun, &message(15_000)));
        }
        let aborted = Transfer {
            aborted: true,
            ..transfer(0, id)
        };
        assert!(pump.frame(&aborted, b""));
    }
    pump.sent = 200;
    pump.send(&message(10), false, 1);
    scene.stays_small();
    consumer.send(0, &accepted(0, 1000));
    pump.peer.vanish();
    consumer.vanish();
    reader.join().unwrap();
    scene.ends_well();
}
