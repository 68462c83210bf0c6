//! What others get: peers that cannot be trusted, and peers that do not keep to the rules.

use std::io::Read as _;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tls::{ClientCertificate, Material, Profile};

use crate::certificates::{Authority, Pair};
use crate::pair::{End, Two, established, profile};

#[test]
fn certificates_that_prove_nothing_are_refused_with_the_reason() {
    let (authority, other) = (Authority::new("a"), Authority::new("b"));
    let refused = |server: Material| {
        let two = Two::new(authority.trust(), "hub", server).run();
        assert!(!two.client.transform.is_ready());
        let (client, server) = two.errors();
        assert!(!server.is_empty(), "the server hears of it");
        client
    };
    assert!(refused(other.material("hub")).contains("no authority that is trusted"));
    let expired = authority.issue("hub", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let told = refused(expired.material(None));
    let days = told.split_once("has expired (whole days since then: ");
    let days = days.and_then(|(_, days)| days.strip_suffix(')')?.parse::<u32>().ok());
    assert!(days.is_some_and(|days| days > 2000), "{told}");
    let early = authority.issue("hub", |params| {
        params.not_before = date_time_ymd(2100, 1, 1);
    });
    assert!(refused(early.material(None)).contains("not valid yet"));
    let told = refused(authority.material("elsewhere"));
    assert!(
        told.contains(
            "the peer's certificate is for elsewhere, not for hub (host, verifyHostname)"
        ),
        "{told}"
    );
    let above = authority.issue("hub", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let told = refused(above.material(None));
    assert!(
        told.contains("an authority's own, and not itself trusted"),
        "{told}"
    );
    let stranger = other.issue("device", |_| {}).material(Some(&authority));
    let asked = ClientCertificate::Required;
    let two = Two::asking(stranger, "hub", authority.material("hub"), asked).run();
    assert!(!two.server.transform.is_ready());
    assert!(
        two.errors().1.contains("no authority that is trusted"),
        "{:?}",
        two.errors()
    );
}

#[test]
fn a_certificate_that_has_signed_itself_is_taken_from_whoever_names_it() {
    let run = |named: &Pair, shown: Pair, host: &str| {
        let two = Two::new(named.trust(), host, shown.material(None)).run();
        (two.client.transform.is_ready(), two.errors().0)
    };
    let hub = || Pair::of_itself("hub", |_| {});
    let same = |pair: &Pair| Pair {
        certificate: pair.certificate.clone(),
        key: pair.key.clone(),
    };
    let named = hub();
    let (is_ready, why) = run(&named, same(&named), "hub");
    assert!(is_ready, "{why}");
    let (is_ready, why) = run(&named, same(&named), "elsewhere");
    assert!(!is_ready && why.contains("not for elsewhere"), "{why}");
    // Another one of the same name is not the one that was named.
    assert!(!run(&named, hub(), "hub").0);
    let old = Pair::of_itself("hub", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let (is_ready, why) = run(&old, same(&old), "hub");
    assert!(!is_ready && why.contains("has expired"), "{why}");
    let authority = Authority::new("a");
    let device = Pair::of_itself("device", |_| {});
    let asks = |trusted: &Pair| Material {
        authorities: Some(trusted.certificate.clone().into()),
        ..authority.material("hub")
    };
    for (trusted, is_taken) in [(&device, true), (&named, false)] {
        let shown = same(&device).material(Some(&authority));
        let two = Two::asking(shown, "hub", asks(trusted), ClientCertificate::Required).run();
        assert_eq!(
            two.server.transform.is_ready(),
            is_taken,
            "{:?}",
            two.errors()
        );
    }
}

#[test]
fn a_named_certificate_signs_for_others_only_if_it_is_an_authoritys() {
    let other = Authority::new("other");
    let signers = [
        (Authority::of("a", IsCa::NoCa), false),
        (Authority::of("a", IsCa::ExplicitNoCa), false),
        (Authority::new("a"), true),
    ];
    for (signer, is_taken) in signers {
        let two = Two::new(signer.trust(), "hub", signer.material("hub")).run();
        assert_eq!(
            two.client.transform.is_ready(),
            is_taken,
            "{:?}",
            two.errors()
        );
        let server = Material {
            authorities: signer.trust().authorities,
            ..other.material("hub")
        };
        let device = signer.issue("device", |_| {}).material(Some(&other));
        let two = Two::asking(device, "hub", server, ClientCertificate::Required).run();
        assert_eq!(
            two.server.transform.is_ready(),
            is_taken,
            "{:?}",
            two.errors()
        );
    }
    // The old certificate and its successor are both named while one takes the other's place.
    let leaf = || Pair::of_itself("hub", |params| params.is_ca = IsCa::NoCa);
    let (old, new) = (leaf(), leaf());
    let both = Material {
        authorities: Some([&*old.certificate, &*new.certificate].concat().into()),
        ..Material::default()
    };
    let two = Two::new(both, "hub", new.material(None)).run();
    assert!(two.client.transform.is_ready(), "{:?}", two.errors());
}

#[test]
fn a_certificate_that_is_named_is_good_for_what_it_is_made_for() {
    let of_a_client = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let pair = Pair::of_itself("hub", of_a_client);
    let two = Two::new(pair.trust(), "hub", pair.material(None)).run();
    assert!(!two.client.transform.is_ready(), "it is no server's");
    let authority = Authority::new("a");
    let device = Pair::of_itself("device", of_a_client);
    let server = Material {
        authorities: device.trust().authorities,
        ..authority.material("hub")
    };
    let shown = device.material(Some(&authority));
    let two = Two::asking(shown, "hub", server, ClientCertificate::Required).run();
    assert!(two.server.transform.is_ready(), "{:?}", two.errors());
    // An authority below another one has not signed itself.
    let below = authority.issue("hub", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let two = Two::new(below.trust(), "hub", below.material(None)).run();
    assert!(!two.client.transform.is_ready());
}

#[test]
fn an_authority_of_ones_own_takes_the_place_of_the_public_ones() {
    let (own, public) = (Authority::new("own"), Authority::new("public"));
    let roots = |trusted: &Authority| {
        let pem = trusted.pem.clone();
        rustls_pem(&pem)
    };
    let trust = Material {
        public_roots: roots(&public),
        ..Material::default()
    };
    let server = public.material("hub");
    established(server.clone(), trust.clone(), "hub");
    let replaced = Material {
        public_roots: roots(&public),
        ..own.trust()
    };
    let two = Two::new(replaced, "hub", server).run();
    assert!(two.errors().0.contains("no authority that is trusted"));
    let nobody = profile(Material::default()).connect("hub", true);
    assert!(nobody.err().unwrap().contains("no authority is trusted"));
}

/// The certificates of a PEM text.
fn rustls_pem(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(Result::unwrap)
        .collect()
}

#[test]
fn plain_text_is_refused_where_tls_is_required_and_gets_no_answer() {
    let authority = Authority::new("a");
    let server = profile(authority.material("hub"));
    for word in [&b"AMQP\x03\x01\x00\x00"[..], b"GET /", b"\x80\x2e\x01"] {
        let mut end = End::new(server.accept(true, ClientCertificate::No).unwrap());
        end.hear(word, usize::MAX);
        let error = end.error.clone().unwrap();
        assert!(
            error.contains("plain text where TLS is required"),
            "{error}"
        );
        end.say(b"a secret");
        assert_eq!(end.sealed(), b"");
    }
}

#[test]
fn older_versions_are_refused() {
    let authority = Authority::new("a");
    let old = Material {
        protocols: Some("TLSv1.2".to_owned()),
        ..authority.trust()
    };
    let new = Material {
        protocols: Some("TLSv1.3".to_owned()),
        ..authority.material("hub")
    };
    let (client, server) = Two::new(old, "hub", new).run().errors();
    assert!(
        client.contains("protocols") && server.contains("nothing in common"),
        "{server}"
    );
}

#[test]
fn everything_that_is_wrong_with_a_profile_is_told() {
    let (one, other) = (Authority::new("a"), Authority::new("b"));
    let bad = Material {
        certificate: Some(one.issue("x", |_| {}).certificate.into()),
        private_key: Some(other.issue("x", |_| {}).key.into()),
        authorities: Some(b"no PEM at all".to_vec()),
        ciphers: Some("ROT13".to_owned()),
        protocols: Some("TLSv7".to_owned()),
        ..Material::default()
    };
    let problems = Profile::new(bad).unwrap_err();
    let attributes: Vec<&str> = problems.iter().map(|problem| problem.attribute).collect();
    assert_eq!(
        attributes,
        ["protocols", "ciphers", "privateKeyFile", "caCertFile"]
    );
    assert!(
        problems.iter().all(|problem| problem.remedy.is_some()),
        "{problems:?}"
    );
    let half = Material {
        certificate: Some(one.issue("x", |_| {}).certificate.into()),
        ..Material::default()
    };
    assert_eq!(
        Profile::new(half).unwrap_err()[0].attribute,
        "privateKeyFile"
    );
}

#[test]
fn damaged_bytes_end_the_session_and_both_sides_know() {
    let authority = Authority::new("a");
    let mut two = established(authority.material("hub"), authority.trust(), "hub");
    two.client.say(b"hello");
    let mut bytes = two.client.sealed();
    *bytes.last_mut().unwrap() ^= 1;
    two.server.hear(&bytes, usize::MAX);
    assert!(two.server.error.is_some() && two.server.input.is_empty());
    assert!(!two.server.transform.is_ready());
    two.server.say(b"a secret");
    let alert = two.server.sealed();
    two.client.hear(&alert, usize::MAX);
    assert!(two.client.error.unwrap().contains("the peer has ended TLS"));
}

#[test]
fn garbage_of_any_kind_is_survived() {
    let authority = Authority::new("a");
    let server = profile(authority.material("hub"));
    let mut seed = 1u32;
    for round in 0..2000u32 {
        let mut end = End::new(
            server
                .accept(round % 2 == 0, ClientCertificate::No)
                .unwrap(),
        );
        let mut bytes = vec![22, 3, 1, 0, round.to_le_bytes()[0]];
        bytes.extend((0..600).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        }));
        end.hear(&bytes, 1 + (round as usize * 7) % 400);
        end.sealed();
        assert!(!end.transform.is_ready());
    }
}

#[test]
fn a_handshake_that_only_grows_is_ended() {
    let authority = Authority::new("a");
    let server = profile(authority.material("hub"));
    let mut end = End::new(server.accept(true, ClientCertificate::No).unwrap());
    // A ClientHello that says that it is as long as can be, in records of one byte.
    let mut heard = 0;
    end.hear(&[22, 3, 1, 0, 4, 1, 0, 0xff, 0xff], usize::MAX);
    while end.error.is_none() {
        end.hear(&[22, 3, 1, 0, 1, 0], usize::MAX);
        heard += 6;
        assert!(heard < 1 << 20, "it is never ended");
    }
}

#[test]
fn records_without_data_are_not_taken_for_ever() {
    let authority = Authority::new("a");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let material = Material {
            protocols: Some(version.to_owned()),
            ..authority.material("hub")
        };
        let (mut client, mut server) = with_library_client(&authority, material);
        let mut wire = Vec::new();
        // Warnings in plain text, where they are allowed no more, or are dropped: none may go on.
        let mut heard = 0;
        while server.error.is_none() {
            if version == "TLSv1.3" {
                client.refresh_traffic_keys().unwrap();
                client.write_tls(&mut wire).unwrap();
            } else {
                wire.extend_from_slice(&[23, 3, 3, 0, 0]);
            }
            heard += wire.len().max(1);
            server.hear(&std::mem::take(&mut wire), usize::MAX);
            server.sealed();
            assert!(heard < 1 << 20, "{version}: it is never ended");
        }
    }
}

/// The library's own client, which does what it is told, and a server that it has agreed with.
fn with_library_client(
    authority: &Authority,
    material: Material,
) -> (rustls::ClientConnection, End) {
    let acceptor = profile(material).accept(true, ClientCertificate::No);
    let mut server = End::new(acceptor.unwrap());
    let mut client = library_client(authority);
    let mut wire = Vec::new();
    while client.is_handshaking() {
        client.write_tls(&mut wire).unwrap();
        server.hear(&std::mem::take(&mut wire), usize::MAX);
        let answer = server.sealed();
        client.read_tls(&mut &answer[..]).unwrap();
        client.process_new_packets().unwrap();
    }
    client.write_tls(&mut wire).unwrap();
    server.hear(&wire, usize::MAX);
    assert!(server.transform.is_ready());
    (client, server)
}

fn library_client(authority: &Authority) -> rustls::ClientConnection {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_pem(&authority.pem));
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    rustls::ClientConnection::new(config.into(), "hub".try_into().unwrap()).unwrap()
}

#[test]
fn new_keys_are_taken_whenever_the_peer_asks_for_them() {
    let authority = Authority::new("a");
    for length in [1, 1000, 5_000, 100_000] {
        let material = authority.material("hub");
        let (mut client, mut server) = with_library_client(&authority, material);
        for _ in 0..3 {
            let mut wire = Vec::new();
            client.refresh_traffic_keys().unwrap();
            client.write_tls(&mut wire).unwrap();
            server.hear(&wire, usize::MAX);
            let data = vec![7; length];
            server.say(&data);
            let mut heard = Vec::new();
            while heard.len() < length {
                let sealed = server.sealed();
                let mut sealed = &sealed[..];
                assert!(!sealed.is_empty(), "{length}: {:?}", server.error);
                while !sealed.is_empty() {
                    client.read_tls(&mut sealed).unwrap();
                    client.process_new_packets().unwrap();
                    let mut part = vec![0; length];
                    while let Ok(count @ 1..) = client.reader().read(&mut part) {
                        heard.extend_from_slice(&part[..count]);
                    }
                }
            }
            assert_eq!(heard, data);
        }
    }
}

#[test]
fn what_comes_after_the_farewell_is_for_nobody() {
    let authority = Authority::new("a");
    for damage in [0, 1] {
        let mut two = established(authority.material("hub"), authority.trust(), "hub");
        two.server.say(b"last words");
        two.server.transform.finish();
        let farewell = two.server.sealed();
        assert!(!two.server.transform.is_cut_here());
        two.client.say(b"a word that has crossed it");
        let mut crossing = two.client.sealed();
        *crossing.last_mut().unwrap() ^= damage;
        two.server.hear(&crossing, usize::MAX);
        two.server.hear(b"no TLS at all", usize::MAX);
        assert_eq!(two.server.error, None);
        assert!(two.server.input.is_empty());
        assert!(!two.server.transform.has_output());
        two.server.say(b"one more thing");
        assert_eq!(two.server.sealed(), b"");
        two.client.hear(&farewell, usize::MAX);
        assert_eq!(two.client.error, None);
        assert_eq!(two.client.input.len(), 10);
    }
}

#[test]
fn a_farewell_before_the_handshake_has_ended_lets_nothing_through_later() {
    let authority = Authority::new("a");
    for who in 0..2 {
        let mut two = Two::new(authority.trust(), "hub", authority.material("hub"));
        let hello = two.client.sealed();
        two.server.hear(&hello, usize::MAX);
        let end = [&mut two.client, &mut two.server].into_iter().nth(who);
        let end = end.unwrap();
        end.say(b"never sent");
        end.transform.finish();
        assert!(!end.transform.is_cut_here());
        let mut two = two.run();
        two.client.say(b"later");
        two.server.say(b"later");
        let two = two.run();
        assert_eq!(two.errors(), (String::new(), String::new()));
        assert!(two.client.input.is_empty() && two.server.input.is_empty());
        let end = [&two.client, &two.server][who];
        assert!(!end.transform.is_ready() && end.output.is_empty());
    }
}

#[test]
fn a_header_that_is_none_ends_the_session_before_the_rest_comes() {
    let authority = Authority::new("a");
    let mut two = established(authority.material("hub"), authority.trust(), "hub");
    // The header comes in two pieces, and the rest never does.
    two.server.hear(&[23], usize::MAX);
    two.server.hear(&[3, 3, 0xff, 0xff], usize::MAX);
    assert!(two.server.error.is_some() && !two.server.transform.is_ready());
    two.server.say(b"a secret");
    let alert = two.server.sealed();
    two.server.hear(&[0; 100], usize::MAX);
    two.server.say(b"more");
    assert_eq!(two.server.sealed(), b"");
    two.client.hear(&alert, usize::MAX);
    assert!(two.client.error.unwrap().contains("the peer has ended TLS"));
    assert!(two.client.input.is_empty());
}

#[test]
fn a_handshake_message_that_is_cut_off_by_an_error_ends_the_session() {
    let authority = Authority::new("a");
    let server = profile(authority.material("hub"));
    // The beginning of a message, then a record that may not follow it.
    let begun = [22, 3, 1, 0, 8, 1, 0, 1, 0, 3, 3, 0, 0];
    for (next, tells_why) in [
        (&[23, 3, 3, 0, 1, 0][..], false),
        (&[99, 3, 3, 0, 1, 0], true),
        (&[22, 3, 3, 0xff, 0xff, 0], true),
    ] {
        for piece in [1, 3, 13, usize::MAX] {
            let mut end = End::new(server.accept(true, ClientCertificate::No).unwrap());
            end.hear(&[&begun[..], next, &[0; 70_000]].concat(), piece);
            assert!(end.error.is_some(), "{next:?} in pieces of {piece}");
            let said = end.sealed();
            assert_eq!(!said.is_empty(), tells_why, "{next:?}: {said:?}");
            assert_eq!(end.sealed(), b"");
        }
    }
}

#[test]
fn an_idle_session_holds_little() {
    let authority = Authority::new("a");
    let mut two = established(authority.material("hub"), authority.trust(), "hub");
    let data = vec![7; 100_000];
    two.client.say(&data);
    let mut bytes = two.client.sealed();
    two.server.hear(&bytes, usize::MAX);
    bytes = two.client.sealed();
    two.server.hear(&bytes, usize::MAX);
    assert!(two.server.error.is_none());
    // Half a record is kept, and no longer than it is half.
    two.client.say(b"more");
    let record = two.client.sealed();
    let before = two.server.input.len();
    two.server.hear(&record[..9], usize::MAX);
    assert_eq!(two.server.input.len(), before);
    two.server.hear(&record[9..], usize::MAX);
    assert_eq!(two.server.input.len(), before + 4);
}
