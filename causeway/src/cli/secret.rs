//! A password from a person: typed without echo, or read from a file or another program.
//!
//! Owns the terminal's mode for as long as that takes; it keeps nothing.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::cli::failure::Failure;
use crate::password;

/// Bytes of a line that can be a password.
const LINE_MAX: u64 = 1024;

/// The first line of a file.
///
/// # Errors
/// If it cannot be read, or is empty.
pub(super) fn from_file(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let line = password::first_line(&path.to_string_lossy())
        .map_err(|error| Failure::new(format!("cannot read the password file {shown}: {error}")))?;
    present(line)
}

/// What a person types, twice if it is to be `repeated`; or the first line of standard input, if
/// that is no terminal.
///
/// # Errors
/// If nothing can be read, or the second is not the first.
pub(super) fn from_person(question: &str, repeated: bool) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return present(line()?);
    }
    let first = present(typed(question)?)?;
    if repeated && typed("The same again: ")? != first {
        return Err(Failure::new("the passwords differ"));
    }
    Ok(first)
}

fn present(line: String) -> Result<String, Failure> {
    match line.is_empty() {
        true => Err(Failure::new("there is no password")),
        false => Ok(line),
    }
}

/// A line that is typed and not shown.
fn typed(question: &str) -> Result<String, Failure> {
    let stdin = io::stdin();
    let lost = |error: nix::Error| Failure::new(format!("the terminal cannot be used: {error}"));
    let before = tcgetattr(stdin.as_fd()).map_err(lost)?;
    let mut silent = before.clone();
    silent.local_flags &= !LocalFlags::ECHO;
    let mut out = io::stderr().lock();
    write!(out, "{question}")?;
    out.flush()?;
    // Signals come between this and what undoes it only in a program that ends: the shell has its
    // own mode.
    tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &silent).map_err(lost)?;
    let read = line();
    tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &before).map_err(lost)?;
    writeln!(out)?;
    read
}

fn line() -> Result<String, Failure> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(LINE_MAX)
        .read_line(&mut line)
        .map_err(|error| Failure::new(format!("cannot read the password: {error}")))?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}
