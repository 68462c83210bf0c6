//! The bodies of the fuzz targets: whatever a client sends, in whatever pieces.
//!
//! Owns no logic of its own.

use std::io::Cursor;

use bytes::BytesMut;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket as Other};

use crate::exchange::{Exchange, Heard};
use crate::frames::{Frames, Said, Wrong};
use crate::handshake::answer;
use crate::limits::{CONTROL_BYTES, HEAD_BYTES};
use crate::origin::Door;
use crate::response::Status;

/// The longest header of a frame.
const FRAME_HEADER: usize = 14;

/// Requests, whole and in pieces.
///
/// # Panics
/// If pieces make a difference, or more is kept than may be, or a path is none.
pub fn fuzz_http_request(bytes: &[u8]) {
    let Some((&size, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = heard(bytes, bytes.len().max(1));
    let pieces = heard(bytes, usize::from(size) + 1);
    assert_eq!(whole, pieces, "pieces make a difference");
}

fn heard(bytes: &[u8], size: usize) -> Vec<Heard> {
    let mut exchange = Exchange::default();
    let mut all = Vec::new();
    for piece in bytes.chunks(size) {
        exchange.receive(piece);
        while let Some(heard) = exchange.poll() {
            if let Heard::Request(request) = &heard {
                let is_path = request.path.starts_with('/');
                assert!(is_path && !request.path.contains(char::is_control));
                let door = Door {
                    origins: &["https://h:1".to_owned()],
                    host: "localhost",
                    is_tls: false,
                    asks_password: false,
                };
                let open = Door {
                    origins: &[],
                    ..door
                };
                assert!(request.host.is_some() || door.answers(request));
                let upgrade = request.upgrade.as_ref();
                let origin = upgrade.and_then(|upgrade| upgrade.origin.as_deref());
                for door in [door, open] {
                    let is_admitted = door.admits(origin, request.host.as_deref());
                    assert!(is_admitted || origin.is_some());
                }
                if let Some(Ok(head)) = request.upgrade.as_ref().map(answer) {
                    let head = head.finish();
                    let lines = head.split("\r\n");
                    assert_eq!(lines.count(), 8, "{head:?}");
                }
            }
            // Why something is no request depends on how much of it is there.
            all.push(match heard {
                Heard::Refused(_) => Heard::Refused(Status::BadRequest),
                request => request,
            });
        }
        assert!(exchange.kept() <= HEAD_BYTES + size);
    }
    all
}

/// The frames of a client, whole and in pieces, and as another implementation reads them.
///
/// # Panics
/// If pieces make a difference, or more is kept than may be, or the other implementation has read
/// other data.
pub fn fuzz_websocket(bytes: &[u8]) {
    let Some((&size, bytes)) = bytes.split_first() else {
        return;
    };
    let (data, end) = read(bytes, bytes.len().max(1));
    let pieces = read(bytes, usize::from(size) + 1);
    assert!(pieces == (data.clone(), end), "pieces make a difference");
    let theirs = read_by_other(bytes);
    let common = theirs.len().min(data.len());
    assert!(theirs[..common] == data[..common], "the data differ");
    // A message that is not whole is there already, and text is not taken.
    let is_stricter = end.is_some_and(|wrong| wrong.code != 1002);
    assert!(
        theirs.len() <= data.len() || is_stricter,
        "data are missing"
    );
}

fn read(bytes: &[u8], size: usize) -> (Vec<u8>, Option<Wrong>) {
    let mut frames = Frames::default();
    let (mut data, mut said) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(size) {
        if let Err(wrong) = frames.take(piece, &mut data, &mut said) {
            return (data.to_vec(), Some(wrong));
        }
        assert!(frames.kept() as u64 <= CONTROL_BYTES + FRAME_HEADER as u64);
        assert!(said.len() <= 2, "more than a ping and a good-bye");
        for said in &said {
            let Said::Ping(words) = said else { continue };
            assert!(words.len() as u64 <= CONTROL_BYTES);
        }
    }
    (data.to_vec(), None)
}

fn read_by_other(bytes: &[u8]) -> Vec<u8> {
    let config = WebSocketConfig::default();
    let cursor = Cursor::new(bytes.to_vec());
    let mut other = Other::from_raw_socket(cursor, Role::Server, Some(config));
    let mut data = Vec::new();
    while let Ok(message) = other.read() {
        if let Message::Binary(bytes) = message {
            data.extend_from_slice(&bytes);
        }
    }
    data
}
