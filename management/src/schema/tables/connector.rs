//! A connector: where the router connects to, and what for.

use crate::schema::definition::Kind::{Boolean, Enum, Integer, Properties, String};
use crate::schema::definition::{Attribute, EntityType, Support};
use crate::schema::tables::base::CONFIGURATION;
use crate::schema::tables::listener::{
    COST_MAX, LOSS_DETECTION_LEAST, LOSS_DETECTION_MOST, ROLES, STRIPPED, U32_MAX,
};

/// A connector.
pub static CONNECTOR: EntityType = EntityType {
    short: "connector",
    extends: Some(&CONFIGURATION),
    operations: &["CREATE", "DELETE"],
    singleton: false,
    is_abstract: false,
    attributes: ATTRIBUTES,
    columns: &[],
    shows_nulls: false,
    section: Some("connector"),
    description: "Keeps a connection to a server, whatever happens to it.",
};

const ATTRIBUTES: &[Attribute] = &[
    Attribute::new("host", String, "Host name or address to connect to.")
        .text("127.0.0.1")
        .create(),
    Attribute::new("port", String, "Port number or the name of a service.")
        .text("amqp")
        .create(),
    Attribute::new(
        "protocolFamily",
        Enum(&["IPv4", "IPv6"]),
        "Accepted and ignored.",
    )
    .create()
    .support(Support::Inert),
    Attribute::new(
        "role",
        Enum(ROLES),
        "What the connection is for; edge: not yet.",
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
        "SASL mechanisms consented to, separated by blanks.",
    )
    .create(),
    Attribute::new(
        "allowRedirect",
        Boolean,
        "Accepted and ignored: redirects are not followed.",
    )
    .boolean(true)
    .create()
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
        "Sessions the connection may have; 0: as many as can be.",
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
        "Silence that ends the connection; 0: never.",
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
        "verifyHostname",
        Boolean,
        "The certificate must be for the host; without TLS there is none.",
    )
    .boolean(true)
    .create()
    .alias("verifyHostName")
    .support(Support::Inert),
    Attribute::new("saslUsername", String, "User to authenticate as.")
        .create()
        .support(Support::Later),
    Attribute::new("saslPassword", String, "Password of the user.")
        .create()
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
    Attribute::new(
        "failoverUrls",
        String,
        "Servers it may use, beginning with the one in use or tried next.",
    )
    .alias("failoverList"),
    Attribute::new(
        "connectionStatus",
        String,
        "INITIALIZING, CONNECTING, SUCCESS or FAILED.",
    ),
    Attribute::new(
        "connectionMsg",
        String,
        "The last that was heard of its connection, such as why it failed.",
    ),
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
