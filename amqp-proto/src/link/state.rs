//! One link and its states (amqp-1.0 §2.6).
//!
//! Owns `LinkState`, its transitions and `Link`; never writes a frame.
//!
//! ```text
//!                 AttachOut                 DetachOut               DetachIn
//!   AttachReceived ───────► Attached ──────────────► DetachSent ──────────► Detached
//!        │                  ▲    │                   ▲                        ▲
//!        │        AttachIn  │    │ DetachIn          │ DetachOut              │
//!        │      AttachSent ─┘    ▼                   │                        │
//!        │          └────────────│───────────────────┘                        │
//!        └─ DetachIn ──► DetachReceived ── DetachOut ─────────────────────────┘
//! ```
//!
//! Decision: the transition is a pure function of state and step, so a test can list every pair.

use amqp_codec::{Role, Str};

use crate::link::credit::Credit;

/// Where a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LinkState {
    /// We attached; the peer has not answered.
    AttachSent,
    /// The peer attached; we have not answered.
    AttachReceived,
    /// Both have attached.
    Attached,
    /// We detached; the peer has not answered, perhaps not even our Attach.
    DetachSent,
    /// The peer detached; we have not answered.
    DetachReceived,
    /// Both have detached.
    Detached,
}

/// What can happen to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkStep {
    AttachIn,
    AttachOut,
    DetachIn,
    DetachOut,
}

impl LinkState {
    /// The state after a step, or `None` if the step does not fit.
    pub(crate) const fn after(self, step: LinkStep) -> Option<Self> {
        use LinkStep::{AttachIn, AttachOut, DetachIn, DetachOut};
        match (self, step) {
            (Self::AttachSent, AttachIn) | (Self::AttachReceived, AttachOut) => {
                Some(Self::Attached)
            }
            (Self::AttachSent | Self::Attached, DetachOut) => Some(Self::DetachSent),
            (Self::AttachReceived | Self::Attached, DetachIn) => Some(Self::DetachReceived),
            // The answer to an Attach that we took back in the meantime.
            (Self::DetachSent, AttachIn) => Some(Self::DetachSent),
            // The answer to an Attach that the peer took back in the meantime.
            (Self::DetachReceived, AttachOut) => Some(Self::DetachReceived),
            (Self::DetachSent, DetachIn) | (Self::DetachReceived, DetachOut) => {
                Some(Self::Detached)
            }
            (Self::AttachSent, AttachOut | DetachIn)
            | (Self::AttachReceived, AttachIn | DetachOut)
            | (Self::Attached, AttachIn | AttachOut)
            | (Self::DetachSent, AttachOut | DetachOut)
            | (Self::DetachReceived, AttachIn | DetachIn)
            | (Self::Detached, _) => None,
        }
    }
}

/// The delivery a link is in the middle of, or was last.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Progress {
    /// Further frames are to come.
    pub(crate) open: bool,
    /// A frame has said settled.
    pub(crate) settled: bool,
    pub(crate) delivery_id: u32,
    /// Frames so far.
    pub(crate) transfers: u32,
}

/// One link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) state: LinkState,
    /// Our role.
    pub(crate) role: Role,
    /// The owner has forgotten the link; it only waits for the peer's detach.
    pub(crate) forgotten: bool,
    /// Our Attach has been written.
    pub(crate) attach_sent: bool,
    /// The slot of the session.
    pub(crate) session: u32,
    pub(crate) local_handle: u32,
    pub(crate) remote_handle: Option<u32>,
    pub(crate) credit: Credit,
    /// Sender: where our delivery-count started.
    pub(crate) initial_delivery_count: u32,
    pub(crate) progress: Progress,
    /// Entries of this link in its session's ring.
    pub(crate) unsettled: u32,
    pub(crate) name: Str,
}

impl Link {
    /// Takes a step that the caller knows to fit.
    pub(crate) fn step(&mut self, step: LinkStep) {
        let after = self.state.after(step);
        debug_assert!(after.is_some(), "{:?} in {:?}", step, self.state);
        self.state = after.unwrap_or(self.state);
    }

    /// Whether transfers may be sent or taken.
    pub(crate) fn is_attached(&self) -> bool {
        self.state == LinkState::Attached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_state_and_step() {
        use LinkState::*;
        let states = [
            AttachSent,
            AttachReceived,
            Attached,
            DetachSent,
            DetachReceived,
            Detached,
        ];
        let steps = [
            LinkStep::AttachIn,
            LinkStep::AttachOut,
            LinkStep::DetachIn,
            LinkStep::DetachOut,
        ];
        let table = states.map(|state| steps.map(|step| state.after(step)));
        assert_eq!(
            table,
            [
                // AttachIn, AttachOut, DetachIn, DetachOut
                [Some(Attached), None, None, Some(DetachSent)],
                [None, Some(Attached), Some(DetachReceived), None],
                [None, None, Some(DetachReceived), Some(DetachSent)],
                [Some(DetachSent), None, Some(Detached), None],
                [None, Some(DetachReceived), None, Some(Detached)],
                [None, None, None, None],
            ]
        );
    }
}
