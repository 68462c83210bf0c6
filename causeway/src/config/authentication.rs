//! What of authentication joins two attributes or two sections: mechanisms and what they need.
//!
//! Decision: a mechanism by which nobody can come in is an error where it was asked for by name, so
//! that an old configuration that counts on a database of another kind does not start and then
//! refuse everybody.

use std::sync::Arc;

use management::schema::{Entity, MECHANISMS, ROUTER};
use management::settings::{mechanisms_without_users, user_file};

use super::entity::Placed;
use super::error::ConfigError;
use crate::password;

/// Checks what listeners and connectors say of authentication.
pub(super) fn check(
    file: &Arc<str>,
    placed: &[Placed],
    errors: &mut Vec<ConfigError>,
    warnings: &mut Vec<ConfigError>,
) {
    let router = placed.iter().find(|placed| placed.is_of_type("router"));
    let without = Entity::new(&ROUTER);
    let router = router.map_or(&without, |placed| &placed.entity);
    for connector in placed.iter().filter(|p| p.is_of_type("connector")) {
        errors.extend(unknown(file, connector));
        errors.extend(unknown_password(file, connector));
        warnings.extend(connector_oddities(file, connector));
    }
    for listener in placed.iter().filter(|p| p.is_of_type("listener")) {
        errors.extend(unknown(file, listener));
        errors.extend(without_users(file, listener, router));
        errors.extend(unknown_plugin(file, listener, placed));
        warnings.extend(closed(file, listener, router));
    }
}

/// Mechanisms that nobody here knows.
fn unknown(file: &Arc<str>, placed: &Placed) -> Vec<ConfigError> {
    let names = placed.entity.text("saslMechanisms").unwrap_or_default();
    let names = names.split_whitespace();
    let odd = names.filter(|name| !MECHANISMS.contains(name));
    let error = |name: &str| {
        let text = format!("SASL mechanism '{name}' is not supported by this version");
        let remedy = format!("remove it; there are {}", MECHANISMS.join(" "));
        placed
            .error(file, "saslMechanisms", text)
            .with_remedy(remedy)
    };
    odd.map(error).collect()
}

/// Mechanisms that compare with verifiers that are nowhere.
fn without_users(file: &Arc<str>, listener: &Placed, router: &Entity) -> Vec<ConfigError> {
    let error = |name: &str| {
        let text =
            format!("SASL mechanism '{name}' needs a file of users, and the router has none");
        let remedy = "name one in the router's saslUserFile; `causeway user add` writes it, also \
                      for users of a Cyrus database, whose passwords nobody can read";
        listener
            .error(file, "saslMechanisms", text)
            .with_remedy(remedy)
    };
    let names = mechanisms_without_users(&listener.entity, router);
    names.map(error).collect()
}

/// A service for authentication that there is not.
fn unknown_plugin(file: &Arc<str>, listener: &Placed, placed: &[Placed]) -> Option<ConfigError> {
    let name = listener.entity.text("saslPlugin")?;
    let mut services = placed.iter().filter(|p| p.is_of_type("authServicePlugin"));
    if services.any(|service| service.entity.name() == Some(name)) {
        return None;
    }
    let text = format!("Cannot find sasl plugin {name}");
    Some(listener.error(file, "saslPlugin", text))
}

/// A password in a variable that is not set.
fn unknown_password(file: &Arc<str>, connector: &Placed) -> Option<ConfigError> {
    let configured = connector.entity.text("saslPassword")?;
    let why = password::is_missing(configured)?;
    Some(connector.error(file, "saslPassword", why))
}

fn connector_oddities(file: &Arc<str>, connector: &Placed) -> Vec<ConfigError> {
    let mut warnings = Vec::new();
    let text = |name| connector.entity.text(name);
    if text("saslPassword").is_some_and(password::is_shown) {
        let words = "It is unsafe to provide plain text passwords in the config file";
        warnings.push(connector.error(file, "saslPassword", words.to_owned()));
    }
    let is_plain_alone = text("saslMechanisms").is_some_and(|list| list.trim() == "PLAIN");
    if is_plain_alone && !may_show_passwords(&connector.entity) {
        let words = "PLAIN shows the password and there is no TLS: the connection will fail unless \
                     allowInsecureAuthentication is yes";
        warnings.push(connector.error(file, "saslMechanisms", words.to_owned()));
    }
    warnings
}

fn may_show_passwords(entity: &Entity) -> bool {
    entity.is_true("allowInsecureAuthentication") || entity.get("sslProfile").is_some()
}

/// A listener at which nobody can authenticate who has to, or some mechanism is never offered.
fn closed(file: &Arc<str>, listener: &Placed, router: &Entity) -> Option<ConfigError> {
    let entity = &listener.entity;
    if entity.text("saslPlugin").is_some() {
        return None;
    }
    let list = entity.text("saslMechanisms");
    let has_users = user_file(router).is_some();
    let is_offered = |name: &&&str| {
        list.is_none_or(|list| list.split_whitespace().any(|wanted| wanted == **name))
            && match **name {
                "EXTERNAL" => entity.get("sslProfile").is_some(),
                "ANONYMOUS" => !entity.is_true("authenticatePeer"),
                "PLAIN" => has_users && may_show_passwords(entity),
                _ => has_users,
            }
    };
    let is_listed =
        |name: &str| list.is_some_and(|list| list.split_whitespace().any(|wanted| wanted == name));
    if is_listed("PLAIN") && !may_show_passwords(entity) {
        let text = "PLAIN shows the password and there is no TLS: it is not offered unless \
                    allowInsecureAuthentication is yes";
        return Some(listener.error(file, "saslMechanisms", text.to_owned()));
    }
    if entity.is_true("authenticatePeer") && !MECHANISMS.iter().any(|name| is_offered(&name)) {
        let text = "nobody can connect: there is no mechanism by which anybody could authenticate";
        return Some(listener.error(file, "authenticatePeer", text.to_owned()));
    }
    None
}
