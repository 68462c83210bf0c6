//! Auto-links, from a request or a section to what management shows of them.

use amqp_codec::{Map, Value};
use management::Origin;
use management::schema::{Source, validate};

use crate::world::World;

const TYPE: &str = "org.apache.qpid.dispatch.router.config.autoLink";

fn body(entries: &[(&'static str, &'static str)]) -> Value {
    Value::Map(entries.iter().copied().collect::<Map>())
}

fn column(body: &Value, name: &str) -> Value {
    let map = body.as_map().expect("a map");
    map.get(name).cloned().unwrap_or_default()
}

#[test]
fn an_auto_link_is_created_shown_counted_and_deleted() {
    let mut world = World::new();
    let asked = [("type", TYPE), ("name", "to-broker")];
    let attributes = body(&[
        ("address", "queue"),
        ("direction", "out"),
        ("containerId", "broker"),
        ("externalAddress", "q1"),
    ]);
    let made = world.request("CREATE", &asked, attributes);
    assert_eq!((made.status, &*made.description), (201, "Created"));
    let shown = [
        ("name", Value::from("to-broker")),
        ("type", Value::from(TYPE)),
        ("address", Value::from("queue")),
        ("addr", Value::from("queue")),
        ("direction", Value::from("out")),
        ("dir", Value::from("out")),
        ("phase", Value::Int(0)),
        ("connection", Value::Null),
        ("containerId", Value::from("broker")),
        ("externalAddress", Value::from("q1")),
        ("externalAddr", Value::from("q1")),
        ("linkRef", Value::Null),
        ("operStatus", Value::from("inactive")),
        ("lastError", Value::Null),
        ("fallback", Value::from(false)),
    ];
    for (name, value) in shown {
        assert_eq!(column(&made.body, name), value, "{name}");
    }
    let router = [("type", "router"), ("identity", "1")];
    let router = world.request("READ", &router, Value::Null);
    assert_eq!(column(&router.body, "autoLinkCount"), Value::Ulong(1));
    let read = world.request("READ", &asked, Value::Null);
    assert_eq!(read.body, made.body);
    let again = world.request("DELETE", &asked, Value::Null);
    assert_eq!(again.status, 204);
    let gone = world.request("DELETE", &asked, Value::Null);
    assert_eq!(gone.status, 404);
}

#[test]
fn an_auto_link_of_a_fallback_is_in_phase_0_whichever_way_it_leads() {
    let mut world = World::new();
    for direction in ["in", "out"] {
        let asked = [("type", TYPE), ("name", direction)];
        let attributes = body(&[
            ("address", "queue"),
            ("direction", direction),
            ("fallback", "yes"),
        ]);
        let made = world.request("CREATE", &asked, attributes);
        assert_eq!(made.status, 201, "{}", made.description);
        assert_eq!(column(&made.body, "fallback"), Value::from(true));
        assert_eq!(column(&made.body, "phase"), Value::Int(0));
    }
}

#[test]
fn a_request_that_cannot_be_is_refused_in_the_known_words() {
    let mut world = World::new();
    let taken = [("type", TYPE), ("name", "taken")];
    let attributes = body(&[("address", "a"), ("direction", "in")]);
    assert_eq!(world.request("CREATE", &taken, attributes).status, 201);
    let wrong = [
        (
            vec![("address", "a"), ("direction", "in")],
            "Name conflicts with an existing entity",
        ),
        (
            vec![("address", "a")],
            "address and direction fields are mandatory",
        ),
        (vec![], "address and direction fields are mandatory"),
        (
            vec![("address", "a"), ("direction", "in"), ("phase", "10")],
            "autoLink phase must be between 0 and 9",
        ),
        (
            vec![
                ("address", "a"),
                ("direction", "in"),
                ("connection", "c"),
                ("containerId", "d"),
            ],
            "Both connection and containerId cannot be specified. Specify only one",
        ),
        (
            vec![("address", "a"), ("dir", "in"), ("direction", "in")],
            "Both 'dir' and 'direction' cannot be specified for entity 'autoLink'",
        ),
    ];
    for (place, (attributes, text)) in wrong.into_iter().enumerate() {
        let asked = [
            ("type", TYPE),
            ("name", if place == 0 { "taken" } else { "new" }),
        ];
        let refused = world.request("CREATE", &asked, body(&attributes));
        assert_eq!((refused.status, &*refused.description), (400, text));
    }
    let sideways = [("address", "a"), ("direction", "sideways")];
    let refused = world.request("CREATE", &[("type", TYPE)], body(&sideways));
    assert_eq!(refused.status, 400);
    assert!(refused.description.contains("sideways"));
    let updated = world.request("UPDATE", &taken, body(&[("address", "b")]));
    assert_eq!(updated.status, 501);
}

#[test]
fn rules_link_routes_and_auto_links_may_be_named_alike() {
    let mut world = World::new();
    let kinds = [
        ("router.config.address", ("prefix", "p")),
        ("router.config.linkRoute", ("prefix", "l")),
        ("router.config.autoLink", ("address", "p")),
    ];
    for (kind, one) in kinds {
        let attributes = match kind {
            "router.config.address" => body(&[one]),
            _ => body(&[one, ("direction", "in")]),
        };
        let asked = [("type", kind), ("name", "same")];
        let made = world.request("CREATE", &asked, attributes.clone());
        assert_eq!(made.status, 201, "{kind}: {made:?}");
        let again = world.request("CREATE", &asked, attributes);
        assert_eq!(again.description, "Name conflicts with an existing entity");
    }
}

#[test]
fn a_section_takes_the_old_names_with_a_warning_each_and_gets_a_name() {
    let mut world = World::new();
    let attributes: Vec<_> = [("addr", "queue"), ("dir", "in"), ("externalAddr", "q")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
    let validated = validate("autoLink", &attributes, Source::File).unwrap();
    let expected = [
        "Attribute 'addr' of entity 'autoLink' has been deprecated. Use 'address' instead",
        "Attribute 'dir' of entity 'autoLink' has been deprecated. Use 'direction' instead",
        "Attribute 'externalAddr' of entity 'autoLink' has been deprecated. Use \
         'externalAddress' instead",
        "An autoLink with neither 'connection' nor 'containerId' is never attached: name the \
         listener or connector, or the container-id, of its broker",
    ];
    let said: Vec<_> = validated.warnings.iter().map(|odd| &*odd.text).collect();
    assert_eq!(said, expected);
    for _ in 0..2 {
        let World {
            agent,
            control,
            program,
            ..
        } = &mut world;
        let entity = validated.entity.clone();
        agent
            .create(entity, Origin::File, control, program)
            .unwrap();
    }
    let table = world.query(TYPE);
    assert_eq!(table.columns.len(), 16);
    let names: Vec<_> = table
        .rows
        .iter()
        .map(|row| table.value(row, "name").clone())
        .collect();
    assert_eq!(names, ["autoLink/0", "autoLink/1"].map(Value::from));
    assert_eq!(*table.value(&table.rows[0], "phase"), Value::Int(1));
}
