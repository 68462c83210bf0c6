//! TLS in a world: transforms of both roles from certificates that are made once.
//!
//! The library draws random numbers of its own, so the bytes on the wires differ from run to run.
//! Keys and certificates are chosen so that lengths do not, and with them nothing else.

use std::sync::OnceLock;

use amqp_proto::{Clear, Transform};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ED25519, SanType,
    SerialNumber,
};
use tls::{ClientCertificate, Material, Profile};

/// The name of every router.
const HOST: &str = "router.example";

/// Who protects the bytes of a connection, and at which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Who has connected.
    Dialler,
    Listener,
}

/// A transform for an end of the connection of this number: nothing, or TLS of either version,
/// where the dialler shows a certificate or does not.
pub(crate) fn transform(is_tls: bool, number: usize, end: End) -> Box<dyn Transform> {
    if !is_tls {
        return Box::new(Clear);
    }
    let profiles = PROFILES.get_or_init(|| {
        let made = make();
        made.unwrap_or_else(|error| panic!("no certificates: {error}"))
    });
    let transform = match end {
        End::Dialler => profiles.dialler[number % 3].connect(HOST, true),
        End::Listener => {
            let asked = match number % 2 {
                0 => ClientCertificate::No,
                _ => ClientCertificate::Required,
            };
            let accepted = profiles.listener.accept(true, asked);
            accepted.map_err(str::to_owned)
        }
    };
    transform.unwrap_or_else(|error| panic!("no transform: {error}"))
}

struct Profiles {
    listener: Profile,
    /// Of both versions, of the older, of the newer.
    dialler: [Profile; 3],
}

static PROFILES: OnceLock<Profiles> = OnceLock::new();

fn make() -> Result<Profiles, rcgen::Error> {
    // The signatures of this kind of key are all of one length.
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "authority");
    params.serial_number = Some(SerialNumber::from(1_u64));
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, HOST);
    params.subject_alt_names = vec![SanType::DnsName(Ia5String::try_from(HOST)?)];
    params.serial_number = Some(SerialNumber::from(2_u64));
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    let profile = |protocols: Option<&str>| {
        let material = Material {
            certificate: Some(certificate.clone().into()),
            private_key: Some(key.serialize_pem().into()),
            authorities: Some(authority.clone().into()),
            protocols: protocols.map(str::to_owned),
            ..Material::default()
        };
        Profile::new(material).unwrap_or_else(|problems| panic!("{problems:?}"))
    };
    Ok(Profiles {
        listener: profile(None),
        dialler: [None, Some("TLSv1.2"), Some("TLSv1.3")].map(profile),
    })
}
