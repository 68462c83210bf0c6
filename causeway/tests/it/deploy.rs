//! The files of examples/deploy: what they name exists, and what they run works.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::{CAUSEWAY, Directory, PATIENCE, Port, Router, configuration};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy")
}

fn file(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// The number behind a word.
fn number(text: &str, word: &str) -> u64 {
    let rest = text.split(word).nth(1).unwrap().trim_start();
    let digits = rest.split(|character: char| !character.is_ascii_digit());
    digits.into_iter().next().unwrap().parse().unwrap()
}

#[test]
fn the_configuration_is_good_and_its_time_to_drain_is_shorter_than_that_to_stop() {
    let checked = Command::new(CAUSEWAY)
        .arg("check")
        .arg(folder().join("causeway.conf"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let drain = number(&file("causeway.conf"), "drainSeconds:");
    assert!(drain < number(&file("causeway.service"), "TimeoutStopSec="));
    assert!(drain < number(&file("Containerfile"), "--stop-timeout"));
}

#[test]
fn the_commands_of_the_unit_and_of_the_container_are_those_of_the_program() {
    let directory = Directory::new();
    let port = Port::new();
    let text = file("causeway.conf").replace("5672", &port.number().to_string());
    // What is for health may have any port.
    let text = text.replace("8672", "0");
    let own = directory.write("causeway.conf", &text.replace("0.0.0.0", "127.0.0.1"));
    let own = own.to_str().unwrap();
    let unit = file("causeway.service");
    let run = |line: &str| {
        let line = line.replace("/etc/causeway/causeway.conf", own);
        let mut words = line.split(' ').map(str::to_owned);
        assert_eq!(words.next().as_deref(), Some("/usr/local/bin/causeway"));
        words.collect::<Vec<_>>()
    };
    let of_unit = |key: &str| {
        let mut lines = unit.lines();
        run(lines.find_map(|line| line.strip_prefix(key)).unwrap())
    };
    let checked = Command::new(CAUSEWAY)
        .args(of_unit("ExecStartPre="))
        .output();
    assert!(checked.unwrap().status.success());
    let mut command = Command::new(CAUSEWAY);
    let socket = directory.path().join("notify");
    let service = UnixDatagram::bind(&socket).unwrap();
    service.set_read_timeout(Some(PATIENCE)).unwrap();
    command
        .args(of_unit("ExecStart="))
        .env("NOTIFY_SOCKET", &socket);
    let mut child = command.spawn().unwrap();
    assert_eq!(said(&service), "READY=1");
    // The container asks after its health by the words in brackets behind CMD.
    let container = file("Containerfile");
    let health = container.split("HEALTHCHECK").nth(1).unwrap();
    let words = health.split('[').nth(1).unwrap().split(']').next().unwrap();
    let words = words.replace("5672", &port.number().to_string());
    let words: Vec<String> = words
        .split(',')
        .map(|word| word.trim().trim_matches('"').to_owned())
        .collect();
    assert_eq!(words[0], "causeway");
    assert!(
        Command::new(CAUSEWAY)
            .args(&words[1..])
            .output()
            .unwrap()
            .status
            .success()
    );
    assert!(unit.contains("ExecReload=/bin/kill -HUP $MAINPID"));
    crate::harness::signal(child.id(), "HUP");
    assert_eq!(said(&service), "RELOADING=1");
    assert_eq!(said(&service), "READY=1");
    crate::harness::signal(child.id(), "TERM");
    assert_eq!(said(&service), "STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let words = container.split("CMD [\"run\"").nth(1).unwrap();
    assert!(words.contains("\"--config\", \"/etc/causeway/causeway.conf\""));
    assert!(container.contains("\nUSER causeway\n"));
}

#[test]
fn the_service_manager_hears_of_what_is_asked_for_over_amqp() {
    let directory = Directory::new();
    let socket = directory.path().join("notify");
    let service = UnixDatagram::bind(&socket).unwrap();
    service.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(CAUSEWAY);
    command.arg("run").env("NOTIFY_SOCKET", &socket);
    let mut router = Router::start_by(command, &configuration(""));
    assert_eq!(said(&service), "READY=1");
    assert!(router.run(&["reload", "--check"]).status.success());
    assert!(router.run(&["reload"]).status.success());
    assert_eq!(said(&service), "RELOADING=1");
    assert_eq!(said(&service), "READY=1");
    assert!(router.run(&["drain"]).status.success());
    assert_eq!(said(&service), "STOPPING=1");
    assert_eq!(router.wait().code(), Some(0));
}

fn said(service: &UnixDatagram) -> String {
    let mut said = [0; 256];
    let count = service.recv(&mut said).unwrap();
    String::from_utf8_lossy(&said[..count]).into_owned()
}

#[test]
fn a_router_without_a_service_manager_runs_all_the_same() {
    let mut command = Command::new(CAUSEWAY);
    command.arg("run").env("NOTIFY_SOCKET", "/no/such/socket");
    let mut router = Router::start_by(command, &configuration(""));
    std::thread::sleep(Duration::from_millis(1));
    router.signal("TERM");
    assert_eq!(router.wait().code(), Some(0));
}
