//! Who a certificate is about: the user that it makes of a peer, and until when.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use amqp_proto::Identity;
use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::Version;
use x509_cert::attr::AttributeValue;
use x509_cert::der::asn1::{
    BmpString, Ia5StringRef, ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef,
};
use x509_cert::der::oid::db::rfc5280::ANY_EXTENDED_KEY_USAGE;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::name::Name;

use crate::problem::Problem;

/// Letters that a format may have.
const LETTERS_MAX: usize = 7;

/// Names in a subject as they are written, by their object identifiers.
const NAMES: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// How a certificate is made into a user.
#[derive(Clone, Debug, Default)]
pub(crate) struct Naming {
    /// What the user is composed of; `None`: the whole subject.
    parts: Option<Vec<Part>>,
    /// Composed users and what they are called.
    names: BTreeMap<String, String>,
}

/// A part of a composed user.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// A field of the subject.
    Field(&'static str),
    /// A fingerprint of the certificate.
    Digest(&'static digest::Algorithm),
}

impl Naming {
    /// Reads a format; one that is wrong counts as none, as it always did.
    pub(crate) fn new(
        format: Option<&str>,
        names: BTreeMap<String, String>,
        warnings: &mut Vec<Problem>,
    ) -> Self {
        let parts = format.map(|format| format.chars().map(part).collect::<Option<Vec<_>>>());
        let parts = match parts {
            Some(Some(parts)) if parts.len() <= LETTERS_MAX => Some(parts),
            Some(_) => {
                let text = format!(
                    "'{}' is no format: the user is the whole subject of the certificate",
                    format.unwrap_or_default()
                );
                let remedy = "at most seven letters of csloun and one of 125";
                warnings.push(Problem::new("uidFormat", text).with_remedy(remedy));
                None
            }
            None => None,
        };
        Self { parts, names }
    }

    /// Who has shown this certificate.
    pub(crate) fn identify(&self, certificate: &CertificateDer<'_>) -> Option<Identity> {
        let parsed = Certificate::from_der(certificate).ok()?;
        let subject = &parsed.tbs_certificate.subject;
        let user = match &self.parts {
            None => one_line(subject),
            Some(parts) => {
                let part = |part: &Part| match part {
                    Part::Field(name) => field(subject, name),
                    Part::Digest(algorithm) => {
                        Some(hex(digest::digest(algorithm, certificate).as_ref()))
                    }
                };
                let parts: Vec<String> = parts.iter().filter_map(part).collect();
                parts.join(";")
            }
        };
        let user = self.names.get(&user).unwrap_or(&user);
        Some(Identity {
            certificate: Bytes::copy_from_slice(certificate),
            user: user.clone(),
        })
    }
}

fn part(letter: char) -> Option<Part> {
    Some(match letter {
        'c' => Part::Field("C"),
        's' => Part::Field("ST"),
        'l' => Part::Field("L"),
        'o' => Part::Field("O"),
        'u' => Part::Field("OU"),
        'n' => Part::Field("CN"),
        '1' => Part::Digest(&SHA1_FOR_LEGACY_USE_ONLY),
        '2' => Part::Digest(&SHA256),
        '5' => Part::Digest(&SHA512),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn name_of(oid: &ObjectIdentifier) -> String {
    let oid = oid.to_string();
    let known = NAMES.iter().find(|(number, _)| *number == oid);
    known.map_or(oid, |(_, name)| (*name).to_owned())
}

/// The text of a field, in whichever of the standard's alphabets.
fn text(value: &AttributeValue) -> Option<String> {
    let bytes = value.to_der().ok()?;
    if let Ok(text) = Utf8StringRef::from_der(&bytes) {
        return Some(text.as_str().to_owned());
    }
    if let Ok(text) = PrintableStringRef::from_der(&bytes) {
        return Some(text.as_str().to_owned());
    }
    if let Ok(text) = Ia5StringRef::from_der(&bytes) {
        return Some(text.as_str().to_owned());
    }
    if let Ok(text) = BmpString::from_der(&bytes) {
        let units = text.as_ref().chunks_exact(2);
        let units = units.map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        return char::decode_utf16(units).collect::<Result<_, _>>().ok();
    }
    let text = TeletexStringRef::from_der(&bytes).ok()?;
    Some(text.as_str().to_owned())
}

/// The first field of a subject that has this name.
pub(crate) fn field(subject: &Name, name: &str) -> Option<String> {
    let fields = subject.0.iter().flat_map(|set| set.0.iter());
    let mut named = fields.filter(|field| name_of(&field.oid) == name);
    named.next().and_then(|field| text(&field.value))
}

/// A subject in one line, the last field first (RFC 2253 §2.1), as the incumbent has it.
fn one_line(subject: &Name) -> String {
    let sets = subject.0.iter().rev().map(|set| {
        let fields = set.0.iter().map(|field| {
            let value = text(&field.value).unwrap_or_default();
            format!("{}={}", name_of(&field.oid), escaped(&value))
        });
        fields.collect::<Vec<_>>().join("+")
    });
    sets.collect::<Vec<_>>().join(",")
}

/// A value as it stands in a subject's line: what would end it is marked (RFC 2253 §2.4).
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut line = String::with_capacity(value.len());
    for (place, letter) in value.chars().enumerate() {
        let is_edge =
            (place == 0 && matches!(letter, '#' | ' ')) || (place == last && letter == ' ');
        match letter {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => line.extend(['\\', letter]),
            _ if is_edge => line.extend(['\\', letter]),
            ' '..='~' => line.push(letter),
            _ => {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    write!(line, "\\{byte:02X}").expect("a string takes everything");
                }
            }
        }
    }
    line
}

/// Seconds from 1970-01-01 UTC to the end of a certificate's validity.
pub(crate) fn expiry(certificate: &CertificateDer<'_>) -> Option<u64> {
    let parsed = Certificate::from_der(certificate).ok()?;
    let end = parsed.tbs_certificate.validity.not_after;
    Some(end.to_unix_duration().as_secs())
}

/// The common name of a certificate that names nobody in its extension for names.
pub(crate) fn lone_common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    const ALTERNATIVE_NAMES: &str = "2.5.29.17";
    let parsed = Certificate::from_der(certificate).ok()?.tbs_certificate;
    let mut extensions = parsed.extensions.iter().flatten();
    if extensions.any(|extension| extension.extn_id.to_string() == ALTERNATIVE_NAMES) {
        return None;
    }
    field(&parsed.subject, "CN")
}

/// What a certificate may be used for, as far as whoever names it depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Whom it is about, and who signed it, as their bytes.
    pub(crate) subject: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    /// It may sign others: RFC 5280 §4.2.1.9, and what was usual before there were extensions.
    pub(crate) signs: bool,
    /// What its holder may be (RFC 5280 §4.2.1.12); `None`: anything.
    purposes: Option<Vec<ObjectIdentifier>>,
}

impl Uses {
    /// Reads a certificate.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = Certificate::from_der(certificate).ok()?.tbs_certificate;
        let constraints = parsed.get::<BasicConstraints>().ok()?;
        let usage = parsed.get::<KeyUsage>().ok()?;
        let purposes = parsed.get::<ExtendedKeyUsage>().ok()?;
        Some(Self {
            subject: parsed.subject.to_der().ok()?,
            issuer: parsed.issuer.to_der().ok()?,
            signs: match (constraints, usage) {
                (Some((_, constraints)), _) => constraints.ca,
                (None, Some((_, usage))) => usage.key_cert_sign(),
                (None, None) => parsed.version == Version::V1,
            },
            purposes: purposes.map(|(_, purposes)| purposes.0),
        })
    }

    /// Whether its holder may be what `purpose` says.
    pub(crate) fn allow(&self, purpose: ObjectIdentifier) -> bool {
        let allowed = [purpose, ANY_EXTENDED_KEY_USAGE];
        let purposes = self.purposes.as_ref();
        purposes.is_none_or(|purposes| purposes.iter().any(|given| allowed.contains(given)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_alphabet() {
        for (value, expected) in [
            (&b"\x0c\x02\xc3\xa9"[..], "é"),
            (b"\x13\x02ab", "ab"),
            (b"\x16\x03a@b", "a@b"),
            (b"\x14\x02ab", "ab"),
            (b"\x1e\x04\x00a\x01\x00", "aĀ"),
        ] {
            let value = AttributeValue::from_der(value).unwrap();
            assert_eq!(text(&value).as_deref(), Some(expected));
        }
    }
}
