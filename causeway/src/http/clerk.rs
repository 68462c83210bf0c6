//! Questions of the HTTP thread: asked of the shards as management's are, answered when all shards
//! have answered or their time is up.

use std::sync::Arc;

use router_core::control::{ControlPlane, QueryId};
use router_core::inspect::Subject;

use super::facts::{Detail, Facts, Scope, Totals, connectors};
use crate::host::Process;
use crate::post::Intake;

/// What is at hand beside the control plane.
pub(crate) struct Around<'a> {
    pub(crate) process: &'a Process,
    pub(crate) workers: &'a [Arc<Intake>],
    /// Deliveries in flight.
    pub(crate) in_flight: usize,
    pub(crate) is_ending: bool,
}

/// The questions that are open.
#[derive(Debug, Default)]
pub(crate) struct Clerk {
    open: Vec<Open>,
    done: Vec<Facts>,
}

#[derive(Debug)]
struct Open {
    scope: Scope,
    waiting: Vec<QueryId>,
    workers_answer: bool,
    detail: Detail,
}

impl Clerk {
    /// Takes a question; of each scope one is open at a time.
    pub(crate) fn ask(&mut self, scope: Scope, plane: &mut ControlPlane) {
        if self.open.iter().any(|open| open.scope == scope) {
            return;
        }
        let mut subjects = Vec::new();
        if scope.addresses {
            subjects.push(Subject::Addresses);
        }
        if scope.connections {
            subjects.push(Subject::Connections);
        }
        if scope.addresses || scope.connections {
            subjects.push(Subject::Links);
        } else {
            subjects.push(Subject::Presence);
        }
        let waiting = subjects.into_iter().map(|what| plane.ask(what));
        self.open.push(Open {
            scope,
            waiting: waiting.collect(),
            workers_answer: true,
            detail: Detail::default(),
        });
    }

    /// Takes what the shards have answered.
    pub(crate) fn turn(&mut self, plane: &mut ControlPlane, around: &Around<'_>) {
        for open in &mut self.open {
            while let Some(gathered) = plane.poll_gathered_of(&open.waiting) {
                open.waiting.retain(|id| *id != gathered.id);
                open.workers_answer &= open.detail.take(gathered);
            }
        }
        while let Some(at) = self.open.iter().position(|open| open.waiting.is_empty()) {
            let open = self.open.swap_remove(at);
            self.done.push(facts(open, plane, around));
        }
    }

    /// The answers that are there.
    pub(crate) fn answers(&mut self) -> impl Iterator<Item = Facts> {
        self.done.drain(..)
    }
}

fn facts(open: Open, plane: &ControlPlane, around: &Around<'_>) -> Facts {
    let Open {
        scope,
        workers_answer,
        mut detail,
        ..
    } = open;
    if scope.addresses {
        detail.add_addresses(plane);
    }
    let settings = plane.settings();
    let listeners = plane.listener_states();
    let workers = || around.workers.iter().map(|worker| worker.load());
    Facts {
        scope,
        id: Arc::clone(&settings.id),
        mode: settings.mode.name(),
        version: settings.version,
        workers_answer,
        is_ending: around.is_ending,
        totals: Totals::of(plane),
        listeners: listeners
            .map(|(listen, is_open)| (listen.settings.name.clone(), is_open))
            .collect(),
        connectors: connectors(plane),
        unheard: plane.unheard_routers(),
        profiles: around.process.profiles().expiries(),
        worker_busy: workers().map(|load| load.busy()).collect(),
        in_flight: around.in_flight,
        latencies: plane.counters().latencies(),
        rows: detail,
    }
}
