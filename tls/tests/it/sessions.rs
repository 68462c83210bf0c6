//! What honest peers get.

use bytes::Bytes;
use rcgen::DnType;
use tls::{ClientCertificate, Material, Profile};

use crate::certificates::{Authority, Pair};
use crate::pair::{End, Two, established, profile};

#[test]
fn data_passes_both_ways_however_the_wire_cuts_it() {
    let authority = Authority::new("a");
    for piece in [1, 7, 1000, 16_411, usize::MAX] {
        let mut two = Two::new(
            authority.trust(),
            "hub.example",
            authority.material("hub.example"),
        );
        two.piece = piece;
        let mut two = two.run();
        let data: Vec<u8> = (0..200_000u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        two.client.say(b"AMQP\x00\x01\x00\x00");
        two.client.output.push_shared(Bytes::from(data.clone()));
        two.client.say(b"end");
        two.server.say(b"answer");
        let two = two.run();
        assert_eq!(
            two.errors(),
            (String::new(), String::new()),
            "pieces of {piece}"
        );
        assert_eq!(two.server.input.len(), 8 + data.len() + 3);
        assert_eq!(two.client.input.len(), 6);
    }
}

#[test]
fn both_versions_are_spoken_and_told() {
    let authority = Authority::new("a");
    let facts = |protocols: &str, ciphers: &str| {
        let material = Material {
            protocols: Some(protocols.to_owned()),
            ciphers: Some(ciphers.to_owned()),
            ..authority.material("127.0.0.1")
        };
        let two = established(material, authority.trust(), "127.0.0.1");
        let security = two.server.transform.security().unwrap().clone();
        (security.protocol, security.cipher, security.bits)
    };
    assert_eq!(
        facts("TLSv1.3", "ALL"),
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
    );
    let one = "ECDHE-ECDSA-AES128-GCM-SHA256";
    assert_eq!(facts("TLSv1.2", one), ("TLSv1.2", one, 128));
}

#[test]
fn names_and_addresses_are_checked_unless_that_is_switched_off() {
    let authority = Authority::new("a");
    for (certified, dialled, is_fine) in [
        ("hub.example", "hub.example", true),
        ("hub.example", "HUB.example", true),
        ("hub.example", "other.example", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("::1", "[::1]", true),
    ] {
        let two = Two::new(authority.trust(), dialled, authority.material(certified)).run();
        assert_eq!(
            two.client.transform.is_ready(),
            is_fine,
            "{certified} {dialled}"
        );
        assert_eq!(two.errors().0.contains("certificate is for"), !is_fine);
    }
    let mut two = Two::new(
        authority.trust(),
        "x.example",
        authority.material("hub.example"),
    );
    two.client = End::new(
        profile(authority.trust())
            .connect("x.example", false)
            .unwrap(),
    );
    assert!(two.run().client.transform.is_ready());
}

#[test]
fn a_common_name_counts_where_there_are_no_other_names() {
    let authority = Authority::new("a");
    let lone = |host: &str| {
        let pair = authority.issue(host, |params| params.subject_alt_names.clear());
        let two = Two::new(authority.trust(), "hub.example", pair.material(None)).run();
        two.client.transform.is_ready()
    };
    assert!(lone("hub.example"));
    assert!(!lone("other.example"));
}

#[test]
fn peers_show_certificates_where_they_are_asked() {
    let authority = Authority::new("a");
    let with = |own: bool, asked| {
        let client = if own {
            authority.material("device")
        } else {
            authority.trust()
        };
        Two::asking(client, "hub", authority.material("hub"), asked).run()
    };
    let user = |two: &Two| {
        let security = two.server.transform.security()?;
        Some(security.identity.as_ref()?.user.clone())
    };
    assert_eq!(user(&with(true, ClientCertificate::No)), None);
    assert_eq!(
        user(&with(true, ClientCertificate::Asked)).as_deref(),
        Some("CN=device")
    );
    assert_eq!(
        user(&with(true, ClientCertificate::Required)).as_deref(),
        Some("CN=device")
    );
    let without = with(false, ClientCertificate::Asked);
    assert!(without.server.transform.is_ready() && user(&without).is_none());
    let refused = with(false, ClientCertificate::Required);
    assert!(!refused.server.transform.is_ready());
    assert!(refused.errors().1.contains("did not return a certificate"));
    assert!(refused.errors().0.contains("wants a certificate"));
}

#[test]
fn a_certificate_is_made_into_a_user_as_the_format_says() {
    let authority = Authority::new("a");
    let user = |format: Option<&str>, names: &[(&str, &str)]| {
        let pair = authority.issue("h", |params| {
            let name = &mut params.distinguished_name;
            *name = rcgen::DistinguishedName::new();
            name.push(DnType::CountryName, "US");
            name.push(DnType::StateOrProvinceName, "NC");
            name.push(DnType::OrganizationName, "Client, Inc");
            name.push(DnType::CommonName, "127.0.0.1");
        });
        let names = names.iter();
        let server = Material {
            uid_format: format.map(str::to_owned),
            names: names
                .map(|(uid, name)| ((*uid).to_owned(), (*name).to_owned()))
                .collect(),
            ..authority.material("hub")
        };
        let client = pair.material(Some(&authority));
        let two = Two::asking(client, "hub", server, ClientCertificate::Required).run();
        let security = two.server.transform.security().unwrap();
        security.identity.as_ref().unwrap().user.clone()
    };
    assert_eq!(user(None, &[]), "CN=127.0.0.1,O=Client\\, Inc,ST=NC,C=US");
    assert_eq!(user(Some("nlocs"), &[]), "127.0.0.1;Client, Inc;US;NC");
    assert_eq!(user(Some("cs"), &[("US;NC", "carolina")]), "carolina");
    assert_eq!(user(Some("1"), &[]).len(), 40);
    assert_eq!(user(Some("n5"), &[]).len(), 10 + 128);
    assert_eq!(
        user(Some("nq"), &[]),
        user(None, &[]),
        "a wrong format is none"
    );
}

#[test]
fn one_port_serves_plain_text_and_tls_where_tls_is_not_required() {
    let authority = Authority::new("a");
    let server = profile(authority.material("hub"));
    let listen = || End::new(server.accept(false, ClientCertificate::No).unwrap());
    for word in [
        &b"AMQP\x00\x01\x00\x00"[..],
        b"AMQP\x03\x01\x00\x00",
        b"GET / HTTP/1.1",
    ] {
        for piece in [1, 100] {
            let mut plain = listen();
            plain.hear(word, piece);
            assert!(plain.transform.is_clear() && plain.transform.security().is_none());
            assert_eq!(plain.input.len(), word.len());
            plain.say(b"answer");
            assert_eq!(plain.sealed(), b"answer");
        }
    }
    let mut two = Two::new(authority.trust(), "hub", authority.material("hub"));
    two.server = listen();
    assert!(two.run().server.transform.security().is_some());
    // The standard's own way to announce TLS is answered in kind (amqp-1.0 §5.2.1).
    let mut two = Two::new(authority.trust(), "hub", authority.material("hub"));
    two.server = listen();
    two.server.hear(b"AMQP\x02\x01\x00\x00", 3);
    assert_eq!(two.server.sealed(), b"AMQP\x02\x01\x00\x00");
    assert!(two.run().server.transform.is_ready());
}

#[test]
fn who_takes_leave_is_told_from_who_is_cut_off() {
    let authority = Authority::new("a");
    let mut two = established(authority.material("hub"), authority.trust(), "hub");
    assert!(two.server.transform.is_cut_here());
    two.client.say(b"last words");
    two.client.transform.finish();
    assert!(two.client.transform.has_output());
    let two = two.run();
    assert!(!two.server.transform.is_cut_here());
    assert_eq!(two.server.input.len(), 10);
    assert!(!two.client.transform.has_output());
}

#[test]
fn every_form_of_private_key_is_read() {
    let authority = Authority::new("a");
    let Pair { certificate, key } = authority.issue("hub", |_| {});
    let der = pem_body(&key);
    let password = Some("between us".to_owned());
    let encrypted = pkcs8::PrivateKeyInfo::try_from(&der[..]).unwrap();
    let (salt, vector) = ([7; 16], [9; 16]);
    let scheme = pkcs8::pkcs5::pbes2::Parameters::pbkdf2_sha256_aes256cbc(1000, &salt, &vector);
    let encrypted = encrypted
        .encrypt_with_params(scheme.unwrap(), "between us")
        .unwrap();
    let encrypted = encrypted
        .to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF)
        .unwrap();
    let encrypted = format!(
        "Bag Attributes\n    friendlyName: x\n{}",
        encrypted.as_str()
    );
    let material = |key: &str, password: Option<String>| Material {
        certificate: Some(certificate.clone().into()),
        private_key: Some(key.to_owned().into()),
        password,
        ..authority.trust()
    };
    let problem = |material| Profile::new(material).unwrap_err()[0].to_string();
    assert!(Profile::new(material(&key, None)).is_ok());
    assert!(
        Profile::new(material(&key, password.clone())).is_ok(),
        "not needed"
    );
    assert!(Profile::new(material(&encrypted, password)).is_ok());
    let wrong = problem(material(&encrypted, Some("guess".to_owned())));
    assert!(wrong.contains("cannot be decrypted with it") && !wrong.contains("guess"));
    assert!(problem(material(&encrypted, None)).contains("the private key is encrypted"));
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nAAAA\n";
    assert!(problem(material(old, None)).contains("openssl pkcs8 -topk8"));
    let both = format!("{certificate}{key}");
    let together = Material {
        certificate: Some(both.into()),
        ..authority.trust()
    };
    assert!(
        Profile::new(together).is_ok(),
        "the key may stand beside the certificate"
    );
}

/// The bytes of a PEM text.
fn pem_body(pem: &str) -> Vec<u8> {
    let (_, document) = pkcs8::SecretDocument::from_pem(pem).unwrap();
    document.as_bytes().to_vec()
}
