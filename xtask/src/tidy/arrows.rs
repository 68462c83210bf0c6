//! Which crate may use which crate, and which top module of `router-core` which other.
//!
//! Owns the two tables; they are the architecture's floors in a form that fails a build. It never
//! judges single files; that is `imports`. Decision: both tables list what is allowed, so a new
//! crate or module must be given its place here before it can be used.

use crate::tidy::imports::Edge;
use crate::tidy::manifest::{Manifest, Scope};
use crate::tidy::problem::Problem;
use crate::tidy::source::Source;
use crate::tidy::tree::Tree;

/// Each crate with the crates it may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("amqp-codec", &[]),
    ("amqp-proto", &["amqp-codec"]),
    ("tls", &["amqp-proto"]),
    ("web", &["amqp-proto"]),
    ("sasl", &[]),
    ("router-core", &["amqp-codec", "amqp-proto"]),
    ("management", &["amqp-codec", "amqp-proto", "router-core"]),
    (
        "sim",
        &[
            "amqp-codec",
            "amqp-proto",
            "router-core",
            "management",
            "tls",
        ],
    ),
    (
        "causeway",
        &[
            "amqp-codec",
            "amqp-proto",
            "tls",
            "web",
            "sasl",
            "router-core",
            "management",
        ],
    ),
    ("benches", ALL),
    ("causeway-fuzz", ALL),
    ("causeway-interop", &[]),
    ("xtask", &[]),
];

const ALL: &[&str] = &[
    "amqp-codec",
    "amqp-proto",
    "tls",
    "web",
    "sasl",
    "router-core",
    "management",
    "causeway",
    "sim",
];

/// What tests of any crate may use besides: nothing of it ships.
const FOR_TESTS: &[&str] = &["sim", "tls"];

/// The modules of `router-core` that stand on nothing but each other.
const GROUND: &[&str] = &[
    "ids", "keyed", "limits", "latency", "counters", "notice", "inspect", "address",
];

/// Each other top module of `router-core` with the modules it may use besides the ground.
const MODULES: &[(&str, &[&str])] = &[
    ("route", &[]),
    ("settings", &["route"]),
    ("mail", &["route", "settings"]),
    ("mesh", &["route"]),
    ("delivery", &["mail", "route"]),
    ("shard", &["delivery", "mail", "route", "settings"]),
    ("control", &["mail", "mesh", "route", "settings"]),
    (
        "fuzz",
        &[
            "route", "settings", "mail", "mesh", "delivery", "shard", "control",
        ],
    ),
];

/// Judges the dependencies of every crate; `crates` are all packages of the repository.
pub(crate) fn between_crates(crates: &[&Manifest]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for manifest in crates {
        let Some((_, allowed)) = CRATES.iter().find(|(name, _)| *name == manifest.name) else {
            let text = format!(
                "crate `{}` has no place in the table of crates",
                manifest.name
            );
            problems.push(Problem::new(&manifest.path, 0, "crate-arrow", text));
            continue;
        };
        for dependency in &manifest.dependencies {
            let name = dependency.name.as_str();
            let ours = crates.iter().any(|other| other.name == name);
            let for_tests = dependency.scope == Scope::Dev && FOR_TESTS.contains(&name);
            if ours && !allowed.contains(&name) && !for_tests {
                let text = format!("`{}` must not depend on `{name}`", manifest.name);
                problems.push(Problem::new(
                    &manifest.path,
                    dependency.line,
                    "crate-arrow",
                    text,
                ));
            }
        }
    }
    problems
}

/// Judges the edges of `router-core` between its top modules.
pub(crate) fn between_modules(sources: &[Source], tree: &Tree, edges: &[Edge]) -> Vec<Problem> {
    let top = |file: usize| {
        let paths = tree
            .modules
            .iter()
            .filter(|(_, module)| module.file == file);
        paths
            .map(|(path, _)| path.first().map_or("", String::as_str))
            .min()
            .unwrap_or("")
    };
    let mut problems = Vec::new();
    for (path, module) in &tree.modules {
        if let [name] = path.as_slice()
            && !module.test
            && !GROUND.contains(&name.as_str())
            && !MODULES.iter().any(|(known, _)| known == name)
        {
            let text = format!("module `{name}` has no place in the table of modules");
            problems.push(Problem::new(
                &sources[module.file].path,
                0,
                "module-arrow",
                text,
            ));
        }
    }
    for edge in edges {
        let (from, to) = (top(edge.from), top(edge.to));
        if from.is_empty() || to.is_empty() || from == to || GROUND.contains(&to) {
            continue;
        }
        let allowed = MODULES
            .iter()
            .find(|(name, _)| *name == from)
            .map_or(&[][..], |row| row.1);
        if !allowed.contains(&to) {
            let text = format!("`{from}` must not use `{to}` ({})", sources[edge.to].path);
            problems.push(Problem::new(
                &sources[edge.from].path,
                edge.line,
                "module-arrow",
                text,
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::imports;

    #[test]
    fn an_arrow_upwards_between_crates_is_reported() {
        let codec =
            "[package]\nname = \"amqp-codec\"\n[dependencies]\nrouter-core = { path = \"x\" }";
        let core = "[package]\nname = \"router-core\"\n\
                    [dependencies]\namqp-codec.workspace = true\n\
                    [dev-dependencies]\nsim.workspace = true";
        let sim = "[package]\nname = \"sim\"\n[dependencies]\nrouter-core.workspace = true";
        let read = |text| Manifest::parse("Cargo.toml", text);
        let manifests = [read(codec), read(core), read(sim)];
        let problems = between_crates(&manifests.iter().collect::<Vec<_>>());
        assert_eq!(problems.len(), 1);
        assert_eq!((problems[0].line, problems[0].rule), (4, "crate-arrow"));
    }

    #[test]
    fn a_new_crate_must_be_given_its_place() {
        let manifest = Manifest::parse("x/Cargo.toml", "[package]\nname = \"helper\"");
        assert_eq!(between_crates(&[&manifest]).len(), 1);
    }

    fn modules(files: &[(&str, &str)]) -> Vec<Problem> {
        let sources: Vec<_> = files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect();
        let (tree, _) = Tree::new(&sources, 0, false);
        between_modules(&sources, &tree, &imports::edges(&sources, &tree))
    }

    #[test]
    fn shard_and_control_do_not_know_each_other() {
        let problems = modules(&[
            ("a/src/lib.rs", "mod control; mod ids; mod mail; mod shard;"),
            (
                "a/src/control.rs",
                "use crate::mail::Mail; use crate::ids::Id;",
            ),
            ("a/src/ids.rs", "use crate::mail::Mail;"),
            ("a/src/mail.rs", "use crate::ids::Id;"),
            ("a/src/shard/mod.rs", "mod egress; use crate::control;"),
            (
                "a/src/shard/egress.rs",
                "use crate::{control::C, mail::Mail, ids::Id};",
            ),
        ]);
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "a/src/ids.rs:1: module-arrow: `ids` must not use `mail` (a/src/mail.rs)",
                "a/src/shard/mod.rs:1: module-arrow: `shard` must not use `control` \
                 (a/src/control.rs)",
                "a/src/shard/egress.rs:1: module-arrow: `shard` must not use `control` \
             (a/src/control.rs)",
            ]
        );
    }

    #[test]
    fn a_new_top_module_must_be_given_its_place() {
        let problems = modules(&[("a/src/lib.rs", "mod helper;"), ("a/src/helper.rs", "")]);
        assert_eq!(
            (problems.len(), problems[0].path.as_str()),
            (1, "a/src/helper.rs")
        );
    }
}
