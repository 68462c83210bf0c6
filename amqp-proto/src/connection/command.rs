//! Commands that open and close things.
//!
//! Owns begin, attach, detach, end, close, their answers, and forgetting; never reads input.
//!
//! Decision: a command that comes too late (its session or link is gone) does nothing, and one
//! that comes too early (a detach before the answer to an attach) writes what has to precede it.

use amqp_codec::{AmqpError, Attach, Begin, Detach, End, Role, Str};

use crate::connection::phase::{Phase, PhaseStep};
use crate::connection::state::Connection;
use crate::error::LimitError;
use crate::key::{LinkKey, SessionKey};
use crate::link::credit::Credit;
use crate::link::state::{Link, LinkState, LinkStep, Progress};
use crate::send::SendQueue;
use crate::session::state::{Session, SessionState, SessionStep};
use crate::session::window::{FIRST_TRANSFER_ID, OUTGOING_WINDOW};
use crate::time::Time;

impl Connection {
    /// Closes the connection, or answers the peer's Close. Afterwards everything but the peer's
    /// Close is ignored. Before AMQP has begun there is nothing to write: just hang up.
    pub fn close(&mut self, error: Option<AmqpError>, out: &mut SendQueue) {
        match self.phase {
            Phase::Closed | Phase::CloseSent => return,
            Phase::HeaderExchanged | Phase::OpenReceived => {
                self.write_bare_open(out);
                self.step(PhaseStep::OpenOut);
            }
            Phase::OpenSent | Phase::Opened | Phase::CloseReceived => {}
            _ => {
                self.phase = Phase::Closed;
                return;
            }
        }
        self.write_close(error, out);
        self.step(PhaseStep::CloseOut);
        self.timers.idle_out = None;
        self.timers.handshake = None;
        if self.phase == Phase::CloseSent {
            self.timers.linger = Some(Time::ZERO);
            self.linger_unset = true;
        }
    }

    /// Begins a session. Links may be attached at once; transfers wait for the answer.
    ///
    /// # Errors
    /// `Channels` if none is free; `Closed` if the connection is not open.
    pub fn begin(&mut self, out: &mut SendQueue) -> Result<SessionKey, LimitError> {
        if self.phase != Phase::Opened {
            return Err(LimitError::Closed);
        }
        let slot = self.new_session(SessionState::BeginSent)?;
        self.write_begin(slot, None, out);
        Ok(self.session_key(slot))
    }

    /// Answers the peer's Begin.
    pub fn answer_begin(&mut self, session: SessionKey, out: &mut SendQueue) {
        if self.phase == Phase::Opened
            && self
                .sessions
                .get(session.index, session.generation)
                .is_some()
        {
            self.answer_begin_slot(session.index, out);
        }
    }

    fn answer_begin_slot(&mut self, slot: u32, out: &mut SendQueue) {
        let session = self.sessions.slot(slot).1;
        if session.begin_sent {
            return;
        }
        session.step(SessionStep::BeginOut);
        let remote_channel = session.remote_channel;
        self.write_begin(slot, remote_channel, out);
    }

    fn write_begin(&mut self, slot: u32, remote_channel: Option<u16>, out: &mut SendQueue) {
        let session = self.sessions.slot(slot).1;
        session.begin_sent = true;
        let begin = Begin {
            remote_channel,
            next_outgoing_id: FIRST_TRANSFER_ID,
            incoming_window: session.window.incoming(),
            outgoing_window: OUTGOING_WINDOW,
            handle_max: self.config.handle_max,
            ..Begin::default()
        };
        let channel = session.local_channel;
        self.writer
            .frame_unbounded(out, channel, |buffer| begin.encode(buffer));
    }

    pub(super) fn new_session(&mut self, state: SessionState) -> Result<u32, LimitError> {
        let max = self.config.channel_max.min(self.peer_channel_max);
        let (slot, _) = self
            .sessions
            .insert(Session::new(state, self.config.session_window));
        let channel = self.channels_out.insert_lowest(u32::from(max), slot);
        match channel.and_then(|channel| u16::try_from(channel).ok()) {
            Some(channel) => {
                self.sessions.slot(slot).1.local_channel = channel;
                Ok(slot)
            }
            None => {
                self.sessions.remove(slot);
                Err(LimitError::Channels)
            }
        }
    }

    /// Ends a session, or answers the peer's End. Its links are gone with it: forget them.
    pub fn end(&mut self, session: SessionKey, error: Option<AmqpError>, out: &mut SendQueue) {
        let alive = self.sessions.get(session.index, session.generation);
        let Some(state) = alive.map(|session| session.state) else {
            return;
        };
        if self.phase != Phase::Opened
            || matches!(state, SessionState::EndSent | SessionState::Ended)
        {
            return;
        }
        self.answer_begin_slot(session.index, out);
        let slot = session.index;
        let session = self.sessions.slot(slot).1;
        self.writer
            .frame_error(out, session.local_channel, error, |error, buffer| {
                End { error }.encode(buffer);
            });
        session.step(SessionStep::EndOut);
        self.session_is_over(slot);
    }

    /// Attaches a link. The handle is filled in, and for a sender the initial delivery-count
    /// unless it is given.
    ///
    /// # Errors
    /// `NameInUse`, `Handles`, `FrameSize`, or `Closed` if the session is not there.
    pub fn attach(
        &mut self,
        session: SessionKey,
        mut attach: Attach,
        out: &mut SendQueue,
    ) -> Result<LinkKey, LimitError> {
        self.writable_session(session).ok_or(LimitError::Closed)?;
        let slot = session.index;
        let state = self.sessions.peek(slot).1;
        let Err(name_at) = self.name_position(state, attach.role, attach.name.as_bytes()) else {
            return Err(LimitError::NameInUse);
        };
        let start = initial_delivery_count(&mut attach);
        let link = Link {
            state: LinkState::AttachSent,
            role: attach.role,
            forgotten: false,
            attach_sent: true,
            session: slot,
            local_handle: 0,
            remote_handle: None,
            credit: Credit::starting_at(start),
            initial_delivery_count: start,
            progress: Progress::default(),
            unsettled: 0,
            name: attach.name.clone().settle(),
        };
        let link_slot = self.new_link(slot, name_at, link)?;
        attach.handle = self.links.slot(link_slot).1.local_handle;
        let channel = self.sessions.slot(slot).1.local_channel;
        if self
            .writer
            .frame(out, channel, |buffer| attach.encode(buffer))
            .is_err()
        {
            self.free_link(link_slot);
            return Err(LimitError::FrameSize);
        }
        Ok(self.link_key(link_slot))
    }

    pub(super) fn new_link(
        &mut self,
        session: u32,
        name_at: usize,
        link: Link,
    ) -> Result<u32, LimitError> {
        let (slot, _) = self.links.insert(link);
        let session = self.sessions.slot(session).1;
        let Some(handle) = session
            .handles_out
            .insert_lowest(session.peer_handle_max, slot)
        else {
            self.links.remove(slot);
            return Err(LimitError::Handles);
        };
        self.links.slot(slot).1.local_handle = handle;
        session.names.insert(name_at, slot);
        Ok(slot)
    }

    /// Answers the peer's Attach. Name, handle and role are filled in. To refuse a link, answer
    /// with a null terminus of ours, then `detach` with an error (amqp-1.0 §2.6.3).
    pub fn answer_attach(&mut self, link: LinkKey, mut attach: Attach, out: &mut SendQueue) {
        let Some(state) = self.links.get_mut(link.index, link.generation) else {
            return;
        };
        let session = self.sessions.slot(state.session).1;
        if self.phase != Phase::Opened || session.is_over() || state.attach_sent {
            return;
        }
        attach.name = state.name.clone();
        attach.handle = state.local_handle;
        attach.role = state.role;
        let start = initial_delivery_count(&mut attach);
        if state.role == Role::Sender {
            state.credit.rebase(start);
            state.initial_delivery_count = start;
        }
        state.attach_sent = true;
        state.step(LinkStep::AttachOut);
        let session_slot = state.session;
        self.answer_begin_slot(session_slot, out);
        let channel = self.sessions.slot(session_slot).1.local_channel;
        if self
            .writer
            .frame(out, channel, |buffer| attach.encode(buffer))
            .is_err()
        {
            // What the peer's frames cannot hold it will do without, termini at last.
            attach.properties = None;
            attach.unsettled = None;
            if self
                .writer
                .frame(out, channel, |buffer| attach.encode(buffer))
                .is_err()
            {
                let mut bare = bare_attach(attach.name, attach.role);
                bare.handle = attach.handle;
                bare.initial_delivery_count = attach.initial_delivery_count;
                let written = self
                    .writer
                    .frame(out, channel, |buffer| bare.encode(buffer));
                if written.is_err() {
                    self.close(None, out);
                }
            }
        }
    }

    /// Detaches a link, or answers the peer's Detach. What is written for an attach that was not
    /// answered yet is an answer without termini.
    pub fn detach(
        &mut self,
        link: LinkKey,
        closed: bool,
        error: Option<AmqpError>,
        out: &mut SendQueue,
    ) {
        let Some(state) = self.link(link) else {
            return;
        };
        if self.phase != Phase::Opened
            || self.sessions.peek(state.session).1.is_over()
            || matches!(state.state, LinkState::DetachSent | LinkState::Detached)
        {
            return;
        }
        if !state.attach_sent {
            let attach = bare_attach(state.name.clone(), state.role);
            self.answer_attach(link, attach, out);
        }
        let state = self.links.slot(link.index).1;
        let (handle, session) = (state.local_handle, state.session);
        state.step(LinkStep::DetachOut);
        let detached = state.state == LinkState::Detached;
        let over = state.forgotten && detached;
        let channel = self.sessions.slot(session).1.local_channel;
        self.writer
            .frame_error(out, channel, error, |error, buffer| {
                Detach {
                    handle,
                    closed,
                    error,
                }
                .encode(buffer);
            });
        if over {
            self.free_link(link.index);
        } else if detached {
            self.release_name(link.index);
        }
    }

    /// Takes a link from the books after its last event: appends the tokens of its unsettled
    /// deliveries and frees its slot, at once or when the peer's detach has come.
    pub fn forget_link(&mut self, link: LinkKey, incoming: &mut Vec<u64>, outgoing: &mut Vec<u64>) {
        self.release_unsettled(link, incoming, outgoing);
        let slot = link.index;
        let Some(link) = self.links.get_mut(slot, link.generation) else {
            return;
        };
        let session = self.sessions.slot(link.session).1;
        link.forgotten = true;
        if link.state == LinkState::Detached || session.is_over() {
            self.free_link(slot);
        }
    }

    /// Takes a link's unsettled deliveries from the books, as [`forget_link`](Self::forget_link)
    /// does: its peer has detached it, and its answer has to wait.
    pub fn release_unsettled(
        &mut self,
        link: LinkKey,
        incoming: &mut Vec<u64>,
        outgoing: &mut Vec<u64>,
    ) {
        let slot = link.index;
        let Some(link) = self.links.get_mut(slot, link.generation) else {
            return;
        };
        let session = self.sessions.slot(link.session).1;
        let count = std::mem::take(&mut link.unsettled);
        if count > 0 {
            match link.role {
                Role::Receiver => session.incoming.remove_link(slot, count, incoming),
                Role::Sender => session.outgoing.remove_link(slot, count, outgoing),
            }
        }
    }
}

/// Where the delivery-count of a link starts: only its sender says so (amqp-1.0 §2.7.3).
fn initial_delivery_count(attach: &mut Attach) -> u32 {
    match attach.role {
        Role::Sender => *attach.initial_delivery_count.get_or_insert(0),
        Role::Receiver => {
            attach.initial_delivery_count = None;
            0
        }
    }
}

/// An Attach without termini.
fn bare_attach(name: Str, role: Role) -> Attach {
    Attach {
        name,
        role,
        ..Attach::default()
    }
}
