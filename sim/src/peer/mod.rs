//! AMQP clients on the real protocol engine, with goals of their own. The engine checks what the
//! router sends: credit, session windows, sequence. A peer has one connection, some sessions, and
//! on them links that each follow their plan.

mod device;
mod ends;
mod hand;
mod hostile;
mod hub;
mod inlet;
mod judge;
mod outlet;
mod pieces;
mod receiver;
mod sender;
mod state;
mod tunnels;
mod words;

use std::sync::Arc;
use std::time::Duration;

use amqp_codec::{Attach, DeliveryState, Role, Str};
use amqp_proto::{
    Config, Connection, Event, InTransfer, LinkKey, Payload, RecvBuf, SendQueue, SessionKey, Time,
    Transform,
};

use self::device::Device;
use self::hand::{News, earliest};
use self::hub::Hub;
use self::receiver::Receiver;
use self::sender::Sender;
use self::state::{Actor, Part};
use crate::books::Books;
use crate::plan::{HUB, Hostile, LinkPlan, PeerPlan, ReceivePlan, SERVICE};
use crate::random::Random;

pub(crate) use self::state::{Peer, Phase};

/// Misdeeds of one peer at most.
const MISDEEDS: u32 = 40;

impl Peer {
    pub(crate) fn new(
        plan: PeerPlan,
        wire: usize,
        annotated: bool,
        transform: Box<dyn Transform>,
    ) -> Self {
        let config = Config {
            initiator: true,
            container_id: match plan.hub {
                Some(_) => Str::copy(HUB),
                None => Str::from(format!("peer {}", plan.number)),
            },
            max_frame_size: plan.frame,
            session_window: plan.window,
            ..Config::default()
        };
        let mut actors = Vec::new();
        for (place, link) in plan.links.iter().enumerate() {
            if let Some(link) = link {
                add_actors(&mut actors, place % plan.sessions, link);
            }
        }
        Self {
            wire,
            phase: match plan.absent {
                true => Phase::Gone,
                false => Phase::Away,
            },
            output: SendQueue::new(),
            transform,
            protected: SendQueue::new(),
            hangs_up: false,
            wake: None,
            read: 0,
            annotated,
            engine: Connection::new(Arc::new(config), Time::ZERO),
            input: RecvBuf::new(),
            random: Random::new(plan.seed),
            sessions: Vec::new(),
            actors,
            hub: plan.hub.as_ref().map(Hub::new),
            misdeeds: 0,
            plan,
        }
    }

    /// The wire is there.
    pub(crate) fn join(&mut self) {
        self.phase = Phase::Here;
        if !hostile::begins_badly(self.plan.hostile, &mut self.random, &mut self.output) {
            self.engine.start(&mut self.output);
        }
    }

    /// Whether it reads what the router sends.
    pub(crate) fn listens(&self) -> bool {
        self.plan.hostile != Some(Hostile::Deaf) || self.read < 2000
    }

    /// Does what its goals ask for; when it wants to act again, if nothing happens before.
    pub(crate) fn act(&mut self, now: Time, books: &mut Books) -> Option<Time> {
        if self.phase == Phase::Away || self.phase == Phase::Gone {
            return None;
        }
        if self
            .engine
            .poll_timeout()
            .is_some_and(|deadline| deadline <= now)
            && let Err(error) = self.engine.handle_timeout(now, &mut self.output)
        {
            let excused = self.is_hostile() || self.phase == Phase::Closing;
            assert!(excused, "the router is silent: {error}");
            self.hangs_up = true;
        }
        let mut next = self.engine.poll_timeout();
        if self.phase == Phase::Here && self.engine.is_open() {
            next = earliest(next, self.pursue(now, books));
        }
        if self.is_hostile() {
            next = earliest(next, self.misbehave(now));
        }
        next
    }

    fn pursue(&mut self, now: Time, books: &mut Books) -> Option<Time> {
        while self.sessions.len() < self.plan.sessions {
            match self.engine.begin(&mut self.output) {
                Ok(session) => self.sessions.push(session),
                Err(_) => return None,
            }
        }
        let mut next = self.pursue_tunnels(now, books);
        for place in 0..self.actors.len() {
            let (actor, mut hand) = self.hand(place, now, books);
            let wish = match &mut actor.part {
                Part::Sender(sender) => sender.act(&mut hand),
                Part::Receiver(receiver) => receiver.act(&mut hand),
                Part::Device(device) => device.act(&mut hand),
                Part::Over => None,
            };
            next = earliest(next, wish);
        }
        for &session in &self.sessions {
            self.engine.flush_session(session, &mut self.output);
            if self.engine.flush_dispositions(session, &mut self.output) {
                next = earliest(next, Some(now + Duration::from_millis(1)));
            }
        }
        next
    }

    /// A misdeed now and then; when the next one is.
    fn misbehave(&mut self, now: Time) -> Option<Time> {
        if self.misdeeds >= MISDEEDS {
            return None;
        }
        self.misdeeds += 1;
        if self.engine.is_open() {
            hostile::misbehave(self.plan.hostile, &mut self.random, &mut self.output);
        }
        Some(now + Duration::from_millis(1) + self.random.micros(50_000))
    }

    /// What becomes of its bytes on their way.
    pub(crate) fn spoil(&mut self, bytes: &mut [u8]) {
        if self.plan.hostile == Some(Hostile::Mutation) && self.read > 300 {
            hostile::spoil(&mut self.random, bytes);
        }
    }

    /// Takes bytes from the router.
    pub(crate) fn take(&mut self, bytes: &mut [u8], now: Time, books: &mut Books) {
        self.read += bytes.len() as u64;
        if self.plan.speaks_garbage() {
            return;
        }
        if let Err(error) = self.transform.open(bytes, &mut self.input) {
            assert!(self.is_hostile(), "what the router says: {error}");
            self.hangs_up = true;
            return;
        }
        loop {
            match self
                .engine
                .poll_event(&mut self.input, &mut self.output, now)
            {
                Ok(Some(event)) => self.handle(event, now, books),
                Ok(None) => return,
                Err(error) if self.is_hostile() => {
                    drop(error);
                    self.hangs_up = true;
                    return;
                }
                Err(error) => panic!("the router broke the protocol: {error}"),
            }
        }
    }

    fn handle(&mut self, event: Event, now: Time, books: &mut Books) {
        match event {
            Event::Begun {
                session,
                answer: false,
                ..
            } => self.begun(session),
            Event::Attached {
                session,
                link,
                attach,
                answer: false,
            } => self.tunnel_asked(session, link, &attach, now, books),
            Event::Attached { link, attach, .. } => self.attached(link, &attach, now, books),
            Event::Transfer {
                link,
                delivery,
                payload,
            } => self.transferred(link, &delivery, &payload, now, books),
            Event::Disposition {
                session,
                disposition,
            } => {
                let mut tokens = Vec::new();
                self.engine.disposed(session, &disposition, &mut tokens);
                let state = disposition.state.as_ref();
                for token in tokens {
                    self.told(
                        disposition.role,
                        token,
                        state,
                        disposition.settled,
                        now,
                        books,
                    );
                }
            }
            Event::Flow {
                session,
                link,
                echo: true,
            } => self.engine.send_flow(session, link, &mut self.output),
            other => self.handle_end(other, now, books),
        }
    }

    /// Something has ended; only hostile peers are refused anything.
    fn handle_end(&mut self, event: Event, now: Time, books: &mut Books) {
        let hostile = self.is_hostile();
        match event {
            Event::Detached {
                link,
                closed,
                error,
                answer,
            } => {
                let how = (closed, error.as_deref());
                if self.tunnel_detached(link, how, answer, now, books) {
                    return;
                }
                let fine = answer || hostile || self.phase != Phase::Here;
                assert!(fine, "detached without a reason of ours: {error:?}");
                if !answer {
                    self.engine.detach(link, closed, None, &mut self.output);
                }
                self.lost(link, now, books);
            }
            Event::LinkFailed { link, error } => {
                assert!(hostile, "the router broke a link's rules: {error}");
                self.lost(link, now, books);
            }
            Event::SessionFailed { session, error } => {
                assert!(hostile, "the router broke a session's rules: {error}");
                self.session_lost(session, now, books);
            }
            Event::Ended {
                session,
                error,
                answer,
            } => {
                let fine = answer || hostile;
                assert!(fine, "ended without a reason of ours: {error:?}");
                if !answer {
                    self.engine.end(session, None, &mut self.output);
                }
                self.session_lost(session, now, books);
            }
            Event::Closed { error, answer } => {
                if !answer {
                    let idle = error.as_ref().is_some_and(|error| {
                        error.condition.as_str() == "amqp:resource-limit-exceeded"
                    });
                    assert!(
                        hostile || idle,
                        "closed without a reason of ours: {error:?}"
                    );
                    self.engine.close(None, &mut self.output);
                }
                books.peer_ending(self.plan.number, now);
                self.phase = Phase::Closing;
                self.hangs_up = true;
            }
            _ => {}
        }
    }

    /// The actor of a link.
    fn place_of(&self, link: LinkKey) -> Option<usize> {
        let is_of = |actor: &Actor| actor.part.tie().is_some_and(|tie| tie.link == Some(link));
        self.actors.iter().position(is_of)
    }

    fn attached(&mut self, link: LinkKey, attach: &Attach, now: Time, books: &mut Books) {
        let Some(place) = self.place_of(link) else {
            self.tunnel_answered(link, attach, now, books);
            return;
        };
        let (actor, mut hand) = self.hand(place, now, books);
        let news = match &mut actor.part {
            Part::Sender(sender) => {
                sender.tie.answered(&mut hand);
                None
            }
            Part::Receiver(receiver) => receiver.attached(&mut hand, attach),
            Part::Device(_) | Part::Over => None,
        };
        self.tell_sibling(place, news);
    }

    fn transferred(
        &mut self,
        link: LinkKey,
        delivery: &InTransfer,
        payload: &Payload,
        now: Time,
        books: &mut Books,
    ) {
        let Some(place) = self.place_of(link) else {
            self.tunnel_transferred(link, delivery, payload, now, books);
            return;
        };
        let (actor, mut hand) = self.hand(place, now, books);
        let news = match &mut actor.part {
            Part::Receiver(receiver) => receiver.transferred(&mut hand, delivery, payload),
            Part::Sender(_) | Part::Device(_) | Part::Over => None,
        };
        self.tell_sibling(place, news);
    }

    fn tell_sibling(&mut self, place: usize, news: Option<News>) {
        let Some(news) = news else { return };
        let sibling = self.actors[place].sibling;
        let sibling = sibling.and_then(|sibling| self.actors.get_mut(sibling));
        if let Some(Actor {
            part: Part::Sender(sender),
            ..
        }) = sibling
        {
            sender.hear(news);
        }
    }

    /// The router says what became of a delivery.
    fn told(
        &mut self,
        role: Role,
        token: u64,
        state: Option<&DeliveryState>,
        settled: bool,
        now: Time,
        books: &mut Books,
    ) {
        if self.tunnel_told((role, token), state, settled, now, books) {
            return;
        }
        let Ok(token) = usize::try_from(token) else {
            return;
        };
        if self.is_hostile() {
            return;
        }
        if role == Role::Receiver {
            books.told(token, state, settled, now);
            for actor in &mut self.actors {
                if let Part::Sender(sender) = &mut actor.part {
                    sender.told(token, state, settled, now);
                }
            }
        } else if settled {
            books.receipts[token].withdrawn = true;
            for actor in &mut self.actors {
                if let Part::Receiver(receiver) = &mut actor.part {
                    receiver.withdrawn(token);
                }
            }
        }
    }

    /// A link has ended; its actor may attach another.
    fn lost(&mut self, link: LinkKey, now: Time, books: &mut Books) {
        let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
        self.engine.forget_link(link, &mut incoming, &mut outgoing);
        let Some(place) = self.place_of(link) else {
            self.tunnel_lost(link, now, books);
            return;
        };
        let (actor, mut hand) = self.hand(place, now, books);
        match &mut actor.part {
            Part::Sender(sender) => sender.tie.lost(&mut hand),
            Part::Receiver(receiver) => receiver.lost(&mut hand),
            Part::Device(_) | Part::Over => {}
        }
    }

    fn session_lost(&mut self, session: SessionKey, now: Time, books: &mut Books) {
        let mut links = Vec::new();
        self.engine.links_of(session, &mut links);
        for link in links {
            self.lost(link, now, books);
        }
        for actor in &mut self.actors {
            if self.sessions.get(actor.session) == Some(&session) {
                actor.part = Part::Over;
            }
        }
        if let Some(hub) = &mut self.hub {
            hub.sessions.retain(|of| *of != session);
        }
    }

    /// Ends a session, if it has one; its links are not attached again.
    pub(crate) fn end_session(&mut self, now: Time, books: &mut Books) {
        let of_hub = self.tunnels_ending(now, books);
        let Some(session) = of_hub.or(self.sessions.first().copied()) else {
            return;
        };
        for place in 0..self.actors.len() {
            if self.actors[place].session == 0 {
                let (actor, mut hand) = self.hand(place, now, books);
                if let Some(tie) = actor.part.tie() {
                    tie.ending(&mut hand);
                }
            }
        }
        self.engine.end(session, None, &mut self.output);
    }

    /// Closes the connection as it should be closed.
    pub(crate) fn close(&mut self, now: Time, books: &mut Books) {
        books.peer_ending(self.plan.number, now);
        if self.phase == Phase::Here {
            self.phase = Phase::Closing;
            self.engine.close(None, &mut self.output);
            self.hangs_up = self.engine.is_closed();
        }
    }

    /// Its wire is gone, or as good as gone.
    pub(crate) fn vanish(&mut self, now: Time, books: &mut Books) {
        self.phase = Phase::Gone;
        books.peer_ending(self.plan.number, now);
        for actor in &self.actors {
            if let Part::Receiver(receiver) = &actor.part {
                receiver.vanished(books);
            }
        }
        self.tunnels_vanished(now, books);
    }

    /// Its producers send one more message each, its consumers settle one.
    pub(crate) fn order(&mut self) {
        for actor in &mut self.actors {
            match &mut actor.part {
                Part::Sender(sender) => sender.order(),
                Part::Receiver(receiver) => receiver.settle_oldest(),
                Part::Device(_) | Part::Over => {}
            }
        }
    }

    /// What of its goals is left to do, in words.
    pub(crate) fn unmet(&self, books: &Books) -> Option<String> {
        if self.phase != Phase::Here || self.is_hostile() {
            return None;
        }
        let unmet = self.actors.iter().find_map(|actor| match &actor.part {
            Part::Sender(sender) => sender.unmet(&self.engine, books),
            Part::Receiver(receiver) => receiver.unmet(&self.engine),
            Part::Device(_) | Part::Over => None,
        });
        let unmet = unmet.or_else(|| self.tunnels_unmet(books));
        unmet.map(|unmet| format!("peer {}: {unmet}", self.plan.number))
    }
}

fn add_actors(actors: &mut Vec<Actor>, session: usize, link: &LinkPlan) {
    let here = actors.len();
    let mut add = |sibling, part| {
        actors.push(Actor {
            session,
            sibling,
            part,
        });
    };
    let name = |text: &str| format!("{text} {here}");
    match link {
        LinkPlan::Send(plan) => add(None, Part::Sender(Sender::new(plan, name("s")))),
        LinkPlan::Receive(plan) => add(None, Part::Receiver(Receiver::new(plan, name("r")))),
        LinkPlan::Device(plan) => add(None, Part::Device(Device::new(plan, name("d")))),
        LinkPlan::Request(count) => {
            let receiver = Receiver::dynamic(name("answers"));
            add(Some(here + 1), Part::Receiver(receiver));
            add(
                None,
                Part::Sender(Sender::requests(*count, name("requests"))),
            );
        }
        LinkPlan::Respond => {
            let plan = ReceivePlan::steady(SERVICE);
            let receiver = Receiver::service(&plan, name("service"));
            add(Some(here + 1), Part::Receiver(receiver));
            add(None, Part::Sender(Sender::answers(name("answers"))));
        }
    }
}
