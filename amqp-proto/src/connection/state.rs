//! The connection itself: what it holds, what can be asked of it.
//!
//! Owns [`Connection`], its lookups and its getters; never parses input.
//!
//! Decision: channels and handles are tables of slots, sessions and links live in arenas, and
//! everything optional is boxed or empty until used: an idle connection with one session and two
//! links holds less than 3 KiB of heap.

use std::sync::Arc;
use std::time::Duration;

use amqp_codec::{AmqpError, MIN_MAX_FRAME_SIZE, Open, Role, Str, Symbol};

use crate::arena::Arena;
use crate::budget::Budget;
use crate::config::Config;
use crate::connection::phase::{Phase, PhaseStep};
use crate::error::ConnectionError;
use crate::key::{LinkKey, SessionKey};
use crate::link::state::{Link, LinkState};
use crate::send::SendQueue;
use crate::session::state::{Session, SessionState};
use crate::table::Table;
use crate::tap::{Tap, Tapped};
use crate::time::{Time, TimerTable};
use crate::writer::Writer;

/// One AMQP 1.0 connection, either end.
///
/// Commands on sessions and links that are gone do nothing: the owner learns of their end by an
/// event, and may have sent a command in the meantime.
#[derive(Debug)]
pub struct Connection {
    pub(super) config: Arc<Config>,
    pub(super) phase: Phase,
    /// The time of the last call that told it.
    pub(super) now: Time,
    pub(super) timers: TimerTable,
    /// The linger deadline stands for "from the next look at the clock".
    pub(super) linger_unset: bool,
    pub(super) writer: Writer,
    /// The peer's channels to session slots.
    pub(super) channels_in: Table,
    /// Our channels to session slots: every session.
    pub(super) channels_out: Table,
    pub(super) sessions: Arena<Session>,
    pub(super) links: Arena<Link>,
    pub(super) peer_channel_max: u16,
    /// Half the peer's idle time-out.
    pub(super) heartbeat: Option<Duration>,
    pub(super) mechanism: Option<Symbol>,
    pub(super) user: Option<Str>,
    /// The transport keeps what passes from others.
    pub(super) encrypted: bool,
    /// Who the peer has proved to be below AMQP.
    pub(super) external: Option<Str>,
    /// The mechanism of an exchange that the owner decides, until it is decided.
    pub(super) asked: Option<Symbol>,
    pub(super) empty_frames: Budget,
    pub(super) states: Budget,
    pub(super) echoes: Budget,
}

impl Connection {
    /// A connection whose transport is up. An acceptor waits for the peer; an initiator is set
    /// going by [`start`](Self::start).
    pub fn new(config: Arc<Config>, now: Time) -> Self {
        let phase = if config.initiator {
            Phase::Start
        } else {
            Phase::AwaitHeader
        };
        let handshake = config.handshake_time_out.map(|after| now + after);
        Self {
            config,
            phase,
            now,
            timers: TimerTable {
                handshake,
                last_heard: now,
                ..TimerTable::default()
            },
            linger_unset: false,
            writer: Writer::new(),
            channels_in: Table::default(),
            channels_out: Table::default(),
            sessions: Arena::new(),
            links: Arena::new(),
            peer_channel_max: u16::MAX,
            heartbeat: None,
            mechanism: None,
            user: None,
            encrypted: false,
            external: None,
            asked: None,
            empty_frames: Budget::new(),
            states: Budget::new(),
            echoes: Budget::new(),
        }
    }

    /// Replaces the settings: for limits that depend on who the peer is. Call it between
    /// [`Event::Opened`](crate::Event::Opened) and [`open`](Self::open).
    pub fn set_config(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    /// What the transport has come to: whether it is encrypted, and who the peer has proved to be
    /// below AMQP. Call it before the first AMQP byte is given to
    /// [`poll_event`](Self::poll_event): what an acceptor offers depends on it.
    pub fn set_security(&mut self, encrypted: bool, external: Option<Str>) {
        self.encrypted = encrypted;
        self.external = external;
    }

    /// Whether the transport keeps what passes from others.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether the owner was asked in an exchange that has not come to its end, though the
    /// connection may have.
    pub fn has_open_exchange(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether an answer to [`Event::Sasl`](crate::Event::Sasl) is awaited.
    pub fn awaits_sasl(&self) -> bool {
        self.phase.asks_owner()
    }

    /// The settings in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Whether both sides have opened and none has closed.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Opened
    }

    /// Whether nothing further will come in or go out, but what is already queued.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether the security layer was used and succeeded.
    pub fn is_authenticated(&self) -> bool {
        self.mechanism.is_some()
    }

    /// The SASL mechanism, if the security layer was used and succeeded.
    pub fn mechanism(&self) -> Option<&Symbol> {
        self.mechanism.as_ref()
    }

    /// The user the security layer named.
    pub fn user(&self) -> Option<&Str> {
        self.user.as_ref()
    }

    /// The largest frame the peer accepts, in bytes.
    pub fn peer_max_frame_size(&self) -> u32 {
        self.writer.max_frame_size
    }

    /// How many sessions there are, ending ones included.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// How many links there are, ending ones included.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// The channels of a session: ours, and the peer's if it has one.
    pub fn channels(&self, session: SessionKey) -> Option<(u16, Option<u16>)> {
        let session = self.sessions.get(session.index, session.generation)?;
        Some((session.local_channel, session.remote_channel))
    }

    /// The handles of a link: ours, and the peer's if it has one.
    pub fn handles(&self, link: LinkKey) -> Option<(u32, Option<u32>)> {
        let link = self.link(link)?;
        Some((link.local_handle, link.remote_handle))
    }

    /// Our role on a link.
    pub fn link_role(&self, link: LinkKey) -> Option<Role> {
        Some(self.link(link)?.role)
    }

    /// The name of a link.
    pub fn link_name(&self, link: LinkKey) -> Option<&Str> {
        Some(&self.link(link)?.name)
    }

    /// Whether both ends of a link have attached and none has detached.
    pub fn is_attached(&self, link: LinkKey) -> bool {
        self.link(link).is_some_and(Link::is_attached)
    }

    /// The session of a link.
    pub fn session_of(&self, link: LinkKey) -> Option<SessionKey> {
        Some(self.session_key(self.link(link)?.session))
    }

    /// Appends the links of a session, in the order of our handles, to `links`; without those
    /// that were forgotten.
    pub fn links_of(&self, session: SessionKey, links: &mut Vec<LinkKey>) {
        let Some(session) = self.sessions.get(session.index, session.generation) else {
            return;
        };
        let slots = session.handles_out.slots();
        links.extend(
            slots
                .filter(|&slot| !self.links.peek(slot).1.forgotten)
                .map(|slot| {
                    let generation = self.links.peek(slot).0;
                    LinkKey {
                        index: slot,
                        generation,
                    }
                }),
        );
    }

    /// Appends all sessions, in the order of our channels, to `sessions`.
    pub fn sessions(&self, sessions: &mut Vec<SessionKey>) {
        sessions.extend(self.channels_out.slots().map(|slot| self.session_key(slot)));
    }

    /// Starts or stops the tap; stopping drops what was not collected.
    pub fn set_tap(&mut self, on: bool) {
        match (on, self.writer.tap.is_some()) {
            (true, false) => self.writer.tap = Some(Box::new(Tap::default())),
            (false, true) => self.writer.tap = None,
            _ => {}
        }
    }

    /// Whether frames are tapped.
    #[must_use]
    pub fn is_tapped(&self) -> bool {
        self.writer.tap.is_some()
    }

    /// The next frame that passed while the tap was on.
    pub fn poll_tap(&mut self) -> Option<Tapped> {
        self.writer.tap.as_mut()?.pop()
    }

    pub(super) fn link(&self, link: LinkKey) -> Option<&Link> {
        self.links.get(link.index, link.generation)
    }

    pub(super) fn session_key(&self, slot: u32) -> SessionKey {
        SessionKey {
            index: slot,
            generation: self.sessions.peek(slot).0,
        }
    }

    pub(super) fn link_key(&self, slot: u32) -> LinkKey {
        LinkKey {
            index: slot,
            generation: self.links.peek(slot).0,
        }
    }

    /// The session, if frames may be written on it.
    pub(super) fn writable_session(&mut self, key: SessionKey) -> Option<&mut Session> {
        if self.phase != Phase::Opened {
            return None;
        }
        let session = self.sessions.get_mut(key.index, key.generation)?;
        (session.begin_sent && !session.is_over()).then_some(session)
    }

    /// The session and the link, if frames may be written for the link.
    #[inline]
    pub(super) fn writable_link(&mut self, key: LinkKey) -> Option<(&mut Session, &mut Link)> {
        if self.phase != Phase::Opened {
            return None;
        }
        let link = self.links.get_mut(key.index, key.generation)?;
        let session = self.sessions.slot(link.session).1;
        let writable = matches!(link.state, LinkState::Attached | LinkState::AttachSent)
            && session.begin_sent
            && !session.is_over();
        writable.then_some((session, link))
    }

    /// Where the name of a link stands in its session's list, or where it belongs.
    pub(super) fn name_position(
        &self,
        session: &Session,
        role: Role,
        name: &[u8],
    ) -> Result<usize, usize> {
        let wanted = (role == Role::Receiver, name);
        session.names.binary_search_by(|&slot| {
            let link = self.links.peek(slot).1;
            (link.role == Role::Receiver, link.name.as_bytes()).cmp(&wanted)
        })
    }

    /// Frees the name of a link for another one.
    pub(super) fn release_name(&mut self, slot: u32) {
        let link = self.links.peek(slot).1;
        let session = self.sessions.peek(link.session).1;
        if let Ok(at) = self.name_position(session, link.role, link.name.as_bytes())
            && session.names[at] == slot
        {
            let session = link.session;
            self.sessions.slot(session).1.names.remove(at);
        }
    }

    /// Frees the slot of a link, and that of its session if it was the last one.
    pub(super) fn free_link(&mut self, slot: u32) {
        self.release_name(slot);
        let link = self.links.remove(slot);
        let session = self.sessions.slot(link.session).1;
        session.handles_out.remove(link.local_handle);
        if let Some(handle) = link.remote_handle {
            session.handles_in.remove(handle);
        }
        self.free_session_if_done(link.session);
    }

    /// Frees the slot of a session that both sides have ended and the owner has forgotten.
    pub(super) fn free_session_if_done(&mut self, slot: u32) {
        let session = self.sessions.slot(slot).1;
        if session.state == SessionState::Ended && session.handles_out.len() == 0 {
            let channel = session.local_channel;
            self.channels_out.remove(u32::from(channel));
            self.sessions.remove(slot);
        }
    }

    /// Takes a phase step that the caller knows to fit.
    pub(super) fn step(&mut self, step: PhaseStep) {
        let after = self.phase.after(step);
        debug_assert!(after.is_some(), "{:?} in {:?}", step, self.phase);
        self.phase = after.unwrap_or(self.phase);
    }

    /// Ends the connection for an error: tells the peer, if the layer it speaks allows that.
    pub(super) fn fail(
        &mut self,
        mut error: ConnectionError,
        out: &mut SendQueue,
    ) -> ConnectionError {
        match self.phase {
            Phase::HeaderExchanged | Phase::OpenReceived => {
                self.write_bare_open(out);
                self.write_close(Some(error.to_amqp()), out);
            }
            Phase::OpenSent | Phase::Opened | Phase::CloseReceived => {
                self.write_close(Some(error.to_amqp()), out);
            }
            _ => error.quiet = true,
        }
        self.phase = Phase::Closed;
        error
    }

    /// An Open that says nothing, so that a Close may follow.
    pub(super) fn write_bare_open(&mut self, out: &mut SendQueue) {
        let open = Open::default();
        self.writer
            .frame_unbounded(out, 0, |buffer| open.encode(buffer));
    }

    /// A Close, as much of its error as fits.
    pub(super) fn write_close(&mut self, error: Option<AmqpError>, out: &mut SendQueue) {
        self.writer.frame_error(out, 0, error, |error, buffer| {
            amqp_codec::Close { error }.encode(buffer);
        });
    }

    /// The lowest frame size both must accept bounds what the peer can ask of us.
    pub(super) fn adopt_peer(&mut self, open: &Open) {
        self.writer.max_frame_size = open.max_frame_size.max(MIN_MAX_FRAME_SIZE);
        self.peer_channel_max = open.channel_max;
    }
}
