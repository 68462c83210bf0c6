//! The one binary. Everything it does is in the library; here it only learns by which name it was
//! called.

use std::process::ExitCode;

fn main() -> ExitCode {
    causeway::cli::main(std::env::args_os().collect())
}
