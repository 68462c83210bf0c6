//! What the actors of a peer work with and tell each other.

use amqp_codec::{Attach, Role, SenderSettleMode, Source, Str, Target, TargetArchetype};
use amqp_proto::{Connection, LinkKey, SendQueue, SessionKey, Time};

use crate::books::{Books, LinkBook};
use crate::random::Random;
use crate::rests::Rests;

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

/// A link of an actor's own, as far as it has one.
#[derive(Debug, Default)]
pub(super) struct Tie {
    pub(super) link: Option<LinkKey>,
    /// The router has answered.
    pub(super) attached: bool,
    /// Where it stands in the books.
    pub(super) book: Option<usize>,
}

impl Tie {
    /// Attaches a link; as [`attach`].
    pub(super) fn attach(
        &mut self,
        hand: &mut Hand<'_>,
        name: String,
        role: Role,
        address: Option<&str>,
        settles: bool,
    ) {
        let attach = attach(name, role, address, settles);
        self.link = hand.engine.attach(hand.session, attach, hand.output).ok();
        if !hand.evil {
            self.book = Some(hand.books.add_link(LinkBook {
                peer: hand.peer,
                node: hand.node,
                sends: role == Role::Sender,
                address: address.unwrap_or_default().into(),
                settles,
                annotated: role == Role::Receiver && hand.annotated,
                up: None,
                ending: None,
                ended: None,
                rests: Rests::default(),
            }));
        }
    }

    /// The router has answered the attach.
    pub(super) fn answered(&mut self, hand: &mut Hand<'_>) {
        self.attached = true;
        if let Some(book) = self.book {
            let link = &mut hand.books.links[book];
            link.up = Some(hand.now);
            link.rests.begin(hand.now);
        }
    }

    /// It is about to end.
    pub(super) fn ending(&self, hand: &mut Hand<'_>) {
        if let Some(book) = self.book {
            hand.books.link_ending(book, hand.now);
        }
    }

    /// It has ended.
    pub(super) fn lost(&mut self, hand: &mut Hand<'_>) {
        if let Some(book) = self.book {
            hand.books.link_ended(book, hand.now);
        }
        self.link = None;
        self.attached = false;
    }
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
