//! A container that link routes lead to: it answers attaches, well, badly, late or never, and works
//! on the links that it has agreed to.

use amqp_codec::{Attach, Role, TargetArchetype};
use amqp_proto::{Connection, LinkKey, SessionKey, Time};

use super::ends::{End, Flow};
use super::hand::{Hand, earliest};
use super::words::{marked, reason};
use crate::books::Books;
use crate::plan::{HubPlan, Work};
use crate::tunnels::{Leave, Side};

/// Not until somebody else gives up.
const NEVER: Time = Time::from_nanos(u64::MAX);

/// It leaves so many links at most: who has no other hub must come to rest, too.
const LEAVES: u32 = 4;

#[derive(Debug)]
pub(super) struct Hub {
    plan: HubPlan,
    /// It stands in the books.
    pub(super) is_known: bool,
    /// The router's sessions.
    pub(super) sessions: Vec<SessionKey>,
    pub(super) ends: Vec<(SessionKey, End)>,
    asked: Vec<Asked>,
    odds: u32,
    /// It may leave so many links yet.
    leaves: u32,
}

/// An attach without an answer, or one that was refused and is to be forgotten.
#[derive(Debug)]
struct Asked {
    session: SessionKey,
    link: LinkKey,
    tunnel: usize,
    attach: Attach,
    answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Agrees(Time),
    Refuses(Time),
    Refused,
}

impl Hub {
    pub(super) fn new(plan: &HubPlan) -> Self {
        Self {
            odds: plan.odds,
            leaves: LEAVES,
            plan: plan.clone(),
            is_known: false,
            sessions: Vec::new(),
            ends: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// It is asked for a link.
    pub(super) fn asked(
        &mut self,
        (link, tunnel): (LinkKey, usize),
        attach: &Attach,
        hand: &mut Hand<'_>,
    ) {
        let is_ending = hand.books.tunnels.is_ending(hand.peer);
        let book = hand.books.tunnels.all[tunnel].end_mut(Side::Hub);
        assert!(book.peer.is_none(), "tunnel {tunnel} comes to two hubs");
        (book.peer, book.node) = (Some(hand.peer), Some(hand.node));
        book.link = Some(link);
        if is_ending {
            // What it reads now was written before its router gave it up.
            book.go(hand.now);
        }
        let mut answer = Answer::Agrees(hand.now);
        if self.odds > 0 && self.plan.odd > 0 && hand.random.one_in(self.plan.odd) {
            self.odds -= 1;
            answer = match hand.random.below(5) {
                0 => Answer::Refuses(hand.now),
                1 => Answer::Refuses(hand.now + hand.random.micros(3_000_000)),
                2 => Answer::Agrees(hand.now + hand.random.micros(1_000_000)),
                3 => Answer::Agrees(hand.now + hand.random.micros(20_000_000)),
                _ => {
                    book.left = Some(Leave::Gone);
                    Answer::Agrees(NEVER)
                }
            };
        }
        self.asked.push(Asked {
            session: hand.session,
            link,
            tunnel,
            attach: attach.clone(),
            answer,
        });
    }

    /// Answers what is due; when the next is.
    pub(super) fn answer(&mut self, hand: &mut Hand<'_>) -> Option<Time> {
        let mut next = None;
        let mut place = 0;
        while let Some(asked) = self.asked.get_mut(place) {
            place += 1;
            match asked.answer {
                Answer::Agrees(at) | Answer::Refuses(at) if at > hand.now => {
                    next = earliest(next, (at != NEVER).then_some(at));
                }
                Answer::Agrees(_) => {
                    place -= 1;
                    let asked = self.asked.remove(place);
                    self.agree(asked, hand);
                }
                Answer::Refuses(_) => {
                    let error = Some(reason("app:refused"));
                    asked.answer = Answer::Refused;
                    let book = hand.books.tunnels.all[asked.tunnel].end_mut(Side::Hub);
                    book.left.get_or_insert(Leave::Detach {
                        closed: true,
                        error: error.clone(),
                    });
                    hand.engine.detach(asked.link, true, error, hand.output);
                }
                Answer::Refused => {}
            }
        }
        next
    }

    fn agree(&mut self, asked: Asked, hand: &mut Hand<'_>) {
        let Asked {
            session,
            link,
            tunnel,
            attach,
            ..
        } = asked;
        let book = &mut hand.books.tunnels.all[tunnel];
        book.end_mut(Side::Hub).up = Some(hand.now);
        let modes = book.modes();
        let (work, left) = match attach.role {
            Role::Sender => (Work::Receive(self.plan.receive.clone()), 0),
            Role::Receiver => (Work::Send(self.plan.send.clone()), self.plan.send.count),
        };
        let answer = Attach {
            snd_settle_mode: attach.snd_settle_mode,
            rcv_settle_mode: attach.rcv_settle_mode,
            source: attach.source,
            target: attach.target,
            max_message_size: Some(answered_size(tunnel)),
            offered_capabilities: vec![amqp_codec::Symbol::copy("sim:gift")],
            properties: Some(marked(tunnel as u64)),
            ..Attach::default()
        };
        hand.engine.answer_attach(link, answer, hand.output);
        let flow = Flow::new(&work, modes, left);
        let mut detaches = self.plan.detaches;
        match self.leaves {
            0 => detaches = 0,
            _ => self.leaves -= u32::from(detaches > 0),
        }
        let end = End::new((link, tunnel, Side::Hub), flow, detaches);
        self.ends.push((session, end));
    }

    /// Which link it was asked for, and has not agreed to, stands for which tunnel.
    pub(super) fn asked_for(&self, link: LinkKey) -> Option<usize> {
        let asked = self.asked.iter().find(|asked| asked.link == link)?;
        Some(asked.tunnel)
    }

    /// A link is over.
    pub(super) fn lost(&mut self, link: LinkKey, hand: &mut Hand<'_>) {
        if let Some(place) = self.ends.iter().position(|(_, end)| end.link == link) {
            self.ends.remove(place).1.lost(hand);
        }
        if let Some(place) = self.asked.iter().position(|asked| asked.link == link) {
            let tunnel = self.asked.remove(place).tunnel;
            let book = hand.books.tunnels.all[tunnel].end_mut(Side::Hub);
            book.over.get_or_insert(hand.now);
        }
    }

    /// The tunnels of a session.
    pub(super) fn tunnels_of(&self, session: SessionKey) -> impl Iterator<Item = usize> {
        let ends = self.ends.iter().filter(move |(of, _)| *of == session);
        let asked = self.asked.iter().filter(move |of| of.session == session);
        let ends = ends.map(|(_, end)| end.tunnel);
        ends.chain(asked.map(|asked| asked.tunnel))
    }

    pub(super) fn unmet(&self, engine: &Connection, books: &Books) -> Option<String> {
        if let Some(asked) = self.asked.first() {
            return Some(format!("tunnel {} waits: {:?}", asked.tunnel, asked.answer));
        }
        self.ends
            .iter()
            .find_map(|(_, end)| end.unmet(engine, books))
    }
}

/// The largest message that a hub says it takes.
pub(super) fn answered_size(tunnel: usize) -> u64 {
    10_000_000 + tunnel as u64
}

/// Whether the answer to an attach says that there is a terminus.
pub(super) fn has_terminus(attach: &Attach) -> bool {
    match attach.role {
        // The answer of who receives.
        Role::Receiver => attach.target.is_some(),
        Role::Sender => attach.source.is_some(),
    }
}

/// The address of the terminus that a device's attach names, or the answer to it.
pub(super) fn address_of(attach: &Attach, device: Role) -> Option<&str> {
    match (device, &attach.target, &attach.source) {
        (Role::Sender, Some(TargetArchetype::Target(target)), _) => target.address.as_deref(),
        (Role::Receiver, _, Some(source)) => source.address.as_deref(),
        _ => None,
    }
}
