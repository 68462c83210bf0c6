//! The program under the name of the incumbent's router.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use crate::harness::{CAUSEWAY, Directory, Port, signal};

fn qdrouterd(directory: &Directory, arguments: &[&str]) -> Output {
    let link = directory.path().join("qdrouterd");
    if !link.exists() {
        symlink(CAUSEWAY, &link).unwrap();
    }
    Command::new(link)
        .args(arguments)
        .current_dir(directory.path())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_command_line_is_the_incumbent_s() {
    let directory = Directory::new();
    let version = qdrouterd(&directory, &["-v"]);
    assert_eq!(
        (version.status.code(), version.stdout),
        (Some(0), b"1.19.0\n".to_vec())
    );
    assert_eq!(qdrouterd(&directory, &["--help"]).status.code(), Some(0));
    assert_eq!(
        qdrouterd(&directory, &["--nonsense"]).status.code(),
        Some(1)
    );
    let stray = qdrouterd(&directory, &["extra"]);
    assert_eq!(stray.status.code(), Some(1));
    assert!(stderr(&stray).starts_with("Unexpected arguments: extra\n"));
}

#[test]
fn a_bad_configuration_is_refused_in_known_words() {
    let directory = Directory::new();
    directory.write("A.conf", "listener {\n role: inter-router\n}\n");
    for arguments in [&["-c", "A.conf", "-I", "/x"][..], &["-d", "-c", "A.conf"]] {
        let output = qdrouterd(&directory, arguments);
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(
            said.contains("Exception: Cannot load configuration file "),
            "{said}"
        );
        assert!(
            said.contains("A.conf: role='standalone' not allowed to connect to"),
            "{said}"
        );
    }
}

#[test]
fn a_daemon_writes_its_process_id_and_ends_on_request() {
    let directory = Directory::new();
    let held = Port::new();
    let port = held.number();
    let log = directory.path().join("d.log");
    let text = format!(
        "listener {{\n host: 127.0.0.1\n port: {port}\n}}\nlog {{\n module: DEFAULT\n \
         outputFile: {}\n}}\n",
        log.display()
    );
    directory.write("d.conf", &text);
    let launched = qdrouterd(&directory, &["-d", "-c", "d.conf", "-P", "d.pid"]);
    assert_eq!(launched.status.code(), Some(0), "{}", stderr(&launched));
    // The launcher has come back: the router listens already.
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    let process: u32 = fs::read_to_string(directory.path().join("d.pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert_eq!(
        fs::read_link(format!("/proc/{process}/cwd")).unwrap(),
        Path::new("/")
    );
    // A second one cannot have the port, and its launcher knows.
    assert_eq!(
        qdrouterd(&directory, &["-d", "-c", "d.conf"]).status.code(),
        Some(1)
    );
    signal(process, "TERM");
    while TcpStream::connect(("127.0.0.1", port)).is_ok()
        || !fs::read_to_string(&log).unwrap().contains("Shut Down")
    {
        thread::sleep(Duration::from_millis(20));
    }
}
