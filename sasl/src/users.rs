//! The text of a file of users: a line each, with salted verifiers and no password.
//!
//! Owns the format, and the stand-ins for users that there are not; never touches a file.
//!
//! ```text
//! # Users, see `causeway user`.
//! *decoy 3q2+7w…
//! alice SCRAM-SHA-512$10000:SALT$STORED:SERVER SCRAM-SHA-256$… SCRAM-SHA-1$…
//! ```
//!
//! Decision: a verifier for each hash, because what SCRAM keeps for one is of no use to another and
//! a client may know one alone. The decoy is a secret that gives unknown users a salt that is
//! always the same; without it, whoever asks twice could tell them from known ones.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::nonce::SALT_BYTES;
use crate::prepare::user_name;

/// Iterations of the hash in new verifiers: about five thousandths of a second of a processor.
pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(10_000).expect("10000 is not 0");

/// The most iterations that a verifier may ask for: one login must not take seconds.
const ITERATIONS_MAX: u32 = 10_000_000;

/// Users of one file.
const USERS_MAX: usize = 1_000_000;

/// Bytes of the decoy.
const DECOY_BYTES: usize = 32;

/// The first word of the line with the decoy.
const DECOY: &str = "*decoy";

/// What is kept of a password for one hash (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(crate) hash: Hash,
    pub(crate) iterations: NonZeroU32,
    pub(crate) salt: Vec<u8>,
    pub(crate) stored_key: Vec<u8>,
    pub(crate) server_key: Vec<u8>,
}

/// The users of a file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users {
    users: BTreeMap<String, Vec<Verifier>>,
    decoy: Vec<u8>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub text: &'static str,
}

impl fmt::Display for UsersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl std::error::Error for UsersError {}

impl Verifier {
    /// Makes one of a prepared password.
    #[must_use]
    pub fn new(hash: Hash, password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let salted = hash.stretched(password.as_bytes(), salt, iterations);
        let client_key = hash.keyed(&salted, b"Client Key");
        Self {
            hash,
            iterations,
            salt: salt.to_vec(),
            stored_key: hash.digest(&client_key),
            server_key: hash.keyed(&salted, b"Server Key"),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let (mechanism, rest) = word.split_once('$')?;
        let (setting, keys) = rest.split_once('$')?;
        let (iterations, salt) = setting.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let hash = Hash::of(mechanism)?;
        let bytes = |text: &str| STANDARD.decode(text).ok();
        let verifier = Self {
            hash,
            iterations: iterations.parse().ok()?,
            salt: bytes(salt)?,
            stored_key: bytes(stored_key)?,
            server_key: bytes(server_key)?,
        };
        let fits = verifier.stored_key.len() == hash.length()
            && verifier.server_key.len() == hash.length()
            && (1..=64).contains(&verifier.salt.len())
            && verifier.iterations.get() <= ITERATIONS_MAX;
        fits.then_some(verifier)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| STANDARD.encode(bytes);
        write!(
            f,
            "{}${}:{}${}:{}",
            self.hash.mechanism(),
            self.iterations,
            text(&self.salt),
            text(&self.stored_key),
            text(&self.server_key)
        )
    }
}

impl fmt::Debug for Verifier {
    /// Without the keys: who has them can pretend to be the server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({})", self.hash.mechanism())
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.users.len())
    }
}

impl Users {
    /// Nobody; `decoy` are random numbers, or what they were before.
    #[must_use]
    pub fn new(decoy: [u8; DECOY_BYTES]) -> Self {
        Self {
            users: BTreeMap::new(),
            decoy: decoy.to_vec(),
        }
    }

    /// Reads the text of a file. One without a decoy gets the one given.
    ///
    /// # Errors
    /// The first line that cannot be read: nobody may be let in, or kept out, by half a file.
    pub fn parse(text: &str, decoy: [u8; DECOY_BYTES]) -> Result<Self, UsersError> {
        let mut users = Self::new(decoy);
        for (index, line) in text.lines().enumerate() {
            users.take(line).map_err(|text| UsersError {
                line: index + 1,
                text,
            })?;
        }
        Ok(users)
    }

    fn take(&mut self, line: &str) -> Result<(), &'static str> {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next().filter(|word| !word.starts_with('#')) else {
            return Ok(());
        };
        if name == DECOY {
            let decoy = words.next().and_then(|word| STANDARD.decode(word).ok());
            self.decoy = decoy
                .filter(|decoy| decoy.len() == DECOY_BYTES)
                .ok_or("this is no decoy")?;
            return Ok(());
        }
        if !user_name(name).is_ok_and(|prepared| prepared == name) {
            return Err("this is no name of a user");
        }
        let verifiers: Option<Vec<Verifier>> = words.map(Verifier::parse).collect();
        let verifiers = verifiers
            .filter(|verifiers| !verifiers.is_empty())
            .ok_or("the verifiers of this user cannot be read")?;
        if self.users.len() >= USERS_MAX {
            return Err("there are more users than a file may have");
        }
        match self.users.insert(name.to_owned(), verifiers) {
            None => Ok(()),
            Some(_) => Err("this user is there twice"),
        }
    }

    /// Adds a user, or replaces the password of one; whether the user is new. Both texts must be
    /// prepared. `salts` are random numbers.
    pub fn add(&mut self, name: &str, password: &str, salts: [[u8; SALT_BYTES]; 3]) -> bool {
        let verifier = |(hash, salt): (Hash, [u8; SALT_BYTES])| {
            Verifier::new(hash, password, &salt, ITERATIONS)
        };
        let verifiers = Hash::ALL.into_iter().zip(salts).map(verifier).collect();
        self.users.insert(name.to_owned(), verifiers).is_none()
    }

    /// Removes a user; whether there was one of that name.
    pub fn remove(&mut self, name: &str) -> bool {
        self.users.remove(name).is_some()
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }

    /// The verifier of a user; of one that there is not, or has none for this hash, a stand-in that
    /// no password fits. `None` as hash: the strongest there is.
    pub(crate) fn verifier(&self, name: &str, hash: Option<Hash>) -> Verifier {
        // Made whether it is needed or not: it must not be told by the time it takes.
        let stand_in = self.stand_in(name, hash.unwrap_or(Hash::Sha512));
        let known = self.users.get(name).and_then(|verifiers| match hash {
            Some(hash) => verifiers.iter().find(|verifier| verifier.hash == hash),
            None => verifiers.iter().max_by_key(|verifier| verifier.hash),
        });
        known.cloned().unwrap_or(stand_in)
    }

    fn stand_in(&self, name: &str, hash: Hash) -> Verifier {
        let draw = |what: &str, length: usize| {
            let text = format!("{what} {} {name}", hash.mechanism());
            let mut bytes = Hash::Sha512.keyed(&self.decoy, text.as_bytes());
            bytes.truncate(length);
            bytes
        };
        // As a user of the file has them; all have the same unless the file is old.
        let typical = self.users.values().next_back().and_then(|v| v.first());
        Verifier {
            hash,
            iterations: typical.map_or(ITERATIONS, |verifier| verifier.iterations),
            salt: draw("salt", SALT_BYTES),
            stored_key: draw("stored", hash.length()),
            server_key: draw("server", hash.length()),
        }
    }
}

impl fmt::Display for Users {
    /// The text of a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Users of a Causeway router: change them with `causeway user`."
        )?;
        writeln!(f, "{DECOY} {}", STANDARD.encode(&self.decoy))?;
        for (name, verifiers) in &self.users {
            let mut line = name.clone();
            for verifier in verifiers {
                write!(line, " {verifier}")?;
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
