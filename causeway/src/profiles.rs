//! Profiles for TLS: their files, read when a profile is made, when somebody asks for it and when
//! they have changed, and the stages that new connections get from them.
//!
//! Connections that are open keep what they began with. Files that are bad change nothing but the
//! log. Decision: files are looked at from time to time, without a watch by the operating system:
//! that works on every file system, and with links that are moved from one folder to another.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use amqp_proto::{Time, Transform};
use jiff::Timestamp;
use management::ProfileState;
use management::settings::ProfileSettings;
use router_core::settings::TlsSettings;
use tls::{ClientCertificate, Material, Problem, Profile};

use crate::clock::time_of_day;
use crate::log::{Level, Log, Module};
use crate::password;
use crate::socket::error_text;
use crate::stamp::Stamp;

/// How often it is looked whether files have changed.
const LOOK: Duration = Duration::from_secs(5);

/// Bytes of a file; a larger one is something else.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// How long before its end a certificate is told of.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// When what a profile has comes to its end, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    /// The certificate.
    pub(crate) certificate: Option<u64>,
    /// The first of the authorities.
    pub(crate) authorities: Option<u64>,
}

/// The profiles of a router.
#[derive(Debug, Default)]
pub(crate) struct Profiles {
    known: Vec<Known>,
    /// Read in advance, for those that are about to be taken up.
    prepared: Vec<Known>,
    next_look: Option<Time>,
}

#[derive(Debug)]
struct Known {
    settings: ProfileSettings,
    profile: Arc<Profile>,
    stamps: Vec<Option<Stamp>>,
    /// Why its files cannot be used as they are now, which the log has been told.
    unusable: Option<String>,
}

/// A profile with what its files say, to be taken up later.
#[derive(Debug)]
pub(crate) struct Loaded(Known);

impl Loaded {
    /// Reads the files of a profile.
    ///
    /// # Errors
    /// All that is wrong with it, in one text.
    pub(crate) fn read(settings: &ProfileSettings) -> Result<Self, String> {
        let stamps = stamps(settings);
        let profile = load(settings).map_err(|problems| joined(&problems))?;
        Ok(Self(Known {
            settings: settings.clone(),
            profile: Arc::new(profile),
            stamps,
            unusable: None,
        }))
    }
}

impl Profiles {
    /// Has new connections get what files say that were read in advance, and keeps the rest for
    /// [`Profiles::set`]; the profiles that have changed.
    pub(crate) fn adopt(&mut self, loaded: Vec<Loaded>, log: &Log) -> Vec<(String, ProfileState)> {
        let mut changed = Vec::new();
        for Loaded(new) in loaded {
            let mut known = self.known.iter_mut();
            match known.find(|known| known.settings == new.settings) {
                None => self.prepared.push(new),
                Some(known) if known.stamps == new.stamps => {}
                Some(known) => {
                    changed.push((new.settings.name.clone(), state(&new.profile)));
                    *known = new;
                    known.tell_renewed(log);
                }
            }
        }
        changed
    }

    /// Forgets what was read in advance and not taken up.
    pub(crate) fn forget_prepared(&mut self) {
        self.prepared.clear();
    }

    /// Takes up a profile.
    ///
    /// # Errors
    /// All that is wrong with it, in one text.
    pub(crate) fn set(
        &mut self,
        settings: &ProfileSettings,
        log: &Log,
    ) -> Result<ProfileState, String> {
        let mut prepared = self.prepared.iter();
        let prepared = prepared.position(|known| known.settings == *settings);
        let known = match prepared {
            Some(at) => self.prepared.swap_remove(at),
            None => Loaded::read(settings)?.0,
        };
        let state = state(&known.profile);
        tell_expiry(&settings.name, &known.profile, log);
        self.known
            .retain(|known| known.settings.name != settings.name);
        self.known.push(known);
        self.next_look.get_or_insert(Time::ZERO + LOOK);
        Ok(state)
    }

    /// Reads the files of a profile anew.
    ///
    /// # Errors
    /// All that is wrong with it; then it stays as it was.
    pub(crate) fn reload(&mut self, name: &str, log: &Log) -> Result<ProfileState, String> {
        let mut known = self.known.iter_mut();
        let known = known.find(|known| known.settings.name == name);
        known
            .ok_or_else(|| "it is not there".to_owned())?
            .reload(log)
    }

    /// Forgets a profile.
    pub(crate) fn forget(&mut self, name: &str) {
        self.known.retain(|known| known.settings.name != name);
    }

    /// When [`look`](Self::look) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.next_look.filter(|_| !self.known.is_empty())
    }

    /// Reads files anew that have changed; the profiles that have.
    pub(crate) fn look(&mut self, now: Time, log: &Log) -> Vec<(String, ProfileState)> {
        let mut changed = Vec::new();
        if self.next_look.is_none_or(|due| now < due) {
            return changed;
        }
        self.next_look = Some(now + LOOK);
        for known in &mut self.known {
            if stamps(&known.settings) == known.stamps {
                continue;
            }
            let name = &known.settings.name;
            let name = name.clone();
            if let Ok(state) = known.reload(log) {
                changed.push((name, state));
            }
        }
        changed
    }

    /// The stage of a connection that was accepted.
    pub(crate) fn accept(&self, tls: &TlsSettings) -> Result<Box<dyn Transform>, String> {
        let known = self.find(&tls.profile)?;
        let asked = match (tls.needs_certificate, tls.asks_certificate) {
            (true, _) => ClientCertificate::Required,
            (_, true) if known.settings.authority_file.is_some() => ClientCertificate::Asked,
            _ => ClientCertificate::No,
        };
        let transform = known.profile.accept(tls.is_required, asked);
        transform.map_err(str::to_owned)
    }

    /// The stage of a connection to an HTTP listener: where peers must authenticate, it has to show
    /// a certificate, if that can be judged.
    pub(crate) fn accept_http(
        &self,
        tls: &TlsSettings,
        authenticates: bool,
    ) -> Result<Box<dyn Transform>, String> {
        let known = self.find(&tls.profile)?;
        let tls = TlsSettings {
            needs_certificate: authenticates && known.settings.authority_file.is_some(),
            asks_certificate: false,
            ..tls.clone()
        };
        self.accept(&tls)
    }

    /// The stage of a connection to `host`.
    pub(crate) fn connect(
        &self,
        tls: &TlsSettings,
        host: &str,
    ) -> Result<Box<dyn Transform>, String> {
        self.find(&tls.profile)?
            .profile
            .connect(host, tls.checks_host)
    }

    /// The profiles, each with the ends of what it has.
    pub(crate) fn expiries(&self) -> Vec<(String, Expiry)> {
        let expiry = |known: &Known| Expiry {
            certificate: known.profile.certificate_expiry(),
            authorities: known.profile.authority_expiry(),
        };
        let known = self.known.iter();
        known
            .map(|known| (known.settings.name.clone(), expiry(known)))
            .collect()
    }

    /// The profile of this name as it is now, for who makes stages elsewhere.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Profile>, String> {
        Ok(Arc::clone(&self.find(name)?.profile))
    }

    fn find(&self, name: &str) -> Result<&Known, String> {
        let mut known = self.known.iter();
        let known = known.find(|known| known.settings.name == name);
        known.ok_or_else(|| format!("there is no sslProfile '{name}'"))
    }
}

impl Known {
    fn tell_renewed(&self, log: &Log) {
        let name = &self.settings.name;
        let words = format!(
            "sslProfile {name}: its files were read anew; new connections get what is in them"
        );
        log.line(Module::ConnMgr, Level::Notice, words);
        tell_expiry(name, &self.profile, log);
    }

    fn reload(&mut self, log: &Log) -> Result<ProfileState, String> {
        let Self {
            settings,
            profile,
            stamps: seen,
            unusable,
        } = self;
        let name = &settings.name;
        *seen = stamps(settings);
        match load(settings) {
            Ok(loaded) => {
                *unusable = None;
                *profile = Arc::new(loaded);
                let state = state(profile);
                self.tell_renewed(log);
                Ok(state)
            }
            Err(problems) => {
                let text = joined(&problems);
                // Tried again at the next look: that a file may be read now need not show.
                seen.clear();
                if unusable.as_ref() != Some(&text) {
                    let words = format!(
                        "sslProfile {name}: its files cannot be used, what was read before stays \
                         in force: {text}"
                    );
                    log.line(Module::ConnMgr, Level::Error, words);
                    *unusable = Some(text.clone());
                }
                Err(text)
            }
        }
    }
}

fn joined(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

fn state(profile: &Profile) -> ProfileState {
    ProfileState {
        certificate_expires: profile.certificate_expiry().and_then(date),
        authorities_expire: profile.authority_expiry().and_then(date),
    }
}

/// A time as people and scripts read it.
fn date(seconds: u64) -> Option<String> {
    let time = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(time.to_string())
}

/// Says when a certificate is about to expire, or has.
fn tell_expiry(name: &str, profile: &Profile, log: &Log) {
    let Some(expiry) = profile.certificate_expiry() else {
        return;
    };
    let now = time_of_day().duration_since(SystemTime::UNIX_EPOCH);
    let left = expiry.saturating_sub(now.map_or(0, |now| now.as_secs()));
    if left < EXPIRES_SOON.as_secs() {
        let verb = if left == 0 {
            "has expired"
        } else {
            "expires soon"
        };
        let date = date(expiry).unwrap_or_default();
        let words = format!("sslProfile {name}: the certificate of certFile {verb}: {date}");
        log.line(Module::ConnMgr, Level::Warning, words);
    }
}

fn files(settings: &ProfileSettings) -> impl Iterator<Item = PathBuf> {
    let password = settings.password.as_deref();
    let password = password.and_then(|form| form.strip_prefix("file:"));
    let files = [
        settings.cert_file.as_deref(),
        settings.key_file.as_deref(),
        settings.password_file.as_deref(),
        settings.authority_file.as_deref(),
        settings.names_file.as_deref(),
        password,
    ];
    files.into_iter().flatten().map(PathBuf::from)
}

fn stamps(settings: &ProfileSettings) -> Vec<Option<Stamp>> {
    files(settings).map(|path| Stamp::of(&path)).collect()
}

/// Reads the files of a profile and makes it.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn load(settings: &ProfileSettings) -> Result<Profile, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut file = |attribute, path: &Option<String>| {
        let read = read(Path::new(path.as_ref()?));
        read.map_err(|error| problems.push(unreadable(attribute, path, &error)))
            .ok()
    };
    let material = Material {
        certificate: file("certFile", &settings.cert_file),
        private_key: file("privateKeyFile", &settings.key_file),
        authorities: file("caCertFile", &settings.authority_file),
        ciphers: settings.ciphers.clone(),
        protocols: settings.protocols.clone(),
        uid_format: settings.uid_format.clone(),
        ..Material::default()
    };
    let names = file("uidNameMappingFile", &settings.names_file);
    let material = Material {
        names: names.map_or_else(BTreeMap::new, |bytes| names_in(&bytes, &mut problems)),
        password: password_of(settings, &mut problems),
        public_roots: match settings.authority_file {
            Some(_) => Vec::new(),
            None => rustls_native_certs::load_native_certs().certs,
        },
        ..material
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    Profile::new(material)
}

fn unreadable(attribute: &'static str, path: &Option<String>, error: &io::Error) -> Problem {
    let path = path.as_deref().unwrap_or_default();
    let text = format!("{path} cannot be read: {}", error_text(error));
    Problem::new(attribute, text).with_remedy("name a file that this user may read")
}

/// Reads a file that is one, and no larger than such files are.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it is too large"));
    }
    Ok(bytes)
}

fn names_in(bytes: &[u8], problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    match serde_json::from_slice::<BTreeMap<String, String>>(bytes) {
        Ok(names) => names,
        Err(error) => {
            let text = format!("no map of names in JSON: {error}");
            problems.push(Problem::new("uidNameMappingFile", text));
            BTreeMap::new()
        }
    }
}

/// The password in one of its forms; beside one, a `passwordFile` does not count.
fn password_of(settings: &ProfileSettings, problems: &mut Vec<Problem>) -> Option<String> {
    let (attribute, read) = match (&settings.password, &settings.password_file) {
        (Some(form), _) => {
            let plain = form.strip_prefix("literal:").map(str::to_owned);
            let read = plain.map_or_else(|| password::read(form), Ok);
            ("password", read)
        }
        (None, Some(path)) => ("passwordFile", password::read(&format!("file:{path}"))),
        (None, None) => return None,
    };
    read.map_err(|text| problems.push(Problem::new(attribute, text)))
        .ok()
}

/// What is odd about a profile that can be used.
pub(crate) fn oddities(settings: &ProfileSettings, profile: &Profile) -> Vec<Problem> {
    let mut oddities = profile.warnings().to_vec();
    let form = settings.password.as_deref().unwrap_or("file:");
    if !(form.starts_with("env:") || form.starts_with("file:")) {
        let text = "It is unsafe to provide plain text passwords in the config file";
        oddities
            .push(Problem::new("password", text).with_remedy("write file:PATH or env:VARIABLE"));
    }
    if settings.password_file.is_some() {
        let text = "Attribute passwordFile of entity sslProfile has been deprecated. Use password \
                    field with the file: prefix instead.";
        oddities.push(Problem::new("passwordFile", text));
    }
    oddities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_before_a_file_with_one() {
        let of = |password: Option<&str>, file: Option<&str>| {
            let settings = ProfileSettings {
                password: password.map(str::to_owned),
                password_file: file.map(str::to_owned),
                ..ProfileSettings::default()
            };
            let mut problems = Vec::new();
            let password = password_of(&settings, &mut problems);
            let attributes = problems.into_iter().map(|problem| problem.attribute);
            (password, attributes.collect::<Vec<_>>())
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(of(Some("x"), Some("/nowhere")), (text("x"), vec![]));
        assert_eq!(of(Some("pass:x"), None), (text("x"), vec![]));
        assert_eq!(of(Some("literal:pass:x"), None), (text("pass:x"), vec![]));
        assert_eq!(of(None, Some("/nowhere")), (None, vec!["passwordFile"]));
        assert_eq!(of(Some("file:/nowhere"), None), (None, vec!["password"]));
        assert_eq!(of(None, None), (None, vec![]));
    }
}
