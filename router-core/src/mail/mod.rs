//! What shards say to each other, and how it gets there: the only place where shards and the
//! control plane meet. Nothing here decides; see `docs/ARCHITECTURE.md`, "Mail".

mod doorbell;
mod letter;
mod mailbox;
mod outbox;

pub use doorbell::Doorbell;
pub use letter::{
    Batch, Bind, Bound, BoundLink, Command, ConnectionCommand, Dialled, End, Forward, Heads, Mail,
    OutRef, RouterLink, Target, TrunkEvent, TrunkNews, TrunkPeer, Unbind,
};
pub use mailbox::Mailbox;
pub use outbox::Outboxes;
