//! What the links of a connection are called, in bytes.
//!
//! The router keeps several copies of each name and address. A link that was refused counts, too,
//! until its peer has detached it: its name is taken until then.

use amqp_codec::{Attach, TargetArchetype};
use amqp_proto::LinkKey;

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

fn bytes_of(attach: &Attach) -> usize {
    let source = attach.source.as_ref();
    let source = source.and_then(|source| source.address.as_ref());
    let target = match &attach.target {
        Some(TargetArchetype::Target(target)) => target.address.as_ref(),
        Some(TargetArchetype::Coordinator(_)) | None => None,
    };
    let length = |address: Option<&amqp_codec::Str>| address.map_or(0, |address| address.len());
    attach.name.len() + length(source) + length(target)
}
