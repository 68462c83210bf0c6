//! Wires: two queues of bytes with a behaviour. TCP keeps order and bytes, so what can go wrong is
//! what goes wrong with TCP: it takes time, takes little at once, delivers in pieces, stalls, goes
//! silent, is cut, or is closed at one side first.

use std::collections::VecDeque;
use std::time::Duration;

use amqp_proto::Time;
use bytes::{Buf as _, BytesMut};

use crate::random::Random;

/// How a wire behaves while nothing is done to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// From one end to the other, at least.
    pub(crate) latency: Duration,
    /// And at most so much longer.
    pub(crate) jitter_micros: u64,
    /// Bytes a millisecond.
    pub(crate) bandwidth: usize,
    /// A read yields at most so many bytes.
    pub(crate) segment: usize,
    /// Bytes that fit between writer and reader.
    pub(crate) buffer: usize,
}

/// Who is at an end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Station {
    Peer(usize),
    /// A shard of a router.
    Shard {
        node: usize,
        shard: usize,
    },
}

/// An end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The end of who has connected: a peer, or the router that dialled.
    Dialler,
    /// The end of the router that has accepted.
    Listener,
}

/// A connection's two directions.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) behaviour: Behaviour,
    /// How it behaves when nothing is done to it.
    usual: Behaviour,
    pub(crate) dialler: Station,
    pub(crate) listener: Station,
    /// From the dialler to the listener.
    pub(crate) up: Way,
    /// From the listener to the dialler.
    pub(crate) down: Way,
    /// It is a further one of a trunk: no routed link goes by it.
    pub(crate) further: bool,
    /// The next arrival that stands in the agenda.
    pub(crate) wake: Option<Time>,
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Way {
    flight: VecDeque<(Time, Vec<u8>)>,
    ready: BytesMut,
    held: usize,
    busy_until: Time,
    last: Time,
    stalled_until: Time,
    ended: bool,
    closed: bool,
}

impl Wire {
    pub(crate) fn new(behaviour: Behaviour, dialler: Station, listener: Station) -> Self {
        Self {
            behaviour,
            usual: behaviour,
            dialler,
            listener,
            up: Way::default(),
            down: Way::default(),
            further: false,
            wake: None,
        }
    }

    /// What is read at an end, what is written there, and how the wire behaves.
    pub(crate) fn ways(&mut self, side: Side) -> (&mut Way, &mut Way, &Behaviour) {
        let Self {
            behaviour,
            up,
            down,
            ..
        } = self;
        match side {
            Side::Dialler => (down, up, behaviour),
            Side::Listener => (up, down, behaviour),
        }
    }

    /// Who is at the other end than a router.
    pub(crate) fn beyond(&self, node: usize) -> Station {
        match self.listener {
            Station::Shard { node: of, .. } if of == node => self.dialler,
            other => other,
        }
    }

    /// When something arrives next, at either end.
    pub(crate) fn next_arrival(&self) -> Option<Time> {
        [self.up.next_arrival(), self.down.next_arrival()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Both ends are told that the wire is cut; what was under way is lost.
    pub(crate) fn cut(&mut self) {
        for way in [&mut self.up, &mut self.down] {
            way.close();
            way.ended = true;
            way.stalled_until = Time::ZERO;
        }
    }

    /// Nothing arrives for a while, or until the world is healed.
    pub(crate) fn stall(&mut self, until: Time) {
        for way in [&mut self.up, &mut self.down] {
            way.stalled_until = way.stalled_until.max(until);
        }
    }

    /// Whatever was done to it is over.
    pub(crate) fn heal(&mut self) {
        self.behaviour = self.usual;
        self.up.stalled_until = Time::ZERO;
        self.down.stalled_until = Time::ZERO;
    }
}

impl Way {
    /// Bytes that a writer can get rid of.
    pub(crate) fn room(&self, behaviour: &Behaviour) -> usize {
        match self.closed || self.ended {
            // A writer does not notice that nobody reads any more.
            true => usize::MAX,
            false => behaviour.buffer.saturating_sub(self.held),
        }
    }

    /// Sends bytes on their way; the caller has looked at the room.
    pub(crate) fn send(
        &mut self,
        bytes: Vec<u8>,
        behaviour: &Behaviour,
        random: &mut Random,
        now: Time,
    ) {
        if self.closed || self.ended || bytes.is_empty() {
            return;
        }
        let micros = bytes.len() as u64 * 1000 / behaviour.bandwidth.max(1) as u64;
        self.busy_until = self.busy_until.max(now) + Duration::from_micros(micros);
        let jitter = random.micros(behaviour.jitter_micros);
        self.last = self.last.max(self.busy_until + behaviour.latency + jitter);
        self.held += bytes.len();
        self.flight.push_back((self.last, bytes));
    }

    /// The writer has closed: the reader sees the end after what is under way.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The reader is gone: what arrives is thrown away.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.flight.clear();
        self.ready.clear();
        self.held = 0;
    }

    fn next_arrival(&self) -> Option<Time> {
        let news = match self.flight.front() {
            Some(&(at, _)) => at,
            // The end is under way.
            None if self.ended && self.stalled_until > Time::ZERO => Time::ZERO,
            None => return None,
        };
        Some(news.max(self.stalled_until))
    }

    /// What has arrived by now can be read.
    pub(crate) fn arrive(&mut self, now: Time) {
        if self.stalled_until > now {
            return;
        }
        self.stalled_until = Time::ZERO;
        while let Some((_, bytes)) = self.flight.pop_front_if(|(at, _)| *at <= now) {
            self.ready.extend_from_slice(&bytes);
        }
    }

    /// Bytes that can be read.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Reads so many bytes or fewer.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.ready.len());
        self.ready.copy_to_slice(&mut into[..count]);
        self.held -= count;
        count
    }

    /// Reads all that is there.
    pub(crate) fn read_all(&mut self) -> BytesMut {
        self.held -= self.ready.len();
        self.ready.split()
    }

    /// Whether the writer has closed and everything was read.
    pub(crate) fn is_over(&self) -> bool {
        let stalled = self.stalled_until > Time::ZERO;
        self.ended && !stalled && self.flight.is_empty() && self.ready.is_empty()
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.flight.is_empty() && self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Behaviour = Behaviour {
        latency: Duration::from_millis(3),
        jitter_micros: 0,
        bandwidth: 10,
        segment: 100,
        buffer: 20,
    };

    #[test]
    fn bytes_take_their_time_and_their_room() {
        let (mut way, mut random) = (Way::default(), Random::new(1));
        way.send(vec![7; 20], &PLAIN, &mut random, Time::ZERO);
        assert_eq!(way.room(&PLAIN), 0);
        assert_eq!(way.next_arrival(), Some(Time::from_millis(5)));
        way.arrive(Time::from_millis(4));
        assert_eq!(way.ready(), 0);
        way.arrive(Time::from_millis(5));
        assert_eq!(way.read(&mut [0; 15]), 15);
        assert_eq!((way.ready(), way.room(&PLAIN)), (5, 15));
    }

    #[test]
    fn a_stalled_way_delivers_when_it_is_healed_and_a_cut_one_never() {
        let (mut wire, mut random) = (
            Wire::new(PLAIN, Station::Peer(0), Station::Peer(1)),
            Random::new(1),
        );
        wire.up.send(vec![7; 10], &PLAIN, &mut random, Time::ZERO);
        wire.stall(Time::from_millis(1000));
        wire.up.arrive(Time::from_millis(100));
        assert_eq!(wire.up.ready(), 0);
        wire.heal();
        wire.up.arrive(Time::from_millis(100));
        assert_eq!(wire.up.ready(), 10);
        wire.cut();
        assert!(wire.up.is_over() && wire.down.is_over());
    }

    #[test]
    fn the_end_comes_after_the_last_byte() {
        let (mut way, mut random) = (Way::default(), Random::new(1));
        way.send(vec![7; 10], &PLAIN, &mut random, Time::ZERO);
        way.end();
        assert!(!way.is_over());
        way.arrive(Time::from_millis(9));
        assert_eq!(way.read_all().len(), 10);
        assert!(way.is_over());
    }
}
