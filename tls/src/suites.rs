//! Which cipher suites and protocol versions a profile allows, in the words of OpenSSL, which
//! configurations use.
//!
//! Only what is safe is there to be chosen from: TLS 1.2 with ephemeral keys and authenticated
//! encryption, and TLS 1.3. Decision: words of OpenSSL that stand for other suites choose nothing
//! and harm nothing, as long as something is chosen; words that nobody knows are errors.

use rustls::crypto::aws_lc_rs::cipher_suite as suite;
use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion};

use crate::problem::{Problem, Problems};

/// A suite as its peers know it.
struct Known {
    suite: SupportedCipherSuite,
    /// The name in OpenSSL.
    name: &'static str,
    /// The name in the standards.
    standard: &'static str,
    /// Bits of its key.
    bits: u32,
    /// Words of OpenSSL's cipher lists that choose it, among others.
    words: &'static [&'static str],
}

/// The suites of TLS 1.2, those first that are preferred.
static TLS12: [Known; 6] = [
    Known {
        suite: suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        name: "ECDHE-ECDSA-AES256-GCM-SHA384",
        standard: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        bits: 256,
        words: &["AES", "AES256", "AESGCM", "SHA384", "aECDSA", "ECDSA"],
    },
    Known {
        suite: suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        name: "ECDHE-ECDSA-AES128-GCM-SHA256",
        standard: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        bits: 128,
        words: &["AES", "AES128", "AESGCM", "SHA256", "aECDSA", "ECDSA"],
    },
    Known {
        suite: suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        name: "ECDHE-ECDSA-CHACHA20-POLY1305",
        standard: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        bits: 256,
        words: &["CHACHA20", "SHA256", "aECDSA", "ECDSA"],
    },
    Known {
        suite: suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        name: "ECDHE-RSA-AES256-GCM-SHA384",
        standard: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        bits: 256,
        words: &["AES", "AES256", "AESGCM", "SHA384", "aRSA"],
    },
    Known {
        suite: suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        name: "ECDHE-RSA-AES128-GCM-SHA256",
        standard: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        bits: 128,
        words: &["AES", "AES128", "AESGCM", "SHA256", "aRSA"],
    },
    Known {
        suite: suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        name: "ECDHE-RSA-CHACHA20-POLY1305",
        standard: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        bits: 256,
        words: &["CHACHA20", "SHA256", "aRSA"],
    },
];

/// The suites of TLS 1.3.
static TLS13: [Known; 3] = [
    Known {
        suite: suite::TLS13_AES_256_GCM_SHA384,
        name: "TLS_AES_256_GCM_SHA384",
        standard: "TLS_AES_256_GCM_SHA384",
        bits: 256,
        words: &[],
    },
    Known {
        suite: suite::TLS13_AES_128_GCM_SHA256,
        name: "TLS_AES_128_GCM_SHA256",
        standard: "TLS_AES_128_GCM_SHA256",
        bits: 128,
        words: &[],
    },
    Known {
        suite: suite::TLS13_CHACHA20_POLY1305_SHA256,
        name: "TLS_CHACHA20_POLY1305_SHA256",
        standard: "TLS_CHACHA20_POLY1305_SHA256",
        bits: 256,
        words: &[],
    },
];

/// Words that choose every suite of TLS 1.2 that there is.
const ALL: &[&str] = &[
    "ALL",
    "DEFAULT",
    "COMPLEMENTOFDEFAULT",
    "HIGH",
    "TLSv1.2",
    "TLSv1",
    "SSLv3",
    "FIPS",
    "kEECDH",
    "kECDHE",
    "EECDH",
    "ECDHE",
    "ECDH",
    "AEAD",
    "SUITEB128",
    "SUITEB192",
];

/// Parts of which OpenSSL's names of suites and groups of suites are made.
const PARTS: &[&str] = &[
    "3DES",
    "ADH",
    "AECDH",
    "AES",
    "AES128",
    "AES256",
    "AESCCM",
    "AESCCM8",
    "AESGCM",
    "ARIA",
    "ARIA128",
    "ARIA256",
    "ARIAGCM",
    "CAMELLIA",
    "CAMELLIA128",
    "CAMELLIA256",
    "CBC",
    "CBC3",
    "CCM",
    "CCM8",
    "CHACHA20",
    "COMPLEMENTOFALL",
    "DES",
    "DH",
    "DHE",
    "DSS",
    "ECDH",
    "ECDHE",
    "ECDSA",
    "EDH",
    "EECDH",
    "EXP",
    "EXPORT",
    "GCM",
    "GOST94",
    "IDEA",
    "LOW",
    "MD5",
    "MEDIUM",
    "NULL",
    "POLY1305",
    "PSK",
    "RC2",
    "RC4",
    "RSA",
    "SEED",
    "SHA",
    "SHA1",
    "SHA256",
    "SHA384",
    "SRP",
    "aDH",
    "aDSS",
    "aECDH",
    "aNULL",
    "aPSK",
    "aSRP",
    "eNULL",
    "kDH",
    "kDHE",
    "kDHEPSK",
    "kDHd",
    "kDHr",
    "kECDHEPSK",
    "kECDHe",
    "kECDHr",
    "kEDH",
    "kPSK",
    "kRSA",
    "kRSAPSK",
    "kSRP",
];

impl Known {
    /// Whether a word of a cipher list stands for it; `+` joins what must hold together.
    fn is_meant_by(&self, word: &str) -> bool {
        word.split('+')
            .all(|part| part == self.name || self.words.contains(&part) || ALL.contains(&part))
            || word == self.standard
    }
}

/// The suites that a cipher list allows, in its order; those of TLS 1.3 are not in its power,
/// unless it names some of them.
pub(crate) fn choose(list: Option<&str>, problems: &mut Problems) -> Vec<SupportedCipherSuite> {
    let mut chosen: Vec<&Known> = Vec::new();
    let mut banned: Vec<&str> = Vec::new();
    let mut newest: Vec<&Known> = Vec::new();
    let list = list.map(str::trim).filter(|list| !list.is_empty());
    for word in list.unwrap_or("ALL").split([':', ',', ' ']) {
        let (sign, word) = match word.split_at_checked(1) {
            Some((sign @ ("!" | "-" | "+"), rest)) => (sign, rest),
            _ => ("", word),
        };
        if word.is_empty() || word.starts_with('@') {
            continue;
        }
        if !is_known(word) {
            problems.errors.push(unknown(word));
            continue;
        }
        let mut meant: Vec<&Known> = TLS12
            .iter()
            .filter(|suite| suite.is_meant_by(word))
            .collect();
        match sign {
            "" => {
                newest.extend(TLS13.iter().filter(|suite| suite.standard == word));
                meant.retain(|suite| {
                    !chosen.iter().any(|had| had.name == suite.name)
                        && !banned.contains(&suite.name)
                });
                chosen.append(&mut meant);
            }
            // To the end of the list.
            "+" => {
                let (moved, stay): (Vec<&Known>, Vec<&Known>) = chosen
                    .into_iter()
                    .partition(|suite| suite.is_meant_by(word));
                chosen = [stay, moved].concat();
            }
            _ => {
                chosen.retain(|suite| !suite.is_meant_by(word));
                if sign == "!" {
                    banned.extend(meant.iter().map(|suite| suite.name));
                }
            }
        }
    }
    if chosen.is_empty() && newest.is_empty() && problems.errors.is_empty() {
        let text = format!(
            "no cipher suite of '{}' is offered",
            list.unwrap_or_default()
        );
        problems
            .errors
            .push(Problem::new("ciphers", text).with_remedy(offer()));
    }
    if newest.is_empty() {
        newest = TLS13.iter().collect();
    }
    newest
        .into_iter()
        .chain(chosen)
        .map(|known| known.suite)
        .collect()
}

/// Whether OpenSSL has a suite, or a group of suites, of that name.
fn is_known(word: &str) -> bool {
    let is_named = |known: &Known| known.name == word || known.standard == word;
    TLS12.iter().chain(&TLS13).any(is_named)
        || word.split(['+', '-']).all(|part| {
            let by_word = |known: &Known| known.words.contains(&part);
            PARTS.contains(&part) || ALL.contains(&part) || TLS12.iter().any(by_word)
        })
}

fn unknown(word: &str) -> Problem {
    let text = format!("'{word}' is the name of no cipher suite");
    Problem::new("ciphers", text).with_remedy(offer())
}

fn offer() -> String {
    let names: Vec<&str> = TLS12.iter().map(|known| known.name).collect();
    format!("offered are {} and, in TLS 1.3, all", names.join(", "))
}

/// The versions of the protocol that a list allows.
pub(crate) fn versions(
    list: Option<&str>,
    problems: &mut Problems,
) -> Vec<&'static SupportedProtocolVersion> {
    let Some(list) = list.map(str::trim).filter(|list| !list.is_empty()) else {
        return rustls::ALL_VERSIONS.to_vec();
    };
    let mut versions = Vec::new();
    let mut is_wrong = false;
    for word in list.split([' ', ',', '\t']).filter(|word| !word.is_empty()) {
        match word {
            "TLSv1.2" => versions.push(&rustls::version::TLS12),
            "TLSv1.3" => versions.push(&rustls::version::TLS13),
            "TLSv1" | "TLSv1.1" | "SSLv2" | "SSLv3" | "SSLv23" => {
                let text = format!("{word} is not offered: it is not secure");
                problems.warnings.push(Problem::new("protocols", text));
            }
            _ => {
                is_wrong = true;
                let text = format!("'{word}' is no version of TLS");
                let remedy = "write TLSv1.2, TLSv1.3, or both with a blank between them";
                problems
                    .errors
                    .push(Problem::new("protocols", text).with_remedy(remedy));
            }
        }
    }
    if versions.is_empty() && !is_wrong {
        // Files with a listener for each version that there ever was go on working for the others.
        let text = format!("nobody can connect: no version in '{list}' is secure");
        let remedy = "write TLSv1.2, TLSv1.3, or both with a blank between them";
        problems
            .warnings
            .push(Problem::new("protocols", text).with_remedy(remedy));
    }
    versions
}

/// The name by which operators know a suite, and the bits of its key.
pub(crate) fn name_of(suite: CipherSuite) -> (&'static str, u32) {
    let is_it = |known: &&Known| known.suite.suite() == suite;
    let known = TLS12.iter().chain(&TLS13).find(is_it);
    known.map_or(("unknown", 0), |known| (known.name, known.bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(list: &str) -> Vec<&'static str> {
        let mut problems = Problems::default();
        let suites = choose(Some(list), &mut problems);
        assert!(problems.errors.is_empty(), "{problems:?}");
        suites
            .iter()
            .map(|suite| name_of(suite.suite()).0)
            .collect()
    }

    fn refused(list: &str) -> String {
        let mut problems = Problems::default();
        choose(Some(list), &mut problems);
        problems.errors[0].text.clone()
    }

    #[test]
    fn a_list_chooses_among_the_suites_of_tls_1_2_in_its_order() {
        let one = "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256";
        assert_eq!(chosen(one)[3..], one.split(':').collect::<Vec<_>>());
        assert_eq!(chosen("DEFAULT").len(), 9);
        assert_eq!(
            chosen("ALL:!CHACHA20:!AES128:!aRSA")[3..],
            ["ECDHE-ECDSA-AES256-GCM-SHA384"]
        );
        assert_eq!(
            chosen("HIGH:+AES256:!ECDSA:!CHACHA20")[4],
            "ECDHE-RSA-AES256-GCM-SHA384"
        );
    }

    #[test]
    fn words_for_suites_that_are_not_offered_choose_nothing_and_do_no_harm() {
        let usual = "ECDH+AESGCM:DH+AESGCM:ECDH+AES256:DH+AES256:ECDH+AES128:DH+AES:RSA+AESGCM:\
                     RSA+AES:!aNULL:!MD5:!DSS";
        assert_eq!(chosen(usual).len(), 7);
        assert_eq!(chosen("AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256").len(), 4);
        assert!(refused("AES128-SHA:DES-CBC3-SHA").starts_with("no cipher suite of"));
        assert_eq!(
            refused("ECDHE-RSA-AES128-GCM-SHA265"),
            "'ECDHE-RSA-AES128-GCM-SHA265' is the name of no cipher suite"
        );
    }

    #[test]
    fn suites_of_tls_1_3_are_chosen_by_their_names_alone() {
        assert_eq!(chosen("TLS_AES_128_GCM_SHA256"), ["TLS_AES_128_GCM_SHA256"]);
    }

    #[test]
    fn versions_that_are_not_secure_are_left_out() {
        let mut problems = Problems::default();
        assert_eq!(versions(Some("TLSv1 TLSv1.2"), &mut problems).len(), 1);
        assert_eq!((problems.errors.len(), problems.warnings.len()), (0, 1));
        assert_eq!(versions(None, &mut problems).len(), 2);
        assert!(versions(Some("TLSv1.1"), &mut problems).is_empty());
        assert_eq!((problems.errors.len(), problems.warnings.len()), (0, 3));
        versions(Some("TLSv9"), &mut problems);
        assert_eq!(problems.errors.len(), 1);
    }
}
