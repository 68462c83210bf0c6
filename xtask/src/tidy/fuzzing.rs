//! Every fuzz body has its target, its corpus and its replay.
//!
//! Owns the comparison between the `fuzz_*` functions of the crates and the `fuzz` folder. It never
//! runs one. Decision: a body is a library function, so that plain tests replay the corpus and a
//! target file is one line; this rule keeps the four places in step.

use std::collections::BTreeSet;

use crate::tidy::problem::Problem;
use crate::tidy::source::{Kind, Source};

/// The file of a crate's tests that runs the corpora through the bodies.
const REPLAY: &str = "/corpus.rs";

/// A public `fuzz_*` function: its name without the prefix, and where it stands.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) name: String,
    path: String,
    line: usize,
    /// The crate's replay names the function.
    replayed: bool,
}

/// What the `fuzz` folder holds.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// Stems of `fuzz_targets/*.rs`.
    pub(crate) targets: BTreeSet<String>,
    /// Names of the folders under `corpus` that hold a file.
    pub(crate) corpora: BTreeSet<String>,
    /// Text of the package's manifest.
    pub(crate) manifest: String,
}

/// The bodies a crate offers; `is_test` says of each source whether only tests compile it.
pub(crate) fn bodies(sources: &[Source], is_test: &[bool]) -> Vec<Body> {
    let mut in_tests = BTreeSet::new();
    let mut bodies = Vec::new();
    for (source, is_test) in sources.iter().zip(is_test) {
        let code = source.code();
        for (at, token) in code.iter().enumerate() {
            let Some(name) = source.word(*token).strip_prefix("fuzz_") else {
                continue;
            };
            if *is_test || token.test {
                if source.path.ends_with(REPLAY) {
                    in_tests.insert(name.to_owned());
                }
                continue;
            }
            let word = |back: usize| at.checked_sub(back).map(|index| source.word(code[index]));
            if token.kind == Kind::Word && word(1) == Some("fn") && word(2) == Some("pub") {
                let (path, line) = (source.path.clone(), token.line);
                bodies.push(Body {
                    name: name.to_owned(),
                    path,
                    line,
                    replayed: false,
                });
            }
        }
    }
    for body in &mut bodies {
        body.replayed = in_tests.contains(&body.name);
    }
    bodies
}

/// Reports bodies without target, corpus or replay, and targets without body.
pub(crate) fn judge(bodies: &[Body], folder: &Folder) -> Vec<Problem> {
    let mut problems = Vec::new();
    for body in bodies {
        let name = &body.name;
        let mut lack = Vec::new();
        if !folder.targets.contains(name) {
            lack.push(format!("fuzz/fuzz_targets/{name}.rs"));
        }
        if !folder.manifest.contains(&format!("name = \"{name}\"")) {
            lack.push("a [[bin]] in fuzz/Cargo.toml".to_owned());
        }
        if !folder.corpora.contains(name) {
            lack.push(format!("a file in fuzz/corpus/{name}"));
        }
        if !body.replayed {
            lack.push("a test of its crate that replays its corpus".to_owned());
        }
        if !lack.is_empty() {
            let text = format!("`fuzz_{name}` lacks {}", lack.join(", "));
            problems.push(Problem::new(&body.path, body.line, "fuzz-target", text));
        }
    }
    for (kind, names) in [
        ("fuzz_targets", &folder.targets),
        ("corpus", &folder.corpora),
    ] {
        for name in names
            .iter()
            .filter(|name| !bodies.iter().any(|body| body.name == **name))
        {
            let text = format!("no crate has a public `fuzz_{name}`");
            problems.push(Problem::new(
                &format!("fuzz/{kind}/{name}"),
                0,
                "fuzz-target",
                text,
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn each_missing_piece_is_named() {
        let library =
            "pub fn fuzz_whole(d: &[u8]) {}\npub fn fuzz_bare(d: &[u8]) {}\nfn fuzz_x() {}";
        let sources = [
            Source::new("a/src/fuzz.rs", library),
            Source::new(
                "a/tests/corpus.rs",
                "fn replay() { a::fuzz::fuzz_whole(b\"\") }",
            ),
        ];
        let folder = Folder {
            targets: set(&["whole", "orphan"]),
            corpora: set(&["whole"]),
            manifest: "name = \"whole\"".to_owned(),
        };
        let problems = judge(&bodies(&sources, &[false, true]), &folder);
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "a/src/fuzz.rs:2: fuzz-target: `fuzz_bare` lacks fuzz/fuzz_targets/bare.rs, \
                 a [[bin]] in fuzz/Cargo.toml, a file in fuzz/corpus/bare, \
                 a test of its crate that replays its corpus",
                "fuzz/fuzz_targets/orphan: fuzz-target: no crate has a public `fuzz_orphan`",
            ]
        );
    }
}
