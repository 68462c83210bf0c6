//! The file of users, read when it has changed.
//!
//! Owns what was read last; never writes the file. Decision: a file that cannot be read leaves the
//! users as they were, one that is not there any more leaves nobody, and both are told in the log.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use management::counted;
use sasl::Users;

use crate::log::{Level, Log, Module};
use crate::stamp::Stamp;

/// Bytes of a file of users; a larger one is something else.
pub(crate) const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Permissions of others than the owner.
const OTHERS: u32 = 0o077;

/// The users who may authenticate.
#[derive(Debug)]
pub(super) struct People {
    path: Option<PathBuf>,
    users: Users,
    decoy: [u8; 32],
    seen: Option<Stamp>,
    /// Why it could not be read when it was tried last, which the log has been told.
    unread: Option<io::ErrorKind>,
    log: Log,
}

impl People {
    pub(super) fn new(path: Option<PathBuf>, decoy: [u8; 32], log: Log) -> Self {
        Self {
            path,
            users: Users::new(decoy),
            decoy,
            seen: None,
            unread: None,
            log,
        }
    }

    /// The users as they are now.
    pub(super) fn users(&mut self) -> &Users {
        if let Some(path) = self.path.clone() {
            let look = Stamp::of(&path);
            // One that could not be read is tried again: what has changed since need not show.
            if look.is_none() || self.seen != look {
                let is_read = self.load(&path);
                self.seen = look.filter(|_| is_read);
            }
        }
        &self.users
    }

    /// Takes what is in the file; whether it could be read.
    fn load(&mut self, path: &Path) -> bool {
        let say = |level, text: String| self.log.line(Module::ConnMgr, level, text);
        let shown = path.display();
        let result = read(path);
        let unread = result.as_ref().err().map(io::Error::kind);
        let is_news = std::mem::replace(&mut self.unread, unread) != unread;
        match result {
            Err(error) => {
                if is_news {
                    say(
                        Level::Error,
                        format!("Unable to open user file {shown}, error: {error}"),
                    );
                }
                if error.kind() == io::ErrorKind::NotFound {
                    self.users = Users::new(self.decoy);
                }
            }
            Ok((text, mode)) => match Users::parse(&text, self.decoy) {
                Err(error) => say(
                    Level::Error,
                    format!("User file {shown}: {error}; the users stay as they were"),
                ),
                Ok(users) => {
                    let count = counted(users.names().count(), "user");
                    say(Level::Info, format!("User file {shown}: {count}"));
                    if mode & OTHERS != 0 {
                        let text = format!("User file {shown} is not its owner's alone: chmod 600");
                        say(Level::Warning, text);
                    }
                    self.users = users;
                }
            },
        }
        unread.is_none()
    }
}

/// The text of a file, and who may read it.
///
/// # Errors
///
/// It cannot be read, is too large or no text.
pub(crate) fn read(path: &Path) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok((text, mode))
}
