//! Health in each state of the router.

use serde_json::Value as Json;

use super::probe::Scene;
use crate::drains::unsettled;
use crate::harness::Port;

/// Status code and what is missing.
fn health(scene: &Scene, path: &str) -> (u16, Vec<String>) {
    let answer = scene.get(path);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json: Json = serde_json::from_str(&answer.body).unwrap();
    let missing = json["missing"].as_array().unwrap().iter();
    let missing = missing.map(|text| text.as_str().unwrap().to_owned());
    (answer.code, missing.collect())
}

#[test]
fn a_router_that_has_all_it_was_told_is_ready() {
    let scene = Scene::start("", "");
    assert_eq!(health(&scene, "/readyz"), (200, vec![]));
    assert_eq!(health(&scene, "/livez"), (200, vec![]));
    let answer = scene.get("/healthz");
    assert_eq!((answer.code, &*answer.body), (200, "OK\n"));
    assert_eq!(answer.header("content-length"), Some("3"));
    assert_eq!(scene.metric("causeway_ready"), Some(1.0));
}

#[test]
fn a_connector_without_its_peer_keeps_a_router_from_being_ready_and_not_from_living() {
    let nobody = Port::new();
    let connector = format!(
        "connector {{\n name: broker\n host: 127.0.0.1\n port: {}\n role: route-container\n}}\n",
        nobody.number()
    );
    let scene = Scene::start("", &connector);
    let missing = vec!["connector broker is not connected".to_owned()];
    assert_eq!(health(&scene, "/readyz"), (503, missing));
    assert_eq!(health(&scene, "/livez").0, 200);
    assert_eq!(scene.get("/healthz").code, 200);
    let series = "causeway_connector_open{connector=\"broker\"}";
    assert_eq!(scene.metric(series), Some(0.0));
    assert_eq!(scene.metric("causeway_ready"), Some(0.0));
}

#[test]
fn routers_are_ready_when_they_know_each_other() {
    let port = Port::new();
    let listener = format!(
        "listener {{\n host: 127.0.0.1\n port: {}\n role: inter-router\n}}\n",
        port.number()
    );
    let connector = format!(
        "connector {{\n name: other\n host: 127.0.0.1\n port: {}\n role: inter-router\n}}\n",
        port.number()
    );
    let alone = Scene::start_as("B", "", &connector);
    let missing = vec!["connector other is not connected".to_owned()];
    assert_eq!(health(&alone, "/readyz"), (503, missing));
    let other = Scene::start_as("A", "", &listener);
    let mut states = Vec::new();
    loop {
        let (code, missing) = health(&alone, "/readyz");
        if code == 200 {
            break;
        }
        states.extend(missing);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(alone.metric("qdr_routers_total"), Some(1.0));
    let is_known = |text: &String| {
        ["is not connected", "no way to router A", "router A has not"]
            .iter()
            .any(|words| text.contains(words))
    };
    assert!(states.iter().all(is_known), "{states:?}");
    drop(other);
    while health(&alone, "/readyz").0 == 200 {}
}

#[test]
fn a_router_that_is_about_to_end_says_so_as_long_as_it_waits() {
    let scene = Scene::start_as("Tested\n drainSeconds: 60", "", "");
    let (mut consumer, _producer, id) = unsettled(scene.place("amqp").port());
    assert_eq!(health(&scene, "/readyz").0, 200);
    scene.router.handle().stop();
    let (code, missing) = loop {
        let said = health(&scene, "/readyz");
        if said.0 != 200 {
            break said;
        }
    };
    let words = "the router takes nobody new: it is about to end".to_owned();
    assert!(code == 503 && missing.contains(&words), "{missing:?}");
    assert_eq!(health(&scene, "/livez").0, 200);
    // Nobody new is let in by WebSocket, either, and is told so.
    let refused = scene.ask(
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: \
         upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: \
         amqp\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(
        (refused.code, refused.header("connection")),
        (503, Some("close"))
    );
    assert_eq!(scene.metric("causeway_deliveries_in_flight"), Some(1.0));
    consumer.accept(id);
}
