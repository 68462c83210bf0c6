//! Serial number arithmetic (RFC 1982) for delivery-ids, delivery-counts and transfer-ids.
//!
//! Owns comparison of wrapping 32-bit counters (amqp-1.0 §2.8.10); never stores one.
//!
//! Decision: free functions on `u32` instead of a newtype, because the wire structs carry `u32`.

/// How far `to` is ahead of `from`; negative if it is behind.
pub(crate) const fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// Whether `a` comes before `b`.
pub(crate) const fn before(a: u32, b: u32) -> bool {
    distance(a, b) > 0
}

/// How far `to` is ahead of `from`; zero if it is not ahead.
pub(crate) const fn ahead(from: u32, to: u32) -> u32 {
    let distance = distance(from, to);
    if distance > 0 {
        distance.cast_unsigned()
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        assert!(before(u32::MAX, 0));
        assert!(!before(0, u32::MAX));
        assert!(!before(7, 7));
        assert_eq!(ahead(u32::MAX - 1, 3), 5);
        assert_eq!(ahead(3, u32::MAX - 1), 0);
    }
}
