//! Which file of a crate uses which: edges from paths, and the cycles among them.
//!
//! Owns the reading of `use` trees and of paths in code, as far as modules go: a path is followed
//! while it names modules, and the file reached last is the one used. A re-export therefore counts
//! as a use of the file that re-exports. Test items are left out. Decision: a `mod` line is an
//! edge too, so a parent that declares children cannot be used by them; what they share must move
//! to a file of its own, which is what keeps the graph a graph.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::tidy::problem::Problem;
use crate::tidy::source::{Kind, Source, Token};
use crate::tidy::tree::{Cursor, Path, Tree};

/// One file uses another: both as indices into the crate's sources, and the line it happens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) line: usize,
}

/// Names that stand for modules inside one module, from its `use` declarations.
type Aliases = BTreeMap<Path, BTreeMap<String, Path>>;

/// A path met in code: the module it stands in, its segments, its line, the name it is bound to.
struct Mention {
    module: Path,
    segments: Vec<String>,
    line: usize,
    /// The local name, where a `use` makes one.
    binds: Option<String>,
    /// A `!` follows: the last segment is a macro.
    is_macro: bool,
}

/// All edges of a tree, `mod` lines included, without duplicates per pair of files.
pub(crate) fn edges(sources: &[Source], tree: &Tree) -> Vec<Edge> {
    let mut mentions = Vec::new();
    let mut macros = BTreeMap::new();
    for (path, module) in &tree.modules {
        let is_inline = path.split_last().is_some_and(|(_, parent)| {
            tree.modules
                .get(parent)
                .is_some_and(|above| above.file == module.file)
        });
        if module.test || is_inline {
            continue;
        }
        let source = &sources[module.file];
        mentions.extend(read(source, path));
        macros.extend(
            defined_macros(source)
                .into_iter()
                .map(|name| (name, module.file)),
        );
    }
    let aliases = aliases(tree, &mentions);
    let mut first = BTreeMap::new();
    let mut add = |from: usize, to: usize, line: usize| {
        if from != to {
            first.entry((from, to)).or_insert(line);
        }
    };
    for (from, to, line) in &tree.declarations {
        add(*from, *to, *line);
    }
    for mention in &mentions {
        let Some(from) = tree.modules.get(&mention.module) else {
            continue;
        };
        let file = target(tree, &aliases, &macros, mention);
        if let Some(file) = file.filter(|file| !tree.only_tests_compile(*file)) {
            add(from.file, file, mention.line);
        }
    }
    first
        .into_iter()
        .map(|((from, to), line)| Edge { from, to, line })
        .collect()
}

/// The file a mention ends in, or nothing when it leaves the crate.
fn target(
    tree: &Tree,
    aliases: &Aliases,
    macros: &BTreeMap<String, usize>,
    mention: &Mention,
) -> Option<usize> {
    let last = mention.segments.last()?;
    let bare = match mention.segments.as_slice() {
        [_] => true,
        [first, _] => first == "crate",
        _ => false,
    };
    if mention.is_macro && bare {
        return macros.get(last).copied();
    }
    if mention.segments.len() == 1 && mention.binds.is_none() {
        return None;
    }
    let (module, _) = resolve(tree, aliases, &mention.module, &mention.segments)?;
    Some(tree.modules[&module].file)
}

/// Follows segments while they name modules: the module reached and how many segments are left.
fn resolve(
    tree: &Tree,
    aliases: &Aliases,
    from: &Path,
    segments: &[String],
) -> Option<(Path, usize)> {
    let mut rest = segments;
    let mut module;
    match rest.first()?.as_str() {
        "crate" => {
            module = Path::new();
            rest = &rest[1..];
        }
        "self" | "super" => {
            module = from.clone();
            while let Some(word @ ("self" | "super")) = rest.first().map(String::as_str) {
                if word == "super" {
                    module.pop();
                }
                rest = &rest[1..];
            }
        }
        first => {
            let mut child = from.clone();
            child.push(first.to_owned());
            module = match aliases.get(from).and_then(|names| names.get(first)) {
                Some(path) => path.clone(),
                None if tree.modules.contains_key(&child) => child,
                None => return None,
            };
            rest = &rest[1..];
        }
    }
    while let Some(next) = rest.first() {
        let mut child = module.clone();
        child.push(next.clone());
        if !tree.modules.contains_key(&child) {
            break;
        }
        module = child;
        rest = &rest[1..];
    }
    tree.modules
        .contains_key(&module)
        .then_some((module, rest.len()))
}

/// The `use` declarations that give a module a local name.
fn aliases(tree: &Tree, mentions: &[Mention]) -> Aliases {
    let mut aliases = Aliases::new();
    for mention in mentions {
        let Some(name) = &mention.binds else { continue };
        if let Some((path, 0)) = resolve(tree, &Aliases::new(), &mention.module, &mention.segments)
        {
            aliases
                .entry(mention.module.clone())
                .or_default()
                .insert(name.clone(), path);
        }
    }
    aliases
}

fn defined_macros(source: &Source) -> Vec<String> {
    let code = source.code();
    let names = code
        .windows(3)
        .filter(|w| source.word(w[0]) == "macro_rules" && !w[2].test);
    names.map(|w| source.word(w[2]).to_owned()).collect()
}

/// Every path a file mentions outside test items.
fn read(source: &Source, base: &Path) -> Vec<Mention> {
    let code = source.code();
    let mut cursor = Cursor::new(base.clone());
    let mut mentions = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let token = code[at];
        let word = source.word(token);
        let step = if token.test || token.kind != Kind::Word {
            1
        } else if word == "use" {
            let mut reader = UseReader {
                source,
                code: &code,
                at: at + 1,
                found: Vec::new(),
            };
            reader.tree(&mut Vec::new());
            for (segments, binds, line) in reader.found {
                let module = cursor.module();
                mentions.push(Mention {
                    module,
                    segments,
                    line,
                    binds: Some(binds),
                    is_macro: false,
                });
            }
            reader.at - at
        } else if word == "in" && at >= 2 && source.word(code[at - 2]) == "pub" {
            path(source, &code, at + 1).1.max(1) + 1
        } else {
            let (segments, length) = path(source, &code, at);
            let is_macro = code
                .get(at + length)
                .is_some_and(|next| source.word(*next) == "!");
            let module = cursor.module();
            mentions.push(Mention {
                module,
                segments,
                line: token.line,
                binds: None,
                is_macro,
            });
            length.max(1)
        };
        for index in at..(at + step).min(code.len()) {
            cursor.step(source, &code, index);
        }
        at += step;
    }
    mentions
}

/// The segments of the path at `at`, joined by `::`, and how many tokens they take.
fn path(source: &Source, code: &[Token], at: usize) -> (Vec<String>, usize) {
    let word = |index: usize| code.get(index).map_or("", |token| source.word(*token));
    let mut segments = vec![word(at).to_owned()];
    let mut end = at + 1;
    while word(end) == ":"
        && word(end + 1) == ":"
        && code
            .get(end + 2)
            .is_some_and(|token| token.kind == Kind::Word)
    {
        segments.push(word(end + 2).to_owned());
        end += 3;
    }
    (segments, end - at)
}

/// Reads one `use` declaration, groups and renames included.
struct UseReader<'a> {
    source: &'a Source,
    code: &'a [Token],
    at: usize,
    found: Vec<(Vec<String>, String, usize)>,
}

impl UseReader<'_> {
    fn word(&self) -> &str {
        self.code
            .get(self.at)
            .map_or(";", |token| self.source.word(*token))
    }

    /// Reads one tree of the declaration; `at` ends behind it.
    fn tree(&mut self, prefix: &mut Vec<String>) {
        let depth = prefix.len();
        loop {
            let line = self.code.get(self.at).map_or(0, |token| token.line);
            match self.word() {
                ";" | "}" | "," => break,
                "{" => {
                    self.at += 1;
                    while !matches!(self.word(), "}" | ";") {
                        self.tree(prefix);
                        if self.word() == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    break;
                }
                ":" => self.at += 1,
                "*" => {
                    self.found.push((prefix.clone(), "*".to_owned(), line));
                    self.at += 1;
                    break;
                }
                word => {
                    let word = word.to_owned();
                    self.at += 1;
                    if word == "self" && !prefix.is_empty() {
                        self.leaf(prefix, line);
                        break;
                    }
                    prefix.push(word);
                    if self.word() != ":" {
                        self.leaf(prefix, line);
                        break;
                    }
                }
            }
        }
        prefix.truncate(depth);
    }

    fn leaf(&mut self, path: &[String], line: usize) {
        let mut name = path.last().cloned().unwrap_or_default();
        if self.word() == "as" {
            self.at += 1;
            name = self.word().to_owned();
            self.at += 1;
        }
        self.found.push((path.to_vec(), name, line));
    }
}

/// One problem for each knot of files that use each other in a loop, with a shortest way round.
pub(crate) fn cycles(sources: &[Source], edges: &[Edge]) -> Vec<Problem> {
    let mut next: BTreeMap<usize, Vec<Edge>> = BTreeMap::new();
    for edge in edges {
        next.entry(edge.from).or_default().push(*edge);
    }
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for start in next.keys().copied() {
        if seen.contains(&start) {
            continue;
        }
        let Some(way) = shortest_loop(&next, start) else {
            continue;
        };
        seen.extend(way.iter().map(|edge| edge.from));
        let steps: Vec<_> = way
            .iter()
            .map(|edge| format!("{}:{}", sources[edge.from].path, edge.line))
            .collect();
        let text = format!("files import each other: {} and back", steps.join(" -> "));
        problems.push(Problem::new(
            &sources[start].path,
            way[0].line,
            "import-cycle",
            text,
        ));
    }
    problems
}

fn shortest_loop(next: &BTreeMap<usize, Vec<Edge>>, start: usize) -> Option<Vec<Edge>> {
    let mut came: BTreeMap<usize, Edge> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for edge in next.get(&at).into_iter().flatten() {
            if edge.to == start {
                let mut way = vec![*edge];
                let mut back = edge.from;
                while back != start {
                    let edge = came[&back];
                    way.push(edge);
                    back = edge.from;
                }
                way.reverse();
                return Some(way);
            }
            if let Entry::Vacant(place) = came.entry(edge.to) {
                place.insert(*edge);
                queue.push_back(edge.to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> (Vec<(String, String)>, Vec<Problem>) {
        let sources: Vec<_> = files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect();
        let (tree, problems) = Tree::new(&sources, 0, false);
        assert!(problems.is_empty(), "{problems:?}");
        let edges = edges(&sources, &tree);
        let name = |at: usize| {
            sources[at]
                .path
                .trim_start_matches("a/src/")
                .trim_end_matches(".rs")
                .to_owned()
        };
        let named = edges
            .iter()
            .map(|edge| (name(edge.from), name(edge.to)))
            .collect();
        (named, cycles(&sources, &edges))
    }

    fn has(edges: &[(String, String)], from: &str, to: &str) -> bool {
        edges.contains(&(from.to_owned(), to.to_owned()))
    }

    #[test]
    fn two_siblings_that_use_each_other_are_a_cycle() {
        let (_, cycles) = graph(&[
            ("a/src/lib.rs", "mod one;\nmod two;"),
            ("a/src/one.rs", "//! x\nuse crate::two::Two;"),
            ("a/src/two.rs", "fn f() { super::one::g() }"),
        ]);
        assert_eq!(cycles.len(), 1);
        assert_eq!(
            cycles[0].to_string(),
            "a/src/one.rs:2: import-cycle: files import each other: \
             a/src/one.rs:2 -> a/src/two.rs:1 and back"
        );
    }

    #[test]
    fn a_child_that_uses_its_parent_is_a_cycle() {
        for text in [
            "use super::Limit;",
            "use super::*;",
            "fn f() -> crate::Limit { todo() }",
        ] {
            let (_, cycles) = graph(&[
                ("a/src/lib.rs", "mod one; struct Limit;"),
                ("a/src/one.rs", text),
            ]);
            assert_eq!(cycles.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_long_way_round_is_found() {
        let (_, cycles) = graph(&[
            ("a/src/lib.rs", "mod a; mod b; mod c;"),
            ("a/src/a.rs", "use crate::b;"),
            ("a/src/b.rs", "use crate::{c::{self, C}};"),
            ("a/src/c.rs", "pub struct C; const X: crate::a::A = 0;"),
        ]);
        assert_eq!(cycles.len(), 1);
        assert!(
            cycles[0]
                .text
                .contains("a.rs:1 -> a/src/b.rs:1 -> a/src/c.rs:1")
        );
    }

    #[test]
    fn groups_renames_aliases_and_relative_paths_are_followed() {
        let (edges, cycles) = graph(&[
            (
                "a/src/lib.rs",
                "mod r; mod s; mod t; pub use t::deep::Deep;",
            ),
            (
                "a/src/r.rs",
                "use crate::{s::{A, B as C}, t as other}; fn f() { other::deep::g() }",
            ),
            ("a/src/s.rs", ""),
            ("a/src/t/mod.rs", "pub(crate) mod deep;"),
            ("a/src/t/deep.rs", "pub(in crate::t) struct Deep;"),
        ]);
        assert!(cycles.is_empty(), "{cycles:?}");
        for (from, to) in [
            ("r", "s"),
            ("r", "t/mod"),
            ("r", "t/deep"),
            ("lib", "t/deep"),
            ("t/mod", "t/deep"),
        ] {
            assert!(has(&edges, from, to), "{from} {to} in {edges:?}");
        }
        assert!(!has(&edges, "t/deep", "t/mod"));
    }

    #[test]
    fn a_macro_is_an_edge_to_the_file_that_defines_it() {
        let (edges, cycles) = graph(&[
            ("a/src/lib.rs", "#[macro_use] mod m; mod n;"),
            (
                "a/src/m.rs",
                "macro_rules! table { () => { $crate::n::N } }",
            ),
            ("a/src/n.rs", "pub struct N; table!();"),
        ]);
        assert!(has(&edges, "n", "m"));
        assert_eq!(cycles.len(), 1);
    }

    #[test]
    fn tests_may_use_what_they_like() {
        let (edges, cycles) = graph(&[
            ("a/src/lib.rs", "mod one; mod two; #[cfg(test)] mod tests;"),
            (
                "a/src/one.rs",
                "use crate::two::T; mod inner { use super::*; }",
            ),
            (
                "a/src/two.rs",
                "#[cfg(test)] mod tests { use super::*; use crate::one::O; }",
            ),
            ("a/src/tests.rs", "use crate::one; use super::*;"),
        ]);
        assert!(cycles.is_empty(), "{cycles:?}");
        assert!(!has(&edges, "two", "one"));
        assert!(has(&edges, "one", "two"));
    }

    #[test]
    fn other_crates_are_not_this_crate() {
        let (edges, _) = graph(&[
            ("a/src/lib.rs", "mod bytes;"),
            (
                "a/src/bytes.rs",
                "use std::fmt; use other::bytes::B; fn f() { fmt::x() }",
            ),
        ]);
        assert_eq!(edges.len(), 1);
    }
}
