//! A listener: where clients connect, and what they may do there.

use crate::schema::definition::Kind::{Boolean, Enum, Integer, Path, String};
use crate::schema::definition::{Attribute, EntityType, Support};
use crate::schema::tables::base::CONFIGURATION;
use crate::schema::tables::common;
use router_core::limits::HANDSHAKE_TIME_OUT;

/// SASL mechanisms that this version speaks, the strongest first.
pub const MECHANISMS: &[&str] = &[
    "SCRAM-SHA-512",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "EXTERNAL",
    "PLAIN",
    "ANONYMOUS",
];

/// The most connections or addresses that can be asked to have series of their own.
const SERIES_MAX: i64 = 10_000;

/// A listener.
pub static LISTENER: EntityType = EntityType {
    short: "listener",
    extends: Some(&CONFIGURATION),
    operations: &["CREATE", "DELETE"],
    attributes: ATTRIBUTES,
    section: Some("listener"),
    description: "Listens for connections to the router.",
    ..EntityType::PLAIN
};

const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "host",
        String,
        "Host name or address; empty: all interfaces.",
    )
    .text("")
    .create(),
    Attribute::new(
        "port",
        String,
        "Port number or the name of a service; 0: any free port.",
    )
    .text("amqp")
    .create(),
    Attribute::new(
        "socketAddressFamily",
        Enum(&["IPv4", "IPv6"]),
        "Accepted and ignored.",
    )
    .create()
    .alias("protocolFamily")
    .support(Support::Inert),
    common::ROLE,
    common::COST,
    common::SSL_PROFILE,
    Attribute::new(
        "saslMechanisms",
        String,
        "SASL mechanisms offered, separated by blanks; where none are configured, those by which \
         somebody can authenticate here.",
    )
    .create(),
    Attribute::new("authenticatePeer", Boolean, "Peers must authenticate.")
        .boolean(false)
        .create(),
    Attribute::new(
        "saslPlugin",
        String,
        "Name of the authServicePlugin that decides who may connect, and by what mechanism.",
    )
    .create(),
    common::INSECURE_AUTHENTICATION,
    Attribute::new(
        "requireEncryption",
        Boolean,
        "Connections must be encrypted, which means TLS.",
    )
    .boolean(false)
    .create(),
    Attribute::new("requireSsl", Boolean, "Connections must use TLS.")
        .boolean(false)
        .create(),
    Attribute::new(
        "trustedCertsFile",
        Path,
        "Accepted for old configurations; not used.",
    )
    .create()
    .alias("trustedCerts")
    .support(Support::Inert),
    common::MAX_FRAME_SIZE,
    common::MAX_SESSIONS,
    common::MAX_SESSION_FRAMES,
    common::IDLE_TIMEOUT_SECONDS,
    common::LOSS_DETECTION_MILLISECONDS,
    Attribute::new(
        "initialHandshakeTimeoutSeconds",
        Integer,
        "Time to the peer's Open; 0: any.",
    )
    .integer(HANDSHAKE_TIME_OUT.as_secs() as i64)
    .range(0, 86_400)
    .create(),
    common::STRIP_ANNOTATIONS,
    common::LINK_CAPACITY,
    Attribute::new(
        "multiTenant",
        Boolean,
        "Addresses belong to the peer's virtual host.",
    )
    .boolean(false)
    .create()
    .support(Support::Later),
    Attribute::new(
        "failoverUrls",
        String,
        "Other servers that clients are told of: [SCHEME://]HOST[:PORT], with commas.",
    )
    .create()
    .alias("failoverList"),
    Attribute::new(
        "http",
        Boolean,
        "The listener speaks HTTP, and AMQP by WebSocket only. Without a host it is bound to the \
         loopback interface.",
    )
    .boolean(false)
    .create(),
    Attribute::new(
        "healthz",
        Boolean,
        "HTTP gives out how the router is doing: /healthz, /livez, /readyz.",
    )
    .boolean(true)
    .create(),
    Attribute::new("metrics", Boolean, "HTTP gives out metrics: /metrics.")
        .boolean(true)
        .create(),
    Attribute::new(
        "addressSeriesMax",
        Integer,
        "Addresses that have series of their own in the metrics, the oldest first; 0: none.",
    )
    .integer(0)
    .range(0, SERIES_MAX)
    .create(),
    Attribute::new(
        "connectionSeriesMax",
        Integer,
        "Connections that have series of their own in the metrics, the oldest first; 0: none.",
    )
    .integer(0)
    .range(0, SERIES_MAX)
    .create(),
    Attribute::new("websockets", Boolean, "AMQP may be spoken by WebSocket.")
        .boolean(true)
        .create(),
    Attribute::new(
        "httpOrigins",
        String,
        "Web pages that may speak AMQP by WebSocket, as their browser names them: \
         SCHEME://HOST[:PORT], with commas; *: all. Without it: those that the listener itself has \
         given out, and with authenticatePeer and no client certificate any. Who is no browser is \
         not asked. A listener on the loopback interface answers to these hosts, too.",
    )
    .create(),
    Attribute::new(
        "httpRootDir",
        Path,
        "Folder of files that HTTP gives out; with it, http is yes.",
    )
    .create()
    .alias("httpRoot"),
    common::MESSAGE_LOGGING_COMPONENTS,
    common::POLICY_VHOST,
    common::MANAGEMENT_ACCESS,
    common::OPEN_PROPERTIES,
];
