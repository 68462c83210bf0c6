//! Rows that are kept for a short while, so that the pages of one query fit together.
//!
//! Decision: few askers at a time, a few seconds each and bounded bytes; who does not fit gets
//! fresh rows for each page, which is what everybody got before.

use std::collections::VecDeque;
use std::time::Duration;

use amqp_codec::Str;
use amqp_proto::Time;
use router_core::inspect::Subject;
use router_core::limits::PAGES_BYTES;

use crate::snapshot::Live;
use crate::wire::Reply;

/// Queries whose rows are kept.
const KEPT: usize = 4;

/// How long.
const KEPT_FOR: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Page {
    asker: Str,
    subjects: Vec<Subject>,
    live: Live,
    /// What the rows take in memory.
    bytes: usize,
    until: Time,
}

/// The rows of the queries that were last answered in part, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pages: VecDeque<Page>,
}

impl Pages {
    /// Keeps rows for who asked.
    pub(crate) fn keep(&mut self, reply: Reply, subjects: Vec<Subject>, live: Live, now: Time) {
        let Some(asker) = reply.to else { return };
        self.pages
            .retain(|page| page.asker != asker || page.subjects != subjects);
        let bytes = live.bytes();
        if bytes > PAGES_BYTES {
            return;
        }
        while self.pages.len() == KEPT || self.bytes() + bytes > PAGES_BYTES {
            self.pages.pop_front();
        }
        self.pages.push_back(Page {
            asker,
            subjects,
            live,
            bytes,
            until: now + KEPT_FOR,
        });
    }

    fn bytes(&self) -> usize {
        self.pages.iter().map(|page| page.bytes).sum()
    }

    /// The rows of an earlier page of who asks.
    pub(crate) fn find(&self, reply: &Reply, subjects: &[Subject], now: Time) -> Option<&Live> {
        let is_wanted = |page: &&Page| {
            Some(&page.asker) == reply.to.as_ref() && page.subjects == subjects && now < page.until
        };
        self.pages.iter().find(is_wanted).map(|page| &page.live)
    }

    /// When rows are no longer kept.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.pages.iter().map(|page| page.until).min()
    }

    /// Gives back what nobody came for.
    pub(crate) fn expire(&mut self, now: Time) {
        self.pages.retain(|page| now < page.until);
    }
}
