//! What the actors of a peer work with and tell each other.

use amqp_codec::{Attach, Role, SenderSettleMode, Source, Str, Target, TargetArchetype};
use amqp_proto::{Connection, SendQueue, SessionKey, Time};

use crate::books::Books;
use crate::random::Random;

/// What an actor works with.
pub(super) struct Hand<'a> {
    pub(super) engine: &'a mut Connection,
    pub(super) output: &'a mut SendQueue,
    pub(super) random: &'a mut Random,
    pub(super) books: &'a mut Books,
    pub(super) now: Time,
    pub(super) session: SessionKey,
    pub(super) peer: usize,
    pub(super) node: usize,
    pub(super) annotated: bool,
    /// Nothing of it goes into the books.
    pub(super) evil: bool,
}

/// What one actor tells its sibling.
#[derive(Debug)]
pub(super) enum News {
    /// A dynamic address was made.
    Address(String),
    /// A request has come: where the answer goes, and what it answers.
    Request(String, u64),
    /// An answer has come, to this request.
    Answer(u64),
}

/// The earlier of two times.
pub(crate) fn earliest(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    [one, other].into_iter().flatten().min()
}

/// An attach; `None` as address asks for a dynamic source or an anonymous target.
pub(super) fn attach(name: String, role: Role, address: Option<&str>, settles: bool) -> Attach {
    let dynamic = role == Role::Receiver && address.is_none();
    let text = |own: Role| address.filter(|_| own == role).map(Str::copy);
    Attach {
        name: Str::from(name),
        role,
        snd_settle_mode: match settles {
            true => SenderSettleMode::Settled,
            false => SenderSettleMode::Mixed,
        },
        source: Some(Source {
            address: text(Role::Receiver),
            dynamic,
            ..Source::default()
        }),
        target: Some(TargetArchetype::Target(Box::new(Target {
            address: text(Role::Sender),
            ..Target::default()
        }))),
        initial_delivery_count: (role == Role::Sender).then_some(0),
        ..Attach::default()
    }
}
