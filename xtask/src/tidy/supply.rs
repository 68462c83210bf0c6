//! Rules about code of others: each crate taken has its reason in the ADR, each version is one.
//!
//! Owns the comparison of manifests and lock file with `docs/adr/0012-dependencies.md`, and the
//! short list of duplicates that cannot be helped. It never asks the network. Decision: both
//! lists are checked in both directions, so neither keeps lines about things long gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::manifest::{Dependency, Manifest, Scope};
use crate::tidy::problem::Problem;

/// Where each dependency has its line.
pub(crate) const RECORD: &str = "docs/adr/0012-dependencies.md";

/// Packages that may stand in `Cargo.lock` more than once, each with its reason.
const DUPLICATES: &[(&str, &str)] = &[
    (
        "cpufeatures",
        "the ciphers of encrypted private keys are a generation behind chacha20",
    ),
    (
        "getrandom",
        "named by features that nobody here switches on; one is built",
    ),
    (
        "rand_core",
        "a generation behind likewise; of the older one traits alone are used",
    ),
    (
        "syn",
        "procedural macros move to version 3 one by one; it runs at build time only",
    ),
    (
        "untrusted",
        "named by features of aws-lc-rs that nobody here switches on; one is built",
    ),
    (
        "windows-sys",
        "for systems that this program does not run on",
    ),
];

/// The names that have a line in the record: list items and table rows that begin with a
/// name in backquotes.
fn recorded(text: &str) -> BTreeMap<&str, usize> {
    let mut names = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let item = line
            .strip_prefix("- `")
            .or_else(|| line.strip_prefix("| `"));
        if let Some((name, reason)) = item.and_then(|item| item.split_once('`'))
            && reason.chars().any(char::is_alphabetic)
        {
            names.insert(name, index + 1);
        }
    }
    names
}

/// Every crate from a registry must have its line in the record, and every line its crate.
pub(crate) fn record(packages: &[&Manifest], text: &str) -> Vec<Problem> {
    let recorded = recorded(text);
    let is_ours = |name: &str| packages.iter().any(|package| package.name == name);
    let foreign = |dependency: &&Dependency| {
        dependency.scope != Scope::Workspace && !dependency.local && !is_ours(&dependency.name)
    };
    let mut problems = Vec::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(foreign) {
            if !recorded.contains_key(dependency.name.as_str()) {
                let text = format!("`{}` has no line in {RECORD}", dependency.name);
                let problem = Problem::new(&package.path, dependency.line, "dependency", text);
                problems.push(problem);
            }
        }
    }
    let all = packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .filter(foreign);
    let taken: BTreeSet<&str> = all.map(|dependency| dependency.name.as_str()).collect();
    for (name, line) in recorded {
        if !taken.contains(name) {
            let text = format!("no package takes `{name}`: drop its line");
            problems.push(Problem::new(RECORD, line, "dependency", text));
        }
    }
    problems
}

/// Every package of a lock file stands there once, but those of the list, which stand there twice.
pub(crate) fn duplicates(path: &str, locked: &[(String, String)]) -> Vec<Problem> {
    judge_duplicates(path, locked, DUPLICATES)
}

fn judge_duplicates(
    path: &str,
    locked: &[(String, String)],
    permitted: &[(&str, &str)],
) -> Vec<Problem> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version) in locked {
        versions.entry(name).or_default().push(version);
    }
    let mut problems = Vec::new();
    for (name, versions) in &versions {
        if versions.len() > 1 && !permitted.iter().any(|(listed, _)| listed == name) {
            let text = format!("`{name}` is there as {}", versions.join(" and "));
            problems.push(Problem::new(path, 0, "duplicate-version", text));
        }
    }
    for (name, reason) in permitted {
        if versions.get(name).is_none_or(|versions| versions.len() < 2) {
            let text = format!("`{name}` is no duplicate any more ({reason}): drop the exception");
            problems.push(Problem::new(path, 0, "duplicate-version", text));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_line_and_a_line_without_a_dependency_are_reported() {
        let one = Manifest::parse(
            "a/Cargo.toml",
            "[package]\nname = \"a\"\n[dependencies]\nbytes = \"1\"\nrand = \"1\"\nb = \"1\"\n",
        );
        let two = Manifest::parse("b/Cargo.toml", "[package]\nname = \"b\"\n");
        let text = "# Dependencies\n\n- `bytes` shared buffers\n- `rand`\n| `gone` | x |\n";
        let problems = record(&[&one, &two], text);
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                format!("a/Cargo.toml:5: dependency: `rand` has no line in {RECORD}"),
                format!("{RECORD}:5: dependency: no package takes `gone`: drop its line"),
            ]
        );
    }

    #[test]
    fn two_versions_of_one_package_are_reported_unless_listed() {
        let locked: Vec<_> = [("a", "1"), ("b", "1"), ("a", "2")]
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into();
        assert_eq!(judge_duplicates("Cargo.lock", &locked, &[]).len(), 1);
        assert!(judge_duplicates("Cargo.lock", &locked, &[("a", "why")]).is_empty());
        let stale = judge_duplicates("Cargo.lock", &locked, &[("a", "why"), ("b", "why")]);
        assert_eq!(stale.len(), 1);
    }
}
