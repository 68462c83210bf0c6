//! AMQP by WebSocket, frame by frame, and what is no such thing.

use std::io::Write as _;
use std::net::TcpStream;

use super::probe::{Answer, Scene, read_answer};
use crate::harness::{HEADER, OPEN, contains, read_to_end, read_until};

/// A handshake with these headers besides.
fn handshake(more: &str) -> String {
    format!(
        "GET /any HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

const AMQP: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: amqp\r\n";

/// A connection whose handshake is done.
fn open(scene: &Scene) -> TcpStream {
    let mut stream = scene.connect();
    stream.write_all(handshake(AMQP).as_bytes()).unwrap();
    let answer = read_answer(&mut stream);
    assert_eq!(answer.code, 101, "{answer:?}");
    let accept = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(answer.header("sec-websocket-accept"), accept);
    assert_eq!(answer.header("sec-websocket-protocol"), Some("amqp"));
    stream
}

/// A frame as clients send them.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u8::try_from(payload.len()) {
        Ok(short @ 0..=125) => bytes.push(0x80 | short),
        _ => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    let mask = [9, 8, 7, 6];
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// The code of the Close at the end of all that comes.
fn close_code(stream: &mut TcpStream) -> u16 {
    let heard = read_to_end(stream);
    let [.., 0x88, 2, high, low] = heard[..] else {
        panic!("no Close at the end of {heard:?}")
    };
    u16::from_be_bytes([high, low])
}

#[test]
fn amqp_goes_by_frames_of_any_kind() {
    let scene = Scene::start("authenticatePeer: no", "");
    let mut stream = open(&scene);
    let amqp = [HEADER, OPEN].concat();
    // In fragments, with a question whether somebody is there between them.
    stream.write_all(&frame(0x02, &amqp[..3])).unwrap();
    stream.write_all(&frame(0x89, b"there?")).unwrap();
    stream.write_all(&frame(0x00, &amqp[3..20])).unwrap();
    stream.write_all(&frame(0x80, &amqp[20..])).unwrap();
    let heard = read_until(&mut stream, b"Tested");
    assert!(contains(&heard, HEADER));
    let pong = [&[0x8a, 6][..], b"there?"].concat();
    assert!(contains(&heard, &pong) || contains(&read_until(&mut stream, &pong), &pong));
    assert_eq!(scene.metric("qdr_connections_total"), Some(1.0));
    // Whoever says good-bye hears it, and is gone.
    stream
        .write_all(&frame(0x88, &1000_u16.to_be_bytes()))
        .unwrap();
    assert_eq!(close_code(&mut stream), 1000);
    while scene.metric("qdr_connections_total") != Some(0.0) {
        std::thread::yield_now();
    }
    assert_eq!(
        scene.metric("causeway_http_requests_total{code=\"101\"}"),
        Some(1.0)
    );
}

#[test]
fn a_websocket_that_is_a_connection_too_many_is_not_counted_as_answered() {
    let scene = Scene::start("authenticatePeer: no", "policy {\n maxConnections: 1\n}\n");
    let _first = open(&scene);
    let mut second = scene.connect();
    second.write_all(handshake(AMQP).as_bytes()).unwrap();
    assert!(read_to_end(&mut second).is_empty());
    assert_eq!(
        scene.metric("causeway_http_requests_total{code=\"101\"}"),
        Some(1.0)
    );
}

#[test]
fn what_is_no_handshake_for_amqp_is_answered_and_nobody_falls() {
    let scene = Scene::start("", "");
    let ask = |more: &str| -> Answer { scene.ask(&handshake(more)) };
    let version = "Sec-WebSocket-Version: 13\r\n";
    for protocol in ["mqtt", "http", "healthz"] {
        let answer = ask(&format!("{version}Sec-WebSocket-Protocol: {protocol}\r\n"));
        assert_eq!(answer.code, 400, "{protocol}");
    }
    assert_eq!(ask(version).code, 400);
    let old = ask("Sec-WebSocket-Version: 8\r\nSec-WebSocket-Protocol: amqp\r\n");
    assert_eq!(
        (old.code, old.header("sec-websocket-version")),
        (426, Some("13"))
    );
    let off = Scene::start("websockets: no", "");
    assert_eq!(off.ask(&handshake(AMQP)).code, 403);
    // What is sent before the answer is not for the WebSocket.
    let early = format!("{}{}", handshake(AMQP), "x");
    assert_eq!(scene.ask(&early).code, 400);
    assert_eq!(scene.get("/healthz").code, 200);
}

/// A browser lets any page ask; so the page has to be one of this router, or listed.
#[test]
fn class_page_of_somebody_else() {
    let ask = |scene: &Scene, host: &str, origin: &str| {
        let more = format!("Origin: {origin}\r\n{AMQP}");
        let text = handshake(&more).replace("Host: localhost", &format!("Host: {host}"));
        scene.ask(&text).code
    };
    let plain = Scene::start("", "");
    let here = plain.place("web").to_string();
    assert_eq!(ask(&plain, &here, &format!("http://{here}")), 101);
    assert_eq!(ask(&plain, &here, "http://evil.example"), 403);
    assert_eq!(ask(&plain, &here, "null"), 403);
    // A name that was made to lead here.
    let name = format!("evil.example:{}", plain.place("web").port());
    assert_eq!(ask(&plain, &name, &format!("http://{name}")), 403);
    let two = format!("Origin: http://{here}\r\nOrigin: http://{here}\r\n{AMQP}");
    assert_eq!(plain.ask(&handshake(&two)).code, 400);

    let listed = Scene::start("httpOrigins: https://Console.example, http://other", "");
    assert_eq!(ask(&listed, &here, "https://console.example"), 101);
    assert_eq!(ask(&listed, &here, &format!("http://{here}")), 403);
    let all = Scene::start("httpOrigins: *", "");
    assert_eq!(ask(&all, &here, "http://evil.example"), 101);
    let password = Scene::start("authenticatePeer: yes", "");
    assert_eq!(ask(&password, &here, "http://any.example"), 101);
}

#[test]
fn class_frames_against_the_standard() {
    let scene = Scene::start("", "");
    let unmasked = [&[0x82, 8][..], HEADER].concat();
    let mut huge_ping = vec![0x89, 0xff];
    huge_ping.extend(u64::MAX.to_be_bytes());
    huge_ping.extend([0; 4]);
    let nested = [frame(0x02, b"AMQP"), frame(0x82, b"AMQP")].concat();
    for (bytes, code) in [
        (frame(0x81, b"AMQP"), 1003),
        (unmasked, 1002),
        (frame(0xc2, b"AMQP"), 1002),
        (frame(0x80, b"AMQP"), 1002),
        (huge_ping, 1002),
        (nested, 1002),
    ] {
        let mut stream = open(&scene);
        stream.write_all(&bytes).unwrap();
        assert_eq!(close_code(&mut stream), code, "{bytes:?}");
    }
    assert_eq!(scene.get("/healthz").code, 200);
}

/// A frame that announces more than there is memory, fragments that bring nothing, and more pings
/// than anybody could answer.
#[test]
fn class_frames_without_end() {
    let scene = Scene::start("authenticatePeer: no", "");
    let mut huge = open(&scene);
    let mut header = vec![0x82, 0xff];
    header.extend((u64::MAX >> 1).to_be_bytes());
    header.extend([0; 4]);
    huge.write_all(&header).unwrap();
    huge.write_all(HEADER).unwrap();
    // It is as good as any other.
    read_until(&mut huge, HEADER);
    huge.write_all(OPEN).unwrap();
    read_until(&mut huge, b"Tested");

    let mut endless = open(&scene);
    let empty = frame(0x00, b"").repeat(2000);
    endless
        .write_all(&[frame(0x02, b""), empty].concat())
        .unwrap();
    assert_eq!(close_code(&mut endless), 1008);

    let mut pings = open(&scene);
    let flood = frame(0x89, &[b'x'; 125]).repeat(500);
    for _ in 0..100 {
        pings.write_all(&flood).unwrap();
    }
    pings.write_all(&frame(0x82, HEADER)).unwrap();
    read_until(&mut pings, HEADER);
    let resident = scene.metric("process_resident_memory_bytes").unwrap();
    assert!(resident < 1e9, "{resident}");
}
