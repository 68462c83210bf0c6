//! `cargo xtask tidy`: the form of the code, checked.
//!
//! Owns the list of rules and the order in which they see the workspace. It never judges anything
//! itself. Decision: form is checked by a program and by a test, because a rule that lives in a
//! document only is a rule for the people who happen to read it.

mod arrows;
mod citations;
mod form;
mod fuzzing;
mod imports;
mod links;
mod manifest;
mod package;
mod problem;
mod source;
mod supply;
mod tree;
mod usage;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use manifest::Manifest;
use package::Package;
use problem::Problem;

/// The package of fuzz targets.
const FUZZ: &str = "fuzz";
/// Packages that are no members of the workspace: their lock files are their own.
const APART: &[&str] = &[FUZZ, "tests/interop/rust"];
/// Endings of the text files whose words are judged.
const TEXTS: &[&str] = &[
    "rs", "toml", "md", "yml", "yaml", "py", "sh", "js", "conf", "run",
];
/// Endings of those whose lines must not be wide.
const CODE: &[&str] = &["rs", "py", "sh", "js"];

/// What tidy has to say.
#[derive(Debug)]
pub(crate) struct Report {
    /// One line for each finding, sorted by place.
    pub(crate) problems: Vec<String>,
    /// What is good to know and no finding.
    pub(crate) notes: Vec<String>,
}

/// Judges the workspace at `root`.
pub(crate) fn run(root: &Path) -> io::Result<Report> {
    let workspace = Manifest::parse("Cargo.toml", &fs::read_to_string(root.join("Cargo.toml"))?);
    let mut packages = Vec::new();
    for member in &workspace.members {
        packages.push(Package::read(root, member)?);
    }
    for folder in APART
        .iter()
        .filter(|folder| root.join(folder).join("Cargo.toml").exists())
    {
        packages.push(Package::read(root, folder)?);
    }
    let mut problems = Vec::new();
    problems.extend(
        packages
            .iter_mut()
            .flat_map(|package| std::mem::take(&mut package.problems)),
    );
    problems.extend(packages.iter().flat_map(graph));
    problems.extend(packages.iter().flat_map(one_by_one));
    problems.extend(limits(&packages));
    problems.extend(supply(root, &workspace, &packages)?);
    problems.extend(fuzzing(root, &packages)?);
    problems.extend(texts(root)?);
    problems.sort();
    problems.dedup();
    Ok(Report {
        problems: problems.iter().map(ToString::to_string).collect(),
        notes: citations(&packages),
    })
}

/// Cycles between files, and the floors of `router-core`.
fn graph(package: &Package) -> Vec<Problem> {
    let mut problems = Vec::new();
    for tree in package.trees.iter() {
        let edges = imports::edges(&package.sources, tree);
        problems.extend(imports::cycles(&package.sources, &edges));
        if package.manifest.name == "router-core" {
            problems.extend(arrows::between_modules(&package.sources, tree, &edges));
        }
    }
    problems
}

/// The rules that need one file, or one package, at a time.
fn one_by_one(package: &Package) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (source, is_test) in package.sources.iter().zip(&package.is_test) {
        problems.extend(form::rust(source, *is_test));
        if !is_test && usage::DETERMINISTIC.contains(&package.manifest.name.as_str()) {
            problems.extend(usage::outside(source));
        }
    }
    problems.extend(usage::dependencies(&package.manifest, &package.sources));
    let path = &package.manifest.path;
    if !package.manifest.inherits_lints && !APART.iter().any(|apart| path.starts_with(apart)) {
        let text = "`[lints] workspace = true` is missing".to_owned();
        problems.push(Problem::new(path, 0, "lints", text));
    }
    problems
}

/// Limits that bound nothing.
fn limits(packages: &[Package]) -> Vec<Problem> {
    const LIMITS: &str = "router-core/src/limits.rs";
    let all = || {
        packages
            .iter()
            .flat_map(|package| package.sources.iter().zip(&package.is_test))
    };
    let Some((source, _)) = all().find(|(source, _)| source.path == LIMITS) else {
        return Vec::new();
    };
    let elsewhere: BTreeSet<&str> = all()
        .filter(|(source, is_test)| source.path != LIMITS && !**is_test)
        .flat_map(|(source, _)| usage::words(source))
        .collect();
    usage::limits(source, &elsewhere)
}

/// Arrows between crates, and the code of others.
fn supply(root: &Path, workspace: &Manifest, packages: &[Package]) -> io::Result<Vec<Problem>> {
    let manifests: Vec<_> = packages.iter().map(|package| &package.manifest).collect();
    let mut problems = arrows::between_crates(&manifests);
    problems.extend(usage::workspace_dependencies(workspace, &manifests));
    let record = fs::read_to_string(root.join(supply::RECORD)).unwrap_or_default();
    problems.extend(supply::record(&manifests, &record));
    let lock = fs::read_to_string(root.join("Cargo.lock"))?;
    problems.extend(supply::duplicates("Cargo.lock", &manifest::locked(&lock)));
    Ok(problems)
}

fn fuzzing(root: &Path, packages: &[Package]) -> io::Result<Vec<Problem>> {
    let mut bodies = Vec::new();
    for package in packages
        .iter()
        .filter(|package| !package.manifest.path.starts_with(FUZZ))
    {
        if package.manifest.name != "xtask" {
            bodies.extend(fuzzing::bodies(&package.sources, &package.is_test));
        }
    }
    let mut folder = fuzzing::Folder::default();
    for path in package::files(root, FUZZ)? {
        if let Some(name) = path.strip_prefix("fuzz/fuzz_targets/") {
            folder
                .targets
                .insert(name.trim_end_matches(".rs").to_owned());
        } else if path == "fuzz/Cargo.toml" {
            folder.manifest = fs::read_to_string(root.join(path))?;
        }
    }
    if root.join("fuzz/corpus").exists() {
        for path in package::files(root, "fuzz/corpus")? {
            folder
                .corpora
                .extend(path.split('/').nth(2).map(str::to_owned));
        }
    }
    Ok(fuzzing::judge(&bodies, &folder))
}

/// The words and lines of every text file, and the links of documents.
fn texts(root: &Path) -> io::Result<Vec<Problem>> {
    let files: BTreeSet<String> = package::files(root, "")?.into_iter().collect();
    let mut problems = Vec::new();
    for path in &files {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit('.').next().unwrap_or(name);
        if !TEXTS.contains(&ending) {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(root.join(path))?).into_owned();
        problems.extend(form::text(path, &text, CODE.contains(&ending)));
        if ending == "md" {
            problems.extend(links::judge(path, &text, &files));
        }
    }
    Ok(problems)
}

fn citations(packages: &[Package]) -> Vec<String> {
    let mut citations = citations::Citations::default();
    for package in packages
        .iter()
        .filter(|package| package.manifest.name != "xtask")
    {
        for (source, is_test) in package.sources.iter().zip(&package.is_test) {
            citations.add(source, *is_test);
        }
    }
    citations.report()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let report = run(&root).unwrap();
        assert!(
            report.problems.is_empty(),
            "\n{}",
            report.problems.join("\n")
        );
        assert!(!report.notes.is_empty());
    }
}
