//! TLS of the client verbs: its options, and what they make of a connection.
//!
//! Owns the files and the words; whether there is TLS is the endpoint's. The options are called as
//! those of `qdstat`. Decision: the files are read once, as a profile of the router's, so that what
//! works there works here.

use std::path::PathBuf;
use std::sync::Arc;

use amqp_proto::Transform;
use clap::Args;
use management::settings::ProfileSettings;
use tls::{Problem, Profile};

use crate::cli::failure::Failure;
use crate::profiles;

/// Options that ask for TLS, as `amqps://` does.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsOptions {
    /// Trust the authorities in this file (PEM) to sign the router's certificate, and no others.
    #[arg(long, value_name = "FILE")]
    pub ssl_trustfile: Option<PathBuf>,
    /// Show this certificate (PEM), by which the router may know us (EXTERNAL).
    #[arg(long, value_name = "FILE", requires = "ssl_key")]
    pub ssl_certificate: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires = "ssl_certificate")]
    pub ssl_key: Option<PathBuf>,
    /// The password of the key; other programs of this machine can see it.
    #[arg(
        long,
        value_name = "PASSWORD",
        requires = "ssl_key",
        conflicts_with = "ssl_password_file"
    )]
    pub ssl_password: Option<String>,
    /// Take the password of the key from the first line of a file.
    #[arg(long, value_name = "FILE", requires = "ssl_key")]
    pub ssl_password_file: Option<PathBuf>,
    /// Do not check that the router's certificate is for its host.
    #[arg(long)]
    pub ssl_disable_peer_name_verify: bool,
}

/// How connections are put inside TLS.
#[derive(Clone, Debug)]
pub struct Secure {
    profile: Arc<Profile>,
    checks_name: bool,
    has_certificate: bool,
}

impl TlsOptions {
    /// Whether one of them asks for TLS, whatever the URL says.
    #[must_use]
    pub fn ask(&self) -> bool {
        let files = [&self.ssl_trustfile, &self.ssl_certificate];
        self.ssl_disable_peer_name_verify || files.iter().any(|file| file.is_some())
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Whatever is wrong with them.
    pub fn read(&self) -> Result<Secure, Failure> {
        let path = |file: &Option<PathBuf>| Some(file.as_ref()?.to_string_lossy().into_owned());
        let settings = ProfileSettings {
            cert_file: path(&self.ssl_certificate),
            key_file: path(&self.ssl_key),
            password: self
                .ssl_password
                .as_ref()
                .map(|text| format!("literal:{text}")),
            password_file: path(&self.ssl_password_file),
            authority_file: path(&self.ssl_trustfile),
            ..ProfileSettings::default()
        };
        let profile = profiles::load(&settings).map_err(|problems| unusable(&problems))?;
        Ok(Secure {
            profile: Arc::new(profile),
            checks_name: !self.ssl_disable_peer_name_verify,
            has_certificate: self.ssl_certificate.is_some(),
        })
    }
}

impl Secure {
    /// Whether the router is shown a certificate.
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        self.has_certificate
    }

    /// The stage of a connection to a host.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn stage(&self, host: &str) -> Result<Box<dyn Transform>, Failure> {
        let connected = self.profile.connect(host, self.checks_name);
        connected.map_err(|why| Failure::new(format!("no TLS with {host}: {}", in_options(&why))))
    }
}

/// Why TLS has failed, with what to do about it.
pub fn failed(peer: &str, why: &str) -> Failure {
    Failure::new(format!("TLS with {peer} failed: {}", in_options(why))).hint(
        "--ssl-trustfile FILE names who may sign its certificate, which must be for the host of \
         --url; --ssl-certificate and --ssl-key are what it is shown",
    )
}

/// The files that cannot be used, by the options that named them.
fn unusable(problems: &[Problem]) -> Failure {
    let texts = problems
        .iter()
        .map(|problem| format!("{}: {}", in_options(problem.attribute), problem.text));
    Failure::new(texts.collect::<Vec<_>>().join("; "))
}

/// A text about attributes of a profile, in the names of the options.
fn in_options(text: &str) -> String {
    const NAMES: [(&str, &str); 6] = [
        ("caCertFile", "--ssl-trustfile"),
        ("certFile", "--ssl-certificate"),
        ("privateKeyFile", "--ssl-key"),
        ("passwordFile", "--ssl-password-file"),
        ("password", "--ssl-password-file"),
        ("host, verifyHostname", "--url"),
    ];
    match NAMES.iter().find(|(attribute, _)| *attribute == text) {
        Some((_, option)) => (*option).to_owned(),
        // Only what stands in brackets is a name there.
        None => NAMES
            .iter()
            .fold(text.to_owned(), |text, (attribute, option)| {
                text.replace(&format!("({attribute})"), &format!("({option})"))
            }),
    }
}
