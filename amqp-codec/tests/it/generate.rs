//! Strategies that make valid values, performatives and messages.

use amqp_codec::message::{Body, Header, Message, Properties};
use amqp_codec::*;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

pub(crate) fn text() -> impl Strategy<Value = Str> {
    prop_oneof![8 => "[a-zé/]{0,8}", 1 => "x{250,260}"].prop_map(Str::from)
}

pub(crate) fn symbol() -> impl Strategy<Value = Symbol> {
    prop_oneof![8 => "[ -~]{0,8}", 1 => "x{250,260}"].prop_map(|text| Symbol::copy(&text))
}

fn symbols() -> impl Strategy<Value = Vec<Symbol>> {
    vec(symbol(), 0..4)
}

fn binary() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..8).prop_map(Bytes::from)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u8>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        prop_oneof![Just(0), 0..300_u32, any::<u32>()].prop_map(Value::from),
        prop_oneof![Just(0), 0..300_u64, any::<u64>()].prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        prop_oneof![-200..200_i32, any::<i32>()].prop_map(Value::from),
        prop_oneof![-200..200_i64, any::<i64>()].prop_map(Value::from),
        any::<u32>().prop_map(|bits| Value::from(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::from(f64::from_bits(bits))),
        any::<[u8; 4]>().prop_map(Value::Decimal32),
        any::<[u8; 8]>().prop_map(Value::Decimal64),
        any::<[u8; 16]>().prop_map(Value::Decimal128),
        any::<char>().prop_map(Value::from),
        any::<i64>().prop_map(Value::Timestamp),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        binary().prop_map(Value::from),
        text().prop_map(Value::from),
        symbol().prop_map(Value::from),
    ]
}

fn array() -> impl Strategy<Value = Array> {
    prop_oneof![
        vec(symbol(), 0..4).prop_map(Array::of_symbols),
        (vec(scalar(), 0..2), vec(any::<i32>(), 0..4)).prop_map(|(descriptors, numbers)| {
            let numbers = numbers.into_iter().map(Value::from).collect();
            Array::described(descriptors, 0x71, numbers).unwrap()
        }),
        vec(Just(Value::Null), 0..9).prop_map(|nulls| Array::new(0x40, nulls).unwrap()),
        vec(vec(scalar(), 0..3).prop_map(Value::List), 0..3)
            .prop_map(|lists| Array::new(0xd0, lists).unwrap()),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    prop_oneof![9 => scalar(), 1 => array().prop_map(Value::from)].prop_recursive(
        4,
        24,
        4,
        |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::List),
                vec((scalar(), inner.clone()), 0..4).prop_map(|entries| Value::Map(Map(entries))),
                (scalar(), inner).prop_map(|both| Value::Described(Box::new(both))),
            ]
        },
    )
}

pub(crate) fn map() -> impl Strategy<Value = Map> {
    vec((symbol(), value()), 0..4).prop_map(Map::from_iter)
}

fn encoded() -> impl Strategy<Value = Encoded> {
    map().prop_map(|map| Encoded::from_value(&map.into()))
}

fn error() -> impl Strategy<Value = AmqpError> {
    (symbol(), of(text()), of(encoded())).prop_map(|(condition, description, info)| AmqpError {
        condition,
        description,
        info,
    })
}

pub(crate) fn state() -> impl Strategy<Value = DeliveryState> {
    prop_oneof![
        (any::<u32>(), any::<u64>()).prop_map(|(section_number, section_offset)| {
            DeliveryState::Received {
                section_number,
                section_offset,
            }
        }),
        Just(DeliveryState::Accepted),
        of(error()).prop_map(|error| DeliveryState::Rejected(error.map(Box::new))),
        Just(DeliveryState::Released),
        (any::<bool>(), any::<bool>(), of(encoded())).prop_map(
            |(delivery_failed, undeliverable_here, message_annotations)| {
                let modified = Modified {
                    delivery_failed,
                    undeliverable_here,
                    message_annotations,
                };
                DeliveryState::Modified(Box::new(modified))
            }
        ),
        binary().prop_map(DeliveryState::Declared),
        value().prop_map(|value| {
            let described = Value::Described(Box::new((Value::symbol("x:other"), value)));
            DeliveryState::Other(Encoded::from_value(&described))
        }),
    ]
}

fn source() -> impl Strategy<Value = Source> {
    let first = (
        of(text()),
        0..3_u32,
        of(symbol()),
        any::<u32>(),
        any::<bool>(),
        of(encoded()),
    );
    let second = (
        of(symbol()),
        of(encoded()),
        of(encoded()),
        symbols(),
        symbols(),
    );
    (first, second).prop_map(|(first, second)| {
        let (address, durable, expiry_policy, timeout, dynamic, dynamic_node_properties) = first;
        let (distribution_mode, filter, default_outcome, outcomes, capabilities) = second;
        Source {
            address,
            durable,
            expiry_policy,
            timeout,
            dynamic,
            dynamic_node_properties,
            distribution_mode,
            filter,
            default_outcome,
            outcomes,
            capabilities,
        }
    })
}

fn target() -> impl Strategy<Value = TargetArchetype> {
    let target = (
        of(text()),
        any::<bool>(),
        of(symbol()),
        of(encoded()),
        symbols(),
    );
    prop_oneof![
        target.prop_map(
            |(address, dynamic, expiry_policy, dynamic_node_properties, capabilities)| {
                Target {
                    address,
                    dynamic,
                    expiry_policy,
                    dynamic_node_properties,
                    capabilities,
                    ..Target::default()
                }
                .into()
            }
        ),
        symbols()
            .prop_map(|capabilities| TargetArchetype::Coordinator(Coordinator { capabilities })),
    ]
}

fn open() -> impl Strategy<Value = Open> {
    let first = (
        text(),
        of(text()),
        any::<u32>(),
        any::<u16>(),
        of(any::<u32>()),
    );
    let second = (symbols(), symbols(), symbols(), symbols(), of(encoded()));
    (first, second).prop_map(|(first, second)| {
        let (container_id, hostname, max_frame_size, channel_max, idle_time_out) = first;
        let (outgoing_locales, incoming_locales, offered, desired, properties) = second;
        Open {
            container_id,
            hostname,
            max_frame_size,
            channel_max,
            idle_time_out,
            outgoing_locales,
            incoming_locales,
            offered_capabilities: offered,
            desired_capabilities: desired,
            properties,
        }
    })
}

fn begin() -> impl Strategy<Value = Begin> {
    let numbers = (
        of(any::<u16>()),
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
    );
    (numbers, symbols(), symbols(), of(encoded())).prop_map(
        |(numbers, offered, desired, properties)| {
            let (remote_channel, next_outgoing_id, incoming_window, outgoing_window, handle_max) =
                numbers;
            Begin {
                remote_channel,
                next_outgoing_id,
                incoming_window,
                outgoing_window,
                handle_max,
                offered_capabilities: offered,
                desired_capabilities: desired,
                properties,
            }
        },
    )
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Sender), Just(Role::Receiver)]
}

fn attach() -> impl Strategy<Value = Attach> {
    let first = (
        text(),
        any::<u32>(),
        role(),
        0..3_u8,
        0..2_u8,
        of(source()),
        of(target()),
    );
    let second = (
        of(encoded()),
        any::<bool>(),
        of(any::<u32>()),
        of(any::<u64>()),
        symbols(),
        symbols(),
    );
    (first, second, of(encoded())).prop_map(|(first, second, properties)| {
        let (name, handle, role, sender, receiver, source, target) = first;
        let (unsettled, incomplete_unsettled, initial_delivery_count, size, offered, desired) =
            second;
        Attach {
            name,
            handle,
            role,
            snd_settle_mode: SenderSettleMode::from_byte(sender).unwrap(),
            rcv_settle_mode: ReceiverSettleMode::from_byte(receiver).unwrap(),
            source,
            target,
            unsettled,
            incomplete_unsettled,
            initial_delivery_count,
            max_message_size: size,
            offered_capabilities: offered,
            desired_capabilities: desired,
            properties,
        }
    })
}

fn flow() -> impl Strategy<Value = Flow> {
    let session = (of(any::<u32>()), any::<u32>(), any::<u32>(), any::<u32>());
    let link = (
        of(0..300_u32),
        of(any::<u32>()),
        of(any::<u32>()),
        of(any::<u32>()),
    );
    (session, link, any::<bool>(), any::<bool>(), of(encoded())).prop_map(
        |(session, link, drain, echo, properties)| {
            let (next_incoming_id, incoming_window, next_outgoing_id, outgoing_window) = session;
            let (handle, delivery_count, link_credit, available) = link;
            Flow {
                next_incoming_id,
                incoming_window,
                next_outgoing_id,
                outgoing_window,
                handle,
                delivery_count,
                link_credit,
                available,
                drain,
                echo,
                properties,
            }
        },
    )
}

fn transfer() -> impl Strategy<Value = Transfer> {
    let first = (
        0..300_u32,
        of(any::<u32>()),
        of(vec(any::<u8>(), 0..=32)),
        of(any::<u32>()),
    );
    let second = (of(any::<bool>()), any::<bool>(), of(0..2_u8), of(state()));
    (first, second, any::<[bool; 3]>()).prop_map(|(first, second, [resume, aborted, batchable])| {
        let (handle, delivery_id, tag, message_format) = first;
        let (settled, more, mode, state) = second;
        Transfer {
            handle,
            delivery_id,
            delivery_tag: tag.map(|tag| DeliveryTag::new(&tag).unwrap()),
            message_format,
            settled,
            more,
            rcv_settle_mode: mode.map(|mode| ReceiverSettleMode::from_byte(mode).unwrap()),
            state,
            resume,
            aborted,
            batchable,
        }
    })
}

fn disposition() -> impl Strategy<Value = Disposition> {
    (
        role(),
        any::<u32>(),
        of(any::<u32>()),
        any::<bool>(),
        of(state()),
        any::<bool>(),
    )
        .prop_map(
            |(role, first, last, settled, state, batchable)| Disposition {
                role,
                first,
                last,
                settled,
                state,
                batchable,
            },
        )
}

pub(crate) fn performative() -> impl Strategy<Value = Performative> {
    prop_oneof![
        1 => open().prop_map(|open| Performative::Open(Box::new(open))),
        1 => begin().prop_map(|begin| Performative::Begin(Box::new(begin))),
        2 => attach().prop_map(|attach| Performative::Attach(Box::new(attach))),
        2 => flow().prop_map(Performative::Flow),
        3 => transfer().prop_map(Performative::Transfer),
        2 => disposition().prop_map(Performative::Disposition),
        1 => (any::<u32>(), any::<bool>(), of(error())).prop_map(|(handle, closed, error)| {
            Performative::Detach(Detach { handle, closed, error: error.map(Box::new) })
        }),
        1 => of(error()).prop_map(|error| Performative::End(End { error: error.map(Box::new) })),
        1 => of(error()).prop_map(|error| {
            Performative::Close(Close { error: error.map(Box::new) })
        }),
    ]
}

pub(crate) fn sasl() -> impl Strategy<Value = SaslFrame> {
    prop_oneof![
        symbols().prop_map(SaslFrame::Mechanisms),
        (symbol(), of(binary()), of(text())).prop_map(|(mechanism, initial_response, hostname)| {
            SaslFrame::Init {
                mechanism,
                initial_response,
                hostname,
            }
        }),
        binary().prop_map(SaslFrame::Challenge),
        binary().prop_map(SaslFrame::Response),
        (0..5_u8, of(binary())).prop_map(|(code, additional_data)| {
            SaslFrame::Outcome {
                code: SaslCode::from_byte(code).unwrap(),
                additional_data,
            }
        }),
    ]
}

fn properties() -> impl Strategy<Value = Properties> {
    let first = (
        of(scalar()),
        of(binary()),
        of(text()),
        of(text()),
        of(text()),
        of(text()),
    );
    let second = (
        of(symbol()),
        of(any::<i64>()),
        of(text()),
        of(any::<u32>()),
        of(text()),
    );
    (first, second).prop_map(|(first, second)| {
        let (message_id, user_id, to, subject, reply_to, correlation_id) = first;
        let (content_type, time, group_id, group_sequence, reply_to_group_id) = second;
        Properties {
            message_id: message_id.filter(|id| !id.is_null()),
            user_id,
            to,
            subject,
            reply_to,
            correlation_id: correlation_id.map(Value::from),
            content_encoding: content_type.clone(),
            content_type,
            absolute_expiry_time: time.map(Timestamp),
            creation_time: time.map(Timestamp),
            group_id,
            group_sequence,
            reply_to_group_id,
        }
    })
}

fn header() -> impl Strategy<Value = Header> {
    (
        any::<bool>(),
        0..10_u8,
        of(any::<u32>()),
        any::<bool>(),
        0..3_u32,
    )
        .prop_map(
            |(durable, priority, ttl, first_acquirer, delivery_count)| Header {
                durable,
                priority,
                ttl,
                first_acquirer,
                delivery_count,
            },
        )
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        vec(binary(), 1..3).prop_map(Body::Data),
        vec(vec(value(), 0..3), 1..3).prop_map(Body::Sequence),
        value().prop_map(Body::Value),
    ]
}

/// The keys and values of router annotations, each as it should be or not.
fn router_entries() -> impl Strategy<Value = Vec<(Value, Value)>> {
    let trace = vec(
        prop_oneof![9 => text().prop_map(Value::from), 1 => scalar()],
        0..4,
    );
    let entry = prop_oneof![
        trace.prop_map(|trace| ("x-opt-qd.trace", Value::List(trace))),
        text().prop_map(|to| ("x-opt-qd.to", Value::from(to))),
        text().prop_map(|ingress| ("x-opt-qd.ingress", Value::from(ingress))),
        (0..10_i32).prop_map(|phase| ("x-opt-qd.phase", Value::from(phase))),
        scalar().prop_map(|stream| ("x-opt-qd.stream", stream)),
        scalar().prop_map(|value| ("x-opt-qd.class", value)),
        scalar().prop_map(|value| ("x-opt-qd.", value)),
        scalar().prop_map(|value| ("x-opt-qd.to", value)),
        scalar().prop_map(|value| ("user", value)),
    ];
    vec(
        entry.prop_map(|(key, value)| (Value::symbol(key), value)),
        0..5,
    )
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let annotations = (map(), router_entries()).prop_map(|(mut user, router)| {
        user.0.extend(router);
        user
    });
    (
        of(header()),
        map(),
        annotations,
        properties(),
        map(),
        body(),
        map(),
    )
        .prop_map(
            |(header, delivery, annotations, properties, application_properties, body, footer)| {
                Message {
                    header,
                    delivery_annotations: delivery,
                    message_annotations: annotations,
                    properties,
                    application_properties,
                    body,
                    footer,
                }
            },
        )
}
