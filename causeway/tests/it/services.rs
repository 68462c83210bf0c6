//! Services that decide in the router's stead who may connect.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use amqp_codec::{Encoded, Map, Str, Symbol, Value};
use amqp_proto::{Config, Connection, Event, RecvBuf, Sasl, SendQueue, Time};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::authentication::{add, run, strict};
use crate::harness::{Directory, PATIENCE, Port, Router};

/// A router that leaves it to a service.
fn relaying(port: u16) -> Router {
    Router::start_with(&relaying_to(port, ""), &["--workers", "2"])
}

/// Its configuration, with these attributes of the service beside.
fn relaying_to(port: u16, attributes: &str) -> String {
    format!(
        "router {{\n id: Tested\n}}\nauthServicePlugin {{\n name: service\n host: 127.0.0.1\n \
         port: {port}\n realm: here\n{attributes}}}\nlistener {{\n host: 127.0.0.1\n port: 0\n \
         saslPlugin: service\n authenticatePeer: yes\n allowInsecureAuthentication: yes\n}}\n"
    )
}

/// A service by TLS with the users in a file, and where the certificates of this are.
struct Secured {
    service: Router,
    files: Directory,
}

impl Secured {
    /// One whose certificate is for this host.
    fn start(host: &str) -> Self {
        let files = Directory::new();
        let users = files.path().join("users");
        add(&users, "alice", "pencil");
        let authority = authority("a");
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority.0).unwrap();
        let pem = [certificate.pem(), key.serialize_pem()].concat();
        let server = files.write("server.pem", &pem);
        files.write("ca.pem", &authority.1);
        files.write("other.pem", &self::authority("b").1);
        let text = strict(&users, "PLAIN SCRAM-SHA-256");
        let listener = text.trim_end().trim_end_matches('}');
        let text = format!(
            "{listener} sslProfile: server\n requireSsl: yes\n}}\nsslProfile {{\n name: server\n \
             certFile: {}\n}}\n",
            server.display()
        );
        let service = Router::start_with(&text, &["--workers", "1"]);
        Self { service, files }
    }

    /// A router that leaves it to the service, with these attributes beside, and trusts the
    /// authorities in this file.
    fn asked_with(&self, attributes: &str, authorities: &str) -> Router {
        let authorities = self.files.path().join(authorities);
        let text = relaying_to(self.service.port, attributes);
        let profile = format!(
            "sslProfile {{\n name: client\n caCertFile: {}\n}}\n",
            authorities.display()
        );
        Router::start_with(&(text + &profile), &["--workers", "2"])
    }
}

/// An authority and its certificate.
fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
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
        let is_done = loop {
            match engine.poll_event(&mut input, &mut output, Time::ZERO) {
                Ok(Some(Event::Opened(_))) => engine.open(None, &mut output),
                Ok(Some(_)) => {}
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let bytes = output.to_bytes();
        output.consume(bytes.len());
        if stream.write_all(&bytes).is_err() || is_done {
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
fn a_service_is_asked_by_tls() {
    let mut secured = Secured::start("127.0.0.1");
    let router = secured.asked_with(" sslProfile: client\n", "ca.pem");
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let (success, said) = try_(&router, "alice", "pencil", mechanism);
        assert!(success, "{mechanism}: {said}");
        let opened = secured.service.wait_for("Connection Opened:");
        assert!(opened.contains("encrypted=TLSv1.3"), "{opened}");
        let (success, said) = try_(&router, "alice", "crayon", mechanism);
        let expected = format!("Authentication failed [mech={mechanism}]");
        assert!(!success && said.contains(&expected), "{said}");
    }
}

#[test]
fn a_service_that_cannot_be_trusted_lets_nobody_in() {
    let secured = Secured::start("elsewhere.example");
    let named = " sslProfile: client\n";
    let unchecked = " sslProfile: client\n verifyHostname: no\n";
    for (attributes, authorities, why) in [
        (
            named,
            "other.pem",
            "signed by no authority that is trusted (caCertFile)",
        ),
        (
            unchecked,
            "other.pem",
            "signed by no authority that is trusted (caCertFile)",
        ),
        (
            named,
            "ca.pem",
            "is for elsewhere.example, not for 127.0.0.1 (host, verifyHostname)",
        ),
        ("", "ca.pem", "no details available"),
    ] {
        let mut router = secured.asked_with(attributes, authorities);
        let (success, said) = try_(&router, "alice", "pencil", "PLAIN");
        assert!(
            !success && !said.contains(why),
            "clients are not told: {said}"
        );
        let line = router.wait_for("Downstream disconnected");
        assert!(
            line.contains("AUTHSERVICE (warning)") && line.contains(why),
            "{line}"
        );
    }
    let router = secured.asked_with(unchecked, "ca.pem");
    let (success, said) = try_(&router, "alice", "pencil", "PLAIN");
    assert!(success, "{said}");
}

#[test]
fn a_service_that_does_not_speak_tls_is_told_nothing() {
    let files = Directory::new();
    let ca = files.write("ca.pem", &authority("a").1);
    let profile = format!(
        "sslProfile {{\n name: client\n caCertFile: {}\n}}\n",
        ca.display()
    );
    let secured = |port| relaying_to(port, " sslProfile: client\n") + &profile;
    let text = secured(service(identity("alice")));
    let mut router = Router::start_with(&text, &["--workers", "1"]);
    let (success, said) = try_(&router, "whoever", "x", "ANONYMOUS");
    assert!(!success, "{said}");
    let line = router.wait_for("Downstream disconnected");
    assert!(line.contains("TLS"), "{line}");
    // What it hears before it hangs up is the beginning of TLS.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = secured(listener.local_addr().unwrap().port());
    let listens = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = vec![0; 16 * 1024];
        let count = stream.read(&mut heard).unwrap();
        heard.truncate(count);
        heard
    };
    let heard = thread::Builder::new().spawn(listens).unwrap();
    let mut router = Router::start_with(&text, &["--workers", "1"]);
    let (success, said) = try_(&router, "alice", "pencil", "PLAIN");
    assert!(!success, "{said}");
    let heard = heard.join().unwrap();
    assert_eq!(heard.first(), Some(&22), "a handshake: {heard:?}");
    assert!(!heard.windows(4).any(|four| four == b"AMQP"), "{heard:?}");
    let line = router.wait_for("Downstream disconnected");
    assert!(line.contains("TLS"), "{line}");
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
