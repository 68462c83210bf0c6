//! The thread of the authority: takes questions in turn, keeps exchanges until they end, and lets
//! those wait who have failed.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use amqp_codec::{SaslCode, Str};
use amqp_proto::{SaslReply, SaslStep, Time};
use bytes::Bytes;
use router_core::ids::{ConnectionId, ShardId};
use router_core::settings::AuthService;
use router_core::shard::SaslQuestion;
use sasl::{Answer, Credentials, Exchange};

use super::answer::{FAILURE_DELAY, failure, post, refuse};
use super::parts::AuthorityParts;
use super::people::People;
use super::queue::{Queue, line_of};
use super::relay::Relay;
use crate::clock::Clock;
use crate::dialogue::{Dialogue, Terms, aborted};
use crate::log::{Level, Log, Module};
use crate::orders::Orders;
use crate::password;
use crate::post::Offices;
use crate::random::Random;

/// How long the thread sleeps when nothing is to be done.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Exchanges that may be under way.
const EXCHANGES_MAX: usize = 64 * 1024;

/// Exchanges that may be under way with services; each has a thread, which may outlive it by a
/// look-up, attempts to connect and what is waited for the service.
const RELAYS_MAX: usize = 256;

/// Those of one peer: nobody alone keeps others from being asked about.
const RELAYS_PER_PEER: usize = RELAYS_MAX / 8;

/// What is kept of an exchange between its steps.
enum State {
    Accepting(Exchange),
    Dialling(Dialogue),
}

/// An exchange that a service decides.
struct Relayed {
    peer: String,
    steps: Sender<SaslStep>,
    thread: JoinHandle<()>,
}

pub(super) struct Judge {
    questions: Receiver<SaslQuestion>,
    offices: Arc<Offices>,
    orders: Arc<Orders>,
    people: People,
    random: Random,
    clock: Clock,
    log: Log,
    queue: Queue<SaslQuestion>,
    exchanges: BTreeMap<ConnectionId, State>,
    relays: BTreeMap<ConnectionId, Relayed>,
    /// Those whose connection is gone and whose thread has not noticed.
    leaving: Vec<Relayed>,
    /// Refusals that wait, the first first.
    late: VecDeque<(Time, ShardId, ConnectionId, SaslReply)>,
}

impl Judge {
    pub(super) fn new(
        questions: Receiver<SaslQuestion>,
        parts: AuthorityParts,
        random: Random,
    ) -> io::Result<Self> {
        let AuthorityParts {
            offices,
            orders,
            users,
            clock,
            log,
        } = parts;
        let decoy = random.bytes()?;
        Ok(Self {
            questions,
            offices,
            orders,
            people: People::new(users, decoy, log.clone()),
            random,
            clock,
            log,
            queue: Queue::new(),
            exchanges: BTreeMap::new(),
            relays: BTreeMap::new(),
            leaving: Vec::new(),
            late: VecDeque::new(),
        })
    }

    /// Runs until nobody can ask any more.
    pub(super) fn run(mut self) {
        loop {
            while let Ok(question) = self.questions.try_recv() {
                self.take(question);
            }
            let now = self.clock.now();
            self.let_go(now);
            if let Some(question) = self.queue.pop() {
                self.judge(&question);
                continue;
            }
            let next = self.late.front().map(|(due, ..)| due.saturating_sub(now));
            match self.questions.recv_timeout(next.unwrap_or(SLEEP_MAX)) {
                Ok(question) => self.take(question),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Puts a question into its line.
    fn take(&mut self, question: SaslQuestion) {
        let peer = line_of(&question.peer);
        let connection = question.connection;
        if question.step.is_none() {
            self.exchanges.remove(&connection);
            if let Some(relayed) = self.relays.remove(&connection) {
                let (steps, _) = mpsc::channel();
                self.leaving.push(Relayed { steps, ..relayed });
            }
            self.queue
                .forget(&peer, |other| other.connection == connection);
        } else if let Err(question) = self.queue.push(&peer, question) {
            // Nobody asks again for an exchange that is refused.
            self.exchanges.remove(&connection);
            refuse(&self.offices, &question);
        }
    }

    /// Whether one more exchange of a peer may be passed on.
    fn has_room_for_relay(&mut self, peer: &str) -> bool {
        let is_under_way = |relayed: &Relayed| !relayed.thread.is_finished();
        self.relays.retain(|_, relayed| is_under_way(relayed));
        self.leaving.retain(is_under_way);
        let of_peer = |relayed: &&Relayed| relayed.peer == peer;
        let all = || self.relays.values().chain(&self.leaving);
        all().count() < RELAYS_MAX && all().filter(of_peer).count() < RELAYS_PER_PEER
    }

    /// Refusals that have waited long enough.
    fn let_go(&mut self, now: Time) {
        while self.late.front().is_some_and(|(due, ..)| *due <= now) {
            if let Some((_, shard, connection, reply)) = self.late.pop_front() {
                post(&self.offices, shard, connection, reply);
            }
        }
    }

    fn judge(&mut self, question: &SaslQuestion) {
        let Some(step) = &question.step else {
            return;
        };
        if let Some(service) = &question.settings.sasl.plugin {
            if !self.pass_on(question, service, step) {
                self.reply(question, failure(SaslCode::SysTemp, None));
            }
            return;
        }
        let reply = match step {
            SaslStep::Init {
                mechanism,
                response,
                ..
            } => match Exchange::new(mechanism.as_str()) {
                Some(exchange) => self.accept(question, exchange, response.as_deref()),
                None => failure(SaslCode::Auth, None),
            },
            SaslStep::Response(said) => match self.exchanges.remove(&question.connection) {
                Some(State::Accepting(exchange)) => self.accept(question, exchange, Some(said)),
                Some(State::Dialling(_)) | None => failure(SaslCode::Sys, None),
            },
            SaslStep::Offered(offered) => match self.random.bytes() {
                Ok(random) => {
                    let begun = Dialogue::begin(&self.terms(question), offered, random);
                    self.keep(question, begun)
                }
                Err(error) => aborted("none", &error.to_string()),
            },
            SaslStep::Challenge(_) | SaslStep::Succeeded(_) => {
                match self.exchanges.remove(&question.connection) {
                    Some(State::Dialling(dialogue)) => self.keep(question, dialogue.answer(step)),
                    Some(State::Accepting(_)) | None => aborted("none", "out of sequence"),
                }
            }
            SaslStep::Started => failure(SaslCode::Sys, None),
        };
        self.reply(question, reply);
    }

    fn reply(&mut self, question: &SaslQuestion, reply: SaslReply) {
        let (shard, connection) = (question.shard, question.connection);
        if matches!(reply, SaslReply::Failure { .. }) {
            let due = self.clock.now() + FAILURE_DELAY;
            self.late.push_back((due, shard, connection, reply));
        } else {
            post(&self.offices, shard, connection, reply);
        }
    }

    /// A step that a service decides; whether it can.
    fn pass_on(
        &mut self,
        question: &SaslQuestion,
        service: &Arc<AuthService>,
        step: &SaslStep,
    ) -> bool {
        let (connection, shard) = (question.connection, question.shard);
        if *step != SaslStep::Started {
            let relayed = self.relays.get(&connection);
            return relayed.is_some_and(|relayed| relayed.steps.send(step.clone()).is_ok());
        }
        let peer = line_of(&question.peer);
        if !self.has_room_for_relay(&peer) {
            return false;
        }
        let (sender, steps) = mpsc::channel();
        let relay = Relay {
            service: Arc::clone(service),
            connection,
            shard,
            may_show_password: may_show_password(question),
            steps,
            offices: Arc::clone(&self.offices),
            orders: Arc::clone(&self.orders),
            clock: self.clock,
            log: self.log.clone(),
        };
        let name = "relay".to_owned();
        let begun = thread::Builder::new().name(name).spawn(move || relay.run());
        let relayed = begun.map(|thread| Relayed {
            peer,
            steps: sender,
            thread,
        });
        relayed.is_ok_and(|relayed| {
            self.relays.insert(connection, relayed);
            true
        })
    }

    /// A step of a peer that wants to come in.
    fn accept(
        &mut self,
        question: &SaslQuestion,
        mut exchange: Exchange,
        said: Option<&[u8]>,
    ) -> SaslReply {
        if self.exchanges.len() >= EXCHANGES_MAX {
            return failure(SaslCode::SysTemp, None);
        }
        let Ok(random) = self.random.bytes() else {
            return failure(SaslCode::Sys, None);
        };
        let users = self.people.users();
        match exchange.respond(said, users, &sasl::nonce(random)) {
            Answer::Challenge(asked) => {
                let state = State::Accepting(exchange);
                self.exchanges.insert(question.connection, state);
                SaslReply::Challenge(Bytes::from(asked))
            }
            Answer::Success { user, data } => SaslReply::Success {
                user: Str::copy(&user),
                data: data.map(Bytes::from),
            },
            Answer::Failure { user } => failure(SaslCode::Auth, user.as_deref()),
        }
    }

    /// An exchange in which the router authenticates goes on.
    fn keep(
        &mut self,
        question: &SaslQuestion,
        (reply, dialogue): (SaslReply, Option<Dialogue>),
    ) -> SaslReply {
        if let Some(dialogue) = dialogue {
            let state = State::Dialling(dialogue);
            self.exchanges.insert(question.connection, state);
        }
        reply
    }

    /// What a connector says of authentication; its password is looked up now.
    fn terms(&self, question: &SaslQuestion) -> Terms {
        let settings = &question.settings;
        let configured = settings.sasl.password.as_ref();
        let password = configured.map(|configured| password::read(&configured.0));
        let (password, missing) = match password.transpose() {
            Ok(password) => (password.unwrap_or_default(), None),
            Err(why) => {
                self.log.line(Module::ConnMgr, Level::Error, why.clone());
                (String::new(), Some(why))
            }
        };
        let user = settings.sasl.user.as_deref();
        Terms {
            mechanisms: Some(settings.sasl_mechanisms.clone()),
            credentials: user.map(|user| Credentials {
                user: user.to_owned(),
                password,
            }),
            missing,
            has_certificate: question.has_certificate,
            may_show_password: may_show_password(question),
        }
    }
}

/// Whether nobody else can read a password, or that was said not to matter.
fn may_show_password(question: &SaslQuestion) -> bool {
    question.is_encrypted || question.settings.sasl.plain_in_clear
}

#[cfg(test)]
mod tests;
