//! A package on disk: its manifest, its sources and the module trees of its roots.
//!
//! Owns the walk over the folders. It never judges. Decision: roots are found the way Cargo finds
//! them by convention, since no package here names its own.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use crate::tidy::manifest::Manifest;
use crate::tidy::problem::Problem;
use crate::tidy::source::Source;
use crate::tidy::tree::{self, Tree};

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &[
    "target",
    ".git",
    "node_modules",
    "__pycache__",
    ".venv",
    "corpus",
    "artifacts",
];

/// A package with everything the rules ask of it.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) manifest: Manifest,
    pub(crate) sources: Vec<Source>,
    /// For each source: only test builds compile it.
    pub(crate) is_test: Vec<bool>,
    pub(crate) trees: Vec<Tree>,
    /// What the walk itself found wrong.
    pub(crate) problems: Vec<Problem>,
}

impl Package {
    /// Reads the package in `folder`, relative to `root`.
    pub(crate) fn read(root: &Path, folder: &str) -> io::Result<Self> {
        let path = format!("{folder}/Cargo.toml");
        let manifest = Manifest::parse(&path, &fs::read_to_string(root.join(&path))?);
        let mut sources = Vec::new();
        for path in files(root, folder)?
            .iter()
            .filter(|path| path.ends_with(".rs"))
        {
            sources.push(Source::new(path, &fs::read_to_string(root.join(path))?));
        }
        let mut package = Self {
            manifest,
            sources,
            is_test: Vec::new(),
            trees: Vec::new(),
            problems: Vec::new(),
        };
        for (index, source) in package.sources.iter().enumerate() {
            let inner = source.path.strip_prefix(folder).unwrap_or(&source.path);
            if is_root(inner.trim_start_matches('/')) {
                let test = inner.starts_with("/tests/");
                let (tree, problems) = Tree::new(&package.sources, index, test);
                package.trees.push(tree);
                package.problems.extend(problems);
            }
        }
        package
            .problems
            .extend(tree::unreachable(&package.sources, &package.trees));
        let only_tests = |file| {
            package
                .trees
                .iter()
                .all(|tree| tree.only_tests_compile(file))
        };
        package.is_test = (0..package.sources.len()).map(only_tests).collect();
        Ok(package)
    }
}

/// Whether Cargo compiles this path of a package as a crate of its own, or, as `fuzz/replay.rs`,
/// other packages include it.
fn is_root(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').collect();
    matches!(
        parts.as_slice(),
        ["build.rs" | "replay.rs"]
            | ["src", "lib.rs" | "main.rs"]
            | ["src", "bin", _]
            | ["src", "bin", _, "main.rs"]
            | ["tests" | "benches" | "examples" | "fuzz_targets", _]
            | ["tests" | "benches" | "examples", _, "main.rs"]
    )
}

/// All files below `folder`, relative to `root`, sorted, without what is generated or foreign.
pub(crate) fn files(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut queue = vec![folder.to_owned()];
    while let Some(folder) = queue.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{name}")
            };
            if entry.file_type()?.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    queue.push(path);
                }
            } else {
                found.insert(path);
            }
        }
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_those_of_cargo() {
        for path in [
            "src/lib.rs",
            "src/bin/a.rs",
            "tests/it/main.rs",
            "benches/codec.rs",
        ] {
            assert!(is_root(path), "{path}");
        }
        for path in ["src/a.rs", "src/shard/mod.rs", "tests/it/a.rs"] {
            assert!(!is_root(path), "{path}");
        }
    }
}
