//! Configuration files: text into sections, sections into entities checked by the management
//! schema, and what can only be checked across entities.
//!
//! A configuration is a list of entities to be created, by the same code that answers CREATE; there
//! is no second model of it. Nothing is created unless the whole file is without errors, and all
//! errors are told.

mod authentication;
mod check;
mod document;
mod doors;
mod entity;
mod error;
mod json;
mod logging;
mod native;
mod old;
mod policy;
mod section;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use management::schema::Entity;

pub use doors::open_doors;
pub use entity::Placed;
pub use error::ConfigError;
pub use policy::Policy;
pub use section::{Attribute, Section};

use crate::log::LogSettings;

/// Bytes of a configuration file; a larger one is something else.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A configuration without errors.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The router; with the defaults where the file has no section for it.
    pub router: Entity,
    /// What to log where.
    pub log: LogSettings,
    /// Who may do what.
    pub policy: Policy,
    /// All other entities, in the order of the file but for those that others name, which come
    /// first: profiles for TLS, then services for authentication.
    pub entities: Vec<Placed>,
    /// What is odd about the file, for the log.
    pub warnings: Vec<ConfigError>,
    /// The section of the router, if there is one.
    pub router_section: Option<Section>,
    /// The file, if it was read from one.
    pub path: Option<PathBuf>,
}

impl Configuration {
    /// The name of its file; empty if it was read from none.
    #[must_use]
    pub fn file(&self) -> Arc<str> {
        let path = self.path.as_deref();
        path.map_or_else(Arc::default, |path| path.to_string_lossy().into())
    }
}

/// Reads a file; in the JSON form if its name ends in `.json`.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the file.
pub fn load(path: &Path) -> Result<Configuration, Vec<ConfigError>> {
    let (file, text) = read_text(path)?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok(Configuration {
        path: Some(path),
        ..parse(&file, &text)?
    })
}

/// The text of a file in the words of today: names that early releases had, and those that are
/// deprecated, are replaced; comments stay.
///
/// # Errors
///
/// What does not follow the grammar, and what is said in both an old and a new word.
pub fn upgrade(path: &Path) -> Result<String, Vec<ConfigError>> {
    let (file, text) = read_text(path)?;
    let (modern, errors) = read_sections(&file, &text);
    if !errors.is_empty() {
        return Err(errors);
    }
    if is_json(&file) {
        return Ok(old::text::json(&modern.sections));
    }
    Ok(old::text::native(&text, &modern.changes, &modern.sections))
}

/// Its name and its text.
fn read_text(path: &Path) -> Result<(Arc<str>, String), Vec<ConfigError>> {
    let file: Arc<str> = path.to_string_lossy().into();
    let one = |text: String| vec![ConfigError::of_file(&file, text)];
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|opened| opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| one(format!("Configuration file could not be opened: {error}")))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(one(format!(
            "Configuration file is larger than {FILE_BYTES_MAX} bytes"
        )));
    }
    if bytes.is_empty() {
        return Err(one("Configuration file was empty".to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
        one(format!("line {line} is not UTF-8"))
    })?;
    Ok((file, text))
}

fn is_json(file: &str) -> bool {
    file.ends_with(".json")
}

/// The sections of a file in the words of today, and what is wrong with its notation.
fn read_sections(file: &Arc<str>, text: &str) -> (old::Modern, Vec<ConfigError>) {
    let (sections, slips) = if is_json(file) {
        match document::read(text) {
            Ok(sections) => (sections, Vec::new()),
            Err(error) => (Vec::new(), vec![error]),
        }
    } else {
        native::read(text)
    };
    let spelt = (!is_json(file)).then_some(text);
    let mut modern = old::modernise(file, sections, spelt);
    let mut errors: Vec<ConfigError> = slips.into_iter().map(|slip| slip.of_file(file)).collect();
    errors.append(&mut modern.errors);
    (modern, errors)
}

/// Reads the text of a file of that name.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the file.
pub fn parse(file: &Arc<str>, text: &str) -> Result<Configuration, Vec<ConfigError>> {
    let (modern, mut errors) = read_sections(file, text);
    let (sections, mut warnings) = (modern.sections, modern.warnings);
    check::roles(file, &sections, &mut errors);
    let (sections, policy) = policy::extract(file, sections, &mut errors, &mut warnings);
    let placed: Vec<Placed> = sections
        .into_iter()
        .filter_map(|section| entity::make(file, section, &mut errors, &mut warnings))
        .collect();
    check::check(file, &placed, &mut errors, &mut warnings);
    let log = logging::settings(file, &placed, &mut errors);
    if errors.is_empty() {
        let (mut routers, mut entities): (Vec<Placed>, Vec<Placed>) = placed
            .into_iter()
            .partition(|placed| placed.is_of_type("router"));
        // Who needs one may stand before it.
        let named = ["sslProfile", "authServicePlugin"];
        entities.sort_by_key(|placed| {
            let place = named.iter().position(|short| placed.is_of_type(short));
            place.unwrap_or(named.len())
        });
        let (router, router_section) = match routers.pop() {
            Some(placed) => (placed.entity, Some(placed.section)),
            None => (entity::default_router(), None),
        };
        warnings.sort_by_key(|warning| warning.line);
        return Ok(Configuration {
            router,
            log,
            policy,
            entities,
            warnings,
            router_section,
            path: None,
        });
    }
    errors.sort_by_key(|error| error.line);
    Err(errors)
}

/// The configuration of a router that was given none: it listens on 127.0.0.1, port 5672.
#[must_use]
pub fn default_configuration() -> Configuration {
    let text = "listener {\n host: 127.0.0.1\n port: 5672\n saslMechanisms: ANONYMOUS\n}\n";
    parse(&Arc::from("(default)"), text).expect("this text is a good configuration")
}

/// For the fuzzers: no text makes the reader panic, and every error names a line of the text.
#[doc(hidden)]
pub fn fuzz_config_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let lines = u32::try_from(text.split('\n').count()).unwrap_or(u32::MAX);
    for name in ["fuzz.conf", "fuzz.json"] {
        if let Err(errors) = parse(&Arc::from(name), text) {
            assert!(!errors.is_empty(), "a refusal without a reason");
            assert!(errors.iter().all(|error| error.line <= lines), "{errors:?}");
        }
    }
}

#[cfg(test)]
mod tests;
