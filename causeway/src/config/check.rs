//! What the schema cannot see: rules that join two attributes or two sections.
//!
//! Where scripts are known to search for the words of a refusal, it is given in those words.

use std::collections::BTreeMap;
use std::sync::Arc;

use management::schema::{self, Entity, EntityType};
use management::settings::{address_rule, profile_settings};
use router_core::route::{RuleError, Rules, Treatment};
use tls::Problem;

use super::authentication;
use super::entity::{Placed, amqp_value, remedy};
use super::error::ConfigError;
use super::section::Section;
use crate::profiles;
use crate::resolve::service_port;

/// Checks entities that are good each for itself.
pub(super) fn check(
    file: &Arc<str>,
    placed: &[Placed],
    errors: &mut Vec<ConfigError>,
    warnings: &mut Vec<ConfigError>,
) {
    singletons(file, placed, errors);
    unique_names(file, placed, errors);
    authentication::check(file, placed, errors, warnings);
    for connector in of_type(placed, "connector") {
        errors.extend(port(file, connector));
    }
    for listener in of_type(placed, "listener") {
        errors.extend(port(file, listener));
        warnings.extend(oddities(file, listener));
    }
    for plugin in of_type(placed, "authServicePlugin") {
        if plugin.entity.text("authService").is_some() {
            let text = "Attribute authService of entity authServicePlugin has been deprecated. \
                        Use host and port instead.";
            warnings.push(plugin.error(file, "authService", text.to_owned()));
        }
    }
    for router in of_type(placed, "router") {
        warnings.extend(hasty_timers(file, router));
    }
    profiles(file, placed, errors, warnings);
    addresses(file, placed, warnings);
}

/// Profiles for TLS with all their files, and whether whoever names one can use it.
fn profiles(
    file: &Arc<str>,
    placed: &[Placed],
    errors: &mut Vec<ConfigError>,
    warnings: &mut Vec<ConfigError>,
) {
    for profile in of_type(placed, "sslProfile") {
        if profile.entity.name().is_none() {
            let text = "An sslProfile needs a name, by which listeners and connectors name it";
            errors.push(whole(file, profile, text.to_owned()).with_remedy("add one"));
        }
        let told = |problem: Problem| {
            let error = profile.error(file, problem.attribute, problem.text);
            ConfigError {
                remedy: problem.remedy,
                ..error
            }
        };
        let settings = profile_settings(&profile.entity);
        match profiles::load(&settings) {
            Ok(loaded) => {
                let odd = profiles::oddities(&settings, &loaded);
                warnings.extend(odd.into_iter().map(told));
            }
            Err(problems) => errors.extend(problems.into_iter().map(told)),
        }
    }
    let users = ["listener", "connector", "authServicePlugin"];
    for user in users.into_iter().flat_map(|short| of_type(placed, short)) {
        let named = user.entity.text("sslProfile");
        let mut profiles = of_type(placed, "sslProfile");
        let profile = profiles.find(|profile| named.is_some() && profile.entity.name() == named);
        let profile = profile.map(|profile| &profile.entity);
        if let Some(refusal) = schema::unusable_profile(&user.entity, profile) {
            let attribute = refusal.attribute.unwrap_or_default();
            errors.push(user.error(file, &attribute, refusal.text));
        }
    }
}

/// Whether the router's mode allows listeners and connectors of their roles. Looks at sections, not
/// at entities, because it is said of modes and sections that this version does not have, too.
pub(super) fn roles(file: &Arc<str>, sections: &[Section], errors: &mut Vec<ConfigError>) {
    let tag = |section: &Section, name: &str, entity_type: &EntityType| {
        let written = amqp_value(&section.attribute(name)?.value);
        let tag = schema::coerce(entity_type.attribute(name)?.kind, &written).ok()??;
        tag.as_str().map(str::to_owned)
    };
    let router = sections.iter().rfind(|section| section.name == "router");
    let mode = router.and_then(|router| tag(router, "mode", &schema::ROUTER));
    let mode = mode.as_deref().unwrap_or("standalone");
    for section in sections {
        if !matches!(&*section.name, "listener" | "connector") {
            continue;
        }
        let role = tag(section, "role", &schema::LISTENER);
        let refusal = role.and_then(|role| schema::refused_role(mode, &section.name, &role));
        let Some(words) = refusal else {
            continue;
        };
        errors.push(ConfigError {
            file: Arc::clone(file),
            line: section
                .attribute("role")
                .map_or(section.line, |role| role.line),
            entity: Some(section.name.clone()),
            attribute: Some("role".to_owned()),
            remedy: remedy(section, Some("role"), &words),
            text: words,
        });
    }
}

fn of_type<'a>(placed: &'a [Placed], short: &'a str) -> impl Iterator<Item = &'a Placed> {
    placed.iter().filter(move |placed| placed.is_of_type(short))
}

/// At most one entity of a type of which there can be only one.
fn singletons(file: &Arc<str>, placed: &[Placed], errors: &mut Vec<ConfigError>) {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for placed in placed
        .iter()
        .filter(|placed| placed.entity.entity_type().singleton)
    {
        let entity_type = placed.entity.entity_type();
        match seen.get(entity_type.short) {
            None => {
                seen.insert(entity_type.short, placed.section.line);
            }
            Some(first) => {
                let text = format!("Adding {} singleton", entity_type.full_name());
                let remedy = format!("join it with the section on line {first}");
                errors.push(whole(file, placed, text).with_remedy(remedy));
            }
        }
    }
}

/// No two entities of one name, given or made up from what they are.
fn unique_names(file: &Arc<str>, placed: &[Placed], errors: &mut Vec<ConfigError>) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for placed in placed {
        let Some(name) = unique_name(&placed.entity) else {
            continue;
        };
        match seen.get(&name) {
            None => {
                seen.insert(name, placed.section.line);
            }
            Some(first) => {
                let text = format!(
                    "ValidationError: adding {name} duplicates unique attribute 'name' from \
                     existing entity on line {first}"
                );
                errors.push(placed.error(file, "name", text));
            }
        }
    }
}

fn unique_name(entity: &Entity) -> Option<String> {
    if let Some(name) = entity.name() {
        return Some(name.to_owned());
    }
    let text = |name: &str| entity.text(name).unwrap_or_default().to_owned();
    match entity.entity_type().short {
        short @ ("listener" | "connector") => {
            Some(format!("{short}/{}:{}", text("host"), text("port")))
        }
        "log" => Some(format!("log/{}", text("module"))),
        _ => None,
    }
}

/// What a listener says in vain.
fn oddities(file: &Arc<str>, listener: &Placed) -> Vec<ConfigError> {
    let mut warnings = Vec::new();
    if listener.entity.get("trustedCertsFile").is_some() {
        let text = "Configuration listener attribute 'trustedCertsFile' is not used. Specify \
                    sslProfile caCertFile instead.";
        warnings.push(listener.error(file, "trustedCertsFile", text.to_owned()));
    }
    warnings
}

/// Ages at which a router takes others for lost before they can have said anything again.
fn hasty_timers(file: &Arc<str>, router: &Placed) -> Vec<ConfigError> {
    let pairs = [
        ("helloMaxAgeSeconds", "helloIntervalSeconds"),
        ("remoteLsMaxAgeSeconds", "raIntervalSeconds"),
    ];
    let seconds = |name| router.entity.integer(name);
    let hasty = pairs
        .into_iter()
        .filter(|(age, interval)| seconds(age) <= seconds(interval));
    hasty
        .map(|(age, interval)| {
            let text =
                format!("{age} is not longer than {interval}: routers will be lost and found");
            router.error(file, age, text)
        })
        .collect()
}

/// A port that no system knows.
fn port(file: &Arc<str>, placed: &Placed) -> Option<ConfigError> {
    let port = placed.entity.text("port").unwrap_or_default();
    if service_port(port).is_some() {
        return None;
    }
    let text = format!("Port '{port}' is neither a number up to 65535 nor a service of this host");
    Some(placed.error(file, "port", text))
}

/// Addresses that would be ignored: given to the rules as a router would, one after the other.
fn addresses(file: &Arc<str>, placed: &[Placed], warnings: &mut Vec<ConfigError>) {
    let mut rules = Rules::new(Treatment::AnycastBalanced);
    for address in of_type(placed, "router.config.address") {
        if let Some(warning) = address_form(file, address) {
            warnings.push(warning);
            continue;
        }
        if let Err(refusal) = rules.add(address_rule(&address.entity)) {
            let attribute = match refusal {
                RuleError::Phase => "ingressPhase",
                RuleError::FallbackWithPhases => "enableFallback",
                RuleError::Priority => "priority",
                RuleError::NameConflict => "name",
                _ if address.entity.text("prefix").is_some() => "prefix",
                _ => "pattern",
            };
            let text = format!("{refusal}: ignoring configured address");
            warnings.push(address.error(file, attribute, text));
        }
    }
}

/// An address in neither form or in both.
fn address_form(file: &Arc<str>, address: &Placed) -> Option<ConfigError> {
    let text = |name: &str| address.entity.text(name);
    match (text("prefix"), text("pattern")) {
        (Some(prefix), Some(pattern)) => {
            let text = format!(
                "Cannot set both 'prefix' and 'pattern': ignoring configured address {prefix}, \
                 {pattern}"
            );
            Some(address.error(file, "pattern", text))
        }
        (None, None) => {
            let text = "Must set either 'prefix' or 'pattern' attribute: ignoring configured \
                        address";
            Some(whole(file, address, text.to_owned()))
        }
        _ => None,
    }
}

fn whole(file: &Arc<str>, placed: &Placed, text: String) -> ConfigError {
    ConfigError {
        file: Arc::clone(file),
        line: placed.section.line,
        entity: Some(placed.section.name.clone()),
        attribute: None,
        text,
        remedy: None,
    }
}
