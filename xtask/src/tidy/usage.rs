//! Rules about what is written but not used, and what is used where it must not be.
//!
//! Owns: limits that bound nothing, dependencies nobody names, and the words that would bring a
//! socket, a file, a thread or a clock into the deterministic crates. It never judges code that
//! only tests compile. Decision: names are compared as words, not resolved; a false "used" is
//! possible and cheap, a false "unused" is not.

use std::collections::BTreeSet;

use crate::tidy::manifest::{Manifest, Scope};
use crate::tidy::problem::Problem;
use crate::tidy::source::{Kind, Source};

/// Crates whose every decision must follow from their input alone.
pub(crate) const DETERMINISTIC: &[&str] = &[
    "amqp-codec",
    "amqp-proto",
    "tls",
    "sasl",
    "router-core",
    "management",
];

/// Modules and types of `std` that reach outside a state machine.
const OUTSIDE: &[&str] = &[
    "net",
    "fs",
    "thread",
    "env",
    "process",
    "SystemTime",
    "Instant",
];

/// The words of the code of a file that is compiled outside tests.
pub(crate) fn words(source: &Source) -> BTreeSet<&str> {
    let code = source
        .tokens
        .iter()
        .filter(|token| token.kind == Kind::Word && !token.test);
    code.map(|token| source.word(*token)).collect()
}

/// Reports each constant of `limits` that no word of `elsewhere` names.
pub(crate) fn limits(limits: &Source, elsewhere: &BTreeSet<&str>) -> Vec<Problem> {
    let code = limits.code();
    let mut problems = Vec::new();
    for pair in code.windows(2) {
        let name = limits.word(pair[1]);
        let is_const = limits.word(pair[0]) == "const" && pair[1].kind == Kind::Word;
        if is_const && !pair[0].test && !matches!(name, "fn" | "_") && !elsewhere.contains(name) {
            let text = format!("limit `{name}` is used nowhere else: it bounds nothing");
            problems.push(Problem::new(
                &limits.path,
                pair[1].line,
                "unused-limit",
                text,
            ));
        }
    }
    problems
}

/// Reports the dependencies of a crate that none of its files names, tests included.
pub(crate) fn dependencies(manifest: &Manifest, sources: &[Source]) -> Vec<Problem> {
    let named: BTreeSet<&str> = sources
        .iter()
        .flat_map(|s| s.tokens.iter().map(|token| s.word(*token)))
        .collect();
    let mut problems = Vec::new();
    for dependency in &manifest.dependencies {
        let name = dependency.name.replace('-', "_");
        if dependency.scope != Scope::Workspace && !named.contains(name.as_str()) {
            let text = format!("no file of `{}` names `{name}`", manifest.name);
            problems.push(Problem::new(
                &manifest.path,
                dependency.line,
                "unused-dependency",
                text,
            ));
        }
    }
    problems
}

/// Reports the rows of `[workspace.dependencies]` that no package takes.
pub(crate) fn workspace_dependencies(root: &Manifest, packages: &[&Manifest]) -> Vec<Problem> {
    let taken: BTreeSet<&str> = packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| dependency.scope != Scope::Workspace)
        .map(|dependency| dependency.name.as_str())
        .collect();
    let rows = root
        .dependencies
        .iter()
        .filter(|row| row.scope == Scope::Workspace);
    rows.filter(|row| !taken.contains(row.name.as_str()))
        .map(|row| {
            let text = format!("no package takes `{}`", row.name);
            Problem::new(&root.path, row.line, "unused-dependency", text)
        })
        .collect()
}

/// Reports words of a deterministic crate that reach a socket, a file, a thread or a clock.
pub(crate) fn outside(source: &Source) -> Vec<Problem> {
    let code = source.code();
    let mut problems = Vec::new();
    for (at, token) in code.iter().enumerate() {
        let word = source.word(*token);
        if token.test || token.kind != Kind::Word || !OUTSIDE.contains(&word) {
            continue;
        }
        let of_std = at >= 3 && source.word(code[at - 3]) == "std";
        let in_group = source.text[..token.start]
            .rfind('\n')
            .map_or(0, |line| line + 1);
        let in_group = source.text[in_group..token.start]
            .trim_start()
            .starts_with("use std::{");
        if of_std || in_group || matches!(word, "SystemTime" | "Instant") {
            let text = format!("`{word}`: this crate has no socket, file, thread or clock");
            problems.push(Problem::new(&source.path, token.line, "outside", text));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_nobody_uses_is_reported() {
        let text = "pub const A_MAX: u32 = 1;\npub const B_MAX: u32 = A_MAX;\nconst fn sum() {}\n\
                    #[cfg(test)]\nmod tests { const C: u32 = 1; }\n";
        let source = Source::new("router-core/src/limits.rs", text);
        let problems = limits(&source, &BTreeSet::from(["B_MAX", "other"]));
        assert_eq!(problems.len(), 1);
        assert_eq!((problems[0].line, problems[0].rule), (1, "unused-limit"));
    }

    #[test]
    fn a_dependency_nobody_names_is_reported() {
        let text = "[package]\nname = \"p\"\n[dependencies]\nuse-d = \"1\"\nun-used = \"1\"\n\
                    [dev-dependencies]\nin_test = \"1\"\n";
        let manifest = Manifest::parse("p/Cargo.toml", text);
        let source = Source::new(
            "p/src/lib.rs",
            "use use_d::X;\n#[cfg(test)]\nuse in_test::Y;",
        );
        let problems = dependencies(&manifest, &[source]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].text.contains("un_used"));
    }

    #[test]
    fn a_workspace_dependency_nobody_takes_is_reported() {
        let root = Manifest::parse(
            "Cargo.toml",
            "[workspace.dependencies]\na = \"1\"\nb = \"1\"\n",
        );
        let package = Manifest::parse("p/Cargo.toml", "[dependencies]\na.workspace = true\n");
        let problems = workspace_dependencies(&root, &[&package]);
        assert_eq!((problems.len(), problems[0].line), (1, 3));
    }

    #[test]
    fn a_deterministic_crate_must_not_reach_outside() {
        for bad in [
            "use std::net::TcpStream;",
            "fn f() { std::thread::yield_now() }",
            "use std::{fmt, fs};",
            "fn f(now: Instant) {}",
        ] {
            assert_eq!(outside(&Source::new("a.rs", bad)).len(), 1, "{bad}");
        }
        for good in [
            "use std::io::IoSlice; fn net(process: u8) {}",
            "// std::fs\n#[cfg(test)]\nuse std::thread;",
        ] {
            assert!(outside(&Source::new("a.rs", good)).is_empty(), "{good}");
        }
    }
}
