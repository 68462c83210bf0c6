//! The JSON form: a list of two-element lists, `["listener", {"port": 5672}]`.
//!
//! Errors in the notation end the reading, because behind them nothing can be told apart; errors in
//! the meaning are found later and are all told.

use super::error::SyntaxError;
use super::json::Reader;
use super::section::{Attribute, Section, camel_case};

/// Reads a whole file.
pub(super) fn read(text: &str) -> Result<Vec<Section>, SyntaxError> {
    let mut reader = Reader::strict(text);
    if reader.peek() == Some('{') {
        return Err(SyntaxError::mendable(
            reader.line(),
            "the JSON form is a list of sections, not an object",
            "write [[\"router\", {…}], [\"listener\", {…}]]",
        ));
    }
    reader.expect('[')?;
    let mut sections = Vec::new();
    while reader.separator(sections.is_empty(), ']')? {
        sections.push(section(&mut reader)?);
    }
    match reader.peek() {
        None => Ok(sections),
        Some(_) => Err(SyntaxError::new(
            reader.line(),
            "text behind the end of the list",
        )),
    }
}

fn section(reader: &mut Reader<'_>) -> Result<Section, SyntaxError> {
    reader.expect('[')?;
    reader.peek();
    let line = reader.line();
    let written = reader.string()?;
    let mut section = Section::new(section_name(&written), line);
    reader.expect(',')?;
    reader.expect('{')?;
    let mut first = true;
    while reader.separator(first, '}')? {
        first = false;
        let name = reader.name()?;
        let value = reader.member(&name, 0)?;
        section.set(Attribute {
            name: camel_case(&name.text),
            line: name.line,
            value,
        });
    }
    reader.expect(']')?;
    Ok(section)
}

/// Dotted names keep their dots: `router.config.address` is the full form of `address`.
fn section_name(written: &str) -> String {
    written
        .split('.')
        .map(camel_case)
        .collect::<Vec<_>>()
        .join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sections_are_read_with_their_lines() {
        let text = "# comment\n[\n  [\"router\", {\"mode\": \"standalone\",\n    \
                    \"worker-threads\": 2}],\n\
                    # between\n  [\"router.config.address\", {\"prefix\": \"a\"}]\n]\n";
        let sections = read(text).unwrap();
        assert_eq!((sections[0].name.as_str(), sections[0].line), ("router", 3));
        let threads = sections[0].attribute("workerThreads").unwrap();
        assert_eq!((&threads.value, threads.line), (&json!(2), 4));
        assert_eq!(
            (sections[1].name.as_str(), sections[1].line),
            ("router.config.address", 6)
        );
    }

    #[test]
    fn an_empty_list_is_an_empty_configuration() {
        assert_eq!(read("[]").unwrap(), []);
    }

    #[test]
    fn other_shapes_are_refused_with_their_line() {
        for (text, line) in [
            ("{\"router\": {}}", 1),
            ("[\n[\"router\"]\n]", 2),
            ("[\n[\"router\", {},\n1]]", 2),
            ("[[\"router\", {\"id\" \"A\"}]]", 1),
            ("[[\"router\", {}]]\n\nx", 3),
            ("[\n[\"router\", {}]", 2),
            ("", 1),
        ] {
            assert_eq!(read(text).unwrap_err().line, line, "{text}");
        }
    }
}
