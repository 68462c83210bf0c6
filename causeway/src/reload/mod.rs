//! The configuration file, read anew while the router runs.
//!
//! ```text
//!   asked ─► thread: read, compare, rehearse, look up ─► bind, then all at once ─► answered
//!                └─ errors ─────────────────────────────────┴─ errors ─────────────┘
//! ```
//!
//! What is compared is what the file says with what it said before; what management requests have
//! made is left alone. Either all of it is in force afterwards or nothing. Decision: a router that
//! is thrown away tries it first, with the very code that the start has, so that nothing is left
//! that could fail halfway.

mod commit;
mod compare;
mod in_force;
mod plan;
mod prepare;
mod rehearse;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use management::counted;
use management::schema::Entity;
use management::{Agent, Reloaded};
use mio::Waker;
use router_core::control::ControlPlane;

pub(crate) use self::commit::Site;
pub(crate) use self::in_force::InForce;
pub(crate) use self::prepare::Prepared;

use self::prepare::Task;
use self::rehearse::Model;
use crate::log::{Level, Log, Module};
use crate::orders::Asked;

/// How often preparing begins again because requests have changed something meanwhile.
const ATTEMPTS: u32 = 5;

/// A configuration that can be put in force, or everything that is wrong.
pub(crate) type Outcome = Result<Prepared, Vec<String>>;

/// The configuration that is in force, and the next one.
#[derive(Debug)]
pub(crate) struct Reloads {
    in_force: Arc<InForce>,
    /// The router, with its id.
    router: Entity,
    waker: Arc<Waker>,
    results: (Sender<Outcome>, Receiver<Outcome>),
    /// Who has asked for what is prepared now, and how often that has begun.
    under_way: Option<(Asked, u32)>,
}

impl Reloads {
    /// Nothing under way; the waker is that of the control thread's poll.
    pub(crate) fn new(in_force: InForce, router: Entity, waker: Arc<Waker>) -> Self {
        Self {
            in_force: Arc::new(in_force),
            router,
            waker,
            results: mpsc::channel(),
            under_way: None,
        }
    }

    /// Whether another may begin.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Begins to prepare.
    pub(crate) fn begin(
        &mut self,
        asked: Asked,
        agent: &mut Agent,
        plane: &mut ControlPlane,
        log: &Log,
    ) {
        let path = self.in_force.configuration.path.as_deref();
        let words = path.map_or_else(String::new, |path| path.display().to_string());
        let verb = if asked.is_check {
            "Checking"
        } else {
            "Reading"
        };
        log.line(
            Module::Agent,
            Level::Notice,
            format!("Reload: {verb} {words}"),
        );
        self.under_way = Some((asked, 0));
        self.prepare(agent, plane, log);
    }

    fn prepare(&mut self, agent: &mut Agent, plane: &mut ControlPlane, log: &Log) {
        let path = self.in_force.configuration.path.clone();
        let task = Task {
            path: path.unwrap_or_default(),
            in_force: Arc::clone(&self.in_force),
            model: Model {
                router: self.router.clone(),
                settings: Arc::clone(plane.settings()),
                configured: agent.amend().configured(plane),
            },
        };
        let (results, waker) = (self.results.0.clone(), Arc::clone(&self.waker));
        let work = move || {
            // The router goes on, and so may the next reload.
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| prepare::prepare(&task)));
            let outcome = outcome.unwrap_or_else(|_| {
                let text = "a defect of the router: preparing it has panicked, see the log";
                Err(vec![text.to_owned()])
            });
            // The router may have ended meanwhile; then nobody is waiting.
            drop(results.send(outcome));
            drop(waker.wake());
        };
        let thread = thread::Builder::new().name("reload".to_owned());
        if let Err(error) = thread.spawn(work) {
            self.conclude(
                Err(vec![format!("no thread for it: {error}")]),
                agent,
                plane,
                log,
            );
        }
    }

    /// What has been prepared, if it has.
    pub(crate) fn take(&self) -> Option<Outcome> {
        self.results.1.try_recv().ok()
    }

    /// Puts in force what has been prepared, or says why not.
    pub(crate) fn finish(&mut self, outcome: Outcome, mut site: Site<'_>) {
        let Some((asked, attempts)) = &mut self.under_way else {
            return;
        };
        let requests = site.agent.amend().requests();
        let is_outdated = |prepared: &Prepared| prepared.requests != requests;
        if outcome.as_ref().is_ok_and(is_outdated) {
            *attempts += 1;
            if *attempts < ATTEMPTS {
                self.prepare(site.agent, site.plane, site.log);
                return;
            }
        }
        let is_check = asked.is_check;
        let result = outcome.and_then(|prepared| {
            if prepared.requests != requests {
                let text = "management requests keep changing the router; try again";
                return Err(vec![text.to_owned()]);
            }
            self.apply(prepared, is_check, &mut site)
        });
        self.conclude(result, site.agent, site.plane, site.log);
    }

    fn apply(
        &mut self,
        prepared: Prepared,
        is_check: bool,
        site: &mut Site<'_>,
    ) -> Result<Reloaded, Vec<String>> {
        let warnings = prepared.configuration.warnings.iter();
        let mut reloaded = Reloaded {
            changes: prepared.differences.lines.clone(),
            warnings: warnings.map(ToString::to_string).collect(),
            is_applied: !is_check,
            failures: Vec::new(),
        };
        let reserved = commit::reserve(&prepared, &self.in_force, is_check, site)?;
        if !is_check {
            let done = commit::commit(prepared, &self.in_force, reserved, site)?;
            self.in_force = Arc::new(done.0);
            reloaded.failures = done.1;
        }
        Ok(reloaded)
    }

    /// Tells the log and whoever has asked.
    fn conclude(
        &mut self,
        result: Result<Reloaded, Vec<String>>,
        agent: &mut Agent,
        plane: &mut ControlPlane,
        log: &Log,
    ) {
        let Some((asked, _)) = self.under_way.take() else {
            return;
        };
        tell(&result, log);
        if let Some(ticket) = asked.ticket {
            agent.answer_reload(ticket, result, plane);
        }
        if let Some(done) = asked.done {
            // Whoever has asked may have given up.
            done.send(()).unwrap_or_default();
        }
    }
}

fn tell(result: &Result<Reloaded, Vec<String>>, log: &Log) {
    let line = |level, text: String| log.line(Module::Agent, level, format!("Reload: {text}"));
    match result {
        Ok(reloaded) => {
            for warning in &reloaded.warnings {
                line(Level::Warning, warning.clone());
            }
            for change in &reloaded.changes {
                line(Level::Notice, change.clone());
            }
            let count = counted(reloaded.changes.len(), "change");
            let verb = if reloaded.is_applied {
                "in force"
            } else {
                "possible"
            };
            line(Level::Notice, format!("{count} {verb}"));
            for failure in &reloaded.failures {
                line(Level::Critical, format!("{failure}; restart the router"));
            }
        }
        Err(errors) => {
            for error in errors {
                line(Level::Error, error.clone());
            }
            line(Level::Error, "nothing was changed".to_owned());
        }
    }
}
