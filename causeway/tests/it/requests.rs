//! The configuration file, read anew beside what management requests have made and deleted.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use amqp_codec::Value;
use management::client::Query;

use crate::harness::{CAUSEWAY, Directory, Port, Router};
use crate::reloads::{
    ADDRESS, ANONYMOUS, HEAD, addresses, certificate, is_refused, lines, listener, start,
};
use crate::threats::manager::Manager;

const PROFILE: &str = "org.apache.qpid.dispatch.sslProfile";
const SERVICE: &str = "org.apache.qpid.dispatch.authServicePlugin";
const LISTENER: &str = "org.apache.qpid.dispatch.listener";

fn delete(manager: &mut Manager, of: &str, name: &str) {
    let asked = [("type", of), ("name", name)];
    assert_eq!(manager.change("DELETE", &asked, &[]), 204, "{of} {name}");
}

/// Reads the file anew, which succeeds; what it says.
fn reload(router: &Router) -> Vec<String> {
    let output = router.run(&["reload"]);
    assert!(output.status.success(), "{output:?}");
    lines(&output.stdout)
}

/// Whether the router can be asked by TLS by who trusts what is in a file.
fn is_secured(port: u16, trusted: &Path) -> bool {
    let url = format!("amqps://localhost:{port}");
    let mut command = Command::new(CAUSEWAY);
    command.args(["stat", "--url", &url, "--ssl-trustfile"]);
    command.arg(trusted).output().unwrap().status.success()
}

#[test]
fn what_needs_a_profile_that_a_request_has_deleted_is_refused_before_anything_changes() {
    let files = Directory::new();
    let (pem, trusted) = certificate();
    let pem = files.write("p.pem", &pem);
    let trusted = files.write("trusted.pem", &trusted);
    let [own, port] = [Port::new(), Port::new()];
    let file = |seconds: u32, mechanisms: &str| {
        let secured = format!(
            " name: secured\n sslProfile: p\n requireSsl: yes\n idleTimeoutSeconds: {seconds}\n"
        );
        format!(
            "{HEAD}{}{}sslProfile {{\n name: p\n certFile: {}\n}}\n",
            listener(own.number(), mechanisms),
            listener(port.number(), &secured),
            pem.display()
        )
    };
    let router = Router::start_with(&file(16, ANONYMOUS), &["--workers", "1"]);
    let mut manager = Manager::start(&router);
    delete(&mut manager, PROFILE, "p");
    // What it was used for goes on with it, and so may the rest of the file.
    router.rewrite(&file(
        16,
        " saslMechanisms: ANONYMOUS\n idleTimeoutSeconds: 30\n",
    ));
    assert_eq!(reload(&router).len(), 2);
    assert!(is_secured(port.number(), &trusted));
    router.rewrite(&file(40, ANONYMOUS));
    let output = router.run(&["reload"]);
    is_refused(&output, "There is no sslProfile of the name 'p'");
    is_refused(&output, "a management request has deleted it");
    assert!(is_secured(port.number(), &trusted));
    // As it was told to do.
    let pem = pem.display().to_string();
    let made = [("type", PROFILE), ("name", "p")];
    assert_eq!(manager.change("CREATE", &made, &[("certFile", &pem)]), 201);
    assert_eq!(reload(&router).len(), 3);
    assert!(is_secured(port.number(), &trusted));
}

#[test]
fn what_needs_a_service_that_a_request_has_deleted_is_refused_before_anything_changes() {
    let port = Port::new();
    let file = |seconds: u32| {
        let relaying = format!(" name: door\n saslPlugin: s\n idleTimeoutSeconds: {seconds}\n");
        format!(
            "{}authServicePlugin {{\n name: s\n host: 127.0.0.1\n port: 1\n}}\n",
            listener(port.number(), &relaying)
        )
    };
    let (router, own) = start(ANONYMOUS, &file(16));
    let head = format!("{HEAD}{}", listener(own.number(), ANONYMOUS));
    let mut manager = Manager::start(&router);
    delete(&mut manager, SERVICE, "s");
    router.rewrite(&(head.clone() + &file(40)));
    let output = router.run(&["reload"]);
    is_refused(&output, "Cannot find sasl plugin s");
    is_refused(&output, "a management request has deleted it");
    TcpStream::connect(("127.0.0.1", port.number())).unwrap();
    // Nor does a service that changes bring a listener back that a request has deleted.
    delete(&mut manager, LISTENER, "door");
    router.rewrite(&(head + &file(16).replace("port: 1\n", "port: 2\n")));
    let told = reload(&router);
    assert_eq!(told.len(), 2, "{told:?}");
    TcpStream::connect(("127.0.0.1", port.number())).unwrap_err();
}

/// The prefixes and distributions of all configured addresses.
fn distributions(manager: &mut Manager) -> Vec<[String; 2]> {
    let rows = manager.query(Query::new(ADDRESS, ["prefix", "distribution"], None));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| [text(&row[0]), text(&row[1])])
        .collect()
}

#[test]
fn an_address_that_a_request_has_made_in_place_of_the_files_is_left_alone() {
    let address = "address {\n name: a\n prefix: a\n}\n";
    let (router, port) = start(ANONYMOUS, address);
    let own = |attributes: &str| format!("{HEAD}{}", listener(port.number(), attributes));
    let mut manager = Manager::start(&router);
    delete(&mut manager, ADDRESS, "a");
    let made = [("type", ADDRESS), ("name", "a")];
    let multicast = [("prefix", "a"), ("distribution", "multicast")];
    assert_eq!(manager.change("CREATE", &made, &multicast), 201);
    assert_eq!(reload(&router), ["no changes"]);
    let changed = own(&format!("{ANONYMOUS} idleTimeoutSeconds: 30\n"));
    router.rewrite(&(changed + address));
    assert_eq!(reload(&router).len(), 2);
    let expected = [["a".to_owned(), "multicast".to_owned()]];
    assert_eq!(distributions(&mut manager), expected);
    // Only where the file says something else of it, it wants what is taken.
    router.rewrite(&(own(ANONYMOUS) + &address.replace("prefix: a", "prefix: b")));
    let output = router.run(&["reload"]);
    is_refused(&output, "address: ");
    is_refused(&output, "delete what management requests have made");
    assert_eq!(distributions(&mut manager), expected);
    // What is no longer in the file is not taken from who has made it.
    router.rewrite(&own(ANONYMOUS));
    assert_eq!(reload(&router).len(), 3);
    assert_eq!(distributions(&mut manager), expected);
}

#[test]
fn a_listener_that_a_request_has_made_in_place_of_the_files_keeps_its_port() {
    let door = Port::new();
    let attributes = format!(" name: door\n{ANONYMOUS}");
    let text = listener(door.number(), &attributes);
    let (router, own) = start(ANONYMOUS, &text);
    let own = format!("{HEAD}{}", listener(own.number(), ANONYMOUS));
    let mut manager = Manager::start(&router);
    delete(&mut manager, LISTENER, "door");
    let made = [("type", LISTENER), ("name", "door")];
    let port = door.number().to_string();
    let attributes = [
        ("host", "127.0.0.1"),
        ("port", &*port),
        ("saslMechanisms", "ANONYMOUS"),
    ];
    assert_eq!(manager.change("CREATE", &made, &attributes), 201);
    router.rewrite(&(own.clone() + &text.replace("}", " idleTimeoutSeconds: 30\n}")));
    is_refused(&router.run(&["reload"]), "duplicates unique attribute");
    for rest in [text.as_str(), ""] {
        router.rewrite(&(own.clone() + rest));
        reload(&router);
        Manager::start_at(door.number()).answers();
    }
}

#[test]
fn of_two_addresses_that_are_the_same_the_first_counts_as_at_the_next_start() {
    let one = |name: &str, distribution: &str| {
        format!("address {{\n name: {name}\n prefix: a\n distribution: {distribution}\n}}\n")
    };
    let second = one("second", "balanced");
    let (router, port) = start(ANONYMOUS, &second);
    let own = format!("{HEAD}{}", listener(port.number(), ANONYMOUS));
    let mut manager = Manager::start(&router);
    assert_eq!(addresses(&mut manager), ["second"]);
    let both = own.clone() + &one("first", "multicast") + &second;
    for _ in 0..2 {
        router.rewrite(&both);
        reload(&router);
        assert_eq!(addresses(&mut manager), ["first"]);
    }
    let told = {
        router.rewrite(&(own + &second));
        reload(&router);
        router.rewrite(&both);
        reload(&router)
    };
    let ignored = |line: &String| line.contains("ignoring configured address");
    assert!(told.iter().any(ignored), "{told:?}");
    assert_eq!(addresses(&mut manager), ["first"]);
}

#[test]
fn an_address_that_a_request_has_deleted_does_not_let_its_like_in() {
    let one = |name: &str| format!("address {{\n name: {name}\n prefix: a\n}}\n");
    let (router, _port) = start(ANONYMOUS, &(one("first") + &one("second")));
    let mut manager = Manager::start(&router);
    delete(&mut manager, ADDRESS, "first");
    assert!(reload(&router).contains(&"no changes".to_owned()));
    assert_eq!(addresses(&mut manager), [""; 0]);
}
