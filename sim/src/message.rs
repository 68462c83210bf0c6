//! The messages of the simulator: each names itself by a number, and every byte of it follows from
//! what its maker chose, so whoever gets it can tell whether it is still what it was.

use amqp_codec::message::{
    Depth, Header, MessageBuilder, Properties, RouterAnnotations, parse, scan_one, split,
};
use amqp_codec::{Map, Str, Value};
use bytes::{BufMut as _, Bytes, BytesMut};

use crate::random::Random;

/// What a message is to say besides its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) to: Option<String>,
    pub(crate) reply_to: Option<String>,
    /// The request that it answers.
    pub(crate) answers: Option<u64>,
    /// It has a header, user annotations, and perhaps says that it is a stream.
    pub(crate) ornate: bool,
    pub(crate) priority: u8,
    pub(crate) stream: bool,
}

/// What the reader of a message can do with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) reply_to: Option<String>,
    pub(crate) answers: Option<u64>,
}

/// Makes a message.
pub(crate) fn make(number: u64, size: usize, head: &Head, random: &mut Random) -> Bytes {
    let mut body = BytesMut::with_capacity(size + 8);
    body.put_u64(number);
    body.put_bytes(number.to_be_bytes()[7], size);
    let mut builder = MessageBuilder::new();
    if head.ornate {
        builder = builder.header(Header {
            durable: random.one_in(2),
            priority: head.priority,
            ..Header::default()
        });
        let mut annotations = Map::new();
        annotations.push(Value::symbol("x-opt-user"), Value::Ulong(number));
        if head.stream {
            annotations.push(Value::symbol("x-opt-qd.stream"), Value::Int(1));
        }
        builder = builder.message_annotations(annotations);
    }
    if head.to.is_some() || head.reply_to.is_some() || head.answers.is_some() {
        builder = builder.properties(Properties {
            to: head.to.as_deref().map(Str::copy),
            reply_to: head.reply_to.as_deref().map(Str::copy),
            correlation_id: head.answers.map(Value::Ulong),
            ..Properties::default()
        });
    }
    builder.data(body.freeze()).build()
}

/// The number of a message; `None` as long as too little of it is there.
pub(crate) fn number_of(bytes: &[u8]) -> Option<u64> {
    let sections = scan_one(bytes, Depth::ApplicationProperties).ok()?;
    let body = bytes.get(sections.rest as usize..)?;
    let data = match *body {
        [0, 0x53, 0x75, 0xa0, _, ..] => body.get(5..)?,
        [0, 0x53, 0x75, 0xb0, _, _, _, _, ..] => body.get(8..)?,
        _ => return None,
    };
    Some(u64::from_be_bytes(*data.first_chunk()?))
}

/// Compares a message as it was received with what was sent. Panics unless nothing but the router's
/// annotations has changed. Else tells where it entered and by which routers it came, unless the
/// listener strips that; a copy for a `late` consumer may have been made before anybody wanted
/// annotations.
pub(crate) fn check(sent: &Bytes, got: &Bytes, annotated: bool, late: bool) -> Option<Trace> {
    let (was, is) = (leading(sent), leading(got));
    assert_eq!(
        was.before, is.before,
        "header or delivery annotations changed"
    );
    assert_eq!(was.user, is.user, "the user's annotations changed");
    assert!(was.rest == is.rest, "the bytes of a message changed");
    if !annotated {
        assert!(
            is.router.is_empty(),
            "annotations are stripped on the way out"
        );
        return None;
    }
    let trace = is.router.trace.iter().map(|router| router.to_string());
    let trace = Trace {
        ingress: is.router.ingress.as_ref().map(|router| router.to_string()),
        routers: trace.collect(),
    };
    (!late || !trace.routers.is_empty()).then_some(trace)
}

/// What annotations say of a message's way.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) ingress: Option<String>,
    pub(crate) routers: Vec<String>,
}

struct Leading {
    before: Bytes,
    user: Bytes,
    router: RouterAnnotations,
    rest: Bytes,
}

fn leading(message: &Bytes) -> Leading {
    let sections =
        scan_one(message, Depth::MessageAnnotations).unwrap_or_else(|error| panic!("{error}"));
    let rest = message.slice(sections.rest as usize..);
    let Some(range) = sections.message_annotations else {
        return Leading {
            before: message.slice(..sections.rest as usize),
            user: Bytes::new(),
            router: RouterAnnotations::default(),
            rest,
        };
    };
    let section = message.slice(range.start as usize..range.end as usize);
    let split = split(&section, true).unwrap_or_else(|error| panic!("{error}"));
    Leading {
        before: message.slice(..range.start as usize),
        user: section.slice_ref(split.user.bytes),
        router: split.router,
        rest,
    }
}

/// What a request or an answer says.
pub(crate) fn read(message: &Bytes) -> Reading {
    let Ok(message) = parse(message) else {
        panic!("a message that was whole is no message any more");
    };
    let properties = message.properties;
    Reading {
        reply_to: properties.reply_to.map(|text| text.to_string()),
        answers: properties.correlation_id.as_ref().and_then(Value::as_u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ornate() -> Bytes {
        let head = Head {
            to: Some("there".to_owned()),
            answers: Some(3),
            ornate: true,
            ..Head::default()
        };
        make(77, 1000, &head, &mut Random::new(1))
    }

    #[test]
    fn a_message_names_itself() {
        let message = ornate();
        assert_eq!(number_of(&message), Some(77));
        assert_eq!(read(&message).answers, Some(3));
        check(&message, &message, false, false);
        let plain = make(5, 0, &Head::default(), &mut Random::new(1));
        assert_eq!(number_of(&plain), Some(5));
    }

    #[test]
    #[should_panic(expected = "the bytes of a message changed")]
    fn a_changed_byte_is_seen() {
        let message = ornate();
        let mut changed = message.to_vec();
        changed[500] ^= 1;
        check(&message, &Bytes::from(changed), false, false);
    }
}
