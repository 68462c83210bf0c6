//! Request and response, anonymous senders, distribution, management, many sessions and links.

use causeway_interop::{Client, Router, reference, soon};
use fe2o3_amqp::types::definitions::{AmqpError, ErrorCondition};
use fe2o3_amqp::types::messaging::annotations::OwnedKey;
use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Message, MessageId, Outcome, Properties, Source, Target,
};
use fe2o3_amqp::types::primitives::{OrderedMap, SimpleValue, Value};
use fe2o3_amqp::{Receiver, Sender, Session};

async fn dynamic(client: &mut Client) -> (Receiver, String) {
    let receiver = Receiver::builder()
        .name(client.name())
        .source(Source::builder().dynamic(true).build())
        .attach(&mut client.session)
        .await
        .expect("an Attach");
    let source = receiver.source().as_ref().expect("a source");
    let address = source.address.clone().expect("an address");
    (receiver, address)
}

async fn anonymous(client: &mut Client) -> Sender {
    Sender::builder()
        .name(client.name())
        .target(Target::default())
        .attach(&mut client.session)
        .await
        .expect("an Attach")
}

fn to(address: &str, body: i32) -> Message<AmqpValue<i32>> {
    Message::builder()
        .properties(Properties::builder().to(address).build())
        .value(body)
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn request_and_response() {
    let router = Router::start();
    let mut server = router.client().await;
    let mut requests = server.receiver("rust.service").await;
    let mut responses = anonymous(&mut server).await;
    let mut client = router.client().await;
    let (mut replies, reply_to) = dynamic(&mut client).await;
    assert!(
        reply_to.starts_with("amqp:/_topo/0/Interop/temp."),
        "{reply_to}"
    );
    let mut sender = client.sender("rust.service").await;
    for number in 0..50_u64 {
        let request = Message::builder()
            .properties(
                Properties::builder()
                    .reply_to(reply_to.clone())
                    .correlation_id(number)
                    .build(),
            )
            .value(number)
            .build();
        let outcome = sender.send_batchable(request).await.expect("sent");
        let request = soon(requests.recv::<AmqpValue<u64>>())
            .await
            .expect("a request");
        requests.accept(&request).await.expect("told");
        assert!(soon(outcome).await.expect("an outcome").is_accepted());
        let asked = request.message().properties.clone().expect("properties");
        let response = Message::builder()
            .properties(
                Properties::builder()
                    .to(asked.reply_to.expect("a reply address"))
                    .correlation_id(asked.correlation_id.expect("a correlation"))
                    .build(),
            )
            .value(request.body().0 * 2)
            .build();
        let outcome = responses.send_batchable(response).await.expect("sent");
        let reply = soon(replies.recv::<AmqpValue<u64>>())
            .await
            .expect("a reply");
        replies.accept(&reply).await.expect("told");
        assert!(soon(outcome).await.expect("an outcome").is_accepted());
        let told = reply.message().properties.clone().expect("properties");
        assert_eq!(told.correlation_id, Some(MessageId::Ulong(number)));
        assert_eq!(reply.body().0, number * 2);
    }
    client.close().await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_anonymous_sender() {
    let router = Router::start();
    let mut client = router.client().await;
    let mut receiver = client.receiver("rust.anonymous").await;
    let mut sender = anonymous(&mut client).await;
    let outcome = sender
        .send_batchable(to("rust.anonymous", 1))
        .await
        .expect("sent");
    let delivery = soon(receiver.recv::<i32>()).await.expect("a message");
    receiver.accept(&delivery).await.expect("told");
    assert!(soon(outcome).await.expect("an outcome").is_accepted());
    let unknown = soon(sender.send(to("rust.nobody", 1))).await;
    assert!(unknown.expect("an outcome").is_released());
    for (message, condition) in [
        (to("unavailable.x", 1), AmqpError::NotFound),
        (Message::from(AmqpValue(1)), AmqpError::PreconditionFailed),
    ] {
        match soon(sender.send(message)).await.expect("an outcome") {
            Outcome::Rejected(rejected) => {
                let error = rejected.error.expect("an error");
                assert_eq!(error.condition, ErrorCondition::AmqpError(condition));
            }
            other => panic!("{other:?}"),
        }
    }
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_copy_for_everyone() {
    let router = Router::start();
    let mut consumers = Vec::new();
    for _ in 0..5 {
        let mut consumer = router.client().await;
        let receiver = consumer.receiver("multicast.rust").await;
        consumers.push((consumer, receiver));
    }
    let mut producer = router.client().await;
    let mut sender = producer.sender("multicast.rust").await;
    for number in 0..20_i32 {
        let outcome = sender.send_batchable(number).await.expect("sent");
        for (_, receiver) in &mut consumers {
            let delivery = soon(receiver.recv::<i32>()).await.expect("a copy");
            assert_eq!(*delivery.body(), number);
            receiver.accept(&delivery).await.expect("told");
        }
        assert!(soon(outcome).await.expect("an outcome").is_accepted());
    }
    producer.close().await;
    for (consumer, _) in consumers {
        consumer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn consumers_take_turns() {
    let router = Router::start();
    let mut producer = router.client().await;
    for distribution in ["closest", "balanced"] {
        let address = format!("{distribution}.rust");
        let mut consumer = router.client().await;
        let mut receivers = Vec::new();
        for _ in 0..4 {
            receivers.push(consumer.receiver(&address).await);
        }
        let mut sender = producer.sender(&address).await;
        let mut outcomes = Vec::new();
        for number in 0..40_i32 {
            outcomes.push(sender.send_batchable(number).await.expect("sent"));
        }
        // Nothing is settled before everything has come: who settles early has the least
        // unsettled, and a balanced address gives them the messages not routed yet.
        let mut shares = Vec::new();
        for receiver in &mut receivers {
            let mut share = Vec::new();
            for _ in 0..10 {
                share.push(soon(receiver.recv::<i32>()).await.expect("a share"));
            }
            shares.push(share);
        }
        for (receiver, share) in receivers.iter_mut().zip(&shares) {
            for delivery in share {
                receiver.accept(delivery).await.expect("told");
            }
        }
        for outcome in outcomes {
            assert!(soon(outcome).await.expect("an outcome").is_accepted());
        }
        soon(sender.close()).await.expect("a Detach");
        consumer.close().await;
    }
    producer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn annotations_by_listener() {
    let router = Router::start();
    let mut keeping = router.client_at("PORT_NO").await;
    let mut stripping = router.client().await;
    let mut kept = keeping.receiver("multicast.annotated").await;
    let mut stripped = stripping.receiver("multicast.annotated").await;
    let mut sender = stripping.sender("multicast.annotated").await;
    let outcome = sender.send_batchable("x").await.expect("sent");
    let plain = soon(stripped.recv::<String>()).await.expect("a copy");
    stripped.accept(&plain).await.expect("told");
    assert_eq!(plain.message().message_annotations, None);
    let annotated = soon(kept.recv::<String>()).await.expect("a copy");
    kept.accept(&annotated).await.expect("told");
    let annotations = annotated.message().message_annotations.clone();
    let annotations = annotations.expect("annotations").0;
    assert_eq!(
        annotations.get(&OwnedKey::from("x-opt-qd.ingress")),
        Some(&Value::String("0/Interop".to_owned()))
    );
    assert!(soon(outcome).await.expect("an outcome").is_accepted());
    keeping.close().await;
    stripping.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn management_answers_a_query() {
    let router = Router::start();
    let mut client = router.client().await;
    let (mut replies, reply_to) = dynamic(&mut client).await;
    let mut sender = client.sender("$management").await;
    let mut body = OrderedMap::new();
    let names = |names: &[&str]| {
        Value::List(
            names
                .iter()
                .map(|&name| Value::String(name.to_owned()))
                .collect(),
        )
    };
    body.insert(
        Value::String("attributeNames".to_owned()),
        names(&["id", "mode"]),
    );
    let request = Message::builder()
        .properties(
            Properties::builder()
                .reply_to(reply_to)
                .correlation_id(7_u64)
                .build(),
        )
        .application_properties(
            ApplicationProperties::builder()
                .insert("operation", "QUERY")
                .insert("type", "org.amqp.management")
                .insert("name", "self")
                .insert("entityType", "org.apache.qpid.dispatch.router")
                .build(),
        )
        .value(Value::Map(body))
        .build();
    assert!(
        soon(sender.send(request))
            .await
            .expect("an outcome")
            .is_accepted()
    );
    let reply = soon(replies.recv::<AmqpValue<Value>>())
        .await
        .expect("a reply");
    let properties = reply
        .message()
        .application_properties
        .clone()
        .expect("a status");
    assert_eq!(properties.0.get("statusCode"), Some(&SimpleValue::Int(200)));
    let Value::Map(answer) = &reply.body().0 else {
        panic!("{:?}", reply.body());
    };
    let rows = Value::List(vec![names(&["Interop", "standalone"])]);
    assert_eq!(
        answer.get(&Value::String("results".to_owned())),
        Some(&rows)
    );
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn many_links_and_sessions() {
    let router = Router::start();
    let mut client = router.client().await;
    let mut sessions = Vec::new();
    for _ in 0..20 {
        sessions.push(
            soon(Session::begin(&mut client.connection))
                .await
                .expect("a Begin"),
        );
    }
    let mut links = Vec::new();
    for number in 0..200_usize {
        let address = format!("rust.many.{number}");
        let session = &mut sessions[number % 20];
        let receiver = Receiver::attach(session, format!("r{number}"), address.as_str());
        let receiver = soon(receiver).await.expect("an Attach");
        let sender = Sender::attach(session, format!("s{number}"), address.as_str());
        links.push((soon(sender).await.expect("an Attach"), receiver));
    }
    for (number, (sender, receiver)) in links.iter_mut().enumerate() {
        let number = u64::try_from(number).expect("a small number");
        let outcome = soon(sender.send_batchable(number)).await.expect("sent");
        let delivery = soon(receiver.recv::<u64>()).await.expect("a message");
        assert_eq!(*delivery.body(), number);
        receiver.accept(&delivery).await.expect("told");
        assert!(soon(outcome).await.expect("an outcome").is_accepted());
    }
    for mut session in sessions {
        soon(session.end()).await.expect("an End");
    }
    client.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn only_the_creator_of_a_dynamic_address_consumes() {
    let router = Router::start();
    let mut client = router.client().await;
    let (_replies, address) = dynamic(&mut client).await;
    let mut stranger = router.client().await;
    let attached = soon(Receiver::attach(&mut stranger.session, "r", address)).await;
    // The routers that Causeway replaces let anyone in.
    assert_eq!(attached.is_ok(), reference());
}
