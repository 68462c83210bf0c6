//! Whole configurations: what is accepted, what is told about what is not.

use amqp_codec::Value;

use super::*;

fn read(text: &str) -> Result<Configuration, Vec<ConfigError>> {
    parse(&Arc::from("router.conf"), text)
}

/// The errors of a text, as they are shown.
fn errors(text: &str) -> Vec<String> {
    read(text)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The single error of a text.
fn warnings(text: &str) -> Vec<(u32, String)> {
    let warnings = read(text).unwrap().warnings.into_iter();
    warnings
        .map(|warning| (warning.line, warning.text))
        .collect()
}

fn error(text: &str) -> String {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap()
}

#[test]
fn the_files_of_system_tests_are_accepted() {
    let text = "router {\n mode: standalone\n id: QDR\n debugDumpFile: QDR-qddebug.txt\n \
                allowUnsettledMulticast: yes\n}\nlistener {\n host: 0.0.0.0\n \
                saslMechanisms: ANONYMOUS\n idleTimeoutSeconds: 120\n authenticatePeer: no\n \
                role: normal\n port: 21000\n}\naddress {\n prefix: closest\n \
                distribution: closest\n}\nlog {\n module: DEFAULT\n enable: trace+\n \
                includeSource: true\n outputFile: QDR.log\n}\n";
    let configuration = read(text).unwrap();
    assert_eq!(configuration.router.text("id"), Some("QDR"));
    assert_eq!(configuration.entities.len(), 3);
    assert!(configuration.warnings.is_empty());
}

#[test]
fn the_json_form_says_the_same() {
    let native = read("router {\n id: A\n}\nlistener {\n port: 5672\n}\n").unwrap();
    let text = r#"[["router", {"id": "A"}], ["listener", {"port": 5672}]]"#;
    let json = parse(&Arc::from("router.json"), text).unwrap();
    assert_eq!(native.router.text("id"), json.router.text("id"));
    assert_eq!(
        native.entities[0].entity.text("port"),
        json.entities[0].entity.text("port")
    );
}

#[test]
fn a_file_without_sections_is_a_standalone_router() {
    let configuration = read("# nothing\n").unwrap();
    assert_eq!(configuration.router.text("mode"), Some("standalone"));
    assert!(configuration.entities.is_empty());
}

#[test]
fn an_unknown_attribute_is_told_with_line_and_guess() {
    assert_eq!(
        error("listener {\n host: 127.0.0.1\n prot: 5672\n}\n"),
        "router.conf:3: listener.prot: Unknown attribute 'prot' for \
         'org.apache.qpid.dispatch.listener'; did you mean 'port'?"
    );
    assert_eq!(
        error("listner {\n}\n"),
        "router.conf:1: listner: No such entity type 'org.apache.qpid.dispatch.listner'; did you \
         mean 'listener'?"
    );
}

#[test]
fn what_comes_later_is_refused_by_name() {
    let later = error("listener {\n port: 1\n multiTenant: yes\n}\n");
    assert!(
        later.starts_with("router.conf:3: listener.multiTenant: "),
        "{later}"
    );
    assert!(
        later.contains("not supported by this version yet; remove the line"),
        "{later}"
    );
    for section in ["exchange", "binding", "console", "vhostUserGroupSettings"] {
        let later = error(&format!("\n{section} {{\n name: p\n}}\n"));
        let place = format!("router.conf:2: {section}: Entity type ");
        assert!(later.starts_with(&place), "{later}");
        assert!(later.contains("; remove the section"), "{later}");
    }
    let later = error("router {\n mode: edge\n}\n");
    assert!(later.starts_with("router.conf:2: router.mode: "), "{later}");
    let later = error("listener {\n saslMechanisms: ANONYMOUS PLAIN\n}\n");
    assert!(
        later.starts_with("router.conf:2: listener.saslMechanisms: "),
        "{later}"
    );
    assert!(later.contains("'PLAIN'"), "{later}");
}

#[test]
fn what_does_nothing_may_stand_in_a_file() {
    let config = read("dummy {\n name: d\n num1: 7\n}\n").unwrap();
    let dummies = config
        .entities
        .iter()
        .filter(|placed| placed.is_of_type("dummy"));
    assert_eq!(dummies.count(), 1);
    let odd = error("dummy {\n num1: many\n}\n");
    assert!(odd.starts_with("router.conf:2: dummy.num1: "), "{odd}");
}

#[test]
fn every_error_of_a_file_is_told_in_its_order() {
    let text = "router {\n id: a b\n workerThreads: many\n}\nbogus {\n}\nlistener {\n \
                authenticatePeer: maybe\n role: nobody\n mood\n}\nlog {\n module: DEFAULT\n \
                enable: loud\n}\n";
    let lines: Vec<u32> = read(text)
        .unwrap_err()
        .iter()
        .map(|error| error.line)
        .collect();
    assert_eq!(lines, [2, 3, 5, 8, 9, 10, 14]);
}

#[test]
fn rules_across_sections_are_checked() {
    for (text, expected) in [
        (
            "router {\n id: A\n}\nrouter {\n id: B\n}\n",
            "router.conf:4: router: Adding ",
        ),
        (
            "router {\n id: a b\n}\n",
            "router.conf:2: router.id: Router id attribute containing ",
        ),
        (
            "listener {\n role: edge\n}\n",
            "router.conf:2: listener.role: role='standalone' not ",
        ),
        (
            "listener {\n port: 1\n}\nlistener {\n port: 1\n}\n",
            "router.conf:4: listener.name: ValidationError: adding listener/:1 duplicates ",
        ),
        (
            "listener {\n name: a\n port: 1\n}\nlistener {\n port: 2\n name: a\n}\n",
            "router.conf:7: listener.name: ValidationError: adding a duplicates ",
        ),
        (
            "log {\n module: AGENT\n}\nlog {\n module: AGENT\n}\n",
            "router.conf:4: log.name: ValidationError: adding log/AGENT duplicates ",
        ),
        (
            "router {\n timestampFormat: %Y %%s\n}\n",
            "router.conf:2: router.timestampFormat: ",
        ),
    ] {
        let told = error(text);
        assert!(told.starts_with(expected), "{told}");
    }
    let long = format!("router {{\n id: {}\n}}\n", "x".repeat(128));
    assert!(error(&long).contains("exceeds the maximum allowed length (127 characters)"));
}

#[test]
fn roles_must_fit_the_mode_of_the_router() {
    for (mode, section, words) in [
        (
            "standalone",
            "connector {\n role: edge\n}\n",
            "router.conf:5: connector.role: role='standalone' not allowed",
        ),
        (
            "0",
            "connector {\n port: 1\n role: inter-router\n}\n",
            "router.conf:6: connector.role: role='standalone' not allowed to connect to or accept \
             connections from other routers.",
        ),
        (
            "interior",
            "listener {\n role: edge\n}\n",
            "router.conf:5: listener.role: Value 'edge' of 'role' is not supported by this version \
             yet; remove the line",
        ),
        (
            "edge",
            "connector {\n role: inter-router\n}\n",
            "role='inter-router' only allowed",
        ),
        (
            "edge",
            "listener {\n role: inter-router\n}\n",
            "role='inter-router' only allowed",
        ),
        (
            "edge",
            "listener {\n role: edge\n}\n",
            "role='edge' only allowed with router mode",
        ),
    ] {
        let told = errors(&format!("router {{\n mode: {mode}\n}}\n{section}"));
        assert!(told.iter().any(|error| error.contains(words)), "{told:?}");
    }
}

#[test]
fn two_listeners_may_both_take_any_free_port_under_names() {
    let text = "listener {\n port: 0\n name: a\n}\nlistener {\n port: 0\n name: b\n}\n";
    assert_eq!(read(text).unwrap().entities.len(), 2);
}

#[test]
fn oddities_are_warnings() {
    let text = "router {\n helloInterval: 2\n}\naddress {\n prefix: a\n pattern: b\n}\n\
                address {\n}\n\
                listener {\n authenticatePeer: yes\n trustedCertsFile: x\n}\n\
                authServicePlugin {\n name: p\n authService: there:5671\n}\n";
    let told = warnings(text);
    assert!(told.iter().any(|(line, text)| *line == 2
        && text
            == "Attribute 'helloInterval' of entity 'router' has been deprecated. Use \
                    'helloIntervalSeconds' instead"));
    assert!(told.iter().any(|(line, text)| *line == 6
        && text == "Cannot set both 'prefix' and 'pattern': ignoring configured address a, b"));
    assert!(told.iter().any(|(line, text)| *line == 8
        && text.starts_with("Must set either 'prefix' or 'pattern' attribute")));
    assert!(
        told.iter()
            .any(|(line, text)| *line == 11 && text.starts_with("nobody can connect"))
    );
    assert!(told.iter().any(|(line, _)| *line == 12));
    assert!(
        told.iter()
            .any(|(line, text)| *line == 16 && text.contains("Use host and port instead"))
    );
}

#[test]
fn what_a_router_would_not_obey_is_told() {
    for section in ["listener", "connector"] {
        let told = error(&format!("{section} {{\n host: h\n port: 70000\n}}\n"));
        let begins = format!("router.conf:3: {section}.port: Port '70000' is neither ");
        assert!(told.starts_with(&begins), "{told}");
    }
    for port in ["amqp", "amqps", "0", "65535"] {
        assert!(
            read(&format!("listener {{\n port: {port}\n}}\n")).is_ok(),
            "{port}"
        );
    }
    let text = "address {\n prefix: a\n priority: 12\n}\n\
                address {\n prefix: b\n ingressPhase: 11\n egressPhase: 0\n}\n\
                address {\n prefix: c\n}\n\
                address {\n prefix: c\n}\n\
                address {\n pattern: ///\n}\n\
                address {\n pattern: c/*\n}\n\
                address {\n prefix: d\n waypoint: yes\n enableFallback: yes\n}\n";
    let told = warnings(text);
    let ignored = |line, why: &str| (line, format!("{why}: ignoring configured address"));
    let priority = "Priority value, if present, must be between 0 and QDR_MAX_PRIORITY";
    let phases = "Fallback cannot be specified with waypoint or non-zero ingress and egress phases";
    let expected = [
        ignored(3, priority),
        ignored(7, "Phase values must be between 0 and 9"),
        ignored(14, "Already exists"),
        ignored(17, "Pattern invalid - no tokens"),
        ignored(25, phases),
    ];
    assert_eq!(told, expected);
}

#[test]
fn open_doors_are_listed() {
    let of =
        |configuration: &Configuration| open_doors(&configuration.entities, &configuration.policy);
    let doors = |text: &str| of(&read(text).unwrap());
    assert!(doors("router {\n}\n").is_empty());
    let wide = doors("listener {\n idleTimeoutSeconds: 0\n initialHandshakeTimeoutSeconds: 0\n}\n");
    for words in [
        "all interfaces",
        "no authentication",
        "no TLS",
        "no idle",
        "no handshake",
        "no restriction",
    ] {
        assert!(
            wide.iter().any(|door| door.contains(words)),
            "{words}: {wide:?}"
        );
    }
    let local = doors("listener {\n host: 127.0.0.1\n}\n");
    assert!(
        !local
            .iter()
            .any(|door| door.contains("TLS") || door.contains("interfaces"))
    );
    assert_eq!(of(&default_configuration()).len(), 2);
    let text = "listener {\n host: 127.0.0.1\n allowInsecureAuthentication: yes\n}\n";
    let mut configuration = read(text).unwrap();
    let reads_passwords = |configuration: &Configuration| {
        let mut doors = of(configuration).into_iter();
        doors.any(|door| door.contains("PLAIN without TLS"))
    };
    assert!(reads_passwords(&configuration));
    for placed in &mut configuration.entities {
        placed.entity.set("requireSsl", Some(Value::Bool(true)));
    }
    assert!(!reads_passwords(&configuration), "there is none without");
}

#[test]
fn files_that_are_none_are_refused() {
    let directory = std::env::temp_dir().join(format!("causeway-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).unwrap();
        load(&path).unwrap_err()[0].text.clone()
    };
    assert_eq!(file("empty.conf", b""), "Configuration file was empty");
    assert_eq!(file("latin.conf", b"# a\n# \xe9\n"), "line 2 is not UTF-8");
    let missing = load(&directory.join("missing")).unwrap_err()[0]
        .text
        .clone();
    assert!(
        missing.starts_with("Configuration file could not be opened"),
        "{missing}"
    );
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_fuzzer_s_body_takes_anything() {
    for text in [
        "",
        "{",
        "}",
        "[[",
        "router {",
        "listener {\n a: {\n",
        "\u{0}: \n",
        "a {\n b: {b}c\n}",
    ] {
        fuzz_config_text(text.as_bytes());
    }
    fuzz_config_text(b"\xff");
}

#[test]
fn an_interior_router_may_have_neighbours_and_timers() {
    let text = "router {\n mode: interior\n id: A\n helloInterval: 2\n \
                raIntervalFluxSeconds: 5\n}\n\
                listener {\n role: inter-router\n cost: 3\n port: 1\n}\n";
    let configuration = read(text).unwrap();
    let settings = management::settings::router_settings(&configuration.router, "1");
    assert_eq!(settings.mode, router_core::settings::RouterMode::Interior);
    assert_eq!(settings.timers.hello_interval.as_secs(), 2);
    assert_eq!(settings.timers.hello_max_age.as_secs(), 3);
    assert_eq!(settings.timers.ra_interval_flux.as_secs(), 5);
    let zero = error("router {\n mode: interior\n helloMaxAgeSeconds: 0\n}\n");
    let begins = "router.conf:3: router.helloMaxAgeSeconds: Value 0 of 'helloMaxAgeSeconds' is not";
    assert!(zero.starts_with(begins), "{zero}");
    let hasty = "router {\n mode: interior\n helloIntervalSeconds: 4\n}\n";
    let warnings = read(hasty).unwrap().warnings;
    assert!(
        warnings[0]
            .text
            .starts_with("helloMaxAgeSeconds is not longer"),
        "{warnings:?}"
    );
    let free = error("router {\n mode: interior\n}\nlistener {\n cost: 0\n}\n");
    assert!(free.starts_with("router.conf:5: listener.cost: "), "{free}");
}

#[test]
fn connectors_are_checked_line_by_line() {
    let text = "router {\n mode: interior\n}\nconnector {\n host: b\n role: inter-router\n}\n";
    let configuration = read(text).unwrap();
    assert_eq!(configuration.entities[0].entity.text("port"), Some("amqp"));
    for (line, expected) in [
        (
            " saslMechanisms: CRAM-MD5",
            "5: connector.saslMechanisms: SASL mechanism 'CRAM-MD5' is not",
        ),
        (
            " saslPassword: env:CAUSEWAY_NO_SUCH_VARIABLE",
            "5: connector.saslPassword: Failed to find a password in the environment",
        ),
        (
            " sslProfile: p",
            "5: connector.sslProfile: There is no sslProfile of the name 'p'",
        ),
        (
            " cost: 0",
            "5: connector.cost: Value 0 of 'cost' is not in 1 to ",
        ),
        (
            " role: edge",
            "5: connector.role: Value 'edge' of 'role' is not supported by this",
        ),
        (
            " hots: b",
            "5: connector.hots: Unknown attribute 'hots' for ",
        ),
    ] {
        let told = error(&format!(
            "router {{\n mode: interior\n}}\nconnector {{\n{line}\n}}\n"
        ));
        assert!(
            told.starts_with(&format!("router.conf:{expected}")),
            "{told}"
        );
    }
    let twice = error("connector {\n host: b\n}\nconnector {\n host: b\n}\n");
    assert!(
        twice.contains("adding connector/b:amqp duplicates unique"),
        "{twice}"
    );
}

#[test]
fn mechanisms_that_lead_nowhere_are_told_where_they_stand() {
    let listener = "listener {\n port: 1\n saslMechanisms: ANONYMOUS PLAIN SCRAM-SHA-1\n}\n";
    let errors = read(listener).unwrap_err();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    for (text, name) in texts.iter().zip(["PLAIN", "SCRAM-SHA-1"]) {
        let expected = format!("router.conf:3: listener.saslMechanisms: SASL mechanism '{name}'");
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.contains("saslUserFile"), "{text}");
    }
    for router in ["saslUserFile: /u", "saslConfigDir: /etc/sasl2"] {
        let text = format!("router {{\n {router}\n}}\n{listener}");
        let warnings = read(&text).unwrap().warnings;
        assert!(
            warnings
                .iter()
                .any(|w| w.to_string().contains("PLAIN shows the password")),
            "{warnings:?}"
        );
    }
    let odd = error("listener {\n saslMechanisms: ANONYMOUS DIGEST-MD5\n}\n");
    assert!(
        odd.starts_with("router.conf:2: listener.saslMechanisms: "),
        "{odd}"
    );
    let plugin = error("listener {\n saslPlugin: zz\n}\n");
    assert!(
        plugin.contains("2: listener.saslPlugin: Cannot find sasl plugin zz"),
        "{plugin}"
    );
    let text = "listener {\n saslPlugin: p\n}\nauthServicePlugin {\n name: p\n host: h\n \
                sslProfile: q\n}\n";
    let with_profile = format!("{text}sslProfile {{\n name: q\n}}\n");
    assert!(read(&with_profile).is_ok(), "the order does not matter");
    let profile = error(text);
    let expected = "7: authServicePlugin.sslProfile: There is no sslProfile of the name 'q'";
    assert!(profile.contains(expected), "{profile}");
}

#[test]
fn a_password_that_the_file_shows_is_a_warning() {
    let with = |password: &str| {
        let text =
            format!("connector {{\n host: h\n saslUsername: u\n saslPassword: {password}\n}}\n");
        let warnings = read(&text).unwrap().warnings;
        warnings
            .iter()
            .any(|w| w.to_string().contains("It is unsafe to provide plain text"))
    };
    assert!(with("secret") && with("pass:secret"));
    assert!(!with("file:/run/secret") && !with("env:PATH"));
}

#[test]
fn all_that_is_wrong_with_a_profile_is_told_with_its_line_and_a_remedy() {
    let text = "listener {\n port: 1\n sslProfile: p\n}\nsslProfile {\n name: p\n \
                certFile: /nowhere/cert.pem\n privateKeyFile: /nowhere/key.pem\n \
                password: env:CAUSEWAY_NOBODY_SETS_THIS\n}\nlistener {\n port: 2\n \
                requireSsl: yes\n}\n";
    let told: Vec<String> = read(text)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    for (place, begins) in [
        "router.conf:7: sslProfile.certFile: /nowhere/cert.pem cannot be read: No such file",
        "router.conf:8: sslProfile.privateKeyFile: /nowhere/key.pem cannot be read: ",
        "router.conf:9: sslProfile.password: Failed to find a password in the environment variable",
        "router.conf:13: listener.requireSsl: requireSsl needs an sslProfile",
    ]
    .iter()
    .enumerate()
    {
        assert!(told[place].starts_with(begins), "{told:?}");
    }
    assert_eq!(told.len(), 4);
    let text = "sslProfile {\n name: p\n ciphers: ROT13\n protocols: TLSv7\n}\n";
    let told: Vec<String> = read(text)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        told[0].starts_with("router.conf:3: sslProfile.ciphers: 'ROT13'"),
        "{told:?}"
    );
    assert!(told[0].contains("; offered are ECDHE-"), "{told:?}");
    assert!(
        told[1].starts_with("router.conf:4: sslProfile.protocols: 'TLSv7'"),
        "{told:?}"
    );
    let odd = "sslProfile {\n name: p\n protocols: TLSv1.1\n password: open\n}\n";
    let told: Vec<String> = read(odd)
        .unwrap()
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        told.iter().any(|text| text.contains("nobody can connect")),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|text| text.contains("unsafe to provide plain text")),
        "{told:?}"
    );
    assert!(
        !told.iter().any(|text| text.contains("open")),
        "a secret is not told: {told:?}"
    );
}
