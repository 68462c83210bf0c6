//! Outcomes, settlement, credit, drain and refusals.

use std::time::Duration;

use causeway_interop::{Client, Router, soon};
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::link::{ReceiverAttachError, SenderAttachError};
use fe2o3_amqp::types::definitions::{
    AmqpError, Error, ErrorCondition, Fields, ReceiverSettleMode, SenderSettleMode,
};
use fe2o3_amqp::types::messaging::{Modified, Outcome};
use fe2o3_amqp::types::primitives::{Symbol, Value};
use fe2o3_amqp::{Delivery, Receiver, Sender};
use tokio::time::timeout;

async fn two_clients(router: &Router) -> (Client, Client) {
    (router.client().await, router.client().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_outcome() {
    let router = Router::start();
    let (mut producer, mut consumer) = two_clients(&router).await;
    let mut receiver = consumer.receiver("rust.outcomes").await;
    let mut sender = producer.sender("rust.outcomes").await;
    let mut info = Fields::new();
    info.insert(Symbol::from("retry-after"), Value::Int(5));
    let error = Error::new(
        ErrorCondition::Custom(Symbol::from("example:no")),
        Some("not like this".to_owned()),
        Some(info.clone()),
    );
    let modified = Modified {
        delivery_failed: Some(true),
        undeliverable_here: Some(true),
        message_annotations: Some(info),
    };

    let outcome = sender.send_batchable("accepted").await.expect("sent");
    let delivery = soon(receiver.recv::<String>()).await.expect("a message");
    receiver.accept(&delivery).await.expect("told");
    assert!(soon(outcome).await.expect("an outcome").is_accepted());

    let outcome = sender.send_batchable("rejected").await.expect("sent");
    let delivery = soon(receiver.recv::<String>()).await.expect("a message");
    receiver
        .reject(&delivery, error.clone())
        .await
        .expect("told");
    match soon(outcome).await.expect("an outcome") {
        Outcome::Rejected(rejected) => assert_eq!(rejected.error, Some(error)),
        other => panic!("{other:?}"),
    }

    let outcome = sender.send_batchable("released").await.expect("sent");
    let delivery = soon(receiver.recv::<String>()).await.expect("a message");
    receiver.release(&delivery).await.expect("told");
    assert!(soon(outcome).await.expect("an outcome").is_released());

    let outcome = sender.send_batchable("modified").await.expect("sent");
    let delivery = soon(receiver.recv::<String>()).await.expect("a message");
    receiver
        .modify(&delivery, modified.clone())
        .await
        .expect("told");
    match soon(outcome).await.expect("an outcome") {
        Outcome::Modified(told) => assert_eq!(told, modified),
        other => panic!("{other:?}"),
    }
    producer.close().await;
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_disposition_for_many_deliveries() {
    let router = Router::start();
    let (mut producer, mut consumer) = two_clients(&router).await;
    let mut receiver = consumer.receiver("rust.range").await;
    let mut sender = producer.sender("rust.range").await;
    let mut outcomes = Vec::new();
    for number in 0..100_i32 {
        outcomes.push(sender.send_batchable(number).await.expect("sent"));
    }
    let mut deliveries = Vec::new();
    for number in 0..100_i32 {
        let delivery = soon(receiver.recv::<i32>()).await.expect("a message");
        assert_eq!(*delivery.body(), number);
        deliveries.push(delivery);
    }
    receiver.accept_all(&deliveries).await.expect("told");
    for outcome in outcomes {
        assert!(soon(outcome).await.expect("an outcome").is_accepted());
    }
    producer.close().await;
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn all_settle_modes() {
    let router = Router::start();
    let (mut producer, mut consumer) = two_clients(&router).await;
    for sends in [
        SenderSettleMode::Unsettled,
        SenderSettleMode::Settled,
        SenderSettleMode::Mixed,
    ] {
        for receives in [ReceiverSettleMode::First, ReceiverSettleMode::Second] {
            let address = format!("rust.modes.{sends:?}.{receives:?}");
            let mut receiver = Receiver::builder()
                .name(consumer.name())
                .source(address.as_str())
                .receiver_settle_mode(receives.clone())
                .attach(&mut consumer.session)
                .await
                .expect("an Attach");
            let mut sender = Sender::builder()
                .name(producer.name())
                .target(address.as_str())
                .sender_settle_mode(sends.clone())
                .attach(&mut producer.session)
                .await
                .expect("an Attach");
            for number in 0..5_i32 {
                let outcome = sender.send_batchable(number).await.expect("sent");
                let delivery = soon(receiver.recv::<i32>()).await.expect("a message");
                assert_eq!(*delivery.body(), number);
                receiver.accept(&delivery).await.expect("told");
                assert!(soon(outcome).await.expect("an outcome").is_accepted());
            }
            soon(sender.close()).await.expect("a Detach");
            soon(receiver.close()).await.expect("a Detach");
        }
    }
    producer.close().await;
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn many_messages_in_order() {
    let router = Router::start();
    let (mut producer, mut consumer) = two_clients(&router).await;
    let mut receiver = consumer.receiver("rust.order").await;
    let mut sender = producer.sender("rust.order").await;
    let sending = async {
        let mut outcomes = Vec::new();
        for number in 0..5000_i32 {
            outcomes.push(soon(sender.send_batchable(number)).await.expect("sent"));
        }
        for outcome in outcomes {
            assert!(soon(outcome).await.expect("an outcome").is_accepted());
        }
    };
    let receiving = async {
        for number in 0..5000_i32 {
            let delivery = soon(receiver.recv::<i32>()).await.expect("a message");
            assert_eq!(*delivery.body(), number);
            receiver.accept(&delivery).await.expect("told");
        }
    };
    tokio::join!(sending, receiving);
    producer.close().await;
    consumer.close().await;
}

/// Grants credit until something comes: the client does not tell when a drain has ended, and credit
/// granted before that counts from before the drain.
async fn first_after_drain(receiver: &mut Receiver, credit: u32) -> Delivery<i32> {
    soon(async {
        loop {
            receiver.set_credit(credit).await.expect("a Flow");
            let arrived = timeout(Duration::from_millis(100), receiver.recv::<i32>());
            if let Ok(delivery) = arrived.await {
                return delivery.expect("a message");
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn credit_by_hand_and_drain() {
    let router = Router::start();
    let (mut producer, mut consumer) = two_clients(&router).await;
    let mut receiver = Receiver::builder()
        .name(consumer.name())
        .source("rust.credit")
        .credit_mode(CreditMode::Manual)
        .attach(&mut consumer.session)
        .await
        .expect("an Attach");
    let mut sender = producer.sender("rust.credit").await;
    receiver.set_credit(10).await.expect("a Flow");
    receiver.drain().await.expect("a Flow");
    // A round trip behind the drain.
    soon(consumer.receiver("rust.barrier").await.close())
        .await
        .expect("a Detach");
    let mut outcomes = Vec::new();
    for number in 0..6_i32 {
        outcomes.push(sender.send_batchable(number).await.expect("sent"));
    }
    let delivery = first_after_drain(&mut receiver, 2).await;
    assert_eq!(*delivery.body(), 0);
    receiver.accept(&delivery).await.expect("told");
    let delivery = soon(receiver.recv::<i32>()).await.expect("a message");
    assert_eq!(*delivery.body(), 1);
    receiver.accept(&delivery).await.expect("told");
    receiver.set_credit(4).await.expect("a Flow");
    for number in 2..6_i32 {
        let delivery = soon(receiver.recv::<i32>()).await.expect("a message");
        assert_eq!(*delivery.body(), number);
        receiver.accept(&delivery).await.expect("told");
    }
    for outcome in outcomes {
        assert!(soon(outcome).await.expect("an outcome").is_accepted());
    }
    producer.close().await;
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lost_consumer() {
    let router = Router::start();
    let (mut producer, mut consumer) = two_clients(&router).await;
    let mut receiver = Receiver::builder()
        .name(consumer.name())
        .source("rust.lost")
        .credit_mode(CreditMode::Manual)
        .attach(&mut consumer.session)
        .await
        .expect("an Attach");
    let mut sender = producer.sender("rust.lost").await;
    receiver.set_credit(2).await.expect("a Flow");
    let mut outcomes = Vec::new();
    for number in 0..6_i32 {
        outcomes.push(sender.send_batchable(number).await.expect("sent"));
    }
    for _ in 0..2 {
        soon(receiver.recv::<i32>()).await.expect("a message");
    }
    soon(receiver.close()).await.expect("a Detach");
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let outcome = soon(outcome).await.expect("an outcome");
        assert_eq!(outcome.is_modified(), number < 2, "{number}: {outcome:?}");
        assert_eq!(outcome.is_released(), number >= 2, "{number}: {outcome:?}");
    }
    producer.close().await;
    consumer.close().await;
}

/// What the client makes of a refusal. It loses the router's reason when attach and detach arrive
/// together, and the session is no good for more links then; so each link has a client of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn refused_links() {
    let router = Router::start();
    let not_found = ErrorCondition::AmqpError(AmqpError::NotFound);
    let mut client = router.client().await;
    let refused = soon(Sender::attach(&mut client.session, "s", "unavailable.s")).await;
    match refused {
        Err(SenderAttachError::RemoteClosedWithError(error)) => {
            assert_eq!(error.condition, not_found);
            assert_eq!(error.description.as_deref(), Some("Node not found"));
        }
        other => assert!(other.is_err()),
    }
    let mut client = router.client().await;
    let refused = soon(Receiver::attach(&mut client.session, "r", "unavailable.r")).await;
    match refused {
        Err(ReceiverAttachError::RemoteClosedWithError(error)) => {
            assert_eq!(error.condition, not_found);
        }
        other => assert!(other.is_err()),
    }
}
