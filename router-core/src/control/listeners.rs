//! The listeners that are configured, and which of them are not listening.
//! It never opens a socket. Decision: a listener that failed stays configured and is asked for
//! again whenever another one is added, as operators of the incumbent expect.

use std::collections::VecDeque;

use crate::control::effect::{Effect, Listen, ListenerIdentity};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asked,
    Listening,
    Failed,
}

#[derive(Debug, Default)]
pub(super) struct Listeners {
    entries: Vec<(Listen, State)>,
}

impl Listeners {
    /// Configures a listener; false if its identity is taken.
    pub(super) fn add(&mut self, listen: Listen, effects: &mut VecDeque<Effect>) -> bool {
        if self
            .entries
            .iter()
            .any(|(other, _)| other.identity == listen.identity)
        {
            return false;
        }
        self.ask_again(effects);
        effects.push_back(Effect::Listen(listen.clone()));
        self.entries.push((listen, State::Asked));
        true
    }

    /// All that are configured.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Listen> {
        self.entries.iter().map(|(listen, _)| listen)
    }

    /// All that are configured, and whether each is open.
    pub(super) fn states(&self) -> impl Iterator<Item = (&Listen, bool)> {
        let entries = self.entries.iter();
        entries.map(|(listen, state)| (listen, *state == State::Listening))
    }

    /// Asks again for those that failed.
    pub(super) fn ask_again(&mut self, effects: &mut VecDeque<Effect>) {
        for (other, state) in &mut self.entries {
            if *state == State::Failed {
                *state = State::Asked;
                effects.push_back(Effect::Listen(Listen {
                    required: false,
                    ..other.clone()
                }));
            }
        }
    }

    /// Forgets a listener; false if there is none.
    pub(super) fn remove(&mut self, identity: &str, effects: &mut VecDeque<Effect>) -> bool {
        let Some(at) = self
            .entries
            .iter()
            .position(|(listen, _)| &*listen.identity == identity)
        else {
            return false;
        };
        let (listen, state) = self.entries.remove(at);
        if state != State::Failed {
            effects.push_back(Effect::Unlisten {
                identity: listen.identity,
            });
        }
        true
    }

    /// The runtime reports on a listener.
    pub(super) fn report(&mut self, identity: &ListenerIdentity, listening: bool) {
        if let Some((_, state)) = self
            .entries
            .iter_mut()
            .find(|(listen, _)| listen.identity == *identity)
        {
            *state = if listening {
                State::Listening
            } else {
                State::Failed
            };
        }
    }
}
