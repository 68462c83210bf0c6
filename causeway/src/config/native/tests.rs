//! The grammar of the native form, shape by shape.

use serde_json::{Value, json};

use super::*;

/// Sections as `[name, {attribute: value}]`; the text must be without errors.
fn accepted(text: &str) -> Value {
    let (sections, errors) = read(text);
    assert_eq!(errors, [], "{text}");
    Value::Array(
        sections
            .into_iter()
            .map(|section| plain(&section))
            .collect(),
    )
}

fn plain(section: &Section) -> Value {
    let members = section.attributes.iter();
    let map: serde_json::Map<_, _> = members
        .map(|member| (member.name.clone(), member.value.clone()))
        .collect();
    json!([section.name, map])
}

/// The lines of the errors in a text.
fn refused(text: &str) -> Vec<u32> {
    let (_, errors) = read(text);
    errors.iter().map(|error| error.line).collect()
}

fn value_of(written: &str) -> Value {
    let sections = accepted(&format!("listener {{\n name: {written}\n}}\n"));
    sections[0][1]["name"].clone()
}

#[test]
fn an_ordinary_file_is_read() {
    let text = "# a router\nrouter {\n    mode: standalone\n\tid\t:\tA # me\n}\r\n\n\
                listener{ # first\n  host: 127.0.0.1\r\n  port: 5672\n} # end\n";
    assert_eq!(
        accepted(text),
        json!([
            ["router", {"mode": "standalone", "id": "A"}],
            ["listener", {"host": "127.0.0.1", "port": "5672"}],
        ])
    );
}

#[test]
fn blank_lines_and_comments_alone_make_an_empty_file() {
    assert_eq!(accepted("\n"), json!([]));
    assert_eq!(accepted("# nothing\n   # here"), json!([]));
}

#[test]
fn sections_and_attributes_know_their_lines() {
    let (sections, _) = read("\n\nrouter {\n\n  id: A\n}\nlistener {\n}\n");
    assert_eq!((sections[0].line, sections[1].line), (3, 7));
    assert_eq!(sections[0].attribute("id").unwrap().line, 5);
}

#[test]
fn names_with_dashes_and_underscores_become_camel_case() {
    let text = "ssl-profile {\n  ca-cert-file: x\n  ssl_profile_file: y\n}";
    assert_eq!(
        accepted(text),
        json!([["sslProfile", {"caCertFile": "x", "sslProfileFile": "y"}]])
    );
}

#[test]
fn values_are_taken_literally() {
    for value in [
        "my listener name",
        "a:b: c",
        "a{b}c",
        "'sq'",
        "a,",
        "*",
        "${user}",
        "%d",
        "é",
    ] {
        assert_eq!(value_of(value), json!(value));
    }
    assert_eq!(value_of("a\\tb"), json!("a\tb"));
    assert_eq!(value_of("secret # tail"), json!("secret"));
}

#[test]
fn values_that_are_none_are_refused() {
    for value in ["", "\"quoted\"", "{b}c", "a\\d", "# only a comment"] {
        assert_eq!(
            refused(&format!("listener {{\n name: {value}\n}}\n")),
            [2],
            "{value}"
        );
    }
}

#[test]
fn three_attributes_keep_the_hash_and_lose_what_follows_the_first_word() {
    let text = "address {\n pattern: a/# rest\n bindingKey: #.b\n hostname: h#1\n prefix: a#b\n}";
    let expected = json!({"pattern": "a/#", "bindingKey": "#.b", "hostname": "h#1", "prefix": "a"});
    assert_eq!(accepted(text)[0][1], expected);
}

#[test]
fn groups_are_accepted_in_every_shape() {
    let one = json!({"a": {"users": "x", "remoteHosts": "*"}});
    let two = json!({
        "a": {"users": "x", "remoteHosts": "*"}, "b": {"users": "y", "remoteHosts": "*"}
    });
    let member = |name: &str, user: &str| {
        format!("\"{name}\": {{\n \"users\": \"{user}\", \"remoteHosts\": \"*\"\n }}")
    };
    let line = |name: &str, user: &str| member(name, user).replace('\n', "");
    let (a, b) = (member("a", "x"), member("b", "y"));
    for (groups, expected) in [
        (
            format!("groups: {{\n{},\n{},\n}}", line("a", "x"), line("b", "y")),
            &two,
        ),
        (format!("groups: {{\n{a}\n}}"), &one),
        (format!("groups: {{\n{a}\n,{b}\n}}"), &two),
        (format!("groups: {{\n{a},\n{b}\n}}"), &two),
        (
            format!("groups: {{\n{},\n{}\n}}", line("a", "x"), line("b", "y")),
            &two,
        ),
        (format!("groups: {{{}}}", line("a", "x")), &one),
        (
            format!(
                "groups: {{\n# c\n{}, # first\n{} # last\n}}",
                line("a", "x"),
                line("b", "y")
            ),
            &two,
        ),
        (
            "groups: {\n a: {\n users: x\n remoteHosts: *\n }\n b {\n".replace(" b {\n", "}"),
            &one,
        ),
    ] {
        let text = format!("vhost {{\n hostname: h\n {groups}\n maxConnections: 3\n}}\n");
        let expected = json!([["vhost", {
            "hostname": "h", "groups": expected, "maxConnections": "3"
        }]]);
        assert_eq!(accepted(&text), expected, "{text}");
    }
}

#[test]
fn an_empty_map_and_a_map_of_another_name_are_accepted() {
    let text = "listener {\n openProperties: {\n }\n other: {\n a: b\n $c: d\n }\n}";
    let expected = json!({"openProperties": {}, "other": {"a": "b", "$c": "d"}});
    assert_eq!(accepted(text)[0][1], expected);
}

#[test]
fn the_properties_of_open_are_named_between_quotes() {
    for name in ["9", "null", "a"] {
        let text = format!("listener {{\n openProperties: {{\n {name}: \"x\",\n }}\n}}");
        let (_, errors) = read(&text);
        let said = &errors[0].text;
        assert!(said.contains("Expecting property name"), "{said}");
        assert_eq!(errors[0].line, 3);
    }
}

#[test]
fn lines_are_counted_through_maps() {
    let text =
        "listener {\n openProperties: {\n \"a\": 1,\n \"b\": [1,\n 2]\n }\n port: 1\n}\nbad\n";
    let (sections, errors) = read(text);
    assert_eq!(sections[0].attribute("port").unwrap().line, 7);
    assert_eq!(errors[0].line, 9);
}

#[test]
fn slips_are_told_with_their_lines() {
    for (text, lines) in [
        ("router {\n mode: standalone\n", &[1][..]),
        ("router {\n}\n}\n", &[3]),
        ("router { mode: standalone }\n", &[1]),
        ("router {\n mode standalone\n}\n", &[2]),
        ("listener\n{\n port: 1\n}\n", &[1]),
        ("{\n", &[1]),
        ("port: 1\n", &[1]),
        ("router.config.address {\n prefix: a\n}\n", &[1]),
        ("router {\n id: A\nlistener {\n port: 1\n}\n", &[1]),
        ("vhost {\n groups: {\n \"a\" 1\n }\n x\n}\n", &[3, 5]),
        ("vhost {\n groups: {\n \"a\": 1\n", &[2, 1]),
    ] {
        assert_eq!(refused(text), lines, "{text}");
    }
}

#[test]
fn every_slip_of_a_file_is_told() {
    let text = "router {\n mode standalone\n id: \"A\"\n}\nlistener\n{\n port:\n}\n}\n";
    assert_eq!(refused(text), [2, 3, 5, 7, 9]);
}
