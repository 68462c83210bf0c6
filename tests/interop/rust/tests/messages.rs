//! What the client puts into a message comes out of the router the same.

use causeway_interop::{Router, soon};
use fe2o3_amqp::Sendable;
use fe2o3_amqp::types::messaging::{
    AmqpSequence, AmqpValue, ApplicationProperties, Batch, Body, Data, DeliveryAnnotations, Footer,
    Header, Message, MessageAnnotations, MessageId, Priority, Properties,
};
use fe2o3_amqp::types::primitives::{
    Array, Binary, Dec32, Dec64, Dec128, OrderedMap, SimpleValue, Symbol, Timestamp, Uuid, Value,
};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;

fn map(pairs: Vec<(Value, Value)>) -> Value {
    let mut map = OrderedMap::new();
    for (key, value) in pairs {
        map.insert(key, value);
    }
    Value::Map(map)
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn values() -> Vec<Value> {
    let described = Described {
        descriptor: Descriptor::Name(Symbol::from("example:thing")),
        value: Value::List(vec![Value::Int(1), text("x")]),
    };
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Bool(false),
        Value::Ubyte(200),
        Value::Ushort(60_000),
        Value::Uint(0),
        Value::Uint(255),
        Value::Uint(u32::MAX),
        Value::Ulong(0),
        Value::Ulong(255),
        Value::Ulong(u64::MAX),
        Value::Byte(-100),
        Value::Short(i16::MIN),
        Value::Int(-1),
        Value::Int(i32::MIN),
        Value::Long(-1),
        Value::Long(i64::MIN),
        Value::Float(0.5.into()),
        Value::Float(f32::NEG_INFINITY.into()),
        Value::Double(std::f64::consts::PI.into()),
        Value::Decimal32(Dec32::from([0x22, 0x50, 0, 1])),
        Value::Decimal64(Dec64::from([0x22, 0x34, 0, 0, 0, 0, 0, 1])),
        Value::Decimal128(Dec128::from([7; 16])),
        Value::Char('漢'),
        Value::Timestamp(Timestamp::from_milliseconds(1_700_000_000_123)),
        Value::Uuid(Uuid::from([9; 16])),
        Value::Binary(Binary::from(vec![])),
        Value::Binary(Binary::from(vec![0, 255, 128])),
        Value::Binary(Binary::from(vec![5; 300])),
        text(""),
        text("aé漢字🚀"),
        text(&"x".repeat(70_000)),
        Value::Symbol(Symbol::from("some:symbol")),
        Value::List(vec![]),
        Value::List(vec![
            Value::Int(1),
            Value::Null,
            Value::List(vec![text("deep")]),
        ]),
        Value::List(vec![Value::Int(7); 5000]),
        map(vec![]),
        map(vec![(text("k"), map(vec![(Value::Int(1), Value::Null)]))]),
        Value::Array(Array::from(vec![Value::Int(1), Value::Int(300_000)])),
        Value::Array(Array::from(vec![text("a"), text("")])),
        Value::Described(Box::new(described)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_type_as_a_body() {
    let router = Router::start();
    let mut client = router.client().await;
    let mut receiver = client.receiver("rust.types").await;
    let mut sender = client.sender("rust.types").await;
    for value in values() {
        let sent = sender.send_batchable(AmqpValue(value.clone())).await;
        let outcome = sent.expect("sent");
        let delivery = soon(receiver.recv::<AmqpValue<Value>>())
            .await
            .expect("a message");
        receiver.accept(&delivery).await.expect("accepted");
        assert_eq!(delivery.body().0, value);
        assert!(soon(outcome).await.expect("an outcome").is_accepted());
    }
    client.close().await;
}

fn full_message() -> Message<Body<Value>> {
    Message {
        header: Some(Header {
            durable: true,
            priority: Priority(7),
            ttl: Some(30_000),
            first_acquirer: true,
            delivery_count: 3,
        }),
        delivery_annotations: Some(
            DeliveryAnnotations::builder()
                .insert(Symbol::from("x-d"), Value::Int(1))
                .build(),
        ),
        message_annotations: Some(
            MessageAnnotations::builder()
                .insert(
                    Symbol::from("x-m"),
                    Value::List(vec![text("m"), Value::Null]),
                )
                .build(),
        ),
        properties: Some(Properties {
            message_id: Some(MessageId::from("id".to_owned())),
            user_id: Some(Binary::from(b"guest".to_vec())),
            to: Some("rust.fields".to_owned()),
            subject: Some("subject".to_owned()),
            reply_to: Some("reply".to_owned()),
            correlation_id: Some(MessageId::Ulong(u64::MAX)),
            content_type: Some(Symbol::from("text/plain")),
            content_encoding: Some(Symbol::from("gzip")),
            absolute_expiry_time: Some(Timestamp::from_milliseconds(1_700_000_000_000)),
            creation_time: Some(Timestamp::from_milliseconds(1_600_000_000_000)),
            group_id: Some("group".to_owned()),
            group_sequence: Some(u32::MAX),
            reply_to_group_id: Some("reply-group".to_owned()),
        }),
        application_properties: Some(
            ApplicationProperties::builder()
                .insert("number", 1)
                .insert("text", "t")
                .insert("nothing", SimpleValue::Null)
                .build(),
        ),
        body: Body::Value(AmqpValue(text("body"))),
        footer: Some(
            Footer::builder()
                .insert(Symbol::from("x-f"), Value::Bool(true))
                .build(),
        ),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_section_and_field() {
    let router = Router::start();
    let mut client = router.client().await;
    let mut receiver = client.receiver("rust.fields").await;
    let mut sender = client.sender("rust.fields").await;
    let sequence = |value| AmqpSequence(vec![Value::Int(value), Value::Null]);
    let bodies = [
        Body::Value(AmqpValue(text("body"))),
        Body::Value(AmqpValue(Value::Null)),
        Body::Data(Batch::new(vec![Data(Binary::from(b"one".to_vec()))])),
        Body::Data(Batch::new(vec![
            Data(Binary::from(b"one".to_vec())),
            Data(Binary::from(vec![])),
            Data(Binary::from(vec![3; 1000])),
        ])),
        Body::Sequence(Batch::new(vec![sequence(1), sequence(2)])),
    ];
    for body in bodies {
        let message = Message {
            body,
            ..full_message()
        };
        let outcome = sender.send_batchable(message.clone()).await.expect("sent");
        let delivery = soon(receiver.recv::<Body<Value>>())
            .await
            .expect("a message");
        receiver.accept(&delivery).await.expect("accepted");
        assert_eq!(*delivery.message(), message);
        assert!(soon(outcome).await.expect("an outcome").is_accepted());
    }
    client.close().await;
}

async fn passes_sizes(settled: bool) {
    let router = Router::start();
    let mut producer = router.client().await;
    let mut consumer = router.client().await;
    let mut receiver = consumer.receiver("rust.sizes").await;
    let mut sender = producer.sender("rust.sizes").await;
    for size in [
        0,
        1,
        255,
        256,
        511,
        512,
        16_384,
        131_073,
        1 << 20,
        16 << 20,
        64 << 20,
    ] {
        let content: Vec<u8> = (0..=250).cycle().take(size).collect();
        let sendable = Sendable::builder()
            .message(Message::from(Data(Binary::from(content.clone()))))
            .settled(settled)
            .build();
        let (sent, received) = tokio::join!(soon(sender.send(sendable)), async {
            let delivery = soon(receiver.recv::<Data>()).await.expect("a message");
            receiver.accept(&delivery).await.expect("accepted");
            delivery
        });
        assert!(sent.expect("an outcome").is_accepted());
        assert!(
            received.body().0.as_slice() == content,
            "{size} bytes differ"
        );
    }
    producer.close().await;
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sizes_up_to_64_mib() {
    passes_sizes(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sizes_up_to_64_mib_presettled() {
    passes_sizes(true).await;
}
