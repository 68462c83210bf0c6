//! What there is at which path, and how it is answered.

use std::fs::File;

use amqp_proto::Time;
use jiff::Timestamp;
use router_core::settings::HttpSettings;
use web::{Head, Method, Request, Status};

use super::facts::Scope;
use super::families::CONTENT_TYPE;
use super::files::{self, Found};
use super::health::Probe;
use super::series::{self, Own};
use super::slots::{Slots, Text};

/// What who asks by a name that is not this listener's is told to do.
const MISDIRECTED: &str = "421 Misdirected Request\nThis listener is for this machine alone: it \
    answers to an address, to localhost, to its own host, and to the hosts in its httpOrigins.\n";

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// That the listener is there.
    Healthz,
    Probe(Probe),
    Metrics,
    WebSocket,
    File,
    /// There is nothing, or not so.
    Nothing(Status),
}

/// An answer to be sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) content_type: &'static str,
    pub(super) body: Body,
    /// More headers.
    pub(super) more: Vec<(&'static str, String)>,
}

/// What an answer consists of.
#[derive(Debug)]
pub(super) enum Body {
    Text(String),
    /// What others may be sent, too.
    Metrics(Text),
    File(File, u64),
    /// The client has it already.
    Nothing,
}

impl Wanted {
    /// What a request is for.
    pub(super) fn of(request: &Request, settings: &HttpSettings) -> Self {
        let is_at = |place: &str| {
            let below = request.path.strip_prefix(place);
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let (wanted, is_served) = if request.upgrade.is_some() {
            (Self::WebSocket, settings.websockets)
        } else if is_at("/healthz") {
            (Self::Healthz, settings.health)
        } else if is_at("/livez") {
            (Self::Probe(Probe::Live), settings.health)
        } else if is_at("/readyz") {
            (Self::Probe(Probe::Ready), settings.health)
        } else if is_at("/metrics") {
            (Self::Metrics, settings.metrics)
        } else {
            (Self::File, settings.root.is_some())
        };
        match wanted {
            Self::WebSocket if !is_served => Self::Nothing(Status::Forbidden),
            _ if !is_served => Self::Nothing(Status::NotFound),
            // Whatever the method, as it always was.
            Self::Healthz => wanted,
            _ if request.method == Method::Other => Self::Nothing(Status::MethodNotAllowed),
            _ => wanted,
        }
    }

    /// What has to be known of the router to answer it.
    pub(super) fn scope(&self, settings: &HttpSettings) -> Option<Scope> {
        match self {
            Self::Probe(_) => Some(Scope::default()),
            Self::Metrics => Some(Scope::of(settings)),
            _ => None,
        }
    }

    /// The answer, from what has been said lately if anybody has answered.
    pub(super) fn answer(
        &self,
        request: &Request,
        settings: &HttpSettings,
        (slots, own, now): (&mut Slots, &Own, Time),
    ) -> Answer {
        match self {
            Self::Healthz => Answer::text(Status::Ok, "OK\n".to_owned()),
            Self::Probe(probe) => {
                let (is_fine, body) = probe.answer(slots.known(Scope::default(), now));
                let status = match is_fine {
                    true => Status::Ok,
                    false => Status::Unavailable,
                };
                let mut answer = Answer::text(status, format!("{body:#}\n"));
                answer.content_type = "application/json";
                answer
            }
            Self::Metrics => {
                let limits = (settings.address_series, settings.connection_series);
                let wanted = (Scope::of(settings), limits);
                match slots.text(wanted, now, |facts| series::text(facts, limits, own)) {
                    Ok(Some(text)) => Answer::metrics(text),
                    Ok(None) => Answer::plain(Status::Unavailable),
                    Err(_) => Answer::plain(Status::InternalError),
                }
            }
            Self::File => {
                let root = settings.root.as_deref().unwrap_or_default();
                match files::find(root, &request.path) {
                    Ok(found) => Answer::file(found, request.if_none_match.as_deref()),
                    Err(status) => Answer::plain(status),
                }
            }
            Self::WebSocket => Answer::plain(Status::BadRequest),
            Self::Nothing(status) => Answer::plain(*status),
        }
    }
}

impl Answer {
    /// An answer that has nothing to say but its status.
    pub(super) fn plain(status: Status) -> Self {
        let mut answer = Self::text(status, format!("{} {}\n", status.code(), status.reason()));
        match status {
            Status::MethodNotAllowed => answer.more.push(("allow", "GET, HEAD".to_owned())),
            Status::UpgradeRequired => {
                answer.more.push(("sec-websocket-version", "13".to_owned()));
                answer.more.push(("upgrade", "websocket".to_owned()));
            }
            Status::Misdirected => answer.body = Body::Text(MISDIRECTED.to_owned()),
            _ => {}
        }
        answer
    }

    fn text(status: Status, text: String) -> Self {
        Self {
            status,
            content_type: "text/plain",
            body: Body::Text(text),
            more: Vec::new(),
        }
    }

    fn metrics(text: Text) -> Self {
        Self {
            status: Status::Ok,
            content_type: CONTENT_TYPE,
            body: Body::Metrics(text),
            more: Vec::new(),
        }
    }

    fn file(found: Found, known: Option<&str>) -> Self {
        let tags = known.unwrap_or_default().split(',').map(str::trim);
        let mut tags = tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag));
        let is_known = tags.any(|tag| tag == found.tag || tag == "*");
        let Found {
            file,
            length,
            content_type,
            tag,
        } = found;
        Self {
            status: match is_known {
                true => Status::NotModified,
                false => Status::Ok,
            },
            content_type,
            body: match is_known {
                true => Body::Nothing,
                false => Body::File(file, length),
            },
            more: vec![("etag", tag)],
        }
    }

    /// The head of the answer.
    pub(super) fn head(&self, keeps_alive: bool, now: Timestamp) -> Head {
        let mut head = Head::new(self.status);
        head.set("date", &date(now));
        if self.status != Status::NotModified {
            let length = match &self.body {
                Body::Text(text) => text.len() as u64,
                Body::Metrics(text) => text.bytes.len() as u64,
                Body::File(_, length) => *length,
                Body::Nothing => 0,
            };
            head.set("content-type", self.content_type);
            head.set("content-length", &length.to_string());
        }
        head.set("cache-control", "no-store");
        head.set("x-content-type-options", "nosniff");
        for (name, value) in &self.more {
            head.set(name, value);
        }
        let persists = if keeps_alive { "keep-alive" } else { "close" };
        head.set("connection", persists);
        head
    }
}

/// A time as HTTP has it (RFC 9110 §5.6.7).
fn date(time: Timestamp) -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    let text = printer.timestamp_to_rfc9110_string(&time);
    text.unwrap_or_else(|_| "Thu, 01 Jan 1970 00:00:00 GMT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, path: &str) -> Request {
        Request {
            method,
            path: path.to_owned(),
            keeps_alive: true,
            host: None,
            body: 0,
            if_none_match: None,
            upgrade: None,
        }
    }

    #[test]
    fn each_path_has_its_answer_and_what_is_off_has_none() {
        let on = HttpSettings {
            root: Some("/nowhere".to_owned()),
            metrics: true,
            health: true,
            websockets: true,
            ..HttpSettings::default()
        };
        let off = HttpSettings::default();
        let wanted = |path: &str, settings| Wanted::of(&request(Method::Get, path), settings);
        assert_eq!(wanted("/healthz/x", &on), Wanted::Healthz);
        assert_eq!(wanted("/healthzx", &on), Wanted::File);
        assert_eq!(wanted("/livez", &on), Wanted::Probe(Probe::Live));
        assert_eq!(wanted("/readyz", &on), Wanted::Probe(Probe::Ready));
        assert_eq!(wanted("/metrics", &on), Wanted::Metrics);
        for path in ["/healthz", "/livez", "/readyz", "/metrics", "/"] {
            let nothing = Wanted::Nothing(Status::NotFound);
            assert_eq!(wanted(path, &off), nothing, "{path}");
        }
        let post = |path: &str| Wanted::of(&request(Method::Other, path), &on);
        assert_eq!(post("/healthz"), Wanted::Healthz);
        let refused = Wanted::Nothing(Status::MethodNotAllowed);
        assert!(post("/metrics") == refused && post("/index.html") == refused);
    }

    #[test]
    fn a_date_is_one_of_http() {
        let time = Timestamp::from_second(784_111_777).unwrap();
        assert_eq!(date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
