//! What a rule reports: a place, the rule's name and a sentence that says how to mend it.
//!
//! Owns the shape of a finding and nothing else. Decision: rules return findings instead of
//! printing them, so that each can be tested on a small bad example.

use std::fmt;

/// One finding of one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// Path relative to the workspace root.
    pub(crate) path: String,
    /// Line from 1, or 0 where the file as a whole is meant.
    pub(crate) line: usize,
    /// Short name of the rule, stable, for people to search.
    pub(crate) rule: &'static str,
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(path: &str, line: usize, rule: &'static str, text: String) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            text,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            text,
        } = self;
        if *line == 0 {
            write!(f, "{path}: {rule}: {text}")
        } else {
            write!(f, "{path}:{line}: {rule}: {text}")
        }
    }
}
