//! Who has to make place when there are too many clients, so that nobody alone can keep all others
//! out, probes among them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use amqp_proto::Time;

/// Bits of an address of IPv6 that one peer has as many of as it likes.
const HOST_BITS: u32 = 64;

/// A client as it counts here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Numbers are dealt in the order of arrival.
    pub(super) number: usize,
    pub(super) from: Option<IpAddr>,
    /// Since when it only keeps its place: the end of its time.
    pub(super) idle: Option<Time>,
    /// Its request is not whole.
    pub(super) is_listening: bool,
}

/// Who has to go for somebody from `from`; `None`: nobody, and the newcomer is not taken. First the
/// one that has been idle for longest; then the oldest of those who have most places, if the
/// newcomer has fewer; then who has been asking for longest.
pub(super) fn who_goes(places: &[Place], from: Option<IpAddr>) -> Option<usize> {
    let idle = places.iter().filter(|place| place.idle.is_some());
    if let Some(longest) = idle.min_by_key(|place| place.idle) {
        return Some(longest.number);
    }
    let mut held: BTreeMap<Option<IpAddr>, usize> = BTreeMap::new();
    for place in places {
        *held.entry(place.from).or_default() += 1;
    }
    let own = held.get(&from).copied().unwrap_or_default();
    let most = held.iter().max_by_key(|(_, count)| **count)?;
    let is_theirs = |place: &&Place| place.from == *most.0 && *most.1 > own + 1;
    let is_listening = |place: &&Place| place.is_listening;
    let oldest = |place: &&Place| place.number;
    let theirs = places.iter().filter(is_theirs).min_by_key(oldest);
    let goes = theirs.or_else(|| places.iter().filter(is_listening).min_by_key(oldest));
    goes.map(|place| place.number)
}

/// Where a peer is, as far as it counts as one: the network of an address of IPv6.
pub(super) fn origin(peer: &str) -> Option<IpAddr> {
    let peer: SocketAddr = peer.parse().ok()?;
    Some(match peer.ip().to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> HOST_BITS << HOST_BITS).into(),
        ip => ip,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> Option<IpAddr> {
        Some([10, 0, 0, last].into())
    }

    fn place(number: usize, from: u8) -> Place {
        Place {
            number,
            from: ip(from),
            idle: None,
            is_listening: false,
        }
    }

    #[test]
    fn who_is_idle_for_longest_goes_first() {
        let mut places = [place(1, 1), place(2, 1), place(3, 2)];
        let second = std::time::Duration::from_secs(1);
        places[1].idle = Some(Time::ZERO + second);
        places[2].idle = Some(Time::ZERO);
        assert_eq!(who_goes(&places, ip(9)), Some(3));
    }

    #[test]
    fn who_has_most_places_gives_one_to_who_has_fewer() {
        let places = [place(1, 2), place(2, 1), place(3, 1), place(4, 1)];
        assert_eq!(who_goes(&places, ip(9)), Some(2));
        assert_eq!(who_goes(&places, ip(2)), Some(2));
        // Among themselves nobody goes who is being answered.
        assert_eq!(who_goes(&places, ip(1)), None);
    }

    #[test]
    fn among_equals_who_asks_for_longest_goes() {
        let mut places = [place(1, 1), place(2, 1), place(3, 1)];
        places[1].is_listening = true;
        places[2].is_listening = true;
        assert_eq!(who_goes(&places, ip(1)), Some(2));
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        assert_eq!(origin("[2001:db8::1]:7"), origin("[2001:db8::ffff:2]:8"));
        assert_ne!(origin("[2001:db8::1]:7"), origin("[2001:db8:0:1::1]:7"));
        assert_eq!(origin("[::ffff:10.0.0.1]:7"), ip(1));
        assert_eq!(origin("pipe"), None);
    }
}
