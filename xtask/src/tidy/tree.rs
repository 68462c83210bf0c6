//! The module tree of a crate: which file is which module, and which file no `mod` reaches.
//!
//! Owns the walk from a crate's roots through `mod` declarations. It never resolves names; that is
//! `imports`. Decision: the tree is read from the declarations, not guessed from the folders, so a
//! forgotten file is seen as what it is: code that nobody compiles.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::problem::Problem;
use crate::tidy::source::{Kind, Source, Token};

/// A module's place in its crate, as the names from the root down.
pub(crate) type Path = Vec<String>;

/// A `mod` with its file or its braces.
#[derive(Debug)]
pub(crate) struct Module {
    /// Index into the crate's sources.
    pub(crate) file: usize,
    /// The module is compiled in test builds only.
    pub(crate) test: bool,
}

/// One compilation root and everything its `mod` lines reach.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) modules: BTreeMap<Path, Module>,
    /// `(declaring file, declared file, line)` of each `mod name;`.
    pub(crate) declarations: Vec<(usize, usize, usize)>,
}

/// Where a run of tokens stands: in which module, and whether only tests compile it.
pub(crate) struct Cursor {
    braces: Vec<Option<String>>,
    base: Path,
}

impl Cursor {
    /// Starts at the top of a file that is module `base`.
    pub(crate) fn new(base: Path) -> Self {
        Self {
            braces: Vec::new(),
            base,
        }
    }

    /// Takes the next code token into account. `at` indexes `code`.
    pub(crate) fn step(&mut self, source: &Source, code: &[Token], at: usize) {
        match source.word(code[at]) {
            "{" if code[at].kind == Kind::Punct => {
                let opens = at >= 2 && source.word(code[at - 2]) == "mod";
                self.braces
                    .push(opens.then(|| source.word(code[at - 1]).to_owned()));
            }
            "}" if code[at].kind == Kind::Punct => {
                self.braces.pop();
            }
            _ => {}
        }
    }

    /// The module at this point.
    pub(crate) fn module(&self) -> Path {
        self.base
            .iter()
            .cloned()
            .chain(self.braces.iter().flatten().cloned())
            .collect()
    }
}

impl Tree {
    /// Walks from `root`, an index into `sources`; `test` is true for an integration test.
    pub(crate) fn new(sources: &[Source], root: usize, test: bool) -> (Self, Vec<Problem>) {
        let index: BTreeMap<&str, usize> = sources
            .iter()
            .enumerate()
            .map(|(at, source)| (source.path.as_str(), at))
            .collect();
        let mut tree = Self {
            modules: BTreeMap::new(),
            declarations: Vec::new(),
        };
        let mut problems = Vec::new();
        let mut queue = vec![(Path::new(), root, test, true)];
        while let Some((path, file, test, is_root)) = queue.pop() {
            tree.modules.insert(path.clone(), Module { file, test });
            for declared in declarations(&sources[file], &path) {
                let test = test || declared.test;
                let Some(external) = declared.line else {
                    tree.modules.insert(declared.path, Module { file, test });
                    continue;
                };
                if declared.at.as_ref().is_some_and(|at| at.starts_with("../")) {
                    // A file shared between packages is judged where it stands.
                    continue;
                }
                let inner = &declared.path[path.len()..];
                let candidates = candidates(&sources[file].path, inner, is_root, &declared.at);
                match candidates.iter().find_map(|name| index.get(name.as_str())) {
                    Some(&child) => {
                        tree.declarations.push((file, child, external));
                        queue.push((declared.path, child, test, false));
                    }
                    None => problems.push(Problem::new(
                        &sources[file].path,
                        external,
                        "missing-module",
                        format!("`mod {}` names no file", inner.join("::")),
                    )),
                }
            }
        }
        (tree, problems)
    }

    /// Whether every module of `file` in this tree is a test.
    pub(crate) fn only_tests_compile(&self, file: usize) -> bool {
        self.modules
            .values()
            .filter(|module| module.file == file)
            .all(|module| module.test)
    }

    /// The files this tree compiles.
    pub(crate) fn files(&self) -> BTreeSet<usize> {
        self.modules.values().map(|module| module.file).collect()
    }
}

struct Declared {
    path: Path,
    /// Line of a `mod name;`, or nothing for a module with braces.
    line: Option<usize>,
    test: bool,
    /// The file a `#[path]` attribute gives.
    at: Option<String>,
}

fn declarations(source: &Source, base: &[String]) -> Vec<Declared> {
    let code = source.code();
    let mut cursor = Cursor::new(base.to_vec());
    let mut found = Vec::new();
    for at in 0..code.len() {
        let is_mod = source.word(code[at]) == "mod" && code[at].kind == Kind::Word;
        let next = code.get(at + 2).map(|token| source.word(*token));
        if is_mod && matches!(next, Some(";" | "{")) {
            let mut path = cursor.module();
            path.push(source.word(code[at + 1]).to_owned());
            let line = (next == Some(";")).then_some(code[at].line);
            let given = path_attribute(source, &code[..at]);
            found.push(Declared {
                path,
                line,
                test: code[at].test,
                at: given,
            });
        }
        cursor.step(source, &code, at);
    }
    found
}

/// The string of a `#[path = "…"]` that stands right before `mod`, visibility aside.
fn path_attribute(source: &Source, before: &[Token]) -> Option<String> {
    let tail = &before[before.len().saturating_sub(10)..];
    let words: Vec<_> = tail.iter().map(|token| source.word(*token)).collect();
    let start = words
        .windows(4)
        .rposition(|w| w[..3] == ["[", "path", "="])?;
    let between = &words[start + 5..];
    let visibility = between
        .iter()
        .all(|word| matches!(*word, "pub" | "(" | "crate" | "super" | ")"));
    visibility.then(|| words[start + 3].trim_matches('"').to_owned())
}

/// The paths at which the compiler looks for a module, by the file that declares it.
fn candidates(file: &str, inner: &[String], is_root: bool, given: &Option<String>) -> Vec<String> {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    if let Some(given) = given {
        return vec![format!("{folder}/{given}")];
    }
    let stem = name.trim_end_matches(".rs");
    let mut base = folder.to_owned();
    if !is_root && stem != "mod" {
        base = format!("{base}/{stem}");
    }
    let inner = inner.join("/");
    vec![
        format!("{base}/{inner}.rs"),
        format!("{base}/{inner}/mod.rs"),
    ]
}

/// Reports every file of `sources` that none of the trees compiles.
pub(crate) fn unreachable(sources: &[Source], trees: &[Tree]) -> Vec<Problem> {
    let reached: BTreeSet<usize> = trees.iter().flat_map(Tree::files).collect();
    let lost = (0..sources.len()).filter(|file| !reached.contains(file));
    lost.map(|file| {
        let text = "no `mod` reaches this file: declare it or delete it".to_owned();
        Problem::new(&sources[file].path, 0, "unreachable-file", text)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect()
    }

    #[test]
    fn modules_are_found_in_both_layouts_and_inside_braces() {
        let sources = sources(&[
            (
                "a/src/lib.rs",
                "mod one;\npub mod two { mod three; }\n#[cfg(test)]\nmod tests;\n",
            ),
            ("a/src/one/mod.rs", "mod deep;"),
            ("a/src/one/deep.rs", ""),
            ("a/src/two/three.rs", ""),
            ("a/src/tests.rs", "mod helper;"),
            ("a/src/tests/helper.rs", ""),
        ]);
        let (tree, problems) = Tree::new(&sources, 0, false);
        assert!(problems.is_empty(), "{problems:?}");
        let names: Vec<_> = tree
            .modules
            .iter()
            .map(|(path, m)| (path.join("::"), m.file, m.test))
            .collect();
        let expected = [
            ("", 0, false),
            ("one", 1, false),
            ("one::deep", 2, false),
            ("tests", 4, true),
            ("tests::helper", 5, true),
            ("two", 0, false),
            ("two::three", 3, false),
        ];
        assert_eq!(
            names,
            expected.map(|(name, file, test)| (name.to_owned(), file, test))
        );
        assert!(unreachable(&sources, &[tree]).is_empty());
    }

    #[test]
    fn a_given_path_is_followed() {
        let sources = sources(&[
            (
                "a/src/lib.rs",
                "#[path = \"other.rs\"]\npub(crate) mod one;",
            ),
            ("a/src/other.rs", ""),
        ]);
        let (tree, problems) = Tree::new(&sources, 0, false);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(tree.modules[&vec!["one".to_owned()]].file, 1);
    }

    #[test]
    fn a_forgotten_file_and_a_missing_one_are_reported() {
        let sources = sources(&[("a/src/lib.rs", "mod gone;"), ("a/src/lost.rs", "")]);
        let (tree, problems) = Tree::new(&sources, 0, false);
        assert_eq!(problems[0].rule, "missing-module");
        let lost = unreachable(&sources, &[tree]);
        assert_eq!((lost.len(), lost[0].path.as_str()), (1, "a/src/lost.rs"));
    }
}
