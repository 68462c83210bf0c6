//! Owns the bodies of the fuzz targets; the same functions run in tests over mutated valid bytes.
//! It never fails on bad input, only when two ways of reading disagree or when what was written is
//! read back as something else. Decision: the bodies live in the library, where they can compare
//! the hand-tuned paths with the table.

use crate::encoded::Encoded;
use crate::frame::{FrameHeader, FrameType};
use crate::message::{self, Depth, Sections};
use crate::performative::Performative;
use crate::sasl::SaslFrame;
use crate::trace;
use crate::value::Value;
use bytes::{Bytes, BytesMut};

/// The largest frame the fuzzed peer accepts, in bytes.
const MAX_FRAME_SIZE: u32 = 65536;

/// A frame header and, if the frame is whole, its body.
///
/// # Panics
/// If an accepted header contradicts itself, or as the body's target does.
pub fn fuzz_frame(bytes: &[u8]) {
    let Ok(header) = FrameHeader::parse(bytes, MAX_FRAME_SIZE) else {
        return;
    };
    let size = header.size as usize;
    assert_eq!(
        header.body_offset() + header.body_length(),
        size,
        "the parts are the whole"
    );
    let Some(body) = bytes.get(header.body_offset()..size) else {
        return;
    };
    match header.frame_type {
        FrameType::Amqp => fuzz_performative(body),
        FrameType::Sasl => fuzz_sasl(body),
    }
}

/// A performative and its payload.
///
/// # Panics
/// If fast and slow path disagree, or if the performative written is another when read again.
pub fn fuzz_performative(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let (mut fast_rest, mut table_rest) = (body.clone(), body.clone());
    let fast = Performative::decode(&mut fast_rest);
    let table = Performative::decode_by_table(&mut table_rest);
    assert_eq!(fast, table, "the fast path reads as the table does");
    assert_eq!(
        fast_rest, table_rest,
        "the fast path ends where the table does"
    );
    assert!(
        !trace::describe_frame(&body, 64).is_empty(),
        "whatever came can be shown"
    );
    let Ok(performative) = fast else { return };
    let mut out = BytesMut::new();
    performative.encode(&mut out);
    let mut again = out.freeze();
    assert_eq!(
        Performative::decode(&mut again).as_ref(),
        Ok(&performative),
        "written and read"
    );
    assert!(again.is_empty(), "a performative written has no payload");
}

/// A SASL frame's body.
///
/// # Panics
/// If the frame written is another when read again.
pub fn fuzz_sasl(bytes: &[u8]) {
    let mut body = Bytes::copy_from_slice(bytes);
    let Ok(frame) = SaslFrame::decode(&mut body) else {
        return;
    };
    let mut out = BytesMut::new();
    frame.encode(&mut out);
    assert_eq!(
        SaslFrame::decode(&mut out.freeze()),
        Ok(frame),
        "written and read"
    );
}

/// A value.
///
/// # Panics
/// If skipping and reading disagree, or if the value written is another when read again.
pub fn fuzz_value(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok((value, length)) = Value::decode(&bytes) else {
        return;
    };
    let whole = Encoded::from_bytes(bytes.slice(..length));
    assert!(whole.is_ok(), "what can be read can be skipped");
    let mut out = BytesMut::new();
    value.encode(&mut out);
    assert!(
        out.len() <= length,
        "what is written is no longer than what was read"
    );
    let again = Value::decode(&out.freeze()).map(|(value, _)| value);
    assert_eq!(again.as_ref(), Ok(&value), "written and read");
    assert!(!value.to_string().is_empty(), "each value can be shown");
}

/// A message: its scan over any two chunks, its router annotations, its parse.
///
/// # Panics
/// If scans disagree over how a message is cut, or if annotations written are others when read.
pub fn fuzz_message_scan(bytes: &[u8]) {
    let message = Bytes::copy_from_slice(bytes);
    let depths = [
        Depth::Header,
        Depth::MessageAnnotations,
        Depth::Properties,
        Depth::ApplicationProperties,
    ];
    for depth in depths {
        let whole = message::scan_one(&message, depth);
        let at = usize::from(bytes.first().copied().unwrap_or(0)) % (bytes.len() + 1);
        let chunks = [message.slice(..at), message.slice(at..)];
        assert_eq!(
            message::scan(&chunks, depth),
            whole,
            "a cut changes nothing"
        );
        if let Ok(sections) = whole {
            fuzz_sections(&chunks, &sections);
        }
    }
    if let Ok(parsed) = message::parse(&message) {
        let encoded = parsed.encode();
        // Sections without content are not written, so a message of such is no message.
        if !encoded.is_empty() {
            assert_eq!(message::parse(&encoded), Ok(parsed), "written and read");
        }
    }
}

/// Shows what a scan has found, whole and cut off.
fn fuzz_described(chunks: &[Bytes], sections: &Sections) {
    const SHOWN: usize = 200;
    let section = |range: &Option<std::ops::Range<u32>>| {
        let range = range.clone().unwrap_or_default();
        message::gather(chunks, &range)
    };
    let properties = section(&sections.properties);
    let application = section(&sections.application_properties);
    for cut in [properties.len(), properties.len() / 2] {
        let line = message::describe_message(
            message::MessageParts::ALL,
            &properties.slice(..cut),
            &application.slice(..application.len().min(cut)),
            SHOWN,
            &|millis| millis.to_string(),
        );
        assert!(line.len() < SHOWN + 10, "a line is bounded");
    }
}

/// Reads what a scan has found.
fn fuzz_sections(chunks: &[Bytes], sections: &Sections) {
    fuzz_described(chunks, sections);
    if let Ok(Some(properties)) = message::properties(chunks, sections) {
        assert_eq!(
            message::to_address(chunks, sections),
            Ok(properties.to),
            "one way or another"
        );
        assert_eq!(message::user_id(chunks, sections), Ok(properties.user_id));
        assert_eq!(message::subject(chunks, sections), Ok(properties.subject));
    }
    let Some(range) = &sections.message_annotations else {
        return;
    };
    let section = message::gather(chunks, range);
    let Ok(split) = message::split(&section, true) else {
        return;
    };
    let stripped = message::split(&section, false).expect("stripping reads less");
    assert_eq!(
        stripped.user, split.user,
        "honouring does not change the user's part"
    );
    let mut out = BytesMut::new();
    message::compose(split.user, &split.router, None, &mut out);
    if !out.is_empty() {
        let composed = out.freeze();
        let mut again = message::split(&composed, true).expect("composed annotations are read");
        again.router.phase = again
            .router
            .phase
            .or(split.router.phase.filter(|phase| *phase == 0));
        assert_eq!(again, split, "written and read");
    }
}
