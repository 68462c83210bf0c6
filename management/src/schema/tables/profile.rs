//! A profile for TLS: certificates, keys, whom to trust, what to offer.

use crate::schema::definition::Kind::{Path, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::CONFIGURATION;

/// A profile for TLS.
pub static SSL_PROFILE: EntityType = EntityType {
    short: "sslProfile",
    extends: Some(&CONFIGURATION),
    operations: &["CREATE", "UPDATE", "DELETE"],
    attributes: ATTRIBUTES,
    section: Some("sslProfile"),
    description: "Certificates, keys and rules for TLS. An UPDATE reads its files anew.",
    ..EntityType::PLAIN
};

const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "ciphers",
        String,
        "Cipher suites of TLS 1.2, as a list of OpenSSL; none: all that are safe.",
    )
    .create(),
    Attribute::new(
        "protocols",
        String,
        "Versions allowed, of TLSv1.2 and TLSv1.3, separated by blanks; none: both.",
    )
    .create(),
    Attribute::new(
        "caCertFile",
        Path,
        "Authorities that may sign peers' certificates, or such as signed themselves; none: the \
         system's authorities.",
    )
    .create()
    .alias("certDb"),
    Attribute::new(
        "certFile",
        Path,
        "The router's certificate, and those that lead to an authority.",
    )
    .create(),
    Attribute::new(
        "privateKeyFile",
        Path,
        "The key of the certificate, encrypted or not.",
    )
    .create()
    .alias("keyFile"),
    Attribute::new(
        "passwordFile",
        Path,
        "Deprecated: write password: file:PATH.",
    )
    .create()
    .deprecated(),
    Attribute::new(
        "password",
        String,
        "Password of the key: env:VARIABLE, file:PATH, pass:TEXT or literal:TEXT. Never shown.",
    )
    .create()
    .secret(),
    Attribute::new(
        "uidFormat",
        String,
        "What makes a peer's certificate a user: letters of csloun and one of 125.",
    )
    .create(),
    Attribute::new(
        "uidNameMappingFile",
        Path,
        "A map in JSON from such users to the names that they go by.",
    )
    .create()
    .alias("displayNameFile"),
    Attribute::new(
        "certificateExpires",
        String,
        "When the router's certificate expires.",
    ),
    Attribute::new(
        "caCertificateExpires",
        String,
        "When the first of the authorities expires.",
    ),
];
