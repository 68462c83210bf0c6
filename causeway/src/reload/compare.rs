//! In what two configurations differ: which sections came, went or say something else. Nothing is
//! known here of a router that runs.

use std::collections::BTreeMap;

use amqp_codec::Value;
use management::schema::Entity;

use crate::config::{ConfigError, Configuration, Placed};

/// Attributes of the router that may change while it runs.
pub(super) const CHANGEABLE: &[&str] = &[
    "metadata",
    "drainSeconds",
    "timestampsInUTC",
    "timestampFormat",
    NOT_OBEYED[0],
    NOT_OBEYED[1],
];

/// Attributes of the router that mean nothing to it.
const NOT_OBEYED: [&str; 2] = ["debugDumpFile", "allowUnsettledMulticast"];

/// Stands for a value that nobody is to see.
const HIDDEN: &str = "(hidden)";

/// Sections by their places in the two configurations.
#[derive(Debug, Default)]
pub(super) struct Differences {
    pub(super) removed: Vec<usize>,
    pub(super) added: Vec<usize>,
    /// The old one and the new one.
    pub(super) changed: Vec<(usize, usize)>,
    pub(super) kept: Vec<(usize, usize)>,
    /// All of it, in words.
    pub(super) lines: Vec<String>,
}

/// Compares what is in force with what a file says now. What an old section has made is there still
/// if `is_there` says so.
///
/// # Errors
///
/// What cannot change while a router runs.
pub(super) fn compare(
    old: &Configuration,
    new: &Configuration,
    is_there: impl Fn(usize) -> bool,
) -> Result<Differences, Vec<ConfigError>> {
    let mut differences = Differences::default();
    let mut errors = Vec::new();
    router(old, new, &mut differences.lines, &mut errors);
    policy(old, new, &mut differences.lines);
    sections(old, new, &mut differences);
    followers(old, new, is_there, &mut differences);
    if errors.is_empty() {
        Ok(differences)
    } else {
        Err(errors)
    }
}

fn router(
    old: &Configuration,
    new: &Configuration,
    lines: &mut Vec<String>,
    errors: &mut Vec<ConfigError>,
) {
    let (was, is) = (&old.router, &new.router);
    let attributes = was.entity_type().all_attributes();
    for name in attributes.map(|attribute| attribute.name) {
        // Its default asks for nothing.
        let is_said = name == "workerThreads" && was.is_given(name) != is.is_given(name);
        if was.get(name) == is.get(name) && !is_said {
            continue;
        }
        if CHANGEABLE.contains(&name) {
            let obeyed = if NOT_OBEYED.contains(&name) {
                " (not obeyed)"
            } else {
                ""
            };
            lines.push(format!("changed router: {}{obeyed}", change(was, is, name)));
            continue;
        }
        let section = new.router_section.as_ref();
        let attribute = section.and_then(|section| section.attribute(name));
        let line = attribute.map(|attribute| attribute.line);
        errors.push(ConfigError {
            file: new.file(),
            line: line.or(section.map(|section| section.line)).unwrap_or(0),
            entity: Some("router".to_owned()),
            attribute: Some(name.to_owned()),
            text: format!(
                "it cannot change while the router runs ({})",
                change(was, is, name)
            ),
            remedy: Some("take the change back, or restart the router".to_owned()),
        });
    }
}

fn policy(old: &Configuration, new: &Configuration, lines: &mut Vec<String>) {
    let (was, is) = (&old.policy, &new.policy);
    let changes = [
        (
            "maxConnections",
            was.connections_max.to_string(),
            is.connections_max.to_string(),
        ),
        (
            "allowAdminStatusUpdate",
            was.admin_status.to_string(),
            is.admin_status.to_string(),
        ),
        (
            "allowUserIdProxy (not obeyed)",
            was.user_id_proxy.to_string(),
            is.user_id_proxy.to_string(),
        ),
    ];
    for (name, was, is) in changes {
        if was != is {
            lines.push(format!("changed policy: {name} {was} -> {is}"));
        }
    }
}

/// Finds for each section its like: first one that says the same, then one that is called the same.
fn sections(old: &Configuration, new: &Configuration, differences: &mut Differences) {
    let mut left: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, placed) in old.entities.iter().enumerate() {
        left.entry(key(placed)).or_default().push(at);
    }
    let mut unlike = Vec::new();
    for (at, placed) in new.entities.iter().enumerate() {
        let candidates = left.get_mut(&key(placed));
        let same = candidates.and_then(|candidates| {
            let is_same = |old_at: &usize| says_same(&old.entities[*old_at], placed);
            let place = candidates.iter().position(is_same)?;
            Some(candidates.remove(place))
        });
        match same {
            Some(old_at) => differences.kept.push((old_at, at)),
            None => unlike.push(at),
        }
    }
    for at in unlike {
        let placed = &new.entities[at];
        let candidates = left.get_mut(&key(placed));
        let called_alike = candidates.filter(|candidates| !candidates.is_empty());
        if let Some(old_at) = called_alike.map(|candidates| candidates.remove(0)) {
            differences.changed.push((old_at, at));
            let words = changes(&old.entities[old_at].entity, &placed.entity);
            differences
                .lines
                .push(format!("changed {}: {words}", label(placed)));
        } else {
            differences.added.push(at);
            let words = settings(&placed.entity);
            differences
                .lines
                .push(format!("added {}: {words}", label(placed)));
        }
    }
    differences.removed = left.into_values().flatten().collect();
    differences.removed.sort_unstable();
    for at in &differences.removed {
        let words = format!("removed {}", label(&old.entities[*at]));
        differences.lines.push(words);
    }
}

/// A listener has its service from when it was made: it changes with that.
fn followers(
    old: &Configuration,
    new: &Configuration,
    is_there: impl Fn(usize) -> bool,
    differences: &mut Differences,
) {
    let is_service = |at: &usize| new.entities[*at].is_of_type("authServicePlugin");
    let renewed = differences.changed.iter().map(|(_, at)| at);
    let renewed = renewed
        .chain(&differences.added)
        .filter(|at| is_service(at));
    let services: Vec<&str> = renewed
        .filter_map(|at| new.entities[*at].entity.name())
        .collect();
    let kept = std::mem::take(&mut differences.kept).into_iter();
    let (follow, stay): (Vec<_>, Vec<_>) = kept.partition(|(was, at)| {
        let service = new.entities[*at].entity.text("saslPlugin");
        is_there(*was) && service.is_some_and(|service| services.contains(&service))
    });
    differences.kept = stay;
    for (was, at) in follow {
        let listener = label(&old.entities[was]);
        let words = format!("changed {listener}: its authServicePlugin");
        differences.lines.push(words);
        differences.changed.push((was, at));
    }
}

fn says_same(one: &Placed, other: &Placed) -> bool {
    one.entity.values().eq(other.entity.values())
}

/// What a section is about: of two that differ with one key, the one has become the other.
fn key(placed: &Placed) -> String {
    format!("{} {}", placed.entity.entity_type().short, called(placed))
}

fn label(placed: &Placed) -> String {
    let entity_type = placed.entity.entity_type();
    let section = entity_type.section.unwrap_or(entity_type.short);
    format!("{section} {}", called(placed))
}

fn called(placed: &Placed) -> String {
    let entity = &placed.entity;
    if let Some(name) = entity.name() {
        return name.to_owned();
    }
    let names: &[&str] = match entity.entity_type().short {
        "log" => &["module"],
        "router.config.linkRoute" => &["prefix", "pattern", "direction"],
        "router.config.autoLink" => &["address", "direction", "containerId", "connection"],
        "router.config.address" => &["prefix", "pattern"],
        "dummy" => &["arg1", "arg2"],
        _ => &["host", "port"],
    };
    let texts = names.iter().filter_map(|name| entity.text(name));
    let separator = if names.contains(&"port") { ":" } else { " " };
    texts.collect::<Vec<_>>().join(separator)
}

/// What differs between two entities of one type.
fn changes(was: &Entity, is: &Entity) -> String {
    let attributes = was.entity_type().all_attributes();
    let names = attributes.map(|attribute| attribute.name);
    let differing = names.filter(|name| was.get(name) != is.get(name));
    let changes: Vec<_> = differing.map(|name| change(was, is, name)).collect();
    changes.join(", ")
}

fn change(was: &Entity, is: &Entity, name: &str) -> String {
    let (before, after) = (shown(was, name), shown(is, name));
    format!("{name} {before} -> {after}")
}

/// What who wrote the section has said.
fn settings(entity: &Entity) -> String {
    let attributes = entity.entity_type().all_attributes();
    let given = attributes.filter(|attribute| entity.is_given(attribute.name));
    let settings = given.map(|attribute| {
        let name = attribute.name;
        format!("{name}={}", shown(entity, name))
    });
    settings.collect::<Vec<_>>().join(", ")
}

fn shown(entity: &Entity, name: &str) -> String {
    let attribute = entity.entity_type().attribute(name);
    match entity.get(name) {
        None | Some(Value::Null) => "(none)".to_owned(),
        Some(_) if attribute.is_none_or(|attribute| attribute.secret) => HIDDEN.to_owned(),
        Some(value) => match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config;

    fn read(text: &str) -> Configuration {
        config::parse(&Arc::from("A.conf"), text).unwrap()
    }

    fn lines(old: &str, new: &str) -> Vec<String> {
        compare(&read(old), &read(new), |_| true).unwrap().lines
    }

    #[test]
    fn what_says_the_same_is_no_difference_wherever_it_stands() {
        let one = "address {\n prefix: a\n}\nlistener {\n port: 5000\n}\n";
        let other = "listener {\n port: 5000\n role: normal\n}\n\naddress {\n prefix: a\n}\n";
        assert_eq!(lines(one, other), [""; 0]);
    }

    #[test]
    fn differences_are_told_with_old_and_new_values() {
        let address = |prefix: &str| format!("address {{\n prefix: {prefix}\n}}\n");
        let log = "log {\n module: DEFAULT\n enable: info+\n}\n";
        let old =
            "router {\n metadata: x\n debugDumpFile: y\n}\nlistener {\n port: 5000\n}\n".to_owned();
        let old = old + &address("a") + &address("b") + log;
        let new = "listener {\n port: 5000\n idleTimeoutSeconds: 30\n}\naddress {\n prefix: a\n \
                   distribution: multicast\n}\nlog {\n module: DEFAULT\n enable: debug+\n}\n\
                   linkRoute {\n prefix: q\n direction: in\n containerId: x\n}\n";
        assert_eq!(
            lines(&old, new),
            [
                "changed router: debugDumpFile y -> (none) (not obeyed)",
                "changed router: metadata x -> (none)",
                "changed listener :5000: idleTimeoutSeconds 16 -> 30",
                "changed address a: distribution balanced -> multicast",
                "changed log DEFAULT: enable info+ -> debug+",
                "added linkRoute q in: prefix=q, containerId=x, direction=in",
                "removed address b",
            ]
        );
    }

    #[test]
    fn of_two_that_are_called_the_same_the_one_that_says_the_same_stays() {
        let route = |container: &str| {
            format!("linkRoute {{\n prefix: q\n direction: in\n containerId: {container}\n}}\n")
        };
        let (old, new) = (route("x") + &route("y"), route("y") + &route("z"));
        let found = lines(&old, &new);
        assert_eq!(found, ["changed linkRoute q in: containerId x -> z"]);
    }

    #[test]
    fn passwords_are_not_shown() {
        let connector = |password: &str| {
            format!(
                "connector {{\n name: c\n port: 5001\n saslUsername: u\n \
                 saslPassword: {password}\n}}\n"
            )
        };
        let found = lines(&connector("one"), &connector("two"));
        let expected = "changed connector c: saslPassword (hidden) -> (hidden)";
        assert_eq!(found, [expected]);
        let found = lines("", &connector("one"));
        assert!(found[0].contains("saslPassword=(hidden)"), "{found:?}");
    }

    #[test]
    fn what_cannot_change_while_a_router_runs_is_refused_with_its_line() {
        let new = "router {\n id: B\n workerThreads: 4\n}\n";
        let errors = compare(&read("router {\n id: A\n}\n"), &read(new), |_| true).unwrap_err();
        let told: Vec<_> = errors
            .iter()
            .map(|error| (error.line, error.attribute.as_deref()))
            .collect();
        assert_eq!(told, [(2, Some("id")), (3, Some("workerThreads"))]);
        assert_eq!(
            errors[0].text,
            "it cannot change while the router runs (id A -> B)"
        );
        assert!(errors[0].remedy.is_some());
    }
}
