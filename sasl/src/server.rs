//! A server's side of an exchange, against the users of a file.
//!
//! Owns what is asked and what is believed; never how long anybody waits for it. Decision: an
//! unknown user is a user with a verifier that no password fits; there is no path by which one
//! could be told from the other.

use crate::hash::{Hash, same};
use crate::plain;
use crate::prepare::user_name;
use crate::scram::{self, ClientFinal, ClientFirst};
use crate::users::{Users, Verifier};

/// What a server says next.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// A question: [`Exchange::respond`] takes the answer.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Success {
        /// Who that is.
        user: String,
        /// The last word, by which the server proves itself.
        data: Option<Vec<u8>>,
    },
    /// It is not, or has said something else. There is nothing more to tell it.
    Failure {
        /// Who it said it was, as far as that is a name.
        user: Option<String>,
    },
}

/// An exchange that is not over.
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
}

#[derive(Clone, Copy)]
enum Mechanism {
    Plain,
    Scram(Hash),
}

enum State {
    /// The client has said nothing yet.
    Begin,
    /// A SCRAM client has its challenge.
    Challenged(Box<Challenged>),
    Over,
}

struct Challenged {
    user: String,
    verifier: Verifier,
    /// The first message's beginning.
    header: String,
    nonce: String,
    /// Both first messages, as they are signed.
    signed: String,
}

/// Whether a mechanism is one of those here.
#[must_use]
pub fn is_known(mechanism: &str) -> bool {
    Mechanism::of(mechanism).is_some()
}

impl Mechanism {
    fn of(name: &str) -> Option<Self> {
        match name {
            "PLAIN" => Some(Self::Plain),
            _ => Hash::of(name).map(Self::Scram),
        }
    }
}

impl Exchange {
    /// Begins an exchange; `None` for a mechanism that is not here.
    #[must_use]
    pub fn new(mechanism: &str) -> Option<Self> {
        Some(Self {
            mechanism: Mechanism::of(mechanism)?,
            state: State::Begin,
        })
    }

    /// Takes what the client says; `None` if it said nothing with its choice of a mechanism.
    /// `nonce` is one made for this exchange.
    pub fn respond(&mut self, message: Option<&[u8]>, users: &Users, nonce: &str) -> Answer {
        match (
            std::mem::replace(&mut self.state, State::Over),
            self.mechanism,
            message,
        ) {
            (State::Begin, _, None) => {
                self.state = State::Begin;
                Answer::Challenge(Vec::new())
            }
            (State::Begin, Mechanism::Plain, Some(message)) => match plain::judge(message, users) {
                (Some(user), true) => Answer::Success { user, data: None },
                (user, _) => Answer::Failure { user },
            },
            (State::Begin, Mechanism::Scram(hash), Some(message)) => {
                self.challenge(hash, message, users, nonce)
            }
            (State::Challenged(challenged), _, Some(message)) => challenged.judge(message),
            (State::Challenged(_) | State::Over, _, _) => Answer::Failure { user: None },
        }
    }

    fn challenge(&mut self, hash: Hash, message: &[u8], users: &Users, nonce: &str) -> Answer {
        let Some(first) = ClientFirst::parse(message) else {
            return Answer::Failure { user: None };
        };
        let Ok(user) = user_name(&first.name) else {
            return Answer::Failure { user: None };
        };
        let verifier = users.verifier(&user, Some(hash));
        let nonce = format!("{}{nonce}", first.nonce);
        let question = scram::server_first(&nonce, &verifier.salt, verifier.iterations.get());
        self.state = State::Challenged(Box::new(Challenged {
            user: user.into_owned(),
            verifier,
            header: first.header.to_owned(),
            nonce,
            signed: format!("{},{question}", first.bare),
        }));
        Answer::Challenge(question.into_bytes())
    }
}

impl Challenged {
    /// Whether the proof holds (RFC 5802 §3).
    fn judge(self, message: &[u8]) -> Answer {
        let user = self.user;
        let refused = |user| Answer::Failure { user: Some(user) };
        let Some(last) = ClientFinal::parse(message) else {
            return refused(user);
        };
        let Verifier {
            hash,
            stored_key,
            server_key,
            ..
        } = self.verifier;
        let signed = format!("{},{}", self.signed, last.without_proof);
        let signature = hash.keyed(&stored_key, signed.as_bytes());
        let client_key = scram::combined(&signature, &last.proof);
        let holds = last.proof.len() == hash.length()
            && same(&hash.digest(&client_key), &stored_key)
            && last.header == self.header.as_bytes()
            && last.nonce == self.nonce;
        if !holds {
            return refused(user);
        }
        let signature = hash.keyed(&server_key, signed.as_bytes());
        Answer::Success {
            user,
            data: Some(scram::server_final(&signature).into_bytes()),
        }
    }
}
