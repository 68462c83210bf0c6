//! `causeway user`: the file of users by whom a router lets peers in.
//!
//! Owns the writing of that file: at once and as a whole, readable for its owner alone. A router
//! notices by itself. A password is never an argument, where every other program of the machine
//! would see it, and never written down: the file has salted verifiers.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use nix::fcntl::{Flock, FlockArg};
use sasl::{SALT_BYTES, Users};

use crate::authority::read_users;
use crate::cli::failure::{self, Failure};
use crate::cli::{screen, secret};
use crate::random::Random;

/// Where users are kept unless an option says otherwise.
const FILE_DEFAULT: &str = "/etc/causeway/causeway.users";

/// Readable and writable for the owner alone.
const MODE: u32 = 0o600;

/// What to do with the file of users.
#[derive(Debug, Args)]
pub struct UserOptions {
    #[command(subcommand)]
    action: Action,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Action {
    /// Add a user, or give one a new password.
    Add {
        /// The name.
        #[arg(value_name = "USER")]
        user: String,
        /// Take the password from the first line of a file; else it is asked for, or read from
        /// standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Remove a user.
    Remove {
        /// The name.
        #[arg(value_name = "USER")]
        user: String,
        #[command(flatten)]
        place: Place,
    },
    /// Print the names of all users.
    List {
        #[command(flatten)]
        place: Place,
    },
}

/// Which file.
#[derive(Debug, Args)]
struct Place {
    /// The file of users: what the router's saslUserFile says.
    #[arg(long, value_name = "FILE", default_value = FILE_DEFAULT)]
    file: PathBuf,
}

/// Does what is asked; fails if it cannot.
#[must_use]
pub fn run(options: UserOptions) -> ExitCode {
    let done = match options.action {
        Action::Add {
            user,
            password_file,
            place,
        } => add(&user, password_file.as_deref(), &place.file),
        Action::Remove { user, place } => remove(&user, &place.file),
        Action::List { place } => list(&place.file),
    };
    failure::exit(done.map(|()| ExitCode::SUCCESS))
}

fn add(user: &str, password_file: Option<&Path>, file: &Path) -> Result<(), Failure> {
    let name = sasl::user_name(user)
        .map_err(|error| Failure::new(format!("`{user}` is no name of a user: it {error}")))?;
    let password = match password_file {
        Some(path) => secret::from_file(path)?,
        None => secret::from_person(&format!("Password of {name}: "), true)?,
    };
    let password =
        sasl::password(&password).map_err(|error| Failure::new(format!("the password {error}")))?;
    let random = Random::new()?;
    let mut salts = [[0; SALT_BYTES]; 3];
    for salt in &mut salts {
        *salt = random.bytes()?;
    }
    let mut is_new = false;
    change(file, &random, |users| {
        is_new = users.add(&name, &password, salts);
        Ok(())
    })?;
    let done = if is_new {
        "added"
    } else {
        "has a new password"
    };
    screen::say(&format!("{name} {done}"))?;
    Ok(())
}

fn remove(user: &str, file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let unknown = || Failure::new(format!("there is no user `{user}` in {shown}"));
    let name = sasl::user_name(user).map_err(|_| unknown())?;
    change(file, &Random::new()?, |users| match users.remove(&name) {
        true => Ok(()),
        false => Err(unknown()),
    })?;
    screen::say(&format!("{name} removed"))?;
    Ok(())
}

fn list(file: &Path) -> Result<(), Failure> {
    for name in read(file, &Random::new()?)?.names() {
        screen::say(name)?;
    }
    Ok(())
}

/// The users of a file; it is an error if there is none.
fn read(file: &Path, random: &Random) -> Result<Users, Failure> {
    let shown = file.display();
    let (text, _) = read_users(file).map_err(|error| {
        Failure::new(format!("cannot read {shown}: {error}"))
            .hint("--file names another; `causeway user add` makes one")
    })?;
    Users::parse(&text, random.bytes()?)
        .map_err(|error| Failure::new(format!("{shown} cannot be used: {error}")))
}

/// Changes a file: a new one takes its place when it is whole. Two who do so at once wait for each
/// other.
fn change(
    file: &Path,
    random: &Random,
    what: impl FnOnce(&mut Users) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let shown = file.display();
    let failed = |error: io::Error| Failure::new(format!("cannot write {shown}: {error}"));
    let lock = beside(file, "lock");
    let lock = options().create(true).truncate(false).open(&lock);
    let lock = lock.map_err(failed)?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, error)| failed(io::Error::from(error)))?;
    let is_there = match fs::metadata(file) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(failed(error)),
    };
    let mut users = match is_there {
        true => read(file, random)?,
        false => Users::new(random.bytes()?),
    };
    what(&mut users)?;
    replace(file, &users.to_string()).map_err(failed)
}

/// Puts a text in the place of a file, at once.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new = beside(file, "new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody else's file, nor where a link of theirs leads.
    let mut opened = options().create_new(true).open(&new)?;
    if let Ok(before) = fs::metadata(file) {
        // The router's, and not root's, if it was that. Who may not do so is its owner anyway.
        let same = fchown(&opened, Some(before.uid()), Some(before.gid()));
        let is_owner = opened.metadata()?.uid() == before.uid();
        if !is_owner {
            same?;
        }
    }
    opened.write_all(text.as_bytes())?;
    opened.sync_all()?;
    fs::rename(&new, file)?;
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// A file is written that nobody else may read.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(MODE);
    options
}

/// A file of the same folder: `FILE.ending`.
fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
