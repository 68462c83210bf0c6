//! One router: real shards, the real control plane, and the mail between them. It stands in for the
//! runtime's worker and does what that does, in the same order; but when a turn begins, how long
//! it takes and when a batch is posted is decided by the world.
//!
//! A batch that is posted can be seen at once by whoever takes its turn next, as in the real
//! mailbox: what is late is posted late, by a thread that was held up between two batches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::{Time, Transform};
use router_core::control::{Connect, ControlConfig, ControlPlane, Effect};
use router_core::counters::Counters;
use router_core::ids::{ConnKey, ConnectionId, ShardId};
use router_core::limits;
use router_core::mail::Batch;
use router_core::notice::Notice;
use router_core::settings::{ConnectionSettings, NewConnection};
use router_core::shard::{Shard, ShardConfig};

use crate::plan::Plan;
use crate::random::Random;
use crate::wire::{Side, Wire};

/// Between two reports of how busy a shard is.
const LOAD: Duration = Duration::from_millis(1500);

/// The second in which the first lives of routers begin.
const FIRST_INSTANCE: i64 = 1_000_000;

/// A router of some shards. The control plane is the member after the last shard.
pub(crate) struct Node {
    pub(crate) shards: Vec<Shard>,
    pub(crate) control: ControlPlane,
    pub(crate) counters: Arc<Counters>,
    pub(crate) members: Vec<Member>,
    /// Mail that was posted, or will be, by sender and receiver.
    mail: Vec<Vec<VecDeque<(Time, Batch)>>>,
    pub(crate) notices: Vec<Notice>,
    /// The wires of connections, by their number.
    pub(crate) wires: BTreeMap<ConnectionId, usize>,
    /// What the plan says of connections, by their number.
    pub(crate) settings: BTreeMap<ConnectionId, Arc<ConnectionSettings>>,
    /// How far its clock is ahead of the world's.
    pub(crate) ahead: Duration,
    /// It runs.
    pub(crate) alive: bool,
    /// Its shards say that they have much to do.
    busy: bool,
    /// Lives that it has had before.
    pub(crate) life: u32,
}

/// What the world knows of a shard, or of the control plane.
#[derive(Debug, Default)]
pub(crate) struct Member {
    sockets: Vec<Option<Socket>>,
    /// The next turn that stands in the agenda.
    pub(crate) wake: Option<Time>,
    /// It does nothing before this.
    pub(crate) paused_until: Time,
    /// Its turns take so long at most.
    pub(crate) slow: Duration,
    /// It is held up between two batches for so long at most.
    pub(crate) late: Duration,
    /// When it says again that it has much to do.
    load: Time,
}

#[derive(Clone, Copy, Debug)]
struct Socket {
    key: ConnKey,
    wire: usize,
    side: Side,
    /// It has output for which the wire had no room.
    blocked: bool,
}

/// What a turn leads to.
#[derive(Debug, Default)]
pub(crate) struct Turned {
    /// When the next turn is due, if nothing happens before.
    pub(crate) next: Option<Time>,
    /// Who has mail, from when on.
    pub(crate) mailed: Vec<(usize, Time)>,
    /// Wires on which something was written, or that were closed.
    pub(crate) wires: Vec<usize>,
    /// Wires on which something was read, or that were closed.
    pub(crate) read: Vec<usize>,
    /// Wires whose connection the router has dropped.
    pub(crate) closed: Vec<usize>,
    /// What the control plane wants done outside.
    pub(crate) effects: Vec<Effect>,
}

impl Node {
    /// A router of a plan, in its first life or a later one.
    pub(crate) fn new(plan: &Plan, place: usize, life: u32) -> Self {
        let settings = &plan.router(place);
        let shards = plan.nodes[place].shards;
        let seed = plan.seed ^ ((place as u64) << 8) ^ (u64::from(life) << 16);
        let counters = Counters::new(shards);
        let mut control = ControlPlane::new(ControlConfig {
            instance: FIRST_INSTANCE + i64::from(life),
            settings: Arc::clone(settings),
            shards,
            seed,
            counters: Arc::clone(&counters),
        });
        for rule in plan.rules() {
            assert!(control.add_address(rule).is_ok());
        }
        for rule in plan.hubs.iter().flat_map(|hubs| hubs.rules(place)) {
            assert!(control.add_link_route(rule).is_ok());
        }
        for edge in plan.edges.iter().filter(|edge| edge.dialler() == place) {
            assert!(control.connect(Connect {
                identity: edge.connector(),
                host: plan.nodes[edge.listener()].id.to_owned(),
                port: edge.number.to_string(),
                settings: edge.settings(Side::Dialler),
            }));
        }
        let shard = |id: u16| {
            let mut secret = [id.to_le_bytes()[0]; 32];
            secret[..8].copy_from_slice(&seed.to_le_bytes());
            Shard::new(ShardConfig {
                id: ShardId(id),
                shards,
                settings: Arc::clone(settings),
                seed: seed ^ u64::from(id),
                secret,
                table: Arc::clone(control.table()),
                counters: counters.writer(ShardId(id)),
            })
        };
        let all = usize::from(shards) + 1;
        Self {
            shards: (0..shards).map(shard).collect(),
            control,
            counters,
            members: (0..all).map(|_| Member::default()).collect(),
            mail: (0..all)
                .map(|_| (0..all).map(|_| VecDeque::new()).collect())
                .collect(),
            notices: Vec::new(),
            wires: BTreeMap::new(),
            settings: BTreeMap::new(),
            ahead: Duration::ZERO,
            alive: true,
            busy: plan.nodes[place].busy,
            life,
        }
    }

    /// A new connection on a shard.
    pub(crate) fn accept(
        &mut self,
        shard: usize,
        (wire, side): (usize, Side),
        (accepted, transform): (NewConnection, Box<dyn Transform>),
        now: Time,
    ) {
        self.wires.insert(accepted.connection, wire);
        let settings = Arc::clone(&accepted.settings);
        self.settings.insert(accepted.connection, settings);
        let now = now + self.ahead;
        let key = self.shards[shard].accept(accepted, transform, now);
        let place = key.0.index as usize;
        let sockets = &mut self.members[shard].sockets;
        if place >= sockets.len() {
            sockets.resize(place + 1, None);
        }
        sockets[place] = Some(Socket {
            key,
            wire,
            side,
            blocked: false,
        });
    }

    /// Whether a shard waits for room on a wire.
    pub(crate) fn waits_for(&self, shard: usize, wire: usize) -> bool {
        let mut sockets = self.members[shard].sockets.iter().flatten();
        sockets.any(|socket| socket.wire == wire && socket.blocked)
    }

    /// Its time.
    pub(crate) fn time(&self, now: Time) -> Time {
        now + self.ahead
    }

    /// A shard, or the control plane, takes its turn.
    pub(crate) fn turn(
        &mut self,
        who: usize,
        wires: &mut [Wire],
        random: &mut Random,
        now: Time,
    ) -> Turned {
        let mut turned = Turned::default();
        let time = now + self.ahead;
        self.take_mail(who, random, now, time);
        if who == self.shards.len() {
            self.control.turn(time);
            self.post(who, random, now, &mut turned);
            self.control.drain_notices(&mut self.notices);
            turned
                .effects
                .extend(std::iter::from_fn(|| self.control.poll_effect()));
            let busy = self.control.is_runnable();
            turned.next = self.next_turn(who, busy, random, now);
            return turned;
        }
        let readable = self.read(who, wires, random, now, &mut turned);
        if self.busy && self.members[who].load <= now {
            self.members[who].load = now + LOAD;
            self.shards[who].note_load(100);
        }
        self.shards[who].turn(time);
        self.post(who, random, now, &mut turned);
        self.write(who, wires, random, now, &mut turned);
        self.drop_closed(who, wires, &mut turned);
        self.shards[who].finish(&mut self.notices);
        let busy = self.shards[who].is_runnable() || readable;
        turned.next = self.next_turn(who, busy, random, now);
        turned
    }

    fn next_turn(&self, who: usize, busy: bool, random: &mut Random, now: Time) -> Option<Time> {
        let slow = u64::try_from(self.members[who].slow.as_micros()).unwrap_or(0);
        let cost = Duration::from_micros(1) + random.micros(slow.max(20));
        let unread = (0..self.mail.len())
            .filter_map(|from| Some(self.mail[from][who].front()?.0))
            .min();
        let deadline = match self.shards.get(who) {
            Some(shard) => shard.next_deadline(),
            None => self.control.next_deadline(),
        };
        // The deadline is the router's time.
        let deadline = deadline.map(|at| Time::ZERO + at.saturating_sub(Time::ZERO + self.ahead));
        let next = match busy {
            true => Some(now),
            false => [unread, deadline].into_iter().flatten().min(),
        };
        next.map(|next| next.max(now + cost))
    }

    fn take_mail(&mut self, who: usize, random: &mut Random, now: Time, time: Time) {
        let all = self.mail.len();
        let first = random.below(all);
        for from in (0..all).map(|place| (first + place) % all) {
            while let Some((_, batch)) = self.mail[from][who].pop_front_if(|(at, _)| *at <= now) {
                match self.shards.get_mut(who) {
                    Some(shard) => shard.take_mail(batch, time),
                    None => self.control.handle_mail(batch),
                }
            }
        }
    }

    /// Reads what has arrived, a segment at a time; true if something is left.
    fn read(
        &mut self,
        who: usize,
        wires: &mut [Wire],
        random: &mut Random,
        now: Time,
        turned: &mut Turned,
    ) -> bool {
        let time = now + self.ahead;
        let mut left = false;
        let places = self.members[who].sockets.len();
        let first = random.below(places.max(1));
        for place in (0..places).map(|place| (first + place) % places) {
            let Some(&Some(Socket {
                key,
                wire: number,
                side,
                ..
            })) = self.members[who].sockets.get(place)
            else {
                continue;
            };
            let (input, output, behaviour) = wires[number].ways(side);
            let mut budget = limits::READ_BYTES_PER_TURN;
            while input.ready() > 0 && budget > 0 && !self.shards[who].is_behind(key) {
                let segment = 1 + random.below(behaviour.segment.min(budget));
                let window = self.shards[who].window();
                let room = segment.min(window.len());
                let count = input.read(&mut window[..room]);
                budget -= count;
                self.shards[who].received(key, count, time);
                while let Some((to, batch)) = self.shards[who].outboxes().poll_due() {
                    self.put(who, to.index(), now, batch, turned);
                }
                turned.read.push(number);
            }
            if input.is_over() {
                output.end();
                self.members[who].sockets[place] = None;
                self.shards[who].end_of_input(key, Some("connection aborted".to_owned()), time);
                turned.wires.push(number);
                turned.read.push(number);
                turned.closed.push(number);
            }
            left |= input.ready() > 0;
        }
        left
    }

    fn put(&mut self, who: usize, to: usize, at: Time, batch: Batch, turned: &mut Turned) {
        let queue = &mut self.mail[who][to];
        let at = queue.back().map_or(at, |&(last, _)| at.max(last));
        queue.push_back((at, batch));
        turned.mailed.push((to, at));
    }

    fn post(&mut self, who: usize, random: &mut Random, now: Time, turned: &mut Turned) {
        let batches: Vec<_> = match self.shards.get_mut(who) {
            Some(shard) => shard.outboxes().drain().collect(),
            None => self.control.outboxes().drain().collect(),
        };
        let late = u64::try_from(self.members[who].late.as_micros()).unwrap_or(0);
        let mut at = now;
        for (to, batch) in batches {
            self.put(who, to.index(), at, batch, turned);
            if late > 0 && random.one_in(2) {
                at = at + random.micros(late);
            }
        }
        // A thread that is held up while it posts takes no turn.
        self.members[who].paused_until = self.members[who].paused_until.max(at);
    }

    fn write(
        &mut self,
        who: usize,
        wires: &mut [Wire],
        random: &mut Random,
        now: Time,
        turned: &mut Turned,
    ) {
        let mut keys = Vec::new();
        for socket in self.members[who].sockets.iter_mut().flatten() {
            if std::mem::take(&mut socket.blocked) {
                keys.push(socket.key);
            }
        }
        loop {
            while let Some(key) = keys.pop().or_else(|| self.shards[who].poll_output()) {
                self.write_one(who, key, wires, random, now, turned);
            }
            if keys.is_empty() {
                return;
            }
        }
    }

    fn write_one(
        &mut self,
        who: usize,
        key: ConnKey,
        wires: &mut [Wire],
        random: &mut Random,
        now: Time,
        turned: &mut Turned,
    ) {
        let place = key.0.index as usize;
        let socket = self.members[who].sockets.get_mut(place);
        let Some(socket) = socket.and_then(Option::as_mut).filter(|it| it.key == key) else {
            return;
        };
        let (_, way, behaviour) = wires[socket.wire].ways(socket.side);
        turned.wires.push(socket.wire);
        while let Some(output) = self.shards[who].output(key) {
            if output.is_empty() {
                // What waits for a handshake.
                return;
            }
            let room = way.room(behaviour);
            if room == 0 {
                socket.blocked = true;
                return;
            }
            let bytes = output.to_bytes();
            let count = room.min(bytes.len());
            output.consume(count);
            self.shards[who].wrote(key);
            way.send(bytes[..count].to_vec(), behaviour, random, now);
        }
    }

    fn drop_closed(&mut self, who: usize, wires: &mut [Wire], turned: &mut Turned) {
        while let Some(key) = self.shards[who].poll_closed() {
            let sockets = &mut self.members[who].sockets;
            let socket = sockets
                .iter_mut()
                .find(|socket| socket.is_some_and(|socket| socket.key == key))
                .and_then(Option::take);
            if let Some(socket) = socket {
                let (input, output, _) = wires[socket.wire].ways(socket.side);
                output.end();
                input.close();
                turned.wires.push(socket.wire);
                turned.read.push(socket.wire);
                turned.closed.push(socket.wire);
            }
        }
    }

    /// Whether mail is under way.
    pub(crate) fn has_mail(&self) -> bool {
        self.mail.iter().flatten().any(|queue| !queue.is_empty())
    }

    /// Whatever was done to its members is over.
    pub(crate) fn heal(&mut self) {
        for member in &mut self.members {
            member.paused_until = Time::ZERO;
            member.slow = Duration::ZERO;
            member.late = Duration::ZERO;
        }
    }
}
