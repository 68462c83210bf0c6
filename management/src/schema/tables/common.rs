//! What listeners and connectors have in common: attributes of connections, whichever side opens
//! them.

use crate::schema::definition::Kind::{Boolean, Enum, Integer, Properties, String};
use crate::schema::definition::{Attribute, Support};
use router_core::limits;

pub(super) const ROLE: Attribute = Attribute::new(
    "role",
    Enum(ROLES),
    "What a connection is for; edge: not yet.",
)
.text("normal")
.create();

pub(super) const COST: Attribute =
    Attribute::new("cost", Integer, "Cost of the connection between routers.")
        .integer(1)
        .range(1, COST_MAX)
        .create();

pub(super) const SSL_PROFILE: Attribute =
    Attribute::new("sslProfile", String, "Name of the TLS settings.").create();

pub(super) const MAX_FRAME_SIZE: Attribute = Attribute::new(
    "maxFrameSize",
    Integer,
    "Largest frame accepted, in bytes; at least 512.",
)
.integer(16_384)
.range(0, U32_MAX)
.create();

pub(super) const MAX_SESSIONS: Attribute = Attribute::new(
    "maxSessions",
    Integer,
    "Sessions a connection may have; 0: as many as can be.",
)
.integer(32_768)
.range(0, U32_MAX)
.create();

pub(super) const MAX_SESSION_FRAMES: Attribute = Attribute::new(
    "maxSessionFrames",
    Integer,
    "Frames a session may send ahead; none or 0: 2 MiB of them, at least 128.",
)
.range(0, U32_MAX)
.create();

pub(super) const IDLE_TIMEOUT_SECONDS: Attribute = Attribute::new(
    "idleTimeoutSeconds",
    Integer,
    "Silence that ends a connection; 0: never.",
)
.integer(16)
.range(0, 2_147_483)
.create();

pub(super) const LOSS_DETECTION_MILLISECONDS: Attribute = Attribute::new(
    "lossDetectionMilliseconds",
    Integer,
    "Silence after which a Causeway neighbour is lost; none: as in `router`.",
)
.range(LOSS_DETECTION_LEAST, LOSS_DETECTION_MOST)
.create();

pub(super) const STRIP_ANNOTATIONS: Attribute =
    Attribute::new("stripAnnotations", Enum(STRIPPED), "Annotations dropped.")
        .text("both")
        .create();

pub(super) const LINK_CAPACITY: Attribute = Attribute::new(
    "linkCapacity",
    Integer,
    "Credit of producers, buffer of consumers; none or 0: 250.",
)
.range(0, 1_000_000)
.create();

pub(super) const MESSAGE_LOGGING_COMPONENTS: Attribute = Attribute::new(
    "messageLoggingComponents",
    String,
    "Parts of messages that the log shows at level trace of module MESSAGE: none, all, or names \
     with commas between them (operations.md).",
)
.text("none")
.create()
.alias("logMessage");

pub(super) const MANAGEMENT_ACCESS: Attribute = Attribute::new(
    "managementAccess",
    Enum(&["full", "read", "none"]),
    "What peers may do by management. Who asks by way of another router is not known, and may do \
     what all listeners and connectors allow.",
)
.text("full")
.create();

pub(super) const POLICY_VHOST: Attribute =
    Attribute::new("policyVhost", String, "Virtual host whose policy applies.")
        .create()
        .support(Support::Later);

pub(super) const OPEN_PROPERTIES: Attribute = Attribute::new(
    "openProperties",
    Properties,
    "Entries added to the properties of Open.",
)
.create();

/// The greatest number of an unsigned 32-bit attribute.
const U32_MAX: i64 = 0xFFFF_FFFF;

/// The greatest cost, which goes into an `int` of the router's Open.
const COST_MAX: i64 = 0x7FFF_FFFF;

/// The least and the most of `lossDetectionMilliseconds`.
#[expect(clippy::cast_possible_truncation, reason = "a minute in milliseconds")]
pub(super) const LOSS_DETECTION_LEAST: i64 = limits::LOSS_DETECTION_LEAST.as_millis() as i64;
#[expect(clippy::cast_possible_truncation, reason = "a minute in milliseconds")]
pub(super) const LOSS_DETECTION_MOST: i64 = limits::LOSS_DETECTION_MOST.as_millis() as i64;

/// What connections may be for.
const ROLES: &[&str] = &["normal", "inter-router", "route-container", "edge"];

/// On which way router annotations may be dropped.
const STRIPPED: &[&str] = &["in", "out", "both", "no"];

/// Passwords may pass in clear.
pub(super) const INSECURE_AUTHENTICATION: Attribute = Attribute::new(
    "allowInsecureAuthentication",
    Boolean,
    "PLAIN may be used without TLS, so that whoever listens on the way reads the password.",
)
.boolean(false)
.create();
