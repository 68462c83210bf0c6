//! The type with which management is tried out.

use amqp_codec::{Map, Value};
use management::Origin;
use management::client::Response;
use management::schema::{Source, validate};

use crate::world::World;

const DUMMY: &str = "org.apache.qpid.dispatch.dummy";

fn member<'a>(body: &'a Value, name: &str) -> &'a Value {
    let map = body.as_map();
    map.and_then(|map| map.get(name)).unwrap_or(&Value::Null)
}

fn body(entries: &[(&'static str, Value)]) -> Value {
    Value::Map(entries.iter().cloned().collect::<Map>())
}

fn create(world: &mut World, name: Option<&'static str>) -> Response {
    let mut asked = vec![("type", DUMMY)];
    asked.extend(name.map(|name| ("name", name)));
    world.request("CREATE", &asked, body(&[]))
}

fn names(world: &mut World) -> Vec<String> {
    let table = world.request("QUERY", &[("entityType", DUMMY)], Value::Null);
    let rows = member(&table.body, "results").as_list().expect("rows");
    let row = |row: &Value| row.as_list().expect("a row").to_vec();
    let columns = member(&table.body, "attributeNames");
    let columns = columns.as_list().expect("columns");
    let name = columns.iter().position(|name| *name == Value::from("name"));
    let name = name.expect("a column");
    rows.iter()
        .map(|one| row(one)[name].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn it_is_made_read_changed_called_and_removed() {
    let mut world = World::new();
    let asked = [("type", DUMMY), ("name", "mine")];
    let made = world.request("CREATE", &asked, body(&[("arg1", "START".into())]));
    assert_eq!((made.status, &*made.description), (201, "Created"));
    let expected = body(&[
        ("arg1", "START".into()),
        ("name", "mine".into()),
        ("identity", "dummy/0".into()),
        ("type", DUMMY.into()),
    ]);
    assert_eq!(made.body, expected);

    // As the stock client does it: all attributes, those that cannot change among them.
    let all = body(&[
        ("type", DUMMY.into()),
        ("identity", "dummy/0".into()),
        ("name", "mine".into()),
        ("arg1", "one".into()),
        ("num1", Value::Long(42)),
    ]);
    let changed = world.request("UPDATE", &asked, all);
    assert_eq!(changed.status, 200, "{}", changed.description);
    let read = world.request("READ", &[("identity", "dummy/0")], Value::Null);
    assert_eq!(*member(&read.body, "arg1"), Value::from("one"));
    assert_eq!(member(&read.body, "num1").as_i64(), Some(42));

    let called = [("type", DUMMY), ("identity", "dummy/0"), ("data", "x")];
    let answer = world.request("callme", &called, Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.description);
    assert_eq!(*member(&answer.body, "operation"), Value::from("callme"));
    assert_eq!(*member(&answer.body, "data"), Value::from("x"));

    let odd = world.request("UPDATE", &asked, body(&[("badattribute", "Bad".into())]));
    assert_eq!(odd.status, 400);
    let renamed = world.request("UPDATE", &asked, body(&[("name", "other".into())]));
    assert_eq!(renamed.status, 400);
    assert_eq!(world.request("DELETE", &asked, Value::Null).status, 204);
    assert_eq!(world.request("READ", &asked, Value::Null).status, 404);
    assert!(world.effects.is_empty(), "{:?}", world.effects);
}

#[test]
fn one_without_a_name_is_called_by_its_identity() {
    let mut world = World::new();
    let first = create(&mut world, None).body;
    assert_eq!(*member(&first, "identity"), Value::from("dummy/0"));
    assert_eq!(*member(&first, "name"), Value::from("dummy/0"));
    // Somebody has taken the name of what comes next.
    assert_eq!(create(&mut world, Some("dummy/2")).status, 201);
    assert_eq!(create(&mut world, None).status, 201);
    assert_eq!(create(&mut world, Some("dummy/2")).status, 400);
    assert_eq!(names(&mut world), ["dummy/0", "dummy/2", "dummy/3"]);
}

#[test]
fn who_names_an_entity_of_another_type_is_told_which_it_is() {
    let mut world = World::new();
    assert_eq!(create(&mut world, Some("mine")).status, 201);
    let asked = [
        ("type", "org.apache.qpid.dispatch.listener"),
        ("name", "mine"),
    ];
    for operation in ["READ", "DELETE"] {
        let refused = world.request(operation, &asked, Value::Null);
        let expected = "Entity type 'org.apache.qpid.dispatch.dummy' does not extend requested \
                        type 'org.apache.qpid.dispatch.listener'";
        assert_eq!((refused.status, &*refused.description), (400, expected));
    }
    let address = [
        ("type", "org.apache.qpid.dispatch.router.config.address"),
        ("name", "mine"),
    ];
    let missing = world.request("READ", &address, Value::Null);
    assert_eq!(missing.status, 404, "{}", missing.description);
    assert_eq!(names(&mut world), ["mine"]);
}

#[test]
fn only_what_can_be_called_is_called() {
    let mut world = World::new();
    let refused = world.request("CALLME", &[], Value::Null);
    assert_eq!(refused.status, 501, "{}", refused.description);
    let of_log = [("type", "org.apache.qpid.dispatch.log"), ("name", "x")];
    assert_eq!(world.request("CALLME", &of_log, Value::Null).status, 501);
    let log = [("identity", "log/DEFAULT")];
    assert_eq!(world.request("CALLME", &log, Value::Null).status, 501);
    let nobody = [("type", DUMMY), ("name", "nobody")];
    assert_eq!(world.request("CALLME", &nobody, Value::Null).status, 404);
    let unnamed = [("type", DUMMY)];
    assert_eq!(world.request("CALLME", &unnamed, Value::Null).status, 400);
}

#[test]
fn requests_make_a_limited_number() {
    let mut world = World::new();
    for _ in 0..256 {
        assert_eq!(create(&mut world, None).status, 201);
    }
    let refused = create(&mut world, None);
    assert_eq!(refused.status, 400);
    assert!(refused.description.contains("the limit is 256"));
    let one = [("type", DUMMY), ("name", "dummy/7")];
    assert_eq!(world.request("DELETE", &one, Value::Null).status, 204);
    assert_eq!(create(&mut world, None).status, 201);
}

#[test]
fn a_configuration_file_may_have_some() {
    let mut world = World::new();
    let attributes = [("num1".to_owned(), Value::from("7"))];
    let validated = validate("dummy", &attributes, Source::File).expect("a section");
    let made = world.agent.create(
        validated.entity,
        Origin::File,
        &mut world.control,
        &mut world.program,
    );
    assert_eq!(made.expect("made"), "dummy/0");
    let read = world.request("READ", &[("name", "dummy/0")], Value::Null);
    assert_eq!(member(&read.body, "num1").as_i64(), Some(7));
}
