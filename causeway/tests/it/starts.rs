//! How a router starts, or says why it does not.

use std::net::TcpListener;
use std::process::{Command, Output};

use crate::harness::{CAUSEWAY, Directory, Router, configuration};

/// What a verb says of a configuration, run in the directory of the file.
fn say(verb: &[&str], name: &str, text: &str) -> (Output, String) {
    let directory = Directory::new();
    directory.write(name, text);
    let mut command = Command::new(CAUSEWAY);
    let output = command
        .args(verb)
        .arg(name)
        .current_dir(directory.path())
        .output()
        .unwrap();
    let mut said = String::from_utf8(output.stdout.clone()).unwrap();
    said.push_str(&String::from_utf8(output.stderr.clone()).unwrap());
    (output, said)
}

#[test]
fn every_error_of_a_configuration_is_told_and_nothing_starts() {
    let text = "router {\n mode: edge\n}\nlistener {\n prot: 5672\n}\nsslProfile {\n \
                name: p\n keyFile: none.pem\n}\n";
    for verb in [&["run", "-c"][..], &["check"]] {
        let (output, said) = say(verb, "bad.conf", text);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for begins in [
            "bad.conf:2: router.mode: ",
            "bad.conf:5: listener.prot: ",
            "bad.conf:9: sslProfile.privateKeyFile: ",
        ] {
            assert!(
                said.lines().any(|line| line.starts_with(begins)),
                "{begins}: {said}"
            );
        }
        assert!(!said.contains("Listening"), "{said}");
    }
}

#[test]
fn a_missing_file_is_told() {
    let output = Command::new(CAUSEWAY)
        .args(["run", "-c", "/nonexistent/r.conf"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("/nonexistent/r.conf: Configuration file could not be"),
        "{said}"
    );
}

#[test]
fn a_check_says_what_is_left_open() {
    let (output, said) = say(&["check"], "good.conf", "listener {\n port: 5672\n}\n");
    assert!(output.status.success());
    assert!(
        said.contains("left open: listener :5672: listening on all interfaces"),
        "{said}"
    );
    assert!(said.contains("no authentication"), "{said}");
    let (output, said) = say(&["check"], "good.json", "[[\"router\", {\"id\": \"A\"}]]");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("no doors left open"), "{said}");
}

#[test]
fn as_many_workers_run_as_the_configuration_or_the_command_line_says() {
    let text = configuration("").replace("id: Tested", "id: Tested\n workerThreads: 3");
    for (options, expected) in [(&[][..], 3), (&["--workers", "1"], 1)] {
        let log = Router::start_with(&text, options).log.join("\n");
        let words = format!("Operational, {expected} Threads Running");
        assert!(log.contains(&words), "{log}");
    }
}

#[test]
fn the_start_is_logged_with_every_open_door() {
    let mut router = Router::start("");
    let log = router.log.join("\n");
    for words in [
        "SERVER (info) Container Name: Tested",
        "ROUTER (info) Router started in Standalone mode",
        "CONN_MGR (info) Configured Listener: 127.0.0.1:0 proto=any, role=normal",
        "SERVER (notice) Operational, 2 Threads Running (process ID ",
        "SERVER (notice) Left open: listener 127.0.0.1:0: no authentication",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let stamp = router.log[0].split(" SERVER").next().unwrap();
    let shape: String = stamp
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    assert_eq!(shape.replace('-', "+"), "9999+99+99 99:99:99.999999 +9999");
    router.signal("TERM");
    assert!(router.wait().success());
}

#[test]
fn a_listener_that_cannot_be_opened_ends_the_router() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let text = format!("listener {{\n host: 127.0.0.1\n port: {port}\n}}\n");
    let (output, said) = say(&["run", "-c"], "busy.conf", &text);
    assert_eq!(output.status.code(), Some(1));
    let at = format!("127.0.0.1:{port}");
    for words in [
        format!(
            "SERVER (error) Listener error on {at}: Address already in use - listen on {at} \
             (proton:io)"
        ),
        format!("SERVER (critical) Shutting down, required listener failed {at}"),
    ] {
        assert!(said.contains(&words), "{said}");
    }
}

#[test]
fn a_log_file_that_cannot_be_opened_ends_the_router() {
    let text = configuration("log {\n module: DEFAULT\n outputFile: /nonexistent/dir/x.log\n}\n");
    let (output, said) = say(&["run", "-c"], "log.conf", &text);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("Failed to open log file '/nonexistent/dir/x.log'"),
        "{said}"
    );
}

#[test]
fn an_address_that_cannot_be_is_left_out_and_told() {
    let more = "address {\n prefix: a/b\n}\naddress {\n prefix: a.b\n}\n";
    let mut router = Router::start(more);
    let log = router.log.join("\n");
    assert!(
        log.contains("ROUTER (warning) Ignoring configured address on line 12: "),
        "{log}"
    );
    router.signal("TERM");
    assert!(router.wait().success());
}
