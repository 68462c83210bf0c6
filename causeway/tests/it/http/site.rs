//! Requests of all kinds: files, methods, what is no request, and clients that are slow or many.

use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::Duration;

use super::probe::{Scene, connect, read_answer};
use crate::harness::{CAUSEWAY, Directory, read_to_end};

/// Time for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

#[test]
fn files_are_given_out_and_what_is_above_them_is_not() {
    let folder = Directory::new();
    folder.write("index.html", "<p>index");
    folder.write("large.bin", &"x".repeat(1_000_000));
    let scene = Scene::start(&format!("httpRootDir: {}", folder.path().display()), "");
    let index = scene.get("/");
    assert_eq!((index.code, &*index.body), (200, "<p>index"));
    assert_eq!(
        index.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let tag = index.header("etag").unwrap();
    let again = scene.ask(&format!(
        "GET /index.html HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\r\n"
    ));
    assert_eq!((again.code, &*again.body), (304, ""));
    assert_eq!(scene.get("/large.bin").body.len(), 1_000_000);
    for path in ["/../secret", "/%2e%2e/secret", "/nothing", "/.hidden"] {
        let answer = scene.get(path);
        assert_eq!(
            (answer.code, &*answer.body),
            (404, "404 Not Found\n"),
            "{path}"
        );
    }
}

#[test]
fn head_says_what_get_would_give_and_no_more() {
    let scene = Scene::start("", "");
    let mut stream = scene.connect();
    let head = "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let text = String::from_utf8(read_to_end(&mut stream)).unwrap();
    assert!(text.contains("content-length: 3\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
}

#[test]
fn a_connection_stays_for_the_next_request() {
    let scene = Scene::start("", "");
    let mut stream = scene.connect();
    for path in ["/healthz", "/metrics", "/readyz", "/nothing"] {
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(text.as_bytes()).unwrap();
        let answer = read_answer(&mut stream);
        assert_eq!(answer.code, if path == "/nothing" { 404 } else { 200 });
        assert_eq!(answer.header("connection"), Some("keep-alive"));
    }
    // Several at once are answered in their order.
    let one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let other = "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream
        .write_all([one, other].concat().repeat(50).as_bytes())
        .unwrap();
    for _ in 0..50 {
        assert_eq!(read_answer(&mut stream).code, 200);
        assert_eq!(read_answer(&mut stream).code, 404);
    }
}

#[test]
fn what_is_no_request_is_answered_by_the_standard_and_nothing_of_it_comes_back() {
    let scene = Scene::start("", "");
    let long = "x".repeat(20_000);
    for (text, code) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("nonsense<script>\r\n\r\n".to_owned(), 400),
        (
            "GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            400,
        ),
        (
            "POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            405,
        ),
        (
            "TRACE /<b> HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            404,
        ),
        (
            format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            414,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"),
            431,
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n".to_owned(),
            413,
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
            501,
        ),
        ("GET / HTTP/3.0\r\nHost: localhost\r\n\r\n".to_owned(), 505),
    ] {
        let answer = scene.ask(&text);
        assert_eq!(answer.code, code, "{}", &text[..text.len().min(60)]);
        assert!(!answer.body.contains('<'), "{}", answer.body);
    }
    // AMQP is no HTTP.
    let mut stream = scene.connect();
    stream.write_all(b"AMQP\x00\x01\x00\x00").unwrap();
    assert!(read_to_end(&mut stream).starts_with(b"HTTP/1.1 400 "));
}

#[test]
fn what_is_off_is_not_there() {
    let scene = Scene::start("metrics: no\n healthz: no\n websockets: no", "");
    for path in ["/metrics", "/healthz", "/livez", "/readyz", "/"] {
        assert_eq!(scene.get(path).code, 404, "{path}");
    }
}

#[test]
fn http_without_a_host_is_for_this_machine_alone() {
    let scene = Scene::start("", "");
    assert!(scene.place("web").ip().is_loopback());
}

/// A page whose name has been made to lead to this machine reads nothing.
#[test]
fn class_name_that_was_made_to_lead_here() {
    let scene = Scene::start("", "");
    let get = |scene: &Scene, host: &str| {
        let text = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n");
        scene.ask(&text).code
    };
    for (host, code) in [
        ("evil.example:8672", 421),
        ("localhost:8672", 200),
        ("127.0.0.1:8672", 200),
        ("[::1]", 200),
    ] {
        assert_eq!(get(&scene, host), code, "{host}");
    }
    let named = Scene::start("httpOrigins: https://metrics.example", "");
    assert_eq!(get(&named, "metrics.example"), 200);
    let everywhere = Scene::start("host: 0.0.0.0", "");
    assert_eq!(get(&everywhere, "any.example"), 200);
}

/// A head that comes byte by byte has its time, too.
#[test]
fn class_slow_head() {
    let scene = Scene::start("", "");
    let mut slow = scene.connect();
    slow.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut heard = Vec::new();
    loop {
        let mut bytes = [0; 1024];
        match slow.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => heard.extend_from_slice(&bytes[..count]),
            // A header that has no end.
            Err(_) => drop(slow.write_all(b"X")),
        }
        assert_eq!(scene.get("/healthz").code, 200);
    }
    assert!(heard.starts_with(b"HTTP/1.1 408 "), "{heard:?}");
}

/// More connections than there are places, of which nobody hears anything: a probe is answered at
/// once, and not when their time is up.
#[test]
fn class_crowd_of_silent_clients() {
    let scene = Scene::start("", "");
    let place = scene.place("web");
    let _silent: Vec<_> = (0..300).map(|_| connect(place)).collect();
    for path in ["/healthz", "/livez", "/readyz"] {
        let mut probe = scene.connect();
        probe.set_read_timeout(Some(HEAD_TIME / 2)).unwrap();
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        probe.write_all(text.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut probe).code, 200, "{path}");
    }
}

/// Some of the next request came with the one before: it has the time of a request to be whole.
#[test]
fn class_slow_head_behind_another() {
    let scene = Scene::start("", "");
    let mut slow = scene.connect();
    let whole = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    slow.write_all(format!("{whole}GET /he").as_bytes())
        .unwrap();
    assert_eq!(read_answer(&mut slow).code, 200);
    assert_eq!(read_answer(&mut slow).code, 408);
}

/// Who stays connected sees the settings of now, and nothing of a listener that is gone.
#[test]
fn a_listener_that_goes_takes_its_clients_along() {
    let scene = Scene::start("", "");
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut idle = scene.connect();
    idle.write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut idle).code, 200);
    let url = format!("amqp://{}", scene.place("amqp"));
    let mut delete = Command::new(CAUSEWAY);
    delete.args(["manage", "delete", "--type", "listener", "--name", "web"]);
    delete.args(["--url", &url]);
    assert!(delete.status().unwrap().success());
    assert_eq!(read_to_end(&mut idle), b"");
}

/// More connections than there are places: those that do nothing give way.
#[test]
fn class_crowd_of_idle_clients() {
    let scene = Scene::start("", "");
    let place = scene.place("web");
    let mut idle: Vec<_> = (0..400)
        .map(|_| {
            let mut stream = connect(place);
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .unwrap();
            assert_eq!(read_answer(&mut stream).code, 200);
            stream
        })
        .collect();
    assert!(scene.metric("causeway_http_connections").unwrap() <= 256.0);
    assert!(
        scene
            .metric("causeway_http_connections_refused_total")
            .unwrap()
            >= 144.0
    );
    let mut end = [0];
    assert_eq!(idle[0].read(&mut end).unwrap(), 0);
}
