//! Owns `Str` and `Symbol`: text that shares the storage it was decoded from.
//! They never hold bytes that are not UTF-8 (ASCII for symbols). Decision: text is a `Bytes`, so
//! decoding copies nothing; without unsafe code each view as `str` checks the bytes again, which
//! for the short texts of AMQP is cheaper than an allocation. Hot lookups use `as_bytes`.

use crate::error::{DecodeError, DecodeErrorKind};
use bytes::Bytes;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// UTF-8 text, cheap to clone (amqp-1.0 §1.6.20).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Str(Bytes);

/// ASCII text from a constrained domain, cheap to clone (amqp-1.0 §1.6.21).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Symbol(Bytes);

impl Str {
    /// Takes bytes that hold UTF-8; fails with `InvalidUtf8` at the first byte that is not.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        match check_utf8(&bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(at) => Err(DecodeError::new(DecodeErrorKind::InvalidUtf8, at)),
        }
    }
}

/// Checks that bytes are UTF-8; fails with the offset of the first that are not. Nearly all texts
/// are ASCII, for which the test is several times as fast.
pub(crate) fn check_utf8(bytes: &[u8]) -> Result<(), usize> {
    if bytes.is_ascii() {
        return Ok(());
    }
    std::str::from_utf8(bytes)
        .map(|_| ())
        .map_err(|error| error.valid_up_to())
}

impl Symbol {
    /// Takes bytes that hold ASCII; fails with `InvalidSymbol` at the first byte that does not.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        if bytes.is_ascii() {
            return Ok(Self(bytes));
        }
        let at = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
        Err(DecodeError::new(DecodeErrorKind::InvalidSymbol, at))
    }

    /// Copies text that must be ASCII; `None` if it is not.
    #[must_use]
    pub fn try_copy(text: &str) -> Option<Self> {
        text.is_ascii()
            .then(|| Self(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// # Panics
    /// If the text is not ASCII: symbols are written by the program, not by its users.
    /// For text from outside use [`Symbol::try_copy`].
    #[must_use]
    #[track_caller]
    pub fn copy(text: &str) -> Self {
        Self::try_copy(text).expect("symbols of the program are ASCII")
    }

    /// # Panics
    /// If the text is not ASCII; in a constant, at compile time.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        assert!(text.is_ascii(), "symbols of the program are ASCII");
        Self(Bytes::from_static(text.as_bytes()))
    }
}

impl Str {
    /// Copies text into storage of its own.
    #[must_use]
    pub fn copy(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// Text of the program; nothing is copied.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }
}

impl From<&'static str> for Str {
    fn from(text: &'static str) -> Self {
        Self::from_static(text)
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<&'static str> for Symbol {
    /// # Panics
    /// If the text is not ASCII.
    fn from(text: &'static str) -> Self {
        Self::from_static(text)
    }
}

/// What both kinds of text can do.
macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// The text as bytes, without the check that a view as `str` makes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.0).expect("checked when it was made")
            }

            /// The same text in storage of its own, so that it no longer keeps the larger
            /// buffer alive from which it was decoded.
            #[must_use]
            pub fn settle(self) -> Self {
                Self(Bytes::copy_from_slice(&self.0))
            }

            /// The shared bytes behind the text.
            #[must_use]
            pub fn into_bytes(self) -> Bytes {
                self.0
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == other.as_bytes()
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.cmp(&other.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

text!(Str);
text!(Symbol);
