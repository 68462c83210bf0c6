//! Where the configuration says a password is, and the password there.
//!
//! Decision: it is looked up when it is needed, not when the file is read, so that a password that
//! was changed is the new one at the next attempt, and nothing keeps it meanwhile.

use std::env;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

/// Bytes of the first line of a file that can be a password.
const LINE_MAX: u64 = 1024;

/// Where a password is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form<'a> {
    Variable(&'a str),
    File(&'a str),
    Text(&'a str),
}

impl<'a> Form<'a> {
    fn of(configured: &'a str) -> Self {
        let after = |prefix: &str| configured.strip_prefix(prefix);
        if let Some(name) = after("env:") {
            Self::Variable(name.trim_start())
        } else if let Some(path) = after("file:") {
            Self::File(path.trim_start())
        } else {
            Self::Text(after("pass:").unwrap_or(configured))
        }
    }
}

/// The password that a configuration speaks of.
///
/// # Errors
///
/// The variable is not set, or the file cannot be read.
pub(crate) fn read(configured: &str) -> Result<String, String> {
    match Form::of(configured) {
        Form::Text(text) => Ok(text.to_owned()),
        Form::Variable(name) => env::var(name)
            .map_err(|_| format!("Failed to find a password in the environment variable {name}")),
        Form::File(path) => first_line(path)
            .map_err(|error| format!("Unable to open password file {path}, error: {error}")),
    }
}

/// The first line of a file, without its end.
///
/// # Errors
///
/// It cannot be read.
pub(crate) fn first_line(path: &str) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(File::open(path)?.take(LINE_MAX)).read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

/// Why a configured password cannot be had, where that is no matter of time.
pub(crate) fn is_missing(configured: &str) -> Option<String> {
    match Form::of(configured) {
        Form::Variable(_) => read(configured).err(),
        Form::File(_) | Form::Text(_) => None,
    }
}

/// Whether the configuration shows the password itself.
pub(crate) fn is_shown(configured: &str) -> bool {
    matches!(Form::of(configured), Form::Text(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let file = env::temp_dir().join(format!("causeway-password-{}", std::process::id()));
        std::fs::write(&file, "from a file\nand more\n").unwrap();
        let in_file = format!("file:{}", file.display());
        assert_eq!(read(&in_file).as_deref(), Ok("from a file"));
        std::fs::remove_file(&file).unwrap();
        let gone = read(&in_file).unwrap_err();
        assert!(gone.starts_with("Unable to open password file /"), "{gone}");
        assert_eq!(read("pass:word").as_deref(), Ok("word"));
        assert_eq!(read("word").as_deref(), Ok("word"));
        assert_eq!(read("literal:word").as_deref(), Ok("literal:word"));
        assert!(is_shown("word") && is_shown("pass:word") && !is_shown(&in_file));
        // Whatever the name of this machine's search path is, it has one.
        assert_eq!(read("env: PATH").ok(), env::var("PATH").ok());
        let missing = is_missing("env:CAUSEWAY_NO_SUCH_VARIABLE").unwrap();
        assert!(
            missing.starts_with("Failed to find a password"),
            "{missing}"
        );
        assert_eq!(is_missing("env:PATH"), None);
    }
}
