//! Sections of the standard that code cites and no test does: printed, never an error.
//!
//! Owns the reading of `amqp-1.0 §2.6.7` in comments. It never knows what a section says.
//! Decision: the difference is information for whoever writes the next test; making it an error
//! would teach people to cite less.

use std::collections::BTreeSet;

use crate::tidy::source::{Kind, Source};

/// The name under which the standard is cited.
const STANDARD: &str = "amqp-1.0";

/// The sections cited, apart for code and for tests.
#[derive(Debug, Default)]
pub(crate) struct Citations {
    code: BTreeSet<String>,
    tests: BTreeSet<String>,
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
            let list = if is_test || token.test {
                &mut self.tests
            } else {
                &mut self.code
            };
            list.extend(sections(comment));
        }
    }

    /// One line with the sections that only code cites, and one with the totals.
    pub(crate) fn report(&self) -> Vec<String> {
        let open = self.code.difference(&self.tests);
        let open: Vec<_> = open.map(|section| format!("§{section}")).collect();
        let total = self.code.len();
        let both = total - open.len();
        let mut lines = Vec::new();
        if !open.is_empty() {
            lines.push(format!("cited in code, in no test: {}", open.join(" ")));
        }
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
                "cited in code, in no test: §2.6.7",
                "1 of 2 sections cited in code are cited in tests too",
            ]
        );
    }
}
