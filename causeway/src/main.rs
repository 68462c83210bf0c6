//! The one binary. Everything it does is in the library; here it only learns by which name it was
//! called.

use std::process::ExitCode;

/// Gives back what connections and messages that have gone took: the system's allocator keeps it.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    causeway::cli::main(std::env::args_os().collect())
}
