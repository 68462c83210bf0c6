//! Runs other programs, shows what they print and counts the tests in it.
//!
//! Owns the child processes of the tasks. It never interprets output beyond summary lines.
//! Decision: both streams go into one pipe, in the order the child wrote them, so that no thread
//! is needed and a failure stands next to what led to it.

use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;

use crate::console;
use crate::count::Counts;
use crate::step::Outcome;

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// It ended with exit code 0.
    pub(crate) is_ok: bool,
    pub(crate) counts: Counts,
    pub(crate) output: String,
}

/// A program to run in the workspace's folder.
pub(crate) struct Program {
    command: Command,
    shown: String,
    is_quiet: bool,
}

impl Program {
    /// `program` with `arguments`, to be run in `root`.
    pub(crate) fn new<A: AsRef<str>>(root: &Path, program: &str, arguments: &[A]) -> Self {
        let mut command = Command::new(program);
        let mut shown = program.rsplit('/').next().unwrap_or(program).to_owned();
        command.current_dir(root);
        for argument in arguments {
            command.arg(argument.as_ref());
            shown.push(' ');
            shown.push_str(argument.as_ref());
        }
        Self {
            command,
            shown,
            is_quiet: false,
        }
    }

    /// `cargo` with `arguments`.
    pub(crate) fn cargo<A: AsRef<str>>(root: &Path, arguments: &[A]) -> Self {
        Self::new(root, "cargo", arguments)
    }

    /// Sets a variable of the program's environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.shown = format!("{name}={value:?} {}", self.shown);
        self
    }

    /// Shows the output only if the program fails.
    pub(crate) fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    /// Runs to the end. A program that cannot be started has failed.
    pub(crate) fn run(self) -> Ran {
        let shown = self.shown.clone();
        let is_quiet = self.is_quiet;
        if !is_quiet {
            console::line(&format!("$ {shown}"));
        }
        let ran = self.collect().unwrap_or_else(|error| Ran {
            is_ok: false,
            counts: Counts::default(),
            output: format!("{shown}: {error}"),
        });
        if is_quiet && !ran.is_ok {
            console::line(&format!("$ {shown}\n{}", ran.output));
        }
        ran
    }

    /// Runs to the end and makes a step's outcome of it.
    pub(crate) fn outcome(self) -> Outcome {
        let ran = self.run();
        Outcome::of(ran.is_ok, ran.counts)
    }

    /// As [`outcome`](Self::outcome), for a program whose last summary is the sum of those before.
    pub(crate) fn outcome_of_sum(self) -> Outcome {
        let ran = self.run();
        let sum = ran.output.lines().rev().find_map(Counts::of_line);
        Outcome::of(ran.is_ok, sum.unwrap_or_default())
    }

    fn collect(mut self) -> io::Result<Ran> {
        let (reader, writer) = io::pipe()?;
        self.command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = self.command.spawn()?;
        // The command holds the writing ends; the pipe ends only when all of them are closed.
        drop(self.command);
        let mut ran = Ran {
            is_ok: false,
            counts: Counts::default(),
            output: String::new(),
        };
        for line in BufReader::new(reader).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            if !self.is_quiet {
                console::line(&line);
            }
            if let Some(counts) = Counts::of_line(&line) {
                ran.counts += counts;
            }
            ran.output.push_str(&line);
            ran.output.push('\n');
        }
        ran.is_ok = child.wait()?.success();
        Ok(ran)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Ran {
        Program::new(Path::new("."), "sh", &["-c", script])
            .quiet()
            .run()
    }

    #[test]
    fn both_streams_are_read_in_order_and_counted() {
        let ran = shell("echo 2 passed, 1 failed; echo two >&2; echo three");
        assert!(ran.is_ok);
        assert_eq!(ran.output, "2 passed, 1 failed\ntwo\nthree\n");
        assert_eq!(
            ran.counts,
            Counts {
                passed: 2,
                failed: 1
            }
        );
    }

    #[test]
    fn a_sum_at_the_end_is_not_counted_twice() {
        let script = "echo 2 passed, 0 failed; echo 3 passed, 0 failed; echo 5 passed, 0 failed";
        let program = || Program::new(Path::new("."), "sh", &["-c", script]).quiet();
        assert_eq!(program().outcome_of_sum().counts.passed, 5);
        assert_eq!(program().outcome().counts.passed, 10);
    }

    #[test]
    fn a_failure_and_a_missing_program_are_failures() {
        assert!(!shell("exit 3").is_ok);
        let missing = Program::new(Path::new("."), "no-such-program-here", &[""; 0])
            .quiet()
            .run();
        assert!(!missing.is_ok);
    }
}
