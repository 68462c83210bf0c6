//! What an `sslProfile` is made of, checked once, and the stages that connections get from it.
//!
//! It gets texts, not files: whoever reads files does that elsewhere. Decision: a profile is
//! immutable; another one takes its place when its files have changed, and connections that are
//! open keep theirs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use amqp_proto::Transform;
use rustls::client::UnbufferedClientConnection;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ConfigBuilder, InconsistentKeys, RootCertStore, ServerConfig,
    SupportedProtocolVersion, WantsVerifier,
};

use crate::identity::{Naming, expiry};
use crate::problem::{Problem, Problems};
use crate::transform::TlsTransform;
use crate::verify::{ClientVerifier, ServerVerifier, Trust};
use crate::{key, suites};

/// What a profile is made of, as it was found.
#[derive(Clone, Default)]
pub struct Material {
    /// The text of `certFile`.
    pub certificate: Option<Vec<u8>>,
    /// The text of `privateKeyFile`.
    pub private_key: Option<Vec<u8>>,
    /// The password of the private key.
    pub password: Option<String>,
    /// The text of `caCertFile`.
    pub authorities: Option<Vec<u8>>,
    /// The authorities that this system trusts, for profiles without their own.
    pub public_roots: Vec<CertificateDer<'static>>,
    /// OpenSSL's list of cipher suites.
    pub ciphers: Option<String>,
    /// Versions of TLS.
    pub protocols: Option<String>,
    /// How a certificate is made into a user.
    pub uid_format: Option<String>,
    /// Users by what the format makes of their certificates.
    pub names: BTreeMap<String, String>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key and its password are nobody's business.
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

/// Whether peers of a listener show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificate {
    /// They are not asked.
    #[default]
    No,
    /// They are asked, and may have none.
    Asked,
    /// Who has none is refused.
    Required,
}

/// A profile without errors.
pub struct Profile {
    /// For each of [`ClientCertificate`]; `None` if the profile has not what it needs.
    servers: [Option<Arc<ServerConfig>>; 3],
    /// With names checked and without.
    clients: [Option<Arc<ClientConfig>>; 2],
    naming: Arc<Naming>,
    warnings: Vec<Problem>,
    certificate_expiry: Option<u64>,
    authority_expiry: Option<u64>,
    has_roots: bool,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").finish_non_exhaustive()
    }
}

impl Profile {
    /// Makes a profile.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn new(material: Material) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let versions = suites::versions(material.protocols.as_deref(), &mut problems);
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = suites::choose(material.ciphers.as_deref(), &mut problems);
        let provider = Arc::new(provider);
        let key = own_key(&material, &provider, &mut problems.errors);
        let authorities = authorities(&material, &mut problems.errors);
        let naming = Naming::new(
            material.uid_format.as_deref(),
            material.names,
            &mut problems.warnings,
        );
        if !problems.errors.is_empty() {
            return Err(problems.errors);
        }
        let mut profile = Self {
            servers: [None, None, None],
            clients: [None, None],
            naming: Arc::new(naming),
            warnings: Vec::new(),
            certificate_expiry: key.as_ref().and_then(|(chain, _)| expiry(chain.first()?)),
            authority_expiry: authorities.iter().flatten().filter_map(expiry).min(),
            has_roots: true,
        };
        let own = authorities.is_some();
        let named = authorities.clone().unwrap_or_default();
        let roots = roots(authorities.unwrap_or(material.public_roots));
        let trust = Trust::new(roots, named);
        profile.has_roots = !trust.roots.is_empty();
        if !versions.is_empty() {
            let parts = Parts {
                provider,
                versions,
                trust,
                key,
            };
            if let Err(problem) = profile.equip(&parts, own) {
                return Err(vec![problem]);
            }
        }
        profile.warnings = problems.warnings;
        Ok(profile)
    }

    /// Makes the library's configurations.
    fn equip(&mut self, parts: &Parts, own_roots: bool) -> Result<(), Problem> {
        let asked = [
            ClientCertificate::No,
            ClientCertificate::Asked,
            ClientCertificate::Required,
        ];
        for (place, asked) in self.servers.iter_mut().zip(asked) {
            if parts.key.is_some() && (own_roots || asked == ClientCertificate::No) {
                *place = Some(Arc::new(parts.server(asked)?));
            }
        }
        for (place, checks_name) in self.clients.iter_mut().zip([true, false]) {
            *place = Some(Arc::new(parts.client(checks_name)?));
        }
        Ok(())
    }

    /// What is odd about it.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// When its certificate expires, in seconds from 1970-01-01 UTC.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<u64> {
        self.certificate_expiry
    }

    /// When the first of its authorities expires, likewise.
    #[must_use]
    pub fn authority_expiry(&self) -> Option<u64> {
        self.authority_expiry
    }

    /// The stage of a connection that was accepted.
    ///
    /// # Errors
    /// What the profile lacks.
    pub fn accept(
        &self,
        is_required: bool,
        asked: ClientCertificate,
    ) -> Result<Box<dyn Transform>, &'static str> {
        Ok(Box::new(self.acceptor(is_required, asked)?))
    }

    pub(crate) fn acceptor(
        &self,
        is_required: bool,
        asked: ClientCertificate,
    ) -> Result<TlsTransform, &'static str> {
        let config = match asked {
            ClientCertificate::No => &self.servers[0],
            ClientCertificate::Asked => &self.servers[1],
            ClientCertificate::Required => &self.servers[2],
        };
        match config {
            Some(config) => {
                let config = Arc::clone(config);
                let naming = Arc::clone(&self.naming);
                Ok(TlsTransform::server(config, is_required, naming))
            }
            None if self.clients[0].is_none() => Err(NO_VERSION),
            None if self.servers[0].is_none() => Err("its sslProfile has no certFile"),
            None => Err("certificates are asked for, but its sslProfile has no caCertFile"),
        }
    }

    /// The stage of a connection to `host`.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn connect(&self, host: &str, checks_name: bool) -> Result<Box<dyn Transform>, String> {
        Ok(Box::new(self.connector(host, checks_name)?))
    }

    pub(crate) fn connector(&self, host: &str, checks_name: bool) -> Result<TlsTransform, String> {
        let config = &self.clients[usize::from(!checks_name)];
        let config = config.as_ref().ok_or(NO_VERSION)?;
        if !self.has_roots {
            let text = "no authority is trusted: its sslProfile has no caCertFile, and this system \
                        has none";
            return Err(text.to_owned());
        }
        let name = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(name)
            .map_err(|_| format!("'{host}' is no name that a certificate can have"))?;
        let has_certificate = config.client_auth_cert_resolver.has_certs();
        let connection = UnbufferedClientConnection::new(Arc::clone(config), name)
            .map_err(|error| error.to_string())?;
        let naming = Arc::clone(&self.naming);
        TlsTransform::client(connection, naming, has_certificate)
    }
}

/// Nobody can use a profile whose versions are all insecure.
const NO_VERSION: &str = "its sslProfile allows no version of TLS that is secure (protocols)";

/// What the library's configurations are made of.
struct Parts {
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    trust: Trust,
    key: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Parts {
    fn server(&self, asked: ClientCertificate) -> Result<ServerConfig, Problem> {
        let (chain, key) = self.key.as_ref().expect("a server's parts have a key");
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder
            .with_protocol_versions(&self.versions)
            .map_err(no_suite)?;
        let builder = if asked == ClientCertificate::No {
            builder.with_no_client_auth()
        } else {
            let roots = Arc::clone(&self.trust.roots);
            let provider = Arc::clone(&self.provider);
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            if asked == ClientCertificate::Asked {
                verifier = verifier.allow_unauthenticated();
            }
            let wrong = |error| Problem::new("caCertFile", format!("{error}"));
            let verifier = ClientVerifier {
                inner: verifier.build().map_err(wrong)?,
                trust: self.trust.clone(),
            };
            builder.with_client_cert_verifier(Arc::new(verifier))
        };
        let config = builder.with_single_cert(chain.clone(), key.clone_key());
        let mut config = config.map_err(bad_pair)?;
        // A session that is taken up again would outlive the certificates it was begun with.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn client(&self, checks_name: bool) -> Result<ClientConfig, Problem> {
        let builder: ConfigBuilder<ClientConfig, WantsVerifier> =
            ClientConfig::builder_with_provider(Arc::clone(&self.provider))
                .with_protocol_versions(&self.versions)
                .map_err(no_suite)?;
        let verifier = ServerVerifier {
            trust: self.trust.clone(),
            provider: Arc::clone(&self.provider),
            checks_name,
        };
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.key {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(bad_pair)?,
            None => builder.with_no_client_auth(),
        };
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }
}

fn no_suite(_: rustls::Error) -> Problem {
    let text = "none of these cipher suites belongs to any of these versions (protocols)";
    Problem::new("ciphers", text).with_remedy("leave one of the two out")
}

fn bad_pair(error: rustls::Error) -> Problem {
    Problem::new("privateKeyFile", format!("the key cannot be used: {error}"))
}

/// The profile's own certificates and key, if it has any.
fn own_key(
    material: &Material,
    provider: &CryptoProvider,
    errors: &mut Vec<Problem>,
) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = material
        .certificate
        .as_deref()
        .and_then(|pem| certificates("certFile", pem, errors));
    // A key that stands in the file of the certificate needs no other.
    let pem = material
        .private_key
        .as_deref()
        .or(material.certificate.as_deref())?;
    let key = match key::read(pem, material.password.as_deref()) {
        Ok(key) => key,
        Err(problem) if material.private_key.is_none() => {
            let remedy = "name the file with the certificate's private key";
            let text = format!("certFile has no privateKeyFile, {}", problem.text);
            errors.push(Problem::new("privateKeyFile", text).with_remedy(remedy));
            return None;
        }
        Err(problem) => {
            errors.push(problem);
            return None;
        }
    };
    if material.certificate.is_none() {
        let text = "privateKeyFile without a certificate";
        let remedy = "name the file with the certificate that belongs to the key";
        errors.push(Problem::new("certFile", text).with_remedy(remedy));
    }
    let chain = chain?;
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), provider) {
        Ok(_) => Some((chain, key)),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Some((chain, key)),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let text = "the key does not belong to the certificate of certFile";
            let remedy = "name the key with which the certificate was asked for";
            errors.push(Problem::new("privateKeyFile", text).with_remedy(remedy));
            None
        }
        Err(error) => {
            let text = format!("certificate and key cannot be used: {error}");
            errors.push(Problem::new("certFile", text));
            None
        }
    }
}

/// The authorities that the profile names.
fn authorities(
    material: &Material,
    errors: &mut Vec<Problem>,
) -> Option<Vec<CertificateDer<'static>>> {
    let pem = material.authorities.as_deref()?;
    let found = certificates("caCertFile", pem, errors)?;
    let mut store = RootCertStore::empty();
    for authority in &found {
        if let Err(error) = store.add(authority.clone()) {
            let text = format!("a certificate in the file is of no use: {error}");
            errors.push(Problem::new("caCertFile", text));
        }
    }
    Some(found)
}

fn certificates(
    attribute: &'static str,
    pem: &[u8],
    errors: &mut Vec<Problem>,
) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let problem = match read {
        Ok(read) if !read.is_empty() => return Some(read),
        Ok(_) => Problem::new(attribute, "no certificate in the file")
            .with_remedy("it must have a section that begins with -----BEGIN CERTIFICATE-----"),
        Err(error) => Problem::new(attribute, format!("no PEM text: {error}")),
    };
    errors.push(problem);
    None
}

fn roots(trusted: Vec<CertificateDer<'static>>) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Of a whole system's authorities some are always of a kind that cannot be used.
    roots.add_parsable_certificates(trusted);
    Arc::new(roots)
}
