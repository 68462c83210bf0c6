//! A running router between peers, good ones and others.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Command;

use crate::harness::{
    CAUSEWAY, Directory, HEADER, OPEN, Port, Router, configuration, listening_with, read_to_end,
    read_until,
};

#[test]
fn messages_pass_whatever_workers_their_peers_are_with() {
    for workers in ["1", "4"] {
        let router = Router::start_with(&configuration(""), &["--workers", workers]);
        for number in 0..4 {
            router.pass(&format!("q{number}"), &format!("body {number}"));
        }
    }
}

#[test]
fn many_messages_keep_their_order() {
    let router = Router::start("");
    let bodies: Vec<String> = (0..500).map(|number| format!("message {number}")).collect();
    let receiver = router.receive("q", 500);
    let sent = router.send("q", &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(
        sent.status.success(),
        "{}",
        String::from_utf8_lossy(&sent.stderr)
    );
    let received = receiver.wait_with_output().unwrap();
    let lines: Vec<_> = String::from_utf8(received.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(lines, bodies);
}

#[test]
fn nonsense_ends_its_own_connection_alone() {
    let mut router = Router::start("");
    let mut good = router.open();
    for nonsense in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"AMQP\0\0\x09\x01",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"AMQP\0\x01\0\0\xff\xff\xff\xff\x02\0\0\0",
        b"AMQP\0\x01\0\0\0\0\0\x01\x02\0\0\0",
    ] {
        let mut stream = router.connect();
        stream.write_all(nonsense).unwrap();
        read_to_end(&mut stream);
    }
    router.wait_for("failed: ");
    router.pass("q", "still here");
    // An empty frame is nothing to complain of: the good connection is as it was.
    good.write_all(b"\0\0\0\x08\x02\0\0\0").unwrap();
    good.write_all(b"\0\0\0\x0c\x02\0\0\0\0\x53\x18\x45")
        .unwrap();
    read_until(&mut good, b"\0\x53\x18");
}

#[test]
fn a_peer_that_sends_byte_by_byte_is_understood() {
    let router = Router::start("");
    let mut stream = router.connect();
    stream.set_nodelay(true).unwrap();
    for byte in HEADER.iter().chain(OPEN) {
        stream.write_all(&[*byte]).unwrap();
    }
    read_until(&mut stream, b"Tested");
}

#[test]
fn a_silent_peer_is_not_waited_for_for_ever() {
    let text = listening_with("initialHandshakeTimeoutSeconds: 1");
    let router = Router::start_with(&text, &[]);
    let mut stream = router.connect();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_router_out_of_files_goes_on_when_some_are_closed() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &format!("ulimit -n 48 && exec {CAUSEWAY} run --workers 2 \"$@\""),
        "sh",
    ]);
    let mut router = Router::start_by(command, &configuration(""));
    let streams: Vec<_> = (0..64).map(|_| router.connect()).collect();
    router.wait_for("rests: cannot accept connections: Too many open files");
    drop(streams);
    router.pass("q", "after the rest");
}

#[test]
fn a_connection_too_many_is_refused_until_one_has_gone() {
    let mut router = Router::start("policy {\n maxConnections: 2\n}\n");
    let (one, _two) = (router.open(), router.open());
    assert!(read_to_end(&mut router.connect()).is_empty());
    router.wait_for("POLICY (info) DENY Connection '127.0.0.1:");
    drop(one);
    router.wait_for("Connection Closed");
    router.open();
}

#[test]
fn who_asks_by_the_environment_has_every_frame_on_standard_error() {
    let mut command = Command::new(CAUSEWAY);
    command.arg("run").env("PN_TRACE_FRM", "1");
    let mut router = Router::start_by(command, &configuration(""));
    let stream = router.open();
    for line in [
        "[C1]:  <- AMQP",
        "[C1]:  -> AMQP",
        "[C1]:0 <- @open(16) [container-id=\"test\"]",
        "[C1]:0 -> @open(16) [container-id=\"Tested\", ",
    ] {
        let told = router.wait_for(line);
        assert!(told.starts_with(line), "{told}");
    }
    drop(stream);
}

#[test]
fn the_log_goes_where_it_is_told() {
    let directory = Directory::new();
    let (all, frames) = (
        directory.path().join("all.log"),
        directory.path().join("frames.log"),
    );
    let more = format!(
        "log {{\n module: SERVER\n outputFile: {}\n includeTimestamp: no\n}}\n\
         log {{\n module: PROTOCOL\n enable: trace+\n includeSource: yes\n outputFile: {}\n}}\n\
         log {{\n module: ROUTER_CORE\n enable: none\n}}\n",
        all.display(),
        frames.display(),
    );
    let held = Port::new();
    let port = held.number();
    let text = format!("listener {{\n host: 127.0.0.1\n port: {port}\n}}\n");
    let file = directory.write(
        "router.conf",
        &format!("router {{\n id: Tested\n}}\n{text}{more}"),
    );
    let mut command = Command::new(CAUSEWAY);
    let mut child = command.args(["run", "-c"]).arg(file).spawn().unwrap();
    let mut stream = loop {
        if let Ok(stream) = std::net::TcpStream::connect(("127.0.0.1", port)) {
            break stream;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    stream.write_all(HEADER).unwrap();
    stream.write_all(OPEN).unwrap();
    read_until(&mut stream, b"Tested");
    crate::harness::signal(child.id(), "TERM");
    assert!(child.wait().unwrap().success());
    let all = fs::read_to_string(all).unwrap();
    assert!(
        all.lines()
            .any(|line| line == format!("SERVER (notice) Listening on 127.0.0.1:{port}"))
    );
    let frames = fs::read_to_string(frames).unwrap();
    assert!(
        frames.contains(" PROTOCOL (trace) [C1]:FRAME:   <- AMQP (causeway/src/"),
        "{frames}"
    );
    assert!(
        frames.contains("[C1]:FRAME: 0 <- @open(16) [container-id=\"test\"]"),
        "{frames}"
    );
    assert!(
        frames.contains("[C1]:FRAME: 0 -> @open(16) [container-id=\"Tested\", "),
        "{frames}"
    );
}
