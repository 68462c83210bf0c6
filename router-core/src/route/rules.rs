//! What the configuration says about addresses: patterns with a distribution, phases and a priority.
//!
//! Owns the checks of such an entry and the search for the one that fits an address. Never touches an
//! address record: a rule is looked up when a record is made. Decision: the texts of errors are
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
    pub fn iter(&self) -> impl Iterator<Item = &Arc<AddressRule>> {
        self.list.iter()
    }

    /// What holds for an address: normalised text, with the tenant's name in front where there is one.
    #[must_use]
    pub fn resolve(&self, address: &str, direction: Direction) -> Resolved {
        let Some(rule) = self.tree.best_match(address) else {
            return Resolved {
                treatment: self.default_treatment,
                phase: Phase::Digit(0),
                priority: None,
            };
        };
        Resolved {
            treatment: rule.treatment,
            phase: rule.phase(direction),
            priority: rule
                .priority
                .and_then(|priority| u8::try_from(priority).ok()),
        }
    }
}
