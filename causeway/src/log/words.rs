//! Puts notices into the words that operators and their scripts look for.

use std::fmt::Write as _;
use std::panic::Location;

use amqp_codec::{Encoded, Symbol, Value};
use amqp_proto::{TapKind, Tapped};
use router_core::ids::{ConnectionId, Direction, LinkId};
use router_core::inspect::LinkCounters;
use router_core::limits;
use router_core::notice::{
    self, AutoLinkNews, LinkEnd, NetworkNotice, Notice, Opened, TerminusText,
};

mod messages;
mod routing;

use self::messages::say_of_message;
use self::routing::{module_of, say_of_paths, say_of_routing};
use super::level::Level;
use super::module::Module;

/// A notice in words.
pub(super) struct Said {
    /// The words.
    pub(super) text: String,
    /// Where they were found.
    pub(super) source: &'static Location<'static>,
}

/// Who says a notice, and how severe it is.
pub(super) fn rank(notice: &Notice) -> (Module, Level) {
    match notice {
        Notice::ConnectionAccepted { .. } | Notice::ConnectionFailed { .. } => {
            (Module::Server, Level::Info)
        }
        Notice::ConnectionOpened(_)
        | Notice::ConnectionClosed { .. }
        | Notice::ConnectionForced { .. }
        | Notice::LinkAttached { .. }
        | Notice::LinkEnded { .. }
        | Notice::LinkStuck { .. }
        | Notice::LinkBlocked { .. }
        | Notice::LinkRefused { .. }
        | Notice::PeerMisbehaved { .. } => (Module::RouterCore, Level::Info),
        Notice::Frame { .. } => (Module::Protocol, Level::Trace),
        Notice::Message(_) => (Module::Message, Level::Trace),
        Notice::Routing { text, .. } => (module_of(text), Level::Trace),
        Notice::ManagementAsked { changed: true, .. } => (Module::Agent, Level::Info),
        Notice::ManagementAsked { .. } => (Module::Agent, Level::Debug),
        Notice::ManagementFailed { .. } => (Module::Agent, Level::Error),
        Notice::Network(network) => network_rank(network),
        Notice::LinkRouteActive { .. } | Notice::AutoLink { .. } => {
            (Module::RouterCore, Level::Info)
        }
        Notice::AddressAdded { .. } | Notice::AddressRemoved { .. } => {
            (Module::RouterCore, Level::Debug)
        }
    }
}

/// The same of what the routing protocol has found out.
fn network_rank(notice: &NetworkNotice) -> (Module, Level) {
    match notice {
        NetworkNotice::NeighborFound { .. }
        | NetworkNotice::NeighborLost { .. }
        | NetworkNotice::Computed(_) => (Module::RouterLs, Level::Info),
        NetworkNotice::HelloExpired { .. } => (Module::RouterHello, Level::Trace),
        NetworkNotice::Flux { .. } => (Module::Router, Level::Trace),
        NetworkNotice::RouterFound { .. }
        | NetworkNotice::RouterForgotten { .. }
        | NetworkNotice::RouterRestarted { .. } => (Module::Router, Level::Info),
        NetworkNotice::DuplicateRouter { .. } => (Module::RouterHello, Level::Critical),
        NetworkNotice::NeighborHeld { .. } => (Module::RouterLs, Level::Warning),
        NetworkNotice::VersionMismatch { .. }
        | NetworkNotice::RouterMisbehaved { .. }
        | NetworkNotice::AddressUntold { .. } => (Module::Router, Level::Warning),
        NetworkNotice::AnnotationsVersion { .. } => (Module::Router, Level::Debug),
        NetworkNotice::AddressesLearnt { .. } => (Module::RouterCore, Level::Debug),
    }
}

/// Puts a notice into words.
pub(super) fn say(notice: &Notice) -> Said {
    let text = match notice {
        Notice::ConnectionAccepted {
            connection,
            listener,
            peer,
        } => {
            return said(format!(
                "[C{connection}] Accepted connection to {listener} from {peer}"
            ));
        }
        Notice::ConnectionOpened(opened) => return said(connection_opened(opened)),
        Notice::ConnectionClosed { connection } => format!("[C{connection}] Connection Closed"),
        Notice::ConnectionFailed {
            connection,
            listener,
            peer,
            condition,
            description,
        } => {
            let way = way(listener.as_deref(), peer);
            format!("[C{connection}] Connection {way} failed: {condition} {description}")
        }
        Notice::ConnectionForced { connection, by } => {
            let by = by.map_or_else(String::new, |by| format!(" from connection [C{by}]"));
            format!("[C{connection}] Connection force-closed by request{by}")
        }
        Notice::LinkAttached { .. }
        | Notice::LinkEnded { .. }
        | Notice::LinkStuck { .. }
        | Notice::LinkBlocked { .. }
        | Notice::LinkRefused { .. } => say_of_link(notice),
        Notice::PeerMisbehaved {
            connection,
            condition,
            description,
        } => {
            format!("[C{connection}] Protocol violation: {condition} {description}")
        }
        Notice::Frame { connection, frame } => return said(frame_text(*connection, frame)),
        Notice::Message(message) => return said(say_of_message(message)),
        Notice::Routing { direction, text } => return said(say_of_routing(*direction, text)),
        Notice::ManagementAsked { .. } | Notice::ManagementFailed { .. } => {
            say_of_management(notice)
        }
        Notice::LinkRouteActive { .. } | Notice::AutoLink { .. } => say_of_container(notice),
        Notice::AddressAdded { key } => format!("Address added: {key}"),
        Notice::AddressRemoved { key } => format!("Address removed: {key}"),
        Notice::Network(network) => return said(say_of_network(network)),
    };
    said(text)
}

/// How a link comes, fares and goes.
fn say_of_link(notice: &Notice) -> String {
    match notice {
        Notice::LinkAttached {
            connection,
            link,
            direction,
            source,
            target,
        } => format!(
            "[C{connection}][L{link}] Link attached: dir={} source={{{}}} target={{{}}}",
            direction_name(*direction),
            terminus(source),
            terminus(target),
        ),
        Notice::LinkEnded {
            connection,
            link,
            how,
            counters,
            blocked,
        } => link_ended((*connection, *link), *how, counters, *blocked),
        Notice::LinkStuck {
            connection,
            link,
            seconds,
        } => format!(
            "[C{connection}][L{link}] Stuck delivery: At least one delivery on this link has been \
             undelivered/unsettled for more than {seconds} seconds"
        ),
        Notice::LinkBlocked {
            connection,
            link,
            seconds,
        } => {
            format!("[C{connection}][L{link}] Link blocked with zero credit for {seconds} seconds")
        }
        Notice::LinkRefused {
            connection,
            name,
            condition,
            description,
        } => {
            format!("[C{connection}] Attach of link '{name}' refused: {condition} {description}")
        }
        _ => String::new(),
    }
}

/// What management was asked for, and what of it failed.
fn say_of_management(notice: &Notice) -> String {
    match notice {
        Notice::ManagementAsked {
            operation,
            target,
            connection,
            user,
            changed,
        } => {
            let what = if *changed { "Done" } else { "Asked" };
            let by = connection.map_or_else(
                || "by way of another router or an anonymous link".to_owned(),
                |connection| format!("by connection [C{connection}]"),
            );
            let user = user.as_deref().map(|user| format!(", user {user}"));
            format!(
                "{what}: {operation} {target} {by}{}",
                user.unwrap_or_default()
            )
        }
        Notice::ManagementFailed {
            operation,
            description,
        } => format!("Error performing {operation}: {description}"),
        _ => String::new(),
    }
}

/// A link route or an auto-link that has got a container, or has lost one.
fn say_of_container(notice: &Notice) -> String {
    let (what, name, connection, container) = match notice {
        Notice::LinkRouteActive {
            name,
            connection,
            container,
            active,
        } => {
            let what = if *active { "Activated" } else { "Deactivated" };
            (format!("Link Route {what}"), name, connection, container)
        }
        Notice::AutoLink {
            name,
            connection,
            container,
            news,
        } => {
            let what = match news {
                AutoLinkNews::Activated => "Activated",
                AutoLinkNews::Deactivated => "Deactivated",
                AutoLinkNews::Failed(why) => &format!("Activation Failed. {why}"),
            };
            (format!("Auto Link {what}"), name, connection, container)
        }
        _ => return String::new(),
    };
    match connection {
        Some(of) => format!("{what} '{name}' on connection {of}"),
        None => format!("{what} '{name}' on container {container}"),
    }
}

/// What the routing protocol has found out.
fn say_of_network(notice: &NetworkNotice) -> String {
    match notice {
        NetworkNotice::NeighborFound { id } => format!("Neighbor Router Found: {id}"),
        NetworkNotice::NeighborLost { id } => format!("Link to Neighbor Router Lost: {id}"),
        NetworkNotice::HelloExpired { id } => format!("HELLO peer expired: {id}"),
        NetworkNotice::Computed(computed) => say_of_paths(computed),
        NetworkNotice::Flux { entered: true } => "Entered Router Flux Mode".to_owned(),
        NetworkNotice::Flux { entered: false } => "Exited Router Flux Mode".to_owned(),
        NetworkNotice::NeighborHeld { id, losses, hold } => format!(
            "Neighbor Router {id} was lost {losses} times in a row: not believed to be back for \
             {} ms",
            hold.as_millis()
        ),
        NetworkNotice::AddressesLearnt { added, removed } => {
            format!("Addresses of other routers: {added} added, {removed} removed")
        }
        NetworkNotice::RouterFound { id } => format!("Detected Router Node {id}"),
        NetworkNotice::RouterForgotten { id } => {
            format!("Router Node {id} is out of reach: forgotten")
        }
        NetworkNotice::RouterRestarted { id } => format!("Detected Restart of Router Node {id}"),
        NetworkNotice::DuplicateRouter { .. }
        | NetworkNotice::VersionMismatch { .. }
        | NetworkNotice::RouterMisbehaved { .. } => say_of_trespass(notice),
        NetworkNotice::AddressUntold { key } => format!(
            "More than {} bytes of addresses to tell other routers of: until some are gone, \
             further ones cannot be reached from there, beginning with {}",
            limits::MESH_OWN_ADDRESS_BYTES,
            notice::cut(key),
        ),
        NetworkNotice::AnnotationsVersion {
            connection,
            version,
        } => format!("Remote router annotations version: {version} on [C{connection}]"),
    }
}

/// What another router must not do.
fn say_of_trespass(notice: &NetworkNotice) -> String {
    match notice {
        NetworkNotice::DuplicateRouter {
            connection,
            id,
            neighbor: None,
        } => format!(
            "{}Detected Neighbor Router with a Duplicate ID - {id}: it is ignored until it or this \
             router has another id in its router section",
            place(*connection),
        ),
        NetworkNotice::DuplicateRouter {
            connection,
            id,
            neighbor: Some(neighbor),
        } => format!(
            "{}Detected Router with a Duplicate ID - {id}: it is behind router {neighbor}, and is \
             ignored until it or this router has another id in its router section",
            place(*connection),
        ),
        NetworkNotice::VersionMismatch {
            connection,
            id,
            version,
            own,
            more,
        } => format!(
            "{}Received message at protocol version {version} from {id}. Ignoring: this router \
             speaks version {own}; install a release on one of them that speaks the other's{}",
            place(*connection),
            further(*more),
        ),
        NetworkNotice::RouterMisbehaved {
            connection,
            neighbor,
            why,
            more,
        } => {
            let from = called(neighbor.as_deref());
            let (place, more) = (place(*connection), further(*more));
            format!("{place}Ignoring a message of {from}: {why}{more}")
        }
        _ => String::new(),
    }
}

/// The connection by which something was found out.
fn place(connection: Option<ConnectionId>) -> String {
    connection.map_or_else(String::new, |connection| format!("[C{connection}] "))
}

/// How often the like has happened since it was last told.
fn further(more: u64) -> String {
    match more {
        0 => String::new(),
        more => format!(" ({more} more since)"),
    }
}

/// A neighbour by its id, if it has said that.
fn called(id: Option<&str>) -> String {
    id.map_or_else(
        || "an unknown neighbor".to_owned(),
        |id| format!("router {id}"),
    )
}

#[track_caller]
fn said(text: String) -> Said {
    Said {
        text,
        source: Location::caller(),
    }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

fn link_end(how: LinkEnd) -> &'static str {
    match how {
        LinkEnd::Detached => "Link detached",
        LinkEnd::Lost => "Link lost",
        LinkEnd::ConnectionLost => "Link closed due to connection loss",
    }
}

fn connection_opened(opened: &Opened) -> String {
    let Opened {
        connection,
        direction,
        peer,
        mechanism,
        user,
        encrypted,
        container,
        properties,
    } = opened;
    let encrypted = encrypted.unwrap_or("no");
    let mechanism = mechanism.as_deref().unwrap_or("no");
    let user = user.as_deref().unwrap_or("anonymous");
    let properties = properties.as_ref().map(notation).unwrap_or_default();
    format!(
        "[C{connection}] Connection Opened: dir={} host={peer} vhost= encrypted={encrypted} \
         auth={mechanism} user={user} container_id={container} props={properties}",
        direction_name(*direction),
    )
}

fn notation(value: &Encoded) -> String {
    value
        .value()
        .map(|value| value.to_string())
        .unwrap_or_default()
}

fn link_ended(
    (connection, link): (ConnectionId, LinkId),
    how: LinkEnd,
    counters: &LinkCounters,
    blocked: bool,
) -> String {
    let (how, counters) = (link_end(how), link_counters(counters, blocked));
    format!("[C{connection}][L{link}] {how}: {counters}")
}

fn link_counters(counters: &LinkCounters, blocked: bool) -> String {
    format!(
        "del={} presett={} psdrop={} acc={} rej={} rel={} mod={} delay1={} delay10={} blocked={}",
        counters.deliveries,
        counters.presettled,
        counters.dropped_presettled,
        counters.accepted,
        counters.rejected,
        counters.released,
        counters.modified,
        counters.delayed_1s,
        counters.delayed_10s,
        if blocked { "yes" } else { "no" },
    )
}

/// What stands between the braces.
fn terminus(terminus: &TerminusText) -> String {
    if terminus.coordinator {
        return "<coordinator>".to_owned();
    }
    let mut text = String::new();
    if terminus.dynamic {
        text.push_str("(dyn)");
    }
    text.push_str(terminus.address.as_deref().unwrap_or("<none>"));
    match terminus.durable {
        0 => {}
        1 => text.push_str(" dur:config"),
        _ => text.push_str(" dur:deliveries"),
    }
    if let Some(expiry) = terminus.expiry.filter(|&expiry| expiry != "never") {
        text.push_str(" expire:");
        text.push_str(expiry);
    }
    if terminus.timeout > 0 {
        write!(text, " timeout:{}", terminus.timeout).expect("a string takes whatever is written");
    }
    let symbol = |name: &String| Value::Symbol(Symbol::copy(name)).to_string();
    match terminus.capabilities.as_slice() {
        [] => {}
        [one] => text.push_str(&format!(" caps:{}", symbol(one))),
        several => {
            let mut several: Vec<_> = several.iter().map(symbol).collect();
            if terminus.more_capabilities > 0 {
                several.push(format!("... {} more", terminus.more_capabilities));
            }
            text.push_str(&format!(" caps:@PN_SYMBOL[{}]", several.join(", ")));
        }
    }
    text
}

/// A frame as it is printed for whoever sets `PN_TRACE_FRM`; `None` for another notice.
pub(super) fn traced(notice: &Notice) -> Option<String> {
    match notice {
        Notice::Frame { connection, frame } => {
            Some(format!("[C{connection}]:{}", frame_line(frame)))
        }
        _ => None,
    }
}

/// A frame in the notation of the tracer that scripts read.
fn frame_text(connection: ConnectionId, frame: &Tapped) -> String {
    format!("[C{connection}]:FRAME: {}", frame_line(frame))
}

/// Channel, direction and what the frame says.
fn frame_line(frame: &Tapped) -> String {
    let arrow = if frame.incoming { "<-" } else { "->" };
    let performative = |channel: u16| {
        let performative = amqp_codec::describe_performative(&frame.performative);
        format!("{channel} {arrow} {performative}")
    };
    let mut text = match frame.kind {
        TapKind::Header => format!("  {arrow} {}", header_name(&frame.performative)),
        TapKind::Empty(channel) => format!("{channel} {arrow} (EMPTY FRAME)"),
        TapKind::Amqp(channel) => performative(channel),
        TapKind::Sasl => performative(0),
    };
    if frame.payload_len > 0 {
        let cut = if frame.payload_len > frame.payload.len() {
            "... (truncated)"
        } else {
            ""
        };
        write!(
            text,
            " ({}) \"{}\"{cut}",
            frame.payload_len,
            escaped(&frame.payload)
        )
        .expect("a string takes whatever is written");
    }
    if frame.lost > 0 {
        write!(
            text,
            " [{} frames before this one were not traced]",
            frame.lost
        )
        .expect("a string takes whatever is written");
    }
    text
}

fn header_name(header: &[u8]) -> String {
    match header {
        b"AMQP\x00\x01\x00\x00" => "AMQP".to_owned(),
        b"AMQP\x02\x01\x00\x00" => "TLS".to_owned(),
        b"AMQP\x03\x01\x00\x00" => "SASL".to_owned(),
        other => format!("\"{}\"", escaped(other)),
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "\\x{byte:02x}").expect("a string takes whatever is written"),
        }
    }
    text
}

/// From where to where a connection was that ended for a reason.
fn way(listener: Option<&str>, peer: &str) -> String {
    match listener {
        Some(listener) => format!("from {peer} (to {listener})"),
        None => format!("to {peer}"),
    }
}

#[cfg(test)]
mod tests;
