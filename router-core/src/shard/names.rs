//! What the links of a connection are called: in bytes, and for the log.
//!
//! The router keeps several copies of each name and address. A link that was refused counts, too,
//! until its peer has detached it: its name is taken until then.

use std::sync::Arc;

use amqp_codec::{Attach, Str, TargetArchetype};
use amqp_proto::LinkKey;

use crate::notice::{LinkText, cut};

/// The account of one connection.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By index of the engine's key.
    of_links: Vec<u32>,
    bytes: u64,
}

impl Names {
    /// A link is attached; the bytes of all.
    pub(super) fn add(&mut self, link: LinkKey, attach: &Attach) -> u64 {
        self.forget(link);
        let index = link.index();
        if index >= self.of_links.len() {
            self.of_links.resize(index + 1, 0);
        }
        let bytes = u32::try_from(bytes_of(attach)).unwrap_or(u32::MAX);
        self.of_links[index] = bytes;
        self.bytes += u64::from(bytes);
        self.bytes
    }

    /// A link is gone.
    pub(super) fn forget(&mut self, link: LinkKey) {
        if let Some(bytes) = self.of_links.get_mut(link.index()) {
            self.bytes -= u64::from(std::mem::take(bytes));
        }
    }
}

/// What the links of a connection are called, by index of the engine's key; empty where no messages
/// are shown.
#[derive(Debug, Default)]
pub(super) struct Shown(Vec<Option<Arc<LinkText>>>);

impl Shown {
    /// A link is attached, by the router or with this answer to its peer.
    pub(super) fn add(&mut self, link: LinkKey, attach: &Attach) {
        let [source, target] = addresses(attach)
            .map(|address| address.map_or_else(String::new, |address| cut(address)));
        let text = LinkText {
            name: cut(&attach.name),
            source,
            target,
        };
        let index = link.index();
        if index >= self.0.len() {
            self.0.resize(index + 1, None);
        }
        self.0[index] = Some(Arc::new(text));
    }

    /// A link is gone.
    pub(super) fn forget(&mut self, link: LinkKey) {
        if let Some(text) = self.0.get_mut(link.index()) {
            *text = None;
        }
    }

    /// What one is called.
    pub(super) fn of(&self, link: LinkKey) -> Option<&Arc<LinkText>> {
        self.0.get(link.index()).and_then(Option::as_ref)
    }
}

fn bytes_of(attach: &Attach) -> usize {
    let length = |address: Option<&Str>| address.map_or(0, |address| address.len());
    let [source, target] = addresses(attach).map(length);
    attach.name.len() + source + target
}

/// The addresses of source and target.
fn addresses(attach: &Attach) -> [Option<&Str>; 2] {
    let source = attach.source.as_ref();
    let target = match &attach.target {
        Some(TargetArchetype::Target(target)) => target.address.as_ref(),
        Some(TargetArchetype::Coordinator(_)) | None => None,
    };
    [source.and_then(|source| source.address.as_ref()), target]
}
