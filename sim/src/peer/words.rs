//! What the ends of routed links say: errors, marks and states with all that these may have.

use amqp_codec::{AmqpError, DeliveryState, Encoded, Map, Modified, Value};

use super::hand::Hand;

/// Tokens of deliveries on routed links have this bit.
pub(super) const TOKEN: u64 = 1 << 62;

/// The key under which a device's attach says which tunnel it asks for.
const MARK: &str = "sim:tunnel";

/// An error of somebody's own, with all that an error may have.
pub(super) fn reason(condition: &'static str) -> AmqpError {
    AmqpError {
        info: Some(marked(7)),
        ..AmqpError::new(condition, "not today")
    }
}

/// A map with a number in it.
pub(super) fn marked(number: u64) -> Encoded {
    let mut map = Map::new();
    map.push(Value::symbol(MARK), Value::Ulong(number));
    Encoded::from_value(&Value::Map(map))
}

/// The number in such a map.
pub(super) fn mark_of(map: Option<&Encoded>) -> Option<u64> {
    let value = map?.value().ok()?;
    let (key, value) = value.as_map()?.iter().next()?;
    let is_it = matches!(key, Value::Symbol(key) if key.as_str() == MARK);
    is_it.then(|| value.as_u64()).flatten()
}

/// The number of the delivery that a token stands for.
pub(super) fn parcel_of(token: u64) -> Option<usize> {
    let number = (token & TOKEN != 0).then_some(token & !TOKEN)?;
    usize::try_from(number).ok()
}

/// A state that may be said of a delivery; odd ones are others than accepted.
pub(super) fn verdict(is_odd: bool, hand: &mut Hand<'_>) -> DeliveryState {
    match hand.random.below(3) {
        _ if !is_odd => DeliveryState::Accepted,
        0 => DeliveryState::Released,
        1 => DeliveryState::Rejected(Some(Box::new(reason("app:no")))),
        _ => DeliveryState::Modified(Box::new(Modified {
            delivery_failed: hand.random.one_in(2),
            undeliverable_here: hand.random.one_in(2),
            message_annotations: Some(marked(3)),
        })),
    }
}
