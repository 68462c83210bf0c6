//! What a configuration leaves open: a sentence for every setting that lets in whoever comes, or
//! lets them stay or listen unasked. Nothing of it is an error; it is told so that nobody finds out
//! later.

use std::net::IpAddr;

use management::schema::Entity;

use super::entity::Placed;
use super::policy::Policy;
use crate::pipe::PIPE;

/// Every door that the entities of a configuration leave open, as sentences without their full
/// stops.
#[must_use]
pub fn open_doors(entities: &[Placed], policy: &Policy) -> Vec<String> {
    // Nobody but this process reaches a pipe.
    let is_reached = |placed: &&Placed| {
        placed.is_of_type("listener") && placed.entity.text("port") != Some(PIPE)
    };
    let listeners = entities.iter().filter(is_reached);
    let listeners: Vec<&Entity> = listeners.map(|placed| &placed.entity).collect();
    let mut doors = Vec::new();
    for listener in &listeners {
        let name = listener_name(listener);
        doors.extend(
            of_listener(listener)
                .into_iter()
                .map(|door| format!("{name}: {door}")),
        );
    }
    if !listeners.is_empty() {
        let text = "no restriction by policy: whoever connects may use every address, \
                    $management included";
        doors.push(text.to_owned());
        if !policy.user_id_proxy {
            let text = "allowUserIdProxy is not obeyed: messages may carry any user-id";
            doors.push(text.to_owned());
        }
    }
    doors
}

fn listener_name(listener: &Entity) -> String {
    let text = |name: &str| listener.text(name).unwrap_or_default();
    format!("listener {}:{}", text("host"), text("port"))
}

fn of_listener(listener: &Entity) -> Vec<&'static str> {
    let host = listener.text("host").unwrap_or_default();
    let is_everywhere = host.is_empty() || host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified());
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let mut doors = Vec::new();
    if is_everywhere {
        doors.push("listening on all interfaces");
    }
    if !listener.is_true("authenticatePeer") {
        doors.push("no authentication: anyone who reaches it may connect");
    }
    let needs_tls = listener.is_true("requireSsl") || listener.is_true("requireEncryption");
    if !is_local && listener.get("sslProfile").is_none() {
        doors.push("no TLS: messages pass in clear");
    } else if !is_local && !needs_tls {
        doors.push("TLS is not required: messages may pass in clear");
    }
    if listener.is_true("allowInsecureAuthentication") && !needs_tls {
        doors.push("PLAIN without TLS: whoever listens on the way reads passwords");
    }
    if listener.integer("idleTimeoutSeconds") == Some(0) {
        doors.push("no idle time-out: a dead peer keeps its connection for ever");
    }
    if listener.integer("initialHandshakeTimeoutSeconds") == Some(0) {
        doors.push("no handshake time-out: a connection may be held without ever being opened");
    }
    doors
}
