//! What TLS costs: a line of two routers with and without it between them, and the cipher alone on
//! as many bytes.
//!
//! Owns the scenes. They are timed and never counted: which instructions a cipher takes is the
//! processor's business. Decision: with TLS on the one wire, each message is sealed by one router
//! and opened by the other, and so is its outcome; so the cipher alone seals and opens, too.

use amqp_codec::message::MessageBuilder;
use amqp_proto::Clear;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use rcgen::{CertificateParams, KeyPair};
use router_core::route::Treatment;
use tls::{ClientCertificate, Material, Profile};

use crate::bed::Bed;
use crate::workload::{Unit, Workload};

/// The host that the certificate is for.
const HOST: &str = "router";

/// Bytes that a message has around it on the wire, with its outcome.
const AROUND: usize = 120;

/// Bytes of a record.
const RECORD: usize = 16 * 1024;

/// Messages of a round, and their bytes.
type Round = (u32, usize);

const SMALL: Round = (32, 100);
const MEDIUM: Round = (32, 10_000);
const LARGE: Round = (2, 1 << 20);

/// What goes through TLS, beside the same without, and beside the cipher.
pub(crate) fn workloads() -> Vec<Workload> {
    vec![
        Workload::slow("tls.plain_100b", || line(SMALL, None)),
        Workload::slow("tls.line_100b", || line(SMALL, Some(profile()))),
        Workload::slow("tls.cipher_100b", || cipher(SMALL)),
        Workload::slow("tls.plain_10kb", || line(MEDIUM, None)),
        Workload::slow("tls.line_10kb", || line(MEDIUM, Some(profile()))),
        Workload::slow("tls.cipher_10kb", || cipher(MEDIUM)),
        Workload::slow("tls.plain_1mib", || line(LARGE, None)),
        Workload::slow("tls.line_1mib", || line(LARGE, Some(profile()))),
        Workload::slow("tls.cipher_1mib", || cipher(LARGE)),
    ]
}

/// A profile that trusts itself.
fn profile() -> Profile {
    let params = CertificateParams::new(vec![HOST.to_owned()]).expect("a good name");
    let key = KeyPair::generate().expect("there are random numbers");
    let certificate = params.self_signed(&key).expect("a good certificate").pem();
    let material = Material {
        certificate: Some(certificate.clone().into()),
        private_key: Some(key.serialize_pem().into()),
        authorities: Some(certificate.into()),
        ..Material::default()
    };
    Profile::new(material).expect("a good profile")
}

fn line((messages, bytes): Round, profile: Option<Profile>) -> Unit {
    let mut bed = Bed::line_through(2, Treatment::AnycastBalanced, || match &profile {
        None => [Box::new(Clear), Box::new(Clear)],
        Some(profile) => [
            profile.connect(HOST, true).expect("a good profile"),
            profile
                .accept(true, ClientCertificate::No)
                .expect("a good profile"),
        ],
    });
    bed.consumer((1, 0), "bench/0");
    bed.producer((0, 0), "bench/0", false);
    bed.settle();
    let message = MessageBuilder::new()
        .data(Bytes::from(vec![b'x'; bytes]))
        .build();
    bed.round(messages, &message);
    Box::new(move || bed.round(messages, &message))
}

/// Seals and opens what a round has on the wire, record by record, in place.
fn cipher((messages, bytes): Round) -> Unit {
    let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a good key");
    let key = LessSafeKey::new(key);
    let total = messages as usize * (bytes + AROUND);
    let mut record = Vec::with_capacity(RECORD + AES_256_GCM.tag_len());
    Box::new(move || {
        let mut left = total;
        let mut sum = 0;
        while left > 0 {
            let length = left.min(RECORD);
            record.resize(length, b'x');
            let nonce = || Nonce::assume_unique_for_key([1; 12]);
            key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut record)
                .expect("it seals");
            let opened = key.open_in_place(nonce(), Aad::empty(), &mut record);
            sum += opened.expect("it opens").len() as u64;
            left -= length;
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_passes_the_line_and_its_outcome_comes_back() {
        for workload in workloads() {
            let outcome = workload.prepare()();
            let expected = match workload.name {
                "tls.plain_1mib" | "tls.line_1mib" => 4,
                name if name.starts_with("tls.cipher") => outcome,
                _ => 64,
            };
            assert_eq!(outcome, expected, "{}", workload.name);
        }
    }
}
