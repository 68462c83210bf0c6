//! What must hold: some of it at every turn, some when the world is at rest, some when everybody
//! has left. See `docs/testing.md` for the list.

mod held;
mod routes;
mod scene;
mod tunnels;

use amqp_codec::DeliveryState;
use router_core::counters::Counter;
use router_core::ids::ShardId;
use router_core::limits;
use router_core::route::Tally;
use router_core::shard::Census;

use crate::books::{Books, LinkBook, MessageBook};
use crate::heard::SLACK;
use crate::peer::Phase;
use crate::plan::{ADDRESSES, SERVICE};

pub(crate) use self::held::held;
pub(crate) use self::routes::{address, addresses, routes};
pub(crate) use self::scene::Scene;
pub(crate) use self::tunnels::credit_of_tunnels;

/// Bytes of the largest message and frame that a peer here makes.
const LARGEST: u64 = 2 * 1024 * 1024;

/// What may be under way to a thread beyond its bound: what each connection may add before it is no
/// longer read.
const TRANSIT_SURPLUS: u64 = 4 * LARGEST;

/// What a message's end says, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Released,
    Modified,
    Accepted,
    Rejected,
}

/// What holds at every moment: what a shard holds is within its bounds.
pub(crate) fn bounds(census: &Census) {
    let output = census.output_bytes as u64;
    assert!(
        output <= limits::OUTPUT_BYTES as u64 + LARGEST,
        "{output} bytes are queued for a connection"
    );
    assert!(
        census.lane_bytes <= limits::LANE_BYTES + LARGEST,
        "{} bytes of settled deliveries are in a lane",
        census.lane_bytes
    );
    assert!(
        census.transit <= limits::TRANSIT_BYTES + TRANSIT_SURPLUS,
        "{} bytes are under way to a thread without a window",
        census.transit
    );
    assert_eq!(census.window_excess, 0, "a pipe's window was exceeded");
    assert_eq!(census.drift, 0, "an account is wrong");
}

/// Connections between routers end when they are cut or silent, never because of what was said.
pub(crate) fn edge_failed(condition: &str, description: &str) {
    let idle = condition == "amqp:resource-limit-exceeded";
    // Under TLS it says that there was no farewell, too.
    let cut = description.starts_with("connection aborted");
    let slow = description == "Timeout waiting for initial handshake";
    assert!(
        idle || cut || slow,
        "between routers: {condition} {description}"
    );
}

/// What holds at rest: every message has its outcome, and the one that its consumers gave.
pub(crate) fn at_rest(scene: &Scene<'_>) {
    let books = scene.books;
    for (number, message) in books.messages.iter().enumerate() {
        let producer = &books.links[message.link];
        let multicast = is_multicast(scene, message);
        copies(books, number, message, multicast);
        if producer.ending.is_some() || message.aborted || message.early || message.settled {
            continue;
        }
        assert!(
            message.whole.is_some(),
            "message {number} was never finished"
        );
        assert_eq!(
            message.heard.settlements, 1,
            "message {number} has no settled outcome"
        );
        let Some(told) = message.heard.state.as_ref().and_then(verdict) else {
            panic!("message {number} has no outcome");
        };
        if multicast {
            copies_outcome(books, number, message, told);
        } else {
            outcome(books, number, message, told);
        }
    }
    tallies(scene);
    tunnels::at_rest(scene);
}

/// Messages for all that were cut because others waited behind them that they waited for.
pub(crate) fn crossings(scene: &Scene<'_>) -> u64 {
    let is_cut = |message: &&MessageBook| {
        let told = message.heard.state.as_ref().and_then(verdict);
        let is_alone = !scene.plan.is_mesh() && is_multicast(scene, message);
        is_alone && told == Some(Verdict::Modified) && scene.books.crossed(message)
    };
    scene.books.messages.iter().filter(is_cut).count() as u64
}

fn is_multicast(scene: &Scene<'_>, message: &MessageBook) -> bool {
    let place = ADDRESSES
        .iter()
        .position(|&address| address == &*message.address);
    place.is_some_and(|place| scene.plan.treatments[place].is_multicast())
}

/// Who got a message: at most one consumer, or each at most once.
fn copies(books: &Books, number: usize, message: &MessageBook, multicast: bool) {
    if message.aborted || message.whole.is_none() {
        assert!(
            message.receipts.is_empty(),
            "message {number} was never sent whole and arrived whole"
        );
    }
    if !multicast {
        let copies = message.receipts.len() + message.parts.len();
        assert!(copies <= 1, "message {number} went to {copies} consumers");
    }
    for &receipt in &message.receipts {
        let receipt = &books.receipts[receipt];
        let link = &books.links[receipt.link];
        assert!(
            link.ending.is_some() || receipt.concluded || receipt.withdrawn,
            "message {number} is not settled by its consumer"
        );
    }
}

/// What a producer was told of a message that goes to one consumer.
fn outcome(books: &Books, number: usize, message: &MessageBook, told: Verdict) {
    let until = message.heard.at.unwrap_or(message.begun);
    let troubled = books.was_troubled(message.begun, until);
    let Some(&receipt) = message.receipts.first() else {
        match told {
            Verdict::Rejected => panic!(
                "message {number} was rejected by nobody: {:?}",
                message.heard.state
            ),
            Verdict::Released => never_taken(books, number, message),
            Verdict::Modified => assert!(
                troubled
                    || books.somebody_left(&message.address, message.begun, until)
                    || books.gave_way(message),
                "message {number} was modified by nobody"
            ),
            Verdict::Accepted => assert!(
                settling_consumer_left(books, message),
                "message {number} was accepted by nobody"
            ),
        }
        return;
    };
    let receipt = &books.receipts[receipt];
    let link = &books.links[receipt.link];
    let gave = match &receipt.gave {
        _ if receipt.settled => Some(Verdict::Accepted),
        Some(state) => verdict(state),
        None => None,
    };
    let left = link.ending.is_some() && !receipt.settled;
    // Its way back was lost.
    let lost = told == Verdict::Modified && (left || troubled);
    assert!(
        gave == Some(told) || lost,
        "message {number}: {told:?} told, {gave:?} given"
    );
}

/// A message that nobody got was released: then nobody was there all the time.
fn never_taken(books: &Books, number: usize, message: &MessageBook) {
    let until = message.heard.at.unwrap_or(message.begun);
    // At another router, that is: what has gone there does not come back.
    let moves = books.somebody_left(&message.address, message.begun, until)
        || books.somebody_came(&message.address, message.begun, until);
    let left = books.map.ids.len() > 1 && moves;
    // One that is not whole when its consumer leaves is not chosen again.
    let whole = message.whole.map_or(until, |whole| whole + SLACK);
    let parted = message.stream && books.somebody_left(&message.address, message.begun, whole);
    if parted || left || books.was_troubled(message.begun, until) || books.gave_way(message) {
        return;
    }
    let steady = books.links.iter().find(|link| {
        was_known(books, link, message) && link.ending.is_none_or(|ending| ending > until)
    });
    assert!(
        steady.is_none(),
        "message {number} was released while {steady:?} was there"
    );
}

/// Whether a link is a consumer's of whom the routers knew when the message came: its own at once,
/// the others when they had heard all the news.
fn was_known(books: &Books, link: &LinkBook, message: &MessageBook) -> bool {
    let begun = message.begun;
    let heard = || !books.somebody_came(&message.address, begun, begun);
    !link.sends
        && link.address == message.address
        && link.up.is_some_and(|up| up < begun)
        && (link.node == books.links[message.link].node || heard())
}

fn settling_consumer_left(books: &Books, message: &MessageBook) -> bool {
    books.links.iter().any(|link| {
        link.settles
            && link.address == message.address
            && link.ending.is_some()
            && link.ended.is_none_or(|ended| ended >= message.begun)
    })
}

/// What a producer was told of a message that goes to all consumers: rejected before accepted
/// before modified before released.
fn copies_outcome(books: &Books, number: usize, message: &MessageBook, told: Verdict) {
    let mut given = Vec::new();
    let mut sure = Vec::new();
    for &receipt in &message.receipts {
        let receipt = &books.receipts[receipt];
        let gave = match &receipt.gave {
            _ if receipt.settled => Some(Verdict::Accepted),
            Some(state) => verdict(state),
            None => None,
        };
        given.extend(gave);
        if books.links[receipt.link].ending.is_none() {
            sure.extend(gave);
        }
    }
    let until = message.heard.at.unwrap_or(message.begun);
    let troubled = books.was_troubled(message.begun, until);
    let left = troubled || books.somebody_left(&message.address, message.begun, until);
    let explained = given.contains(&told)
        || match told {
            Verdict::Rejected => false,
            Verdict::Accepted => settling_consumer_left(books, message),
            Verdict::Modified => left || books.gave_way(message) || books.crossed(message),
            Verdict::Released => given.is_empty(),
        };
    assert!(
        explained,
        "message {number}: {told:?} told, {given:?} given"
    );
    if let Some(&most) = sure.iter().max()
        && !troubled
    {
        assert!(
            told >= most,
            "message {number}: {told:?} told, {most:?} given for sure"
        );
    }
}

fn verdict(state: &DeliveryState) -> Option<Verdict> {
    match state {
        DeliveryState::Released => Some(Verdict::Released),
        DeliveryState::Modified(_) => Some(Verdict::Modified),
        DeliveryState::Accepted => Some(Verdict::Accepted),
        DeliveryState::Rejected(_) => Some(Verdict::Rejected),
        _ => None,
    }
}

/// At rest no consumer has anything to do.
fn tallies(scene: &Scene<'_>) {
    for node in scene.nodes {
        let table = node.control.table();
        let mut tally = Tally::new(table.boards(), ShardId(0));
        for route in table.iter() {
            let consumers = route.consumers.iter().map(|consumer| consumer.slot);
            let routers = route.routers.iter().map(|router| router.slot);
            for slot in consumers.chain(routers) {
                // Modulo all numbers a cell can hold: the sum itself.
                let load = tally.turn(slot, 1 << 32);
                assert_eq!(load, 0, "a tally of {} at rest", route.key);
            }
        }
    }
}

/// Messages of producers that came when the world was at rest: each reached whom it should.
pub(crate) fn fresh(scene: &Scene<'_>, first: usize) {
    let books = scene.books;
    for (number, message) in books.messages.iter().enumerate().skip(first) {
        if !is_fresh(scene, message) {
            continue;
        }
        let consumers = books.links.iter().enumerate();
        let consumers =
            consumers.filter(|(_, link)| was_known(books, link, message) && link.ending.is_none());
        let copies = message.receipts.len();
        if is_multicast(scene, message) {
            for (link, _) in consumers {
                let got = message
                    .receipts
                    .iter()
                    .any(|&receipt| books.receipts[receipt].link == link);
                assert!(got, "message {number} did not reach link {link}");
            }
        } else if !books.somebody_left(&message.address, message.begun, scene.now) {
            assert_eq!(copies, 1, "message {number} reached nobody");
        }
    }
}

fn is_fresh(scene: &Scene<'_>, message: &MessageBook) -> bool {
    let peer = scene.books.links[message.link].peer;
    peer + ADDRESSES.len() >= scene.peers.len() && &*message.address != SERVICE
}

/// What the router has counted is what the peers have seen.
pub(crate) fn counters(scene: &Scene<'_>) {
    let books = scene.books;
    let total = |counter| total(scene, counter);
    let crashed = scene.nodes.iter().any(|node| node.life > 0);
    let egress = total(Counter::DeliveriesEgress);
    assert!(
        crashed || egress >= books.delivered,
        "{egress} counted, {} delivered",
        books.delivered
    );
    if !scene.plan.is_calm() || scene.losses || crashed {
        return;
    }
    if scene.plan.is_mesh() {
        let sent = books.messages.len() as u64;
        assert_eq!(total(Counter::DeliveriesIngress), sent, "ingress");
        assert_eq!(egress, books.delivered, "egress");
        return;
    }
    let messages = &books.messages;
    let count = |wanted: &dyn Fn(&&MessageBook) -> bool| messages.iter().filter(wanted).count();
    let ended = |wanted: Verdict| {
        let told =
            |message: &&MessageBook| message.heard.state.as_ref().and_then(verdict) == Some(wanted);
        count(&told) as u64
    };
    let figures = [
        (Counter::DeliveriesIngress, messages.len() as u64),
        (Counter::DeliveriesEgress, books.delivered),
        (Counter::AcceptedDeliveries, ended(Verdict::Accepted)),
        (Counter::RejectedDeliveries, ended(Verdict::Rejected)),
        (Counter::ReleasedDeliveries, ended(Verdict::Released)),
        (Counter::ModifiedDeliveries, ended(Verdict::Modified)),
    ];
    for (counter, seen) in figures {
        assert_eq!(total(counter), seen, "{counter:?}");
    }
    let settled = count(&|message| message.settled && !is_multicast(scene, message)) as u64;
    let arrived = messages
        .iter()
        .filter(|message| message.settled && !is_multicast(scene, message))
        .map(|message| message.receipts.len() as u64)
        .sum::<u64>();
    let multicast = scene.plan.treatments.iter().any(|it| it.is_multicast());
    if !multicast {
        let dropped = total(Counter::DroppedPresettledDeliveries);
        assert_eq!(settled, arrived + dropped, "settled messages are lost");
    }
    assert_eq!(
        total(Counter::Links),
        books.links.len() as u64,
        "links that exist"
    );
}

fn total(scene: &Scene<'_>, counter: Counter) -> u64 {
    let nodes = scene.nodes.iter();
    nodes.map(|node| node.counters.total(counter)).sum()
}

/// Nothing is left of peers that have gone.
pub(crate) fn empty(scene: &Scene<'_>) {
    for peer in scene.peers {
        assert_eq!(peer.phase, Phase::Gone);
    }
    for counter in [Counter::Connections, Counter::Links] {
        let left = total(scene, counter);
        assert_eq!(left, 0, "{counter:?} when all have gone");
    }
    for (place, node) in scene.nodes.iter().enumerate() {
        let rows = node.control.addresses();
        assert_eq!(
            rows.len(),
            3 + tunnels::configured(scene, place),
            "more is left than the router's own: {rows:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use amqp_proto::Time;

    use super::*;
    use crate::books::tests::{line, send};

    const NOW: Time = Time::from_millis(5000);

    /// A message of which the producer was told something, which a consumer at another router got
    /// and accepted, or did not get.
    fn told(got: bool, told: Verdict, trouble: bool) {
        let mut books = line();
        if trouble {
            books.trouble(Time::ZERO);
        }
        let bytes = send(&mut books, NOW);
        if got {
            let receipt = books.receive(2, &bytes, false, NOW);
            books.gave(receipt, Some(&DeliveryState::Accepted), true);
        }
        books.messages[0].heard.at = Some(NOW);
        let message = books.messages[0].clone();
        outcome(&books, 0, &message, told);
        copies_outcome(&books, 0, &message, told);
    }

    #[test]
    fn what_the_consumer_said_is_fine_and_in_trouble_modified_too() {
        told(true, Verdict::Accepted, false);
        told(true, Verdict::Modified, true);
        told(false, Verdict::Released, true);
        told(false, Verdict::Modified, true);
    }

    #[test]
    #[should_panic(expected = "was modified by nobody")]
    fn a_modified_message_needs_a_reason() {
        told(false, Verdict::Modified, false);
    }

    #[test]
    #[should_panic(expected = "was released while")]
    fn a_released_message_needs_a_reason() {
        told(false, Verdict::Released, false);
    }

    #[test]
    #[should_panic(expected = "was accepted by nobody")]
    fn trouble_accepts_nothing() {
        told(false, Verdict::Accepted, true);
    }

    #[test]
    #[should_panic(expected = "Released told, Some(Accepted) given")]
    fn trouble_does_not_release_what_was_delivered() {
        told(true, Verdict::Released, true);
    }

    #[test]
    #[should_panic(expected = "was rejected by nobody")]
    fn trouble_rejects_nothing() {
        told(false, Verdict::Rejected, true);
    }
}
