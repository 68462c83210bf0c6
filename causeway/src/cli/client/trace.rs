//! Frames for people: what `--trace` prints.
//!
//! Owns the line; the notation of performatives is the codec's.

use amqp_codec::describe_performative;
use amqp_proto::{TapKind, Tapped};
use management::counted;

/// One frame as a line: direction, channel, performative, length of the payload.
#[must_use]
pub(super) fn line(frame: &Tapped) -> String {
    let arrow = if frame.incoming { "<-" } else { "->" };
    let what = match frame.kind {
        TapKind::Header => {
            let header = &frame.performative;
            let id = header.get(4).copied().unwrap_or_default();
            let name = if id == 3 { "SASL" } else { "AMQP" };
            format!("{name} header")
        }
        TapKind::Empty(channel) => format!("[{channel}] empty frame"),
        TapKind::Sasl => describe_performative(&frame.performative),
        TapKind::Amqp(channel) => {
            format!("[{channel}] {}", describe_performative(&frame.performative))
        }
    };
    let payload = match frame.payload_len {
        0 => String::new(),
        length => format!(" ({})", counted(length, "byte")),
    };
    let lost = match frame.lost {
        0 => String::new(),
        lost => format!(" (not shown before it: {})", counted(lost, "frame")),
    };
    format!("{arrow} {what}{payload}{lost}")
}
