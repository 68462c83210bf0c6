//! From checked entities to the plain values that router and log work with.
//! It checks nothing: an entity has been validated. Decision: the conversion is the only place that
//! knows both the attribute's name and the setting's meaning.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use amqp_codec::Value;
use amqp_codec::message::MessageParts;
use router_core::control::{
    AutoLinkRule, Connect, ConnectorIdentity, LinkRule, Listen, ListenerIdentity,
};
use router_core::ids::Direction;
use router_core::limits::{CONNECTION_BYTES, HANDSHAKE_TIME_OUT, LINK_CAPACITY, TRUNK_MEMBERS};
use router_core::route::{AddressRule, Treatment};
use router_core::settings::{
    AuthService, ConnectionRole, ConnectionSettings, HttpSettings, ManagementAccess, MeshTimers,
    RouterMode, RouterSettings, SaslSettings, Secret, StripAnnotations, TlsSettings,
};

use crate::schema::{CONNECTOR, Entity, LISTENER, MECHANISMS, failover_list, http_origins};

/// The smallest limit that AMQP allows for frames (amqp-1.0 §2.4.1).
const MIN_MAX_FRAME_SIZE: u32 = 512;

/// Where a listener for HTTP is that has not been told.
const LOOPBACK: &str = "127.0.0.1";

/// The most sessions that a connection may have.
const SESSIONS_MAX: u32 = 32_768;

/// Settings of one module of the log; what is `None` is inherited from module `DEFAULT`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// The module.
    pub module: String,
    /// An expression of levels, such as `info+`.
    pub enable: Option<String>,
    /// Lines begin with the time.
    pub include_timestamp: Option<bool>,
    /// Lines end with the place in the source.
    pub include_source: Option<bool>,
    /// `stderr`, `stdout`, `syslog` or the name of a file.
    pub output_file: Option<String>,
}

/// Where a profile for TLS has its parts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProfileSettings {
    /// What listeners and connectors call it.
    pub name: String,
    /// The router's certificate.
    pub cert_file: Option<String>,
    /// Its key.
    pub key_file: Option<String>,
    /// The password of the key, in one of its forms.
    pub password: Option<String>,
    /// A file with nothing but the password.
    pub password_file: Option<String>,
    /// Authorities.
    pub authority_file: Option<String>,
    /// OpenSSL's list of cipher suites.
    pub ciphers: Option<String>,
    /// Versions of TLS.
    pub protocols: Option<String>,
    /// How a certificate is made into a user.
    pub uid_format: Option<String>,
    /// A map from users to what they are called.
    pub names_file: Option<String>,
}

impl fmt::Debug for ProfileSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its password is nobody's business.
        let mut settings = f.debug_struct("ProfileSettings");
        settings.field("name", &self.name).finish_non_exhaustive()
    }
}

/// The settings in an `sslProfile` entity.
#[must_use]
pub fn profile_settings(profile: &Entity) -> ProfileSettings {
    let text = |name| profile.text(name).map(str::to_owned);
    ProfileSettings {
        name: text("name").unwrap_or_default(),
        cert_file: text("certFile"),
        key_file: text("privateKeyFile"),
        password: text("password"),
        password_file: text("passwordFile"),
        authority_file: text("caCertFile"),
        ciphers: text("ciphers"),
        protocols: text("protocols"),
        uid_format: text("uidFormat"),
        names_file: text("uidNameMappingFile"),
    }
}

/// How the connections of a listener or connector are encrypted. Who asks for `EXTERNAL` by name
/// gets it from certificates alone, so peers must have one, as in the incumbent.
#[must_use]
pub fn tls_settings(entity: &Entity) -> Option<TlsSettings> {
    let mechanisms = entity.text("saslMechanisms");
    let wants_external = mechanisms.is_some_and(|list| list.contains("EXTERNAL"));
    Some(TlsSettings {
        profile: entity.text("sslProfile")?.into(),
        is_required: entity.is_true("requireSsl") || entity.is_true("requireEncryption"),
        asks_certificate: mechanisms.is_none() && entity.is_true("authenticatePeer"),
        needs_certificate: wants_external,
        checks_host: entity.is_true("verifyHostname"),
    })
}

/// The settings in a `router` entity, which must have an id by now.
#[must_use]
pub fn router_settings(router: &Entity, version: &'static str) -> RouterSettings {
    RouterSettings {
        id: router.text("id").unwrap_or_default().into(),
        default_treatment: treatment(router.text("defaultDistribution")),
        version,
        mode: match router.text("mode") {
            Some("interior") => RouterMode::Interior,
            Some("edge") => RouterMode::Edge,
            _ => RouterMode::Standalone,
        },
        timers: mesh_timers(router),
        resumable_link_routes: router.is_true("allowResumableLinkRoute"),
        trunk_connections: match count(router, "trunkConnections") {
            None | Some(0) => TRUNK_MEMBERS,
            Some(most) => u16::try_from(most).unwrap_or(TRUNK_MEMBERS),
        },
    }
}

/// How many worker threads a `router` entity asks for; `None` where it says nothing. The default of
/// the attribute, which is what management shows then, is the incumbent's and asks for nothing.
#[must_use]
pub fn worker_threads(router: &Entity) -> Option<u32> {
    count(router, "workerThreads").filter(|_| router.is_given("workerThreads"))
}

/// How long deliveries in flight may take to settle when the router is asked to end.
#[must_use]
pub fn drain_time(router: &Entity) -> Duration {
    seconds(router, "drainSeconds").unwrap_or_default()
}

fn mesh_timers(router: &Entity) -> MeshTimers {
    let interval = |name, fallback| seconds(router, name).unwrap_or(fallback);
    let fallback = MeshTimers::default();
    MeshTimers {
        hello_interval: interval("helloIntervalSeconds", fallback.hello_interval),
        hello_max_age: interval("helloMaxAgeSeconds", fallback.hello_max_age),
        ra_interval: interval("raIntervalSeconds", fallback.ra_interval),
        ra_interval_flux: interval("raIntervalFluxSeconds", fallback.ra_interval_flux),
        remote_ls_max_age: interval("remoteLsMaxAgeSeconds", fallback.remote_ls_max_age),
        loss_detection: loss_detection(router),
    }
}

/// The settings in a `log` entity.
#[must_use]
pub fn log_settings(log: &Entity) -> LogSettings {
    let text = |name| log.text(name).map(str::to_owned);
    let flag = |name| log.get(name).and_then(Value::as_bool);
    LogSettings {
        module: text("module").unwrap_or_default(),
        enable: text("enable"),
        include_timestamp: flag("includeTimestamp"),
        include_source: flag("includeSource"),
        output_file: text("outputFile"),
    }
}

/// What a `listener` entity asks for; `required` if the router cannot do without it. The service
/// that it names for authentication is `plugin`.
#[must_use]
pub fn listen(
    listener: &Entity,
    router: &Entity,
    plugin: Option<&Entity>,
    required: bool,
) -> Listen {
    let mut settings = connection_settings(listener);
    if listener.text("saslMechanisms").is_none() && user_file(router).is_none() {
        // Nobody could authenticate by the others.
        let needs_no_file = |name: &String| matches!(&**name, "EXTERNAL" | "ANONYMOUS");
        settings.sasl_mechanisms.retain(needs_no_file);
    }
    settings.sasl.plugin = plugin.map(|plugin| Arc::new(auth_service(plugin)));
    let text = |name| listener.text(name).unwrap_or_default().to_owned();
    Listen {
        identity: ListenerIdentity::from(listener.identity()),
        host: match &settings.http {
            Some(http) => http.host.clone(),
            None => text("host"),
        },
        port: text("port"),
        settings: Arc::new(settings),
        required,
    }
}

/// What a `connector` entity asks for.
#[must_use]
pub fn connect(connector: &Entity) -> Connect {
    let text = |name| connector.text(name).unwrap_or_default().to_owned();
    Connect {
        identity: ConnectorIdentity::from(connector.identity()),
        host: text("host"),
        port: text("port"),
        settings: Arc::new(connection_settings(connector)),
    }
}

/// The settings in a `listener` or a `connector`, which have nearly the same attributes.
fn connection_settings(entity: &Entity) -> ConnectionSettings {
    let count = |name| count(entity, name);
    let sessions = count("maxSessions").filter(|sessions| (1..SESSIONS_MAX).contains(sessions));
    let is_connector = *entity.entity_type() == CONNECTOR;
    let role = match entity.text("role") {
        Some("inter-router") => ConnectionRole::InterRouter,
        Some("route-container") => ConnectionRole::RouteContainer,
        Some("edge") => ConnectionRole::Edge,
        _ => ConnectionRole::Normal,
    };
    ConnectionSettings {
        name: display_name(entity),
        connector: is_connector.then(|| entity.identity().into()),
        role,
        cost: count("cost").unwrap_or(1).max(1),
        max_frame_size: count("maxFrameSize")
            .unwrap_or_default()
            .max(MIN_MAX_FRAME_SIZE),
        max_sessions: sessions.unwrap_or(SESSIONS_MAX),
        max_session_frames: count("maxSessionFrames").filter(|frames| *frames > 0),
        idle_time_out: seconds(entity, "idleTimeoutSeconds"),
        loss_detection: loss_detection(entity),
        handshake_time_out: match is_connector {
            true => Some(HANDSHAKE_TIME_OUT),
            false => seconds(entity, "initialHandshakeTimeoutSeconds"),
        },
        link_capacity: count("linkCapacity")
            .filter(|credit| *credit > 0)
            .unwrap_or(LINK_CAPACITY),
        held_bytes: CONNECTION_BYTES,
        strip_annotations: strip_annotations(entity, role),
        tls: tls_settings(entity),
        http: http_settings(entity),
        authenticate_peer: entity.is_true("authenticatePeer"),
        sasl_mechanisms: mechanisms(entity),
        sasl: SaslSettings {
            plain_in_clear: entity.is_true("allowInsecureAuthentication"),
            plugin: None,
            user: entity.text("saslUsername").map(Arc::from),
            password: entity.text("saslPassword").map(|text| Secret(text.into())),
        },
        management: match entity.text("managementAccess") {
            Some("none") => ManagementAccess::None,
            Some("read") => ManagementAccess::Read,
            _ => ManagementAccess::Full,
        },
        shown_parts: entity
            .text("messageLoggingComponents")
            .and_then(|list| MessageParts::from_list(list).ok())
            .unwrap_or_default(),
        open_properties: open_properties(entity),
    }
}

/// What a listener gives out by HTTP, if it speaks that; a folder of files says so, too.
fn http_settings(entity: &Entity) -> Option<HttpSettings> {
    let root = entity.text("httpRootDir").map(str::to_owned);
    let is_http = entity.is_true("http") || root.is_some();
    let series = |name| count(entity, name).map_or(0, |count| count as usize);
    let text = |name| entity.text(name).unwrap_or_default();
    (is_http && *entity.entity_type() == LISTENER).then(|| HttpSettings {
        root,
        metrics: entity.is_true("metrics"),
        health: entity.is_true("healthz"),
        websockets: entity.is_true("websockets"),
        // Whoever reaches what HTTP gives out is not asked who it is.
        host: match entity.is_given("host") {
            true => text("host").to_owned(),
            false => LOOPBACK.to_owned(),
        },
        origins: http_origins(text("httpOrigins")).unwrap_or_default(),
        address_series: series("addressSeriesMax"),
        connection_series: series("connectionSeriesMax"),
    })
}

/// Which annotations are dropped; between routers none are, whatever is configured.
fn strip_annotations(entity: &Entity, role: ConnectionRole) -> StripAnnotations {
    let (inbound, outbound) = match entity.text("stripAnnotations") {
        _ if role.is_between_routers() => (false, false),
        Some("no") => (false, false),
        Some("in") => (true, false),
        Some("out") => (false, true),
        _ => (true, true),
    };
    StripAnnotations { inbound, outbound }
}

fn count(entity: &Entity, name: &str) -> Option<u32> {
    entity.integer(name).and_then(|n| u32::try_from(n).ok())
}

/// A time in seconds; `None` where it is 0.
fn seconds(entity: &Entity, name: &str) -> Option<Duration> {
    let seconds = count(entity, name).filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(seconds.into()))
}

/// The silence after which a neighbour of our kind is lost.
fn loss_detection(entity: &Entity) -> Option<Duration> {
    let millis = count(entity, "lossDetectionMilliseconds")?;
    Some(Duration::from_millis(millis.into()))
}

/// The configured name, else `host:port`.
fn display_name(entity: &Entity) -> String {
    let name = entity.name().filter(|name| *name != entity.identity());
    name.map_or_else(
        || {
            let text = |name| entity.text(name).unwrap_or_default();
            format!("{}:{}", text("host"), text("port"))
        },
        str::to_owned,
    )
}

/// The mechanisms in the list of a `listener` by which nobody can authenticate, because its router
/// has no file of users.
pub fn mechanisms_without_users<'a>(
    listener: &'a Entity,
    router: &Entity,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let is_in_need = listener.text("saslPlugin").is_none() && user_file(router).is_none();
    let list = listener.text("saslMechanisms").filter(|_| is_in_need);
    let needs_file = |name: &&str| *name == "PLAIN" || name.starts_with("SCRAM-");
    let names = list.unwrap_or_default().split_whitespace();
    names.filter(needs_file)
}

/// The file of users that a `router` entity names.
#[must_use]
pub fn user_file(router: &Entity) -> Option<String> {
    if let Some(file) = router.text("saslUserFile") {
        return Some(file.to_owned());
    }
    let (folder, name) = (
        router.text("saslConfigDir")?,
        router.text("saslConfigName")?,
    );
    Some(format!("{folder}/{name}.users"))
}

/// What an `authServicePlugin` entity asks for.
fn auth_service(plugin: &Entity) -> AuthService {
    let text = |name| plugin.text(name).map(str::to_owned);
    let old = plugin.text("authService").unwrap_or_default();
    let (old_host, old_port) = old.rsplit_once(':').unwrap_or((old, "amqp"));
    let is_old = plugin.text("host").is_none_or(str::is_empty);
    AuthService {
        name: text("name").unwrap_or_default(),
        host: match is_old {
            true => old_host.to_owned(),
            false => text("host").unwrap_or_default(),
        },
        port: match is_old && !plugin.is_given("port") {
            true => old_port.to_owned(),
            false => text("port").unwrap_or_default(),
        },
        realm: text("realm"),
        tls: tls_settings(plugin),
    }
}

/// What is configured and known; who has to authenticate cannot stay anonymous.
fn mechanisms(entity: &Entity) -> Vec<String> {
    let configured = entity.text("saslMechanisms");
    let is_connector = *entity.entity_type() == CONNECTOR;
    let has_user = entity.text("saslUsername").is_some();
    // What a connector can do without having been told.
    let is_possible = |mechanism: &str| match mechanism {
        _ if !is_connector => true,
        "ANONYMOUS" => !has_user,
        "EXTERNAL" => !has_user && entity.text("sslProfile").is_some(),
        _ => has_user,
    };
    let is_wanted = |mechanism: &str| match configured {
        Some(list) => list.split_whitespace().any(|wanted| wanted == mechanism),
        None => is_possible(mechanism),
    };
    let is_anonymous_forbidden = entity.is_true("authenticatePeer");
    let offered = MECHANISMS.iter().filter(|mechanism| {
        is_wanted(mechanism) && !(is_anonymous_forbidden && **mechanism == "ANONYMOUS")
    });
    offered.map(|mechanism| (*mechanism).to_owned()).collect()
}

/// What is added to the properties of Open: the servers that a listener names, then the user's.
fn open_properties(entity: &Entity) -> Vec<(String, Value)> {
    let is_listener = *entity.entity_type() == LISTENER;
    let named = entity.text("failoverUrls").filter(|_| is_listener);
    let servers = named.and_then(|text| failover_list(text).ok());
    let servers = servers.map(|list| ("failover-server-list".to_owned(), Value::List(list)));
    let map = entity.get("openProperties").and_then(Value::as_map);
    let entries = map
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone())));
    servers.into_iter().chain(entries).collect()
}

/// The rule in a `router.config.address` entity, not yet checked against the others.
#[must_use]
pub fn address_rule(address: &Entity) -> AddressRule {
    let text = |name| address.text(name).map(str::to_owned);
    AddressRule {
        name: text("name"),
        identity: 0,
        prefix: text("prefix"),
        pattern: text("pattern"),
        treatment: treatment(address.text("distribution")),
        waypoint: address.is_true("waypoint"),
        ingress_phase: address.integer("ingressPhase"),
        egress_phase: address.integer("egressPhase"),
        priority: address.integer("priority"),
        fallback: address.is_true("enableFallback"),
    }
}

/// The rule in a `router.config.linkRoute` entity, not yet checked against the others.
#[must_use]
pub fn link_rule(route: &Entity) -> LinkRule {
    let text = |name| route.text(name).map(str::to_owned);
    LinkRule {
        name: text("name"),
        identity: 0,
        prefix: text("prefix"),
        pattern: text("pattern"),
        direction: match route.text("direction") {
            Some("out") => Direction::Out,
            _ => Direction::In,
        },
        container: text("containerId"),
        connection: text("connection"),
        add_prefix: text("addExternalPrefix"),
        del_prefix: text("delExternalPrefix"),
    }
}

/// The rule in a `router.config.autoLink` entity, not yet checked against the others.
#[must_use]
pub fn auto_link_rule(link: &Entity) -> AutoLinkRule {
    let text = |name| link.text(name).map(str::to_owned);
    AutoLinkRule {
        name: text("name"),
        identity: 0,
        address: text("address").unwrap_or_default(),
        direction: match link.text("direction") {
            Some("out") => Direction::Out,
            _ => Direction::In,
        },
        phase: link.integer("phase"),
        container: text("containerId"),
        connection: text("connection"),
        external_address: text("externalAddress"),
        fallback: link.is_true("fallback"),
    }
}

fn treatment(distribution: Option<&str>) -> Treatment {
    match distribution {
        Some("multicast") => Treatment::Multicast,
        Some("closest") => Treatment::AnycastClosest,
        Some("unavailable") => Treatment::Unavailable,
        _ => Treatment::AnycastBalanced,
    }
}
