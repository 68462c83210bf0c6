//! Sections of the standard that code cites and no test does: printed, never an error.
//!
//! Owns the reading of `amqp-1.0 §2.6.7` in comments. It never knows what a section says.
//! Decision: the difference is information for whoever writes the next test; making it an error
//! would teach people to cite less.

use std::collections::BTreeMap;

use crate::tidy::source::{Kind, Source};

/// The name under which the standard is cited.
const STANDARD: &str = "amqp-1.0";

/// The sections cited, with the first place of each, apart for code and for tests.
#[derive(Debug, Default)]
pub(crate) struct Citations {
    code: BTreeMap<String, String>,
    tests: BTreeMap<String, String>,
}

impl Citations {
    /// Adds the citations of one file.
    pub(crate) fn add(&mut self, source: &Source, is_test: bool) {
        for token in source
            .tokens
            .iter()
            .filter(|token| token.kind == Kind::Comment)
        {
            let comment = source.word(*token);
            if !comment.contains(STANDARD) {
                continue;
            }
            let place = format!("{}:{}", source.path, token.line);
            let list = if is_test || token.test {
                &mut self.tests
            } else {
                &mut self.code
            };
            for section in sections(comment) {
                list.entry(section).or_insert_with(|| place.clone());
            }
        }
    }

    /// One line for each section that only code cites, and one with the totals.
    pub(crate) fn report(&self) -> Vec<String> {
        let open = self
            .code
            .iter()
            .filter(|(section, _)| !self.tests.contains_key(*section));
        let mut lines: Vec<_> = open
            .map(|(section, place)| format!("§{section} is cited in code ({place}), in no test"))
            .collect();
        let both = self.code.len() - lines.len();
        let total = self.code.len();
        lines.push(format!(
            "{both} of {total} sections cited in code are cited in tests too"
        ));
        lines
    }
}

/// The section numbers of a comment: what follows each `§`.
fn sections(comment: &str) -> impl Iterator<Item = String> + '_ {
    comment.split('§').skip(1).filter_map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number = rest[..end].trim_end_matches('.');
        (!number.is_empty()).then(|| number.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sections_without_a_test_are_listed() {
        let mut citations = Citations::default();
        let text = "//! Doc.\n/// amqp-1.0 §2.6.7, §2.3.\nfn f() {}\n// our §6 is not cited\n\
                    #[cfg(test)]\nmod tests {\n //= amqp-1.0 §2.3\n}\n";
        citations.add(&Source::new("a.rs", text), false);
        citations.add(&Source::new("tests/b.rs", "// amqp-1.0 §9.9"), true);
        assert_eq!(
            citations.report(),
            [
                "§2.6.7 is cited in code (a.rs:2), in no test",
                "1 of 2 sections cited in code are cited in tests too",
            ]
        );
    }
}
