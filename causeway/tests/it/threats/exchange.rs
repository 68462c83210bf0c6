//! The client that has nothing to do with any of it: it sends a message, receives it, accepts it
//! and hears of that, over and over, on connections of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use amqp_codec::{DeliveryState, Performative};

use super::peer::{Peer, flow_of_link, message};
use crate::harness::{PATIENCE, Router};

/// Rounds that show that the exchange goes on.
const ROUNDS: u64 = 10;

/// How often a wait looks.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// An exchange that runs in a thread.
pub(crate) struct Exchange {
    rounds: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Exchange {
    /// Begins. Two connections, so that both workers of a router of two take part.
    pub(crate) fn start(router: &Router) -> Self {
        let mut consumer = Peer::consuming(router, "steady", 1);
        let mut producer = Peer::producing(router, "steady");
        let (rounds, over) = (Arc::default(), Arc::default());
        let exchange = (Arc::clone(&rounds), Arc::clone(&over));
        let run = move || exchange_until_over(&mut producer, &mut consumer, &exchange);
        let thread = Some(thread::Builder::new().spawn(run).unwrap());
        Self {
            rounds,
            over,
            thread,
        }
    }

    /// Waits until it has gone on for some rounds.
    pub(crate) fn goes_on(&self) {
        let wanted = self.rounds.load(Ordering::Relaxed) + ROUNDS;
        wait_until("the steady exchange goes on", || {
            let over = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            assert!(!over, "the steady exchange has failed");
            self.rounds.load(Ordering::Relaxed) >= wanted
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            thread::panicking() || matches!(ended, Some(Ok(()))),
            "the steady exchange has failed"
        );
    }
}

fn exchange_until_over(
    producer: &mut Peer,
    consumer: &mut Peer,
    (rounds, over): &(Arc<AtomicU64>, Arc<AtomicBool>),
) {
    let mut round = 0;
    while !over.load(Ordering::Relaxed) {
        let sent = message(100);
        producer.deliver(0, round, &sent);
        let (id, received) = consumer.message();
        // Annotations may stand before it.
        assert!(received.ends_with(&sent), "{received:?}");
        consumer.send(0, &flow_of_link(0, round + 1, 1));
        consumer.accept(id);
        let (_, told, _) =
            producer.until(|performative| matches!(performative, Performative::Disposition(_)));
        let Performative::Disposition(told) = told else {
            continue;
        };
        assert_eq!(
            (told.first, told.state, told.settled),
            (round, Some(DeliveryState::Accepted), true)
        );
        round += 1;
        rounds.store(u64::from(round), Ordering::Relaxed);
        // Steady, not greedy: what is tested needs the processor too.
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until something is so; gives up when patience ends.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let looks = PATIENCE.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        if is_so() {
            return;
        }
        thread::sleep(LOOK);
    }
    panic!("in vain waited until {what}");
}
