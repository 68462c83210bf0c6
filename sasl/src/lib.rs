//! SASL mechanisms (RFC 4422) of both sides, and the text of a file of users: bytes in, bytes out.
//!
//! Owns PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677) as exchanges of a few steps, and salted
//! verifiers. It reads no file and no clock, and is given its random numbers; it never holds a
//! connection. Decision: a server's exchange does the same work and gives the same answers for a
//! user that there is not as for a wrong password, so there is one path for both.
#![forbid(unsafe_code)]

mod client;
#[doc(hidden)]
pub mod fuzz;
mod hash;
mod nonce;
mod plain;
mod prepare;
mod scram;
mod server;
mod users;

pub use client::{Choice, Client, ClientError, Credentials, choose};
pub use hash::Hash;
pub use nonce::{NONCE_BYTES, SALT_BYTES, nonce};
pub use prepare::{Unprepared, password, user_name};
pub use server::{Answer, Exchange, is_known};
pub use users::{ITERATIONS, Users, UsersError, Verifier};
