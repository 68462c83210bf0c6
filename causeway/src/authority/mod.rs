//! Who may come in: steps of authentication, decided on a thread that may take its time.
//!
//! Owns the users and the exchanges that are under way; never touches a socket of a shard. Workers
//! hand questions in, answers go to the shards by mail. Decision: one thread, whatever the number
//! of shards: a flood of wrong passwords takes one core at most and delays nothing but other
//! logins, and of those its own peer's first.

mod answer;
mod judge;
mod parts;
mod people;
mod queue;
mod relay;
mod wire;

use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;

use router_core::shard::SaslQuestion;

use crate::log::{Level, Module};
use crate::random::Random;

use self::judge::Judge;
pub(crate) use self::parts::AuthorityParts;
pub(crate) use self::people::read as read_users;

/// The way to whoever decides. The thread begins with the first question, and ends with the router.
#[derive(Debug)]
pub(crate) struct Authority {
    questions: OnceLock<Option<Sender<SaslQuestion>>>,
    parts: AuthorityParts,
}

impl Authority {
    /// An authority whose thread has not begun.
    pub(crate) fn new(parts: AuthorityParts) -> Self {
        Self {
            questions: OnceLock::new(),
            parts,
        }
    }

    /// Hands a question in; the answer comes by mail. Without an authority nobody comes in.
    pub(crate) fn ask(&self, question: SaslQuestion) {
        let questions = self.questions.get_or_init(|| match self.start() {
            Ok(questions) => Some(questions),
            Err(error) => {
                let text = format!("Nobody can authenticate: {error}");
                self.parts.log.line(Module::Server, Level::Critical, text);
                None
            }
        });
        let undecided = match questions {
            Some(questions) => questions.send(question).map_err(|error| error.0).err(),
            None => Some(question),
        };
        if let Some(question) = undecided {
            answer::refuse(&self.parts.offices, &question);
        }
    }

    fn start(&self) -> std::io::Result<Sender<SaslQuestion>> {
        let (sender, questions) = mpsc::channel();
        let judge = Judge::new(questions, self.parts.clone(), Random::new()?)?;
        let name = "authority".to_owned();
        thread::Builder::new()
            .name(name)
            .spawn(move || judge.run())?;
        Ok(sender)
    }
}
