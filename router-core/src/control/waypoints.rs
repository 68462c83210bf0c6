//! What the control plane does about auto-links: it is told of them, and of what came of them.

use amqp_proto::Time;

use crate::control::autolinks::{AutoLinkError, AutoLinkRow, AutoLinkRule, Errand};
use crate::control::plane::ControlPlane;
use crate::mail::{Command, Mail};

impl ControlPlane {
    /// Adds an auto-link and gives it a number; that in the entry is ignored.
    ///
    /// # Errors
    /// What is wrong with the entry; then nothing has changed.
    pub fn add_auto_link(&mut self, rule: AutoLinkRule) -> Result<u64, AutoLinkError> {
        let identity = self.last_identity + 1;
        self.auto_links.add(AutoLinkRule { identity, ..rule })?;
        self.last_identity = identity;
        Ok(identity)
    }

    /// Removes an auto-link and detaches its links; false if there is none with that number.
    pub fn remove_auto_link(&mut self, identity: u64) -> bool {
        self.auto_links.remove(identity)
    }

    /// The auto-links, in the order in which they were added.
    pub fn auto_links(&self) -> impl ExactSizeIterator<Item = AutoLinkRow<'_>> {
        self.auto_links.rows()
    }

    /// Has shards attach and detach what is due.
    pub(super) fn turn_auto_links(&mut self, now: Time) {
        for (shard, errand) in self.auto_links.turn(now, &self.rules) {
            let command = match errand {
                Errand::Attach(ask) => Command::AttachAutoLink(ask),
                Errand::Detach(of) => Command::DetachAutoLink(of),
            };
            self.outboxes.push(shard, Mail::Command(Box::new(command)));
        }
    }
}
