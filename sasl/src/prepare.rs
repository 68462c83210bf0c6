//! Names and passwords as they are compared (SASLprep, RFC 4013).
//!
//! Owns what a user may be called; never compares anything. Decision: text beyond ASCII is prepared
//! as the standard has it, not refused: what people type differs from system to system, and only
//! prepared it is the same.

use std::borrow::Cow;
use std::fmt;

/// The longest name or password, in bytes: both have to fit into a SASL frame of 512.
const TEXT_MAX: usize = 255;

/// Why a text cannot be a name or a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unprepared {
    /// Nothing is left of it.
    Empty,
    /// It is longer than 255 bytes.
    Long,
    /// It has a character that SASL does not allow, or right-to-left text mixed with other.
    Forbidden,
    /// A name has a blank in it, or begins like a line of the file that is not a user's.
    NotAName,
}

impl fmt::Display for Unprepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::Long => "is longer than 255 bytes",
            Self::Forbidden => "has characters that SASL does not allow (RFC 4013)",
            Self::NotAName => "may have no blanks and not begin with '#' or '*'",
        })
    }
}

impl std::error::Error for Unprepared {}

/// A password as it is hashed.
///
/// # Errors
/// It cannot be one.
pub fn password(text: &str) -> Result<Cow<'_, str>, Unprepared> {
    if text.len() > TEXT_MAX {
        return Err(Unprepared::Long);
    }
    let prepared = stringprep::saslprep(text).map_err(|_| Unprepared::Forbidden)?;
    if prepared.is_empty() {
        return Err(Unprepared::Empty);
    }
    Ok(prepared)
}

/// A user's name as it is looked up.
///
/// # Errors
/// It cannot be one.
pub fn user_name(text: &str) -> Result<Cow<'_, str>, Unprepared> {
    let prepared = password(text)?;
    let is_odd = prepared.contains(char::is_whitespace) || prepared.starts_with(['#', '*']);
    if is_odd {
        return Err(Unprepared::NotAName);
    }
    Ok(prepared)
}
