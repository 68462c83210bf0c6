//! A connector: where the router connects to, and what for.

use crate::schema::definition::Kind::{Boolean, Enum, String};
use crate::schema::definition::{Attribute, EntityType, Support};
use crate::schema::tables::base::CONFIGURATION;
use crate::schema::tables::common;

/// A connector.
pub static CONNECTOR: EntityType = EntityType {
    short: "connector",
    extends: Some(&CONFIGURATION),
    operations: &["CREATE", "DELETE"],
    attributes: ATTRIBUTES,
    section: Some("connector"),
    description: "Keeps a connection to a server, whatever happens to it.",
    ..EntityType::PLAIN
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
    common::ROLE,
    common::COST,
    common::SSL_PROFILE,
    Attribute::new(
        "saslMechanisms",
        String,
        "SASL mechanisms consented to, separated by blanks: the strongest that the server offers \
         is used.",
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
    common::MAX_FRAME_SIZE,
    common::MAX_SESSIONS,
    common::MAX_SESSION_FRAMES,
    common::IDLE_TIMEOUT_SECONDS,
    common::LOSS_DETECTION_MILLISECONDS,
    common::STRIP_ANNOTATIONS,
    common::LINK_CAPACITY,
    Attribute::new(
        "verifyHostname",
        Boolean,
        "The certificate must be for the host; its chain is checked in any case.",
    )
    .boolean(true)
    .create()
    .alias("verifyHostName"),
    Attribute::new("saslUsername", String, "User to authenticate as.").create(),
    Attribute::new(
        "saslPassword",
        String,
        "Password of the user: `env:VARIABLE`, `file:PATH` for the first line of a file, or as it \
         is, `pass:` before it or not; a request has it as it is. It is looked up each time it is \
         needed.",
    )
    .create()
    .secret(),
    common::INSECURE_AUTHENTICATION,
    common::MESSAGE_LOGGING_COMPONENTS,
    Attribute::new(
        "failoverUrls",
        String,
        "Servers it may use, beginning with the one in use or tried next.",
    )
    .alias("failoverList"),
    Attribute::new(
        "connectionStatus",
        String,
        "INITIALIZING, CONNECTING or SUCCESS; between two attempts it is CONNECTING.",
    ),
    Attribute::new(
        "connectionMsg",
        String,
        "The last that was heard of its connection, such as why it failed.",
    ),
    common::POLICY_VHOST,
    common::MANAGEMENT_ACCESS,
    common::OPEN_PROPERTIES,
];
