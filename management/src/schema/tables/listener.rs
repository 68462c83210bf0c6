//! A listener: where clients connect, and what they may do there.

use crate::schema::definition::Kind::{Boolean, Enum, Integer, Path, Properties, String};
use crate::schema::definition::{Attribute, EntityType, Support};
use crate::schema::tables::base::CONFIGURATION;
use router_core::limits::{self, HANDSHAKE_TIME_OUT};

/// The greatest number of an unsigned 32-bit attribute.
pub(super) const U32_MAX: i64 = 0xFFFF_FFFF;

/// The greatest cost, which goes into an `int` of the router's Open.
pub(super) const COST_MAX: i64 = 0x7FFF_FFFF;

/// The least and the most of `lossDetectionMilliseconds`.
#[expect(clippy::cast_possible_truncation, reason = "a minute in milliseconds")]
pub(super) const LOSS_DETECTION_LEAST: i64 = limits::LOSS_DETECTION_LEAST.as_millis() as i64;
#[expect(clippy::cast_possible_truncation, reason = "a minute in milliseconds")]
pub(super) const LOSS_DETECTION_MOST: i64 = limits::LOSS_DETECTION_MOST.as_millis() as i64;

/// SASL mechanisms that this version offers.
pub const MECHANISMS: &[&str] = &["ANONYMOUS"];

/// A listener.
pub static LISTENER: EntityType = EntityType {
    short: "listener",
    extends: Some(&CONFIGURATION),
    operations: &["CREATE", "DELETE"],
    singleton: false,
    is_abstract: false,
    attributes: ATTRIBUTES,
    columns: &[],
    shows_nulls: false,
    section: Some("listener"),
    description: "Listens for connections to the router.",
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
    Attribute::new(
        "role",
        Enum(ROLES),
        "What connections are for; edge: not yet.",
    )
    .text("normal")
    .create(),
    Attribute::new("cost", Integer, "Cost of the connection between routers.")
        .integer(1)
        .range(1, COST_MAX)
        .create(),
    Attribute::new("sslProfile", String, "Name of the TLS settings.")
        .create()
        .support(Support::Later),
    Attribute::new(
        "saslMechanisms",
        String,
        "SASL mechanisms offered, separated by blanks.",
    )
    .create(),
    Attribute::new("authenticatePeer", Boolean, "Peers must authenticate.")
        .boolean(false)
        .create(),
    Attribute::new("saslPlugin", String, "Name of the authentication service.")
        .create()
        .support(Support::Later),
    Attribute::new(
        "requireEncryption",
        Boolean,
        "Connections must be encrypted.",
    )
    .boolean(false)
    .create()
    .support(Support::Later),
    Attribute::new("requireSsl", Boolean, "Connections must use TLS.")
        .boolean(false)
        .create()
        .support(Support::Later),
    Attribute::new(
        "trustedCertsFile",
        Path,
        "Accepted for old configurations; not used.",
    )
    .create()
    .alias("trustedCerts")
    .support(Support::Inert),
    Attribute::new(
        "maxFrameSize",
        Integer,
        "Largest frame accepted, in bytes; at least 512.",
    )
    .integer(16_384)
    .range(0, U32_MAX)
    .create(),
    Attribute::new(
        "maxSessions",
        Integer,
        "Sessions a connection may have; 0: as many as can be.",
    )
    .integer(32_768)
    .range(0, U32_MAX)
    .create(),
    Attribute::new(
        "maxSessionFrames",
        Integer,
        "Frames a session may send ahead.",
    )
    .range(0, U32_MAX)
    .create(),
    Attribute::new(
        "idleTimeoutSeconds",
        Integer,
        "Silence that ends a connection; 0: never.",
    )
    .integer(16)
    .range(0, 2_147_483)
    .create(),
    Attribute::new(
        "lossDetectionMilliseconds",
        Integer,
        "Silence after which a Causeway neighbour is lost; none: as in `router`.",
    )
    .range(LOSS_DETECTION_LEAST, LOSS_DETECTION_MOST)
    .create(),
    Attribute::new(
        "initialHandshakeTimeoutSeconds",
        Integer,
        "Time to the peer's Open; 0: any.",
    )
    .integer(HANDSHAKE_TIME_OUT.as_secs() as i64)
    .range(0, 86_400)
    .create(),
    Attribute::new("stripAnnotations", Enum(STRIPPED), "Annotations dropped.")
        .text("both")
        .create(),
    Attribute::new(
        "linkCapacity",
        Integer,
        "Credit of producers, buffer of consumers.",
    )
    .range(1, 1_000_000)
    .create(),
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
    Attribute::new("healthz", Boolean, "Health checks over HTTP.")
        .boolean(true)
        .create()
        .support(Support::Inert),
    Attribute::new("metrics", Boolean, "Metrics over HTTP.")
        .boolean(true)
        .create()
        .support(Support::Inert),
    Attribute::new("websockets", Boolean, "AMQP over WebSocket.")
        .boolean(true)
        .create()
        .support(Support::Inert),
    Attribute::new("http", Boolean, "The listener speaks HTTP.")
        .boolean(false)
        .create()
        .support(Support::Later),
    Attribute::new(
        "httpRootDir",
        Path,
        "Directory of the files served over HTTP.",
    )
    .create()
    .alias("httpRoot")
    .support(Support::Later),
    Attribute::new(
        "messageLoggingComponents",
        String,
        "Parts of messages that the log shows.",
    )
    .text("none")
    .create()
    .alias("logMessage")
    .support(Support::Inert),
    Attribute::new("policyVhost", String, "Virtual host whose policy applies.")
        .create()
        .support(Support::Later),
    Attribute::new(
        "openProperties",
        Properties,
        "Entries added to the properties of Open.",
    )
    .create(),
];

/// What connections may be for.
pub(super) const ROLES: &[&str] = &["normal", "inter-router", "route-container", "edge"];

/// On which way router annotations may be dropped.
pub(super) const STRIPPED: &[&str] = &["in", "out", "both", "no"];
