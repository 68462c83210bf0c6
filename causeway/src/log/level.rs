//! Severities, and the expression that enables them: `info+`, `trace,error`, `none`, `default`.

use std::fmt;

/// How severe a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For following what happens step by step.
    Trace,
    /// For finding errors in the router.
    Debug,
    /// What a connection or link does.
    Info,
    /// What operators want to know.
    Notice,
    /// Something is not as it should be.
    Warning,
    /// Something failed.
    Error,
    /// The router cannot go on.
    Critical,
}

impl Level {
    /// All, the least severe first.
    pub const ALL: [Self; 7] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
    ];

    /// The name in lines and expressions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The priority of the system's log: 7 for debugging, 2 for critical.
    #[must_use]
    pub fn syslog_priority(self) -> u8 {
        match self {
            Self::Trace | Self::Debug => 7,
            Self::Info => 6,
            Self::Notice => 5,
            Self::Warning => 4,
            Self::Error => 3,
            Self::Critical => 2,
        }
    }

    /// Its place in [`Level::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels(u8);

impl Levels {
    /// No level.
    pub const NONE: Self = Self(0);

    /// The level and all that are more severe.
    #[must_use]
    pub fn from(level: Level) -> Self {
        Self(0x7f & !(level.bit() - 1))
    }

    /// Whether the level is in the set.
    #[must_use]
    pub fn contains(self, level: Level) -> bool {
        self.0 & level.bit() != 0
    }

    /// The set as the bits of [`Levels::from_bits`].
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set with these bits.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & 0x7f)
    }
}

/// A word of an expression that is no level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadLevel(String);

impl fmt::Display for BadLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "'{}' is not a valid log level. Should be one of {{none, trace, debug, info, notice, \
             warning, error, critical}}.",
            self.0
        )
    }
}

/// Reads an expression; `None` where it says `default`: what the module `DEFAULT` has.
///
/// Words are matched without regard to case by their beginnings, in the order default, none, trace
/// and so on: `n` is none, `not` is notice. The empty expression enables nothing.
///
/// # Errors
///
/// A word that begins no level's name.
pub(super) fn parse(expression: &str) -> Result<Option<Levels>, BadLevel> {
    let mut levels = Some(Levels::NONE);
    let separators = [',', ';', ':', ' ', '\t'];
    for word in expression.split(separators).filter(|word| !word.is_empty()) {
        let found = parse_word(word).ok_or_else(|| BadLevel(word.to_owned()))?;
        levels = levels
            .zip(found)
            .map(|(one, other)| Levels(one.0 | other.0));
    }
    Ok(levels)
}

/// The levels that a word selects: the outer `None` if it is none, the inner for `default`.
fn parse_word(word: &str) -> Option<Option<Levels>> {
    let (name, and_above) = match word.strip_suffix('+') {
        Some(name) => (name, true),
        None => (word, false),
    };
    let name = name.to_ascii_lowercase();
    if "default".starts_with(&name) {
        return Some(None);
    }
    if "none".starts_with(&name) {
        return Some(Some(Levels::NONE));
    }
    let level = Level::ALL
        .into_iter()
        .find(|level| level.name().starts_with(&name))?;
    Some(Some(if and_above {
        Levels::from(level)
    } else {
        Levels(level.bit())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(expression: &str) -> Vec<&'static str> {
        let levels = parse(expression).unwrap().unwrap();
        Level::ALL
            .into_iter()
            .filter(|&level| levels.contains(level))
            .map(Level::name)
            .collect()
    }

    #[test]
    fn expressions_select_levels() {
        assert_eq!(selected("info"), ["info"]);
        assert_eq!(selected("warning+"), ["warning", "error", "critical"]);
        assert_eq!(
            selected("trace, error;notice:debug"),
            ["trace", "debug", "notice", "error"]
        );
        assert_eq!(selected("TRACE+").len(), 7);
        assert!(selected("none").is_empty());
        assert!(selected("").is_empty());
    }

    #[test]
    fn beginnings_match_in_their_order() {
        assert!(selected("n").is_empty());
        assert_eq!(selected("not"), ["notice"]);
        assert_eq!(selected("deb"), ["debug"]);
        assert_eq!(selected("e"), ["error"]);
        for inherited in ["d", "de", "default", "+", "info,default"] {
            assert_eq!(parse(inherited), Ok(None), "{inherited}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_told() {
        for expression in ["loud", "trace,bogus", "infox", "info++"] {
            let text = parse(expression).unwrap_err().to_string();
            assert!(
                text.contains("is not a valid log level. Should be one of {none,"),
                "{text}"
            );
        }
    }
}
