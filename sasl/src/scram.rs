//! The messages of SCRAM (RFC 5802 §5, §7), as both sides read and write them.
//!
//! Owns their syntax; never holds a key. Decision: attributes come in a fixed order, so a message
//! is read from its beginning to its end, and what is not in its place makes it no message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest nonce of a client, in bytes: it comes back, with more, in a frame of 512.
const NONCE_MAX: usize = 160;

/// What a client says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst<'a> {
    /// The beginning, which comes again at the end: flag of channel binding, name to act as.
    pub(crate) header: &'a str,
    /// Everything behind it, which both sides sign.
    pub(crate) bare: &'a str,
    /// Who it says it is.
    pub(crate) name: String,
    pub(crate) nonce: &'a str,
}

/// What a server says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerFirst<'a> {
    pub(crate) nonce: &'a str,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

/// What a client says last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientFinal<'a> {
    /// Everything before the proof, which both sides sign.
    pub(crate) without_proof: &'a str,
    pub(crate) header: Vec<u8>,
    pub(crate) nonce: &'a str,
    pub(crate) proof: Vec<u8>,
}

impl<'a> ClientFirst<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let (flag, rest) = text.split_once(',')?;
        let (acts_as, bare) = rest.split_once(',')?;
        // Channel binding is not offered, so a client cannot ask for it; that it could have done so
        // (`y`) is as good as that it could not.
        if flag != "n" && flag != "y" {
            return None;
        }
        let mut parts = bare.split(',');
        // An extension that must be understood would stand here.
        let name = unescaped(attribute(parts.next(), "n=")?)?;
        let nonce = printable(attribute(parts.next(), "r=")?)?;
        let acts_as = match acts_as {
            "" => name.clone(),
            named => unescaped(attribute(Some(named), "a=")?)?,
        };
        let is_good = acts_as == name && nonce.len() <= NONCE_MAX && parts.all(is_extension);
        let header = &text[..text.len() - bare.len()];
        is_good.then_some(Self {
            header,
            bare,
            name,
            nonce,
        })
    }
}

/// The beginning of a client's first message, and the rest of it.
pub(crate) fn client_first(name: &str, nonce: &str) -> (&'static str, String) {
    let name = name.replace('=', "=3D").replace(',', "=2C");
    ("n,,", format!("n={name},r={nonce}"))
}

impl<'a> ServerFirst<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(message).ok()?.split(',');
        let nonce = printable(attribute(parts.next(), "r=")?)?;
        let salt = STANDARD.decode(attribute(parts.next(), "s=")?).ok()?;
        let iterations = attribute(parts.next(), "i=")?;
        let digits = iterations.bytes().all(|byte| byte.is_ascii_digit());
        let iterations = iterations.parse().ok().filter(|_| digits)?;
        parts.all(is_extension).then_some(Self {
            nonce,
            salt,
            iterations,
        })
    }
}

pub(crate) fn server_first(nonce: &str, salt: &[u8], iterations: u32) -> String {
    format!("r={nonce},s={},i={iterations}", STANDARD.encode(salt))
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let mut parts = without_proof.split(',');
        let header = STANDARD.decode(attribute(parts.next(), "c=")?).ok()?;
        let nonce = printable(attribute(parts.next(), "r=")?)?;
        parts.all(is_extension).then_some(())?;
        Some(Self {
            without_proof,
            header,
            nonce,
            proof: STANDARD.decode(proof).ok()?,
        })
    }
}

pub(crate) fn client_final_without_proof(header: &str, nonce: &str) -> String {
    format!("c={},r={nonce}", STANDARD.encode(header))
}

pub(crate) fn client_final(without_proof: &str, proof: &[u8]) -> String {
    format!("{without_proof},p={}", STANDARD.encode(proof))
}

/// The signature in a server's last message; `Err` with what else it says.
pub(crate) fn parse_server_final(message: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(message).ok()?;
    let mut parts = text.split(',');
    STANDARD.decode(attribute(parts.next(), "v=")?).ok()
}

pub(crate) fn server_final(signature: &[u8]) -> String {
    format!("v={}", STANDARD.encode(signature))
}

/// One key with another laid over it.
pub(crate) fn combined(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(a, b)| a ^ b).collect()
}

fn attribute<'a>(part: Option<&'a str>, name: &str) -> Option<&'a str> {
    part?.strip_prefix(name)
}

/// An attribute that nobody has to understand.
fn is_extension(part: &str) -> bool {
    let mut bytes = part.bytes();
    let letter = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    letter && bytes.next() == Some(b'=') && !part.starts_with("m=")
}

/// A nonce: printable ASCII without commas.
fn printable(text: &str) -> Option<&str> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(text)
}

/// A name with `=2C` for a comma and `=3D` for an equals sign.
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let rest = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => {
                name.push(',');
                rest
            }
            (None, Some(rest)) => {
                name.push('=');
                rest
            }
            (None, None) => return None,
        };
        name.push_str(rest);
    }
    Some(name).filter(|name| !name.is_empty())
}
