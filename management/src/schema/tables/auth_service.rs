//! An authentication service: who decides in the router's stead who may connect.

use crate::schema::definition::Kind::{Boolean, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::CONFIGURATION;

/// An authentication service.
pub static AUTH_SERVICE: EntityType = EntityType {
    short: "authServicePlugin",
    extends: Some(&CONFIGURATION),
    operations: &["CREATE", "DELETE"],
    attributes: ATTRIBUTES,
    section: Some("authServicePlugin"),
    description: "A service that speaks AMQP, to which the authentication of a listener's peers is \
                  relayed.",
    ..EntityType::PLAIN
};

const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "authService",
        String,
        "HOST:PORT of the service; host and port say it better.",
    )
    .create()
    .deprecated(),
    Attribute::new("host", String, "Host name or address of the service.")
        .text("")
        .create(),
    Attribute::new("port", String, "Port number or the name of a service.")
        .text("amqp")
        .create(),
    Attribute::new(
        "realm",
        String,
        "The host name that the service is told the client means.",
    )
    .create()
    .alias("saslInitHostname"),
    Attribute::new("sslProfile", String, "Name of the TLS settings.")
        .create()
        .alias("authSslProfile"),
    Attribute::new(
        "verifyHostname",
        Boolean,
        "With an sslProfile: the certificate must be for the host; its chain is checked in any \
         case.",
    )
    .boolean(true)
    .create(),
];
