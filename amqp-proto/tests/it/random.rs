//! Random operations on two honest ends, and conversations with a byte changed here and there.

use amqp_codec::{Detach, End, Flow, Performative, ProtocolHeader, Role};
use amqp_proto::fuzz::{fuzz_connection_bytes, fuzz_connection_ops};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::raw::{attach, begin, frame, open, transfer};

/// What a peer of either kind says in the life of a connection.
fn conversation() -> Vec<u8> {
    let flow = Flow {
        next_incoming_id: Some(0),
        incoming_window: 30,
        next_outgoing_id: 5,
        outgoing_window: 30,
        handle: Some(1),
        delivery_count: Some(0),
        link_credit: Some(3),
        available: None,
        drain: true,
        echo: true,
        properties: None,
    };
    let part = amqp_codec::Transfer {
        more: true,
        ..transfer(0, 6)
    };
    let detach = Detach {
        handle: 1,
        closed: true,
        error: None,
    };
    let frames = [
        Performative::Open(Box::new(open())),
        Performative::Begin(Box::new(begin(None))),
        Performative::Attach(Box::new(attach("in", 0, Role::Sender))),
        Performative::Attach(Box::new(attach("out", 1, Role::Receiver))),
        Performative::Flow(flow),
        Performative::Transfer(transfer(0, 5)),
        Performative::Transfer(part),
        Performative::Transfer(transfer(0, 6)),
        Performative::Detach(detach),
        Performative::End(End { error: None }),
        Performative::Close(amqp_codec::Close { error: None }),
    ];
    let mut bytes = ProtocolHeader::Amqp.bytes().to_vec();
    for performative in frames {
        let payload: &[u8] = match performative {
            Performative::Transfer(_) => b"payload",
            _ => b"",
        };
        bytes.extend(frame(0, &performative, payload));
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn honest_ends_never_blame_each_other(operations in vec(any::<u8>(), 0..1200)) {
        fuzz_connection_ops(&operations);
    }

    #[test]
    fn changed_conversations_do_no_harm(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = conversation();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        fuzz_connection_bytes(&bytes);
    }

    #[test]
    fn frames_in_any_order_do_no_harm(order in vec(0usize..11, 0..30)) {
        let whole = conversation();
        let (mut bytes, mut rest) = (whole[..8].to_vec(), &whole[8..]);
        let mut frames = Vec::new();
        while let Some((size, _)) = rest.split_first_chunk() {
            let (frame, after) = rest.split_at(u32::from_be_bytes(*size) as usize);
            frames.push(frame);
            rest = after;
        }
        bytes.extend_from_slice(frames[0]);
        order.into_iter().for_each(|at| bytes.extend_from_slice(frames[at]));
        fuzz_connection_bytes(&bytes);
    }
}
