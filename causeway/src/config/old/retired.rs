//! Sections that early releases had and that are said by others today: `container`,
//! `fixed-address`, `link-route-pattern`, `waypoint`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::section::{Attribute, Section};
use super::modern::{Change, Modern, attribute, text_of};

/// The one prefix of `fixed-address` that meant every address.
const EVERY_ADDRESS: &str = "/";

/// A `container` is a part of the router's section today, or the whole of it.
pub(super) fn containers(
    modern: &mut Modern,
    file: &Arc<str>,
    mut sections: Vec<Section>,
) -> Vec<Section> {
    while let Some(place) = sections.iter().position(|of| of.name == "container") {
        let container = sections.remove(place);
        let router = sections.iter_mut().find(|of| of.name == "router");
        match router {
            None => {
                modern.warn(file, &container, None, "write 'router'");
                let heading = Change::Heading(container.line, "router".to_owned());
                modern.changes.push(heading);
                let mut router = Section::new("router", container.line);
                for old in container.attributes {
                    let name = router_name(&old.name);
                    if name != old.name {
                        modern.warn(file, &router, Some(&old), format!("write '{name}'"));
                        let change = Change::Name(old.line, name.to_owned());
                        modern.changes.push(change);
                    }
                    let name = name.to_owned();
                    router.set(Attribute { name, ..old });
                }
                sections.insert(place, router);
            }
            Some(router) => {
                let remedy = "write its attributes into 'router'";
                modern.warn(file, &container, None, remedy);
                modern
                    .changes
                    .push(Change::Sections(container.line, Vec::new()));
                for old in container.attributes {
                    join(modern, router, old);
                }
            }
        }
    }
    sections
}

fn join(modern: &mut Modern, router: &mut Section, old: Attribute) {
    let name = router_name(&old.name).to_owned();
    let called = |name: &str| router.attribute(name).is_some();
    // The router's own id is what others knew it by; the container's name was shown beside it.
    if called(&name) || name == "id" && called("routerId") {
        return;
    }
    let new = Attribute { name, ..old };
    modern.changes.push(Change::Add(router.line, new.clone()));
    router.set(new);
}

fn router_name(old: &str) -> &str {
    match old {
        "containerName" => "id",
        name => name,
    }
}

/// An address with fan-out and bias is one with a distribution.
pub(super) fn fixed_address(modern: &mut Modern, file: &Arc<str>, section: &Section) {
    let distribution = match (text_of(section, "fanout"), text_of(section, "bias")) {
        (None | Some("multiple"), _) => "multicast",
        (_, Some("spread")) => "balanced",
        _ => "closest",
    };
    let mut address = Section::new("address", section.line);
    for old in &section.attributes {
        match old.name.as_str() {
            "prefix" => {
                let prefix = old.value.as_str().unwrap_or_default();
                let prefix = match prefix {
                    EVERY_ADDRESS => prefix,
                    prefix => prefix.strip_prefix('/').unwrap_or(prefix),
                };
                address.set(attribute(old.line, "prefix", prefix));
            }
            "fanout" => address.set(attribute(old.line, "distribution", distribution)),
            "bias" | "phase" => {}
            _ => address.set(old.clone()),
        }
    }
    if address.attribute("distribution").is_none() {
        address.set(attribute(section.line, "distribution", distribution));
    }
    let remedy = format!("write 'address' with 'distribution: {distribution}'");
    modern.replace(file, section, vec![address], remedy);
}

/// An address for everything is the default of the router.
pub(super) fn default_distribution(modern: &mut Modern) {
    let is_default =
        |of: &Section| of.name == "address" && text_of(of, "prefix") == Some(EVERY_ADDRESS);
    let Some(place) = modern.sections.iter().position(is_default) else {
        return;
    };
    let address = modern.sections.remove(place);
    let distribution = text_of(&address, "distribution").unwrap_or_default();
    let default = attribute(address.line, "defaultDistribution", distribution);
    let mut by = Vec::new();
    match modern.sections.iter_mut().find(|of| of.name == "router") {
        // What the router says of itself counts.
        Some(router) if router.attribute("defaultDistribution").is_some() => {}
        Some(router) => {
            router.set(default.clone());
            modern.changes.push(Change::Add(router.line, default));
        }
        None => {
            let mut router = Section::new("router", address.line);
            router.set(default);
            modern.sections.push(router.clone());
            by.push(router);
        }
    }
    for change in &mut modern.changes {
        if let Change::Sections(line, of_line) = change
            && *line == address.line
        {
            *of_line = std::mem::take(&mut by);
        }
    }
}

/// A pattern for link routes was a prefix for a connector, in one direction or both.
pub(super) fn link_route_pattern(modern: &mut Modern, file: &Arc<str>, section: &Section) {
    let directions = match text_of(section, "dir").or_else(|| text_of(section, "direction")) {
        Some("in") => &["in"][..],
        Some("out") => &["out"][..],
        _ => &["in", "out"][..],
    };
    let routes = directions.iter().map(|direction| {
        let mut route = Section::new("linkRoute", section.line);
        for old in &section.attributes {
            match old.name.as_str() {
                "dir" | "direction" => {}
                "connector" => route.set(Attribute {
                    name: "connection".to_owned(),
                    ..old.clone()
                }),
                _ => route.set(old.clone()),
            }
        }
        route.set(attribute(section.line, "direction", direction));
        route
    });
    let routes = routes.collect();
    let remedy = "write a 'linkRoute' for each direction".to_owned();
    modern.replace(file, section, routes, remedy);
}

/// Waypoints, with how many there are of each address.
pub(super) struct Waypoints(BTreeMap<String, usize>);

impl Waypoints {
    /// Counts those of a file.
    pub(super) fn of(sections: &[Section]) -> Self {
        let mut count = BTreeMap::new();
        for section in sections.iter().filter(|of| of.name == "waypoint") {
            let address = text_of(section, "address").unwrap_or_default();
            *count.entry(address.to_owned()).or_default() += 1;
        }
        Self(count)
    }

    /// A waypoint is an address with phases and an auto-link each way.
    pub(super) fn translate(&self, modern: &mut Modern, file: &Arc<str>, section: &Section) {
        let address = text_of(section, "address").unwrap_or_default();
        let line = section.line;
        let mut by = Vec::new();
        let is_first = !modern
            .sections
            .iter()
            .any(|of| of.name == "address" && text_of(of, "prefix") == Some(address));
        if is_first {
            let mut phased = Section::new("address", line);
            phased.set(attribute(line, "prefix", address));
            match self.0.get(address) {
                Some(&count) if count > 1 => {
                    phased.set(attribute(line, "ingressPhase", "0"));
                    phased.set(attribute(line, "egressPhase", &count.to_string()));
                }
                _ => phased.set(attribute(line, "waypoint", "yes")),
            }
            by.push(phased);
        }
        for (direction, phase, usual) in [("out", "inPhase", "0"), ("in", "outPhase", "1")] {
            let mut link = Section::new("autoLink", line);
            link.set(attribute(line, "address", address));
            link.set(attribute(line, "direction", direction));
            let phase = text_of(section, phase).unwrap_or(usual);
            link.set(attribute(line, "phase", phase));
            if let Some(connector) = section.attribute("connector") {
                link.set(Attribute {
                    name: "connection".to_owned(),
                    ..connector.clone()
                });
            }
            by.push(link);
        }
        let remedy =
            "write an 'address' with 'waypoint: yes' and an 'autoLink' each way".to_owned();
        modern.replace(file, section, by, remedy);
    }
}
