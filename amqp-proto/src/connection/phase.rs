//! The phases of a connection (amqp-1.0 §2.2, §2.4, §5.3).
//!
//! Owns `Phase` and its transitions; never writes a frame.
//!
//! ```text
//! acceptor   AwaitHeader ─┬──────────────────────────────────────────► HeaderExchanged
//!           (Offering ─►)─┴─► AwaitInit ─► AwaitInnerHeader ──────────►┘
//!                               └─► Judging ─────►┘
//!                                   │    ▲ └─► Closed
//!                            AwaitResponse ◄┘
//! initiator  Start ─┬─────────────────────────────────────────────────► AwaitAmqpHeader
//!                   └─► AwaitSaslHeader ─► AwaitMechanisms ─► AwaitOutcome ──►┘
//!                                     └─► Choosing ─► AwaitTurn ─► Checking ─►┘
//!                                                  Answering ▲▼
//!
//!   HeaderExchanged ─ OpenIn ──► OpenReceived ─ OpenOut ─► Opened
//!         └────────── OpenOut ─► OpenSent ───── OpenIn ──►┘
//!                                (AwaitAmqpHeader leads here: header and Open go out together)
//!   Opened ─ CloseOut ─► CloseSent ──── CloseIn ──► Closed
//!      └──── CloseIn ──► CloseReceived ─ CloseOut ─►┘
//! ```
//!
//! Decision: the security layer is phases of the same machine. A performative that arrives in one
//! of them has no arm to land in, so authentication cannot be skipped by mixing layers. In
//! `Offering`, `Judging`, `Choosing`, `Answering` and `Checking` the owner has the word, and
//! nothing is read.

/// The mechanism of an exchange in which none was chosen yet, for the log.
pub(super) const NO_MECHANISM: &str = "none";

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Acceptor: nothing heard yet.
    AwaitHeader,
    /// Acceptor: the owner is to say which mechanisms are offered.
    Offering,
    /// Acceptor: mechanisms offered.
    AwaitInit,
    /// Acceptor: the owner looks at what the client said.
    Judging,
    /// Acceptor: the client is to answer a challenge.
    AwaitResponse,
    /// Acceptor: the security layer is done.
    AwaitInnerHeader,
    /// Initiator: `start` was not called yet.
    Start,
    /// Initiator: SASL header sent.
    AwaitSaslHeader,
    /// Initiator: the mechanisms are to come.
    AwaitMechanisms,
    /// Initiator: sasl-init sent, and the outcome is all that can follow.
    AwaitOutcome,
    /// Initiator: the owner chooses a mechanism.
    Choosing,
    /// Initiator: a challenge or the outcome is to come.
    AwaitTurn,
    /// Initiator: the owner has a challenge to answer.
    Answering,
    /// Initiator: the owner looks at how the server proved itself.
    Checking,
    /// Initiator: AMQP header and Open sent.
    AwaitAmqpHeader,
    /// Both headers are through; no Open in either direction.
    HeaderExchanged,
    /// Only ours.
    OpenSent,
    /// Only the peer's.
    OpenReceived,
    /// Both.
    Opened,
    /// We closed; everything is ignored until the peer answers.
    CloseSent,
    /// The peer closed; we have not answered.
    CloseReceived,
    /// It is over.
    Closed,
}

/// What can happen to a connection above the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PhaseStep {
    OpenIn,
    OpenOut,
    CloseIn,
    CloseOut,
}

impl Phase {
    /// Whether the owner has the word in the security layer.
    pub(super) const fn asks_owner(self) -> bool {
        matches!(
            self,
            Self::Offering | Self::Judging | Self::Choosing | Self::Answering | Self::Checking
        )
    }

    /// The phase after a step, or `None` if the step does not fit.
    pub(super) const fn after(self, step: PhaseStep) -> Option<Self> {
        use PhaseStep::{CloseIn, CloseOut, OpenIn, OpenOut};
        match (self, step) {
            (Self::HeaderExchanged, OpenIn) => Some(Self::OpenReceived),
            (Self::HeaderExchanged, OpenOut) => Some(Self::OpenSent),
            (Self::OpenSent, OpenIn) | (Self::OpenReceived, OpenOut) => Some(Self::Opened),
            (Self::OpenSent | Self::Opened, CloseIn) => Some(Self::CloseReceived),
            (Self::OpenSent | Self::Opened, CloseOut) => Some(Self::CloseSent),
            // The answer to an Open that we took back in the meantime.
            (Self::CloseSent, OpenIn) => Some(Self::CloseSent),
            (Self::CloseSent, CloseIn) | (Self::CloseReceived, CloseOut) => Some(Self::Closed),
            (
                Self::AwaitHeader
                | Self::Offering
                | Self::AwaitInit
                | Self::Judging
                | Self::AwaitResponse
                | Self::AwaitInnerHeader
                | Self::Start
                | Self::AwaitSaslHeader
                | Self::AwaitMechanisms
                | Self::AwaitOutcome
                | Self::Choosing
                | Self::AwaitTurn
                | Self::Answering
                | Self::Checking
                | Self::AwaitAmqpHeader
                | Self::Closed,
                _,
            )
            | (Self::HeaderExchanged, CloseIn | CloseOut)
            | (Self::OpenSent, OpenOut)
            | (Self::OpenReceived, OpenIn | CloseIn | CloseOut)
            | (Self::Opened, OpenIn | OpenOut)
            | (Self::CloseSent, OpenOut | CloseOut)
            | (Self::CloseReceived, OpenIn | OpenOut | CloseIn) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_phase_and_step() {
        use Phase::*;
        let phases = [
            HeaderExchanged,
            OpenSent,
            OpenReceived,
            Opened,
            CloseSent,
            CloseReceived,
            Closed,
        ];
        let steps = [
            PhaseStep::OpenIn,
            PhaseStep::OpenOut,
            PhaseStep::CloseIn,
            PhaseStep::CloseOut,
        ];
        let table = phases.map(|phase| steps.map(|step| phase.after(step)));
        assert_eq!(
            table,
            [
                // OpenIn, OpenOut, CloseIn, CloseOut
                [Some(OpenReceived), Some(OpenSent), None, None],
                [Some(Opened), None, Some(CloseReceived), Some(CloseSent)],
                [None, Some(Opened), None, None],
                [None, None, Some(CloseReceived), Some(CloseSent)],
                [Some(CloseSent), None, Some(Closed), None],
                [None, None, None, Some(Closed)],
                [None, None, None, None],
            ]
        );
    }

    #[test]
    fn no_amqp_step_fits_before_the_headers_are_through() {
        use Phase::*;
        let before = [
            AwaitHeader,
            Offering,
            AwaitInit,
            Judging,
            AwaitResponse,
            AwaitInnerHeader,
            Start,
            AwaitSaslHeader,
            AwaitMechanisms,
            AwaitOutcome,
            Choosing,
            AwaitTurn,
            Answering,
            Checking,
            AwaitAmqpHeader,
        ];
        for phase in before {
            for step in [
                PhaseStep::OpenIn,
                PhaseStep::OpenOut,
                PhaseStep::CloseIn,
                PhaseStep::CloseOut,
            ] {
                assert_eq!(phase.after(step), None, "{phase:?} {step:?}");
            }
        }
    }
}
