//! The parts of a peer, and what its actors work with.

use amqp_proto::{Connection, RecvBuf, SendQueue, SessionKey, Time, Transform};

use super::device::Device;
use super::hand::{Hand, Tie};
use super::hub::Hub;
use super::receiver::Receiver;
use super::sender::Sender;
use crate::books::Books;
use crate::plan::PeerPlan;
use crate::random::Random;

/// A client.
pub(crate) struct Peer {
    pub(crate) plan: PeerPlan,
    pub(crate) wire: usize,
    pub(crate) phase: Phase,
    pub(crate) output: SendQueue,
    /// Protects what it says; `wire` is the number of its wire, this what goes there.
    pub(super) transform: Box<dyn Transform>,
    pub(super) protected: SendQueue,
    /// It wants its side of the wire closed once its output is written.
    pub(crate) hangs_up: bool,
    /// The next act that stands in the agenda.
    pub(crate) wake: Option<Time>,
    /// Bytes from the router, as far as it reads them.
    pub(crate) read: u64,
    pub(super) annotated: bool,
    pub(super) engine: Connection,
    pub(super) input: RecvBuf,
    pub(super) random: Random,
    pub(super) sessions: Vec<SessionKey>,
    pub(super) actors: Vec<Actor>,
    pub(super) hub: Option<Hub>,
    pub(super) misdeeds: u32,
}

/// How far a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has not come yet.
    Away,
    /// It is connected.
    Here,
    /// It closes its connection.
    Closing,
    /// It is gone for good.
    Gone,
}

/// Who uses a link.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) session: usize,
    /// Where what it learns is of use: the other link of a request and its answers.
    pub(super) sibling: Option<usize>,
    pub(super) part: Part,
}

#[derive(Debug)]
pub(super) enum Part {
    Sender(Sender),
    Receiver(Receiver),
    Device(Device),
    /// Its session has ended.
    Over,
}

/// Who acts at a peer.
pub(super) struct Parts<'a> {
    pub(super) actors: &'a mut [Actor],
    pub(super) hub: Option<&'a mut Hub>,
    pub(super) sessions: &'a [SessionKey],
}

impl Part {
    pub(super) fn tie(&self) -> Option<&Tie> {
        match self {
            Self::Sender(sender) => Some(&sender.tie),
            Self::Receiver(receiver) => Some(&receiver.tie),
            Self::Device(_) | Self::Over => None,
        }
    }
}

impl Peer {
    /// What it has to say is made ready for the wire.
    pub(crate) fn seal(&mut self) {
        let Self {
            transform,
            output,
            protected,
            ..
        } = self;
        if transform.is_clear() {
            return;
        }
        if self.hangs_up && output.is_empty() {
            transform.finish();
        }
        if let Err(error) = transform.seal(output, protected) {
            assert!(self.plan.hostile.is_some(), "{error}");
            self.hangs_up = true;
        }
    }

    /// What goes on its wire.
    pub(crate) fn sealed(&mut self) -> &mut SendQueue {
        match self.transform.is_clear() {
            true => &mut self.output,
            false => &mut self.protected,
        }
    }

    /// Whether nothing is left to be put on its wire.
    pub(crate) fn has_said_all(&self) -> bool {
        let is_shaking = !self.transform.is_ready();
        (self.output.is_empty() || is_shaking) && self.protected.is_empty()
    }

    pub(crate) fn is_hostile(&self) -> bool {
        self.plan.hostile.is_some()
    }

    /// An actor, and what it works with.
    pub(super) fn hand<'a>(
        &'a mut self,
        place: usize,
        now: Time,
        books: &'a mut Books,
    ) -> (&'a mut Actor, Hand<'a>) {
        let (
            Parts {
                actors, sessions, ..
            },
            hand,
        ) = self.apart(now, books);
        let actor = &mut actors[place];
        let hand = hand(sessions[actor.session]);
        (actor, hand)
    }

    /// Who acts, and apart from that what it works with, on whichever session.
    pub(super) fn apart<'a>(
        &'a mut self,
        now: Time,
        books: &'a mut Books,
    ) -> (Parts<'a>, impl FnOnce(SessionKey) -> Hand<'a>) {
        let Self {
            actors,
            hub,
            sessions,
            engine,
            output,
            random,
            plan,
            annotated,
            ..
        } = self;
        let (peer, node, annotated) = (plan.number, plan.node, *annotated);
        let evil = plan.hostile.is_some();
        let tools = (engine, output, random, books);
        let hand = move |session| {
            let (engine, output, random, books) = tools;
            Hand {
                engine,
                output,
                random,
                books,
                now,
                session,
                peer,
                node,
                annotated,
                evil,
            }
        };
        let parts = Parts {
            actors,
            hub: hub.as_mut(),
            sessions,
        };
        (parts, hand)
    }
}
