//! The way of a daemon into the background, without `fork`, which is unsafe in a program with
//! threads: the program starts itself anew, twice.
//!
//! ```text
//!   launch ──starts──► session ──starts──► daemon
//!     │ waits for "ok"   │ new session       │ waits for "go"
//!     │                  │ writes pid file   │ loads the configuration
//!     ▼                  ▼ says "go"         ▼ says "ok", then serves
//!   exit 0 or 1        exit                 (standard streams are /dev/null)
//! ```

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{self, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use clap::ValueEnum;
use nix::unistd::{User, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::config::Configuration;

/// How far a daemon has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Stage {
    /// The process that makes the new session.
    Session,
    /// The daemon itself.
    Daemon,
}

/// What a daemon is to be.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    /// Its configuration file.
    pub(super) config: PathBuf,
    /// Where its process id is written.
    pub(super) pid_file: Option<PathBuf>,
    /// As whom it runs.
    pub(super) user: Option<String>,
}

/// Whom to tell that the router has started, or why it has not.
pub(super) trait Started {
    /// It has started.
    fn tell(&mut self);

    /// It could not.
    fn complain(&mut self, text: &str) -> io::Result<()>;
}

/// A router in the foreground: nobody waits for it.
#[derive(Debug)]
pub(super) struct Attached;

impl Started for Attached {
    fn tell(&mut self) {}

    fn complain(&mut self, text: &str) -> io::Result<()> {
        writeln!(io::stderr(), "{text}")
    }
}

/// A daemon: the process that launched it waits, with its standard error.
#[derive(Debug)]
pub(super) struct Detached {
    status: Option<File>,
    stderr: Option<File>,
}

impl Started for Detached {
    fn tell(&mut self) {
        if let Some(mut status) = self.status.take() {
            // Nobody may be waiting any more; the daemon serves all the same.
            status.write_all(b"ok\n").unwrap_or_default();
        }
        self.stderr = None;
    }

    fn complain(&mut self, text: &str) -> io::Result<()> {
        match &mut self.stderr {
            Some(stderr) => writeln!(stderr, "{text}"),
            None => Ok(()),
        }
    }
}

/// First stage: starts the second and waits until the daemon says that it has started.
pub(super) fn launch(arguments: &[OsString], daemon: &Daemon) -> ExitCode {
    let launched = (|| {
        let mut command = again(arguments, daemon, "session")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        if let Some(mut status) = child.stdout.take() {
            status.read_to_string(&mut said)?;
        }
        child.wait()?;
        Ok::<_, io::Error>(said == "ok\n")
    })();
    match launched {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

/// Second stage: a session of its own, the daemon in it, the pid file.
pub(super) fn session(arguments: &[OsString], daemon: &Daemon) -> ExitCode {
    let started = (|| {
        let mut command = again(arguments, daemon, "daemon")?;
        if let Some(name) = &daemon.user {
            let user = User::from_name(name).map_err(io::Error::from)?;
            let user = user.ok_or_else(|| io::Error::other("no such user"))?;
            command.uid(user.uid.as_raw());
        }
        let pid_file = daemon.pid_file.as_deref().map(path::absolute).transpose()?;
        setsid().map_err(io::Error::from)?;
        let mut child = command.current_dir("/").stdin(Stdio::piped()).spawn()?;
        let written = pid_file.map_or(Ok(()), |path| fs::write(path, format!("{}\n", child.id())));
        release(&mut child, written)
    })();
    if started.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Lets the daemon go on; without the word it ends by itself.
fn release(child: &mut Child, written: io::Result<()>) -> io::Result<()> {
    let stdin = child.stdin.take();
    written?;
    stdin.map_or(Ok(()), |mut stdin| stdin.write_all(b"go\n"))
}

/// Third stage: waits for the word, then serves. `serve` is given what makes the process a daemon.
pub(super) fn daemon(
    serve: impl FnOnce(fn(&Configuration) -> io::Result<Detached>) -> ExitCode,
) -> ExitCode {
    let mut word = String::new();
    match io::stdin().read_line(&mut word) {
        Ok(_) if word == "go\n" => serve(|_| let_go()),
        _ => ExitCode::FAILURE,
    }
}

/// Gives up the standard streams, but for what is still to be told to who waits.
fn let_go() -> io::Result<Detached> {
    let status = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    dup2_stderr(&nothing)?;
    Ok(Detached {
        status: Some(status),
        stderr: Some(stderr),
    })
}

/// This program once more, under the same name, with the same options and a stage.
fn again(arguments: &[OsString], daemon: &Daemon, stage: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.first() {
        command.arg0(name);
    }
    command.arg("--config").arg(path::absolute(&daemon.config)?);
    if let Some(pid_file) = &daemon.pid_file {
        command.arg("--pidfile").arg(path::absolute(pid_file)?);
    }
    if let Some(user) = &daemon.user {
        command.arg("--user").arg(user);
    }
    command.arg("--daemon-stage").arg(stage);
    Ok(command)
}
