//! What a service manager such as systemd is told, where there is one that wants to know.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

/// The way to the service manager.
#[derive(Clone, Debug, Default)]
pub(crate) struct Service {
    place: Option<SocketAddr>,
}

impl Service {
    /// The one that the environment names by `NOTIFY_SOCKET`, if any.
    pub(crate) fn of_environment() -> Self {
        let name = env::var_os("NOTIFY_SOCKET").map(OsStringExt::into_vec);
        let place = name.and_then(|name| place(name).ok());
        Self { place }
    }

    /// Tells it something, such as `READY=1`. That it does not listen is no reason to do anything
    /// else, nor to wait.
    pub(crate) fn tell(&self, what: &str) {
        if let Some(place) = &self.place
            && let Ok(socket) = UnixDatagram::unbound()
            && socket.set_nonblocking(true).is_ok()
        {
            drop(socket.send_to_addr(what.as_bytes(), place));
        }
    }
}

/// A path, or, behind an `@`, a name that is in no file system.
fn place(name: Vec<u8>) -> io::Result<SocketAddr> {
    match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => {
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(&name));
            SocketAddr::from_pathname(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_by_a_name_of_either_kind() {
        let name = format!("causeway-service-{}", std::process::id());
        let path = env::temp_dir().join(&name);
        let files = UnixDatagram::bind(&path).unwrap();
        let abstracts = SocketAddr::from_abstract_name(&name).unwrap();
        let abstracts = UnixDatagram::bind_addr(&abstracts).unwrap();
        let path_bytes = path.clone().into_os_string().into_vec();
        for (socket, name) in [
            (files, path_bytes),
            (abstracts, format!("@{name}").into_bytes()),
        ] {
            let service = Service {
                place: Some(place(name).unwrap()),
            };
            service.tell("READY=1");
            let mut said = [0; 16];
            let count = socket.recv(&mut said).unwrap();
            assert_eq!(&said[..count], b"READY=1");
        }
        std::fs::remove_file(path).unwrap();
        Service { place: None }.tell("nobody listens");
    }
}
