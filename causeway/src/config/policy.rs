//! The `policy` section and the vhosts of its directory, as far as they permit everything.
//!
//! This version counts connections and guards their deletion by management; it cannot yet refuse a
//! link or a message. So a policy that would is an error that names the setting: to take it and not
//! obey it would open doors that somebody believes to be shut.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use amqp_codec::Value;
use management::schema::{Entity, Kind, POLICY, coerce};
use serde_json::Value as Json;

use super::document;
use super::entity::{self, Placed, amqp_value};
use super::error::ConfigError;
use super::section::Section;

/// Connections that a router takes unless its policy says otherwise; also what a vhost allows.
const CONNECTIONS: i64 = 65_535;

/// What a policy asks for beyond permitting everything.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What the section says.
    pub entity: Entity,
    /// Connections taken at the same time.
    pub connections_max: u64,
    /// Management may delete connections.
    pub admin_status: bool,
    /// Messages need not carry their sender's own user-id.
    pub user_id_proxy: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            entity: Entity::new(&POLICY),
            connections_max: CONNECTIONS.unsigned_abs(),
            admin_status: true,
            user_id_proxy: true,
        }
    }
}

/// Takes the sections about policy out of a configuration.
pub(super) fn extract(
    file: &Arc<str>,
    sections: Vec<Section>,
    errors: &mut Vec<ConfigError>,
    warnings: &mut Vec<ConfigError>,
) -> (Vec<Section>, Policy) {
    let is_policy = |section: &Section| matches!(section.name.as_str(), "policy" | "vhost");
    let (about, rest): (Vec<_>, Vec<_>) = sections.into_iter().partition(is_policy);
    let (policies, vhosts): (Vec<_>, Vec<_>) = about
        .into_iter()
        .partition(|section| section.name == "policy");
    let mut reading = Reading {
        file: Arc::clone(file),
        policy: Policy::default(),
        errors,
        warnings,
    };
    if let Some(second) = policies.get(1) {
        let text = "Adding org.apache.qpid.dispatch.policy singleton".to_owned();
        reading.refuse(second, None, text, None);
    }
    match policies.into_iter().next() {
        Some(policy) => reading.read_policy(policy, vhosts),
        None => vhosts.iter().for_each(|vhost| reading.not_in_force(vhost)),
    }
    let policy = reading.policy;
    (rest, policy)
}

struct Reading<'a> {
    file: Arc<str>,
    policy: Policy,
    errors: &'a mut Vec<ConfigError>,
    warnings: &'a mut Vec<ConfigError>,
}

impl Reading<'_> {
    fn read_policy(&mut self, section: Section, inline: Vec<Section>) {
        let Some(Placed { entity, section }) =
            entity::make(&self.file, section, self.errors, self.warnings)
        else {
            return;
        };
        match entity.integer("maxConnections").map(u64::try_from) {
            Some(Ok(count)) => self.policy.connections_max = count,
            _ => {
                let text = "Configuration: maxConnections must be >= 0".to_owned();
                self.refuse(&section, Some("maxConnections"), text, None);
            }
        }
        let enabled = entity.is_true("enableVhostPolicy");
        let directory = entity.text("policyDir").filter(|text| !text.is_empty());
        let directory = directory.map(str::to_owned);
        let default = entity.text("defaultVhost").unwrap_or_default().to_owned();
        self.policy.entity = entity;
        let section = &section;
        if !enabled {
            inline.iter().for_each(|vhost| self.not_in_force(vhost));
            return;
        }
        let mut vhosts = inline;
        if let Some(directory) = directory {
            match read_directory(Path::new(&directory)) {
                Ok(mut read) => vhosts.append(&mut read),
                Err(text) => self.refuse(section, Some("policyDir"), text, None),
            }
        }
        for vhost in &vhosts {
            self.read_vhost(section, vhost);
        }
        if !vhosts.iter().any(|vhost| hostname(vhost) == default) {
            let text = format!("there is no vhost '{default}': nobody could connect");
            self.refuse(section, Some("enableVhostPolicy"), text, None);
        }
    }

    /// Checks that a vhost permits everything to everyone.
    fn read_vhost(&mut self, policy: &Section, vhost: &Section) {
        let of = format!("vhost '{}'", hostname(vhost));
        let mut unknown_users = false;
        for attribute in &vhost.attributes {
            let value = amqp_value(&attribute.value);
            let permits = match attribute.name.as_str() {
                "hostname" | "id" | "name" | "aliases" => true,
                "maxConnections" | "maxConnectionsPerUser" | "maxConnectionsPerHost" => {
                    integer(&value) == Some(CONNECTIONS)
                }
                "maxMessageSize" => integer(&value) == Some(0),
                "allowUnknownUser" => {
                    unknown_users = flag(&value) == Some(true);
                    unknown_users
                }
                "groups" => {
                    self.read_groups(policy, &of, &attribute.value);
                    true
                }
                _ => false,
            };
            if !permits {
                self.restricts(policy, &attribute.name, &of);
            }
        }
        let groups = vhost
            .attribute("groups")
            .and_then(|groups| groups.value.as_object());
        if !unknown_users || groups.is_none_or(|groups| !groups.contains_key("$default")) {
            self.restricts(policy, "allowUnknownUser", &of);
        }
    }

    fn read_groups(&mut self, policy: &Section, of: &str, groups: &Json) {
        let Some(groups) = groups.as_object() else {
            self.restricts(policy, "groups", of);
            return;
        };
        for (name, group) in groups {
            let of = format!("{of} group '{name}'");
            let get = |name: &str| group.get(name).map(amqp_value);
            let flag_of = |name: &str, silent: bool| {
                get(name).map_or(Some(silent), |value| flag(&value)) == Some(true)
            };
            for (name, silent) in [
                ("allowDynamicSource", false),
                ("allowAnonymousSender", false),
                ("allowWaypointLinks", true),
                ("allowFallbackLinks", true),
                ("allowDynamicLinkRoutes", true),
            ] {
                if !flag_of(name, silent) {
                    self.restricts(policy, name, &of);
                }
            }
            let all = |name: &str, wild: &str| {
                let list = group.get(name).map(items).unwrap_or_default();
                list.iter().any(|item| item == wild)
            };
            for (name, pattern) in [
                ("sources", "sourcePattern"),
                ("targets", "targetPattern"),
                ("remoteHosts", ""),
            ] {
                if !all(name, "*") && !all(pattern, "#") {
                    self.restricts(policy, name, &of);
                }
            }
            for name in LIMITS {
                if get(name).is_some_and(|value| integer(&value) != Some(0)) {
                    self.restricts(policy, name, &of);
                }
            }
            self.policy.admin_status &= flag_of("allowAdminStatusUpdate", true);
            self.policy.user_id_proxy &= flag_of("allowUserIdProxy", false);
        }
    }

    fn restricts(&mut self, section: &Section, name: &str, of: &str) {
        let text = format!("{of}: '{name}' restricts clients; this version cannot do that yet");
        let remedy = "permit everything, or stay with the router that serves it".to_owned();
        self.refuse(section, None, text, Some(remedy));
    }

    fn not_in_force(&mut self, vhost: &Section) {
        let text = "a vhost has no effect without enableVhostPolicy".to_owned();
        let warning = self.about(vhost, None, text);
        self.warnings.push(warning);
    }

    fn refuse(
        &mut self,
        section: &Section,
        attribute: Option<&str>,
        text: String,
        remedy: Option<String>,
    ) {
        let mut error = self.about(section, attribute, text);
        error.remedy = remedy;
        self.errors.push(error);
    }

    fn about(&self, section: &Section, attribute: Option<&str>, text: String) -> ConfigError {
        let written = attribute.and_then(|name| section.attribute(name));
        ConfigError {
            file: Arc::clone(&self.file),
            line: written.map_or(section.line, |written| written.line),
            entity: Some(section.name.clone()),
            attribute: attribute.map(str::to_owned),
            text,
            remedy: None,
        }
    }
}

/// Settings of a group that limit its users, unless they are 0.
const LIMITS: [&str; 8] = [
    "maxConnectionsPerUser",
    "maxConnectionsPerHost",
    "maxFrameSize",
    "maxSessionWindow",
    "maxSessions",
    "maxSenders",
    "maxReceivers",
    "maxMessageSize",
];

fn hostname(vhost: &Section) -> &str {
    let name = vhost
        .attribute("hostname")
        .or_else(|| vhost.attribute("id"));
    name.and_then(|name| name.value.as_str())
        .unwrap_or_default()
}

/// The vhosts in the JSON files of a directory, in the order of the files' names.
///
/// # Errors
///
/// A directory or file that cannot be read, as a text for the user.
fn read_directory(directory: &Path) -> Result<Vec<Section>, String> {
    let text = |path: &Path, error: String| format!("{}: {error}", path.display());
    let entries = fs::read_dir(directory).map_err(|error| text(directory, error.to_string()))?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    let mut vhosts = Vec::new();
    for path in paths {
        let json = fs::read_to_string(&path).map_err(|error| text(&path, error.to_string()))?;
        let sections = document::read(&json)
            .map_err(|error| text(&path, format!("line {}: {}", error.line, error.text)))?;
        vhosts.extend(
            sections
                .into_iter()
                .filter(|section| section.name == "vhost"),
        );
    }
    Ok(vhosts)
}

/// The items of a list, or of a text with commas.
fn items(value: &Json) -> Vec<String> {
    match value {
        Json::String(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
        Json::Array(list) => list
            .iter()
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

fn integer(value: &Value) -> Option<i64> {
    coerce(Kind::Integer, value).ok().flatten()?.as_i64()
}

pub(super) fn flag(value: &Value) -> Option<bool> {
    coerce(Kind::Boolean, value).ok().flatten()?.as_bool()
}

#[cfg(test)]
mod tests {
    use super::super::{Configuration, parse};
    use super::*;

    const OPEN: &str = r#"[["vhost", {"hostname": "$default", "allowUnknownUser": true, "groups": {
        "$default": {"remoteHosts": "*", "allowDynamicSource": true, "allowAnonymousSender": true,
        "allowAdminStatusUpdate": false, "targets": "*", "sources": "*"}}}]]"#;

    /// Reads a policy whose directory has one file with this text.
    fn read(vhosts: &str, more: &str) -> Result<Configuration, Vec<ConfigError>> {
        let number = std::thread::current().id();
        let name = format!("causeway-policy-{}-{number:?}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("v.json"), vhosts).unwrap();
        let text = format!(
            "policy {{\n policyDir: {}\n enableVhostPolicy: true\n{more}}}\n",
            directory.display()
        );
        let result = parse(&Arc::from("router.conf"), &text);
        fs::remove_dir_all(&directory).unwrap();
        result
    }

    #[test]
    fn a_policy_that_permits_everything_is_taken() {
        let policy = read(OPEN, " maxConnections: 100\n").unwrap().policy;
        assert_eq!(policy.connections_max, 100);
        assert_eq!(policy.entity.integer("maxConnections"), Some(100));
        assert!(policy.entity.is_true("enableVhostPolicy"));
        assert!(!policy.admin_status && !policy.user_id_proxy);
    }

    #[test]
    fn without_a_policy_everything_is_permitted() {
        let configuration = parse(&Arc::from("router.conf"), "router {\n}\n").unwrap();
        assert_eq!(configuration.policy.connections_max, 65_535);
        assert!(configuration.policy.admin_status && configuration.policy.user_id_proxy);
    }

    #[test]
    fn what_a_policy_forbids_is_told_by_name() {
        for (permits, forbids, name) in [
            ("\"sources\": \"*\"", "\"sources\": \"a, b\"", "sources"),
            (
                "\"targets\": \"*\"",
                "\"targetPattern\": \"a.#\"",
                "targets",
            ),
            (
                "\"remoteHosts\": \"*\"",
                "\"remoteHosts\": \"127.0.0.1\"",
                "remoteHosts",
            ),
            (
                "\"allowDynamicSource\": true",
                "\"maxSenders\": 3",
                "allowDynamicSource",
            ),
            (
                "\"allowDynamicSource\": true",
                "\"maxSenders\": 3",
                "maxSenders",
            ),
            (
                "\"allowUnknownUser\": true",
                "\"allowUnknownUser\": false",
                "allowUnknownUser",
            ),
            (
                "\"$default\", \"allow",
                "\"$default\", \"maxConnections\": 5, \"allow",
                "maxCon",
            ),
            (
                "\"hostname\": \"$default\"",
                "\"hostname\": \"other\"",
                "no vhost '$default'",
            ),
        ] {
            let errors = read(&OPEN.replace(permits, forbids), "").unwrap_err();
            assert!(
                errors.iter().any(|error| error.text.contains(name)),
                "{name}: {errors:?}"
            );
        }
    }

    #[test]
    fn policies_that_are_none_are_refused() {
        assert!(read(OPEN, " maxConnections: -1\n").is_err());
        assert!(read(OPEN, " maxMessageSize: 100\n").is_err());
        assert!(read(OPEN, " maxConections: 1\n").is_err());
        assert!(read("[[\"vhost\", ", "").is_err());
        let one = "policy {\n}\n";
        assert!(parse(&Arc::from("a.conf"), &one.repeat(2)).is_err());
        let idle = parse(&Arc::from("a.conf"), "vhost {\n hostname: a\n}\n").unwrap();
        assert_eq!(idle.warnings.len(), 1);
        let missing = "policy {\n policyDir: /nonexistent\n enableVhostPolicy: yes\n}\n";
        assert_eq!(parse(&Arc::from("a.conf"), missing).unwrap_err()[0].line, 2);
    }
}
