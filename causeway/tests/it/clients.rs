//! The client verbs against a router: send, recv, stat, bench.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;

use serde_json::Value as Json;

use crate::harness::{CAUSEWAY, Port, Router, signal};

/// Runs a verb to its end; `URL` stands for the router's in its arguments.
fn run(router: &Router, arguments: &[&str]) -> Output {
    let url = format!("amqp://127.0.0.1:{}", router.port);
    let arguments = arguments
        .iter()
        .map(|argument| argument.replace("URL", &url));
    Command::new(CAUSEWAY).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Json {
    assert!(output.status.success(), "{}", err(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Starts a `recv` with these arguments.
fn recv(router: &Router, arguments: &[&str]) -> std::process::Child {
    let url = format!("amqp://127.0.0.1:{}", router.port);
    Command::new(CAUSEWAY)
        .args(["recv", "--url", &url])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn every_section_that_was_sent_is_shown() {
    let router = Router::start("");
    let receiver = recv(&router, &["q", "-n", "1", "--json"]);
    let sent = run(
        &router,
        &[
            "send",
            "URL/q",
            "hello",
            "--subject",
            "s",
            "-p",
            "k=v",
            "-p",
            "n:=5",
            "--durable",
            "--priority",
            "7",
            "--ttl",
            "5m",
            "--correlation-id",
            "c",
        ],
    );
    assert!(sent.status.success(), "{}", err(&sent));
    assert!(
        err(&sent).contains("1 message to q: 1 accepted"),
        "{}",
        err(&sent)
    );
    let message = json(&receiver.wait_with_output().unwrap());
    assert_eq!(message["body"], "hello");
    assert_eq!(message["properties"]["subject"], "s");
    assert_eq!(message["properties"]["correlation_id"], "c");
    assert_eq!(message["application_properties"]["k"], "v");
    assert_eq!(message["application_properties"]["n"], 5);
    assert_eq!(message["header"]["durable"], true);
    assert_eq!(message["header"]["priority"], 7);
}

#[test]
fn without_a_receiver_the_hint_says_what_is_missing() {
    let router = Router::start("");
    let sent = run(&router, &["send", "URL/nobody", "x", "--timeout", "100ms"]);
    assert_eq!(sent.status.code(), Some(1));
    assert!(
        err(&sent).contains("no credit to send to `nobody`"),
        "{}",
        err(&sent)
    );
    assert!(
        err(&sent).contains("start one (`causeway recv`)"),
        "{}",
        err(&sent)
    );
}

#[test]
fn a_message_nobody_took_is_no_success() {
    let router = Router::start("");
    let sent = run(
        &router,
        &["send", "--url", "URL", "nobody", "x", "--anonymous"],
    );
    assert_eq!(sent.status.code(), Some(1));
    assert!(
        err(&sent).contains("released: nobody took it"),
        "{}",
        err(&sent)
    );
    for (outcome, said) in [
        ("reject", "rejected"),
        ("release", "released"),
        ("modify", "modified"),
    ] {
        let receiver = recv(&router, &["q", "-n", "1", "--outcome", outcome]);
        let sent = run(&router, &["send", "URL/q", "x"]);
        assert_eq!(sent.status.code(), Some(1));
        assert!(err(&sent).contains(&format!("1 {said}")), "{}", err(&sent));
        assert_eq!(out(&receiver.wait_with_output().unwrap()), "x\n");
    }
}

#[test]
fn a_refused_address_says_why() {
    let router = Router::start("address {\n prefix: closed\n distribution: unavailable\n}");
    let sent = run(&router, &["send", "URL/closed/x", "x"]);
    assert_eq!(sent.status.code(), Some(1));
    assert!(
        err(&sent).contains("refuses to send to `closed/x`: amqp:not-found"),
        "{}",
        err(&sent)
    );
}

#[test]
fn lines_and_files_come_out_as_they_went_in() {
    let router = Router::start("");
    let lines: String = (0..2000).map(|number| format!("line {number}\n")).collect();
    let receiver = recv(&router, &["q", "-n", "2000", "--body"]);
    let sent = send_input(&router, &["q", "--file", "-", "--lines"], lines.as_bytes());
    assert!(sent.status.success(), "{}", err(&sent));
    assert_eq!(out(&receiver.wait_with_output().unwrap()), lines);

    let file: Vec<u8> = (0..3_000_000_u32)
        .map(|number| number.to_le_bytes()[1])
        .collect();
    let receiver = recv(&router, &["q", "-n", "1", "--body"]);
    // What is not read is not settled: a reader must be there while the file is sent.
    let (sent, received) = thread::scope(|scope| {
        let reader = scope.spawn(|| receiver.wait_with_output().unwrap().stdout);
        let sent = send_input(&router, &["q", "--file", "-"], &file);
        (sent, reader.join().unwrap())
    });
    assert!(sent.status.success(), "{}", err(&sent));
    assert!(
        received[..received.len() - 1] == file[..],
        "the file has changed on its way"
    );
}

/// Runs a `send` with this standard input.
fn send_input(router: &Router, arguments: &[&str], input: &[u8]) -> Output {
    let url = format!("amqp://127.0.0.1:{}", router.port);
    let mut sender = Command::new(CAUSEWAY)
        .args(["send", "--url", &url])
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    sender.stdin.take().unwrap().write_all(input).unwrap();
    sender.wait_with_output().unwrap()
}

#[test]
fn a_request_is_answered() {
    let router = Router::start("");
    let operation = [
        "-p",
        "operation=GET-TYPES",
        "-p",
        "type=org.amqp.management",
    ];
    let mut arguments = vec![
        "send",
        "--url",
        "URL",
        "$management",
        "x",
        "--reply",
        "--json",
    ];
    arguments.extend(["-p", "name=self"].iter().chain(&operation));
    let answer = json(&run(&router, &arguments));
    assert_eq!(answer["application_properties"]["statusCode"], 200);
    assert_eq!(answer["properties"]["correlation_id"], 0);
}

#[test]
fn receiving_ends_when_drained_interrupted_or_out_of_patience() {
    let router = Router::start("");
    let drained = run(&router, &["recv", "URL/q", "--drain"]);
    assert_eq!(
        (drained.status.code(), out(&drained).as_str()),
        (Some(0), "")
    );
    let late = run(&router, &["recv", "URL/q", "-n", "2", "--timeout", "100ms"]);
    assert_eq!(late.status.code(), Some(1));
    assert!(
        err(&late).contains("0 of 2 messages came from `q`"),
        "{}",
        err(&late)
    );

    let mut receiver = recv(&router, &["q"]);
    assert!(run(&router, &["send", "URL/q", "x"]).status.success());
    let mut printed = [0; 2];
    receiver
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut printed)
        .unwrap();
    signal(receiver.id(), "INT");
    assert_eq!(receiver.wait().unwrap().code(), Some(0));
}

#[test]
fn a_peer_that_is_no_router_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://{}/q", listener.local_addr().unwrap());
    let sender = Command::new(CAUSEWAY)
        .args(["send", &url, "x"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(listener.accept().unwrap());
    let sent = sender.wait_with_output().unwrap();
    assert_eq!(sent.status.code(), Some(1));
    assert!(
        err(&sent).contains("is this an AMQP 1.0 port"),
        "{}",
        err(&sent)
    );
    let nobody = Port::new();
    let url = format!("amqp://127.0.0.1:{}/q", nobody.number());
    let sent = Command::new(CAUSEWAY)
        .args(["send", &url, "x"])
        .output()
        .unwrap();
    assert!(
        err(&sent).contains("`causeway run` starts a router"),
        "{}",
        err(&sent)
    );
}

#[test]
fn frames_can_be_watched() {
    let router = Router::start("");
    let drained = run(&router, &["recv", "URL/q", "--drain", "--trace"]);
    for frame in [
        "-> SASL header",
        "<- [0] @open(16) [container-id=\"Tested\"",
        "drain=true",
    ] {
        assert!(err(&drained).contains(frame), "{}", err(&drained));
    }
    let bare = run(
        &router,
        &["recv", "URL/q", "--drain", "--trace", "--no-sasl"],
    );
    assert!(!err(&bare).contains("SASL header"), "{}", err(&bare));
}

#[test]
fn a_router_tells_of_itself() {
    let router = Router::start("");
    let mut receiver = recv(&router, &["some.address"]);
    assert!(
        run(&router, &["send", "URL/some.address", "x"])
            .status
            .success()
    );
    let text = out(&run(
        &router,
        &["stat", "--url", "URL", "-g", "-c", "-l", "-a"],
    ));
    for words in [
        "Router Id",
        "Tested",
        "anonymous-user",
        "some.address",
        "causeway-recv-",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    let router_row = json(&run(&router, &["stat", "--url", "URL", "--json"]));
    assert_eq!(router_row[0]["id"], "Tested");
    let both = json(&run(
        &router,
        &["stat", "links", "addresses", "--url", "URL", "--json"],
    ));
    let of = |table: &str, name: &str, value: &str| {
        both[table]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row[name] == value)
            .cloned()
    };
    assert_eq!(
        of("links", "owningAddr", "M0some.address").unwrap()["acceptedCount"],
        1
    );
    assert_eq!(
        of("addresses", "key", "M0some.address").unwrap()["deliveriesEgress"],
        1
    );
    let one = run(
        &router,
        &["stat", "links", "--url", "URL", "--json", "--limit", "1"],
    );
    assert_eq!(json(&one).as_array().unwrap().len(), 1);
    signal(receiver.id(), "TERM");
    assert!(receiver.wait().unwrap().success());
    let lost = run(
        &router,
        &[
            "stat",
            "--url",
            "URL",
            "-r",
            "nowhere",
            "--timeout",
            "100ms",
        ],
    );
    assert_eq!(lost.status.code(), Some(1));
    assert!(err(&lost).contains("router `nowhere`"), "{}", err(&lost));
}

#[test]
fn a_load_arrives_whole_and_in_order() {
    let router = Router::start("");
    let pid = router.child.id().to_string();
    let loads: [&[&str]; 6] = [
        &["--pairs", "3"],
        &[
            "--pairs",
            "5",
            "--connections",
            "2",
            "--size",
            "20k",
            "--credit",
            "7",
        ],
        &["--size", "1M"],
        &["--rate", "500", "--pairs", "2", "--burst", "3"],
        &["--size", "0"],
        &["--rate", "500", "--crowd", "30"],
    ];
    for load in loads {
        let common = [
            "bench",
            "--url",
            "URL",
            "--duration",
            "300ms",
            "--warm-up",
            "0",
            "--json",
        ];
        let mut arguments = common.to_vec();
        arguments.extend(["--pid", &pid].iter().chain(load));
        let result = json(&run(&router, &arguments));
        assert!(
            result["received"].as_u64().unwrap() > 0,
            "{load:?}: {result}"
        );
        for wrong in ["lost", "disordered", "rejected", "released", "modified"] {
            assert_eq!(result[wrong], 0, "{load:?}: {wrong} in {result}");
        }
        assert!(
            result["router"]["threads"].as_u64().unwrap() > 1,
            "{result}"
        );
        let crowd = result["crowd_seconds"].as_f64();
        assert_eq!(crowd.is_some(), load.contains(&"--crowd"), "{result}");
    }
}

#[test]
fn a_load_runs_without_a_router() {
    let held = Port::new();
    let port = format!("127.0.0.1:{}", held.number());
    let result = Command::new(CAUSEWAY)
        .args([
            "bench",
            "--direct-listen",
            &port,
            "--url",
            &port,
            "--pairs",
            "2",
        ])
        .args(["--duration", "200ms", "--warm-up", "0", "--json"])
        .output()
        .unwrap();
    let result = json(&result);
    assert!(result["received"].as_u64().unwrap() > 0, "{result}");
    assert_eq!(
        (&result["lost"], &result["disordered"]),
        (&Json::from(0), &Json::from(0))
    );
}

#[test]
fn two_routers_are_compared_in_turn() {
    let other = format!("'{CAUSEWAY}' run -c {{conf}}");
    let result = Command::new(CAUSEWAY)
        .args([
            "bench",
            "--compare",
            &other,
            "--rounds",
            "2",
            "--workers",
            "1",
        ])
        .args(["--duration", "100ms", "--warm-up", "0", "--json"])
        .output()
        .unwrap();
    let result = json(&result);
    assert_eq!(result["rounds"].as_array().unwrap().len(), 2, "{result}");
    let ratio = &result["ratios"]["other"]["throughput"];
    assert!(ratio["median"].as_f64().unwrap() > 0.0, "{result}");
    assert!(ratio["min"].as_f64() <= ratio["max"].as_f64(), "{result}");
    let failed = Command::new(CAUSEWAY)
        .args(["bench", "--compare", "echo no router here; false {conf}"])
        .output()
        .unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        err(&failed).contains("instead of listening"),
        "{}",
        err(&failed)
    );
    assert!(err(&failed).contains("no router here"), "{}", err(&failed));
}

#[test]
fn idle_connections_have_a_price() {
    let router = Router::start("");
    let pid = router.child.id().to_string();
    let arguments = [
        "bench",
        "--url",
        "URL",
        "--idle-connections",
        "50",
        "--json",
        "--pid",
        &pid,
    ];
    let cost = json(&run(&router, &arguments));
    assert_eq!(cost["idle_connections"], 50);
    assert!(
        cost["resident_bytes"]["before"].as_u64().unwrap() > 0,
        "{cost}"
    );
}
