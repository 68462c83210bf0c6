//! Private keys, in the forms in which they are kept in PEM files.

use pkcs8::EncryptedPrivateKeyInfo;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::problem::Problem;

/// Rounds of key derivation that are done for an encrypted key; more are somebody's mistake.
const ROUNDS_MAX: u32 = 10_000_000;

/// The first private key of a PEM text.
pub(crate) fn read(pem: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, Problem> {
    let about = |text: &str| Problem::new("privateKeyFile", text);
    if pem.windows(18).any(|bytes| bytes == b"Proc-Type: 4,ENCRY") {
        let remedy = "bring it into the present form: openssl pkcs8 -topk8 -in OLD -out NEW";
        return Err(about("the key is encrypted in the form of old").with_remedy(remedy));
    }
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|error| about(&format!("no PEM text: {error}")))?;
        match kind {
            SectionKind::PrivateKey => return Ok(PrivatePkcs8KeyDer::from(der).into()),
            SectionKind::RsaPrivateKey => return Ok(PrivateKeyDer::Pkcs1(der.into())),
            SectionKind::EcPrivateKey => return Ok(PrivateKeyDer::Sec1(der.into())),
            _ => {}
        }
    }
    match encrypted(pem) {
        Some(der) => decrypt(&der, password),
        None => Err(about("no private key in the file")
            .with_remedy("it must have a section that begins with -----BEGIN PRIVATE KEY-----")),
    }
}

/// The encrypted key of a PEM text, whatever stands around it.
fn encrypted(pem: &[u8]) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    let text = String::from_utf8_lossy(pem);
    let section = &text[text.find(BEGIN)?..];
    // Read as a certificate's section would be: the reader knows no encrypted keys by their name.
    let section = section.replace("ENCRYPTED PRIVATE KEY", "CERTIFICATE");
    let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(section.as_bytes());
    sections.next()?.ok().map(|(_, der)| der)
}

fn decrypt(der: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, Problem> {
    let wrong = |text: String| Problem::new("password", text);
    let Some(password) = password else {
        let remedy = "give its password: file:PATH or env:VARIABLE";
        return Err(wrong("the private key is encrypted".to_owned()).with_remedy(remedy));
    };
    let refused = |error: &dyn std::fmt::Display| {
        let text = format!("the private key cannot be decrypted: {error}");
        Problem::new("privateKeyFile", text)
            .with_remedy("write it anew: openssl pkcs8 -topk8 -v2 aes256 -in OLD -out NEW")
    };
    let info = EncryptedPrivateKeyInfo::try_from(der).map_err(|error| refused(&error))?;
    let parameters = info.encryption_algorithm.pbes2();
    let parameters = parameters.ok_or_else(|| refused(&"its encryption is too old"))?;
    if let Some(kdf) = parameters.kdf.pbkdf2()
        && kdf.iteration_count > ROUNDS_MAX
    {
        return Err(refused(&"its password would take too long to check"));
    }
    match info.decrypt(password) {
        Ok(document) => Ok(PrivatePkcs8KeyDer::from(document.as_bytes().to_vec()).into()),
        Err(pkcs8::Error::EncryptedPrivateKey(error)) if is_unsupported(&error) => {
            Err(refused(&error))
        }
        Err(_) => Err(
            wrong("the private key cannot be decrypted with it".to_owned())
                .with_remedy("give the password with which the key was encrypted"),
        ),
    }
}

/// Whether the fault is not the password's.
fn is_unsupported(error: &pkcs8::pkcs5::Error) -> bool {
    matches!(
        error,
        pkcs8::pkcs5::Error::NoPbes1CryptSupport
            | pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }
            | pkcs8::pkcs5::Error::AlgorithmParametersInvalid { .. }
    )
}
