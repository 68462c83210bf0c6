//! What clients may say that is no way to authenticate.

use sasl::Answer;

use crate::{challenge, exchange, fails, file};

#[test]
fn what_is_no_plain_message_is_refused() {
    let users = file(&[("alice", "pencil")]);
    for message in [
        &b""[..],
        b"alice",
        b"alice\0pencil",
        b"\0alice",
        b"\0alice\0",
        b"\0\0pencil",
        b"\0alice\0pencil\0",
        b"\0alice\0pencil\0more",
        b"bob\0alice\0pencil",
        b"\0al ice\0pencil",
        b"\0alice\0pen\ncil",
        b"\0alice\0\xff\xfe",
        b"\0*decoy\0pencil",
        b"\0#\0pencil",
    ] {
        let answer = exchange("PLAIN").respond(Some(message), &users, "server");
        assert!(fails(&answer), "{}", message.escape_ascii());
    }
    let as_self = exchange("PLAIN").respond(Some(b"alice\0alice\0pencil"), &users, "server");
    assert!(matches!(as_self, Answer::Success { .. }));
}

#[test]
fn what_is_no_first_message_is_refused() {
    let users = file(&[("alice", "pencil")]);
    let long = format!("n,,n=alice,r={}", "x".repeat(161));
    for message in [
        "",
        "n",
        "n,,",
        "n,,n=alice",
        "n,,n=,r=abc",
        "n,,n=alice,r=",
        "n,,r=abc,n=alice",
        // Channel binding was not offered.
        "p=tls-unique,,n=alice,r=abc",
        "p=tls-exporter,,n=alice,r=abc",
        "x,,n=alice,r=abc",
        // Somebody else's rights.
        "n,a=admin,n=alice,r=abc",
        "n,admin,n=alice,r=abc",
        // An extension that must be understood.
        "n,,m=ext,n=alice,r=abc",
        "n,,n=alice,r=abc,m=ext",
        "n,,n=al=ice,r=abc",
        "n,,n=al=2cice,r=abc",
        "n,,n=alice,r=a b",
        "n,,n=alice,r=a\u{e4}",
        &long,
    ] {
        let answer = exchange("SCRAM-SHA-256").respond(Some(message.as_bytes()), &users, "server");
        assert!(fails(&answer), "{message}");
    }
    for message in [
        "n,,n=alice,r=abc",
        "y,,n=alice,r=abc",
        "n,a=alice,n=alice,r=abc",
        "n,,n=alice,r=abc,x=more",
    ] {
        let answer = exchange("SCRAM-SHA-256").respond(Some(message.as_bytes()), &users, "server");
        assert!(
            challenge(&answer).starts_with("r=abcserver,s="),
            "{message}"
        );
    }
}

#[test]
fn what_is_no_last_message_is_refused() {
    let users = file(&[("alice", "pencil")]);
    let proof = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for message in [
        String::new(),
        "c=biws,r=abcserver".to_owned(),
        "c=biws,r=abcserver,p=".to_owned(),
        "c=biws,r=abcserver,p=AAAA".to_owned(),
        format!("c=biws,r=abcserver,p={proof}"),
        format!("c=biws,r=abc,p={proof}"),
        format!("c=eSws,r=abcserver,p={proof}"),
        format!("c=biws,r=abcserver,p={proof}{proof}"),
        format!("r=abcserver,c=biws,p={proof}"),
    ] {
        let mut server = exchange("SCRAM-SHA-256");
        let asked = server.respond(Some(b"n,,n=alice,r=abc"), &users, "server");
        assert!(!fails(&asked));
        let answer = server.respond(Some(message.as_bytes()), &users, "server");
        assert!(
            matches!(&answer, Answer::Failure { user: Some(user) } if user == "alice"),
            "{message}"
        );
        // And nothing makes up for it.
        let again = server.respond(Some(b"n,,n=alice,r=abc"), &users, "server");
        assert!(fails(&again));
    }
}

/// CVE-2016-8741 and its kind: a server that ends early, or has another salt each time, tells who
/// there is.
#[test]
fn class_11_an_unknown_user_looks_like_a_wrong_password() {
    let users = file(&[("alice", "pencil")]);
    for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let ask = |name: &str| {
            let first = format!("n,,n={name},r=abc");
            let answer = exchange(mechanism).respond(Some(first.as_bytes()), &users, "server");
            challenge(&answer).to_owned()
        };
        let (known, unknown, other) = (ask("alice"), ask("mallory"), ask("trudy"));
        assert_eq!(unknown, ask("mallory"), "always the same salt");
        assert_ne!(unknown, other, "and each user another one");
        assert_eq!(known.len(), unknown.len());
        let iterations = |text: &str| text.rsplit_once(",i=").map(|(_, i)| i.to_owned());
        assert_eq!(iterations(&known), iterations(&unknown));
        for name in ["alice", "mallory"] {
            let mut server = exchange(mechanism);
            let first = format!("n,,n={name},r=abc");
            server.respond(Some(first.as_bytes()), &users, "server");
            let last = server.respond(Some(b"c=biws,r=abcserver,p=AAAA"), &users, "server");
            assert!(fails(&last));
        }
    }
    let plain = |message: &[u8]| exchange("PLAIN").respond(Some(message), &users, "server");
    for message in [&b"\0alice\0wrong"[..], b"\0mallory\0pencil"] {
        assert!(matches!(plain(message), Answer::Failure { user: Some(_) }));
    }
}

#[test]
fn a_stand_in_survives_a_restart_and_a_new_user() {
    let mut users = file(&[("alice", "pencil")]);
    let ask = |users: &sasl::Users| {
        let first = Some(&b"n,,n=mallory,r=abc"[..]);
        let answer = exchange("SCRAM-SHA-256").respond(first, users, "server");
        challenge(&answer).to_owned()
    };
    let before = ask(&users);
    users.add("bob", "pencil", [[1; 16]; 3]);
    let read = sasl::Users::parse(&users.to_string(), [77; 32]).unwrap();
    assert_eq!(ask(&read), before);
}

#[test]
fn nobody_is_in_an_empty_file() {
    let users = sasl::Users::new([1; 32]);
    let answer = exchange("PLAIN").respond(Some(b"\0alice\0pencil"), &users, "server");
    assert!(fails(&answer));
}
