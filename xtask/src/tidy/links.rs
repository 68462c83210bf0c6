//! Documents name files that exist.
//!
//! Owns relative links and source paths in backquotes. It never follows a link out of the
//! repository. Decision: paths are checked as text against the list of files, so that the rule can
//! be tested without any.

use std::collections::BTreeSet;

use crate::tidy::problem::Problem;

/// Judges one Markdown file; `files` are all paths of the repository.
pub(crate) fn judge(path: &str, text: &str, files: &BTreeSet<String>) -> Vec<Problem> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let exists = |name: &str| {
        let inside = format!("{name}/");
        let below = files.range(inside.clone()..).next();
        files.contains(name) || below.is_some_and(|file| file.starts_with(&inside))
    };
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let linked = links(line).map(|link| join(folder, link));
        let named = paths(line).map(|name| name.trim_end_matches('/').to_owned());
        for name in linked.chain(named).filter(|name| !exists(name)) {
            let text = format!("`{name}` does not exist");
            problems.push(Problem::new(path, index + 1, "dead-link", text));
        }
    }
    problems
}

/// The targets of a line's links within the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    let files = targets.map(|(target, _)| target.split_once('#').map_or(target, |(file, _)| file));
    files.filter(|file| !file.is_empty() && !file.contains(':'))
}

/// The words in backquotes that are paths of sources.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|word| word.contains("/src/") && !word.contains([' ', '*', '<', ':']))
}

/// A link of a file in `folder`, as a path from the root.
fn join(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_paths_that_lead_nowhere_are_reported() {
        let files = [
            "README.md",
            "docs/a.md",
            "docs/adr/0001.md",
            "core/src/x.rs",
        ];
        let files: BTreeSet<String> = files.map(str::to_owned).into();
        let text = "[a](adr/0001.md#top) [b](../README.md) [c](adr/) [d](https://x.y/z) \
                    [e](#here)\n\
                    `core/src/x.rs` `core/src` [f](b.md) `core/src/y.rs`\n";
        let problems = judge("docs/a.md", text, &files);
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "docs/a.md:2: dead-link: `docs/b.md` does not exist",
                "docs/a.md:2: dead-link: `core/src/y.rs` does not exist",
            ]
        );
    }
}
