//! How a router ends.

use std::os::unix::process::ExitStatusExt as _;

use crate::harness::{Router, contains, read_to_end};

#[test]
fn a_request_to_terminate_closes_connections_with_a_reason() {
    for signal in ["TERM", "QUIT"] {
        let mut router = Router::start("");
        let mut stream = router.open();
        router.signal(signal);
        let last_words = read_to_end(&mut stream);
        assert!(contains(&last_words, b"amqp:connection:forced"));
        drop(stream);
        assert_eq!(router.wait().code(), Some(0));
        assert!(
            router
                .log
                .iter()
                .any(|line| line.ends_with("SERVER (notice) Shut Down"))
        );
    }
}

#[test]
fn an_interrupt_ends_the_process_by_the_signal() {
    let mut router = Router::start("");
    router.signal("INT");
    assert_eq!(router.wait().signal(), Some(2));
}

#[test]
fn a_hang_up_ends_nothing() {
    let mut router = Router::start("");
    router.signal("HUP");
    router.wait_for("SIGHUP ignored");
    router.pass("q", "still here");
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn what_is_in_flight_may_settle_before_the_end() {
    let mut router = Router::start("");
    let receiver = router.receive("q", 200);
    let bodies: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let sent = router.send("q", &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(sent.status.success());
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(0));
    let received = receiver.wait_with_output().unwrap();
    assert_eq!(
        received
            .stdout
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count(),
        200
    );
}
