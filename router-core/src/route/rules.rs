//! What the configuration says about addresses: patterns with a distribution, phases and a
//! priority.
//!
//! Owns the checks of such an entry and the search for the one that fits an address. Never touches
//! an address record: a rule is looked up when a record is made. Decision: the texts of errors are
//! those that management answers, so they stand beside the checks.

use std::fmt;
use std::sync::Arc;

use crate::address::{PatternError, PatternTree, Phase, trim_separators};
use crate::ids::Direction;

use super::record::Treatment;

/// The highest phase.
const PHASE_MAX: i64 = 9;

/// The highest priority.
const PRIORITY_MAX: i64 = 9;

/// An entry about addresses, as it is asked for and, once checked, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRule {
    /// Its name, if it was given one; no two entries share one.
    pub name: Option<String>,
    /// Its number, dealt by the control plane.
    pub identity: u64,
    /// Addresses that begin with these tokens; either this or `pattern`.
    pub prefix: Option<String>,
    /// Addresses that match; either this or `prefix`.
    pub pattern: Option<String>,
    /// How deliveries are dealt.
    pub treatment: Treatment,
    /// Messages pass through a waypoint. Checked: the phases are exactly 0 and 1.
    pub waypoint: bool,
    /// The phase of producers; checked: always there, 0 to 9.
    pub ingress_phase: Option<i64>,
    /// The phase of consumers; checked: always there, 0 to 9.
    pub egress_phase: Option<i64>,
    /// Overrides the priority of messages; less than 0 counts as none.
    pub priority: Option<i64>,
    /// Undeliverable messages go to consumers attached as fallback.
    pub fallback: bool,
}

/// Why an entry was not taken. The texts are part of the management protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// Its name is another's.
    NameConflict,
    /// Neither prefix nor pattern.
    NoForm,
    /// Both prefix and pattern.
    TwoForms,
    /// An empty prefix.
    EmptyPrefix,
    /// An empty pattern.
    EmptyPattern,
    /// The prefix cannot be used.
    InvalidPrefix(PatternError),
    /// The pattern cannot be used.
    InvalidPattern(PatternError),
    /// A phase outside 0 to 9, or only one of two.
    Phase,
    /// A priority above 9.
    Priority,
    /// A fallback together with phases.
    FallbackWithPhases,
    /// Another entry matches exactly the same.
    Exists,
}

impl fmt::Display for RuleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NameConflict => "Name conflicts with an existing entity",
            Self::NoForm => "Either a 'prefix' or 'pattern' attribute must be provided",
            Self::TwoForms => "Cannot specify both a 'prefix' and a 'pattern' attribute",
            Self::EmptyPrefix => "Prefix must be a non-empty string type",
            Self::EmptyPattern => "Pattern must be a non-empty string type",
            Self::InvalidPrefix(error) => return write!(formatter, "Prefix invalid - {error}"),
            Self::InvalidPattern(error) => return write!(formatter, "Pattern invalid - {error}"),
            Self::Phase => "Phase values must be between 0 and 9",
            Self::Priority => "Priority value, if present, must be between 0 and QDR_MAX_PRIORITY",
            Self::FallbackWithPhases => {
                "Fallback cannot be specified with waypoint or non-zero ingress and egress phases"
            }
            Self::Exists => "Already exists",
        })
    }
}

impl std::error::Error for RuleError {}

impl AddressRule {
    /// An entry for a prefix, without a name and with nothing else asked for.
    #[must_use]
    pub fn for_prefix(prefix: &str, treatment: Treatment) -> Self {
        Self {
            name: None,
            identity: 0,
            prefix: Some(prefix.to_owned()),
            pattern: None,
            treatment,
            waypoint: false,
            ingress_phase: None,
            egress_phase: None,
            priority: None,
            fallback: false,
        }
    }

    /// Checks the entry and fills in what follows from the rest.
    fn check(&mut self) -> Result<(), RuleError> {
        match (&mut self.prefix, &mut self.pattern) {
            (None, None) => return Err(RuleError::NoForm),
            (Some(_), Some(_)) => return Err(RuleError::TwoForms),
            (Some(text), None) if text.is_empty() => return Err(RuleError::EmptyPrefix),
            (None, Some(text)) if text.is_empty() => return Err(RuleError::EmptyPattern),
            (Some(text), None) | (None, Some(text)) => *text = trim_separators(text).to_owned(),
        }
        let (ingress, egress) = match (self.ingress_phase, self.egress_phase) {
            (Some(ingress), Some(egress)) => (ingress, egress),
            (None, None) if self.waypoint => (0, 1),
            (None, None) => (0, 0),
            _ => return Err(RuleError::Phase),
        };
        if ![ingress, egress]
            .iter()
            .all(|phase| (0..=PHASE_MAX).contains(phase))
        {
            return Err(RuleError::Phase);
        }
        if self
            .priority
            .is_some_and(|priority| priority > PRIORITY_MAX)
        {
            return Err(RuleError::Priority);
        }
        if self.fallback && (self.waypoint || (ingress, egress) != (0, 0)) {
            return Err(RuleError::FallbackWithPhases);
        }
        self.priority = self.priority.filter(|priority| *priority >= 0);
        self.ingress_phase = Some(ingress);
        self.egress_phase = Some(egress);
        self.waypoint = (ingress, egress) == (0, 1);
        Ok(())
    }

    /// The pattern under which the entry stands in the tree.
    fn tree_pattern(&self) -> String {
        match (&self.prefix, &self.pattern) {
            (Some(prefix), _) if prefix.is_empty() => String::new(),
            (Some(prefix), _) => format!("{prefix}/#"),
            (None, Some(pattern)) => pattern.clone(),
            (None, None) => String::new(),
        }
    }

    /// What a pattern error means for this entry.
    fn pattern_error(&self, error: PatternError) -> RuleError {
        match error {
            PatternError::Exists => RuleError::Exists,
            error if self.prefix.is_some() => RuleError::InvalidPrefix(error),
            error => RuleError::InvalidPattern(error),
        }
    }

    /// The phase of producers or consumers.
    fn phase(&self, direction: Direction) -> Phase {
        let phase = match direction {
            Direction::In => self.ingress_phase,
            Direction::Out => self.egress_phase,
        };
        Phase::Digit(
            phase
                .and_then(|phase| u8::try_from(phase).ok())
                .unwrap_or(0),
        )
    }
}

/// What the rules say about one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// How its deliveries are dealt.
    pub treatment: Treatment,
    /// The phase in its key.
    pub phase: Phase,
    /// Overrides the priority of its messages, 0 to 9.
    pub priority: Option<u8>,
}

/// All entries about addresses.
#[derive(Clone, Debug)]
pub struct Rules {
    default_treatment: Treatment,
    tree: PatternTree<Arc<AddressRule>>,
    /// In the order in which they were added.
    list: Vec<Arc<AddressRule>>,
}

impl Rules {
    /// No entries: all addresses are treated alike.
    #[must_use]
    pub fn new(default_treatment: Treatment) -> Self {
        Self {
            default_treatment,
            tree: PatternTree::new(),
            list: Vec::new(),
        }
    }

    /// How deliveries of addresses without an entry are dealt.
    #[must_use]
    pub fn default_treatment(&self) -> Treatment {
        self.default_treatment
    }

    /// Adds an entry under the number in it. Errors leave the rules as they were.
    pub fn add(&mut self, mut rule: AddressRule) -> Result<(), RuleError> {
        let named_alike = |other: &Arc<AddressRule>| other.name == rule.name;
        if rule.name.is_some() && self.list.iter().any(named_alike) {
            return Err(RuleError::NameConflict);
        }
        rule.check()?;
        let rule = Arc::new(rule);
        self.tree
            .insert(&rule.tree_pattern(), Arc::clone(&rule))
            .map_err(|error| rule.pattern_error(error))?;
        self.list.push(rule);
        Ok(())
    }

    /// Removes an entry by its number. Records made under it stay as they are.
    pub fn remove(&mut self, identity: u64) -> Option<Arc<AddressRule>> {
        let at = self
            .list
            .iter()
            .position(|rule| rule.identity == identity)?;
        let rule = self.list.remove(at);
        self.tree.remove(&rule.tree_pattern());
        Some(rule)
    }

    /// All entries, in the order in which they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<AddressRule>> {
        self.list.iter()
    }

    /// Whether what the consumers of an address cannot be given goes to those of its fallback.
    #[must_use]
    pub fn has_fallback(&self, address: &str) -> bool {
        let rule = self.tree.best_match(address);
        rule.is_some_and(|rule| rule.fallback)
    }

    /// Whether that is so for any address.
    #[must_use]
    pub fn has_fallbacks(&self) -> bool {
        self.list.iter().any(|rule| rule.fallback)
    }

    /// What holds for an address: normalised text, with the tenant's name in front where there is
    /// one.
    #[must_use]
    pub fn resolve(&self, address: &str, direction: Direction) -> Resolved {
        self.configured(address, direction).unwrap_or(Resolved {
            treatment: self.default_treatment,
            phase: Phase::Digit(0),
            priority: None,
        })
    }

    /// What an entry says of an address; `None` if there is no entry for it.
    #[must_use]
    pub fn configured(&self, address: &str, direction: Direction) -> Option<Resolved> {
        let rule = self.tree.best_match(address)?;
        let priority = rule.priority;
        Some(Resolved {
            treatment: rule.treatment,
            phase: rule.phase(direction),
            priority: priority.and_then(|priority| u8::try_from(priority).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry for a prefix, numbered.
    fn prefix(identity: u64, prefix: &str) -> AddressRule {
        AddressRule {
            identity,
            ..AddressRule::for_prefix(prefix, Treatment::AnycastBalanced)
        }
    }

    /// An entry for a pattern, numbered.
    fn pattern(identity: u64, pattern: &str) -> AddressRule {
        AddressRule {
            prefix: None,
            pattern: Some(pattern.to_owned()),
            ..prefix(identity, "")
        }
    }

    /// The text of the error with which an entry is refused.
    fn refusal(rule: AddressRule) -> String {
        let mut rules = Rules::new(Treatment::AnycastBalanced);
        rules
            .add(AddressRule {
                name: Some("taken".to_owned()),
                ..prefix(1, "taken")
            })
            .unwrap();
        let error = rules.add(rule).unwrap_err();
        assert_eq!(rules.iter().count(), 1);
        error.to_string()
    }

    #[test]
    fn each_mistake_about_name_and_form_has_its_text() {
        for (rule, text) in [
            (
                AddressRule {
                    name: Some("taken".to_owned()),
                    ..prefix(2, "p")
                },
                "Name conflicts with an existing entity",
            ),
            (
                AddressRule {
                    prefix: None,
                    ..prefix(2, "")
                },
                "Either a 'prefix' or 'pattern' attribute must be provided",
            ),
            (
                AddressRule {
                    pattern: Some("p".to_owned()),
                    ..prefix(2, "p")
                },
                "Cannot specify both a 'prefix' and a 'pattern' attribute",
            ),
            (prefix(2, ""), "Prefix must be a non-empty string type"),
            (pattern(2, ""), "Pattern must be a non-empty string type"),
            (prefix(2, "./"), "Prefix invalid - no tokens"),
            (pattern(2, "/"), "Pattern invalid - no tokens"),
            (
                pattern(2, &"a/".repeat(1000)),
                "Pattern invalid - too many tokens",
            ),
            (pattern(2, ".taken/#/#"), "Already exists"),
        ] {
            assert_eq!(refusal(rule), text);
        }
    }

    #[test]
    fn each_mistake_about_numbers_has_its_text() {
        let phases = |ingress_phase, egress_phase| AddressRule {
            ingress_phase,
            egress_phase,
            ..prefix(2, "p")
        };
        let phase = "Phase values must be between 0 and 9";
        let fallback =
            "Fallback cannot be specified with waypoint or non-zero ingress and egress phases";
        for (rule, text) in [
            (phases(Some(1), None), phase),
            (phases(None, Some(1)), phase),
            (phases(Some(0), Some(10)), phase),
            (phases(Some(-1), Some(1)), phase),
            (
                AddressRule {
                    priority: Some(10),
                    ..prefix(2, "p")
                },
                "Priority value, if present, must be between 0 and QDR_MAX_PRIORITY",
            ),
            (
                AddressRule {
                    fallback: true,
                    waypoint: true,
                    ..prefix(2, "p")
                },
                fallback,
            ),
            (
                AddressRule {
                    fallback: true,
                    ..phases(Some(0), Some(1))
                },
                fallback,
            ),
        ] {
            assert_eq!(refusal(rule), text);
        }
    }

    #[test]
    fn what_is_not_said_follows_from_the_rest() {
        let mut rules = Rules::new(Treatment::AnycastBalanced);
        rules
            .add(AddressRule {
                priority: Some(-1),
                ..prefix(1, "/a.")
            })
            .unwrap();
        rules
            .add(AddressRule {
                waypoint: true,
                ..prefix(2, "b")
            })
            .unwrap();
        let phases = (Some(3), Some(4));
        let (ingress_phase, egress_phase) = phases;
        let explicit = AddressRule {
            waypoint: true,
            ingress_phase,
            egress_phase,
            ..prefix(3, "c")
        };
        rules.add(explicit).unwrap();
        let shown: Vec<_> = rules.iter().collect();
        assert_eq!(shown[0].prefix.as_deref(), Some("a"));
        assert_eq!(
            (shown[0].ingress_phase, shown[0].egress_phase),
            (Some(0), Some(0))
        );
        assert_eq!(shown[0].priority, None);
        assert_eq!(
            (shown[1].ingress_phase, shown[1].egress_phase),
            (Some(0), Some(1))
        );
        assert!(shown[1].waypoint);
        assert_eq!((shown[2].ingress_phase, shown[2].egress_phase), phases);
        assert!(!shown[2].waypoint);
    }

    #[test]
    fn the_best_entry_decides_and_else_the_default() {
        let mut rules = Rules::new(Treatment::Unavailable);
        let orders = AddressRule {
            treatment: Treatment::Multicast,
            priority: Some(7),
            waypoint: true,
            ..prefix(1, "orders")
        };
        rules.add(orders).unwrap();
        let eu = AddressRule {
            treatment: Treatment::AnycastClosest,
            ..pattern(2, "*.eu")
        };
        rules.add(eu).unwrap();
        let found = rules.resolve("orders/eu", Direction::In);
        assert_eq!(found.treatment, Treatment::Multicast);
        assert_eq!((found.phase, found.priority), (Phase::Digit(0), Some(7)));
        assert_eq!(
            rules.resolve("orders", Direction::Out).phase,
            Phase::Digit(1)
        );
        assert_eq!(
            rules.resolve("bills/eu", Direction::In).treatment,
            Treatment::AnycastClosest
        );
        assert_eq!(
            rules.resolve("bills", Direction::In).treatment,
            Treatment::Unavailable
        );
        assert_eq!(rules.remove(1).map(|rule| rule.identity), Some(1));
        assert_eq!(rules.remove(1), None);
        assert_eq!(
            rules.resolve("orders/eu", Direction::In).treatment,
            Treatment::AnycastClosest
        );
        rules.add(prefix(3, "orders")).unwrap();
        let numbers: Vec<u64> = rules.iter().map(|rule| rule.identity).collect();
        assert_eq!(numbers, [2, 3]);
    }

    #[test]
    fn entries_without_a_name_do_not_conflict() {
        let mut rules = Rules::new(Treatment::AnycastBalanced);
        rules.add(prefix(1, "a")).unwrap();
        rules.add(prefix(2, "b")).unwrap();
        assert_eq!(rules.add(prefix(3, "a")), Err(RuleError::Exists));
        assert_eq!(rules.default_treatment(), Treatment::AnycastBalanced);
    }
}
