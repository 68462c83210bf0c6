//! How a router ends.

use std::os::unix::process::ExitStatusExt as _;

use amqp_codec::{DeliveryState, Performative};

use crate::harness::{Router, contains, read_to_end};
use crate::threats::peer::{Peer, flow_of_link, message, told};

#[test]
fn a_request_to_terminate_closes_connections_with_a_reason() {
    for signal in ["TERM", "QUIT"] {
        let mut router = Router::start("");
        let mut stream = router.open();
        router.signal(signal);
        let last_words = read_to_end(&mut stream);
        assert!(contains(&last_words, b"amqp:connection:forced"));
        drop(stream);
        assert_eq!(router.wait().code(), Some(0));
        assert!(
            router
                .log
                .iter()
                .any(|line| line.ends_with("SERVER (notice) Shut Down"))
        );
    }
}

#[test]
fn an_interrupt_ends_the_process_by_the_signal() {
    let mut router = Router::start("");
    router.signal("INT");
    assert_eq!(router.wait().signal(), Some(2));
}

#[test]
fn a_hang_up_ends_nothing() {
    let mut router = Router::start("");
    router.signal("HUP");
    router.wait_for("Reload: 0 changes in force");
    router.pass("q", "still here");
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn what_is_in_flight_may_settle_before_the_end() {
    // The router gives two seconds; where the machine held this process up for longer, nothing can
    // be said.
    let mut scenes = std::iter::repeat_with(settles_in_time).take(5);
    assert!(scenes.any(|in_time| in_time));
}

/// Two messages are with their consumer and a third waits for credit when the router is asked to
/// terminate. False if it ended before the consumer had answered for all.
fn settles_in_time() -> bool {
    let mut router = Router::start("");
    let mut consumer = Peer::consuming(&router, "q", 2);
    let mut producer = Peer::producing(&router, "q");
    for id in 0..3 {
        producer.deliver(0, id, &message(10));
    }
    let sent = [consumer.message().0, consumer.message().0];
    producer.is_alive();
    router.signal("TERM");
    producer.until(|performative| matches!(performative, Performative::Flow(flow) if flow.drain));
    for id in sent {
        consumer.accept(id);
    }
    consumer.send(0, &flow_of_link(0, 2, 1));
    let mut late = 0;
    let consumer_told = consumer.until_dropped(|consumer, performative| {
        if let Performative::Transfer(transfer) = performative {
            consumer.accept(transfer.delivery_id.unwrap());
            late += 1;
        }
    });
    let mut accepted = Vec::new();
    let producer_told = producer.until_dropped(|_, performative| {
        if let Performative::Disposition(told) = performative
            && told.settled
            && told.state == Some(DeliveryState::Accepted)
        {
            accepted.extend(told.first..=told.last.unwrap_or(told.first));
        }
    });
    assert_eq!(router.wait().code(), Some(0));
    let forced = told("close", "amqp:connection:forced");
    assert_eq!(
        (consumer_told, producer_told),
        (Some(forced.clone()), Some(forced))
    );
    accepted.sort_unstable();
    if late == 1 {
        assert!(accepted.starts_with(&[0, 1]), "{accepted:?}");
    }
    accepted == [0, 1, 2]
}
