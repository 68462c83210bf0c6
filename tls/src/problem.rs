//! What is wrong with a profile: all of it, each with the attribute it is about.

use std::fmt;

/// One thing that is wrong, or odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The attribute of the profile.
    pub attribute: &'static str,
    /// What is wrong; never a secret.
    pub text: String,
    /// What to do about it, as a sentence without its full stop.
    pub remedy: Option<String>,
}

impl Problem {
    /// A problem without a remedy beyond what its text says.
    #[must_use]
    pub fn new(attribute: &'static str, text: impl Into<String>) -> Self {
        Self {
            attribute,
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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.attribute, self.text)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    /// What makes the profile useless.
    pub(crate) errors: Vec<Problem>,
    /// What does not.
    pub(crate) warnings: Vec<Problem>,
}
