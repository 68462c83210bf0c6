//! The tools the tasks use besides cargo: which are there, and getting one that is not.
//!
//! Owns the questions "is it installed" and "may we install it". It never makes a tool a
//! requirement: each caller has a way to go on without. Decision: only what a package manager
//! installs in seconds is installed; nothing is compiled from a registry.

use std::path::Path;

use crate::console;
use crate::process::Program;

/// Whether `program` can be run with `arguments`.
pub(crate) fn has(root: &Path, program: &str, arguments: &[&str]) -> bool {
    let output = std::process::Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output();
    output.is_ok_and(|output| output.status.success())
}

/// Whether valgrind is there, after trying to install it where we are allowed to.
pub(crate) fn valgrind(root: &Path) -> bool {
    if has(root, "valgrind", &["--version"]) {
        return true;
    }
    let is_root = std::process::Command::new("id").arg("-u").output();
    if !is_root.is_ok_and(|output| output.stdout.trim_ascii() == b"0") {
        return false;
    }
    console::line("valgrind is missing; trying apt-get");
    let install = [
        "install",
        "-y",
        "-qq",
        "--no-install-recommends",
        "valgrind",
    ];
    let is_installed = Program::new(root, "apt-get", &install).quiet().run().is_ok
        || (Program::new(root, "apt-get", &["update", "-qq"])
            .quiet()
            .run()
            .is_ok
            && Program::new(root, "apt-get", &install).quiet().run().is_ok);
    is_installed && has(root, "valgrind", &["--version"])
}

/// The folder of build artefacts, relative to the workspace unless it was set elsewhere.
pub(crate) fn target() -> String {
    std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned())
}

/// What the compiler says of itself under `key` in its verbose version, such as `host`.
pub(crate) fn compiler(root: &Path, key: &str) -> Option<String> {
    let ran = Program::new(root, "rustc", &["-vV"]).quiet().run();
    let prefix = format!("{key}: ");
    ran.output
        .lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .map(str::to_owned)
}
