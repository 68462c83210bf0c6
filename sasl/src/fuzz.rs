//! Bodies of the fuzz targets: what clients, servers and files may say.
//!
//! Owns no logic of its own.

use std::num::NonZeroU32;

use crate::client::{Client, Credentials};
use crate::hash::Hash;
use crate::server::{Answer, Exchange};
use crate::users::{Users, Verifier};

/// A server of each mechanism and the client of each, told the same bytes in pieces.
///
/// # Panics
/// If anybody gets in who does not know the password, or a file that was read is not written as it
/// was.
pub fn fuzz_sasl_exchange(bytes: &[u8]) {
    let users = one_user();
    let (one, other) = bytes.split_at(bytes.len() / 2);
    for mechanism in ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        for parts in [
            [Some(bytes), Some(b"")],
            [Some(one), Some(other)],
            [None, Some(bytes)],
        ] {
            let Some(mut exchange) = Exchange::new(mechanism) else {
                unreachable!("{mechanism} is known");
            };
            for part in parts {
                let answer = exchange.respond(part, &users, "server");
                // Characters beyond ASCII may be prepared to nothing at all.
                let is_told = !bytes.is_ascii()
                    || bytes
                        .windows(PASSWORD.len())
                        .any(|at| at == PASSWORD.as_bytes());
                let gets_in = matches!(answer, Answer::Success { .. });
                assert!(!gets_in || is_told, "nobody guesses the password");
            }
        }
        let credentials = Credentials {
            user: "user".into(),
            password: PASSWORD.into(),
        };
        if let Ok((mut client, _)) = Client::begin(mechanism, &credentials, "client") {
            let answered = client.respond(one).is_ok();
            let proven = client.finish(Some(other)).is_ok();
            assert!(!(answered && proven), "no server guesses the password");
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(users) = Users::parse(text, [0; 32])
    {
        let again = Users::parse(&users.to_string(), [1; 32]);
        assert_eq!(again, Ok(users), "what is written is what was read");
    }
}

/// The password of the only user.
const PASSWORD: &str = "pencil";

fn one_user() -> Users {
    let word = |hash: Hash| {
        let few = NonZeroU32::MIN;
        Verifier::new(hash, PASSWORD, b"salt", few).to_string()
    };
    let words = Hash::ALL.map(word).join(" ");
    let users = Users::parse(&format!("user {words}\n"), [3; 32]);
    users.unwrap_or_default()
}
