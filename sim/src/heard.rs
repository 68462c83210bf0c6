//! What the sender of a delivery has heard of it.

use std::fmt::Display;
use std::time::Duration;

use amqp_codec::DeliveryState;
use amqp_proto::Time;

/// How long the router may take to learn that a consumer has gone, while shards are paused.
pub(crate) const SLACK: Duration = Duration::from_millis(3000);

/// What the sender of a delivery has heard of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// The last terminal state, and when the first came.
    pub(crate) state: Option<DeliveryState>,
    pub(crate) at: Option<Time>,
    /// How often it was told a settlement.
    pub(crate) settlements: u32,
}

impl Heard {
    /// It hears a state of `what`. Whether it is a true word is judged at rest.
    pub(crate) fn hear(
        &mut self,
        what: impl Display,
        state: Option<&DeliveryState>,
        settled: bool,
        now: Time,
    ) {
        if let Some(state) = state.filter(|state| state.is_terminal()) {
            if let Some(before) = &self.state {
                assert_eq!(before, state, "{what} has got another outcome");
            }
            self.state = Some(state.clone());
            self.at.get_or_insert(now);
        }
        self.settlements += u32::from(settled);
        assert!(self.settlements <= 1, "{what} was settled twice");
    }
}
