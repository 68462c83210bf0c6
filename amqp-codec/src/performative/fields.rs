//! Owns the nine performatives as the tables of amqp-1.0 §2.7.
//! It never chooses between them. Decision: defaults live in the same line as the field, as in the
//! standard, so that reading, writing and comparing with the standard use one text.

use crate::composite::composite;
use crate::definitions::{AmqpError, DeliveryTag, ReceiverSettleMode, Role, SenderSettleMode};
use crate::descriptor;
use crate::encoded::Encoded;
use crate::state::DeliveryState;
use crate::terminus::{Source, TargetArchetype};
use crate::text::{Str, Symbol};

composite! {
    /// Negotiates a connection (amqp-1.0 §2.7.1).
    Open = descriptor::OPEN, {
        /// The id of the sender's container.
        container_id: Str = required,
        /// The host the peer is meant to be.
        hostname: Option<Str> = optional,
        /// The largest frame the sender accepts, in bytes.
        max_frame_size: u32 = default(u32::MAX),
        /// The highest channel number the sender accepts.
        channel_max: u16 = default(u16::MAX),
        /// Silence after which the sender may close, in milliseconds.
        idle_time_out: Option<u32> = optional,
        /// Locales for texts it sends.
        outgoing_locales: Vec<Symbol> = multiple,
        /// Locales for texts it wants.
        incoming_locales: Vec<Symbol> = multiple,
        /// Extensions it can use.
        offered_capabilities: Vec<Symbol> = multiple,
        /// Extensions it would use if the peer can.
        desired_capabilities: Vec<Symbol> = multiple,
        /// A map that describes the container.
        properties: Option<Encoded> = optional,
    }
}

composite! {
    /// Begins a session (amqp-1.0 §2.7.2).
    Begin = descriptor::BEGIN, {
        /// The peer's channel, in an answer.
        remote_channel: Option<u16> = optional,
        /// The transfer-id of the first transfer to be sent.
        next_outgoing_id: u32 = required,
        /// How many transfers can be received.
        incoming_window: u32 = required,
        /// How many transfers can be sent.
        outgoing_window: u32 = required,
        /// The highest link handle.
        handle_max: u32 = default(u32::MAX),
        /// Extensions the sender can use.
        offered_capabilities: Vec<Symbol> = multiple,
        /// Extensions it would use if the peer can.
        desired_capabilities: Vec<Symbol> = multiple,
        /// A map that describes the session.
        properties: Option<Encoded> = optional,
    }
}

composite! {
    /// Attaches a link (amqp-1.0 §2.7.3).
    Attach = descriptor::ATTACH, {
        /// The link's name, unique between the two containers in its direction.
        name: Str = required,
        /// The sender's handle for the link.
        handle: u32 = required,
        /// Which end the sender of this frame is.
        role: Role = required,
        /// How the sending end settles.
        snd_settle_mode: SenderSettleMode = explicit(SenderSettleMode::Mixed),
        /// When the receiving end settles.
        rcv_settle_mode: ReceiverSettleMode = explicit(ReceiverSettleMode::First),
        /// Where messages come from.
        source: Option<Source> = optional,
        /// Where messages go.
        target: Option<TargetArchetype> = optional,
        /// A map from delivery tags to states, when a link is resumed.
        unsettled: Option<Encoded> = optional,
        /// Whether that map is only a part.
        incomplete_unsettled: bool = default(false),
        /// The delivery-count the sending end starts with.
        initial_delivery_count: Option<u32> = optional,
        /// The largest message accepted, in bytes; none or 0 for no limit.
        max_message_size: Option<u64> = optional,
        /// Extensions the sender can use.
        offered_capabilities: Vec<Symbol> = multiple,
        /// Extensions it would use if the peer can.
        desired_capabilities: Vec<Symbol> = multiple,
        /// A map that describes the link.
        properties: Option<Encoded> = optional,
    }
}

composite! {
    /// Updates the flow state of a session and maybe a link (amqp-1.0 §2.7.4).
    Flow = descriptor::FLOW, {
        /// The transfer-id expected next; none before the peer's begin.
        next_incoming_id: Option<u32> = optional,
        /// How many transfers can be received.
        incoming_window: u32 = required,
        /// The transfer-id of the next transfer to be sent.
        next_outgoing_id: u32 = required,
        /// How many transfers can be sent.
        outgoing_window: u32 = required,
        /// The link it concerns; none for the session only.
        handle: Option<u32> = optional,
        /// The link's delivery-count.
        delivery_count: Option<u32> = optional,
        /// How many more messages the receiver takes from that count on.
        link_credit: Option<u32> = optional,
        /// How many messages the sender has waiting.
        available: Option<u32> = optional,
        /// Whether credit that cannot be used now is given back.
        drain: bool = default(false),
        /// Whether the peer is asked for its flow state.
        echo: bool = default(false),
        /// A map that describes the link's state.
        properties: Option<Encoded> = optional,
    }
}

composite! {
    /// Carries a message or a part of one (amqp-1.0 §2.7.5).
    Transfer = descriptor::TRANSFER, {
        /// The sender's handle for the link.
        handle: u32 = required,
        /// The delivery's id; may be absent after the first transfer of a delivery.
        delivery_id: Option<u32> = optional,
        /// The delivery's tag; may be absent after the first transfer of a delivery.
        delivery_tag: Option<DeliveryTag> = optional,
        /// The message's format; 0 is the standard's own.
        message_format: Option<u32> = optional,
        /// Whether the sender has settled; absent means as said before, at first unsettled.
        settled: Option<bool> = optional,
        /// Whether more transfers of the delivery follow.
        more: bool = default(false),
        /// When the receiver settles this delivery, if not as the link says.
        rcv_settle_mode: Option<ReceiverSettleMode> = optional,
        /// The delivery's state at the sender.
        state: Option<DeliveryState> = optional,
        /// Whether a delivery is resumed.
        resume: bool = default(false),
        /// Whether the delivery is given up; its payload has no meaning.
        aborted: bool = default(false),
        /// Whether the sender needs no prompt disposition.
        batchable: bool = default(false),
    }
}

composite! {
    /// Tells the state of deliveries (amqp-1.0 §2.7.6).
    Disposition = descriptor::DISPOSITION, {
        /// Which end the sender of this frame is, hence whose delivery-ids it names.
        role: Role = required,
        /// The first delivery-id.
        first: u32 = required,
        /// The last delivery-id; none for the first only.
        last: Option<u32> = optional,
        /// Whether the sender of this frame has settled.
        settled: bool = default(false),
        /// Their state.
        state: Option<DeliveryState> = optional,
        /// Whether the sender needs no prompt answer.
        batchable: bool = default(false),
    }
}

composite! {
    /// Detaches a link (amqp-1.0 §2.7.7).
    Detach = descriptor::DETACH, {
        /// The sender's handle for the link.
        handle: u32 = required,
        /// Whether the link is closed for good.
        closed: bool = default(false),
        /// Why.
        error: Option<Box<AmqpError>> = optional,
    }
}

composite! {
    /// Ends a session (amqp-1.0 §2.7.8).
    End = descriptor::END, {
        /// Why.
        error: Option<Box<AmqpError>> = optional,
    }
}

composite! {
    /// Closes a connection (amqp-1.0 §2.7.9).
    Close = descriptor::CLOSE, {
        /// Why.
        error: Option<Box<AmqpError>> = optional,
    }
}

/// Encoding by the table, for performatives without a hand-tuned form.
macro_rules! encode_by_table {
    ($($name:ident),*) => {
        $(impl $name {
            /// Appends the performative.
            pub fn encode(&self, out: &mut bytes::BytesMut) {
                crate::composite::write(self, out);
            }
        })*
    };
}

encode_by_table!(Open, Begin, Attach, Detach, End, Close);
