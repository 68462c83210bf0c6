//! What is remembered of what lasts too long, of a link and of a shard.
//! It never looks: [`ageing`](super) does.

pub(super) use crate::limits::OLD_SECONDS;

/// What was found in a shard when it was last looked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ageing {
    /// The second in which it was looked.
    pub(super) looked: u32,
    /// Deliveries that do not end.
    pub(super) stuck: u64,
    /// Links to receivers without credit.
    pub(super) blocked: u64,
}

/// What the log has heard of a link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    /// It has deliveries that do not end.
    pub(super) stuck: bool,
    /// It has had no credit for long.
    pub(super) blocked: bool,
}

impl Trouble {
    /// Notes what is the case now; what of it is news, if anything.
    pub(super) fn note(&mut self, stuck: bool, blocked: bool) -> Option<Self> {
        let news = Self {
            stuck: stuck && !self.stuck,
            blocked: blocked && !self.blocked,
        };
        *self = Self { stuck, blocked };
        (news.stuck || news.blocked).then_some(news)
    }
}

/// How long something has been so.
pub(super) fn seconds_since(since: Option<u32>, second: u32) -> u32 {
    since.map_or(0, |since| second.saturating_sub(since))
}

/// Whether what has been so since that second is old.
pub(super) fn is_old(since: u32, second: u32) -> bool {
    second.saturating_sub(since) > OLD_SECONDS
}
