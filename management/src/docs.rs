//! The schema as a page for people.
//! Decision: written from the table by the program and compared in a test run, so that it cannot
//! fall behind.

use router_core::limits::{ANSWER_BYTES, ATTRIBUTE_BYTES, CONFIGURED_ENTITIES};

use crate::schema::{Attribute, ENTITY_TYPES, EntityType, Fallback, Kind, Support};
use crate::store::DUMMIES;

/// How a request is made.
const ASKING: &str = "
## How to ask

A request is a message to `$management`, or to `_topo/0/ID/$management` for another router of the \
network, with `operation` and what it is about (`type`, `name`, `identity`, `entityType`) as \
application properties, attributes as a map in the body, and a `reply-to`, often a dynamic \
address. The answer has `statusCode` and `statusDescription`, and the request's correlation-id or \
else its message-id. Types may be named in full (`org.apache.qpid.dispatch.listener`) or by their \
last part (`listener`). QUERY gives all rows, or as many as `count` says from `offset` on; \
`attributeNames` in its body says which columns. `causeway manage` and `causeway stat` do all this.
";

/// Who may ask for what.
const ACCESS: &str = "
## Who may look, and who may change something

Everybody who can attach to `$management`, unless the configuration says otherwise:

```
router {
    mode: interior
    id: A
    saslUserFile: /etc/causeway/users
    managementUsers: alice, bob
}
listener {
    host: 0.0.0.0
    managementAccess: read
}
```

`managementAccess` of a listener or connector is for its peers, whoever they are: `read` lets \
them READ, QUERY and ask for schema, log and the like, `none` nothing. `managementUsers` are those \
who may change something: CREATE, UPDATE and DELETE, link routes of a connection's own among them, \
and RELOAD, DRAIN and whatever else does not only look. \
Both have to agree. What is refused is answered with 403 and a text that says what could be done \
about it.

Who asks by way of another router (`_topo/0/A/$management`), or by a link that names no \
address, is not known to the router that answers. It may do what all listeners and connectors that \
that router has had since its start allow, and change nothing if there are `managementUsers`. \
Each router protects only itself: restrict every router of a network. \
[ADR 18](adr/0018-who-may-change-the-router.md) says why.

The log says who changed what (module AGENT, level info), and at level debug who asked for what.
";

/// The page `docs/management.md`.
#[must_use]
pub fn docs_markdown() -> String {
    let mut page = String::from(
        "# Entities and attributes\n\n\
         Written by the program from its schema: change `management/src/schema/tables`, not this \
         page.\n\n\
         What stands in a configuration file has a section. *C*: may be given when the entity is \
         created, *U*: may be changed later, *R*: must be given. All entities have `name`, \
         `identity` and `type` besides.\n",
    );
    page.push_str(&format!(
        "\nThe value of an attribute has at most {ATTRIBUTE_BYTES} bytes. Requests may add \
         entities until there are {CONFIGURED_ENTITIES} of a type, {DUMMIES} of `dummy`. \
         An answer has rows of at most {ANSWER_BYTES} bytes: who asks for more is told to use \
         `offset` and `count`.\n"
    ));
    page.push_str(ASKING);
    page.push_str(ACCESS);
    for entity_type in ENTITY_TYPES
        .iter()
        .filter(|entity_type| !entity_type.is_abstract)
    {
        write_type(entity_type, &mut page);
    }
    page
}

fn write_type(entity_type: &'static EntityType, page: &mut String) {
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    line(format!("\n## {}\n", entity_type.short));
    line(entity_type.description.to_owned());
    let operations: Vec<_> = entity_type.all_operations().collect();
    let section = entity_type
        .section
        .map(|section| format!(" Section `{section}`."));
    line(format!(
        "Operations: {}.{}",
        operations.join(", "),
        section.unwrap_or_default()
    ));
    if entity_type.attributes.is_empty() {
        return;
    }
    line("\n| attribute | type | default | | meaning |\n|---|---|---|---|---|".to_owned());
    for attribute in entity_type.attributes {
        line(row(attribute));
    }
}

fn row(attribute: &Attribute) -> String {
    let kind = match attribute.kind {
        Kind::Enum(tags) => tags.join(", "),
        kind => kind.name().to_owned(),
    };
    let default = match attribute.fallback {
        Fallback::Nothing | Fallback::Text("") => String::new(),
        Fallback::Text(text) => format!("`{text}`"),
        Fallback::Integer(number) => number.to_string(),
        Fallback::Boolean(truth) => truth.to_string(),
    };
    let flags = [
        (attribute.create, 'C'),
        (attribute.update, 'U'),
        (attribute.required, 'R'),
    ];
    let flags: String = flags
        .iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, letter)| *letter)
        .collect();
    let range = attribute
        .range
        .map(|(least, most)| format!(" {least} to {most}."));
    let alias = attribute
        .alias
        .map(|alias| format!(" Deprecated name: `{alias}`."));
    let support = match attribute.support {
        Support::Full => String::new(),
        Support::Inert => " No effect in this version.".to_owned(),
        Support::Later => " Not supported by this version yet.".to_owned(),
        Support::LaterTags(tags) => {
            format!(" Not supported by this version yet: {}.", tags.join(", "))
        }
    };
    let more = [
        range.unwrap_or_default(),
        alias.unwrap_or_default(),
        support,
    ]
    .concat();
    let meaning = format!("{}{more}", attribute.description);
    let name = attribute.name;
    format!("| `{name}` | {kind} | {default} | {flags} | {meaning} |")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_attribute_of_a_file() {
        let page = docs_markdown();
        for entity_type in ENTITY_TYPES
            .iter()
            .filter(|of_type| of_type.section.is_some())
        {
            assert!(page.contains(&format!("## {}\n", entity_type.short)));
            for attribute in entity_type.attributes {
                assert!(
                    page.contains(&format!("| `{}` |", attribute.name)),
                    "{}",
                    attribute.name
                );
            }
        }
    }

    #[test]
    fn what_is_not_supported_says_so() {
        let page = docs_markdown();
        let tenant = page
            .lines()
            .find(|line| line.starts_with("| `multiTenant`"));
        assert!(
            tenant
                .expect("a line")
                .contains("Not supported by this version yet")
        );
    }
}
