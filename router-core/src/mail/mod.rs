//! What shards say to each other, and how it gets there: the only place where shards and the
//! control plane meet. Nothing here decides; see `docs/ARCHITECTURE.md`, "Mail".

mod autolink;
mod doorbell;
mod letter;
mod mailbox;
mod outbox;
mod relay;

pub use autolink::{AttachAutoLink, AutoLinkEvent, AutoLinkKey};
pub use doorbell::Doorbell;
pub use letter::{
    Asker, Batch, Bind, Bound, BoundLink, Command, ConnectionCommand, Container, Dialled, End,
    Forward, Heads, Mail, OutRef, RouterLink, Target, TrunkEvent, TrunkNews, TrunkPeer, Unbind,
};
pub use mailbox::Mailbox;
pub use outbox::Outboxes;
pub use relay::{AddressEdit, AttachLink, Half, Label, NO_ROUTE, Relay, RelayEvent, RouteLink};
