//! The parts of a shard, and what its stages leave for each other. The stages are verbs on
//! [`Shard`] in files of their own; none calls a sibling: they mark connections, links and lines
//! here, and the turn in `mod.rs` runs them in a fixed order.

use std::collections::{BTreeSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::{Config, Time};
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

use super::conn::{Conn, LinkSlot};
use super::link::{InLink, Offer, OutLink, RoutedWaits};
use super::pipe::PipeTx;
use super::question::SaslQuestion;
use super::transit::Transit;
use super::trouble::Ageing;
use super::wheel::Wheel;
use super::window::ReadWindow;
use crate::address::AddressContext;
use crate::counters::CounterWriter;
use crate::delivery::{Copies, Inbound, Outbound};
use crate::ids::{
    AddressId, AddressKey, ConnKey, ConnectionId, FanKey, InKey, InLinkKey, Key, LinkId, OutKey,
    OutLinkKey, ShardId,
};
use crate::inspect::AddressCounters;
use crate::keyed::Keyed;
use crate::limits;
use crate::mail::{Mail, Outboxes};
use crate::notice::Notice;
use crate::route::{Paths, Route, RouteTable, Tally, Windows};
use crate::settings::{ConnectionSettings, RouterSettings};

/// A hash map whose order and collisions depend only on the seed that the shard was given.
pub(super) type Table<K, V> = hashbrown::HashMap<K, V, foldhash::quality::FixedState>;

/// Entries for which a table keeps room.
const TABLE_KEPT: usize = 64;

/// Gives back the memory of a table that is nearly empty.
pub(super) fn tighten<K: Eq + Hash, V>(table: &mut Table<K, V>) {
    if table.capacity() > TABLE_KEPT && table.len() < table.capacity() / 8 {
        table.shrink_to(2 * table.len());
    }
}

/// What a shard is made of.
pub struct ShardConfig {
    /// Its index.
    pub id: ShardId,
    /// How many shards there are; the control plane is the one after the last.
    pub shards: u16,
    /// The router's settings.
    pub settings: Arc<RouterSettings>,
    /// Seed of hash keys.
    pub seed: u64,
    /// Seed of the names that nobody may guess.
    pub secret: [u8; 32],
    /// The first snapshot.
    pub table: Arc<RouteTable>,
    /// Its block of counters.
    pub counters: CounterWriter,
}

/// A single-threaded, deterministic router that owns its connections, links and deliveries.
///
/// The driver calls, in each round: [`take_mail`](Self::take_mail) for every batch in its mailbox,
/// [`received`](Self::received) for what sockets gave, [`turn`](Self::turn), then empties
/// [`outboxes`](Self::outboxes), writes [`poll_output`](Self::poll_output), closes
/// [`poll_closed`](Self::poll_closed), passes
/// [`poll_question`](Self::poll_question) on and ends with [`finish`](Self::finish).
pub struct Shard {
    pub(super) id: ShardId,
    pub(super) shards: u16,
    pub(super) settings: Arc<RouterSettings>,
    pub(super) context: AddressContext,
    pub(super) names: ChaCha20Rng,
    pub(super) counters: CounterWriter,
    pub(super) table: Arc<RouteTable>,
    pub(super) paths: Arc<Paths>,
    /// How many paths there have been.
    pub(super) topology: u64,
    /// Its router in a trace: `0/<id>`.
    pub(super) trace_id: Box<str>,
    pub(super) tally: Tally,
    pub(super) window: ReadWindow,
    /// Engine settings of listeners, shared by their connections.
    pub(super) configs: Vec<(Arc<ConnectionSettings>, Arc<Config>)>,
    pub(super) conns: Keyed<Conn>,
    pub(super) by_id: Table<ConnectionId, ConnKey>,
    pub(super) in_links: Keyed<InLink>,
    pub(super) out_links: Keyed<OutLink>,
    /// Auto-links that their containers have not yet taken.
    pub(super) offers: Keyed<Offer>,
    pub(super) inbound: Keyed<Inbound>,
    pub(super) outbound: Keyed<Outbound>,
    pub(super) copies: Keyed<Copies>,
    /// Open streams and copies by the delivery at its origin.
    pub(super) by_origin: Table<(ShardId, InKey), Incoming>,
    /// Deliveries sent by the delivery at their origin: made when somebody asks, and kept up to
    /// date until nothing is unsettled.
    pub(super) by_source: Option<Table<(ShardId, InKey), OutKey>>,
    pub(super) pipes: Pipes,
    /// Producers' links by the address they send to.
    pub(super) producers: Table<AddressKey, BTreeSet<InLinkKey>>,
    /// Consumers' links by address record.
    pub(super) consumers: Table<AddressId, Vec<Key>>,
    /// Deliveries that wait for a window, by address.
    pub(super) lines: Table<AddressKey, VecDeque<InKey>>,
    /// The second in which the first of a line last went, while there is a line.
    pub(super) lines_moved: Table<AddressKey, u32>,
    /// A window or a route has changed since the lines were last looked at.
    pub(super) lines_due: bool,
    /// Deliveries without a route, until the mail already in the box has been read.
    pub(super) doubtful: Vec<InKey>,
    /// The mail that was in the box when `doubtful` was filled has been read.
    pub(super) doubts_due: bool,
    /// Streams from other routers for which windows are held back.
    pub(super) behind: Vec<InKey>,
    /// What addresses have carried here, but for what links have not yet reported.
    pub(super) carried: Table<AddressId, AddressCounters>,
    pub(super) outboxes: Outboxes,
    /// What is on its way to other threads without a window.
    pub(super) transit: Transit,
    /// Connections to look after at the end of the turn.
    pub(super) touched: Vec<ConnKey>,
    /// Connections with input not yet decoded.
    pub(super) backlog: VecDeque<ConnKey>,
    /// Connections with bytes for the socket.
    pub(super) writing: VecDeque<ConnKey>,
    /// Connections whose socket may go.
    pub(super) closed: Vec<ConnKey>,
    /// Consumers' links to whose lanes deliveries came in this turn.
    pub(super) loose: Vec<Key>,
    /// Pipes whose other end ought to hear a new limit: the link and the shard.
    pub(super) grants: Vec<(Key, ShardId)>,
    /// Awaited deliveries that have left the box in this turn, by the shard of their origin.
    pub(super) left: Vec<Vec<InKey>>,
    /// Connections that belong to trunks.
    pub(super) trunks: Vec<ConnKey>,
    /// Routed links that wait for somebody's peer.
    pub(super) routed_waits: RoutedWaits,
    /// Links whose producers may get credit when a second is over.
    pub(super) slow: BTreeSet<InLinkKey>,
    pub(super) wheel: Wheel,
    pub(super) clock: Clock,
    /// For how many seconds the shard has been awake: what it has slept through counts for nothing
    /// that is measured in seconds. Each shard has its own.
    pub(super) second: u32,
    /// What has lasted too long when it was last looked for.
    pub(super) ageing: Ageing,
    pub(super) next_link: u64,
    pub(super) next_tag: u64,
    /// What is noted although there is much of it.
    pub(super) wanted: Wanted,
    /// No further deliveries are let in: the program is about to end.
    pub(super) retiring: bool,
    pub(super) notices: Vec<Notice>,
    /// Steps of authentication that somebody has to decide.
    pub(super) questions: VecDeque<SaslQuestion>,
    /// Scratch for the tokens of a disposition.
    pub(super) tokens: Vec<u64>,
    /// Scratch for address keys.
    pub(super) text: String,
}

/// What the log wants that it is not told unasked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// The frames of all connections.
    pub(super) frames: bool,
    /// The messages of connections that show any.
    pub(super) messages: bool,
}

/// What the shard knows of the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// When it was last called.
    pub(super) noted: Time,
    /// The last bits of the microsecond of that, of those in which it was awake.
    pub(super) stamp: u32,
    /// How long it has overslept in all.
    pub(super) asleep: Duration,
    /// How late its turns came in all, of those so late that nobody can be blamed for what stood
    /// still: the machine was suspended, or the process stopped.
    pub(super) stood: Duration,
    /// The second for which was last done what is done once a second.
    pub(super) ticked: u32,
}

impl Clock {
    /// At the beginning.
    const ZERO: Self = Self {
        noted: Time::ZERO,
        stamp: 0,
        asleep: Duration::ZERO,
        stood: Duration::ZERO,
        ticked: 0,
    };

    /// Notes what time it is.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "differences of what is left are those of the whole"
    )]
    fn note(&mut self, now: Time) {
        self.noted = now;
        self.stamp = (self.awake(now).as_nanos() / 1000) as u32;
    }

    /// How long the shard has been awake.
    fn awake(&self, now: Time) -> Time {
        Time::ZERO + now.saturating_sub(Time::ZERO + self.stood)
    }

    /// When a second begins in which it has been awake for so many.
    pub(super) fn beginning_of(&self, second: u64) -> Time {
        Time::from_millis(second * 1000) + self.stood
    }
}

/// Where more of a delivery from another shard goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// To the lane of one link.
    Link(Key),
    /// To all copies of a set.
    Fan(FanKey),
}

/// The sending ends of this shard's pipes.
pub(super) struct Pipes {
    /// By the link they lead to.
    pub(super) to: Table<OutLinkKey, PipeTx>,
}

impl Pipes {
    /// An unsettled delivery goes to a consumer; its pipe is made when it is first used.
    pub(super) fn charge(
        &mut self,
        target: OutLinkKey,
        route: &Route,
        paths: &Paths,
        control: ShardId,
    ) {
        let pipe = self.to.entry(target).or_insert_with(|| {
            let consumer = route
                .consumers
                .iter()
                .find(|consumer| consumer.link == target);
            let depth = match consumer {
                _ if target.shard == control => limits::IN_PROCESS_DEPTH,
                Some(consumer) => consumer.capacity.max(1),
                None => paths
                    .behind(target)
                    .map_or(1, |neighbor| neighbor.capacity.max(1)),
            };
            PipeTx::new(depth)
        });
        pipe.send();
    }
}

impl Windows for Pipes {
    fn is_open(&self, link: OutLinkKey) -> bool {
        self.to.get(&link).is_none_or(|pipe| pipe.is_open())
    }
}

impl Shard {
    /// A shard without connections.
    #[must_use]
    pub fn new(config: ShardConfig) -> Self {
        let ShardConfig {
            id,
            shards,
            settings,
            table,
            counters,
            ..
        } = config;
        let hasher = foldhash::quality::FixedState::with_seed(config.seed);
        Self {
            id,
            shards,
            context: AddressContext::new(&settings.id),
            names: ChaCha20Rng::from_seed(config.secret),
            counters,
            tally: Tally::new(table.boards(), id),
            table,
            paths: Arc::new(Paths::default()),
            topology: 0,
            trace_id: format!("0/{}", settings.id).into(),
            settings,
            window: ReadWindow::new(),
            configs: Vec::new(),
            conns: Keyed::new(),
            by_id: Table::with_hasher(hasher.clone()),
            in_links: Keyed::new(),
            out_links: Keyed::new(),
            offers: Keyed::new(),
            inbound: Keyed::new(),
            outbound: Keyed::new(),
            copies: Keyed::new(),
            by_origin: Table::with_hasher(hasher.clone()),
            by_source: None,
            pipes: Pipes {
                to: Table::with_hasher(hasher.clone()),
            },
            producers: Table::with_hasher(hasher.clone()),
            consumers: Table::with_hasher(hasher.clone()),
            lines: Table::with_hasher(hasher.clone()),
            lines_moved: Table::with_hasher(hasher.clone()),
            lines_due: false,
            doubtful: Vec::new(),
            doubts_due: false,
            behind: Vec::new(),
            carried: Table::with_hasher(hasher),
            outboxes: Outboxes::new(id, usize::from(shards) + 1),
            transit: Transit::new(usize::from(shards) + 1),
            touched: Vec::new(),
            backlog: VecDeque::new(),
            writing: VecDeque::new(),
            closed: Vec::new(),
            loose: Vec::new(),
            grants: Vec::new(),
            left: (0..shards).map(|_| Vec::new()).collect(),
            trunks: Vec::new(),
            routed_waits: RoutedWaits::default(),
            slow: BTreeSet::new(),
            wheel: Wheel::new(),
            clock: Clock::ZERO,
            second: 0,
            ageing: Ageing::default(),
            next_link: 0,
            next_tag: 0,
            wanted: Wanted::default(),
            retiring: false,
            notices: Vec::new(),
            questions: VecDeque::new(),
            tokens: Vec::new(),
            text: String::new(),
        }
    }

    /// The control plane's place among the shards.
    pub(super) fn control(&self) -> ShardId {
        ShardId(self.shards)
    }

    /// Posts a letter.
    pub(super) fn post(&mut self, to: ShardId, mail: Mail) {
        self.outboxes.push(to, mail);
    }

    /// The number of a new link: unlike any that another shard gives.
    pub(super) fn link_id(&mut self) -> LinkId {
        let id = self.next_link * u64::from(self.shards) + u64::from(self.id.0) + 1;
        self.next_link += 1;
        LinkId(id)
    }

    /// The tag of the next delivery: unlike any that another shard gives. The caller counts it once
    /// it is used.
    pub(super) fn delivery_tag(&self) -> u64 {
        self.next_tag * u64::from(self.shards) + u64::from(self.id.0)
    }

    /// A number that nobody can guess who does not know the secret, whatever others he has seen:
    /// names of dynamic nodes must not let a stranger write to somebody's reply address.
    pub(super) fn draw(&mut self) -> u64 {
        self.names.next_u64()
    }

    /// The connection is looked after at the end of the turn.
    pub(super) fn touch(&mut self, key: ConnKey) {
        if let Some(conn) = self.conns.get_mut(key)
            && !conn.touched
        {
            conn.touched = true;
            self.touched.push(key);
        }
    }

    /// Credit of a producer's link is looked at in this turn.
    pub(super) fn mark_credit(&mut self, key: InLinkKey, urgent: bool) {
        let Some(link) = self.in_links.get_mut(key) else {
            return;
        };
        link.urgent |= urgent;
        let conn = link.conn;
        if !link.dirty {
            link.dirty = true;
            if let Some(conn) = self.conns.get_mut(conn) {
                conn.dirty.push(key);
            }
        }
        self.touch(conn);
    }

    /// A consumer's link has something to send.
    pub(super) fn mark_ready(&mut self, key: Key) {
        let Some(link) = self.out_links.get_mut(key) else {
            return;
        };
        let conn = link.conn;
        if !link.ready {
            link.ready = true;
            let class = link.class();
            if let Some(conn) = self.conns.get_mut(conn) {
                conn.ready.push(key, class);
            }
        }
        self.touch(conn);
    }

    /// What stands behind an engine's link.
    pub(super) fn slot(&self, conn: ConnKey, link: amqp_proto::LinkKey) -> Option<LinkSlot> {
        self.conns.get(conn).and_then(|conn| conn.slot(link))
    }

    /// The name of one of this shard's links that every shard understands.
    pub(super) fn out_key(&self, link: Key) -> OutLinkKey {
        OutLinkKey {
            shard: self.id,
            link,
        }
    }

    /// What time it is, and whether this shard has slept.
    pub(super) fn note_time(&mut self, now: Time) {
        if now > self.clock.noted {
            self.note_sleep(now);
            self.clock.note(now);
            let awake = self.clock.awake(now).as_nanos();
            self.second = u32::try_from(awake / 1_000_000_000).unwrap_or(u32::MAX);
        }
    }

    /// How many seconds ago, of those in which the shard was awake, another was.
    pub(super) fn since(&self, second: u32) -> u64 {
        u64::from(self.second.saturating_sub(second))
    }
}
