//! Routers and proxies that are started for a comparison, and ended with it.
//!
//! Owns the child processes, their temporary configuration and their log; it measures nothing. A
//! child runs behind `sh -c 'exec …'` so that a command is written as in a terminal and the process
//! id is still the router's own.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cli::failure::Failure;

/// How often and how long a child is asked whether it listens.
const READY_INTERVAL: Duration = Duration::from_millis(50);
const READY_TRIES: u32 = 400;
/// Lines of a child's log that are shown when it fails.
const LOG_LINES_SHOWN: usize = 8;

/// A folder for configurations and logs, removed at the end.
#[derive(Debug)]
pub(super) struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    /// Makes the folder, under the system's folder for temporary files.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn new() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("causeway-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
        Ok(Self { folder })
    }

    /// Writes a file and gives its path.
    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.folder.join(name);
        fs::write(&path, text)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean up; the result stands all the same.
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// A router or proxy that runs for the comparison; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Rival {
    /// How tables call it.
    pub(super) name: String,
    /// Where it listens on 127.0.0.1.
    pub(super) port: u16,
    child: Child,
    log: PathBuf,
}

impl Rival {
    /// Starts a router on a free port from `command`, in which `{conf}` stands for the path of a
    /// configuration in the incumbent's grammar, and waits until it listens.
    ///
    /// # Errors
    /// If it cannot be started or does not listen in time; with the end of its log.
    pub(super) fn router(
        workshop: &Workshop,
        name: &str,
        command: &str,
        workers: usize,
    ) -> Result<Self, Failure> {
        let port = free_port()?;
        let text = configuration(port, workers);
        Self::configured(workshop, name, command, port, &text)
    }

    /// The same with a configuration of which only the caller knows; one of its listeners is on
    /// `port`.
    ///
    /// # Errors
    /// As for a router.
    pub(super) fn configured(
        workshop: &Workshop,
        name: &str,
        command: &str,
        port: u16,
        text: &str,
    ) -> Result<Self, Failure> {
        let conf = workshop.write(&format!("{name}.conf"), text)?;
        let command = fill(command, &[("{conf}", &conf.display().to_string())])?;
        Self::start(workshop, name, &command, port)
    }

    /// Starts a TCP proxy on a free port towards `backend` on 127.0.0.1 from `command`, in which
    /// `{conf}` stands for a configuration in haproxy's grammar, or `{listen}` and `{backend}` for
    /// the two ports.
    ///
    /// # Errors
    /// As for a router.
    pub(super) fn proxy(
        workshop: &Workshop,
        name: &str,
        command: &str,
        backend: u16,
    ) -> Result<Self, Failure> {
        let port = free_port()?;
        let conf = workshop.write(&format!("{name}.cfg"), &proxy_configuration(port, backend))?;
        let conf = conf.display().to_string();
        let (listen, backend) = (port.to_string(), backend.to_string());
        let values = [
            ("{conf}", &*conf),
            ("{listen}", &*listen),
            ("{backend}", &*backend),
        ];
        let command = fill(command, &values)?;
        Self::start(workshop, name, &command, port)
    }

    /// The process id.
    #[must_use]
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn start(workshop: &Workshop, name: &str, command: &str, port: u16) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(format!("cannot start {name}: {error}"));
        let log = workshop.folder.join(format!("{name}.log"));
        let output = File::create(&log).map_err(failed)?;
        let child = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .spawn()
            .map_err(failed)?;
        let mut rival = Self {
            name: name.to_owned(),
            port,
            child,
            log,
        };
        rival.wait_until_ready(command)?;
        Ok(rival)
    }

    /// Waits until somebody listens on the port.
    fn wait_until_ready(&mut self, command: &str) -> Result<(), Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        for _ in 0..READY_TRIES {
            if TcpStream::connect_timeout(&address, READY_INTERVAL).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let text = format!("{} ended ({status}) instead of listening", self.name);
                return Err(Failure::new(text).hint(self.told(command)));
            }
            std::thread::sleep(READY_INTERVAL);
        }
        let text = format!("{} does not listen on 127.0.0.1:{}", self.name, self.port);
        Err(Failure::new(text).hint(self.told(command)))
    }

    /// The command and what it said last.
    fn told(&self, command: &str) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n  ");
        format!("`{command}` said:\n  {last}")
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        // A child that has ended already cannot be ended again; either way it is gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The command that starts this program as a router, with further options of the shell.
///
/// # Errors
/// If the path of this program is not known.
pub(super) fn own_command(options: &str) -> Result<String, Failure> {
    match std::env::current_exe() {
        Ok(path) => Ok(format!("{} run -c {{conf}} {options}", quoted(&path))),
        Err(error) => Err(Failure::new(format!(
            "the path of this program is unknown: {error}"
        ))),
    }
}

/// A path as one word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// Puts values for placeholders; at least one must be there, or the child would run with something
/// else than what is measured.
fn fill(command: &str, values: &[(&str, &str)]) -> Result<String, Failure> {
    let mut filled = command.to_owned();
    for (placeholder, value) in values {
        filled = filled.replace(placeholder, value);
    }
    if filled == command {
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        return Err(Failure::new(format!(
            "`{command}` has no {}",
            names.join(" or ")
        )));
    }
    Ok(filled)
}

/// A port nobody listens on at the moment.
///
/// # Errors
/// If there is none.
pub(super) fn free_port() -> Result<u16, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Failure::new(format!("no port is free: {error}")))
}

/// A standalone router with one open listener, in the incumbent's grammar.
fn configuration(port: u16, workers: usize) -> String {
    format!(
        "router {{\n    mode: standalone\n    id: bench\n    workerThreads: {workers}\n}}\n\n\
         listener {{\n    host: 127.0.0.1\n    port: {port}\n    role: normal\n    \
         authenticatePeer: no\n    saslMechanisms: ANONYMOUS\n}}\n\n\
         log {{\n    module: DEFAULT\n    enable: warning+\n}}\n"
    )
}

/// A plain relay, in haproxy's grammar.
fn proxy_configuration(port: u16, backend: u16) -> String {
    format!(
        "global\n    maxconn 4096\n\ndefaults\n    mode tcp\n    timeout connect 5s\n    \
         timeout client 1h\n    timeout server 1h\n\nlisten bench\n    bind 127.0.0.1:{port}\n    \
         server bench 127.0.0.1:{backend}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_that_fails_is_quoted() {
        let workshop = Workshop::new().unwrap();
        let command = "sh -c 'echo no such option: $0; exit 3' {conf}";
        let failure = Rival::router(&workshop, "broken", command, 1).unwrap_err();
        assert!(failure.to_string().contains("broken ended"), "{failure}");
        assert!(failure.hint_text().unwrap().contains("no such option"));
    }

    #[test]
    fn a_command_without_its_configuration_is_refused() {
        let workshop = Workshop::new().unwrap();
        let failure = Rival::router(&workshop, "bare", "router", 1).unwrap_err();
        assert!(failure.to_string().contains("{conf}"));
    }

    #[test]
    fn own_path_may_hold_blanks_and_quotes() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
