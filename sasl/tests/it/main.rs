//! Mechanisms as a peer sees them: vectors of the standards, both sides against each other, and
//! whatever else might be said.
#![cfg(test)]

mod corpus;
mod exchanges;
mod misdeeds;
mod users;
mod vectors;

use sasl::{Answer, Exchange, Users};

/// A file with these users and their passwords.
pub(crate) fn file(users: &[(&str, &str)]) -> Users {
    let mut file = Users::new([9; 32]);
    for (index, (name, password)) in users.iter().enumerate() {
        let salt = |of: usize| [u8::try_from(3 * index + of).unwrap(); 16];
        let name = sasl::user_name(name).unwrap();
        file.add(
            &name,
            &sasl::password(password).unwrap(),
            [salt(0), salt(1), salt(2)],
        );
    }
    file
}

pub(crate) fn exchange(mechanism: &str) -> Exchange {
    Exchange::new(mechanism).expect("a mechanism of ours")
}

/// The text of a challenge.
pub(crate) fn challenge(answer: &Answer) -> &str {
    match answer {
        Answer::Challenge(bytes) => std::str::from_utf8(bytes).unwrap(),
        Answer::Success { user, .. } => panic!("success of {user}"),
        Answer::Failure { user } => panic!("failure of {user:?}"),
    }
}

pub(crate) fn fails(answer: &Answer) -> bool {
    matches!(answer, Answer::Failure { .. })
}
