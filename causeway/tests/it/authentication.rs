//! Users, mechanisms and who gets in, through the program.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

use crate::harness::{CAUSEWAY, Directory, Router, contains};

const MECHANISMS: [&str; 4] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"];

pub(crate) fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(CAUSEWAY);
    command.args(arguments).stdin(Stdio::null());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Gives a user a password, as somebody would who pipes it in.
pub(crate) fn add(file: &Path, user: &str, password: &str) -> Output {
    let mut command = Command::new(CAUSEWAY);
    command.args(["user", "add", user, "--file"]).arg(file);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{password}").unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// A router whose one listener lets in the users of a file, by these mechanisms.
pub(crate) fn strict(file: &Path, mechanisms: &str) -> String {
    format!(
        "router {{\n id: Tested\n saslUserFile: {}\n}}\nlistener {{\n host: 127.0.0.1\n port: 0\n \
         authenticatePeer: yes\n saslMechanisms: {mechanisms}\n \
         allowInsecureAuthentication: yes\n}}\n",
        file.display()
    )
}

fn start(file: &Path, mechanisms: &str) -> Router {
    Router::start_with(&strict(file, mechanisms), &["--workers", "2"])
}

/// Asks a router for its connections, as somebody.
fn connections(router: &Router, user: &str, password: &str, mechanisms: &str) -> Output {
    let url = format!("amqp://{user}:{password}@127.0.0.1:{}", router.port);
    run(&[
        "stat",
        "-c",
        "--json",
        "--url",
        &url,
        "--sasl-mechanisms",
        mechanisms,
    ])
}

#[test]
fn users_are_added_listed_and_removed() {
    let directory = Directory::new();
    let file = directory.path().join("users");
    let name = file.to_str().unwrap();
    assert!(add(&file, "bob", "builder").status.success());
    let secret = directory.write("secret", "correct horse\n");
    let added = run(&[
        "user",
        "add",
        "alice",
        "--password-file",
        secret.to_str().unwrap(),
        "--file",
        name,
    ]);
    assert_eq!(text(&added.stdout), "alice added\n");
    let again = add(&file, "alice", "another");
    assert_eq!(text(&again.stdout), "alice has a new password\n");
    let listed = run(&["user", "list", "--file", name]);
    assert_eq!(text(&listed.stdout), "alice\nbob\n");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read(&file).unwrap();
    for password in ["builder", "correct horse", "another"] {
        assert!(!contains(&kept, password.as_bytes()), "{password}");
    }
    let removed = run(&["user", "remove", "bob", "--file", name]);
    assert_eq!(text(&removed.stdout), "bob removed\n");
    let removed = run(&["user", "remove", "bob", "--file", name]);
    assert!(!removed.status.success());
    assert!(text(&removed.stderr).contains("there is no user `bob`"));
    let listed = run(&["user", "list", "--file", name]);
    assert_eq!(text(&listed.stdout), "alice\n");
}

#[test]
fn a_password_is_no_argument_and_no_empty_text() {
    let directory = Directory::new();
    let file = directory.path().join("users");
    let name = file.to_str().unwrap();
    for arguments in [
        &["user", "add", "alice", "secret", "--file", name][..],
        &[
            "user",
            "add",
            "alice",
            "--password",
            "secret",
            "--file",
            name,
        ],
        &["user", "add", "alice", "--file", name],
        &["user", "add", "al ice", "--file", name],
        &["user", "list", "--file", name],
    ] {
        let output = run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(!file.exists(), "{arguments:?}");
    }
}

#[test]
fn every_mechanism_lets_in_who_knows_the_password_and_nobody_else() {
    let directory = Directory::new();
    let file = directory.path().join("users");
    add(&file, "alice", "pencil");
    let mut router = start(&file, &MECHANISMS.join(" "));
    for mechanism in MECHANISMS {
        let answer = connections(&router, "alice", "pencil", mechanism);
        assert!(answer.status.success(), "{}", text(&answer.stderr));
        let rows: Json = serde_json::from_slice(&answer.stdout).unwrap();
        let shown = rows.to_string();
        assert!(shown.contains("\"user\":\"alice\""), "{shown}");
        assert!(
            shown.contains(&format!("\"sasl\":\"{mechanism}\"")),
            "{shown}"
        );
        assert!(shown.contains("\"isAuthenticated\":true"), "{shown}");
        for (user, password) in [("alice", "pen"), ("mallory", "pencil")] {
            let answer = connections(&router, user, password, mechanism);
            assert!(!answer.status.success());
            let said = text(&answer.stderr);
            let expected = format!("Authentication failed [mech={mechanism}]");
            assert!(said.contains(&expected), "{said}");
            let words = format!("client [mech={mechanism}] [user={user}]");
            let line = router.wait_for(&words);
            assert!(line.contains("failed: amqp:unauthorized-access"), "{line}");
            assert!(line.contains("Connection from 127.0.0.1:"), "{line}");
        }
    }
    assert!(!router.log.iter().any(|line| line.contains("pencil")));
    let nobody = run(&[
        "stat",
        "--url",
        &format!("amqp://127.0.0.1:{}", router.port),
    ]);
    assert!(!nobody.status.success());
}

#[test]
fn the_strongest_mechanism_is_used_unasked() {
    let directory = Directory::new();
    let file = directory.path().join("users");
    add(&file, "alice", "pencil");
    for (mechanisms, expected) in [
        ("PLAIN SCRAM-SHA-1 SCRAM-SHA-512", Some("SCRAM-SHA-512")),
        ("PLAIN SCRAM-SHA-1", Some("SCRAM-SHA-1")),
        // A password is not shown to whoever hides the better mechanisms.
        ("PLAIN", None),
    ] {
        let router = start(&file, mechanisms);
        let url = format!("amqp://alice:pencil@127.0.0.1:{}", router.port);
        let answer = run(&["stat", "-c", "--json", "--url", &url]);
        match expected {
            Some(mechanism) => {
                let shown = text(&answer.stdout);
                assert!(
                    shown.contains(mechanism),
                    "{shown} {}",
                    text(&answer.stderr)
                );
            }
            None => assert!(text(&answer.stderr).contains("password in clear only")),
        }
    }
}

#[test]
fn a_user_comes_and_goes_without_a_restart() {
    let directory = Directory::new();
    let file = directory.path().join("users");
    let mut router = start(&file, "SCRAM-SHA-256");
    let try_ = |password: &str| {
        let answer = connections(&router, "alice", password, "SCRAM-SHA-256");
        answer.status.success()
    };
    assert!(!try_("pencil"), "there is no file yet");
    add(&file, "alice", "pencil");
    assert!(try_("pencil"));
    add(&file, "alice", "crayon");
    assert!(try_("crayon") && !try_("pencil"));
    // Half a file changes nothing.
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{good}bob SCRAM-SHA-256$1\n")).unwrap();
    assert!(try_("crayon"));
    std::fs::write(&file, &good).unwrap();
    let name = file.to_str().unwrap();
    run(&["user", "remove", "alice", "--file", name]);
    assert!(!try_("crayon"));
    router.wait_for("Unable to open user file ");
    router.wait_for("the users stay as they were");
}

#[test]
fn a_connector_authenticates() {
    let directory = Directory::new();
    let file = directory.path().join("users");
    add(&file, "router-b", "between us");
    let secret = directory.write("secret", "between us\n");
    let a = start(&file, "SCRAM-SHA-256 PLAIN");
    let connector = |password: &str, more: &str| {
        format!(
            "connector {{\n name: up\n host: 127.0.0.1\n port: {}\n role: route-container\n \
             saslUsername: router-b\n saslPassword: {password}\n{more}}}\n",
            a.port
        )
    };
    let in_file = connector(&format!("file:{}", secret.display()), "");
    let mut b = Router::start(&in_file);
    let line = b.wait_for("Connection Opened: dir=out");
    assert!(line.contains("auth=SCRAM-SHA-256 user=router-b"), "{line}");
    let url = format!("amqp://127.0.0.1:{}", b.port);
    let mut wrong = Router::start(&connector("wrong", ""));
    let line = wrong.wait_for("failed: ");
    assert!(
        line.contains("Authentication failed [mech=SCRAM-SHA-256]"),
        "{line}"
    );
    let shown = text(&run(&["stat", "--connectors", "--json", "--url", &url]).stdout);
    assert!(!shown.contains("between us"), "{shown}");
    let mut lost = Router::start(&connector("file:/no/such/file", ""));
    lost.wait_for("CONN_MGR (error) Unable to open password file /no/such/file, error: No such");
    let line = lost.wait_for("failed: amqp:unauthorized-access");
    assert!(
        line.contains("Authentication failed [mech=SCRAM-SHA-256]"),
        "{line}"
    );
    let mut plain = Router::start(&connector("wrong", " saslMechanisms: PLAIN\n"));
    let line = plain.wait_for("failed: ");
    assert!(line.contains("password in clear only"), "{line}");
    assert!(!b.log.iter().any(|line| line.contains("between us")));
}

#[test]
fn plain_is_offered_in_clear_only_where_that_was_said() {
    let directory = Directory::new();
    let file = directory.path().join("users");
    add(&file, "alice", "pencil");
    let text_ =
        strict(&file, "PLAIN SCRAM-SHA-1").replace("Authentication: yes", "Authentication: no");
    let router = Router::start_with(&text_, &["--workers", "1"]);
    let answer = connections(&router, "alice", "pencil", "PLAIN");
    let said = text(&answer.stderr);
    assert!(
        said.contains("offers no mechanism that will do, but 'SCRAM-SHA-1'"),
        "{said}"
    );
}
