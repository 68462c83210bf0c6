//! JSON as the tools of this kind of router print it.
//!
//! Owns the layout, no values: scripts compare this text, so blanks count.

use serde_json::Value as Json;

/// How it is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Blanks a level; none: all in one line.
    pub indent: Option<usize>,
    /// Characters beyond ASCII are escaped.
    pub is_ascii: bool,
}

impl Form {
    /// The value as text, without a line end.
    #[must_use]
    pub fn text(self, value: &Json) -> String {
        let mut text = String::new();
        self.write(value, 0, &mut text);
        text
    }

    fn write(self, value: &Json, level: usize, text: &mut String) {
        match value {
            Json::Array(elements) if elements.is_empty() => text.push_str("[]"),
            Json::Object(entries) if entries.is_empty() => text.push_str("{}"),
            Json::Array(elements) => {
                text.push('[');
                for (place, element) in elements.iter().enumerate() {
                    self.begin(place, level + 1, text);
                    self.write(element, level + 1, text);
                }
                self.end(level, text);
                text.push(']');
            }
            Json::Object(entries) => {
                text.push('{');
                for (place, (key, element)) in entries.iter().enumerate() {
                    self.begin(place, level + 1, text);
                    self.quote(key, text);
                    text.push_str(": ");
                    self.write(element, level + 1, text);
                }
                self.end(level, text);
                text.push('}');
            }
            Json::String(content) => self.quote(content, text),
            Json::Null | Json::Bool(_) | Json::Number(_) => text.push_str(&value.to_string()),
        }
    }

    fn begin(self, place: usize, level: usize, text: &mut String) {
        match self.indent {
            None if place > 0 => text.push_str(", "),
            None => {}
            Some(_) => {
                if place > 0 {
                    text.push(',');
                }
                self.end(level, text);
            }
        }
    }

    fn end(self, level: usize, text: &mut String) {
        if let Some(indent) = self.indent {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent * level));
        }
    }

    fn quote(self, content: &str, text: &mut String) {
        let quoted = Json::from(content).to_string();
        if !self.is_ascii {
            text.push_str(&quoted);
            return;
        }
        for character in quoted.chars() {
            if character.is_ascii() && character != '\x7f' {
                text.push(character);
                continue;
            }
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(indent: Option<usize>, value: &Json) -> String {
        let is_ascii = true;
        Form { indent, is_ascii }.text(value)
    }

    #[test]
    fn the_layout_is_the_one_scripts_know() {
        let value = json!({"a": [1, {"b": null}], "c": [], "d": {}, "e": true});
        assert_eq!(
            text(None, &value),
            r#"{"a": [1, {"b": null}], "c": [], "d": {}, "e": true}"#
        );
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \
                        \"c\": [],\n  \"d\": {},\n  \"e\": true\n}";
        assert_eq!(text(Some(2), &value), expected);
        assert_eq!(text(Some(0), &json!([1, 2])), "[\n1,\n2\n]");
    }

    #[test]
    fn characters_beyond_ascii_are_escaped_where_that_is_usual() {
        let value = json!("\"ü🦀\n");
        assert_eq!(text(None, &value), r#""\"\u00fc\ud83e\udd80\n""#);
        let readable = Form {
            indent: None,
            is_ascii: false,
        };
        assert_eq!(readable.text(&value), "\"\\\"ü🦀\\n\"");
    }
}
