//! PLAIN (RFC 4616): name and password as they are.
//!
//! Owns the message's form; never decides whether it may be used in clear.

use crate::hash::{Hash, same};
use crate::prepare::{password, user_name};
use crate::users::Users;

/// The name and the password in a message; `None` if it is none, or one that wants to act as
/// somebody else.
fn parse(message: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(message).ok()?;
    let mut parts = text.split('\0');
    let (authorization, name, password) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none();
    let acts_as_self = authorization.is_empty() || authorization == name;
    (is_whole && acts_as_self).then_some((name, password))
}

/// Whether a message proves who it says it is, and who that is. What it costs does not depend on
/// the outcome, if the message is one at all.
pub(crate) fn judge(message: &[u8], users: &Users) -> (Option<String>, bool) {
    let Some((name, secret)) = parse(message) else {
        return (None, false);
    };
    let (Ok(name), Ok(secret)) = (user_name(name), password(secret)) else {
        return (None, false);
    };
    let verifier = users.verifier(&name, None);
    let hash: Hash = verifier.hash;
    let salted = hash.stretched(secret.as_bytes(), &verifier.salt, verifier.iterations);
    let client_key = hash.keyed(&salted, b"Client Key");
    let holds = same(&hash.digest(&client_key), &verifier.stored_key);
    (Some(name.into_owned()), holds)
}

/// The message of a client.
pub(crate) fn message(name: &str, password: &str) -> Vec<u8> {
    [b"\0", name.as_bytes(), b"\0", password.as_bytes()].concat()
}
