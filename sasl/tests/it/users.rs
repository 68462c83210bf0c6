//! The text of a file of users.

use sasl::Users;

use crate::file;

#[test]
fn no_password_is_in_it() {
    let users = file(&[("alice", "correct horse"), ("bob@example.org", "battery")]);
    let text = users.to_string();
    assert!(!text.contains("horse") && !text.contains("battery"));
    assert!(!format!("{users:?}").contains("alice"));
    assert_eq!(
        users.names().collect::<Vec<_>>(),
        ["alice", "bob@example.org"]
    );
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("alice "))
            .count(),
        1
    );
}

#[test]
fn what_was_removed_is_gone_and_what_was_added_twice_is_there_once() {
    let mut users = file(&[("alice", "one"), ("bob", "two")]);
    assert!(!users.add("alice", "three", [[5; 16]; 3]), "not new");
    assert!(users.remove("bob") && !users.remove("bob"));
    assert_eq!(users.names().collect::<Vec<_>>(), ["alice"]);
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_its_line() {
    let good = file(&[("alice", "pencil")]).to_string();
    let line = good.lines().last().unwrap();
    let verifier = line.split(' ').nth(1).unwrap();
    let weak = verifier.replacen("$10000:", "$0:", 1);
    let slow = verifier.replacen("$10000:", "$4000000000:", 1);
    for (text, expected) in [
        ("alice\n".to_owned(), 1),
        ("# a comment\n\nalice pencil\n".to_owned(), 3),
        (format!("{good}{line}\n"), 4),
        (format!("*decoy AAAA\n{line}\n"), 1),
        (format!("*other {verifier}\n"), 1),
        (format!("al\u{ad}ice {verifier}\n"), 1),
        (format!("alice {weak}\n"), 1),
        (format!("alice {slow}\n"), 1),
        (format!("alice {}\n", &verifier[..verifier.len() - 4]), 1),
        (format!("alice {verifier} SCRAM-MD5$1:AA==$AA==:AA==\n"), 1),
    ] {
        let error = Users::parse(&text, [0; 32]).expect_err(&text);
        assert_eq!(error.line, expected, "{text}");
        assert!(!error.to_string().contains("SCRAM"), "{error}");
    }
}

#[test]
fn comments_and_empty_lines_are_no_users() {
    let text = format!("\n# nobody\n\n{}", file(&[("alice", "pencil")]));
    let users = Users::parse(&text, [0; 32]).unwrap();
    assert_eq!(users.names().collect::<Vec<_>>(), ["alice"]);
}
