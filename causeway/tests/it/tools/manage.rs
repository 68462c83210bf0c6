//! `causeway manage` and `qdmanage`.

use serde_json::json;

use super::{err, json, out, run, run_with};
use crate::harness::{Port, Router};

/// Runs `qdmanage` on a router; its exit status and its output.
fn qdmanage(router: &Router, arguments: &[&str]) -> (Option<i32>, String) {
    let all: Vec<&str> = arguments.iter().copied().chain(["-b", "URL"]).collect();
    let output = run("qdmanage", router, &all);
    (output.status.code(), out(&output))
}

#[test]
fn an_entity_lives_from_create_to_delete() {
    let router = Router::start("");
    let manage = |arguments: &[&str]| {
        let mut all = vec!["manage"];
        all.extend(arguments);
        all.extend(["--url", "URL"]);
        run("causeway", &router, &all)
    };
    let address = ["--type", "address", "--name", "orders"];
    let created = json(&manage(
        &[
            &["create"][..],
            &address,
            &["prefix=orders", "distribution=closest", "priority=3"],
        ]
        .concat(),
    ));
    assert_eq!(created["prefix"], "orders");
    assert_eq!(created["priority"], 3);
    let read = json(&manage(&[&["read"][..], &address].concat()));
    assert_eq!(read["distribution"], "closest");
    let all = json(&manage(&["query", "--type", "address", "name", "prefix"]));
    assert_eq!(all, json!([{"name": "orders", "prefix": "orders"}]));
    let deleted = manage(&[&["delete"][..], &address].concat());
    assert_eq!(
        (deleted.status.code(), out(&deleted).as_str()),
        (Some(0), "")
    );
    let gone = manage(&[&["read"][..], &address].concat());
    assert_eq!(gone.status.code(), Some(1));
    assert!(err(&gone).contains("(404)"), "{}", err(&gone));
    let strange = manage(&["read", "extra", "--name", "orders"]);
    assert_eq!(strange.status.code(), Some(1));
    let said = err(&strange);
    assert!(said.contains("Unexpected arguments: extra"), "{said}");
}

#[test]
fn the_incumbent_s_manager_prints_what_scripts_know() {
    let router = Router::start("");
    let (status, text) = qdmanage(&router, &["query", "--type=listener", "name", "role"]);
    let name = text.lines().nth(2).unwrap_or_default();
    assert!(name.starts_with("    \"name\": \"listener/"), "{text}");
    let expected = format!("[\n  {{\n{name}\n    \"role\": \"normal\"\n  }}\n]\n");
    assert_eq!((status, text), (Some(0), expected));
    let (_, compact) = qdmanage(
        &router,
        &["QUERY", "--type", "listener", "role", "--indent=-1"],
    );
    assert_eq!(compact, "[{\"role\": \"normal\"}]\n");
    let (_, types) = qdmanage(&router, &["get-types", "listener", "--indent", "-1"]);
    assert_eq!(
        types,
        "{\"org.apache.qpid.dispatch.listener\": \
         [\"org.apache.qpid.dispatch.configurationEntity\", \
         \"org.apache.qpid.dispatch.entity\"]}\n"
    );
    let (status, created) = qdmanage(
        &router,
        &[
            "create",
            "--type=address",
            "--name=qa",
            "prefix=qa",
            "priority=3",
        ],
    );
    assert_eq!(status, Some(0), "{created}");
    assert!(created.contains("  \"priority\": 3,\n"), "{created}");
    let delete = ["delete", "--type=address", "--name=qa"];
    assert_eq!(qdmanage(&router, &delete), (Some(0), String::new()));
    let (_, nodes) = qdmanage(&router, &["get-mgmt-nodes"]);
    assert_eq!(nodes, "[]\n");
    let (status, schema) = qdmanage(&router, &["get-json-schema"]);
    assert!(status == Some(0) && schema.starts_with('{'), "{schema}");
}

#[test]
fn the_incumbent_s_manager_fails_as_scripts_expect() {
    let router = Router::start("");
    for (arguments, expected) in [
        (
            &["query", "--type=bogus"][..],
            "BadRequestStatus: No such entity type 'org.apache.qpid.dispatch.bogus'\n",
        ),
        (
            &["read", "--type=listener", "--name=nosuch"],
            "NotFoundStatus: No entity with name=nosuch\n",
        ),
        (
            &["create", "--type=listener", "foo=1"],
            "ValidationError: Unknown attribute 'foo' for 'org.apache.qpid.dispatch.listener'\n",
        ),
        (
            &["create", "--type=address", "egressPhase=abc"],
            "ValueError: invalid literal for int() with base 10: 'abc'\n",
        ),
    ] {
        let expected = expected.to_owned();
        assert_eq!(qdmanage(&router, arguments), (Some(1), expected));
    }
    let (status, said) = qdmanage(&router, &["nosuchop"]);
    let begins = "NotImplementedStatus: Operation 'NOSUCHOP' not implemented for ";
    assert_eq!(status, Some(1));
    assert!(said.starts_with(begins), "{said}");
    let (status, said) = qdmanage(&router, &["query", "-r", "NOSUCH", "-t", "0.2"]);
    assert_eq!(status, Some(1));
    assert!(
        said.starts_with("Timeout: Connection amqp://127.0.0.1:"),
        "{said}"
    );
    assert!(said.ends_with("-_topo/0/NOSUCH/$management\n"), "{said}");
    let held = Port::new();
    let nobody = run_with("qdmanage", held.number(), &["query", "-b", "URL"], "");
    let expected = format!(
        "ConnectionException: Connection amqp://127.0.0.1:{} disconnected: \
         Condition('proton.pythonio', 'Connection refused to all addresses')\n",
        held.number()
    );
    assert_eq!((nobody.status.code(), out(&nobody)), (Some(1), expected));
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_the_usage() {
    let router = Router::start("");
    for (arguments, expected) in [
        (&[][..], "No operation specified"),
        (
            &["read", "extra", "-b", "URL"],
            "Unexpected arguments: extra",
        ),
        (&["query", "-t", "soon"], "invalid value 'soon'"),
    ] {
        let output = run("qdmanage", &router, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = err(&output);
        assert!(said.starts_with("usage: qdmanage <operation>"), "{said}");
        let expected = format!("\nqdmanage <operation>: error: {expected}");
        assert!(said.contains(&expected), "{said}");
    }
    let version = run("qdmanage", &router, &["--version"]);
    assert_eq!(
        (version.status.code(), out(&version)),
        (Some(0), "1.19.0\n".into())
    );
}

#[test]
fn entities_come_from_standard_input() {
    let router = Router::start("");
    let arguments = ["create", "--stdin", "--indent=-1", "-b", "URL"];
    let create = |input: &str| run_with("qdmanage", router.port, &arguments, input);
    let one = r#"{"type": "address", "name": "a", "prefix": "a"}"#;
    assert_eq!(json(&create(one))["name"], "a");
    let list = r#"[{"type": "address", "name": "b", "prefix": "b"},
                   {"type": "address", "name": "c", "prefix": "c"}]"#;
    assert_eq!(json(&create(list))[1]["name"], "c");
    // It stops at the first error; what was before stays.
    let broken = r#"[{"type": "address", "name": "d", "prefix": "d"}, {"type": "bogus"}]"#;
    let failed = create(broken);
    assert_eq!(failed.status.code(), Some(1));
    let said = out(&failed);
    assert!(said.starts_with("BadRequestStatus: "), "{said}");
    let (_, names) = qdmanage(&router, &["query", "--type=address", "name", "--indent=-1"]);
    assert_eq!(
        names,
        "[{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"c\"}, {\"name\": \"d\"}]\n"
    );
    let url = format!("amqp://127.0.0.1:{}", router.port);
    let mut own = vec!["manage", "create", "--stdin", "--url", &url];
    let broken = broken.replace("\"d\"", "\"e\"");
    let failed = run_with("causeway", router.port, &own, &broken);
    assert_eq!(failed.status.code(), Some(1));
    assert!(out(&failed).contains("\"name\": \"e\""), "{}", out(&failed));
    let said = err(&failed);
    assert!(said.contains("element 2 of the list: "), "{said}");
    own.push("prefix=x");
    assert_eq!(
        run_with("causeway", router.port, &own, one).status.code(),
        Some(1)
    );
    for (input, said) in [
        ("5", "ValueError: stdin is not a JSON map or list\n"),
        (
            "[5]",
            "ValueError: an element of the list from stdin is not a JSON map\n",
        ),
    ] {
        let output = create(input);
        assert_eq!(
            (output.status.code(), out(&output)),
            (Some(1), said.to_owned())
        );
    }
}
