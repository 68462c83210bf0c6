//! The answer to a WebSocket handshake (RFC 6455 §4.2).
//!
//! Decision: the one hash is computed by the cryptography that is there anyway; the handshake that
//! comes with the framing library would bring a second version of five crates.

use std::fmt;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::request::{Upgrade, shown};
use crate::response::{Head, Status};

/// What the standard has hashed together with a client's key (RFC 6455 §1.3).
const SALT: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The names under which clients ask for AMQP.
const PROTOCOLS: &[&str] = &["amqp", "binary"];

/// Why there is no WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// How the request is answered.
    pub status: Status,
    /// Why, for the log.
    pub text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What to answer to who wants to speak AMQP by WebSocket.
///
/// # Errors
/// The request is none, or is for something else.
pub fn answer(upgrade: &Upgrade) -> Result<Head, Refusal> {
    let refuse = |status, text: String| Err(Refusal { status, text });
    if upgrade.version.as_deref() != Some("13") {
        return refuse(
            Status::UpgradeRequired,
            "the version of WebSocket is not 13".to_owned(),
        );
    }
    let key = upgrade.key.as_deref().unwrap_or_default();
    if !STANDARD.decode(key).is_ok_and(|key| key.len() == 16) {
        return refuse(Status::BadRequest, "the key is no key".to_owned());
    }
    let is_known = |name: &&&str| upgrade.protocols.iter().any(|asked| asked == **name);
    let Some(protocol) = PROTOCOLS.iter().find(is_known) else {
        let asked = match upgrade.protocols.is_empty() {
            true => "no subprotocol".to_owned(),
            false => format!("subprotocol {}", shown(&upgrade.protocols.join(", "))),
        };
        let text = format!("{asked} was asked for, amqp or binary is spoken here");
        return refuse(Status::BadRequest, text);
    };
    let mut salted = key.to_owned();
    salted.push_str(SALT);
    let accept = digest(&SHA1_FOR_LEGACY_USE_ONLY, salted.as_bytes());
    let mut head = Head::new(Status::SwitchingProtocols);
    head.set("upgrade", "websocket");
    head.set("connection", "Upgrade");
    head.set("sec-websocket-accept", &STANDARD.encode(accept));
    head.set("sec-websocket-protocol", protocol);
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(version: &str, key: &str, protocols: &[&str]) -> Upgrade {
        Upgrade {
            origin: None,
            version: Some(version.to_owned()),
            key: Some(key.to_owned()),
            protocols: protocols.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn the_key_of_the_standard_has_the_answer_of_the_standard() {
        let head = answer(&asked(
            "13",
            "dGhlIHNhbXBsZSBub25jZQ==",
            &["mqtt", "binary"],
        ));
        let text = head.unwrap().finish();
        assert!(text.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(text.contains("sec-websocket-protocol: binary\r\n"));
    }

    #[test]
    fn what_is_not_for_amqp_is_refused() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let status = |upgrade: &Upgrade| answer(upgrade).unwrap_err().status;
        assert_eq!(
            status(&asked("12", key, &["amqp"])),
            Status::UpgradeRequired
        );
        assert_eq!(
            status(&asked("13", "c2hvcnQ=", &["amqp"])),
            Status::BadRequest
        );
        assert_eq!(status(&asked("13", key, &[])), Status::BadRequest);
        // With these names the router before this one came to its end.
        assert_eq!(
            status(&asked("13", key, &["http", "healthz"])),
            Status::BadRequest
        );
        let refusal = answer(&asked("13", key, &["mqtt\n"])).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "subprotocol mqtt\\u{a} was asked for, amqp or binary is spoken here"
        );
    }
}
