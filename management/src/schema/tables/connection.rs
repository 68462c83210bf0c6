//! A connection to the router.

use crate::schema::definition::Kind::{Boolean, Enum, Integer, Map, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::OPERATIONAL;

/// A connection.
pub static CONNECTION: EntityType = EntityType {
    short: "connection",
    extends: Some(&OPERATIONAL),
    operations: &["UPDATE"],
    attributes: ATTRIBUTES,
    columns: &[
        "name",
        "identity",
        "host",
        "role",
        "protocol",
        "dir",
        "container",
        "sasl",
        "isAuthenticated",
        "user",
        "isEncrypted",
        "sslProto",
        "sslCipher",
        "properties",
        "sslSsf",
        "tenant",
        "type",
        "ssl",
        "opened",
        "active",
        "adminStatus",
        "operStatus",
        "uptimeSeconds",
        "lastDlvSeconds",
        "enableProtocolTrace",
        "trunk",
    ],
    shows_nulls: true,
    description: "A connection to the router.",
    ..EntityType::PLAIN
};

const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "adminStatus",
        Enum(&["enabled", "deleted"]),
        "What the administrator wants.",
    )
    .text("enabled")
    .update(),
    Attribute::new(
        "operStatus",
        Enum(&["up", "closing"]),
        "How the connection is.",
    ),
    Attribute::new("protocol", String, "The protocol spoken."),
    Attribute::new("container", String, "Container id of the peer."),
    Attribute::new("opened", Boolean, "Both Opens have been exchanged."),
    Attribute::new("active", Boolean, "It is in use, not standing by."),
    Attribute::new("host", String, "Address and port of the peer."),
    Attribute::new(
        "dir",
        Enum(&["in", "out"]),
        "Who connected: the peer or the router.",
    ),
    Attribute::new("role", String, "What the connection is for."),
    Attribute::new("isAuthenticated", Boolean, "The peer has authenticated."),
    Attribute::new("isEncrypted", Boolean, "The connection is encrypted."),
    Attribute::new("enableProtocolTrace", Boolean, "Its frames go to the log.")
        .boolean(false)
        .update(),
    Attribute::new(
        "trunk",
        String,
        "Identity of the first of several connections to one router that share the load.",
    ),
    Attribute::new("sasl", String, "SASL mechanism in use."),
    Attribute::new("user", String, "Who the peer is."),
    Attribute::new("ssl", Boolean, "TLS is in use."),
    Attribute::new("sslProto", String, "Version of TLS in use."),
    Attribute::new("sslCipher", String, "Cipher suite in use."),
    Attribute::new("sslSsf", Integer, "Strength of the encryption in bits."),
    Attribute::new("tenant", String, "Name space of the peer's addresses."),
    Attribute::graph("uptimeSeconds", "Seconds since the peer connected."),
    Attribute::new("properties", Map, "Properties of the peer's Open."),
    Attribute::graph("lastDlvSeconds", "Seconds since the last delivery."),
];
