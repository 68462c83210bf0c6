//! A worker: one thread that gives one shard its sockets, its mail and the time. Nothing in it
//! decides anything; it calls the stages of a turn in their order (mail, receive, the shard's own
//! stages, post, transmit) and sleeps when the shard has nothing to do.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::{Time, Transform};
use mio::{Events, Poll, Token};
use router_core::ids::{ConnKey, ShardId};
use router_core::limits::READ_BYTES_PER_TURN;
use router_core::notice::Notice;
use router_core::settings::{ConnectionRole, NewConnection};
use router_core::shard::Shard;

use crate::authority::Authority;
use crate::clock::Clock;
use crate::deal::Counts;
use crate::linger::Lingering;
use crate::log::Log;
use crate::post::{Incoming, Intake, Offices};
use crate::socket::{Moved, Socket, error_text};
use crate::stream::Stream;

/// Events taken from the operating system at once.
const EVENTS: usize = 1024;

/// Batches of mail taken before sockets have their turn.
const BATCHES_PER_TURN: usize = 256;

/// Slices of output given to the operating system at once.
const SLICES: usize = 64;

/// How long sockets are read in a round whose connections are still agreeing on their encryption,
/// one at least: a signature takes up to a millisecond, and whoever is connected already waits for
/// it at every worker that a message passes.
const HANDSHAKES_TIME: Duration = Duration::from_millis(1);

/// How long connections may take to say good-bye at the end of the program.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// How long it is measured how busy a worker is.
const LOAD_SAMPLE: Duration = Duration::from_secs(1);

/// The token of the waker; connections have the index of their key.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// A shard with all it needs to run.
pub(crate) struct Worker {
    shard: Shard,
    own: ShardId,
    poll: Poll,
    offices: Arc<Offices>,
    authority: Arc<Authority>,
    intake: Arc<Intake>,
    clock: Clock,
    log: Log,
    spin: Duration,
    sockets: Vec<Option<Slot>>,
    /// Those of its connections that are with other routers.
    routers: BTreeSet<ConnKey>,
    /// Sockets that may give something, each once.
    readable: VecDeque<usize>,
    /// Sockets with something to read whose connections are behind with what was read.
    behind: Vec<usize>,
    /// Sockets that have become writable since the last round.
    writable: Vec<usize>,
    lingering: Lingering,
    notices: Vec<Notice>,
    /// Something happened until then; do not sleep.
    awake_until: Time,
    load: Load,
    /// The end of the program: nobody waits longer than that.
    ends: Option<Time>,
}

/// How busy the worker is. Rounds in which nothing came do not count: it may only be looking.
#[derive(Debug, Default)]
struct Load {
    /// Since the start.
    busy: Duration,
    /// When what is measured began, and how much there had been then.
    since: Time,
    before: Duration,
    /// When the present round began.
    round: Time,
    worked: bool,
}

impl Load {
    /// A round begins.
    fn resume(&mut self, now: Time) {
        self.round = now;
    }

    /// A round has ended.
    fn pause(&mut self, now: Time) {
        if std::mem::take(&mut self.worked) {
            self.busy += now.saturating_sub(self.round);
        }
    }

    /// After a second at least: the part of the time that was work, in percent.
    fn take(&mut self, now: Time) -> Option<u8> {
        let all = now.saturating_sub(self.since);
        if all < LOAD_SAMPLE {
            return None;
        }
        let busy = self.busy.saturating_sub(self.before);
        self.before = self.busy;
        self.since = now;
        let percent = busy.as_nanos() * 100 / all.as_nanos();
        u8::try_from(percent.min(100)).ok()
    }
}

struct Slot {
    key: ConnKey,
    socket: Socket,
    queued: bool,
}

/// What a worker is made of.
pub(crate) struct WorkerParts {
    pub(crate) shard: Shard,
    pub(crate) own: ShardId,
    pub(crate) poll: Poll,
    pub(crate) offices: Arc<Offices>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    /// How long to look for work before sleeping.
    pub(crate) spin: Duration,
}

impl Worker {
    pub(crate) fn new(parts: WorkerParts) -> Self {
        let WorkerParts {
            shard,
            own,
            poll,
            offices,
            authority,
            intake,
            clock,
            log,
            spin,
        } = parts;
        Self {
            shard,
            own,
            poll,
            offices,
            authority,
            intake,
            clock,
            log,
            spin,
            sockets: Vec::new(),
            routers: BTreeSet::new(),
            readable: VecDeque::new(),
            behind: Vec::new(),
            writable: Vec::new(),
            lingering: Lingering::default(),
            notices: Vec::new(),
            awake_until: Time::ZERO,
            load: Load::default(),
            ends: None,
        }
    }

    /// Runs until the intake says that it is over.
    ///
    /// # Errors
    ///
    /// The operating system no longer tells of events: nothing can be done without them.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let sleep = self.sleep();
            match self.poll.poll(&mut events, sleep) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.offices.mailbox(self.own).unpark();
            let now = self.clock.now();
            self.load.resume(now);
            self.note_events(&events);
            self.round(now);
            if self.is_over(now) {
                return Ok(());
            }
        }
    }

    /// How long `poll` may sleep: not at all while there is something to do.
    fn sleep(&mut self) -> Option<Duration> {
        self.requeue();
        let busy = self.shard.is_runnable() || !self.readable.is_empty();
        let now = self.clock.now();
        self.load.pause(now);
        if busy || now < self.awake_until || !self.offices.mailbox(self.own).park() {
            return Some(Duration::ZERO);
        }
        let deadlines = [
            self.shard.next_deadline(),
            self.lingering.next_deadline(),
            self.ends,
        ];
        let earliest = deadlines.into_iter().flatten().min()?;
        Some(earliest.saturating_sub(now))
    }

    fn note_events(&mut self, events: &Events) {
        for event in events {
            if self.lingering.note_ready(event, self.shard.window()) {
                continue;
            }
            let index = event.token().0;
            let Some(Some(slot)) = self.sockets.get_mut(index) else {
                continue;
            };
            slot.socket.note_ready(event);
            if slot.socket.is_readable() && !slot.queued {
                slot.queued = true;
                self.readable.push_back(index);
            }
            if event.is_writable() {
                self.writable.push(index);
            }
        }
    }

    fn round(&mut self, now: Time) {
        let mut moved = 0;
        self.take_intake(now);
        let mail = self.take_mail(now);
        moved += self.read_sockets(now);
        self.shard.turn(now);
        // Before anybody can see a delivery: whoever has seen it may ask for the end at once.
        let load = self.intake.load();
        load.note_in_flight(self.shard.deliveries());
        self.post();
        self.pass_questions();
        moved += self.write_sockets(now);
        let closed = self.drop_closed(now);
        self.shard.finish(&mut self.notices);
        // Before the log: whoever reads that a connection is gone may count on its place.
        self.intake
            .load()
            .publish(self.load.busy, closed, self.shard.deliveries());
        self.log.notices(&mut self.notices);
        if moved > 0 || mail {
            self.awake_until = now + self.spin;
            self.load.worked = true;
        }
        if let Some(percent) = self.load.take(now) {
            self.shard.note_load(percent);
            self.post();
        }
    }

    fn take_intake(&mut self, now: Time) {
        while let Some(incoming) = self.intake.take() {
            match incoming {
                Incoming::Socket {
                    stream,
                    connection,
                    transform,
                } => self.adopt(stream, connection, transform, now),
                Incoming::Stop => {
                    self.shard.shut_down(now);
                    self.ends = Some(now + GOOD_BYE);
                }
                Incoming::Abandon => self.ends = Some(Time::ZERO),
            }
        }
    }

    /// Gives a new socket to the shard.
    fn adopt(
        &mut self,
        stream: Stream,
        connection: NewConnection,
        transform: Box<dyn Transform>,
        now: Time,
    ) {
        let is_router = connection.settings.role == ConnectionRole::InterRouter;
        let key = self.shard.accept(connection, transform, now);
        if is_router {
            self.routers.insert(key);
        }
        let index = key.0.index as usize;
        match Socket::register(stream, self.poll.registry(), Token(index)) {
            Ok(socket) => {
                if index >= self.sockets.len() {
                    self.sockets.resize_with(index + 1, || None);
                }
                self.sockets[index] = Some(Slot {
                    key,
                    socket,
                    queued: false,
                });
            }
            Err(error) => self.shard.end_of_input(key, Some(error_text(&error)), now),
        }
    }

    fn take_mail(&mut self, now: Time) -> bool {
        for taken in 0..BATCHES_PER_TURN {
            let Some(batch) = self.offices.mailbox(self.own).take() else {
                return taken > 0;
            };
            self.shard.take_mail(batch, now);
        }
        true
    }

    fn read_sockets(&mut self, now: Time) -> usize {
        let mut bytes = 0;
        let mut shaking = Duration::ZERO;
        self.requeue();
        for _ in 0..self.readable.len() {
            let Some(index) = self.readable.pop_front() else {
                break;
            };
            let begun = self.is_handshaking(index).then(|| self.clock.now());
            if begun.is_some() && shaking >= HANDSHAKES_TIME {
                self.readable.push_back(index);
                continue;
            }
            bytes += self.read_socket(index, now);
            if let Some(begun) = begun {
                shaking += self.clock.now().saturating_sub(begun);
            }
            if let Some(Some(slot)) = self.sockets.get_mut(index) {
                slot.queued = slot.socket.is_readable();
                match slot.queued {
                    true if self.shard.is_behind(slot.key) => self.behind.push(index),
                    true => self.readable.push_back(index),
                    false => {}
                }
            }
        }
        bytes
    }

    /// Whether reading a socket may cost as much as a handshake does.
    fn is_handshaking(&self, index: usize) -> bool {
        let slot = self.sockets.get(index).and_then(Option::as_ref);
        slot.is_some_and(|slot| self.shard.is_handshaking(slot.key))
    }

    /// Sockets whose connections have caught up are read again.
    fn requeue(&mut self) {
        let Self {
            behind,
            readable,
            shard,
            sockets,
            ..
        } = self;
        behind.retain(|&index| {
            let slot = sockets.get(index).and_then(Option::as_ref);
            let stays = slot.is_some_and(|slot| shard.is_behind(slot.key));
            if !stays && slot.is_some() {
                readable.push_back(index);
            }
            stays
        });
    }

    /// Reads one socket up to its budget; how many bytes.
    fn read_socket(&mut self, index: usize, now: Time) -> usize {
        let mut bytes = 0;
        while bytes < READ_BYTES_PER_TURN {
            let Some(Some(Slot { key, socket, .. })) = self.sockets.get_mut(index) else {
                break;
            };
            let key = *key;
            if !socket.is_readable() || self.shard.is_behind(key) {
                break;
            }
            let window = self.shard.window();
            let room = window.len().min(READ_BYTES_PER_TURN - bytes);
            match socket.read(&mut window[..room]) {
                Moved::Bytes(count) => {
                    bytes += count;
                    self.shard.received(key, count, now);
                    self.post_due();
                }
                Moved::Wait => break,
                Moved::End => {
                    self.lose(index, "connection aborted".to_owned(), now);
                    break;
                }
                Moved::Failed(error) => {
                    self.lose(index, error_text(&error), now);
                    break;
                }
            }
        }
        bytes
    }

    /// The socket is gone; the connection follows.
    fn lose(&mut self, index: usize, error: String, now: Time) {
        if let Some(slot) = self.sockets.get_mut(index).and_then(Option::take) {
            self.shard.end_of_input(slot.key, Some(error), now);
        }
    }

    /// Posts what a long stage has written for others, so that they begin meanwhile.
    fn post_due(&mut self) {
        self.show_messages();
        while let Some((to, batch)) = self.shard.outboxes().poll_due() {
            self.offices.post(to, batch);
        }
    }

    /// Hands on what others decide.
    fn pass_questions(&mut self) {
        while let Some(question) = self.shard.poll_question() {
            self.authority.ask(question);
        }
    }

    /// Has the log say that messages have come before others say that they have sent them.
    fn show_messages(&mut self) {
        if self.shard.shows_messages() {
            self.shard.finish(&mut self.notices);
            self.log.notices(&mut self.notices);
        }
    }

    fn post(&mut self) {
        self.show_messages();
        for (to, batch) in self.shard.outboxes().drain() {
            self.offices.post(to, batch);
        }
    }

    fn write_sockets(&mut self, now: Time) -> usize {
        let mut bytes = 0;
        while let Some(index) = self.writable.pop() {
            bytes += self.write_socket(index, now);
        }
        while let Some(key) = self.shard.poll_output() {
            let index = key.0.index as usize;
            if self
                .sockets
                .get(index)
                .and_then(Option::as_ref)
                .is_some_and(|slot| slot.key == key)
            {
                bytes += self.write_socket(index, now);
            }
        }
        bytes
    }

    /// Writes what is queued for one socket, as far as it takes it; how many bytes.
    fn write_socket(&mut self, index: usize, now: Time) -> usize {
        let mut bytes = 0;
        let mut lost = None;
        let Some(Some(Slot { key, socket, .. })) = self.sockets.get_mut(index) else {
            return 0;
        };
        let key = *key;
        while socket.is_writable()
            && let Some(output) = self.shard.output(key)
            && !output.is_empty()
        {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = output.io_slices(&mut slices);
            match socket.write(&slices[..count]) {
                Moved::Bytes(count) => {
                    output.consume(count);
                    bytes += count;
                }
                Moved::Wait | Moved::End => break,
                Moved::Failed(error) => {
                    lost = Some(error_text(&error));
                    break;
                }
            }
        }
        match lost {
            Some(error) => self.lose(index, error, now),
            None if bytes > 0 => self.shard.wrote(key),
            None => {}
        }
        bytes
    }

    /// Ends the sockets whose connections are over; how many those are.
    fn drop_closed(&mut self, now: Time) -> Counts {
        let mut closed = Counts::default();
        while let Some(key) = self.shard.poll_closed() {
            closed.add(self.routers.remove(&key));
            let slot = self
                .sockets
                .get_mut(key.0.index as usize)
                .and_then(Option::take);
            if let Some(Slot { socket, .. }) = slot {
                let scratch = self.shard.window();
                self.lingering
                    .take(socket, self.poll.registry(), scratch, now);
            }
        }
        while let Some(None) = self.sockets.last() {
            self.sockets.pop();
        }
        if self.sockets.len() < self.sockets.capacity() / 8 {
            self.sockets.shrink_to(2 * self.sockets.len());
        }
        self.lingering.expire(now);
        closed
    }

    /// At the end of the program: whether everyone has heard it, or had time enough.
    fn is_over(&self, now: Time) -> bool {
        self.ends
            .is_some_and(|ends| now >= ends || self.shard.connection_count() == 0)
    }
}
