//! Every bound by its name: what a peer can make the router hold, wait for or do at once.
//!
//! Owns numbers only. Decision: bounds are constants here unless the configuration sets them;
//! then the constant is the default. Windows bound memory, and receipts what has none, so mailboxes
//! need no bound of their own.
//!
//! # The sum
//!
//! What one connection can make its shard hold, with the defaults:
//!
//! ```text
//!   one frame and TLS record in the making       16 KiB + 18 KiB
//! + the first ROOMY_SESSIONS sessions             × SESSION_WINDOW_FRAMES × 16 KiB
//!   (between routers ROOMY_SESSIONS_BETWEEN_ROUTERS)
//! + further sessions, SESSIONS_PER_CONNECTION     × CROWDED_WINDOW_FRAMES × 16 KiB
//! + deliveries it sent, LINK_BYTES a link         ≤ CONNECTION_BYTES, twice that where consumers
//!                                                 wait for a stream that shares its session
//! + where they wait for one that does not         ≤ LINK_BYTES and a window, a session
//! + a message of the routing protocol             ≤ MESH_MESSAGE_BYTES, between routers
//! + settled deliveries and copies for it, LANE_BYTES a link   ≤ CONNECTION_LANE_BYTES
//! + names and addresses of links, some copies    2 × ATTACH_BYTES
//! + stalled streams                              STALL_ALLOWANCE a session
//! + send queue, plain and sealed                 ≤ 2 × OUTPUT_BYTES, 64 KiB each as a rule
//! ```
//!
//! What an unsettled delivery leaves when it is sent, half a kilobyte at either end, is bounded by
//! `linkCapacity` on a client's link, between routers by `ROUTER_LINK_UNSETTLED` on each.
//!
//! Unsettled deliveries in lanes are on the account of the links they came in by. Each shard adds
//! what is under way to each other thread, `TRANSIT_BYTES` and a frame more for each connection;
//! its receive window, `RECEIVE_WINDOW_BUSY` and two blocks of `READ_BYTES_PER_TURN`; and its pipe
//! to the management agent, which holds at most `IN_PROCESS_BYTES` of each shard.

use std::time::Duration;

/// Bytes of a multi-frame delivery after which it is routed before it is whole.
pub const STREAM_THRESHOLD: usize = 128 * 1024;

/// Bytes of a multi-frame delivery after which it is routed, whole or not, by what has come of the
/// sections that say where it goes.
pub const OPENING_BYTES: u64 = 1024 * 1024;

/// Bytes of a streamed delivery that may have come in and not yet left the box.
pub const STREAM_WINDOW: u64 = 256 * 1024;

/// Bytes of stalled streams that do not yet hold back their session, but for those of the only link
/// that sends by it.
pub const STALL_ALLOWANCE: u64 = 16 * 1024 * 1024;

/// Bytes by which a stream must have drained before its session gets window back.
pub const WITHHELD_STEP: u64 = 1024 * 1024;

/// Bytes of a producer's link that are here beyond which it gets no credit.
pub const LINK_BYTES: u64 = 8 * 1024 * 1024;

/// Unsettled deliveries of a link between routers beyond which it gets no credit, wherever their
/// messages are. Its credit is not tied to settlement below that, or routers could wait for each
/// other for ever.
pub const ROUTER_LINK_UNSETTLED: u32 = 1 << 17;

/// What a delivery that waits counts besides its message, in bytes: what keeps it.
pub const DELIVERY_OVERHEAD: u64 = 512;

/// Bytes of an unsettled delivery of a client from which on it ceases to count against its
/// producer's link when it has left the router; a smaller one does when it settles.
pub const AWAITED_BYTES: usize = 1024;

/// Bytes of settled deliveries that wait for a consumer before all but the oldest are dropped.
pub const LANE_BYTES: u64 = 6 * 1024 * 1024;

/// Bytes of settled deliveries and of copies that wait for all consumers of one connection before
/// further ones are dropped at once, or released where their producer has not settled.
pub const CONNECTION_LANE_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of settled deliveries, or of letters to the control plane, that a shard may have on their
/// way to one other thread before the connections by which they come are not read any further.
pub const TRANSIT_BYTES: u64 = 1024 * 1024;

/// Bytes of deliveries held for one connection beyond which its sessions get no window back, but
/// the one of the routing protocol and those for whose stream its consumers wait; of these, beyond
/// twice as much, only those that carry nothing else.
pub const CONNECTION_BYTES: u64 = 64 * 1024 * 1024;

/// Sessions that a connection may have at once, whatever channel numbers it may use.
pub const SESSIONS_PER_CONNECTION: usize = 1024;

/// Sessions with the full window; further ones get [`CROWDED_WINDOW_FRAMES`].
pub const ROOMY_SESSIONS: usize = 16;

/// Sessions with the full window on a connection between routers, those not counted that this
/// router has for its large messages: one for the routing protocol, one for each of ten priorities,
/// and those that the neighbour may have for its large messages.
pub const ROOMY_SESSIONS_BETWEEN_ROUTERS: usize = 11 + STREAMING_LINKS;

/// Frames that a peer may send ahead in each session after those with the full window.
pub const CROWDED_WINDOW_FRAMES: u32 = 8;

/// Links that a connection may have at once.
pub const LINKS_PER_CONNECTION: usize = 16_384;

/// Bytes of the names and addresses of all links on a connection, refused ones included; with twice
/// as many, or twice as many links, it ends.
pub const ATTACH_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of a link's name.
pub const LINK_NAME_BYTES: usize = 4096;

/// Bytes queued for a peer beyond which it is not reading what it asked for: its connection ends.
pub const OUTPUT_BYTES: usize = 1024 * 1024;

/// Bytes that a peer may send ahead in a session, where that is more than
/// [`SESSION_WINDOW_FRAMES`] of its listener's frames.
pub const SESSION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Frames that a peer may send ahead in a session, unless its listener says otherwise.
pub const SESSION_WINDOW_FRAMES: u32 = 128;

/// Credit of a producer and lane of a consumer, in deliveries, unless the listener says otherwise.
pub const LINK_CAPACITY: u32 = 250;

/// Bytes of a shard's receive window that were handed on and may be read into again.
pub const RECEIVE_WINDOW: usize = 256 * 1024;

/// The same while consumers leave more than that waiting, which is somewhat more than
/// [`LINK_BYTES`]; given back within seconds.
pub const RECEIVE_WINDOW_BUSY: usize = 9 * 1024 * 1024;

/// Bytes read from one connection before the others have their turn.
pub const READ_BYTES_PER_TURN: usize = 64 * 1024;

/// Frames handled from one connection before the others have their turn.
pub const FRAMES_PER_TURN: usize = 256;

/// States of unsettled deliveries that a connection may tell again in a second; further ones stay
/// here. A delivery's first state, its first outcome and its settlement always go on.
pub const REPEATED_STATES: u32 = 1000;

/// Batches of its own mail that a shard reads in a row: a chain of causes is four or five long.
pub const OWN_MAIL_ROUNDS: usize = 32;

/// Letters after which a batch is posted before the end of the turn.
pub const OUTBOX_POST: usize = 64;

/// Letters for which a kept vector may have room; a larger one is given back.
pub const OUTBOX_KEEP: usize = 1024;

/// Unsettled deliveries that each shard may have on their way to an in-process consumer.
pub const IN_PROCESS_DEPTH: u32 = 64;

/// Bytes of one shard's messages that may wait for all in-process consumers together.
pub const IN_PROCESS_BYTES: usize = 4 * IN_PROCESS_MESSAGE_BYTES;

/// Bytes of the largest message that an in-process consumer takes.
pub const IN_PROCESS_MESSAGE_BYTES: usize = 1024 * 1024;

/// Links that a peer may attach on one session.
pub const HANDLES_PER_SESSION: u32 = 65_536;

/// How long a closing connection may take to read what is still queued for it.
pub const CLOSE_LINGER: Duration = Duration::from_secs(2);

/// Time from the connect to the peer's Open, unless the listener says otherwise.
pub const HANDSHAKE_TIME_OUT: Duration = Duration::from_secs(10);

/// Transfer frames of one delivery.
pub const TRANSFERS_PER_DELIVERY: u32 = 262_144;

/// Bytes of a message's leading sections that its link remembers for the next one.
pub const HEAD_KEPT: usize = 512;

/// Consumers that are weighed for one balanced delivery.
pub const BALANCED_SCAN: usize = 64;

/// Choices after which the other shards' tallies are read anew.
pub const TALLY_REFRESH: u32 = 16;

/// Tokens of an address pattern.
pub const PATTERN_TOKENS: usize = 128;

/// The wait of a connector after its first failure; each further one doubles it.
pub const RETRY_LEAST: Duration = Duration::from_millis(250);

/// The longest wait of a connector.
pub const RETRY_MOST: Duration = Duration::from_secs(5);

/// How long a connection must have been open for its connector to begin anew with
/// [`RETRY_LEAST`]: a peer that opens and closes at once is not to be dialled four times a second.
pub const STABLE_AFTER: Duration = Duration::from_secs(10);

/// How long a server may take to be resolved and connected.
pub const DIAL_TIME_OUT: Duration = Duration::from_secs(10);

/// Entities of each type that management requests may add up to; a configuration file may have
/// more, and is as large as who wrote it wants the router to be.
pub const CONFIGURED_ENTITIES: usize = 4096;

/// Bytes of one attribute of a configured entity.
pub const ATTRIBUTE_BYTES: usize = 4096;

/// Bytes of the rows in one answer of management. A page of 500 links, which is what clients ask
/// for, fits whatever the links are called.
pub const ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of all rows that management keeps so that the pages of a query fit together.
pub const PAGES_BYTES: usize = 128 * 1024 * 1024;

/// Bytes of a peer's text in a notice; the rest of it is not told.
pub const NOTICE_TEXT_BYTES: usize = 512;

/// Capabilities of a terminus that a notice names; of further ones it has the number.
pub const NOTICE_CAPABILITIES: usize = 8;

/// Names of a list that a notice has; of further ones it has the number.
pub const NOTICE_NAMES: usize = 32;

/// Bytes of a section of a message that a notice keeps for the log, which shows less.
pub const NOTICE_SECTION_BYTES: u32 = 4096;

/// Servers that a peer may name to a connector, besides the configured one.
pub const FAILOVER_SERVERS: usize = 16;

/// Deliveries, and links without credit, that are older than this many seconds draw attention.
pub const OLD_SECONDS: u32 = 10;

/// Origins of web pages that a listener may list.
pub const HTTP_ORIGINS: usize = 64;

/// Bytes of a host's name, or a port's, that a peer may name: those of a DNS name.
pub const SERVER_NAME_BYTES: usize = 255;

/// Deliveries for which a link of the routing protocol has room at least, whatever its listener or
/// connector says: `linkCapacity` is about what clients produce, and what routers tell each other
/// must not be dropped for it.
pub const CONTROL_CAPACITY: u32 = 250;

/// Messages of the routing protocol that wait for a neighbour before all but the oldest are
/// dropped: what it is told of others in two seconds, and as much again of what all are told.
pub const CONTROL_LANE: u32 = 16_384;

/// Bytes of messages of the routing protocol that wait for a neighbour before all but the oldest
/// are dropped: two of the largest.
pub const CONTROL_LANE_BYTES: u64 = 2 * MESH_MESSAGE_BYTES as u64;

/// Links to one neighbour that carry large messages, each those of one sender to an address; where
/// there are more of these, they share links.
pub const STREAMING_LINKS: usize = 64;

/// Time after which a link for large messages that carries none is closed.
pub const STREAMING_IDLE: Duration = Duration::from_secs(30);

/// Time after which such a link that carries none, and of whose messages none is unsettled, may be
/// another sender's; if some came settled, [`STREAMING_IDLE`] is.
pub const STREAMING_REST: Duration = Duration::from_secs(5);

/// Time without progress after which a stream that holds up others between two routers is cut, and
/// without anything taken after which whole messages that wait for a consumer are released there.
pub const STREAM_STALLED: Duration = Duration::from_secs(10);

/// Bytes of the largest message between routers about the network: a router with a million
/// addresses lists them in one.
pub const MESH_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of a router's id.
pub const MESH_ID_BYTES: usize = 512;

/// Other routers that are remembered at once.
pub const MESH_ROUTERS: usize = 4096;

/// Routers that are known because one connection brought their names: no neighbour alone fills the
/// table.
pub const MESH_ROUTERS_PER_LINK: usize = MESH_ROUTERS / 4 * 3;

/// Routers that leave a full table at once, and how long it stays as it is after that.
pub const MESH_EVICTED: usize = 512;

/// See [`MESH_EVICTED`].
pub const MESH_EVICT_INTERVAL: Duration = Duration::from_secs(1);

/// Neighbours that one router may say it has.
pub const MESH_PEERS: usize = 2048;

/// The largest cost of a connection between routers that is believed.
pub const MESH_COST: u32 = i32::MAX as u32;

/// What a router that is about to end adds to the cost of its links: more than any way past it
/// costs that somebody has configured.
pub const MESH_LEAVING_COST: u32 = 1 << 20;

/// Bytes of the key of an address, attached here or advertised by another router.
pub const MESH_ADDRESS_BYTES: usize = 4096;

/// Bytes of the addresses that this router tells the others, in one message where they ask for all.
pub const MESH_OWN_ADDRESS_BYTES: usize = MESH_MESSAGE_BYTES / 4 * 3;

/// Bytes that an address takes in a message beside its key, at most.
pub const MESH_ADDRESS_OVERHEAD: usize = 10;

/// Addresses remembered for one other router.
pub const MESH_ADDRESSES_PER_ROUTER: usize = 1 << 20;

/// Addresses remembered for all other routers together.
pub const MESH_ADDRESSES: usize = 1 << 22;

/// Messages a second that one neighbour may have handled or passed on, and the burst it may save.
pub const MESH_MESSAGES_PER_SECOND: u64 = 20_000;

/// How long a client's link waits for the answer of the container that it is routed to.
pub const ROUTED_ATTACH_TIME_OUT: Duration = Duration::from_secs(30);

/// Ways that are chosen anew for a client's link because the one chosen before was gone by then.
pub const ROUTED_MISSES: u8 = 3;

/// How long the detach of a routed link waits for the other peer to take what came before it, and
/// to answer it; that of an auto-link by which the router receives, for its container to take the
/// outcomes before it.
pub const ROUTED_DETACH_TIME_OUT: Duration = Duration::from_secs(30);

/// Routed links of one client's connection: no client alone uses up a container's.
pub const ROUTED_LINKS_PER_CLIENT: usize = LINKS_PER_CONNECTION / 4;

/// How long an auto-link that was refused or detached waits to be attached again, the first time.
pub const AUTO_LINK_FIRST_RETRY: Duration = Duration::from_secs(2);

/// The same every other time. One that lasted as long may fail for a first time again.
pub const AUTO_LINK_RETRY: Duration = Duration::from_secs(5);

/// Sessions that the router begins on a connection for routed links, and for auto-links.
pub const ROUTING_SESSIONS: usize = 64;

/// Hellos a second from one neighbour, and the burst: one is due, and some more when it finds out
/// something new; those of a minute may come at once, from a router that says them whether they are
/// read or not, or out of the buffers of a wire that stood still.
pub const MESH_HELLOS_PER_SECOND: u64 = 100;

/// Bytes of a hello: it names all who are heard.
pub const MESH_HELLO_BYTES: usize = 2 * 1024 * 1024;

/// Connections that are gone and whose neighbours' account of misdeeds is still kept.
pub const MESH_METERS: usize = 4096;

/// Bytes a second of complete address lists that are sent when asked for, and the burst.
pub const MESH_ANSWER_BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;

/// Connections of a trunk between two routers.
pub const TRUNK_MEMBERS: u16 = 8;

/// The part of a second for which a shard must be busy before a trunk of its gets another
/// connection, in percent.
pub const TRUNK_BUSY_PERCENT: u8 = 70;

/// Frames with messages that a trunk must carry in a second for its shard's business to be its.
pub const TRUNK_BUSY_FRAMES: u32 = 256;

/// Time between two attempts to open a further connection of a trunk.
pub const TRUNK_OPEN_INTERVAL: Duration = Duration::from_secs(1);

/// How long a connection of a trunk, or a link's use of it, must be silent to be given up.
pub const TRUNK_IDLE: Duration = Duration::from_secs(30);

/// How long all shards may take to hear that a connection of a trunk is given up, and its peer to
/// give its credit back.
pub const TRUNK_LEAVE: Duration = Duration::from_secs(5);

/// How long a link's deliveries wait for those in flight to end, so that it may change to another
/// connection of a trunk.
pub const TRUNK_HOLD: Duration = Duration::from_secs(1);

/// How long the first link-state change in a row holds back the second; doubles with each more.
pub const MESH_CHANGE_HOLD: Duration = Duration::from_millis(100);

/// The longest time for which a row of link-state changes holds back the next.
pub const MESH_CHANGE_HOLD_MAX: Duration = Duration::from_secs(5);

/// How long the first computation of paths in a row holds back the second; doubles with each more.
pub const MESH_PATHS_HOLD: Duration = Duration::from_millis(20);

/// The longest time for which a row of computations of paths holds back the next: what was found is
/// what the next question to a distant router goes by, and the own paths in a network of a thousand
/// take some milliseconds.
pub const MESH_PATHS_HOLD_MAX: Duration = Duration::from_millis(100);

/// Losses of own neighbours that are told, and that have the own paths found anew, in a second
/// although other changes are held back, and the burst.
pub const MESH_LOSSES_PER_SECOND: u64 = 4;

/// Time for which a second copy of what a router says to all is taken for a copy. It says the same
/// again after four seconds at the earliest, unless it is told otherwise.
pub const MESH_COPY_TIME: Duration = Duration::from_millis(900);

/// Messages to all routers that are remembered for that time: in a network of a thousand all may
/// tell everything at once.
pub const MESH_FLOODS: usize = 16_384;

/// Time between two advertisements while ever more distant routers come to be known, which have not
/// heard the one before: it goes no further than the network is known to reach.
pub const MESH_GROWTH_INTERVAL: Duration = Duration::from_millis(500);

/// Routers of which a neighbour of our kind is told in a second, and the burst; two messages for
/// each, or one. What comes in two seconds is less than a lane for control holds.
pub const MESH_TOLD_PER_SECOND: u64 = 1500;

/// Routers of which all neighbours together are told before anything else is done, and messages
/// that may wait to be sent before they are told of more.
pub const MESH_TOLD_AT_ONCE: usize = 512;

/// Addresses of a router that its neighbours tell others in its name; who has more is asked itself.
pub const MESH_TOLD_ADDRESSES: usize = 256;

/// Bytes that they may take in a message.
pub const MESH_TOLD_ADDRESS_BYTES: usize = 16 * 1024;

/// How long a router must have been known before it can be taken to know all others.
pub const MESH_INTRODUCTION: Duration = Duration::from_secs(2);

/// Questions by one link in a second, and the burst: in a large network all would ask all when it
/// grows together, and those in the middle pass it on.
pub const MESH_QUESTIONS_PER_SECOND: u64 = 200;

/// How long a router that has just been named is given to be told of before it is asked.
pub const MESH_ASK_PATIENCE: Duration = Duration::from_millis(250);

/// Time between two questions to one router, and between two equal answers to one.
pub const MESH_ASK_INTERVAL: Duration = Duration::from_millis(200);

/// How long to wait for an answer before asking again; doubles with each try.
pub const MESH_ASK_TIME_OUT: Duration = Duration::from_millis(500);

/// The longest time between two tries to get an answer.
pub const MESH_ASK_TIME_OUT_MAX: Duration = Duration::from_secs(30);

/// Time in which changes of the addresses advertised are gathered after a batch went out.
pub const MESH_ADDRESS_HOLD: Duration = Duration::from_secs(1);

/// Steps of path computation that are taken in one go: some two milliseconds.
pub const MESH_STEPS: usize = 100_000;

/// Addresses and routers that come and go in the network and are entered in one turn: less than a
/// tenth of a second. The rest waits for further turns, each of which may have a hello to say; but
/// each copies much of the table of routes.
pub const MESH_EVENTS: usize = 32_768;

/// Of those, how many may wait before nothing more is learnt: lists of addresses that come
/// meanwhile are asked for again.
pub const MESH_BACKLOG: usize = 1 << 20;

/// Topology changes that may throw away a half-finished round of valid origins in a row.
pub const MESH_RESTARTED_ROUNDS: u32 = 4;

/// The shortest silence after which a neighbour of our kind can be taken for lost: several ticks of
/// the wheel that both ends' timers turn with.
pub const LOSS_DETECTION_LEAST: Duration = Duration::from_millis(250);

/// The longest such silence.
pub const LOSS_DETECTION_MOST: Duration = Duration::from_secs(60);

/// Signs of life in the time after which their absence is loss: one may be late.
pub const SIGNS_OF_LIFE: u32 = 4;

/// How late a shard's turn must be for the time since it was due not to count as its neighbours'
/// silence: it was this side that slept.
pub const OVERSLEPT: Duration = Duration::from_millis(100);

/// The same for the control plane and the hellos of neighbours.
pub const MESH_OVERSLEPT: Duration = Duration::from_millis(500);

/// How late a shard's turn must be for the time not to count, and nobody to be blamed for what has
/// not moved: the machine has been suspended, or the process stopped.
pub const STOOD_STILL: Duration = Duration::from_secs(2);

/// How long a neighbour that was lost twice in a row is not believed to be back; doubles with each
/// further loss.
pub const MESH_FLAP_HOLD: Duration = Duration::from_millis(500);

/// The longest time for which a neighbour that flaps is not believed to be back.
pub const MESH_FLAP_HOLD_MAX: Duration = Duration::from_secs(30);

/// Time without a loss after which the next one is the first in a row.
pub const MESH_FLAP_MEMORY: Duration = Duration::from_secs(60);

/// Neighbours whose losses are remembered.
pub const MESH_FLAPS: usize = 4096;

/// Time between two reports on misdeeds of one neighbour.
pub const MESH_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How long a router must advertise less than it once did before it is taken for a new life of
/// itself, and how long one life must be silent before one that began earlier is believed.
pub const MESH_REWIND: Duration = Duration::from_secs(8);
