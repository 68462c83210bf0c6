//! A client's side: which mechanism, and what to say in it.
//!
//! Owns the order of preference, and the check that the server knows the password too; never sends
//! a password where it would be seen. Decision: among what both sides have the strongest is taken,
//! whatever the server's order; a server that hides the stronger ones gets the password in clear
//! only where the user said that it may.

use std::fmt;
use std::num::NonZeroU32;

use crate::hash::{Hash, same};
use crate::plain;
use crate::prepare::{Unprepared, password};
use crate::scram::{self, ServerFirst};

/// The fewest iterations that a server may ask for (RFC 7677 §4): fewer would let whoever pretends
/// to be one try passwords cheaply.
const ITERATIONS_MIN: u32 = 4096;

/// The most: a server must not keep a client busy for long.
const ITERATIONS_MAX: u32 = 1_000_000;

/// Who a client is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, ..)", self.user)
    }
}

/// What a mechanism is chosen by.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// What the server offers.
    pub offered: &'a [&'a str],
    /// What the client consents to; `None`: everything.
    pub allowed: Option<&'a [&'a str]>,
    /// There are a name and a password.
    pub has_credentials: bool,
    /// There is a certificate that the server has seen.
    pub has_certificate: bool,
    /// A password may be shown: nobody else can read it, or the user does not mind.
    pub may_show_password: bool,
}

/// The strongest mechanism that will do.
#[must_use]
pub fn choose(choice: &Choice<'_>) -> Option<&'static str> {
    let Choice {
        offered,
        allowed,
        has_credentials,
        has_certificate,
        may_show_password,
    } = *choice;
    let preferred = [
        ("SCRAM-SHA-512", has_credentials),
        ("SCRAM-SHA-256", has_credentials),
        ("SCRAM-SHA-1", has_credentials),
        ("EXTERNAL", has_certificate),
        ("PLAIN", has_credentials && may_show_password),
        // Who has a name and a password does not want to be anybody, unless that was said.
        ("ANONYMOUS", !has_credentials || allowed.is_some()),
    ];
    let is_there = |name: &str| {
        offered.contains(&name) && allowed.is_none_or(|allowed| allowed.contains(&name))
    };
    let found = preferred
        .into_iter()
        .find(|&(name, is_possible)| is_possible && is_there(name));
    found.map(|(name, _)| name)
}

/// Why a client cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// Name or password cannot be sent.
    Credentials(Unprepared),
    /// The server says what the mechanism does not have.
    Message,
    /// It asks for too few or too many iterations.
    Iterations(u32),
    /// It has not proved that it knows the password.
    Unproven,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials(why) => write!(f, "the user name or password {why}"),
            Self::Message => f.write_str("the server says what the mechanism does not have"),
            Self::Iterations(asked) => write!(
                f,
                "the server asks for {asked} iterations, which is not between {ITERATIONS_MIN} and \
                 {ITERATIONS_MAX}"
            ),
            Self::Unproven => f.write_str("the server has not proved that it knows the password"),
        }
    }
}

impl std::error::Error for ClientError {}

/// An exchange as the client sees it.
pub struct Client {
    state: State,
}

enum State {
    /// Nothing but the outcome may follow.
    Said,
    /// SCRAM: the server's first message is awaited.
    First {
        hash: Hash,
        password: String,
        nonce: String,
        header: &'static str,
        bare: String,
    },
    /// SCRAM: the server's proof is awaited.
    Final { signature: Vec<u8> },
    /// It has come.
    Proven,
}

impl Client {
    /// Begins with a mechanism that [`choose`] has named, and what to say with that. `nonce` is
    /// one made for this exchange.
    ///
    /// # Errors
    /// Name or password cannot be sent.
    pub fn begin(
        mechanism: &str,
        credentials: &Credentials,
        nonce: &str,
    ) -> Result<(Self, Vec<u8>), ClientError> {
        let prepared = |text: &str| {
            password(text)
                .map(std::borrow::Cow::into_owned)
                .map_err(ClientError::Credentials)
        };
        let said = |message: Vec<u8>| {
            let state = State::Said;
            Ok((Self { state }, message))
        };
        let Some(hash) = Hash::of(mechanism) else {
            return match mechanism {
                "PLAIN" => {
                    let name = prepared(&credentials.user)?;
                    let secret = prepared(&credentials.password)?;
                    said(plain::message(&name, &secret))
                }
                "ANONYMOUS" => said(b"anonymous".to_vec()),
                // EXTERNAL: as whom the certificate says.
                _ => said(Vec::new()),
            };
        };
        let (header, bare) = scram::client_first(&prepared(&credentials.user)?, nonce);
        let message = format!("{header}{bare}").into_bytes();
        let state = State::First {
            hash,
            password: prepared(&credentials.password)?,
            nonce: nonce.to_owned(),
            header,
            bare,
        };
        Ok((Self { state }, message))
    }

    /// Answers a challenge. This may take as long as the server asks for.
    ///
    /// # Errors
    /// It is none of this mechanism.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ClientError> {
        match std::mem::replace(&mut self.state, State::Said) {
            State::First {
                hash,
                password,
                nonce,
                header,
                bare,
            } => {
                let first = ServerFirst::parse(challenge).ok_or(ClientError::Message)?;
                let is_longer = first.nonce.len() > nonce.len();
                if !first.nonce.starts_with(&nonce) || !is_longer || first.salt.is_empty() {
                    return Err(ClientError::Message);
                }
                let iterations = NonZeroU32::new(first.iterations)
                    .filter(|asked| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&asked.get()))
                    .ok_or(ClientError::Iterations(first.iterations))?;
                let salted = hash.stretched(password.as_bytes(), &first.salt, iterations);
                let without_proof = scram::client_final_without_proof(header, first.nonce);
                let question = std::str::from_utf8(challenge).map_err(|_| ClientError::Message)?;
                let signed = format!("{bare},{question},{without_proof}");
                let client_key = hash.keyed(&salted, b"Client Key");
                let stored_key = hash.digest(&client_key);
                let signature = hash.keyed(&stored_key, signed.as_bytes());
                let proof = scram::combined(&client_key, &signature);
                let server_key = hash.keyed(&salted, b"Server Key");
                self.state = State::Final {
                    signature: hash.keyed(&server_key, signed.as_bytes()),
                };
                Ok(scram::client_final(&without_proof, &proof).into_bytes())
            }
            // Some servers prove themselves in a challenge instead of in the outcome.
            State::Final { signature } => {
                Self::check(&signature, challenge)?;
                self.state = State::Proven;
                Ok(Vec::new())
            }
            State::Said | State::Proven => Err(ClientError::Message),
        }
    }

    /// The server is content: is the client, too?
    ///
    /// # Errors
    /// The server should have proved itself, and has not.
    pub fn finish(self, data: Option<&[u8]>) -> Result<(), ClientError> {
        match self.state {
            State::Said | State::Proven => Ok(()),
            State::First { .. } => Err(ClientError::Unproven),
            State::Final { signature } => {
                Self::check(&signature, data.ok_or(ClientError::Unproven)?)
            }
        }
    }

    fn check(signature: &[u8], message: &[u8]) -> Result<(), ClientError> {
        let said = scram::parse_server_final(message).ok_or(ClientError::Unproven)?;
        match same(&said, signature) {
            true => Ok(()),
            false => Err(ClientError::Unproven),
        }
    }
}
