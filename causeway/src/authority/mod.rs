//! Who may come in: steps of authentication, decided on a thread that may take its time.
//!
//! Owns the users and the exchanges that are under way; never touches a socket of a shard. Workers
//! hand questions in, answers go to the shards by mail. Decision: one thread, whatever the number
//! of shards: a flood of wrong passwords takes one core at most and delays nothing but other
//! logins, and of those its own peer's first.

mod answer;
mod judge;
mod people;
mod queue;
mod relay;

use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;

use router_core::shard::SaslQuestion;

use crate::clock::Clock;
use crate::log::{Level, Log, Module};
use crate::post::Offices;
use crate::random::Random;

use self::judge::{Judge, JudgeParts};
pub(crate) use self::people::read as read_users;

/// The way to whoever decides. The thread begins with the first question, and ends with the router.
#[derive(Debug)]
pub(crate) struct Authority {
    questions: OnceLock<Option<Sender<SaslQuestion>>>,
    offices: Arc<Offices>,
    users: Option<PathBuf>,
    clock: Clock,
    log: Log,
}

impl Authority {
    /// An authority that knows the users in a file, if there is one.
    pub(crate) fn new(
        offices: Arc<Offices>,
        users: Option<PathBuf>,
        clock: Clock,
        log: Log,
    ) -> Self {
        Self {
            questions: OnceLock::new(),
            offices,
            users,
            clock,
            log,
        }
    }

    /// Hands a question in; the answer comes by mail. Without an authority nobody comes in.
    pub(crate) fn ask(&self, question: SaslQuestion) {
        let questions = self.questions.get_or_init(|| match self.start() {
            Ok(questions) => Some(questions),
            Err(error) => {
                let text = format!("Nobody can authenticate: {error}");
                self.log.line(Module::Server, Level::Critical, text);
                None
            }
        });
        let undecided = match questions {
            Some(questions) => questions.send(question).map_err(|error| error.0).err(),
            None => Some(question),
        };
        if let Some(question) = undecided {
            answer::refuse(&self.offices, &question);
        }
    }

    fn start(&self) -> std::io::Result<Sender<SaslQuestion>> {
        let (sender, questions) = mpsc::channel();
        let judge = Judge::new(JudgeParts {
            questions,
            offices: Arc::clone(&self.offices),
            users: self.users.clone(),
            random: Random::new()?,
            clock: self.clock,
            log: self.log.clone(),
        })?;
        let name = "authority".to_owned();
        thread::Builder::new()
            .name(name)
            .spawn(move || judge.run())?;
        Ok(sender)
    }
}
