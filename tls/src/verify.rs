//! How each side convinces itself of who the other is.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH};

use crate::identity::{Uses, lone_common_name};

const SECONDS_OF_A_DAY: u64 = 86_400;

/// Names of a certificate that an error shows.
const NAMES_SHOWN_MAX: usize = 4;

/// Whom a profile trusts.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// Who may sign certificates.
    pub(crate) roots: Arc<RootCertStore>,
    /// The certificates that the profile itself names.
    named: Arc<[Named]>,
}

/// A certificate that a profile names.
#[derive(Debug)]
struct Named {
    certificate: CertificateDer<'static>,
    uses: Uses,
}

impl Trust {
    /// Trusts who has signed with `roots`, of which the profile itself names some.
    pub(crate) fn new(roots: Arc<RootCertStore>, named: Vec<CertificateDer<'static>>) -> Self {
        let named = named.into_iter().filter_map(|certificate| {
            let uses = Uses::of(&certificate)?;
            Some(Named { certificate, uses })
        });
        Self {
            roots,
            named: named.collect(),
        }
    }

    /// What the profile's naming of certificates adds to what the library has found out about a
    /// peer that shows `end_entity` and says that the others lead from there to an authority.
    ///
    /// One that is not an authority's may be named: it is trusted itself. To the library it is a
    /// root like any other, but it must not sign for others. One that is an authority's and has
    /// signed itself, as `openssl req -x509` makes them, may be shown by its holder: the library
    /// refuses that and has checked the time by then, but not what it is for; that the peer has
    /// its key is seen by the handshake.
    fn judge(
        &self,
        found: Result<(), Error>,
        end_entity: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        purpose: ObjectIdentifier,
    ) -> Result<(), Error> {
        let mut shown = std::iter::once(end_entity).chain(others);
        match found {
            Ok(()) if shown.any(|shown| self.is_by_a_leaf(shown)) => {
                Err(CertificateError::UnknownIssuer.into())
            }
            Err(error) if is_of_an_authority(&error) => {
                let may = |uses: &Uses| uses.issuer == uses.subject && uses.allow(purpose);
                match self.named(end_entity) {
                    Some(named) if may(&named.uses) => Ok(()),
                    _ => Err(error),
                }
            }
            found => found,
        }
    }

    /// The certificate that is shown, if the profile names it.
    fn named(&self, shown: &CertificateDer<'_>) -> Option<&Named> {
        let mut named = self.named.iter();
        named.find(|named| named.certificate.as_ref() == shown.as_ref())
    }

    /// Whether a certificate was signed by one that is named and must not sign, as far as names
    /// tell.
    fn is_by_a_leaf(&self, shown: &CertificateDer<'_>) -> bool {
        let mut leaves = self.named.iter().filter(|named| !named.uses.signs);
        if leaves.clone().next().is_none() || self.named(shown).is_some() {
            return false;
        }
        let uses = Uses::of(shown);
        leaves.any(|leaf| {
            let uses = uses.as_ref();
            uses.is_none_or(|uses| uses.issuer == leaf.uses.subject)
        })
    }
}

/// Whether what speaks against a peer's certificate is that it is an authority's.
fn is_of_an_authority(error: &Error) -> bool {
    match error {
        // For this reason the library has no case, only a name.
        Error::InvalidCertificate(CertificateError::Other(reason)) => {
            reason.to_string() == "CaUsedAsEndEntity"
        }
        _ => false,
    }
}

/// Checks the chain of a server's certificates always, and whom they are for unless told not to.
///
/// The common name counts where a certificate has no extension for names at all: devices and
/// brokers in the field have such, and the incumbent took them.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    pub(crate) trust: Trust,
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) checks_name: bool,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let found = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.trust.roots,
            intermediates,
            now,
            algorithms,
        );
        self.trust
            .judge(found, end_entity, intermediates, ID_KP_SERVER_AUTH)?;
        if self.checks_name
            && let Err(error) = verify_server_name(&parsed, server_name)
            && !is_common_name(end_entity, server_name)
        {
            return Err(error);
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

/// Checks the chain of a client's certificates as the library does.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    pub(crate) inner: Arc<dyn ClientCertVerifier>,
    pub(crate) trust: Trust,
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .inner
            .verify_client_cert(end_entity, intermediates, now);
        let found = verified.map(|_| ());
        self.trust
            .judge(found, end_entity, intermediates, ID_KP_CLIENT_AUTH)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Whether a certificate without other names has this one.
fn is_common_name(certificate: &CertificateDer<'_>, wanted: &ServerName<'_>) -> bool {
    lone_common_name(certificate).is_some_and(|name| name.eq_ignore_ascii_case(&wanted.to_str()))
}

/// The names in a certificate, of which the library tells kind and text: `DnsName("a.b")`.
fn names(presented: &[String]) -> String {
    let names = presented.iter().take(NAMES_SHOWN_MAX).map(|name| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest);
        inner.trim_end_matches(')').trim_matches('"')
    });
    let mut names: Vec<&str> = names.collect();
    match presented.len() {
        0 => return "no name".to_owned(),
        count if count > NAMES_SHOWN_MAX => names.push("others"),
        _ => {}
    }
    names.join(", ")
}

/// Why a handshake failed, for people: what it is, and what to do about it.
pub(crate) fn explain(error: &Error) -> String {
    use rustls::AlertDescription as Alert;
    match error {
        Error::InvalidCertificate(reason) => match reason {
            CertificateError::UnknownIssuer => {
                "the peer's certificate is signed by no authority that is trusted (caCertFile)"
                    .to_owned()
            }
            CertificateError::ExpiredContext { time, not_after } => {
                let seconds = time.as_secs().saturating_sub(not_after.as_secs());
                let days = seconds / SECONDS_OF_A_DAY;
                format!("the peer's certificate has expired (whole days since then: {days})")
            }
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => format!(
                "the peer's certificate is for {}, not for {} (host, verifyHostname)",
                names(presented),
                expected.to_str()
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the peer's certificate is not valid yet".to_owned()
            }
            _ if is_of_an_authority(error) => {
                "the peer's certificate is an authority's own, and not itself trusted by name \
                 (caCertFile)"
                    .to_owned()
            }
            reason => format!("the peer's certificate cannot be trusted: {reason}"),
        },
        Error::NoCertificatesPresented => {
            "peer did not return a certificate, which is required".to_owned()
        }
        Error::AlertReceived(alert) => match alert {
            Alert::UnknownCA => {
                "the peer trusts no authority that signed this router's certificate".to_owned()
            }
            Alert::CertificateExpired => {
                "the peer says that this router's certificate has expired".to_owned()
            }
            Alert::CertificateRequired => {
                "the peer wants a certificate of this router (certFile)".to_owned()
            }
            Alert::ProtocolVersion | Alert::HandshakeFailure => format!(
                "the peer refuses what this router offers of TLS (protocols, ciphers): {alert:?}"
            ),
            alert => format!("the peer has ended TLS: {alert:?}"),
        },
        Error::PeerIncompatible(what) => format!("nothing in common with the peer: {what:?}"),
        Error::PeerMisbehaved(what) => format!("the peer breaks the rules of TLS: {what:?}"),
        Error::InvalidMessage(what) => format!("what came is not TLS, or damaged: {what:?}"),
        error => error.to_string(),
    }
}
