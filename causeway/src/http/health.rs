//! Whether the router is alive, and whether it is ready: what is missing, by name.

use serde_json::{Value, json};

use super::facts::Facts;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// Whether its threads answer: if not, only a restart helps.
    Live,
    /// Whether it can be given work.
    Ready,
}

impl Probe {
    /// Whether it is, and the body that says so; without facts nobody has answered.
    pub(super) fn answer(self, facts: Option<&Facts>) -> (bool, Value) {
        let missing = match (self, facts) {
            (_, None) => vec!["the control thread does not answer".to_owned()],
            (Self::Live, Some(facts)) => threads(facts),
            (Self::Ready, Some(facts)) => missing(facts),
        };
        let is_fine = missing.is_empty();
        let status = match (self, is_fine) {
            (Self::Live, true) => "alive",
            (Self::Live, false) => "not alive",
            (Self::Ready, true) => "ready",
            (Self::Ready, false) => "not ready",
        };
        (is_fine, json!({ "status": status, "missing": missing }))
    }
}

fn threads(facts: &Facts) -> Vec<String> {
    let silent = (!facts.workers_answer).then(|| "a worker thread does not answer".to_owned());
    silent.into_iter().collect()
}

/// What there should be and is not.
pub(super) fn missing(facts: &Facts) -> Vec<String> {
    let mut missing = threads(facts);
    if facts.is_ending {
        missing.push("the router takes nobody new: it is about to end".to_owned());
    }
    let closed = facts.listeners.iter().filter(|(_, is_open)| !is_open);
    missing.extend(closed.map(|(name, _)| format!("listener {name} is not open")));
    for connector in &facts.connectors {
        let name = &connector.name;
        if !connector.is_open {
            missing.push(format!("connector {name} is not connected"));
        } else if let Some(router) = &connector.unreached {
            missing.push(format!("connector {name}: no way to router {router} yet"));
        }
    }
    let unheard = facts.unheard.iter();
    missing.extend(unheard.map(|id| format!("router {id} has not told its addresses yet")));
    missing
}
