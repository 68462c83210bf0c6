//! What is made of files of early releases.

use std::sync::Arc;

use super::super::native;
use super::super::section::Section;
use super::*;

/// A gateway to a cloud hub, as such files were written for the first releases.
const GATEWAY: &str = "\
# A gateway
container {
    worker-threads: 4
    container-name: Gateway.A
}
ssl-profile {
    name: hub-ssl
    cert-db: /etc/pki/roots.pem   # public roots
}
listener {
    addr: 0.0.0.0
    port: 5672
    sasl-mechanisms: ANONYMOUS
    allow-no-sasl: yes
}
connector {
    name: hub
    addr: hub.example.net
    port: 5671
    role: on-demand   # when there is a link route
    sasl-mechanisms: ANONYMOUS
    ssl-profile: hub-ssl
    idle-timeout-seconds: 120
}
linkRoute {
    prefix: $cbs/
    connection: hub
    dir: in
}

link-route-pattern {
    prefix: devices/
    connector: hub
}
fixed-address {
    prefix: /news
    fanout: multiple
}
fixed-address {
    prefix: /work
    fanout: single
    bias: spread
}
fixed-address {
    prefix: /
    fanout: single
}
waypoint {
    address: queue
    connector: hub
}
";

const TODAY: &str = "\
# A gateway
router {
    defaultDistribution: closest
    workerThreads: 4
    id: Gateway.A
}
sslProfile {
    name: hub-ssl
    caCertFile: /etc/pki/roots.pem   # public roots
}
listener {
    host: 0.0.0.0
    port: 5672
    saslMechanisms: ANONYMOUS
}
connector {
    name: hub
    host: hub.example.net
    port: 5671
    role: route-container   # when there is a link route
    saslMechanisms: ANONYMOUS
    sslProfile: hub-ssl
    idleTimeoutSeconds: 120
}
linkRoute {
    prefix: $cbs/
    connection: hub
    direction: in
}

linkRoute {
    prefix: devices/
    connection: hub
    direction: in
}
linkRoute {
    prefix: devices/
    connection: hub
    direction: out
}
address {
    prefix: news
    distribution: multicast
}
address {
    prefix: work
    distribution: balanced
}
address {
    prefix: queue
    waypoint: yes
}
autoLink {
    address: queue
    direction: out
    phase: 0
    connection: hub
}
autoLink {
    address: queue
    direction: in
    phase: 1
    connection: hub
}
";

fn modern(text: &str) -> Modern {
    let (sections, slips) = native::read(text);
    assert!(slips.is_empty(), "{slips:?}");
    modernise(&Arc::from("old.conf"), sections, Some(text))
}

/// Sections without the lines they came from.
fn said(sections: &[Section]) -> Vec<(String, Vec<(String, String)>)> {
    let said = sections.iter().map(|section| {
        let attributes = section.attributes.iter();
        let attributes = attributes.map(|of| (of.name.clone(), of.value.to_string()));
        (section.name.clone(), attributes.collect())
    });
    said.collect()
}

#[test]
fn an_old_file_is_written_in_the_words_of_today() {
    let modern = modern(GATEWAY);
    assert!(modern.errors.is_empty(), "{:?}", modern.errors);
    let written = text::native(GATEWAY, &modern.changes, &modern.sections);
    assert_eq!(written, TODAY);
}

#[test]
fn an_old_file_means_what_the_modern_one_says() {
    let old = modern(GATEWAY);
    let written = text::native(GATEWAY, &old.changes, &old.sections);
    let new = modern(&written);
    assert!(new.warnings.is_empty(), "{:?}", new.warnings);
    assert!(new.changes.is_empty(), "{:?}", new.changes);
    let sorted = |sections: &[Section]| {
        let mut said = said(sections);
        for (_, attributes) in &mut said {
            for (name, _) in attributes.iter_mut() {
                // Deprecated names are the schema's affair.
                let today = match name.as_str() {
                    "certDb" => "caCertFile",
                    "dir" => "direction",
                    other => other,
                };
                *name = today.to_owned();
            }
            attributes.sort();
        }
        said
    };
    assert_eq!(sorted(&old.sections), sorted(&new.sections));
}

#[test]
fn each_old_word_has_one_warning_with_its_line_and_the_modern_spelling() {
    let told = modern(GATEWAY).warnings;
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    for expected in [
        "old.conf:2: container: is a word of an early release; write 'router'",
        "old.conf:3: router.worker-threads: is the spelling of an early release; write \
         'workerThreads'",
        "old.conf:4: router.containerName: is a word of an early release; write 'id'",
        "old.conf:6: ssl-profile: is the spelling of an early release; write 'sslProfile'",
        "old.conf:11: listener.addr: is a word of an early release; write 'host'",
        "old.conf:20: connector.role: is a word of an early release; write 'role: \
         route-container'",
    ] {
        let count = told.iter().filter(|told| *told == expected).count();
        assert_eq!(count, 1, "{expected}\n{told:#?}");
    }
    let mut lines: Vec<&str> = told
        .iter()
        .filter_map(|told| told.split(": ").next())
        .collect();
    lines.dedup();
    assert_eq!(lines.len(), told.len(), "{told:#?}");
}

#[test]
fn the_old_and_the_new_name_of_one_thing_are_an_error() {
    let told = modern("listener {\n addr: a\n host: b\n}\n").errors;
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "old.conf:2: listener.addr: Both 'addr' and 'host' cannot be specified for entity \
             'listener'; keep 'host'"
        ]
    );
}

#[test]
fn a_file_of_today_is_not_touched() {
    let text = "# c\nrouter {\n id: A # it\n}\n\nvhost {\n hostname: h\n groups: {\n  \
                \"$default\": {\"remoteHosts\": \"*\"}\n }\n}\n";
    let modern = modern(text);
    assert!(modern.warnings.is_empty() && modern.changes.is_empty());
    assert_eq!(text::native(text, &modern.changes, &modern.sections), text);
}

#[test]
fn a_container_beside_a_router_is_joined_with_it() {
    let text = "container {\n container-name: A\n worker-threads: 2\n}\nrouter {\n router-id: B\n \
                mode: interior\n}\n";
    let modern = modern(text);
    let written = text::native(text, &modern.changes, &modern.sections);
    assert_eq!(
        written,
        "router {\n    workerThreads: 2\n id: B\n mode: interior\n}\n"
    );
}

#[test]
fn several_waypoints_of_an_address_are_its_phases() {
    let text = "waypoint {\n address: a\n in-phase: 0\n out-phase: 1\n connector: x\n}\n\
                waypoint {\n address: a\n in-phase: 1\n out-phase: 2\n connector: y\n}\n";
    let said = said(&modern(text).sections);
    let names: Vec<&str> = said.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["address", "autoLink", "autoLink", "autoLink", "autoLink"]
    );
    assert!(
        said[0]
            .1
            .contains(&("egressPhase".to_owned(), "\"2\"".to_owned()))
    );
    assert!(
        said[3]
            .1
            .contains(&("phase".to_owned(), "\"1\"".to_owned()))
    );
}
