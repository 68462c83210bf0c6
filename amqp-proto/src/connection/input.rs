//! Bytes to events: frames, and the performatives that open and close things.
//!
//! Owns [`Connection::poll_event`]; never handles deliveries (see `delivery`).
//!
//! Decision: a handler returns a fault that names what it ends. One place turns faults into
//! detach, end or close, so that no handler can forget to tell the peer.

use std::time::Duration;

use amqp_codec::{Attach, Begin, Detach, End, FrameType, Open, Performative, Role, Transfer};
use bytes::Bytes;

use crate::connection::phase::{Phase, PhaseStep};
use crate::connection::state::Connection;
use crate::error::{ConnectionError, LinkError, SessionError, Violation};
use crate::event::Event;
use crate::link::credit::Credit;
use crate::link::state::{Link, LinkState, LinkStep, Progress};
use crate::recv::RecvBuf;
use crate::sasl::SaslStep;
use crate::send::SendQueue;
use crate::session::state::{Session, SessionState, SessionStep};
use crate::tap::TapKind;

/// The shortest interval at which a peer can make us send empty frames.
pub(super) const HEARTBEAT_MIN: Duration = Duration::from_millis(50);

/// What a misdeed ends.
pub(super) enum Fault {
    /// The link in this slot.
    Link(u32, LinkError),
    /// The session in this slot.
    Session(u32, SessionError),
    Connection(ConnectionError),
}

impl From<ConnectionError> for Fault {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error)
    }
}

/// An event, if the peer's frame is one for the owner.
pub(super) type Outcome = Result<Option<Event>, Fault>;

impl Connection {
    /// Takes frames from `input` until one makes an event. `None`: no whole frame is left, or an
    /// acceptor's [`open`](Self::open) or an answer to [`Event::Sasl`] is awaited. What the engine
    /// has to say is put into `out`.
    ///
    /// # Errors
    /// The connection is over. Whatever the peer may be told is in `out`: flush it, then hang up.
    pub fn poll_event(
        &mut self,
        input: &mut RecvBuf,
        out: &mut SendQueue,
        now: crate::time::Time,
    ) -> Result<Option<Event>, ConnectionError> {
        self.now = now;
        loop {
            match self.phase {
                Phase::Opened | Phase::OpenSent | Phase::HeaderExchanged | Phase::CloseSent => {
                    match self.on_frame(input, out)? {
                        Some(None) => {}
                        Some(event) => return Ok(event),
                        None => return Ok(None),
                    }
                }
                Phase::AwaitHeader
                | Phase::AwaitInnerHeader
                | Phase::AwaitSaslHeader
                | Phase::AwaitAmqpHeader => {
                    if !self.on_header(input, out)? {
                        return Ok(None);
                    }
                    if self.phase == Phase::Offering {
                        return Ok(Some(Event::Sasl(Box::new(SaslStep::Started))));
                    }
                }
                Phase::AwaitInit
                | Phase::AwaitResponse
                | Phase::AwaitMechanisms
                | Phase::AwaitOutcome
                | Phase::AwaitTurn => match self.on_sasl(input, out)? {
                    Some(None) => {}
                    Some(event) => return Ok(event),
                    None => return Ok(None),
                },
                Phase::Start
                | Phase::OpenReceived
                | Phase::Offering
                | Phase::Judging
                | Phase::Choosing
                | Phase::Answering
                | Phase::Checking => return Ok(None),
                Phase::CloseReceived | Phase::Closed => {
                    input.clear();
                    return Ok(None);
                }
            }
        }
    }

    /// Takes one frame; the outer `None` if there is no whole one.
    #[inline]
    fn on_frame(
        &mut self,
        input: &mut RecvBuf,
        out: &mut SendQueue,
    ) -> Result<Option<Option<Event>>, ConnectionError> {
        let result = match input.next_frame(self.config.max_frame_size) {
            Ok(None) => return Ok(None),
            Ok(Some((header, body))) => {
                self.timers.last_heard = self.now;
                if header.frame_type == FrameType::Amqp {
                    self.on_body(header.channel, body)
                } else {
                    let text = "SASL frame outside the security layer";
                    Err(ConnectionError::local(Violation::Framing, text).into())
                }
            }
            Err(error) => Err(ConnectionError::local(Violation::Framing, error.to_string()).into()),
        };
        match result {
            Ok(event) => Ok(Some(event)),
            Err(fault) => self.on_fault(fault, out).map(|event| Some(Some(event))),
        }
    }

    #[inline]
    fn on_body(&mut self, channel: u16, mut body: Bytes) -> Outcome {
        if body.is_empty() {
            return self.on_empty(channel);
        }
        if self.writer.tap.is_some() {
            self.tap_frame(channel, &body);
        }
        if self.phase == Phase::Opened
            && let Some(transfer) = Transfer::decode_plain(&mut body)
        {
            return self.on_transfer(channel, transfer, body);
        }
        let performative = match Performative::decode(&mut body) {
            Ok(performative) => performative,
            Err(error) => {
                let text = error.to_string();
                return Err(ConnectionError::local(Violation::Decode, text).into());
            }
        };
        if self.phase != Phase::Opened {
            return self.on_performative_unopened(performative);
        }
        match performative {
            Performative::Transfer(transfer) => self.on_transfer(channel, transfer, body),
            Performative::Flow(flow) => self.on_flow(channel, &flow),
            Performative::Disposition(disposition) => self.on_disposition(channel, disposition),
            Performative::Begin(begin) => self.on_begin(channel, begin),
            Performative::Attach(attach) => self.on_attach(channel, attach),
            Performative::Detach(detach) => self.on_detach(channel, detach),
            Performative::End(end) => self.on_end(channel, end),
            Performative::Close(close) => {
                self.step(PhaseStep::CloseIn);
                Ok(Some(Event::Closed {
                    error: close.error,
                    answer: false,
                }))
            }
            Performative::Open(_) => Err(out_of_sequence("open received twice")),
        }
    }

    /// Frames before both have opened, and after we have closed.
    fn on_performative_unopened(&mut self, performative: Performative) -> Outcome {
        match (self.phase, performative) {
            (Phase::CloseSent, Performative::Close(close)) => {
                self.step(PhaseStep::CloseIn);
                Ok(Some(Event::Closed {
                    error: close.error,
                    answer: true,
                }))
            }
            (Phase::CloseSent, _) => Ok(None),
            (Phase::OpenSent, Performative::Close(close)) => {
                self.step(PhaseStep::CloseIn);
                Ok(Some(Event::Closed {
                    error: close.error,
                    answer: false,
                }))
            }
            (_, Performative::Open(open)) => Ok(Some(self.on_open(open))),
            _ => Err(out_of_sequence("frame before open")),
        }
    }

    /// An empty frame only shows that the peer is alive (amqp-1.0 §2.4.5).
    fn on_empty(&mut self, channel: u16) -> Outcome {
        if let Some(tap) = &mut self.writer.tap {
            tap.push(true, TapKind::Empty(channel), b"", b"", 0);
        }
        self.pay_for_nothing()?;
        Ok(None)
    }

    /// Takes a frame that moves nothing from the peer's budget.
    pub(super) fn pay_for_nothing(&mut self) -> Result<(), ConnectionError> {
        if self
            .empty_frames
            .take(self.config.limits.empty_frames, self.now)
        {
            return Ok(());
        }
        Err(ConnectionError::local(
            Violation::TooManyEmptyFrames,
            "too many empty frames",
        ))
    }

    fn tap_frame(&mut self, channel: u16, body: &Bytes) {
        let mut payload = body.clone();
        let performative = match Performative::decode(&mut payload) {
            Ok(_) => body.slice(..body.len() - payload.len()),
            Err(_) => std::mem::take(&mut payload),
        };
        if let Some(tap) = &mut self.writer.tap {
            tap.push(
                true,
                TapKind::Amqp(channel),
                &performative,
                &payload,
                payload.len(),
            );
        }
    }

    /// Tells the peer what its misdeed ended, and the owner.
    #[cold]
    fn on_fault(&mut self, fault: Fault, out: &mut SendQueue) -> Result<Event, ConnectionError> {
        match fault {
            Fault::Link(slot, error) => {
                let link = self.link_key(slot);
                self.detach(link, true, Some(error.to_amqp()), out);
                Ok(Event::LinkFailed { link, error })
            }
            Fault::Session(slot, error) => {
                let session = self.session_key(slot);
                self.end(session, Some(error.to_amqp()), out);
                self.sessions.slot(slot).1.failed = true;
                Ok(Event::SessionFailed { session, error })
            }
            Fault::Connection(error) => Err(self.fail(error, out)),
        }
    }

    fn on_open(&mut self, open: Box<Open>) -> Event {
        self.adopt_peer(&open);
        self.timers.handshake = None;
        self.heartbeat = open
            .idle_time_out
            .filter(|&millis| millis > 0)
            .map(|millis| (Duration::from_millis(u64::from(millis)) / 2).max(HEARTBEAT_MIN));
        self.timers.idle_out = self.heartbeat.map(|interval| self.now + interval);
        self.step(PhaseStep::OpenIn);
        Event::Opened(open)
    }

    /// The slot of the session on the peer's channel.
    #[inline]
    pub(super) fn session_slot(&self, channel: u16) -> Result<u32, Fault> {
        match self.channels_in.get(u32::from(channel)) {
            Some(slot) => Ok(slot),
            None => Err(unmapped(channel)),
        }
    }

    fn on_begin(&mut self, channel: u16, begin: Box<Begin>) -> Outcome {
        if channel > self.config.channel_max {
            let text = format!(
                "channel {channel} exceeds channel-max {}",
                self.config.channel_max
            );
            return Err(ConnectionError::local(Violation::ChannelBeyondMax, text).into());
        }
        if self.channels_in.get(u32::from(channel)).is_some() {
            let text = format!("channel already in use: {channel}");
            return Err(ConnectionError::local(Violation::ChannelInUse, text).into());
        }
        let slot = match begin.remote_channel {
            Some(ours) => self.begun_slot(ours)?,
            None => self.begin_slot()?,
        };
        self.channels_in.insert(u32::from(channel), slot);
        let (generation, session) = self.sessions.slot(slot);
        session.remote_channel = Some(channel);
        session.peer_handle_max = begin.handle_max;
        session
            .window
            .begun(begin.next_outgoing_id, begin.incoming_window);
        let answer = begin.remote_channel.is_some();
        if answer {
            session.step(SessionStep::BeginIn);
            if session.is_over() {
                return Ok(None);
            }
        }
        let session = crate::key::SessionKey {
            index: slot,
            generation,
        };
        Ok(Some(Event::Begun {
            session,
            begin,
            answer,
        }))
    }

    /// The session of ours that the peer's Begin answers.
    fn begun_slot(&mut self, ours: u16) -> Result<u32, Fault> {
        let slot = self.channels_out.get(u32::from(ours));
        match slot.map(|slot| (slot, self.sessions.slot(slot).1)) {
            Some((slot, session)) if session.begin_sent && session.remote_channel.is_none() => {
                Ok(slot)
            }
            _ => {
                let text = format!("begin reply to unknown channel {ours}");
                Err(ConnectionError::local(Violation::BeginUnasked, text).into())
            }
        }
    }

    /// A new session that the peer begins.
    fn begin_slot(&mut self) -> Result<u32, Fault> {
        self.new_session(SessionState::BeginReceived).map_err(|_| {
            let text = "no channel is left for the answer";
            ConnectionError::local(Violation::ChannelBeyondMax, text).into()
        })
    }

    fn on_attach(&mut self, channel: u16, attach: Box<Attach>) -> Outcome {
        let slot = self.session_slot(channel)?;
        let (generation, session) = self.sessions.slot(slot);
        let session_key = crate::key::SessionKey {
            index: slot,
            generation,
        };
        if session.is_over() {
            return Ok(None);
        }
        let handle = attach.handle;
        if handle > self.config.handle_max {
            let text = format!(
                "handle {handle} exceeds handle-max {}",
                self.config.handle_max
            );
            return Err(ConnectionError::local(Violation::HandleBeyondMax, text).into());
        }
        if session.handles_in.get(handle).is_some() {
            let text = format!("handle already in use: {handle}");
            return Err(Fault::Session(
                slot,
                SessionError::local(Violation::HandleInUse, text),
            ));
        }
        let role = attach.role.peer();
        let session = self.sessions.peek(slot).1;
        let found = self.name_position(session, role, attach.name.as_bytes());
        if let Ok(at) = found
            && self.links.peek(session.names[at]).1.state == LinkState::DetachReceived
        {
            // The peer is done with that link, whenever it gets our answer.
            self.release_name(session.names[at]);
        }
        let session = self.sessions.peek(slot).1;
        let (link_slot, answer) = match self.name_position(session, role, attach.name.as_bytes()) {
            Ok(at) => (self.answered_link(session.names[at], &attach)?, true),
            Err(at) => (self.attached_link(slot, at, &attach)?, false),
        };
        self.sessions
            .slot(slot)
            .1
            .handles_in
            .insert(handle, link_slot);
        let (generation, link) = self.links.slot(link_slot);
        link.remote_handle = Some(handle);
        if answer {
            link.step(LinkStep::AttachIn);
        }
        if link.state == LinkState::DetachSent {
            return Ok(None);
        }
        let link = crate::key::LinkKey {
            index: link_slot,
            generation,
        };
        Ok(Some(Event::Attached {
            session: session_key,
            link,
            attach,
            answer,
        }))
    }

    /// The link of ours that the peer's Attach answers.
    fn answered_link(&mut self, slot: u32, attach: &Attach) -> Result<u32, Fault> {
        let link = self.links.slot(slot).1;
        if link.remote_handle.is_some() || !link.attach_sent {
            let text = format!("link name already attached: {}", attach.name);
            return Err(ConnectionError::local(Violation::LinkNameInUse, text).into());
        }
        if link.role == Role::Receiver {
            link.credit
                .rebase(attach.initial_delivery_count.unwrap_or(0));
        }
        Ok(slot)
    }

    /// A new link that the peer attaches.
    fn attached_link(
        &mut self,
        session: u32,
        name_at: usize,
        attach: &Attach,
    ) -> Result<u32, Fault> {
        let role = attach.role.peer();
        let start = match role {
            Role::Receiver => attach.initial_delivery_count.unwrap_or(0),
            Role::Sender => 0,
        };
        let link = Link {
            state: LinkState::AttachReceived,
            role,
            forgotten: false,
            attach_sent: false,
            session,
            local_handle: 0,
            remote_handle: None,
            credit: Credit::starting_at(start),
            initial_delivery_count: start,
            progress: Progress::default(),
            unsettled: 0,
            name: attach.name.clone().settle(),
        };
        self.new_link(session, name_at, link).map_err(|_| {
            let text = "no handle is left for the answer";
            Fault::Session(
                session,
                SessionError::local(Violation::HandlesExhausted, text),
            )
        })
    }

    fn on_detach(&mut self, channel: u16, detach: Detach) -> Outcome {
        let slot = self.session_slot(channel)?;
        let session = self.sessions.slot(slot).1;
        if session.is_over() {
            return Ok(None);
        }
        let Some(link_slot) = session.handles_in.remove(detach.handle) else {
            return Err(unattached(detach.handle));
        };
        let (generation, link) = self.links.slot(link_slot);
        link.remote_handle = None;
        link.step(LinkStep::DetachIn);
        let answer = link.state == LinkState::Detached;
        let forgotten = link.forgotten;
        if answer {
            self.release_name(link_slot);
        }
        if forgotten && answer {
            self.free_link(link_slot);
            return Ok(None);
        }
        let link = crate::key::LinkKey {
            index: link_slot,
            generation,
        };
        Ok(Some(Event::Detached {
            link,
            closed: detach.closed,
            error: detach.error,
            answer,
        }))
    }

    fn on_end(&mut self, channel: u16, end: End) -> Outcome {
        let Some(slot) = self.channels_in.remove(u32::from(channel)) else {
            return Err(unmapped(channel));
        };
        let (generation, session) = self.sessions.slot(slot);
        session.step(SessionStep::EndIn);
        let (failed, answer) = (session.failed, session.state == SessionState::Ended);
        self.session_is_over(slot);
        if failed {
            return Ok(None);
        }
        let session = crate::key::SessionKey {
            index: slot,
            generation,
        };
        Ok(Some(Event::Ended {
            session,
            error: end.error,
            answer,
        }))
    }

    /// Frees what only waited for frames of a session that will bring none.
    pub(super) fn session_is_over(&mut self, slot: u32) {
        let session: &mut Session = self.sessions.slot(slot).1;
        session.dispositions.clear();
        let links: Vec<u32> = session.handles_out.slots().collect();
        let mut forgotten = links;
        forgotten.retain(|&link| self.links.peek(link).1.forgotten);
        if forgotten.is_empty() {
            self.free_session_if_done(slot);
        }
        for link in forgotten {
            self.free_link(link);
        }
    }
}

/// A frame for a channel without session.
fn unmapped(channel: u16) -> Fault {
    let text = format!("no such channel: {channel}");
    ConnectionError::local(Violation::ChannelUnmapped, text).into()
}

/// A frame for a handle without link.
pub(super) fn unattached(handle: u32) -> Fault {
    let text = format!("no such handle: {handle}");
    ConnectionError::local(Violation::HandleUnattached, text).into()
}

fn out_of_sequence(text: &'static str) -> Fault {
    ConnectionError::local(Violation::Sequence, text).into()
}
