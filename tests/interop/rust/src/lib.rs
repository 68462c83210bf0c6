//! The router under test as a child process, and a client's connections to it.
//!
//! The binary is `CAUSEWAY_BIN`, else `target/debug/causeway`, else `target/release/causeway` of
//! the repository. Each test starts its own, as `causeway run -c FILE`, with the configuration that
//! all interop suites share; nothing here knows the router's code.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Connection, Receiver, Sender, Session};
use tempfile::TempDir;
use tokio::time::timeout;

/// How long anything may take.
pub const WAIT: Duration = Duration::from_secs(30);

/// Between two looks at a router that starts.
const PAUSE: Duration = Duration::from_millis(20);
const TEMPLATE: &str = include_str!("../../router.conf");
const USERS_TEMPLATE: &str = include_str!("../../users.conf");
const SECURED_TEMPLATE: &str = include_str!("../../secured.conf");
const PORT_NAMES: &[&str] = &["PORT", "PORT_NO", "PORT_IN", "PORT_OUT", "PORT_SMALL"];
const SECURED_NAMES: &[&str] = &["PORT_USERS", "PORT_CERTIFIED", "PORT_ANYBODY"];

/// One running router, killed when dropped.
#[derive(Debug)]
pub struct Router {
    process: Child,
    directory: TempDir,
    names: &'static [&'static str],
    ports: Vec<u16>,
}

impl Router {
    /// Starts a router and waits for its listeners.
    ///
    /// # Panics
    /// If there is no binary or it does not listen within [`WAIT`].
    #[must_use]
    pub fn start() -> Self {
        Self::start_with_users(&[])
    }

    /// Starts a router that lets in these users, with their passwords, and nobody else; whoever
    /// comes, if there are none. Waits for its listeners.
    ///
    /// # Panics
    /// As [`Router::start`].
    #[must_use]
    pub fn start_with_users(users: &[(&str, &str)]) -> Self {
        match users {
            [] => Self::must_start(TEMPLATE, PORT_NAMES, users),
            _ => Self::must_start(USERS_TEMPLATE, &PORT_NAMES[..1], users),
        }
    }

    /// Starts a router that speaks nothing but TLS, with these users.
    ///
    /// # Panics
    /// As [`Router::start`].
    #[must_use]
    pub fn start_secured(users: &[(&str, &str)]) -> Self {
        let template =
            SECURED_TEMPLATE.replace("@CERTIFICATES@", &certificate("").to_string_lossy());
        Self::must_start(&template, SECURED_NAMES, users)
    }

    fn must_start(template: &str, names: &'static [&str], users: &[(&str, &str)]) -> Self {
        match Self::try_start(template, names, users) {
            Ok(router) => router,
            Err(error) => panic!("the router does not start: {error}"),
        }
    }

    fn try_start(
        template: &str,
        names: &'static [&str],
        users: &[(&str, &str)],
    ) -> io::Result<Self> {
        let directory = TempDir::with_prefix("causeway-interop-")?;
        let ports = free_ports(names.len())?;
        let mut text = template.to_owned();
        for (user, password) in users {
            let mut adding = Command::new(binary()?)
                .args(["user", "add", user, "--file", "users"])
                .current_dir(directory.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()?;
            let mut stdin = adding.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
            writeln!(stdin, "{password}")?;
            drop(stdin);
            if !adding.wait()?.success() {
                return Err(io::Error::other("the user cannot be added"));
            }
        }
        for (name, port) in names.iter().zip(&ports) {
            text = text.replace(&format!("@{name}@"), &port.to_string());
        }
        let conf = directory.path().join("router.conf");
        fs::write(&conf, text)?;
        let log = File::create(directory.path().join("router.log"))?;
        let process = Command::new(binary()?)
            .args([Path::new("run"), Path::new("-c"), &conf])
            .current_dir(directory.path())
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .spawn()?;
        let mut router = Self {
            process,
            directory,
            names,
            ports,
        };
        router.wait()?;
        Ok(router)
    }

    fn wait(&mut self) -> io::Result<()> {
        let mut tries = WAIT.as_millis() / PAUSE.as_millis();
        for &port in &self.ports {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                tries -= 1;
                if self.process.try_wait()?.is_some() || tries == 0 {
                    let log = self.directory.path().join("router.log");
                    return Err(io::Error::other(fs::read_to_string(log)?));
                }
                sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// The port of a listener, by its name in the template.
    ///
    /// # Panics
    /// If the template has no such name.
    #[must_use]
    pub fn port(&self, name: &str) -> u16 {
        let place = self.names.iter().position(|&known| known == name);
        self.ports[place.expect("a name of the template")]
    }

    /// A client with one session, connected to the listener with default settings.
    pub async fn client(&self) -> Client {
        self.client_at("PORT").await
    }

    /// A client with one session, connected to a listener.
    ///
    /// # Panics
    /// If the router does not answer.
    pub async fn client_at(&self, listener: &str) -> Client {
        let url = format!("amqp://127.0.0.1:{}", self.port(listener));
        let opened = timeout(WAIT, Connection::open("interop-rust", url.as_str()));
        let mut connection = opened.await.expect("in time").expect("an Open");
        let session = timeout(WAIT, Session::begin(&mut connection));
        let session = session.await.expect("in time").expect("a Begin");
        Client {
            connection,
            session,
            links: 0,
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // Only fails for a router that is gone already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A connection with a session.
#[derive(Debug)]
pub struct Client {
    /// The connection.
    pub connection: ConnectionHandle<()>,
    /// Its first session.
    pub session: SessionHandle<()>,
    links: u32,
}

impl Client {
    /// A name for one more link.
    pub fn name(&mut self) -> String {
        self.links += 1;
        format!("link-{}", self.links)
    }

    /// A link that sends to an address.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn sender(&mut self, address: &str) -> Sender {
        let name = self.name();
        let attached = timeout(WAIT, Sender::attach(&mut self.session, name, address));
        attached.await.expect("in time").expect("an Attach")
    }

    /// A link that receives from an address, with credit that renews itself.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn receiver(&mut self, address: &str) -> Receiver {
        let name = self.name();
        let attached = timeout(WAIT, Receiver::attach(&mut self.session, name, address));
        attached.await.expect("in time").expect("an Attach")
    }

    /// Ends session and connection in order.
    ///
    /// # Panics
    /// If the router answers with an error or not at all.
    pub async fn close(mut self) {
        let ended = timeout(WAIT, self.session.end());
        ended.await.expect("in time").expect("an End");
        let closed = timeout(WAIT, self.connection.close());
        closed.await.expect("in time").expect("a Close");
    }
}

/// Runs a future that has to end within [`WAIT`].
///
/// # Panics
/// If it does not.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(WAIT, future).await.expect("in time")
}

/// A file with a certificate or key that all suites use, made by `tests/interop/run.py`.
#[must_use]
pub fn certificate(name: &str) -> PathBuf {
    let folder = std::env::var_os("INTEROP_CERTIFICATES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/interop/certificates"),
        PathBuf::from,
    );
    folder.join(name)
}

/// Whether not Causeway but a router that it replaces is under test.
#[must_use]
pub fn reference() -> bool {
    std::env::var("INTEROP_REFERENCE").is_ok_and(|value| value == "1")
}

fn binary() -> io::Result<PathBuf> {
    if let Some(named) = std::env::var_os("CAUSEWAY_BIN") {
        return Ok(PathBuf::from(named));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    ["debug", "release"]
        .map(|profile| root.join("target").join(profile).join("causeway"))
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| io::Error::other("no causeway in target; set CAUSEWAY_BIN"))
}

fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let held: io::Result<Vec<TcpListener>> = (0..count)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect();
    held?
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect()
}
