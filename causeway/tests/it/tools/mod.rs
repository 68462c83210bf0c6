//! The tools of operators against a router, under the program's own name and under the incumbent's.

use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

use crate::harness::{CAUSEWAY, Directory, Router};

mod follow;
mod manage;
mod stat;

/// Runs a verb of the program, or another of its names, to its end; `URL` stands for the router's
/// in its arguments.
fn run(name: &str, router: &Router, arguments: &[&str]) -> Output {
    run_with(name, router.port, arguments, "")
}

/// The same at a router of this process, whose URL is given.
fn run_at(name: &str, url: &str, arguments: &[&str]) -> Output {
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    run_with(name, port, arguments, "")
}

/// The same with something on standard input.
fn run_with(name: &str, port: u16, arguments: &[&str], input: &str) -> Output {
    use std::io::Write as _;
    let directory = Directory::new();
    let link = directory.path().join(name);
    symlink(CAUSEWAY, &link).unwrap();
    let url = format!("amqp://127.0.0.1:{port}");
    let arguments = arguments.iter().map(|text| text.replace("URL", &url));
    let mut child = Command::new(link)
        .args(arguments)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who does not read its input may have gone.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Json {
    assert!(output.status.success(), "{}{}", out(output), err(output));
    serde_json::from_slice(&output.stdout).unwrap()
}
