//! Which addresses are link routes: patterns, for each direction, with the key under which the
//! control plane knows who serves them. A pattern stays as long as somebody has configured it or
//! another router tells of it, served or not.

use crate::address::PatternTree;
use crate::ids::{AddressKey, Direction};

/// The patterns of link routes.
#[derive(Clone, Debug, Default)]
pub struct LinkPatterns {
    inward: PatternTree<AddressKey>,
    outward: PatternTree<AddressKey>,
    count: usize,
}

impl LinkPatterns {
    /// Whether there is none, so that no attach need be looked at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The key of the link route that fits an address best: normalised text.
    #[must_use]
    pub fn best_match(&self, direction: Direction, address: &str) -> Option<&AddressKey> {
        match direction {
            Direction::In => self.inward.best_match(address),
            Direction::Out => self.outward.best_match(address),
        }
    }

    /// Adds a key with its class letter; false for one that is none of a link route, or whose
    /// pattern is there already.
    pub fn insert(&mut self, key: &AddressKey) -> bool {
        let Some((direction, pattern)) = pattern_of(key) else {
            return false;
        };
        let tree = self.tree(direction);
        let is_new = tree.insert(&pattern, AddressKey::clone(key)).is_ok();
        self.count += usize::from(is_new);
        is_new
    }

    /// Removes a key that was added.
    pub fn remove(&mut self, key: &AddressKey) {
        if let Some((direction, pattern)) = pattern_of(key)
            && self.tree(direction).get(&pattern) == Some(key)
        {
            self.tree(direction).remove(&pattern);
            self.count -= 1;
        }
    }

    fn tree(&mut self, direction: Direction) -> &mut PatternTree<AddressKey> {
        match direction {
            Direction::In => &mut self.inward,
            Direction::Out => &mut self.outward,
        }
    }
}

/// The direction and the pattern of a link route's key: `C` and `D` are prefixes, `E` and `F`
/// patterns, of links into the network and out of it.
fn pattern_of(key: &str) -> Option<(Direction, String)> {
    let text = key.get(1..).filter(|text| !text.is_empty())?;
    let prefix = || match text {
        "#" => text.to_owned(),
        _ => format!("{text}/#"),
    };
    match key.as_bytes().first()? {
        b'C' => Some((Direction::In, prefix())),
        b'D' => Some((Direction::Out, prefix())),
        b'E' => Some((Direction::In, text.to_owned())),
        b'F' => Some((Direction::Out, text.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &LinkPatterns, direction: Direction, address: &str) -> Option<String> {
        let key = patterns.best_match(direction, address);
        key.map(ToString::to_string)
    }

    #[test]
    fn the_best_pattern_of_its_direction_decides() {
        let mut patterns = LinkPatterns::default();
        for key in ["Cdevices", "Edevices.*.events", "Ddevices", "M0x", "C"] {
            patterns.insert(&key.into());
        }
        let to = |address| found(&patterns, Direction::In, address);
        assert_eq!(to("devices").as_deref(), Some("Cdevices"));
        assert_eq!(to("devices/7/events").as_deref(), Some("Edevices.*.events"));
        assert_eq!(to("devices.7.x").as_deref(), Some("Cdevices"));
        assert_eq!(to("device"), None);
        assert_eq!(to("x"), None);
        let from = found(&patterns, Direction::Out, "devices/7/events");
        assert_eq!(from.as_deref(), Some("Ddevices"));
    }

    #[test]
    fn what_was_removed_matches_no_more() {
        let mut patterns = LinkPatterns::default();
        assert!(patterns.is_empty());
        assert!(patterns.insert(&"Cq".into()));
        assert!(!patterns.insert(&"Eq/#".into()), "the same");
        patterns.remove(&"Eq/#".into());
        assert_eq!(found(&patterns, Direction::In, "q").as_deref(), Some("Cq"));
        patterns.remove(&"Cq".into());
        assert!(patterns.is_empty());
        assert_eq!(found(&patterns, Direction::In, "q"), None);
    }
}
