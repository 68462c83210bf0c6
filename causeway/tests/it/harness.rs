//! A router as a child process, with its log, and clients that talk to it.
//!
//! Waiting has a bound only so that a broken router ends the test; nothing is said about speed.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use causeway::config::Configuration;
use causeway::log::{self, Log, LogSettings, Module};
use causeway::{Cluster, ClusterSettings, RunSettings, config};
use socket2::{Domain, Socket, Type};

/// The program under test.
pub(crate) const CAUSEWAY: &str = env!("CARGO_BIN_EXE_causeway");

/// How long anything may take before the test is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of its own, removed at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("causeway-it-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file; its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A port of one's own. As long as it is held, who asks for any free one gets another and who
/// connects is refused; who is told to listen on it can, and then nobody is refused.
pub(crate) struct Port {
    _held: Socket,
    number: u16,
}

impl Port {
    pub(crate) fn new() -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// One on which nobody listens any more.
    pub(crate) fn at(place: SocketAddr) -> Self {
        let held = Socket::new(Domain::for_address(place), Type::STREAM, None).unwrap();
        held.set_reuse_address(true).unwrap();
        held.bind(&place.into()).unwrap();
        let place = held.local_addr().unwrap().as_socket().unwrap();
        Self {
            _held: held,
            number: place.port(),
        }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

/// Starts a client command whose streams the test has.
pub(crate) fn client(arguments: &[&str]) -> Child {
    let mut command = Command::new(CAUSEWAY);
    command.args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Makes two tests of each of these: one with links that are sockets, one with pipes.
macro_rules! on_both_wires {
    ($($name:ident),* $(,)?) => {
        mod sockets {
            $(#[test] fn $name() { super::$name(causeway::Wires::Sockets); })*
        }
        mod pipes {
            $(#[test] fn $name() { super::$name(causeway::Wires::Pipes); })*
        }
    };
}
pub(crate) use on_both_wires;

/// Starts routers that know all that they can reach.
pub(crate) fn converged(settings: ClusterSettings) -> Cluster {
    let mut cluster = Cluster::start(settings).unwrap();
    cluster.wait_converged(PATIENCE).unwrap();
    cluster
}

/// Starts a router in this process; its log goes nowhere else.
pub(crate) fn start_inside(text: &str, workers: u16) -> (causeway::Router, Log) {
    let configuration = config::parse(&Arc::from("test.conf"), text).unwrap();
    start_configured(&configuration, workers)
}

/// The same with a configuration that may have been read from a file.
pub(crate) fn start_configured(
    configuration: &Configuration,
    workers: u16,
) -> (causeway::Router, Log) {
    let mut settings = LogSettings::default();
    settings.module_mut(Module::Default).output = Some(log::Output::named("/dev/null"));
    let log = Log::start(&settings).unwrap();
    let run = RunSettings {
        workers: Some(workers),
        ..RunSettings::default()
    };
    let router = causeway::Router::start(configuration, run, log.clone()).unwrap();
    (router, log)
}

/// A running router.
pub(crate) struct Router {
    pub(crate) child: Child,
    lines: Receiver<String>,
    /// What it has written so far.
    pub(crate) log: Vec<String>,
    /// The port of its first listener.
    pub(crate) port: u16,
    directory: Directory,
}

/// A configuration with one listener on a free port, and more.
pub(crate) fn configuration(more: &str) -> String {
    format!("{LISTENER}}}\n{more}")
}

/// A configuration with one listener on a free port, and an attribute for that.
pub(crate) fn listening_with(attribute: &str) -> String {
    format!("{LISTENER} {attribute}\n}}\n")
}

/// A configuration as far as its listener's attributes go.
const LISTENER: &str = "router {\n id: Tested\n}\n\
    listener {\n host: 127.0.0.1\n port: 0\n saslMechanisms: ANONYMOUS\n";

impl Router {
    /// Starts a router with one listener on a free port, and waits until it listens.
    pub(crate) fn start(more: &str) -> Self {
        Self::start_with(&configuration(more), &["--workers", "2"])
    }

    /// Starts a router with a configuration and options, and waits until it listens.
    pub(crate) fn start_with(text: &str, options: &[&str]) -> Self {
        let mut command = Command::new(CAUSEWAY);
        command.arg("run").args(options);
        Self::start_by(command, text)
    }

    /// Starts a router by a command that lacks only its configuration.
    pub(crate) fn start_by(command: Command, text: &str) -> Self {
        let mut router = Self::start_unheard(command, text);
        router.port = router.next_port();
        router
    }

    /// The same without a look at its log: whoever started it finds out the port.
    pub(crate) fn start_unheard(mut command: Command, text: &str) -> Self {
        let directory = Directory::new();
        let file = directory.write("router.conf", text);
        command.arg("-c").arg(file).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = read_lines(child.stderr.take().unwrap());
        Self {
            child,
            lines,
            log: Vec::new(),
            port: 0,
            directory,
        }
    }

    /// The port of the next listener of which the log tells.
    pub(crate) fn next_port(&mut self) -> u16 {
        let line = self.wait_for("Listening on ");
        let place = line.split("Listening on ").nth(1).unwrap();
        let place = place.split(' ').next().unwrap();
        place.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Waits until the log has a line with these words; the line.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| {
                panic!("{error} while waiting for {words:?} in {:#?}", self.log)
            });
            self.log.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Its configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("router.conf")
    }

    /// Writes its configuration file anew.
    pub(crate) fn rewrite(&self, text: &str) {
        self.directory.write("router.conf", text);
    }

    /// Runs a command of the program against it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let url = format!("amqp://127.0.0.1:{}", self.port);
        let mut command = Command::new(CAUSEWAY);
        command.args(arguments).args(["--url", &url]);
        command.output().unwrap()
    }

    /// Sends a signal by its name: `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for its end; the rest of the log is there afterwards.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.log.push(line);
        }
        self.child.wait().unwrap()
    }

    /// Connects to it.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection that has exchanged headers and Open.
    pub(crate) fn open(&self) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(HEADER).unwrap();
        stream.write_all(OPEN).unwrap();
        read_until(&mut stream, b"Tested");
        stream
    }

    /// Begins to receive messages with the program's own client; they come on its output.
    pub(crate) fn receive(&self, address: &str, count: u32) -> Child {
        let url = format!("amqp://127.0.0.1:{}/{address}", self.port);
        let mut command = Command::new(CAUSEWAY);
        command.args(["recv", "--body", "-n", &count.to_string(), &url]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Sends messages with the program's own client.
    pub(crate) fn send(&self, address: &str, bodies: &[&str]) -> Output {
        let url = format!("amqp://127.0.0.1:{}/{address}", self.port);
        Command::new(CAUSEWAY)
            .arg("send")
            .arg(&url)
            .args(bodies)
            .output()
            .unwrap()
    }

    /// Sends one message and receives it.
    pub(crate) fn pass(&self, address: &str, body: &str) {
        let receiver = self.receive(address, 1);
        let sent = self.send(address, &[body]);
        assert!(
            sent.status.success(),
            "{}",
            String::from_utf8_lossy(&sent.stderr)
        );
        let received = receiver.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&received.stdout).trim(), body);
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The header of a connection without SASL.
pub(crate) const HEADER: &[u8] = b"AMQP\0\x01\0\0";

/// An Open with nothing but a container-id, in a frame.
pub(crate) const OPEN: &[u8] = b"\0\0\0\x14\x02\0\0\0\0\x53\x10\xc0\x07\x01\xa1\x04test";

/// Reads until these bytes have come; all that has come. The end of the stream is an error.
pub(crate) fn read_until(stream: &mut TcpStream, wanted: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    while !contains(&read, wanted) {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).unwrap();
        assert!(
            count > 0,
            "the end, after {:?}",
            String::from_utf8_lossy(&read)
        );
        read.extend_from_slice(&chunk[..count]);
    }
    read
}

/// Reads to the end of the stream.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    stream.read_to_end(&mut read).unwrap();
    read
}

pub(crate) fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let command = format!("kill -{name} {process}");
    assert!(
        Command::new("sh")
            .args(["-c", &command])
            .status()
            .unwrap()
            .success()
    );
}

fn read_lines(stderr: ChildStderr) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let read = move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    };
    thread::Builder::new().spawn(read).unwrap();
    lines
}
