//! Files that are given out: those below one folder, and nothing else.
//!
//! Decision: the real path of what is asked for has to lie below the real path of the folder, so
//! links within the folder work and links out of it do not. Who can change the folder while a file
//! is looked up is trusted with what is in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::OFlag;
use web::Status;
use web::limits::FILE_BYTES;

/// What is given out for a folder.
const INDEX: &str = "index.html";

/// A file that may be given out.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) content_type: &'static str,
    /// Differs when the file does.
    pub(super) tag: String,
}

/// Looks a path up below a folder.
///
/// # Errors
/// How the request is to be answered instead.
pub(super) fn find(root: &str, path: &str) -> Result<Found, Status> {
    let relative = relative(path).ok_or(Status::NotFound)?;
    let root = Path::new(root)
        .canonicalize()
        .map_err(|_| Status::NotFound)?;
    let mut real = root.join(relative).canonicalize().map_err(|e| status(&e))?;
    if real.is_dir() {
        real = real.join(INDEX).canonicalize().map_err(|e| status(&e))?;
    }
    if !real.starts_with(&root) {
        return Err(Status::NotFound);
    }
    // What is no file could keep the thread waiting for ever.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.open(&real).map_err(|e| status(&e))?;
    let metadata = file.metadata().map_err(|e| status(&e))?;
    if !metadata.is_file() {
        return Err(Status::NotFound);
    }
    if metadata.len() > FILE_BYTES {
        return Err(Status::Forbidden);
    }
    let changed = metadata.modified().ok();
    let changed = changed.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let changed = changed.map_or(0, |since| since.as_nanos());
    Ok(Found {
        file,
        length: metadata.len(),
        content_type: content_type(&real),
        tag: format!("\"{changed:x}-{:x}\"", metadata.len()),
    })
}

/// The path below the folder; `None` for one that leads elsewhere or to what is hidden.
fn relative(path: &str) -> Option<PathBuf> {
    let path = path.trim_start_matches('/');
    let mut relative = PathBuf::new();
    for component in Path::new(path).components() {
        let Component::Normal(name) = component else {
            return None;
        };
        if name.as_encoded_bytes().starts_with(b".") || name.as_encoded_bytes().contains(&b'\\') {
            return None;
        }
        relative.push(name);
    }
    Some(relative)
}

fn status(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Status::Forbidden,
        _ => Status::NotFound,
    }
}

/// The type by the ending, as far as browsers care.
fn content_type(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let ending = ending.unwrap_or_default().to_ascii_lowercase();
    match &*ending {
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "gif" => "image/gif",
        "htm" | "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "jpeg" | "jpg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "md" | "txt" => "text/plain; charset=utf-8",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        "webp" => "image/webp",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    /// A folder that is removed at the end.
    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn folder(name: &str) -> Folder {
        let name = format!("causeway-files-{name}-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        fs::create_dir_all(folder.0.join("site/sub")).unwrap();
        fs::write(folder.0.join("secret"), "secret").unwrap();
        fs::write(folder.0.join("site/index.html"), "index").unwrap();
        fs::write(folder.0.join("site/.hidden"), "hidden").unwrap();
        fs::write(folder.0.join("site/sub/a b.json"), "{}").unwrap();
        folder
    }

    fn read(folder: &Folder, path: &str) -> Result<(String, &'static str), Status> {
        let root = folder.0.join("site");
        let mut found = find(root.to_str().unwrap(), path)?;
        let mut text = String::new();
        found.file.read_to_string(&mut text).unwrap();
        assert_eq!(found.length, text.len() as u64);
        Ok((text, found.content_type))
    }

    #[test]
    fn what_is_in_the_folder_is_given_out() {
        let folder = folder("in");
        let index = ("index".to_owned(), "text/html; charset=utf-8");
        assert_eq!(read(&folder, "/"), Ok(index.clone()));
        assert_eq!(read(&folder, "//index.html"), Ok(index));
        let json = ("{}".to_owned(), "application/json");
        assert_eq!(read(&folder, "/sub/a b.json"), Ok(json));
        symlink("sub/a b.json", folder.0.join("site/inside.js")).unwrap();
        assert_eq!(read(&folder, "/inside.js").unwrap().0, "{}");
    }

    #[test]
    fn nothing_else_is() {
        let folder = folder("out");
        let site = folder.0.join("site");
        symlink("../secret", site.join("link")).unwrap();
        symlink("..", site.join("up")).unwrap();
        symlink(&folder.0, site.join("sub/index.html")).unwrap();
        for path in [
            "/../secret",
            "/sub/../../secret",
            "/./../secret",
            "/link",
            "/up/secret",
            "/sub/",
            "/.hidden",
            "/..\\secret",
            "/etc/passwd",
            "/nothing",
            "/index.html/",
            "/index.html/x",
        ] {
            let read = read(&folder, path);
            let is_index = path == "/index.html/" && read.as_ref().is_ok_and(|(t, _)| t == "index");
            assert!(
                is_index || read == Err(Status::NotFound),
                "{path}: {read:?}"
            );
        }
    }

    #[test]
    fn what_is_no_file_keeps_nobody_waiting() {
        let folder = folder("pipe");
        let pipe = folder.0.join("site/pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&folder, "/pipe"), Err(Status::NotFound));
    }

    #[test]
    fn a_file_that_is_too_large_is_not_given_out() {
        let folder = folder("large");
        let large = File::create(folder.0.join("site/large")).unwrap();
        large.set_len(FILE_BYTES + 1).unwrap();
        assert_eq!(read(&folder, "/large"), Err(Status::Forbidden));
    }
}
