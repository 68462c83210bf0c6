//! One connection of a shard: engine, transform, buffers, and the lists of what is to be done for
//! it.
//!
//! The fence of the architecture's two panic zones is here: a panic inside `open`, `seal` or
//! `poll_event` touches nothing but this connection, and ends nothing but this connection.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use amqp_codec::{Attach, Str};
use amqp_proto::{
    Config, Connection, ConnectionError, Event, LimitError, LinkKey, RecvBuf, SendQueue,
    SessionKey, Time, Transform,
};

use super::hoard::Hoard;
use super::link::Passing;
use super::names::{Names, Shown};
use super::ready::Ready;
use super::window::ReadWindow;
use crate::ids::{ConnectionId, Direction, InLinkKey, Key};
use crate::inspect::LinkType;
use crate::limits;
use crate::route::PRIORITIES;
use crate::settings::{ConnectionRole, ConnectionSettings, Join, NewConnection};

/// A connection.
pub(super) struct Conn {
    /// Its number in the log.
    pub(super) id: ConnectionId,
    /// What its listener or connector says.
    pub(super) settings: Arc<ConnectionSettings>,
    /// `address:port` of the peer.
    pub(super) peer: String,
    /// The protocol engine.
    pub(super) engine: Connection,
    /// What stands between socket and engine.
    pub(super) transform: Box<dyn Transform>,
    /// Plain bytes received and not yet decoded.
    pub(super) input: RecvBuf,
    /// Plain bytes to send.
    pub(super) output: SendQueue,
    /// Sealed bytes to send; unused while the transform is clear.
    pub(super) wire: SendQueue,
    /// How far it is.
    pub(super) phase: Phase,
    /// Its links, by index of the engine's key.
    pub(super) links: Vec<Option<LinkSlot>>,
    /// What they are called.
    pub(super) names: Names,
    /// The same for the log, where it shows messages.
    pub(super) shown: Shown,
    /// Bytes of deliveries held for its links.
    pub(super) held_bytes: u64,
    /// What that is beside what may be.
    pub(super) fill: Fill,
    /// Bytes of settled deliveries that wait in the lanes of its consumers.
    pub(super) lane_bytes: u64,
    /// Links to the neighbour at its other end that carry messages, by their priority.
    pub(super) data_links: Vec<Option<Key>>,
    /// How large messages go to the neighbour at its other end.
    pub(super) streaming: Streaming,
    /// Its sessions, each with the bytes for which its incoming window is withheld.
    pub(super) sessions: Vec<(SessionKey, Withheld)>,
    /// The control plane knows it as one that link routes may lead to.
    pub(super) is_container: bool,
    /// Sessions that this router has begun for routed links.
    pub(super) routing: Vec<SessionKey>,
    /// The same for auto-links.
    pub(super) auto_link_sessions: Vec<SessionKey>,
    /// Links that the peer has attached and that are routed, or were until a short while ago.
    pub(super) routed: usize,
    /// What they bring and what waits to be passed on.
    pub(super) passing: VecDeque<Passing>,
    /// The engine's settings before its sessions were too many for their full windows.
    pub(super) roomy: Option<Arc<Config>>,
    /// Consumers that keep others waiting who share it, and those that may.
    pub(super) hoards: Vec<Hoard>,
    /// Links with something to send.
    pub(super) ready: Ready,
    /// Links that wait for their session's window, by session.
    pub(super) stalled: Vec<(SessionKey, VecDeque<Key>)>,
    /// Producers' links whose credit may have changed.
    pub(super) dirty: Vec<InLinkKey>,
    /// Consumers' links of which the peer has no answer yet.
    pub(super) unanswered: usize,
    /// New producers' links that wait for those answers.
    pub(super) newcomers: BTreeSet<InLinkKey>,
    /// It is in the shard's list of connections to look after at the end of the turn.
    pub(super) touched: bool,
    /// Too much that came by it is under way to another thread: it is not read.
    pub(super) paused: bool,
    /// It is in the shard's list of connections with undecoded input.
    pub(super) backlogged: bool,
    /// It is in the shard's list of connections with bytes for the socket.
    pub(super) writing: bool,
    /// The peer's Open: container-id and properties.
    pub(super) container: Option<String>,
    /// The properties of the peer's Open.
    pub(super) properties: Option<amqp_codec::Encoded>,
    /// When it was accepted.
    pub(super) since: Time,
    /// When a delivery last came or went.
    pub(super) last_delivery: Option<Time>,
    /// Its part in a trunk.
    pub(super) trunk: Trunking,
    /// Frames with messages between routers, and how many of them were counted before.
    pub(super) carried: (u32, u32),
    /// How many of them there had been when one came last, and the second in which.
    pub(super) quiet: (u32, u32),
    /// How far it is given up.
    pub(super) leaving: Leaving,
    /// Whether its frames are traced, if someone has said so of this connection.
    pub(super) traced: Option<bool>,
    /// An administrator deleted it.
    pub(super) deleted: bool,
    /// States told again, and the second in which.
    pub(super) repeats: (u32, u32),
    /// When something last came in, and how long nothing may, in the shard's waking time.
    pub(super) vigil: Vigil,
    /// Dispositions wait for room in the send queue.
    pub(super) unfinished: bool,
    /// When a closing connection is dropped even if its peer does not read.
    pub(super) linger: Option<Time>,
    /// The deadline for which it is in the wheel.
    pub(super) armed: Option<Time>,
}

/// The links of a connection that carry large messages to a neighbour.
#[derive(Debug, Default)]
pub(super) struct Streaming {
    /// The links.
    pub(super) links: Vec<Key>,
    /// They are as many as there can be: flows without one of their own are divided among them.
    pub(super) divided: bool,
}

/// Why a session's incoming window is not given back in full, in bytes of message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Withheld {
    /// Streams that are further ahead of their consumers than they may.
    pub(super) streams: u64,
    /// Unsettled deliveries beyond what a link may hold.
    pub(super) links: u64,
}

/// How much is held for a connection, beside what may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fill {
    /// Less.
    #[default]
    Room,
    /// As much: only those go on for whom others wait.
    Full,
    /// Twice as much: of those, only who has a session to itself.
    Brimful,
}

impl Fill {
    /// What becomes of it when so much is held: it falls a step below where it has risen, so that
    /// what comes and goes one by one does not make it flap.
    fn with(self, held: u64, bound: u64) -> Self {
        let step = limits::WITHHELD_STEP.min(bound / 8);
        let levels = [
            (Self::Brimful, bound.saturating_mul(2)),
            (Self::Full, bound),
        ];
        let is_at =
            |&(level, from): &(Self, u64)| held > if self >= level { from - step } else { from };
        levels
            .into_iter()
            .find(is_at)
            .map_or(Self::Room, |(level, _)| level)
    }
}

impl Withheld {
    /// Bytes by which the window is smaller.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes_beside(0)
    }

    /// The same where the streams that withhold so many of them keep nobody from sending.
    pub(super) fn bytes_beside(&self, alone: u64) -> u64 {
        self.links + alone.max(self.streams.saturating_sub(limits::STALL_ALLOWANCE))
    }
}

/// What is made of a peer's silence, beyond the idle time-out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Vigil {
    /// When something last came in, in waking time.
    pub(super) heard: Time,
    /// The silence that is allowed; `None`: any.
    pub(super) limit: Option<Duration>,
    /// The silence that is allowed while its hello is overdue, and since when that is.
    pub(super) doubt: Option<(Duration, Time)>,
    /// The peer is a router of our kind.
    pub(super) is_ours: bool,
}

impl Vigil {
    /// When the silence has lasted too long, in waking time.
    pub(super) fn deadline(&self) -> Option<Time> {
        let doubted = self.doubt.map(|(limit, _)| limit);
        let limit = [self.limit, doubted].into_iter().flatten().min()?;
        Some(self.heard + limit)
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Headers, SASL, Open.
    Opening,
    /// Both Opens exchanged.
    Open,
    /// Its links are gone; what is queued is still sent, then the socket goes.
    Closing,
}

/// What part a connection has in a trunk between two routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trunking {
    /// None.
    No,
    /// It was dialled to belong to one.
    Joining(Join),
    /// Its peer says that it belongs to one: the control plane is asked, nothing read meanwhile.
    Asking,
    /// It belongs to this one, which goes by its first connection.
    Of(ConnectionId),
}

/// How far a connection of a trunk is given up, and since which second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Not at all.
    No,
    /// Nobody begins to use it.
    Announced(u32),
    /// The peer's credit is taken back.
    Emptied(u32),
}

/// What stands behind a link of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkSlot {
    /// A producer's link.
    In(InLinkKey),
    /// A consumer's link.
    Out(Key),
    /// An auto-link that its container has not yet taken.
    Offered(Key),
    /// Refused, or given up: the peer's detach is all that is awaited.
    Refused,
}

/// Links that a router attaches itself; each kind has sessions of its own, so that neither holds up
/// the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnSessions {
    /// The far halves of routed links.
    Routed,
    /// Auto-links.
    AutoLinks,
}

/// Why input could not be taken.
#[derive(Debug)]
pub(super) enum Fault {
    /// The engine has ended the connection.
    Protocol(ConnectionError),
    /// The transform has.
    Transform(String),
    /// A defect of ours, fenced.
    Panic,
}

impl Conn {
    /// A connection on which nothing has been said yet.
    pub(super) fn new(
        new: NewConnection,
        engine: Connection,
        transform: Box<dyn Transform>,
        now: Time,
    ) -> Self {
        Self {
            id: new.connection,
            settings: new.settings,
            peer: new.peer,
            engine,
            transform,
            input: RecvBuf::new(),
            output: SendQueue::new(),
            wire: SendQueue::new(),
            phase: Phase::Opening,
            links: Vec::new(),
            names: Names::default(),
            shown: Shown::default(),
            held_bytes: 0,
            fill: Fill::Room,
            lane_bytes: 0,
            data_links: Vec::new(),
            streaming: Streaming::default(),
            sessions: Vec::new(),
            is_container: false,
            routing: Vec::new(),
            auto_link_sessions: Vec::new(),
            routed: 0,
            passing: VecDeque::new(),
            roomy: None,
            hoards: Vec::new(),
            ready: Ready::default(),
            stalled: Vec::new(),
            dirty: Vec::new(),
            unanswered: 0,
            newcomers: BTreeSet::new(),
            touched: false,
            paused: false,
            backlogged: false,
            writing: false,
            container: None,
            properties: None,
            since: now,
            last_delivery: None,
            trunk: new.join.map_or(Trunking::No, Trunking::Joining),
            carried: (0, 0),
            quiet: (0, 0),
            leaving: Leaving::No,
            traced: None,
            deleted: false,
            repeats: (0, 0),
            vigil: Vigil::default(),
            unfinished: false,
            linger: None,
            armed: None,
        }
    }

    /// A session has begun. Once there are many, those that begin later get small windows.
    pub(super) fn add_session(&mut self, session: SessionKey) {
        if self.sessions.iter().any(|(known, _)| *known == session) {
            return;
        }
        self.sessions.push((session, Withheld::default()));
        if self.is_crowded() && self.roomy.is_none() {
            let roomy = Arc::clone(self.engine.config());
            let crowded = Config {
                session_window: limits::CROWDED_WINDOW_FRAMES.min(roomy.session_window),
                ..Config::clone(&roomy)
            };
            self.engine.set_config(Arc::new(crowded));
            self.roomy = Some(roomy);
        }
    }

    /// Whether a session that begins now gets a small window.
    pub(super) fn is_crowded(&self) -> bool {
        let roomy = match self.settings.role {
            ConnectionRole::InterRouter => limits::ROOMY_SESSIONS_BETWEEN_ROUTERS,
            _ => limits::ROOMY_SESSIONS,
        };
        // Nothing comes in on the sessions of its own large messages.
        self.sessions
            .len()
            .saturating_sub(self.streaming.links.len())
            >= roomy
    }

    /// Counts what is held for it, in bytes; whether that makes a difference to its sessions.
    pub(super) fn count_held(&mut self, before: u64, after: u64) -> bool {
        self.held_bytes = (self.held_bytes + after).saturating_sub(before);
        let fill = self.fill.with(self.held_bytes, self.settings.held_bytes);
        std::mem::replace(&mut self.fill, fill) != fill
    }

    /// Whether more is queued for it than others may add to.
    pub(super) fn is_behind(&self) -> bool {
        self.output.len() > limits::OUTPUT_BYTES / 2
    }

    /// The sessions that this router has begun for links of a kind.
    pub(super) fn own_sessions(&mut self, kind: OwnSessions) -> &mut Vec<SessionKey> {
        match kind {
            OwnSessions::Routed => &mut self.routing,
            OwnSessions::AutoLinks => &mut self.auto_link_sessions,
        }
    }

    /// Attaches a link.
    pub(super) fn attach(
        &mut self,
        session: SessionKey,
        attach: &Attach,
    ) -> Result<LinkKey, LimitError> {
        let link = self
            .engine
            .attach(session, attach.clone(), &mut self.output)?;
        self.note_link(link, attach);
        Ok(link)
    }

    /// Answers the attach of a link that is taken.
    pub(super) fn answer_attach(&mut self, link: LinkKey, answer: Attach) {
        self.note_link(link, &answer);
        self.engine.answer_attach(link, answer, &mut self.output);
    }

    fn note_link(&mut self, link: LinkKey, attach: &Attach) {
        if !self.settings.shown_parts.is_empty() {
            self.shown.add(link, attach);
        }
    }

    /// The priority of a new link that carries messages to the neighbour: the lowest that none has.
    pub(super) fn add_data_link(&mut self, link: Key) -> Option<u8> {
        let links = &mut self.data_links;
        let place = links.iter().position(Option::is_none);
        let place = place.unwrap_or(links.len());
        if place >= PRIORITIES {
            return None;
        }
        if place == links.len() {
            links.push(None);
        }
        links[place] = Some(link);
        u8::try_from(place).ok()
    }

    /// A link to the neighbour is gone.
    pub(super) fn drop_neighbor_link(&mut self, gone: Key) {
        self.streaming.links.retain(|&link| link != gone);
        for link in &mut self.data_links {
            link.take_if(|link| *link == gone);
        }
    }

    /// Bytes for which a session's window is withheld.
    pub(super) fn withheld(&self, session: SessionKey) -> u64 {
        let of = self.sessions.iter().find(|(of, _)| *of == session);
        of.map_or(0, |(_, withheld)| withheld.bytes())
    }

    /// Whether so much is held for it that its sessions get no window back.
    pub(super) fn is_full(&self) -> bool {
        self.fill >= Fill::Full
    }

    /// The links of a session on which the peer sends.
    pub(super) fn producers(&self, session: SessionKey) -> Vec<InLinkKey> {
        let mut links = Vec::new();
        self.engine.links_of(session, &mut links);
        let producer = |link: LinkKey| match self.slot(link) {
            Some(LinkSlot::In(producer)) => Some(producer),
            _ => None,
        };
        links.into_iter().filter_map(producer).collect()
    }

    /// The name of the listener that accepted it; `None` if it was dialled.
    pub(super) fn listener_name(&self) -> Option<String> {
        (!self.settings.is_initiator()).then(|| self.settings.name.clone())
    }

    /// A frame with a part of a message came or went.
    pub(super) fn count_carried(&mut self, kind: LinkType) {
        if kind == LinkType::InterRouter {
            self.carried.0 = self.carried.0.wrapping_add(1);
        }
    }

    /// Whether nothing more is to be read for the time being.
    pub(super) fn is_held(&self) -> bool {
        self.paused || self.trunk == Trunking::Asking
    }

    /// Which side connected.
    pub(super) fn direction(&self) -> Direction {
        match self.settings.is_initiator() {
            true => Direction::Out,
            false => Direction::In,
        }
    }

    /// The link behind an engine's key.
    pub(super) fn slot(&self, link: LinkKey) -> Option<LinkSlot> {
        self.links.get(link.index()).copied().flatten()
    }

    /// Notes what stands behind an engine's key.
    pub(super) fn set_slot(&mut self, link: LinkKey, slot: Option<LinkSlot>) {
        let index = link.index();
        if index >= self.links.len() {
            self.links.resize(index + 1, None);
        }
        self.links[index] = slot;
        if slot.is_none() {
            self.names.forget(link);
            self.shown.forget(link);
        }
    }

    /// Takes `count` bytes from the wire, which were read into the window.
    pub(super) fn open(&mut self, window: &mut ReadWindow, count: usize) -> Result<(), Fault> {
        let Self {
            transform, input, ..
        } = self;
        if transform.is_clear() {
            input.push(window.take(count));
            return Ok(());
        }
        let was_ready = transform.is_ready();
        let wire = window.read_mut(count);
        match catch_unwind(AssertUnwindSafe(|| transform.open(wire, input))) {
            Ok(Ok(())) if !was_ready && transform.is_ready() => {
                self.note_security();
                Ok(())
            }
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fault::Transform(error.to_string())),
            Err(_) => Err(Fault::Panic),
        }
    }

    /// The engine hears what protects the connection before it hears anything else.
    pub(super) fn note_security(&mut self) {
        let security = self.transform.security();
        let identity = security.and_then(|security| security.identity.as_ref());
        let external = identity.map(|identity| Str::copy(&identity.user));
        self.engine.set_security(security.is_some(), external);
    }

    /// Nothing more is to be said than what is queued; what cannot be sealed never leaves.
    pub(super) fn finish(&mut self) {
        self.transform.finish();
        if !self.transform.is_ready() {
            self.output.consume(self.output.len());
        }
    }

    /// The next event, if a whole frame is there.
    pub(super) fn poll_event(&mut self, now: Time) -> Result<Option<Event>, Fault> {
        let Self {
            engine,
            input,
            output,
            ..
        } = self;
        match catch_unwind(AssertUnwindSafe(|| engine.poll_event(input, output, now))) {
            Ok(Ok(event)) => Ok(event),
            Ok(Err(error)) => Err(Fault::Protocol(error)),
            Err(_) => Err(Fault::Panic),
        }
    }

    /// Seals what is to be sent; the queue that goes to the socket.
    pub(super) fn seal(&mut self) -> Result<&mut SendQueue, Fault> {
        let Self {
            transform,
            output,
            wire,
            ..
        } = self;
        if transform.is_clear() {
            return Ok(output);
        }
        match catch_unwind(AssertUnwindSafe(|| transform.seal(output, wire))) {
            Ok(Ok(())) => Ok(wire),
            Ok(Err(error)) => Err(Fault::Transform(error.to_string())),
            Err(_) => Err(Fault::Panic),
        }
    }

    /// Whether the next hello of a link has to wait until something is written.
    pub(super) fn holds_hello(&mut self, link: Key) -> bool {
        let holds = self.ready.hello.is_unwritten && !self.is_flushed();
        self.ready.hello.waits = holds.then_some(link);
        holds
    }

    /// Whether nothing is left for the socket.
    pub(super) fn is_flushed(&self) -> bool {
        self.output.is_empty() && self.wire.is_empty() && !self.transform.has_output()
    }
}
