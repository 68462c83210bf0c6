//! Operations on the running router as a whole: RELOAD and DRAIN. Both are the program's to do;
//! here is what they are asked by and what they are answered with.

use std::time::Duration;

use amqp_codec::{Map, Value};
use router_core::notice::Notice;

use crate::counted::counted;
use crate::host::{Host, Ticket};
use crate::schema::number;
use crate::status::{Failure, Status};
use crate::wire::{Content, Reply, Response};

/// The longest time that a drain may be given, in seconds: a day.
const DRAIN_SECONDS_MAX: i64 = 86_400;

/// Lines that an answer holds; who wants all finds them in the log.
const LINES_TOLD: usize = 1000;

/// What reading a configuration file anew has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// How it differs from what was in force, a line each.
    pub changes: Vec<String>,
    /// What is odd about the file.
    pub warnings: Vec<String>,
    /// It is in force now; else it was only looked at.
    pub is_applied: bool,
    /// What is not, all the same: it could be when it was tried, and then could not.
    pub failures: Vec<String>,
}

/// Who waits for what the program does.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    /// Each with what the log is told once it is done.
    reloads: Vec<(Ticket, Reply, Notice)>,
    last: u64,
}

impl Operations {
    /// Has the program read its configuration file anew, or, with the property `check`, only look
    /// whether it could. The answer comes later.
    pub(crate) fn reload(
        &mut self,
        content: &Content,
        host: &mut dyn Host,
    ) -> Result<Ticket, Failure> {
        let is_check = content.flag("check")?.unwrap_or(false);
        self.last += 1;
        let ticket = Ticket(self.last);
        let begun = host.reload(ticket, is_check);
        begun.map(|()| ticket).map_err(Failure::bad_request)
    }

    /// Whoever has that ticket is to be answered there.
    pub(crate) fn wait(&mut self, ticket: Ticket, reply: Reply, done: Notice) {
        self.reloads.push((ticket, reply, done));
    }

    /// Whom to answer, what the log is told of it, and how.
    pub(crate) fn answer(
        &mut self,
        ticket: Ticket,
        outcome: Result<Reloaded, Vec<String>>,
    ) -> Option<(Reply, Notice, Response)> {
        let at = self.reloads.iter().position(|(of, ..)| *of == ticket)?;
        let (_, reply, done) = self.reloads.swap_remove(at);
        Some((reply, done, response(outcome)))
    }
}

/// The answer to RELOAD.
fn response(outcome: Result<Reloaded, Vec<String>>) -> Response {
    let mut body = Map::new();
    match outcome {
        Ok(reloaded) => {
            let failure = reloaded.failures.first().cloned();
            body.push("applied", reloaded.is_applied);
            body.push("changes", lines(reloaded.changes));
            body.push("warnings", lines(reloaded.warnings));
            let Some(failure) = failure else {
                return Response::new(Status::Ok, Value::Map(body));
            };
            body.push("errors", lines(reloaded.failures));
            Response {
                text: format!("Not all of it is in force, restart the router: {failure}"),
                ..Response::new(Status::InternalError, Value::Map(body))
            }
        }
        Err(errors) => {
            let count = counted(errors.len(), "error");
            let first = errors.first().map_or("", String::as_str);
            let text = format!("Nothing was changed, {count}: {first}");
            body.push("applied", false);
            body.push("errors", lines(errors));
            Response {
                text,
                ..Response::new(Status::BadRequest, Value::Map(body))
            }
        }
    }
}

fn lines(mut lines: Vec<String>) -> Value {
    let more = lines.len().saturating_sub(LINES_TOLD);
    lines.truncate(LINES_TOLD);
    if more > 0 {
        lines.push(format!("and {more} more, see the log"));
    }
    Value::List(lines.into_iter().map(Value::from).collect())
}

/// Has the program end in good order; with the property `seconds`, what is in flight may take so
/// long. All connections end by it, so it is refused where a policy keeps these.
pub(crate) fn drain(
    content: &Content,
    keeps_connections: bool,
    host: &mut dyn Host,
) -> Result<Response, Failure> {
    if keeps_connections {
        return Err(Failure::not_allowed());
    }
    let seconds = content.number("seconds")?;
    let bound = match seconds {
        None => None,
        Some(seconds @ 0..=DRAIN_SECONDS_MAX) => Some(Duration::from_secs(seconds.unsigned_abs())),
        Some(_) => {
            let text = format!("'seconds' must be between 0 and {DRAIN_SECONDS_MAX}");
            return Err(Failure::bad_request(text));
        }
    };
    let granted = host.drain(bound).map_err(Failure::bad_request)?;
    let mut body = Map::new();
    let seconds = i64::try_from(granted.as_secs()).unwrap_or(i64::MAX);
    body.push("seconds", number(seconds));
    Ok(Response::new(Status::Ok, Value::Map(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_is_told_of_what_failed_behind_the_point_of_no_return() {
        let reloaded = Reloaded {
            changes: vec!["added address a".to_owned()],
            is_applied: true,
            failures: vec!["address on line 7 is not as the file says".to_owned()],
            ..Reloaded::default()
        };
        let answer = response(Ok(reloaded));
        assert_eq!(answer.status, Status::InternalError);
        assert!(
            answer
                .text
                .contains("restart the router: address on line 7")
        );
        let map = answer.body.as_map().unwrap();
        assert_eq!(map.get("applied"), Some(&Value::Bool(true)));
        assert!(map.get("errors").is_some());
    }
}
