//! The native form: one construct a line, read line by line.
//!
//! After an error the reader goes on where the next construct seems to begin, so that one slip does
//! not hide the others; what it has to assume for that (a missing brace was meant) is never used,
//! because a file with any error is refused.

use serde_json::Value;

use super::error::SyntaxError;
use super::json::{Reader, unescape};
use super::section::{Attribute, Section, camel_case};

/// Attributes whose values may hold `#`: the value is the first word, the rest of the line is not
/// read.
const KEEP_HASH: [&str; 3] = ["pattern", "bindingKey", "hostname"];

/// Attributes whose values are maps of the user's making: a name without quotes, such as a number,
/// would be another name than was meant.
const QUOTED_NAMES: [&str; 1] = ["openProperties"];

/// Reads a whole file; what it cannot read is in the second list.
pub(super) fn read(text: &str) -> (Vec<Section>, Vec<SyntaxError>) {
    let mut file = File {
        text,
        at: 0,
        line: 0,
        open: None,
        heading: None,
        sections: Vec::new(),
        errors: Vec::new(),
    };
    while let Some(line) = file.next_line() {
        if let Err(error) = file.read_line(line) {
            file.errors.push(error);
        }
    }
    file.finish()
}

struct File<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    /// The section whose closing brace has not come yet.
    open: Option<Section>,
    /// A section's name that stood alone on a line: its brace may follow.
    heading: Option<(String, u32)>,
    sections: Vec<Section>,
    errors: Vec<SyntaxError>,
}

impl<'a> File<'a> {
    fn next_line(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let line = rest.split('\n').next().unwrap_or(rest);
        self.at = (self.at + line.len() + 1).min(self.text.len());
        self.line += 1;
        Some(line)
    }

    fn read_line(&mut self, line: &'a str) -> Result<(), SyntaxError> {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Ok(());
        }
        let construct = before_comment(trimmed);
        let heading = self.heading.take();
        if construct == "}" {
            return self.close();
        }
        if construct == "{" {
            return match heading {
                Some((name, line)) => self.open(&name, line),
                None => Err(SyntaxError::mendable(
                    self.line,
                    "Invalid config file syntax: '{' alone on a line",
                    "write it behind the section's name",
                )),
            };
        }
        if let Some(name) = construct
            .strip_suffix('{')
            .filter(|name| !name.contains(':'))
        {
            return self.section(name.trim_end());
        }
        match trimmed.split_once(':') {
            Some((name, value)) if is_attribute_name(name.trim_end()) => {
                self.attribute(name.trim_end(), value, line)
            }
            _ => Err(self.unreadable(construct)),
        }
    }

    fn section(&mut self, name: &str) -> Result<(), SyntaxError> {
        self.open(name, self.line)?;
        if is_word(name) {
            return Ok(());
        }
        let text = format!(
            "Invalid config file syntax: '{}' cannot name a section",
            shorten(name)
        );
        let remedy = "write its last part alone, in letters, digits, '-' and '_'";
        Err(SyntaxError::mendable(self.line, text, remedy))
    }

    fn open(&mut self, name: &str, line: u32) -> Result<(), SyntaxError> {
        let unclosed = self.open.take();
        self.open = Some(Section::new(camel_case(name), line));
        let Some(section) = unclosed else {
            return Ok(());
        };
        let error = unclosed_section(&section);
        self.sections.push(section);
        Err(error)
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        match self.open.take() {
            Some(section) => {
                self.sections.push(section);
                Ok(())
            }
            None => Err(SyntaxError::new(
                self.line,
                "Invalid config file syntax: '}' closes nothing",
            )),
        }
    }

    fn attribute(&mut self, name: &str, value: &str, line: &'a str) -> Result<(), SyntaxError> {
        let written_at = self.line;
        let value = if value.trim_start().starts_with('{') {
            self.map(name, line)?
        } else {
            Value::String(text_value(name, value, self.line)?)
        };
        let attribute = Attribute {
            name: camel_case(name),
            line: written_at,
            value,
        };
        match &mut self.open {
            Some(section) => {
                section.set(attribute);
                Ok(())
            }
            None => Err(SyntaxError::mendable(
                written_at,
                format!("Invalid config file syntax: attribute '{name}' outside of a section"),
                "put it between the braces of a section",
            )),
        }
    }

    /// Reads the map that begins on `line`, which is the one just taken, and what follows it.
    fn map(&mut self, name: &str, line: &'a str) -> Result<Value, SyntaxError> {
        let begin = self.at_of(line);
        let brace = begin + line.find('{').unwrap_or_default();
        let mut reader = Reader::relaxed(self.text, brace, self.line);
        if QUOTED_NAMES.contains(&&*camel_case(name)) {
            reader = reader.with_quoted_names();
        }
        let value = match reader.value(0) {
            Ok(value) => value,
            Err(error) => {
                self.skip_map(line);
                let text = format!(
                    "Invalid config file syntax in the map '{name}': {}",
                    error.text
                );
                return Err(SyntaxError { text, ..error });
            }
        };
        let (end, ended_on) = reader.position();
        let rest = &self.text[end..];
        let rest = &rest[..rest.find('\n').unwrap_or(rest.len())];
        self.line = ended_on;
        self.at = (end + rest.len() + 1).min(self.text.len());
        if before_comment(rest.trim()).is_empty() {
            return Ok(value);
        }
        Err(SyntaxError::mendable(
            ended_on,
            format!(
                "Invalid config file syntax: '{}' behind the map '{name}'",
                rest.trim()
            ),
            "begin a new line behind the closing brace; a plain value cannot begin with '{'",
        ))
    }

    /// After an error in a map: goes on behind the line that seems to end it.
    fn skip_map(&mut self, line: &str) {
        let mut depth = balance(line);
        while depth > 0 {
            match self.next_line() {
                Some(line) => depth += balance(line),
                None => return,
            }
        }
    }

    /// The offset of the line just taken.
    fn at_of(&self, line: &str) -> usize {
        let ended = self.text[..self.at].ends_with('\n');
        self.at - line.len() - usize::from(ended)
    }

    fn unreadable(&mut self, construct: &str) -> SyntaxError {
        let text = format!("Invalid config file syntax: '{}'", shorten(construct));
        let remedy = if is_word(construct) && self.open.is_none() {
            self.heading = Some((construct.to_owned(), self.line));
            "a section begins with its name and '{' on one line"
        } else if construct.contains('{') {
            "write one construct a line: 'NAME {', 'ATTRIBUTE: VALUE', '}'"
        } else {
            "an attribute is written 'NAME: VALUE', with letters, digits, '-' and '_' in its name"
        };
        SyntaxError::mendable(self.line, text, remedy)
    }

    fn finish(mut self) -> (Vec<Section>, Vec<SyntaxError>) {
        if let Some(section) = self.open.take() {
            self.errors.push(unclosed_section(&section));
            self.sections.push(section);
        }
        (self.sections, self.errors)
    }
}

fn unclosed_section(section: &Section) -> SyntaxError {
    let text = format!("section '{}' is not closed", section.name);
    SyntaxError::mendable(
        section.line,
        text,
        "add a line with '}' behind its last attribute",
    )
}

/// The value of an attribute as text: without comment, escapes replaced.
fn text_value(name: &str, written: &str, line: u32) -> Result<String, SyntaxError> {
    let value = if KEEP_HASH.contains(&name) {
        written.split_whitespace().next().unwrap_or_default()
    } else {
        before_comment(written).trim()
    };
    if value.is_empty() {
        let text = format!("Invalid config file syntax: attribute '{name}' has no value");
        return Err(SyntaxError::mendable(
            line,
            text,
            "write one, or leave the line out",
        ));
    }
    if value.contains('"') {
        let text = format!("Invalid config file syntax: a quote in the value of '{name}'");
        let remedy = "write the value without quotes: it ends at the end of the line";
        return Err(SyntaxError::mendable(line, text, remedy));
    }
    unescape(value).map_err(|text| {
        SyntaxError::mendable(
            line,
            format!("{name}: {text}"),
            "write '\\\\' for a backslash",
        )
    })
}

pub(super) fn before_comment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default().trim_end()
}

fn is_word(text: &str) -> bool {
    let allowed = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    !text.is_empty() && text.chars().all(allowed)
}

pub(super) fn is_attribute_name(text: &str) -> bool {
    is_word(text.strip_prefix('$').unwrap_or(text))
}

/// Opening less closing braces of a line.
fn balance(line: &str) -> i64 {
    line.chars()
        .map(|character| i64::from(character == '{') - i64::from(character == '}'))
        .sum()
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests;
