//! Authorities and certificates, made on the spot.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, string::Ia5String,
};
use tls::Material;

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate with its key, as PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::of(name, IsCa::Ca(BasicConstraints::Unconstrained))
    }

    /// One whose certificate says so, or does not.
    pub(crate) fn of(name: &str, is_ca: IsCa) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = is_ca;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for a host, and what `change` makes of it.
    pub(crate) fn issue(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, host);
        params.subject_alt_names = vec![match host.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(Ia5String::try_from(host).unwrap()),
        }];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// What a profile is made of that has such a certificate and trusts this authority.
    pub(crate) fn material(&self, host: &str) -> Material {
        self.issue(host, |_| {}).material(Some(self))
    }

    /// What a profile is made of that trusts this authority.
    pub(crate) fn trust(&self) -> Material {
        Material {
            authorities: Some(self.pem.clone().into()),
            ..Material::default()
        }
    }
}

impl Pair {
    /// A certificate for a host that has signed itself and calls itself an authority's, as those do
    /// that `openssl req -x509` makes.
    pub(crate) fn of_itself(host: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, host);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// What a profile is made of that trusts this certificate.
    pub(crate) fn trust(&self) -> Material {
        Material {
            authorities: Some(self.certificate.clone().into()),
            ..Material::default()
        }
    }

    pub(crate) fn material(self, trusted: Option<&Authority>) -> Material {
        Material {
            certificate: Some(self.certificate.into()),
            private_key: Some(self.key.into()),
            authorities: trusted.map(|authority| authority.pem.clone().into()),
            ..Material::default()
        }
    }
}
