//! The configuration file, read anew while the router runs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use amqp_codec::Value;
use causeway::config;
use management::client::Query;
use rcgen::{CertificateParams, KeyPair};

use crate::harness::{
    CAUSEWAY, Directory, PATIENCE, Port, Router, configuration, contains, start_configured,
    start_inside,
};
use crate::threats::exchange::wait_until;
use crate::threats::manager::Manager;
use crate::threats::peer::Peer;

/// One listener, with attributes, on a port.
pub(crate) fn listener(port: u16, attributes: &str) -> String {
    format!("listener {{\n host: 127.0.0.1\n port: {port}\n{attributes}}}\n")
}

pub(crate) const ANONYMOUS: &str = " saslMechanisms: ANONYMOUS\n";
pub(crate) const HEAD: &str = "router {\n id: Tested\n}\n";

/// A router with one listener on a port of its own, which is in the file, and more sections.
pub(crate) fn start(attributes: &str, more: &str) -> (Router, Port) {
    let port = Port::new();
    let text = format!("{HEAD}{}{more}", listener(port.number(), attributes));
    let router = Router::start_with(&text, &["--workers", "2"]);
    (router, port)
}

pub(crate) fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(str::to_owned)
        .collect()
}

pub(crate) fn is_refused(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains(words), "{words:?} in {said}");
    assert!(said.contains("nothing was changed"), "{said}");
}

#[test]
fn the_default_configuration_has_no_file_to_read() {
    let (router, log) = start_inside(&configuration(""), 1);
    router.handle().reload().recv().unwrap_err();
    log.flush();
    let texts: Vec<_> = log.recent(9).into_iter().map(|row| row.text).collect();
    let said = |text: &String| text.contains("no configuration file");
    assert!(texts.iter().any(said), "{texts:?}");
}

#[test]
fn what_changed_is_shown_and_in_force_and_the_rest_is_left_alone() {
    let (router, port) = start(ANONYMOUS, "address {\n prefix: old\n}\n");
    let text = |more: &str| format!("{HEAD}{}{more}", listener(port.number(), ANONYMOUS));
    router.rewrite(&text(
        "address {\n prefix: news\n distribution: multicast\n}\n\
         log {\n module: SERVER\n enable: debug+\n}\n",
    ));
    let expected = [
        "added address news: prefix=news, distribution=multicast",
        "added log SERVER: module=SERVER, enable=debug+",
        "removed address old",
    ];
    let mut checked = lines(&router.run(&["reload", "--check"]).stdout);
    assert_eq!(
        checked.pop().as_deref(),
        Some("3 changes would be in force")
    );
    assert_eq!(checked, expected);
    let mut done = lines(&router.run(&["reload"]).stdout);
    assert_eq!(done.pop().as_deref(), Some("3 changes in force"));
    assert_eq!(done, expected);
    // Both get it now.
    let receivers = [router.receive("news", 1), router.receive("news", 1)];
    for mut receiver in receivers {
        while receiver.try_wait().unwrap().is_none() {
            router.send("news", &["to all"]);
        }
    }
    assert_eq!(lines(&router.run(&["reload"]).stdout), ["no changes"]);
}

#[test]
fn a_reload_under_load_loses_nothing_and_refuses_nobody() {
    const LINES: u32 = 3000;
    let (mut router, port) = start(ANONYMOUS, "");
    let receiver = router.receive("q", LINES);
    let url = format!("amqp://127.0.0.1:{}/q", router.port);
    let mut sender = Command::new(CAUSEWAY);
    sender.args(["send", &url, "--file", "-", "--lines"]);
    let mut sender = sender.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = sender.stdin.take().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..LINES {
                writeln!(input, "{number}").unwrap();
                if number % 10 == 0 {
                    thread::sleep(Duration::from_millis(5));
                }
            }
            drop(input);
        });
        let newcomers = scope.spawn(|| {
            let mut came = 0;
            while !is_over.load(Ordering::Relaxed) {
                let mut stream = TcpStream::connect(("127.0.0.1", port.number())).unwrap();
                stream.write_all(b"AMQP\x03\x01\x00\x00").unwrap();
                let mut answer = [0; 8];
                stream.read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"AMQP\x03\x01\x00\x00");
                came += 1;
            }
            came
        });
        for round in 0..10 {
            let attributes = format!("{ANONYMOUS} idleTimeoutSeconds: {}\n", 30 + round);
            let level = ["debug+", "info+"][round % 2];
            router.rewrite(&format!(
                "{HEAD}{}address {{\n prefix: a{round}\n}}\n\
                 log {{\n module: ROUTER\n enable: {level}\n}}\n",
                listener(port.number(), &attributes)
            ));
            router.signal("HUP");
            router.wait_for("changes in force");
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(newcomers.join().unwrap() > 10);
    });
    assert!(sender.wait().unwrap().success());
    let received = lines(&receiver.wait_with_output().unwrap().stdout);
    let sent: Vec<String> = (0..LINES).map(|number| number.to_string()).collect();
    assert_eq!(received, sent);
}

#[test]
fn a_bad_file_changes_nothing_and_says_where() {
    let (mut router, port) = start(ANONYMOUS, "");
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap().port();
    let own = listener(port.number(), ANONYMOUS);
    let route = "linkRoute {\n prefix: q\n direction: in\n}\n";
    for (more, place, words) in [
        (
            "listener {\n prot: 1\n}\n".to_owned(),
            ":10:",
            "did you mean 'port'?",
        ),
        ("address {\n prefix: a\n".to_owned(), "router.conf:", ""),
        (listener(busy, ANONYMOUS), ":11:", "Address already in use"),
        (
            listener(1, ANONYMOUS).replace("127.0.0.1", "no.such.host.invalid"),
            ":10:",
            "cannot be found",
        ),
        (
            format!("{route}linkRoute {{\n pattern: a/#/#/b\n prefix: z\n direction: in\n}}\n"),
            "linkRoute",
            "",
        ),
        (
            "log {\n module: SERVER\n outputFile: /no/such/folder/log\n}\n".to_owned(),
            "router.conf",
            "/no/such/folder",
        ),
    ] {
        let text = format!("{HEAD}{own}{more}address {{\n prefix: new\n}}\n");
        router.rewrite(&text);
        let output = router.run(&["reload"]);
        is_refused(&output, place);
        is_refused(&output, words);
        router.wait_for("Reload: nothing was changed");
        let rows = router.run(&["stat", "addresses"]);
        assert!(rows.status.success());
    }
    // Had any part of those been taken, this would be another difference.
    router.rewrite(&format!("{HEAD}{own}"));
    assert_eq!(lines(&router.run(&["reload"]).stdout), ["no changes"]);
    let mut manager = Manager::start(&router);
    assert_eq!(addresses(&mut manager), [""; 0]);
    router.pass("q", "still here");
}

#[test]
fn what_cannot_change_while_it_runs_is_refused() {
    let (router, port) = start(ANONYMOUS, "");
    let own = listener(port.number(), ANONYMOUS);
    router.rewrite(&format!(
        "router {{\n id: Another\n workerThreads: 3\n}}\n{own}"
    ));
    let output = router.run(&["reload"]);
    is_refused(
        &output,
        "router.conf:2: router.id: it cannot change while the router runs (id Tested -> Another)",
    );
    is_refused(&output, "router.conf:3: router.workerThreads");
    is_refused(&output, "restart the router");
}

#[test]
fn a_listener_that_demands_more_lets_nobody_in_by_the_old_rule() {
    let (mut router, port) = start(ANONYMOUS, "");
    let mut old = Peer::opened(&router);
    let strict = " authenticatePeer: yes\n saslMechanisms: EXTERNAL\n";
    // A file that fails in another place leaves the door as it was, in either direction.
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = listener(busy.local_addr().unwrap().port(), ANONYMOUS);
    for (attributes, more, is_open) in [
        (strict, &*busy, true),
        (strict, "", false),
        (ANONYMOUS, &*busy, false),
        (ANONYMOUS, "", true),
    ] {
        router.rewrite(&format!(
            "{HEAD}{}{more}",
            listener(port.number(), attributes)
        ));
        router.signal("HUP");
        let line = router.wait_for("Reload: ");
        assert!(line.contains("Reading"), "{line}");
        router.wait_for(if more.is_empty() {
            "in force"
        } else {
            "nothing was changed"
        });
        let offered = mechanisms(port.number());
        assert_eq!(contains(&offered, b"ANONYMOUS"), is_open, "{offered:?}");
    }
    old.is_alive();
}

/// What a listener offers to who comes.
fn mechanisms(port: u16) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"AMQP\x03\x01\x00\x00").unwrap();
    let mut read = Vec::new();
    while read.len() < 12 || read.len() < 8 + usize::from(read[11]) {
        let mut chunk = [0; 512];
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0);
        read.extend_from_slice(&chunk[..count]);
    }
    read
}

#[test]
fn a_port_changes_hands_whatever_listener_had_it() {
    let (mut router, port) = start(ANONYMOUS, "");
    let own = listener(port.number(), ANONYMOUS);
    let everywhere = own.replace("127.0.0.1", "0.0.0.0");
    let named = own.replace("listener {\n", "listener {\n name: door\n");
    for text in [&everywhere, &named, &everywhere, &own] {
        router.rewrite(&format!("{HEAD}{text}"));
        router.signal("HUP");
        router.wait_for("changes in force");
        router.pass("q", "through");
    }
    let other = Port::new();
    router.rewrite(&format!("{HEAD}{}", listener(other.number(), ANONYMOUS)));
    router.signal("HUP");
    router.wait_for("changes in force");
    wait_until("nobody is let in", || {
        TcpStream::connect(("127.0.0.1", port.number())).is_err()
    });
    router.port = other.number();
    router.pass("q", "by another door");
}

#[test]
fn a_listener_that_goes_keeps_its_connections() {
    let kept = Port::new();
    let (mut router, port) = start(ANONYMOUS, &listener(kept.number(), ANONYMOUS));
    let mut connected = Peer::opened(&router);
    router.rewrite(&format!("{HEAD}{}", listener(kept.number(), ANONYMOUS)));
    router.signal("HUP");
    router.wait_for("Reload: 1 change in force");
    wait_until("nobody is let in", || {
        TcpStream::connect(("127.0.0.1", port.number())).is_err()
    });
    connected.is_alive();
}

#[test]
fn secrets_are_never_shown() {
    let (mut router, port) = start(ANONYMOUS, "");
    let own = listener(port.number(), ANONYMOUS);
    for password in ["hush-hush", "still-secret"] {
        router.rewrite(&format!(
            "{HEAD}{own}connector {{\n name: c\n host: 127.0.0.1\n port: 1\n \
             saslUsername: u\n saslPassword: {password}\n}}\n"
        ));
        let output = router.run(&["reload"]);
        let said = format!(
            "{}{}",
            lines(&output.stdout).join("\n"),
            lines(&output.stderr).join("\n")
        );
        assert!(said.contains("saslPassword"), "{said}");
        assert!(!said.contains(password), "{said}");
        router.wait_for("Reload: 1 change in force");
    }
    router.signal("TERM");
    router.wait();
    let log = router.log.join("\n");
    assert!(
        !log.contains("hush-hush") && !log.contains("still-secret"),
        "{log}"
    );
}

pub(crate) const ADDRESS: &str = "org.apache.qpid.dispatch.router.config.address";

/// The names of all configured addresses.
pub(crate) fn addresses(manager: &mut Manager) -> Vec<String> {
    let rows = manager.query(Query::new(ADDRESS, ["name"], None));
    let name = |row: &Vec<Value>| row[0].as_str().unwrap_or_default().to_owned();
    rows.iter().map(name).collect()
}

#[test]
fn what_requests_have_made_is_left_alone_unless_the_file_wants_it_too() {
    let (router, port) = start(ANONYMOUS, "address {\n name: filed\n prefix: f\n}\n");
    let own = listener(port.number(), ANONYMOUS);
    let mut manager = Manager::start(&router);
    let made = [("type", ADDRESS), ("name", "made")];
    assert_eq!(manager.change("CREATE", &made, &[("prefix", "m")]), 201);
    router.rewrite(&format!(
        "{HEAD}{own}address {{\n name: new\n prefix: n\n}}\n"
    ));
    assert!(router.run(&["reload"]).status.success());
    assert_eq!(addresses(&mut manager), ["made", "new"]);
    for taken in ["name: made\n prefix: x", "name: y\n prefix: m"] {
        router.rewrite(&format!("{HEAD}{own}address {{\n {taken}\n}}\n"));
        let output = router.run(&["reload"]);
        is_refused(&output, "router.conf:9: address: ");
        is_refused(&output, "management requests have made");
        assert_eq!(addresses(&mut manager), ["made", "new"]);
    }
}

#[test]
fn of_two_addresses_that_are_the_same_the_one_that_is_left_counts() {
    let one = |name: &str| format!("address {{\n name: {name}\n prefix: a\n}}\n");
    let (router, port) = start(ANONYMOUS, &(one("first") + &one("second")));
    let own = listener(port.number(), ANONYMOUS);
    let mut manager = Manager::start(&router);
    assert_eq!(addresses(&mut manager), ["first"]);
    router.rewrite(&format!("{HEAD}{own}{}", one("second")));
    let output = router.run(&["reload"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(addresses(&mut manager), ["second"]);
}

#[test]
fn a_file_that_cannot_be_read_changes_nothing() {
    let (mut router, _port) = start(ANONYMOUS, "");
    fs::remove_file(router.file()).unwrap();
    router.signal("HUP");
    router.wait_for("Configuration file could not be opened");
    router.wait_for("Reload: nothing was changed");
    router.pass("q", "still here");
}

#[test]
fn a_reload_that_waits_for_another_begins_when_that_is_done() {
    let files = Directory::new();
    let path = files.write("router.conf", &configuration(""));
    let (router, log) = start_configured(&config::load(&path).unwrap(), 1);
    let asked = [(); 3].map(|()| router.handle().reload());
    for done in asked {
        done.recv_timeout(PATIENCE).unwrap();
    }
    log.flush();
    let rows = log.recent(99).into_iter();
    let count = rows
        .filter(|row| row.text.contains("0 changes in force"))
        .count();
    assert_eq!(count, 3);
}

#[test]
fn the_log_says_who_has_asked_for_a_reload_that_is_in_force() {
    let (mut router, _port) = start(ANONYMOUS, "");
    assert!(router.run(&["reload", "--check"]).status.success());
    assert!(router.run(&["reload"]).status.success());
    let done = router.wait_for("Done: RELOAD");
    assert!(done.contains("by connection [C"), "{done}");
    let before = router.log.iter();
    let read = before
        .filter(|line| line.contains("Reload: Reading"))
        .count();
    assert_eq!(read, 1, "nothing is done by a check");
}

#[test]
fn connectors_go_with_their_connections_and_come_with_new_ones() {
    let remote = Router::start("");
    let (mut router, port) = start(ANONYMOUS, "");
    let own = listener(port.number(), ANONYMOUS);
    let connector = |more: &str| {
        format!(
            "connector {{\n name: c\n host: 127.0.0.1\n port: {}\n{more}}}\n",
            remote.port
        )
    };
    for (text, opened) in [
        (connector(""), true),
        (connector(" idleTimeoutSeconds: 40\n"), true),
        (String::new(), false),
    ] {
        router.rewrite(&format!("{HEAD}{own}{text}"));
        router.signal("HUP");
        router.wait_for("Reload: 1 change in force");
        if opened {
            router.wait_for("Connection Opened: dir=out");
        } else {
            router.wait_for("Connection Closed");
        }
    }
}

/// A certificate for this host that has signed itself, with its key.
pub(crate) fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    (certificate.clone() + &key.serialize_pem(), certificate)
}

#[test]
fn new_connections_get_the_certificate_that_the_file_names_now() {
    let files = Directory::new();
    let [one, two] = ["one", "two"].map(|name| {
        let (pem, trusted) = certificate();
        let pem = files.write(&format!("{name}.pem"), &pem);
        (pem, files.write(&format!("{name}-trusted.pem"), &trusted))
    });
    let bad = files.write("bad.pem", "no certificate\n");
    let port = Port::new();
    let text = |pem: &Path| {
        let secured = listener(port.number(), " sslProfile: p\n requireSsl: yes\n");
        let pem = pem.display();
        format!("{HEAD}{secured}sslProfile {{\n name: p\n certFile: {pem}\n}}\n")
    };
    let mut router = Router::start_with(&text(&one.0), &["--workers", "1"]);
    let url = format!("amqps://localhost:{}", port.number());
    let is_trusted_by = |file: &Path| {
        let mut command = Command::new(CAUSEWAY);
        command
            .args(["stat", "--url", &url, "--ssl-trustfile"])
            .arg(file);
        command.output().unwrap().status.success()
    };
    assert!(is_trusted_by(&one.1) && !is_trusted_by(&two.1));
    for (pem, said, is_two) in [
        (&bad, "nothing was changed", false),
        (&two.0, "1 change in force", true),
        (&bad, "nothing was changed", true),
    ] {
        router.rewrite(&text(pem));
        router.signal("HUP");
        router.wait_for(said);
        assert_eq!(
            [is_trusted_by(&one.1), is_trusted_by(&two.1)],
            [!is_two, is_two]
        );
    }
}
