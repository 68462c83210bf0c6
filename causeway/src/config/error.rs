//! What is wrong with a configuration: where, with which attribute, and what would put it right.
//! Errors are collected, never thrown at the first: whoever mends a file wants the whole list.

use std::fmt;
use std::sync::Arc;

/// One thing wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// The line, from 1; 0 where the error concerns the file as a whole.
    pub line: u32,
    /// The section's short name: `listener`, `router` …
    pub entity: Option<String>,
    /// The attribute's name.
    pub attribute: Option<String>,
    /// What is wrong; where scripts are known to look for words, in those words.
    pub text: String,
    /// What to do about it, as a sentence without its full stop.
    pub remedy: Option<String>,
}

impl ConfigError {
    /// An error of a file as a whole.
    #[must_use]
    pub fn of_file(file: &Arc<str>, text: impl Into<String>) -> Self {
        Self {
            file: Arc::clone(file),
            line: 0,
            entity: None,
            attribute: None,
            text: text.into(),
            remedy: None,
        }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.file)?;
        if self.line > 0 {
            write!(formatter, "{}:", self.line)?;
        }
        match (&self.entity, &self.attribute) {
            (Some(entity), Some(attribute)) => write!(formatter, " {entity}.{attribute}:")?,
            (Some(entity), None) => write!(formatter, " {entity}:")?,
            (None, _) => {}
        }
        write!(formatter, " {}", self.text)?;
        match &self.remedy {
            Some(remedy) => write!(formatter, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A place where the text of a file does not follow the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// The line, from 1.
    pub(super) line: u32,
    /// What is wrong.
    pub(super) text: String,
    /// What to do about it.
    pub(super) remedy: Option<String>,
}

impl SyntaxError {
    /// An error without a remedy beyond what its text says.
    pub(super) fn new(line: u32, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
            remedy: None,
        }
    }

    /// An error and what to do about it.
    pub(super) fn mendable(line: u32, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// The same error, said of a file.
    pub(super) fn of_file(self, file: &Arc<str>) -> ConfigError {
        ConfigError {
            file: Arc::clone(file),
            line: self.line,
            entity: None,
            attribute: None,
            text: self.text,
            remedy: self.remedy,
        }
    }
}
