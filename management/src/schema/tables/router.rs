//! The router as a whole: its settings, then its figures.

use crate::schema::definition::Kind::{Boolean, Enum, Integer, Path, String};
use crate::schema::definition::{Attribute, EntityType, Support};
use crate::schema::tables::base::CONFIGURATION;
use crate::schema::tables::common::{LOSS_DETECTION_LEAST, LOSS_DETECTION_MOST};

/// How addresses without configuration are served.
const DISTRIBUTIONS: &[&str] = &["multicast", "closest", "balanced", "unavailable"];

/// The longest interval of the routing protocol that makes sense, in seconds: a day.
const LONGEST: i64 = 86_400;

/// The router.
pub static ROUTER: EntityType = EntityType {
    short: "router",
    extends: Some(&CONFIGURATION),
    singleton: true,
    attributes: ATTRIBUTES,
    columns: &[
        "name",
        "identity",
        "id",
        "type",
        "mode",
        "area",
        "version",
        "metadata",
        "addrCount",
        "linkCount",
        "nodeCount",
        "linkRouteCount",
        "autoLinkCount",
        "connectionCount",
        "presettledDeliveries",
        "droppedPresettledDeliveries",
        "acceptedDeliveries",
        "rejectedDeliveries",
        "releasedDeliveries",
        "modifiedDeliveries",
        "deliveriesDelayed1Sec",
        "deliveriesDelayed10Sec",
        "deliveriesStuck",
        "deliveriesIngress",
        "deliveriesEgress",
        "deliveriesTransit",
        "deliveriesIngressRouteContainer",
        "deliveriesEgressRouteContainer",
        "deliveriesRedirectedToFallback",
        "linksBlocked",
        "uptimeSeconds",
        "memoryUsage",
        "workerThreads",
    ],
    shows_nulls: true,
    section: Some("router"),
    description: "The router as a whole.",
    ..EntityType::PLAIN
};

const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "id",
        String,
        "Unique id of the router, at most 127 characters.",
    )
    .create(),
    Attribute::new(
        "mode",
        Enum(&["standalone", "interior", "edge"]),
        "Part the router plays.",
    )
    .text("standalone")
    .create()
    .support(Support::LaterTags(&["edge"])),
    Attribute::new("area", String, "Unused, always 0.").text("0"),
    Attribute::new("version", String, "Version of the program."),
    Attribute::new(
        "hostName",
        String,
        "Name of the host that the router runs on.",
    ),
    interval(
        "helloIntervalSeconds",
        "Interval between HELLO messages to neighbours.",
    )
    .integer(1)
    .alias("helloInterval"),
    interval(
        "helloMaxAgeSeconds",
        "Silence after which a neighbour is taken for lost.",
    )
    .integer(3)
    .alias("helloMaxAge"),
    interval(
        "raIntervalSeconds",
        "Interval between router advertisements in a stable network.",
    )
    .integer(30)
    .alias("raInterval"),
    interval(
        "raIntervalFluxSeconds",
        "Interval between router advertisements in flux.",
    )
    .integer(4)
    .alias("raIntervalFlux"),
    interval(
        "remoteLsMaxAgeSeconds",
        "Age at which the link state of a router expires.",
    )
    .integer(60)
    .alias("remoteLsMaxAge"),
    Attribute::new(
        "lossDetectionMilliseconds",
        Integer,
        "Silence after which a neighbour that is a Causeway router, too, is taken for lost and its \
         connection dropped; none: by HELLO and idle time-out, as with other routers.",
    )
    .range(LOSS_DETECTION_LEAST, LOSS_DETECTION_MOST)
    .create(),
    Attribute::new(
        "workerThreads",
        Integer,
        "Worker threads to run, each with a shard of its own; where none are configured, one for \
         each core (see shards). 256 run at most.",
    )
    .integer(4)
    .range(1, 1024)
    .create(),
    Attribute::new(
        "trunkConnections",
        Integer,
        "Most connections to one neighbour that share the load, where that is of our kind too; \
         0: as many as both have shards, at most 8; 1: never more than one.",
    )
    .integer(0)
    .range(0, 8)
    .create(),
    Attribute::new(
        "drainSeconds",
        Integer,
        "Longest time that deliveries in flight may take to settle when the router has to end.",
    )
    .integer(2)
    .range(0, LONGEST)
    .create(),
    Attribute::new("shards", Integer, "Number of shards that are running."),
    Attribute::new(
        "debugDumpFile",
        Path,
        "Accepted for old configurations; nothing is written.",
    )
    .create()
    .alias("debugDump")
    .support(Support::Inert),
    Attribute::new(
        "saslConfigDir",
        Path,
        "Directory of the file of users, where saslUserFile does not say which that is.",
    )
    .create()
    .alias("saslConfigPath"),
    Attribute::new(
        "saslConfigName",
        String,
        "Name of the file of users in saslConfigDir, without its ending `.users`.",
    )
    .text("qdrouterd")
    .create(),
    Attribute::new(
        "saslUserFile",
        Path,
        "File of the users who may authenticate by SCRAM and PLAIN, see `causeway user`.",
    )
    .create(),
    Attribute::new(
        "allowResumableLinkRoute",
        Boolean,
        "Routed links may ask for any expiry.",
    )
    .boolean(true)
    .create(),
    Attribute::new(
        "timestampsInUTC",
        Boolean,
        "The log shows UTC instead of local time.",
    )
    .create(),
    Attribute::new(
        "timestampFormat",
        String,
        "Format of the log's time stamps, as strftime's.",
    )
    .create(),
    Attribute::new(
        "allowUnsettledMulticast",
        Boolean,
        "Accepted for old configurations.",
    )
    .boolean(false)
    .create()
    .support(Support::Inert),
    Attribute::new(
        "defaultDistribution",
        Enum(DISTRIBUTIONS),
        "For addresses not configured.",
    )
    .text("balanced")
    .create(),
    Attribute::new("metadata", String, "Free text for people.").create(),
    Attribute::new(
        "managementUsers",
        String,
        "Users who may change the router by management, separated by commas, in single quotes \
         where a name has commas itself, as the subject of a certificate has; where none are \
         configured, everybody may whose listener lets them. Who asks by way of another router is \
         not known, so may not.",
    )
    .create(),
    Attribute::graph("addrCount", "Addresses known."),
    Attribute::graph("linkCount", "Links attached."),
    Attribute::graph(
        "blockedLinkCount",
        "Links to receivers without credit for ten seconds.",
    ),
    Attribute::graph(
        "linksBlocked",
        "Links to receivers without credit for ten seconds.",
    ),
    Attribute::graph("nodeCount", "Other routers known."),
    Attribute::graph("linkRouteCount", "Link routes configured."),
    Attribute::graph("autoLinkCount", "Auto-links configured."),
    Attribute::graph("connectionCount", "Connections open."),
    Attribute::graph("presettledDeliveries", "Deliveries that arrived settled."),
    Attribute::graph("droppedPresettledDeliveries", "Settled deliveries dropped."),
    Attribute::graph("acceptedDeliveries", "Deliveries that ended accepted."),
    Attribute::graph("rejectedDeliveries", "Deliveries that ended rejected."),
    Attribute::graph("releasedDeliveries", "Deliveries that ended released."),
    Attribute::graph("modifiedDeliveries", "Deliveries that ended modified."),
    Attribute::graph(
        "deliveriesDelayed1Sec",
        "Deliveries under way for 1 to 10 seconds.",
    ),
    Attribute::graph(
        "deliveriesDelayed10Sec",
        "Deliveries under way for over 10 seconds.",
    ),
    Attribute::graph("deliveriesStuck", "Deliveries that are stuck now."),
    Attribute::graph("deliveriesIngress", "Deliveries from clients."),
    Attribute::graph("deliveriesEgress", "Deliveries to clients."),
    Attribute::graph("deliveriesTransit", "Deliveries to other routers."),
    Attribute::graph(
        "deliveriesIngressRouteContainer",
        "Deliveries from route containers.",
    ),
    Attribute::graph(
        "deliveriesEgressRouteContainer",
        "Deliveries to route containers.",
    ),
    Attribute::graph(
        "deliveriesRedirectedToFallback",
        "Deliveries meant for a fallback: they went there or began to wait for it.",
    ),
    Attribute::graph("uptimeSeconds", "Seconds since the start of the router."),
    Attribute::graph("memoryUsage", "Virtual memory of the process, in bytes."),
];

const fn interval(name: &'static str, description: &'static str) -> Attribute {
    Attribute::new(name, Integer, description)
        .range(1, LONGEST)
        .create()
}
