//! What a link between two routers of a cluster does with their bytes.

use std::fmt;
use std::time::Duration;

/// How a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    /// Bytes pass.
    #[default]
    Up,
    /// Connections end, and new ones end at once: a cable that was pulled, and both ends know it.
    Cut,
    /// Connections stay, and all that is sent is swallowed: a cable that was pulled, and neither
    /// end knows it.
    Frozen,
    /// Bytes pass after so long, in either direction.
    Delayed(Duration),
}

impl LinkState {
    /// Whether bytes pass.
    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Self::Up | Self::Delayed(_))
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => f.write_str("up"),
            Self::Cut => f.write_str("cut"),
            Self::Frozen => f.write_str("frozen"),
            Self::Delayed(delay) => write!(f, "up, {} ms late", delay.as_millis()),
        }
    }
}
