//! How a verb of the command line fails: what went wrong, and what the person may do about it.
//!
//! Owns the shape of error output (`error: …`, then `hint: …`) and the exit status; it never
//! decides what is an error. One plain type instead of an enumeration: nobody but a person reads
//! these.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::cli::screen;

/// What went wrong, for a person.
#[derive(Debug)]
pub struct Failure {
    text: String,
    hint: Option<String>,
    quiet: bool,
}

impl Failure {
    /// A failure; `text` says who and where, in one sentence without a full stop.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hint: None,
            quiet: false,
        }
    }

    /// The same with what the person may do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with what it happened to, before the rest.
    #[must_use]
    pub fn within(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// What to do about it, if known.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// Output that nobody reads any more (`causeway recv … | head`) ends a verb without complaint.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let quiet = error.kind() == io::ErrorKind::BrokenPipe;
        Self {
            text: format!("cannot write the output: {error}"),
            hint: None,
            quiet,
        }
    }
}

/// Ends a verb: prints the failure, if any, and gives the exit status (1 for a failure).
#[must_use]
pub fn exit(result: Result<ExitCode, Failure>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(failure) if failure.quiet => ExitCode::SUCCESS,
        Err(failure) => {
            screen::complain(&format!("error: {failure}"));
            if let Some(hint) = &failure.hint {
                screen::complain(&format!("hint: {hint}"));
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let gone: Failure = io::Error::from(io::ErrorKind::BrokenPipe).into();
        assert_eq!(exit(Err(gone)), ExitCode::SUCCESS);
        let full: Failure = io::Error::from(io::ErrorKind::StorageFull).into();
        assert_eq!(exit(Err(full)), ExitCode::FAILURE);
    }
}
