//! Both sides against each other, and the choice between mechanisms.

use proptest::prelude::*;
use sasl::{Answer, Choice, Client, ClientError, Credentials, Users, choose};

use crate::{challenge, exchange, fails, file};

const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"];

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.into(),
        password: password.into(),
    }
}

/// Lets a client authenticate; whether both sides are content, and as whom.
fn run(mechanism: &str, users: &Users, who: &Credentials) -> Option<String> {
    let mut server = exchange(mechanism);
    let (mut client, mut said) = Client::begin(mechanism, who, "client").ok()?;
    loop {
        match server.respond(Some(&said), users, "server") {
            Answer::Challenge(question) => said = client.respond(&question).ok()?,
            Answer::Success { user, data } => {
                return client.finish(data.as_deref()).is_ok().then_some(user);
            }
            Answer::Failure { .. } => return None,
        }
    }
}

#[test]
fn the_right_password_is_accepted_and_no_other() {
    let users = file(&[("alice", "pencil"), ("bob", "p\u{e4}ssw\u{f6}rd, a=b")]);
    for mechanism in MECHANISMS {
        let try_ = |user, password| run(mechanism, &users, &credentials(user, password));
        assert_eq!(try_("alice", "pencil").as_deref(), Some("alice"));
        // The same text typed as letters and accents.
        assert_eq!(
            try_("bob", "pa\u{308}sswo\u{308}rd, a=b").as_deref(),
            Some("bob")
        );
        for (user, password) in [
            ("alice", "Pencil"),
            ("alice", "pencil "),
            ("alice", ""),
            ("bob", "pencil"),
            ("carol", "pencil"),
            ("", "pencil"),
            ("alice,bob", "pencil"),
        ] {
            assert_eq!(try_(user, password), None, "{mechanism} {user} {password}");
        }
    }
}

#[test]
fn a_server_that_knows_no_password_is_not_believed() {
    let who = credentials("alice", "pencil");
    for mechanism in &MECHANISMS[1..] {
        let (mut client, _) = Client::begin(mechanism, &who, "client").unwrap();
        client.respond(b"r=clientserver,s=c2FsdA==,i=4096").unwrap();
        assert_eq!(client.finish(Some(b"v=AAAA")), Err(ClientError::Unproven));
        let (mut client, _) = Client::begin(mechanism, &who, "client").unwrap();
        client.respond(b"r=clientserver,s=c2FsdA==,i=4096").unwrap();
        assert_eq!(client.finish(None), Err(ClientError::Unproven));
        // One that is content before it has asked anything.
        let (client, _) = Client::begin(mechanism, &who, "client").unwrap();
        assert_eq!(client.finish(None), Err(ClientError::Unproven));
    }
}

#[test]
fn a_server_asks_for_no_more_and_no_fewer_iterations_than_is_good() {
    let who = credentials("alice", "pencil");
    for asked in [0, 1, 4095, 1_000_001, u32::MAX] {
        let (mut client, _) = Client::begin("SCRAM-SHA-256", &who, "client").unwrap();
        let question = format!("r=clientserver,s=c2FsdA==,i={asked}");
        assert_eq!(
            client.respond(question.as_bytes()),
            Err(ClientError::Iterations(asked))
        );
    }
}

#[test]
fn what_a_server_says_wrongly_ends_the_exchange() {
    let who = credentials("alice", "pencil");
    for question in [
        "",
        "r=other,s=c2FsdA==,i=4096",
        "r=client,s=c2FsdA==,i=4096",
        "r=clientserver,s=,i=4096",
        "r=clientserver,s=c2FsdA==,i=+4096",
        "r=clientserver,s=c2FsdA==",
        "m=ext,r=clientserver,s=c2FsdA==,i=4096",
        "r=clientserver,s=c2FsdA==,i=4096,m=ext",
        "e=other-error",
    ] {
        let (mut client, _) = Client::begin("SCRAM-SHA-256", &who, "client").unwrap();
        let answer = client.respond(question.as_bytes());
        assert_eq!(answer, Err(ClientError::Message), "{question}");
    }
    let (mut plain, _) = Client::begin("PLAIN", &who, "client").unwrap();
    assert_eq!(plain.respond(b"more?"), Err(ClientError::Message));
}

#[test]
fn a_proof_in_a_challenge_will_do() {
    let users = file(&[("alice", "pencil")]);
    let who = credentials("alice", "pencil");
    let (mut client, first) = Client::begin("SCRAM-SHA-512", &who, "client").unwrap();
    let mut server = exchange("SCRAM-SHA-512");
    let question = server.respond(Some(&first), &users, "server");
    let last = client.respond(challenge(&question).as_bytes()).unwrap();
    let Answer::Success { data, .. } = server.respond(Some(&last), &users, "server") else {
        panic!("refused");
    };
    assert_eq!(client.respond(&data.unwrap()), Ok(Vec::new()));
    assert_eq!(client.finish(None), Ok(()));
}

#[test]
fn who_says_nothing_at_first_is_asked() {
    let users = file(&[("alice", "pencil")]);
    for mechanism in MECHANISMS {
        let mut server = exchange(mechanism);
        let asked = server.respond(None, &users, "server");
        assert_eq!(challenge(&asked), "");
        let (_, first) =
            Client::begin(mechanism, &credentials("alice", "pencil"), "client").unwrap();
        assert!(!fails(&server.respond(Some(&first), &users, "server")));
    }
}

#[test]
fn the_strongest_that_both_have_is_chosen() {
    let all = [
        "ANONYMOUS",
        "PLAIN",
        "EXTERNAL",
        "SCRAM-SHA-1",
        "SCRAM-SHA-256",
        "SCRAM-SHA-512",
        "X-OTHER",
    ];
    let base = Choice {
        offered: &all,
        allowed: None,
        has_credentials: true,
        has_certificate: true,
        may_show_password: true,
    };
    let without = |name: &'static str| -> Vec<&str> {
        let at = all.iter().position(|known| *known == name).unwrap();
        all[..at].to_vec()
    };
    assert_eq!(choose(&base), Some("SCRAM-SHA-512"));
    let mut offered = without("SCRAM-SHA-512");
    for (gone, expected) in [
        ("", "SCRAM-SHA-256"),
        ("SCRAM-SHA-256", "SCRAM-SHA-1"),
        ("SCRAM-SHA-1", "EXTERNAL"),
        ("EXTERNAL", "PLAIN"),
    ] {
        offered.retain(|name| *name != gone);
        let choice = Choice {
            offered: &offered,
            ..base
        };
        assert_eq!(choose(&choice), Some(expected));
    }
}

#[test]
fn a_server_that_hides_the_strong_ones_gets_no_password_and_no_anonymous_client() {
    let base = Choice {
        offered: &["PLAIN", "ANONYMOUS"],
        allowed: None,
        has_credentials: true,
        has_certificate: false,
        may_show_password: false,
    };
    assert_eq!(choose(&base), None);
    let may = Choice {
        may_show_password: true,
        ..base
    };
    assert_eq!(choose(&may), Some("PLAIN"));
    let nobody = Choice {
        has_credentials: false,
        ..may
    };
    assert_eq!(choose(&nobody), Some("ANONYMOUS"));
    let said = Choice {
        allowed: Some(&["ANONYMOUS", "SCRAM-SHA-256"]),
        ..may
    };
    assert_eq!(choose(&said), Some("ANONYMOUS"));
    let other = Choice {
        allowed: Some(&["SCRAM-SHA-256"]),
        ..may
    };
    assert_eq!(choose(&other), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_name_and_password_that_can_be_prepared_goes_through(
        name in "\\PC{1,20}",
        secret in "\\PC{1,40}",
        other in "\\PC{1,40}",
    ) {
        let (Ok(user), Ok(prepared)) = (sasl::user_name(&name), sasl::password(&secret)) else {
            return Ok(());
        };
        let users = file(&[(&name, &secret)]);
        let again = Users::parse(&users.to_string(), [0; 32]);
        prop_assert_eq!(again.as_ref(), Ok(&users));
        for mechanism in MECHANISMS {
            let ran = run(mechanism, &users, &credentials(&name, &secret));
            prop_assert_eq!(ran.as_deref(), Some(&*user));
            let same = sasl::password(&other).is_ok_and(|other| other == prepared);
            let ran = run(mechanism, &users, &credentials(&name, &other));
            prop_assert_eq!(ran.is_some(), same);
        }
    }
}
