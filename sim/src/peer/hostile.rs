//! What hostile peers do besides what others do: bytes that mean nothing, frames that do not fit,
//! bytes that changed on their way, ears that are shut. Nobody else may notice.

use amqp_codec::{
    Begin, DeliveryState, DeliveryTag, Detach, Disposition, End, Flow, FrameType, Performative,
    Role, Transfer, begin_frame, end_frame,
};
use amqp_proto::SendQueue;

use super::hand::attach;
use crate::plan::{EVIL, Hostile};
use crate::random::Random;

/// Writes what a peer begins with that does not begin as it should; false for others.
pub(super) fn begins_badly(
    hostile: Option<Hostile>,
    random: &mut Random,
    output: &mut SendQueue,
) -> bool {
    let out = output.inline();
    match hostile {
        Some(Hostile::Garbage) => {}
        Some(Hostile::HeaderThenGarbage) => {
            out.extend_from_slice(b"AMQP\x00\x01\x00\x00");
        }
        _ => return false,
    }
    for _ in 0..1 + random.below(300) {
        out.extend_from_slice(&random.number().to_be_bytes()[..1 + random.below(8)]);
    }
    true
}

/// Writes a misdeed, or not.
pub(super) fn misbehave(hostile: Option<Hostile>, random: &mut Random, output: &mut SendQueue) {
    match hostile {
        Some(Hostile::Misdeeds) if random.one_in(3) => write_misdeed(random, output),
        Some(Hostile::Deaf) => {
            for _ in 0..random.below(300) {
                ask(random, output);
            }
        }
        _ => {}
    }
}

/// Changes some bits.
pub(super) fn spoil(random: &mut Random, bytes: &mut [u8]) {
    for _ in 0..random.below(3) {
        let place = random.below(bytes.len());
        bytes[place] ^= 1 << random.below(8);
    }
}

/// Asks for an answer, so that a peer that does not read has much to read.
fn ask(random: &mut Random, output: &mut SendQueue) {
    let handle = random.one_in(2).then_some(random.below_u32(2));
    write(&Performative::Flow(flow(random, handle)), 0, output);
}

fn flow(random: &mut Random, handle: Option<u32>) -> Flow {
    Flow {
        next_incoming_id: Some(0),
        incoming_window: random.pick(&[0, 1, 1000, u32::MAX]),
        next_outgoing_id: random.below_u32(5),
        outgoing_window: random.pick(&[0, 1000, u32::MAX]),
        handle,
        delivery_count: random.pick(&[None, Some(0), Some(u32::MAX)]),
        link_credit: random.pick(&[None, Some(0), Some(1), Some(u32::MAX)]),
        available: None,
        drain: random.one_in(3),
        echo: random.one_in(2),
        properties: None,
    }
}

fn write_misdeed(random: &mut Random, output: &mut SendQueue) {
    let channel = random.pick(&[0, 0, 0, 1, 7, u16::MAX]);
    let handle = random.pick(&[0, 0, 1, 2, 9, u32::MAX]);
    let id = random.pick(&[0, 1, 2, 100, u32::MAX]);
    let performative = match random.below(9) {
        0 | 1 => Performative::Transfer(Transfer {
            handle,
            delivery_id: random.pick(&[None, Some(id)]),
            delivery_tag: random.one_in(2).then(|| DeliveryTag::new(b"x")).flatten(),
            settled: random.pick(&[None, Some(true), Some(false)]),
            more: random.one_in(2),
            state: random.one_in(3).then_some(DeliveryState::Released),
            resume: random.one_in(3),
            aborted: random.one_in(3),
            ..Transfer::default()
        }),
        2 => Performative::Flow(flow(random, Some(handle))),
        3 | 4 => Performative::Disposition(Disposition {
            role: random.pick(&[Role::Sender, Role::Receiver]),
            first: id,
            last: random.pick(&[
                None,
                Some(0),
                Some(u32::MAX),
                Some(id.wrapping_add(1 << 30)),
            ]),
            settled: random.one_in(2),
            state: random.one_in(2).then_some(DeliveryState::Accepted),
            ..Disposition::default()
        }),
        5 => {
            let role = random.pick(&[Role::Sender, Role::Receiver]);
            let name = format!("s {}", random.below(3));
            let mut attach = attach(name, role, Some(EVIL), random.one_in(2));
            attach.handle = handle;
            Performative::Attach(Box::new(attach))
        }
        6 => Performative::Detach(Detach {
            handle,
            closed: random.one_in(2),
            error: None,
        }),
        7 => Performative::Begin(Box::new(Begin {
            remote_channel: random.pick(&[None, None, Some(0), Some(9)]),
            incoming_window: random.pick(&[0, 10]),
            handle_max: random.pick(&[0, u32::MAX]),
            ..Begin::default()
        })),
        _ => Performative::End(End { error: None }),
    };
    write(&performative, channel, output);
    if random.one_in(20) {
        output.inline().extend_from_slice(b"AMQP");
    }
}

fn write(performative: &Performative, channel: u16, output: &mut SendQueue) {
    let out = output.inline();
    let mark = begin_frame(out, FrameType::Amqp, channel);
    performative.encode(out);
    end_frame(out, mark, 0);
}
