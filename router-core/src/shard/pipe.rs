//! Credit inside the box: how many unsettled deliveries a shard may have on their way to one
//! consumer's link. Both ends keep absolute serial numbers, as AMQP links do (amqp-1.0 §2.6.7), so
//! a lost or merged update cannot make them disagree. Settled deliveries pass without a window: the
//! lane drops them by its own rule.

use crate::ids::ShardId;

/// The sending end, at the shard that receives from producers.
#[derive(Clone, Copy, Debug)]
pub(super) struct PipeTx {
    sent: u32,
    limit: u32,
    /// The link is gone.
    gone: bool,
}

impl PipeTx {
    /// A pipe to a link whose `linkCapacity` is `depth`: the route is the first grant.
    pub(super) fn new(depth: u32) -> Self {
        Self {
            sent: 0,
            limit: depth,
            gone: false,
        }
    }

    /// Whether one more delivery may go.
    pub(super) fn is_open(self) -> bool {
        is_before(self.sent, self.limit)
    }

    /// One delivery goes.
    pub(super) fn send(&mut self) {
        self.sent = self.sent.wrapping_add(1);
    }

    /// The link is gone: nothing more may go.
    pub(super) fn close(&mut self) {
        self.limit = self.sent;
        self.gone = true;
    }

    /// Whether the link is gone.
    pub(super) fn is_gone(self) -> bool {
        self.gone
    }

    /// How many deliveries have gone that have not left their lane.
    #[cfg(test)]
    pub(super) fn sent_since(self, end: PipeRx) -> u32 {
        self.sent.wrapping_sub(end.drained)
    }

    /// Takes a new limit; an older one is ignored. True if the pipe has opened by it.
    pub(super) fn raise(&mut self, limit: u32) -> bool {
        let was_open = self.is_open();
        if !self.gone && is_before(self.limit, limit) {
            self.limit = limit;
        }
        !was_open && self.is_open()
    }
}

/// The receiving end, at the shard that owns the link.
#[derive(Clone, Copy, Debug)]
pub(super) struct PipeRx {
    /// Whose deliveries they are.
    pub(super) from: ShardId,
    depth: u32,
    drained: u32,
    granted: u32,
    /// The other end is to hear of a new limit, at the end of the turn.
    due: bool,
    /// The highest limit ever told: a drain's is higher than those after it.
    ceiling: u32,
}

impl PipeRx {
    /// The pipe from a shard to a link whose `linkCapacity` is `depth`.
    pub(super) fn new(from: ShardId, depth: u32) -> Self {
        Self {
            from,
            depth,
            drained: 0,
            granted: depth,
            due: false,
            ceiling: depth,
        }
    }

    /// One delivery has left the lane. True when the other end ought to hear of it, once until it
    /// does.
    pub(super) fn drain(&mut self) -> bool {
        self.drained = self.drained.wrapping_add(1);
        let news = self
            .drained
            .wrapping_add(self.depth)
            .wrapping_sub(self.granted);
        news >= (self.depth / 2).max(1) && !std::mem::replace(&mut self.due, true)
    }

    /// How many deliveries may be in the lane or on their way to it.
    pub(super) fn window(self) -> u32 {
        self.ceiling.wrapping_sub(self.drained)
    }

    /// The limit to tell the other end; from now on it counts as told.
    pub(super) fn grant(&mut self, extra: u32) -> u32 {
        self.due = false;
        self.granted = self.drained.wrapping_add(self.depth).wrapping_add(extra);
        if is_before(self.ceiling, self.granted) {
            self.ceiling = self.granted;
        }
        self.granted
    }
}

/// Serial number comparison (RFC 1982): `a` comes before `b`.
fn is_before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_closes_at_its_depth_and_opens_when_half_has_drained() {
        let mut tx = PipeTx::new(4);
        let mut rx = PipeRx::new(ShardId(0), 4);
        for _ in 0..4 {
            assert!(tx.is_open());
            tx.send();
        }
        assert!(!tx.is_open());
        assert!(!rx.drain());
        assert!(rx.drain());
        assert!(tx.raise(rx.grant(0)));
        tx.send();
        tx.send();
        assert!(!tx.is_open());
    }

    #[test]
    fn a_depth_of_one_tells_each_time() {
        let mut rx = PipeRx::new(ShardId(0), 1);
        let mut tx = PipeTx::new(1);
        for _ in 0..10 {
            assert!(tx.is_open());
            tx.send();
            assert!(!tx.is_open());
            assert!(rx.drain());
            tx.raise(rx.grant(0));
        }
    }

    #[test]
    fn an_older_limit_changes_nothing() {
        let mut tx = PipeTx::new(2);
        tx.send();
        tx.send();
        assert!(!tx.raise(1));
        assert!(!tx.is_open());
    }

    #[test]
    fn serial_numbers_wrap() {
        let mut tx = PipeTx {
            sent: u32::MAX,
            limit: u32::MAX,
            gone: false,
        };
        assert!(!tx.is_open());
        assert!(tx.raise(3));
        for _ in 0..4 {
            assert!(tx.is_open());
            tx.send();
        }
        assert!(!tx.is_open());
    }
    #[test]
    fn a_pipe_to_a_link_that_is_gone_stays_shut() {
        let mut tx = PipeTx::new(4);
        tx.close();
        assert!(tx.is_gone());
        assert!(!tx.raise(8));
        assert!(!tx.is_open());
    }

    #[test]
    fn the_other_end_hears_of_a_limit_once() {
        let mut rx = PipeRx::new(ShardId(0), 4);
        let told: Vec<bool> = (0..4).map(|_| rx.drain()).collect();
        assert_eq!(told, [false, true, false, false]);
        assert_eq!(rx.grant(0), 8);
        assert!(!rx.drain());
        assert!(rx.drain());
    }
}
