//! What lines are written to: a file, a stream or the system's log.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::net::UnixDatagram;

use super::level::Level;
use super::settings::Output;

/// Facility *daemon* of the system's log.
const SYSLOG_DAEMON: u8 = 3;

/// Something to write to.
#[derive(Debug)]
pub(super) enum Writer {
    Stderr,
    Stdout,
    Syslog(UnixDatagram),
    File(BufWriter<File>),
}

impl Writer {
    /// Opens it, which may take as long as its disk likes.
    ///
    /// # Errors
    ///
    /// It cannot be opened, as a text for the user.
    pub(super) fn open(output: &Output) -> Result<Self, String> {
        match output {
            Output::Stderr => Ok(Self::Stderr),
            Output::Stdout => Ok(Self::Stdout),
            Output::Syslog => syslog()
                .map(Self::Syslog)
                .map_err(|error| format!("Failed to open log file 'syslog': /dev/log: {error}")),
            Output::File(path) => {
                let file = File::options().create(true).append(true).open(path);
                match file {
                    Ok(file) => Ok(Self::File(BufWriter::new(file))),
                    Err(error) => Err(format!(
                        "Failed to open log file '{}': {error}",
                        path.display()
                    )),
                }
            }
        }
    }

    pub(super) fn write(&mut self, line: &str, level: Level) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().lock().write_all(line.as_bytes()),
            Self::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            Self::Syslog(socket) => {
                let priority = SYSLOG_DAEMON << 3 | level.syslog_priority();
                let process = std::process::id();
                let message = format!("<{priority}>causeway[{process}]: {}", line.trim_end());
                socket.send(message.as_bytes()).map(drop)
            }
            Self::File(file) => file.write_all(line.as_bytes()),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stderr | Self::Syslog(_) => Ok(()),
            Self::Stdout => io::stdout().lock().flush(),
            Self::File(file) => file.flush(),
        }
    }
}

fn syslog() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect("/dev/log")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
