//! What both forms of a configuration file are read into: sections with attributes, each with the
//! line it came from, and nothing decided about their meaning.

use serde_json::Value;

/// One section of a file: an entity to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The name as written, but in camel case: `listener`, `sslProfile`.
    pub name: String,
    /// The line of the name, from 1.
    pub line: u32,
    /// In the order of the file; no name occurs twice.
    pub attributes: Vec<Attribute>,
}

impl Section {
    /// A section without attributes yet.
    #[must_use]
    pub fn new(name: impl Into<String>, line: u32) -> Self {
        Self {
            name: name.into(),
            line,
            attributes: Vec::new(),
        }
    }

    /// The attribute of that name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// Sets an attribute; of two with one name the later one counts.
    pub(super) fn set(&mut self, attribute: Attribute) {
        match self
            .attributes
            .iter_mut()
            .find(|present| present.name == attribute.name)
        {
            Some(present) => *present = attribute,
            None => self.attributes.push(attribute),
        }
    }
}

/// One attribute of a section.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The name as written, but in camel case.
    pub name: String,
    /// The line of the name, from 1.
    pub line: u32,
    /// The value: a string in the native form, unless it is a map; any JSON value in the JSON form.
    pub value: Value,
}

/// Puts a name into camel case: `ssl-profile`, `ssl_profile` and `ssl.profile` are `sslProfile`.
#[must_use]
pub(super) fn camel_case(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut raise = false;
    for character in name.chars() {
        if matches!(character, '-' | '_' | ' ' | '.') {
            raise = !result.is_empty();
        } else if raise {
            result.extend(character.to_uppercase());
            raise = false;
        } else {
            result.push(character);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_put_into_camel_case() {
        for (written, read) in [
            ("ssl-profile", "sslProfile"),
            ("link_route", "linkRoute"),
            ("idle-timeout-seconds", "idleTimeoutSeconds"),
            ("listener", "listener"),
            ("Listener", "Listener"),
            ("-a", "a"),
            ("a-", "a"),
        ] {
            assert_eq!(camel_case(written), read);
        }
    }

    #[test]
    fn the_last_of_a_repeated_attribute_counts() {
        let mut section = Section::new("router", 1);
        for (line, value) in [(2, "A"), (3, "B")] {
            section.set(Attribute {
                name: "id".into(),
                line,
                value: json!(value),
            });
        }
        assert_eq!(section.attributes.len(), 1);
        assert_eq!(section.attribute("id").unwrap().value, json!("B"));
        assert_eq!(section.attribute("id").unwrap().line, 3);
    }
}
