//! Messages as the log shows them.

use amqp_codec::message::{
    Depth, MessageBuilder, MessageParts, Properties, describe_message, gather, scan,
};
use amqp_codec::{Map, Timestamp, Value};
use bytes::Bytes;

const LIMIT: usize = 2048;

fn time(millis: i64) -> String {
    format!("{millis} ms")
}

/// Properties and application properties of a message.
fn sections(message: &Bytes) -> (Bytes, Bytes) {
    let chunks = [message.clone()];
    let sections = scan(&chunks, Depth::ApplicationProperties).unwrap();
    let section = |range: &Option<std::ops::Range<u32>>| {
        range
            .as_ref()
            .map_or_else(Bytes::new, |range| gather(&chunks, range))
    };
    (
        section(&sections.properties),
        section(&sections.application_properties),
    )
}

fn shown(parts: &str, message: &Bytes) -> String {
    let (properties, application) = sections(message);
    let parts = MessageParts::from_list(parts).unwrap();
    describe_message(parts, &properties, &application, LIMIT, &time)
}

fn map(entries: Vec<(Value, Value)>) -> Map {
    entries.into_iter().collect()
}

/// A message with everything that has a part of its own.
fn full() -> Bytes {
    let properties = Properties {
        message_id: Some("123455".into()),
        user_id: Some(Bytes::from_static(b"test\xffuser")),
        to: Some("orders".into()),
        subject: Some("a \"subject\"".into()),
        reply_to: Some("hello_world".into()),
        correlation_id: Some(89_u64.into()),
        content_type: Some("text/html; charset=utf-8".into()),
        content_encoding: Some("gzip".into()),
        absolute_expiry_time: None,
        creation_time: Some(Timestamp(1_487_772_623_883)),
        group_id: Some("group1".into()),
        group_sequence: Some(0),
        reply_to_group_id: Some("group0".into()),
    };
    let numbers = Value::List(vec![10.into(), (-20).into(), 1.5_f64.into(), Value::Null]);
    let inner = map(vec![(true.into(), Value::Uuid([7; 16]))]);
    let application = map(vec![
        ("list".into(), numbers),
        ("some-other".into(), Value::symbol("O_one")),
        ("inner".into(), inner.into()),
        ("none".into(), Map::default().into()),
    ]);
    MessageBuilder::new()
        .properties(properties)
        .application_properties(application)
        .value("the body is nobody's business")
        .build()
}

#[test]
fn all_parts_stand_in_the_order_and_notation_that_readers_know() {
    let expected = [
        "Message{message-id=\"123455\"",
        "user-id=b\"test\\ffuser\"",
        "to=\"orders\"",
        "subject=\"a \\22subject\\22\"",
        "reply-to=\"hello_world\"",
        "correlation-id=89",
        "content-type=:\"text/html; charset=utf-8\"",
        "content-encoding=:\"gzip\"",
        "creation-time=\"1487772623883 ms\"",
        "group-id=\"group1\"",
        "group-sequence=0",
        "reply-to-group-id=\"group0\"",
        "app-properties={\"list\"=[10, -20, 1.5, null]",
        "\"some-other\"=:\"O_one\"",
        "\"inner\"={true=UUID(07070707-0707-0707-0707-070707070707)}",
        "\"none\"={}}}",
    ];
    assert_eq!(shown("all", &full()), expected.join(", "));
}

#[test]
fn only_what_was_asked_for_and_is_there_is_shown() {
    let message = full();
    assert_eq!(
        shown("reply-to-group-id, absolute-expiry-time,reply-to", &message),
        "Message{reply-to=\"hello_world\", reply-to-group-id=\"group0\"}"
    );
    assert_eq!(shown("none", &message), "Message{}");
    let bare = MessageBuilder::new().data("x").build();
    assert_eq!(shown("all", &bare), "Message{}");
    let application = map(vec![("n".into(), 7_u32.into())]);
    let message = MessageBuilder::new()
        .application_properties(application)
        .build();
    assert_eq!(shown("to", &message), "Message{}");
    assert_eq!(shown("all", &message), "Message{app-properties={\"n\"=7}}");
}

#[test]
fn a_list_of_parts_is_read_or_the_wrong_name_is_told() {
    assert_eq!(MessageParts::from_list("all"), Ok(MessageParts::ALL));
    assert_eq!(MessageParts::from_list("none"), Ok(MessageParts::NONE));
    let each = MessageParts::names().join(",");
    assert_eq!(MessageParts::from_list(&each), Ok(MessageParts::ALL));
    for (list, wrong) in [
        ("to,subjekt", "subjekt"),
        ("all,to", "all"),
        ("to,,subject", ""),
        ("Subject", "Subject"),
    ] {
        assert_eq!(MessageParts::from_list(list), Err(wrong));
    }
}

#[test]
fn a_line_is_bounded_and_says_that_something_is_missing() {
    let long = "y".repeat(10_000);
    let properties = Properties {
        subject: Some(long.into()),
        reply_to: Some("behind".into()),
        ..Properties::default()
    };
    let (properties, _) = sections(&MessageBuilder::new().properties(properties).build());
    let show = |section: &Bytes, limit| {
        describe_message(MessageParts::ALL, section, &Bytes::new(), limit, &time)
    };
    let line = show(&properties, 100);
    let text = format!("Message{{subject=\"{}\"...}}", "y".repeat(83));
    assert_eq!(line, text);
    let cut = properties.slice(..60);
    let line = show(&cut, LIMIT);
    assert!(line.ends_with("yyyy\"...}"), "{line}");
}

#[test]
fn however_sections_are_cut_off_what_is_there_is_shown() {
    let (properties, application) = sections(&full());
    let whole = shown("all", &full());
    let mut longest = 0;
    for end in 0..application.len() {
        let cut = application.slice(..end);
        let line = describe_message(MessageParts::ALL, &properties, &cut, LIMIT, &time);
        assert!(
            line.ends_with('}') && line.len() <= whole.len() + 4,
            "{line}"
        );
        let shown = line.trim_end_matches('}').trim_end_matches("...");
        let shown = shown.trim_end_matches('"');
        assert!(whole.starts_with(shown), "{line}");
        longest = longest.max(shown.len());
    }
    assert!(longest > whole.len() - 20);
    for end in 1..properties.len() {
        let cut = properties.slice(..end);
        let line = describe_message(MessageParts::ALL, &cut, &application, LIMIT, &time);
        assert!(line.contains("...}"), "{line}");
    }
}
