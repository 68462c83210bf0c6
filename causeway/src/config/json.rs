//! A JSON reader that knows on which line it is, and that can be relaxed enough to read the maps
//! which people write into the native form.
//!
//! Relaxed means: comments from `#` to the end of a line, commas left out or too many, names
//! without quotes, and a value behind such a name is the rest of its line. A JSON library reads
//! neither that nor tells the line of each member, and every error here has to name its line.

use serde_json::{Map, Number, Value};

use super::error::SyntaxError;

/// Levels of nesting that are read; deeper ones are an error.
const DEPTH_MAX: usize = 32;

/// A place in a text.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    relaxed: bool,
    /// Names may stand without quotes.
    bare_names: bool,
}

/// A member's name, as written or between quotes.
pub(super) struct Name {
    /// The name.
    pub(super) text: String,
    /// Its line.
    pub(super) line: u32,
    bare: bool,
}

impl<'a> Reader<'a> {
    /// Reads standard JSON, but for lines that begin with `#`.
    pub(super) fn strict(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            relaxed: false,
            bare_names: false,
        }
    }

    /// Reads what the module's description says, from byte `at` of `text` on, which is on `line`.
    pub(super) fn relaxed(text: &'a str, at: usize, line: u32) -> Self {
        Self {
            text,
            at,
            line,
            relaxed: true,
            bare_names: true,
        }
    }

    /// The same for a map whose names are text of the user's: all of them stand between quotes.
    pub(super) fn with_quoted_names(self) -> Self {
        Self {
            bare_names: false,
            ..self
        }
    }

    /// The offset of the next byte and its line.
    pub(super) fn position(&self) -> (usize, u32) {
        (self.at, self.line)
    }

    /// The line of the next byte.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// Skips blanks and comments; the next character, if any.
    pub(super) fn peek(&mut self) -> Option<char> {
        while let Some(character) = self.rest().chars().next() {
            match character {
                '#' if self.relaxed || self.begins_line() => self.skip_line(),
                _ if character.is_whitespace() => self.step(character),
                _ => return Some(character),
            }
        }
        None
    }

    /// Takes the character if it is the next.
    pub(super) fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.step(wanted);
        }
        found
    }

    /// Takes the character, or says what stands there instead.
    pub(super) fn expect(&mut self, wanted: char) -> Result<(), SyntaxError> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{wanted}'")))
        }
    }

    /// Takes what separates two members or elements; `false` if `end` was there instead.
    pub(super) fn separator(&mut self, first: bool, end: char) -> Result<bool, SyntaxError> {
        if self.relaxed {
            while self.take(',') {}
            return Ok(!self.take(end));
        }
        if self.take(end) {
            return Ok(false);
        }
        if !first {
            self.expect(',')?;
        }
        Ok(true)
    }

    /// Reads a member's name and its colon.
    pub(super) fn name(&mut self) -> Result<Name, SyntaxError> {
        let next = self.peek();
        let line = self.line;
        let (text, bare) = match next {
            Some('"') => (self.string()?, false),
            Some(character) if self.bare_names && is_name(character) => (self.word(), true),
            _ => {
                let text = "Expecting property name enclosed in double quotes";
                return Err(SyntaxError::new(line, format!("{text}{}", self.found())));
            }
        };
        self.expect(':')?;
        Ok(Name { text, line, bare })
    }

    /// Reads the value that belongs to a name.
    pub(super) fn member(&mut self, name: &Name, depth: usize) -> Result<Value, SyntaxError> {
        if name.bare && !matches!(self.peek_on_line(), Some('{' | '[' | '"')) {
            return self.rest_of_line();
        }
        self.value(depth)
    }

    /// Reads one value of any kind.
    pub(super) fn value(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        if depth > DEPTH_MAX {
            let text = format!("maps nested more than {DEPTH_MAX} levels deep");
            return Err(SyntaxError::new(self.line, text));
        }
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"') => self.string().map(Value::String),
            Some(_) => self.scalar(),
            None => Err(self.unexpected("a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let opened = self.line;
        self.expect('{')?;
        let mut map = Map::new();
        while self
            .separator(map.is_empty(), '}')
            .map_err(|error| self.unclosed(error, opened))?
        {
            if self.peek().is_none() {
                return Err(SyntaxError::new(opened, "'{' without a matching '}'"));
            }
            let name = self.name()?;
            let value = self.member(&name, depth + 1)?;
            map.insert(name.text, value);
        }
        Ok(Value::Object(map))
    }

    fn array(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let opened = self.line;
        self.expect('[')?;
        let mut elements = Vec::new();
        while self
            .separator(elements.is_empty(), ']')
            .map_err(|error| self.unclosed(error, opened))?
        {
            if self.peek().is_none() {
                return Err(SyntaxError::new(opened, "'[' without a matching ']'"));
            }
            elements.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(elements))
    }

    /// At the end of the text, the bracket that was never closed is the better place to point at.
    fn unclosed(&mut self, error: SyntaxError, opened: u32) -> SyntaxError {
        if self.peek().is_some() {
            return error;
        }
        SyntaxError::new(opened, "a bracket opened here is never closed")
    }

    /// Reads a string in quotes.
    pub(super) fn string(&mut self) -> Result<String, SyntaxError> {
        self.expect('"')?;
        let length = quoted_length(self.rest());
        let Some(length) = length else {
            return Err(SyntaxError::new(
                self.line,
                "a string without its closing quote",
            ));
        };
        let inside = &self.rest()[..length];
        let value = unescape(inside).map_err(|text| SyntaxError::new(self.line, text))?;
        self.at += length + 1;
        Ok(value)
    }

    fn scalar(&mut self) -> Result<Value, SyntaxError> {
        let end = |character: char| {
            character.is_whitespace() || matches!(character, ',' | '}' | ']' | ':' | '#' | '"')
        };
        let rest = self.rest();
        let token = &rest[..rest.find(end).unwrap_or(rest.len())];
        let value = match token {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ => match number(token) {
                Some(number) => Value::Number(number),
                None => return Err(self.unexpected("a value")),
            },
        };
        self.at += token.len();
        Ok(value)
    }

    /// The rest of the line without its comment: the value behind a name without quotes.
    fn rest_of_line(&mut self) -> Result<Value, SyntaxError> {
        let rest = self.rest();
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        let value = line.split('#').next().unwrap_or_default().trim();
        if value.is_empty() {
            return Err(SyntaxError::new(
                self.line,
                "a value is missing behind the colon",
            ));
        }
        let value = Value::String(value.to_owned());
        self.at += line.len();
        Ok(value)
    }

    fn word(&mut self) -> String {
        let rest = self.rest();
        let length = rest
            .find(|character| !is_name(character))
            .unwrap_or(rest.len());
        self.at += length;
        rest[..length].to_owned()
    }

    fn peek_on_line(&mut self) -> Option<char> {
        let line = self.line;
        let mut ahead = self.clone();
        let next = ahead.peek();
        next.filter(|_| ahead.line == line)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn begins_line(&self) -> bool {
        let before = &self.text[..self.at];
        before
            .rsplit('\n')
            .next()
            .is_none_or(|line| line.trim().is_empty())
    }

    fn step(&mut self, character: char) {
        self.at += character.len_utf8();
        if character == '\n' {
            self.line += 1;
        }
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn unexpected(&mut self, wanted: &str) -> SyntaxError {
        let next = self.peek();
        let line = self.line;
        match next {
            Some(_) => SyntaxError::new(line, format!("Expecting {wanted}{}", self.found())),
            None => SyntaxError::new(line, format!("Expecting {wanted}, found the end of file")),
        }
    }

    fn found(&mut self) -> String {
        match self.peek() {
            Some(character) => format!(", found '{}'", character.escape_default()),
            None => ", found the end of file".to_owned(),
        }
    }
}

/// Whether a name without quotes may hold the character.
fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '$' | '.')
}

/// The length of a string's text up to its closing quote, if that is on the same line.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\n' => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// Replaces the escapes of JSON by what they mean; the error says which one is none.
pub(super) fn unescape(text: &str) -> Result<String, String> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let quoted = format!("\"{}\"", text.replace('\t', "\\t"));
    serde_json::from_str(&quoted).map_err(|_| {
        let at = text.find('\\').unwrap_or_default();
        let sequence: String = text[at..].chars().take(2).collect();
        format!(
            "Invalid \\escape: '{sequence}' is not one of \\\\ \\\" \\/ \\b \\f \\n \\r \\t \\uXXXX"
        )
    })
}

fn number(token: &str) -> Option<Number> {
    let integer = token.strip_prefix('-').unwrap_or(token);
    if !integer.is_empty() && integer.bytes().all(|byte| byte.is_ascii_digit()) {
        let signed = token.parse::<i64>().ok().map(Number::from);
        return signed.or_else(|| token.parse::<u64>().ok().map(Number::from));
    }
    let begins = integer
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit());
    token
        .parse::<f64>()
        .ok()
        .filter(|_| begins)
        .and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn relaxed(text: &str) -> Result<Value, SyntaxError> {
        Reader::relaxed(text, 0, 1).value(0)
    }

    #[test]
    fn strict_text_reads_as_the_library_reads_it() {
        let text = r#"{"a": [1, -2, 2.5, 1e3, 18446744073709551615], "b": {"c": null, "d": true},
            "e": "x\"\\\u00e9\ud83d\ude00y", "f": {}, "g": []}"#;
        let ours = Reader::strict(text).value(0).unwrap();
        assert_eq!(ours, serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn strict_text_needs_its_commas_and_quotes() {
        for text in [
            "{\"a\": 1 \"b\": 2}",
            "{a: 1}",
            "[1 2]",
            "{\"a\": x}",
            "[01x]",
            "[1,]",
        ] {
            assert!(Reader::strict(text).value(0).is_err(), "{text}");
        }
    }

    #[test]
    fn relaxed_text_forgives_commas_comments_and_missing_quotes() {
        let text = "{ # people\n  admin: {\n    users: a1, a2   # two\n    \
                    remoteHosts: 127.0.0.1, ::1\n  }\n\
                    ,, \"b\": {\"x\": 1,}\n}";
        let expected = json!({
            "admin": {"users": "a1, a2", "remoteHosts": "127.0.0.1, ::1"}, "b": {"x": 1}
        });
        assert_eq!(relaxed(text).unwrap(), expected);
    }

    #[test]
    fn an_error_names_its_line() {
        assert_eq!(relaxed("{\n\n  \"a\" 1\n}").unwrap_err().line, 3);
        assert_eq!(relaxed("\n{\n\"a\": 1\n").unwrap_err().line, 2);
        assert_eq!(relaxed("{\n\"a\": \"x\n}").unwrap_err().line, 2);
    }

    #[test]
    fn nesting_is_bounded() {
        let text = "[".repeat(100_000);
        assert!(relaxed(&text).unwrap_err().text.contains("nested"));
    }

    #[test]
    fn unknown_escapes_are_told() {
        assert_eq!(unescape(r"a\tb").unwrap(), "a\tb");
        assert!(unescape(r"a\d").unwrap_err().contains(r"'\d'"));
    }
}
