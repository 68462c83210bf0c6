//! Routers as parts of a program.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use causeway::log::Log;
use causeway::{End, Router};

use crate::harness::{contains, read_to_end, start_inside};

fn start(id: &str, listener: &str) -> (Router, Log) {
    let text = format!("router {{\n id: {id}\n}}\nlistener {{\n{listener}\n}}\n");
    start_inside(&text, 1)
}

/// Connects far enough for the router to have answered.
fn greet(to: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(b"AMQP\x03\x01\x00\x00").unwrap();
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"AMQP\x03\x01\x00\x00");
    stream
}

const ANY_PORT: &str = " name: door\n host: 127.0.0.1\n port: 0\n";

#[test]
fn two_routers_live_side_by_side_with_a_log_each() {
    let (first, first_log) = start("First", ANY_PORT);
    let (second, second_log) = start("Second", ANY_PORT);
    assert_eq!((first.id(), second.id()), ("First", "Second"));
    assert_eq!(first.listening()[0].name, "door");
    greet(first.listening()[0].address);
    first.handle().stop();
    assert_eq!(first.wait(), End::Stopped);
    greet(second.listening()[0].address);
    assert!(!second.has_ended());
    drop(second);
    for (log, id) in [(first_log, "First"), (second_log, "Second")] {
        log.flush();
        let texts: Vec<_> = log.recent(100).into_iter().map(|row| row.text).collect();
        for said in [&*format!("Container Name: {id}"), "Shut Down"] {
            assert!(texts.iter().any(|text| text == said), "{texts:?}");
        }
    }
}

#[test]
fn a_killed_router_says_no_word() {
    let (router, _log) = start("Killed", ANY_PORT);
    let place = router.listening()[0].address;
    let mut stream = greet(place);
    router.handle().kill();
    assert_eq!(router.wait(), End::Killed);
    assert!(!contains(
        &read_to_end(&mut stream),
        b"amqp:connection:forced"
    ));
    assert!(TcpStream::connect(place).is_err());
}

#[test]
fn a_router_whose_port_is_taken_does_not_start() {
    let (router, _log) = start("Owner", ANY_PORT);
    let port = router.listening()[0].address.port();
    let (other, log) = start("Late", &format!(" host: 127.0.0.1\n port: {port}\n"));
    assert!(!other.has_started());
    assert!(other.listening().is_empty());
    assert_eq!(other.wait(), End::RequiredListener);
    log.flush();
    let rows = log.recent(100);
    assert!(
        rows.iter()
            .any(|row| row.text.contains("Address already in use"))
    );
}
