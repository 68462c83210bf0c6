//! The router, or the command line, as the one who authenticates: what it says to what a server
//! says.
//!
//! Owns one exchange from the list of mechanisms to the last word; never sends anything.

use amqp_codec::{Str, Symbol};
use amqp_proto::{SaslReply, SaslStep};
use bytes::Bytes;
use sasl::{Choice, Client, Credentials, NONCE_BYTES, choose};

/// The user of a connection for which nobody has given a name.
const ANONYMOUS: &str = "anonymous";

/// Who authenticates, and how.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// The mechanisms consented to; `None`: all.
    pub(crate) mechanisms: Option<Vec<String>>,
    /// Name and password, if there are any.
    pub(crate) credentials: Option<Credentials>,
    /// Why the password cannot be had, if it cannot.
    pub(crate) missing: Option<String>,
    /// The server has seen a certificate.
    pub(crate) has_certificate: bool,
    /// The password may be shown.
    pub(crate) may_show_password: bool,
}

/// An exchange under way.
pub(crate) struct Dialogue {
    client: Client,
    mechanism: &'static str,
    user: String,
}

impl Dialogue {
    /// Chooses among what is offered, and begins; what is to be said, and the exchange if there is
    /// one.
    pub(crate) fn begin(
        terms: &Terms,
        offered: &[Symbol],
        random: [u8; NONCE_BYTES],
    ) -> (SaslReply, Option<Self>) {
        let offered: Vec<&str> = offered.iter().map(Symbol::as_str).collect();
        let allowed = terms.mechanisms.as_deref();
        let allowed: Option<Vec<&str>> =
            allowed.map(|names| names.iter().map(String::as_str).collect());
        let chosen = choose(&Choice {
            offered: &offered,
            allowed: allowed.as_deref(),
            has_credentials: terms.credentials.is_some(),
            has_certificate: terms.has_certificate,
            may_show_password: terms.may_show_password,
        });
        let Some(mechanism) = chosen else {
            let why = refusal(terms, &offered);
            let text = format!("Authentication failed [mech=none]: {why}");
            return (SaslReply::Abort(Str::copy(&text)), None);
        };
        let needs_password = !matches!(mechanism, "ANONYMOUS" | "EXTERNAL");
        if let Some(why) = terms.missing.as_deref().filter(|_| needs_password) {
            return (aborted(mechanism, why), None);
        }
        let nobody = Credentials::default();
        let credentials = terms.credentials.as_ref().unwrap_or(&nobody);
        match Client::begin(mechanism, credentials, &sasl::nonce(random)) {
            Err(error) => (aborted(mechanism, &error.to_string()), None),
            Ok((client, said)) => {
                let user = match mechanism {
                    "ANONYMOUS" => ANONYMOUS.to_owned(),
                    _ => credentials.user.clone(),
                };
                let reply = SaslReply::Choice {
                    mechanism: Symbol::from_static(mechanism),
                    response: Some(Bytes::from(said)),
                };
                let dialogue = Self {
                    client,
                    mechanism,
                    user,
                };
                (reply, Some(dialogue))
            }
        }
    }

    /// What is said to a further step, which may take its time to find out.
    pub(crate) fn answer(mut self, step: &SaslStep) -> (SaslReply, Option<Self>) {
        match step {
            SaslStep::Challenge(question) => match self.client.respond(question) {
                Ok(said) => (SaslReply::Response(Bytes::from(said)), Some(self)),
                Err(error) => (aborted(self.mechanism, &error.to_string()), None),
            },
            SaslStep::Succeeded(data) => match self.client.finish(data.as_deref()) {
                Ok(()) => (SaslReply::Accept(Str::copy(&self.user)), None),
                Err(error) => (aborted(self.mechanism, &error.to_string()), None),
            },
            _ => (aborted(self.mechanism, "out of sequence"), None),
        }
    }
}

/// Ends an exchange.
pub(crate) fn aborted(mechanism: &str, why: &str) -> SaslReply {
    let text = format!("Authentication failed [mech={mechanism}]: {why}");
    SaslReply::Abort(Str::copy(&text))
}

/// Why nothing that is offered will do.
fn refusal(terms: &Terms, offered: &[&str]) -> String {
    let names_plain = |names: &[String]| names.iter().any(|name| name == "PLAIN");
    let hides = offered.contains(&"PLAIN")
        && terms.credentials.is_some()
        && terms.mechanisms.as_deref().is_none_or(names_plain);
    if hides && !terms.may_show_password {
        return "the peer would take the password in clear only, and there is no TLS".to_owned();
    }
    // The peer's words: a few of them will do.
    let names = offered.iter().take(8).map(|name| name.escape_debug());
    let names: Vec<String> = names.map(|name| name.to_string()).collect();
    format!(
        "the peer offers no mechanism that will do, but '{}'",
        names.join(" ")
    )
}
