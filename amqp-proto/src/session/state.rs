//! One session and its states (amqp-1.0 §2.5).
//!
//! Owns `SessionState`, its transitions and `Session`; never writes a frame.
//!
//! ```text
//!                  BeginOut               EndOut               EndIn
//!   BeginReceived ─────────► Mapped ─────────────► EndSent ──────────► Ended
//!        │                  ▲   │                  ▲                     ▲
//!        │         BeginIn  │   │ EndIn            │ EndOut              │
//!        │       BeginSent ─┘   ▼                  │                     │
//!        │           └──────────│──────────────────┘                     │
//!        └─ EndIn ───────► EndReceived ─── EndOut ───────────────────────┘
//! ```
//!
//! Decision: the transition is a pure function of state and step, so a test can list every pair.

use amqp_codec::{Disposition, Role};

use crate::session::disposition::Dispositions;
use crate::session::unsettled::Unsettled;
use crate::session::window::Window;
use crate::table::Table;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SessionState {
    /// We began; the peer has not answered.
    BeginSent,
    /// The peer began; we have not answered.
    BeginReceived,
    /// Both have begun.
    Mapped,
    /// We ended; the peer has not answered, perhaps not even our Begin.
    EndSent,
    /// The peer ended; we have not answered.
    EndReceived,
    /// Both have ended.
    Ended,
}

/// What can happen to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionStep {
    BeginIn,
    BeginOut,
    EndIn,
    EndOut,
}

impl SessionState {
    /// The state after a step, or `None` if the step does not fit.
    pub(crate) const fn after(self, step: SessionStep) -> Option<Self> {
        use SessionStep::{BeginIn, BeginOut, EndIn, EndOut};
        match (self, step) {
            (Self::BeginSent, BeginIn) | (Self::BeginReceived, BeginOut) => Some(Self::Mapped),
            (Self::BeginSent | Self::Mapped, EndOut) => Some(Self::EndSent),
            (Self::BeginReceived | Self::Mapped, EndIn) => Some(Self::EndReceived),
            // The answer to a Begin that we took back in the meantime.
            (Self::EndSent, BeginIn) => Some(Self::EndSent),
            // The answer to a Begin that the peer took back in the meantime.
            (Self::EndReceived, BeginOut) => Some(Self::EndReceived),
            (Self::EndSent, EndIn) | (Self::EndReceived, EndOut) => Some(Self::Ended),
            (Self::BeginSent, BeginOut | EndIn)
            | (Self::BeginReceived, BeginIn | EndOut)
            | (Self::Mapped, BeginIn | BeginOut)
            | (Self::EndSent, BeginOut | EndOut)
            | (Self::EndReceived, BeginIn | EndIn)
            | (Self::Ended, _) => None,
        }
    }
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) state: SessionState,
    /// Our Begin has been written.
    pub(crate) begin_sent: bool,
    /// The engine ended it for a misdeed; the owner has had its last event.
    pub(crate) failed: bool,
    pub(crate) local_channel: u16,
    pub(crate) remote_channel: Option<u16>,
    /// The highest handle the peer accepts.
    pub(crate) peer_handle_max: u32,
    pub(crate) window: Window,
    /// The delivery-id the peer's next delivery must have, once it has had one.
    pub(crate) next_delivery_in: Option<u32>,
    /// The delivery-id of our next delivery.
    pub(crate) next_delivery_out: u32,
    /// The peer's handles to link slots.
    pub(crate) handles_in: Table,
    /// Our handles to link slots: every link of the session.
    pub(crate) handles_out: Table,
    /// Link slots sorted by role and name; only those whose name is taken.
    pub(crate) names: Vec<u32>,
    pub(crate) incoming: Unsettled,
    pub(crate) outgoing: Unsettled,
    pub(crate) dispositions: Dispositions,
}

impl Session {
    pub(crate) fn new(state: SessionState, session_window: u32) -> Self {
        Self {
            state,
            begin_sent: false,
            failed: false,
            local_channel: 0,
            remote_channel: None,
            peer_handle_max: u32::MAX,
            window: Window::new(session_window),
            next_delivery_in: None,
            next_delivery_out: 0,
            handles_in: Table::default(),
            handles_out: Table::default(),
            names: Vec::new(),
            incoming: Unsettled::default(),
            outgoing: Unsettled::default(),
            dispositions: Dispositions::default(),
        }
    }

    /// Takes a step that the caller knows to fit.
    pub(crate) fn step(&mut self, step: SessionStep) {
        let after = self.state.after(step);
        debug_assert!(after.is_some(), "{:?} in {:?}", step, self.state);
        self.state = after.unwrap_or(self.state);
    }

    /// At most how many unsettled deliveries a disposition of the peer is about.
    pub(crate) fn concerned(&self, disposition: &Disposition) -> u32 {
        let unsettled = match disposition.role {
            Role::Receiver => &self.outgoing,
            Role::Sender => &self.incoming,
        };
        let last = disposition.last.unwrap_or(disposition.first);
        let span = last.wrapping_sub(disposition.first).saturating_add(1);
        span.min(u32::try_from(unsettled.len()).unwrap_or(u32::MAX))
    }

    /// Whether links may be used.
    pub(crate) fn is_mapped(&self) -> bool {
        self.state == SessionState::Mapped
    }

    /// Whether nothing further can happen on its links.
    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self.state,
            SessionState::EndSent | SessionState::EndReceived | SessionState::Ended
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_state_and_step() {
        use SessionState::*;
        let states = [
            BeginSent,
            BeginReceived,
            Mapped,
            EndSent,
            EndReceived,
            Ended,
        ];
        let steps = [
            SessionStep::BeginIn,
            SessionStep::BeginOut,
            SessionStep::EndIn,
            SessionStep::EndOut,
        ];
        let table = states.map(|state| steps.map(|step| state.after(step)));
        assert_eq!(
            table,
            [
                // BeginIn, BeginOut, EndIn, EndOut
                [Some(Mapped), None, None, Some(EndSent)],
                [None, Some(Mapped), Some(EndReceived), None],
                [None, None, Some(EndReceived), Some(EndSent)],
                [Some(EndSent), None, Some(Ended), None],
                [None, Some(EndReceived), None, Some(Ended)],
                [None, None, None, None],
            ]
        );
    }
}
