//! Runs a committed corpus through a fuzz body, for the tests of the crate that has the body.
//!
//! Owns the way from a target's name to its files. It never fuzzes. Decision: the tests of each
//! crate include this file by its path, since a package outside the workspace cannot be depended
//! on without its dependencies.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Every file of the target's corpus; fails at the first that makes the body panic, by name.
pub(crate) fn corpus(target: &str, body: fn(&[u8])) {
    let folder = format!("{}/../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the target has a corpus")
        .map(|entry| entry.expect("the folder can be listed").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    for file in files {
        let input = std::fs::read(&file).expect("the file can be read");
        let end = catch_unwind(AssertUnwindSafe(|| body(&input)));
        assert!(end.is_ok(), "{target}: {}", file.display());
    }
}
