//! Services that decide in the router's stead who may connect.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use amqp_codec::{Encoded, Map, Str, Symbol, Value};
use amqp_proto::{Config, Connection, Event, RecvBuf, Sasl, SendQueue, Time};
use bytes::Bytes;

use crate::authentication::{add, run, strict};
use crate::harness::{Directory, PATIENCE, Port, Router};

/// A router that leaves it to a service.
fn relaying(port: u16) -> Router {
    let text = format!(
        "router {{\n id: Tested\n}}\nauthServicePlugin {{\n name: service\n host: 127.0.0.1\n \
         port: {port}\n realm: here\n}}\nlistener {{\n host: 127.0.0.1\n port: 0\n \
         saslPlugin: service\n authenticatePeer: yes\n allowInsecureAuthentication: yes\n}}\n"
    );
    Router::start_with(&text, &["--workers", "2"])
}

/// Whether somebody gets in; what the program says of it.
fn try_(router: &Router, user: &str, password: &str, mechanism: &str) -> (bool, String) {
    let url = format!("amqp://{user}:{password}@127.0.0.1:{}", router.port);
    let answer = run(&[
        "stat",
        "-c",
        "--json",
        "--url",
        &url,
        "--sasl-mechanisms",
        mechanism,
    ]);
    let said = [answer.stdout, answer.stderr].concat();
    (answer.status.success(), String::from_utf8(said).unwrap())
}

/// A service that lets everybody in, and says this of each in its Open.
fn service(properties: Map) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = Arc::new(Config {
        container_id: "service".into(),
        sasl: Sasl::Server {
            mechanisms: vec![Symbol::from("ANONYMOUS")],
            required: true,
        },
        properties: Some(Encoded::from_value(&Value::Map(properties))),
        ..Config::default()
    });
    thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serve(stream, Arc::clone(&config));
            }
        })
        .unwrap();
    port
}

fn serve(mut stream: TcpStream, config: Arc<Config>) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut engine = Connection::new(config, Time::ZERO);
    let (mut input, mut output) = (RecvBuf::new(), SendQueue::new());
    let mut window = [0; 1024];
    while let Ok(count) = stream.read(&mut window) {
        if count == 0 {
            return;
        }
        input.push(Bytes::copy_from_slice(&window[..count]));
        while let Ok(Some(event)) = engine.poll_event(&mut input, &mut output, Time::ZERO) {
            if let Event::Opened(_) = event {
                engine.open(None, &mut output);
            }
        }
        let bytes = output.to_bytes();
        output.consume(bytes.len());
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn identity(user: &str) -> Map {
    let sub = (Value::from("sub"), Value::String(Str::copy(user)));
    let identity = Value::Map([sub].into_iter().collect());
    let entry = (Value::symbol("authenticated-identity"), identity);
    [entry].into_iter().collect()
}

#[test]
fn a_service_says_who_somebody_is() {
    let mut router = relaying(service(identity("alice")));
    let (success, said) = try_(&router, "whoever", "x", "ANONYMOUS");
    assert!(success, "{said}");
    assert!(said.contains("\"user\":\"alice\""), "{said}");
    router.wait_for("AUTHSERVICE (info) authenticated as alice");
}

#[test]
fn what_a_service_restricts_is_not_let_in_unrestricted() {
    let mut properties = identity("alice");
    properties.push(Value::symbol("address-authz"), Value::Map(Map::new()));
    let mut router = relaying(service(properties));
    let (success, said) = try_(&router, "whoever", "x", "ANONYMOUS");
    assert!(!success, "{said}");
    router.wait_for("it restricts addresses");
}

#[test]
fn every_step_of_an_exchange_is_passed_on() {
    let directory = Directory::new();
    let file = directory.path().join("users");
    add(&file, "alice", "pencil");
    let text = strict(&file, "PLAIN SCRAM-SHA-256 SCRAM-SHA-512");
    let service = Router::start_with(&text, &["--workers", "1"]);
    let mut router = relaying(service.port);
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let (success, said) = try_(&router, "alice", "pencil", mechanism);
        assert!(success, "{mechanism}: {said}");
        assert!(said.contains(mechanism), "{said}");
        let (success, said) = try_(&router, "alice", "crayon", mechanism);
        assert!(!success);
        let expected = format!("Authentication failed [mech={mechanism}]");
        assert!(said.contains(&expected), "{said}");
        router.wait_for(&format!("Failed to authenticate client [mech={mechanism}]"));
    }
    let (success, said) = try_(&router, "alice", "pencil", "SCRAM-SHA-1");
    assert!(
        !success && said.contains("offers no mechanism that will do"),
        "{said}"
    );
}

#[test]
fn a_service_that_is_not_there_lets_nobody_in() {
    let port = Port::new();
    let mut router = relaying(port.number());
    let (success, _) = try_(&router, "alice", "pencil", "PLAIN");
    assert!(!success);
    router.wait_for("AUTHSERVICE (warning) Downstream disconnected");
    // One that hangs up at once.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::Builder::new()
        .spawn(move || listener.incoming().for_each(drop))
        .unwrap();
    let mut router = relaying(port);
    let (success, _) = try_(&router, "alice", "pencil", "PLAIN");
    assert!(!success);
    router.wait_for("AUTHSERVICE (warning) Downstream disconnected");
}
