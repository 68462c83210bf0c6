//! What is let in, and the virtual hosts that would restrict clients.
//!
//! Decision: virtual hosts are types without entities. One that permits everything is read and says
//! nothing; one that restricts is refused where it is given. So who asks gets an empty table, which
//! is the truth, instead of an error.

use crate::schema::definition::Attribute;
use crate::schema::definition::EntityType;
use crate::schema::definition::Kind::{Boolean, Integer, Map, Path, String};
use crate::schema::definition::Support::Later;
use crate::schema::tables::base::{CONFIGURATION, OPERATIONAL};

/// What is let in.
pub static POLICY: EntityType = EntityType {
    short: "policy",
    extends: Some(&CONFIGURATION),
    singleton: true,
    section: Some("policy"),
    attributes: &[
        Attribute::new("maxConnections", Integer, "Connections at the same time.")
            .create()
            .integer(65_535),
        Attribute::new("maxMessageSize", Integer, "Bytes of a message; 0: any.")
            .create()
            .integer(0)
            .support(Later),
        Attribute::new(
            "enableVhostPolicy",
            Boolean,
            "Read the virtual hosts; one that forbids anything is refused.",
        )
        .create()
        .boolean(false),
        Attribute::new(
            "enableVhostNamePatterns",
            Boolean,
            "Names of virtual hosts are patterns.",
        )
        .create()
        .boolean(false),
        Attribute::new(
            "policyDir",
            Path,
            "A directory of files with virtual hosts.",
        )
        .create()
        .text(""),
        Attribute::new(
            "defaultVhost",
            String,
            "The virtual host of everybody else.",
        )
        .create()
        .text("$default"),
        Attribute::graph("connectionsProcessed", "Connections accepted or denied."),
        Attribute::graph(
            "connectionsDenied",
            "Connections denied: there were too many.",
        ),
        Attribute::graph("connectionsCurrent", "Connections that there are."),
        Attribute::graph("linksDenied", "Links denied."),
        Attribute::graph("maxMessageSizeDenied", "Messages denied for their size."),
        Attribute::graph("totalDenials", "Everything denied."),
    ],
    description: "What is let in.",
    ..EntityType::PLAIN
};

/// Rules for the clients of a virtual host.
pub(super) static VHOST: EntityType = EntityType {
    short: "vhost",
    extends: Some(&CONFIGURATION),
    attributes: &[
        Attribute::new("hostname", String, "Its name.").required(),
        Attribute::new("aliases", String, "Further names."),
        Attribute::new("maxConnections", Integer, "Connections at the same time."),
        Attribute::new("maxMessageSize", Integer, "Bytes of a message."),
        Attribute::new("maxConnectionsPerUser", Integer, "Connections of one user."),
        Attribute::new("maxConnectionsPerHost", Integer, "Connections of one host."),
        Attribute::new("allowUnknownUser", Boolean, "Users of no group are let in."),
        Attribute::new("groups", Map, "Rules by group of users."),
    ],
    description: "Rules for the clients of a virtual host. This version has no rules that restrict \
                  clients, so there are none to show.",
    ..EntityType::PLAIN
};

/// What has become of a virtual host's clients.
pub(super) static VHOST_STATS: EntityType = EntityType {
    short: "vhostStats",
    extends: Some(&OPERATIONAL),
    attributes: &[
        Attribute::new("id", String, "The virtual host."),
        Attribute::new("hostname", String, "The virtual host."),
        Attribute::graph("connectionsApproved", "Connections let in."),
        Attribute::graph("connectionsDenied", "Connections denied."),
        Attribute::graph("connectionsCurrent", "Connections that there are."),
        Attribute::new("perUserState", Map, "Connections by user."),
        Attribute::new("perHostState", Map, "Connections by host."),
        Attribute::graph("sessionDenied", "Sessions denied."),
        Attribute::graph("senderDenied", "Senders denied."),
        Attribute::graph("receiverDenied", "Receivers denied."),
        Attribute::graph("maxMessageSizeDenied", "Messages denied for their size."),
    ],
    description: "What has become of a virtual host's clients; there are no virtual hosts to show.",
    ..EntityType::PLAIN
};
