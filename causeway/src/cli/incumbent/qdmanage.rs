//! `causeway manage` under the name of the incumbent's tool.
//!
//! Owns that tool's command line; what is asked is that of `causeway manage`, with the tool's
//! habits.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

use super::common::{Common, Complaint, ended, in_known_words, misused, say_version, unparsed};
use crate::cli::client::interrupt::Interrupt;
use crate::cli::manage::dumps::Form;
use crate::cli::manage::request::{Answer, Problem, Request, Style};
use crate::cli::manager::{Manager, Trouble};
use crate::cli::screen;

const PROGRAM: &str = "qdmanage <operation>";

/// Ask anything of a router's management node.
#[derive(Debug, Parser)]
#[command(
    name = "qdmanage",
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true,
    override_usage = "qdmanage <operation> [OPTIONS] [ATTR[=VALUE]]...",
    after_help = "Operations: QUERY, CREATE, READ, UPDATE, DELETE, GET-TYPES, GET-OPERATIONS, \
        GET-ATTRIBUTES, GET-ANNOTATIONS, GET-MGMT-NODES, GET-SCHEMA, GET-LOG; others are sent as \
        they are."
)]
pub(in crate::cli) struct Options {
    /// The operation, and its attributes.
    #[arg(value_name = "ATTR[=VALUE]")]
    words: Vec<String>,
    /// The type of entity.
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// The entity's name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The entity's identity.
    #[arg(long, value_name = "ID")]
    identity: Option<String>,
    /// Indent JSON by this many blanks; -1 prints one line.
    #[arg(
        long,
        value_name = "INDENT",
        default_value_t = 2,
        allow_negative_numbers = true
    )]
    indent: i16,
    /// Read attributes from standard input: a map in JSON, or a list of maps.
    #[arg(long)]
    stdin: bool,
    /// The body of an operation that is not built in.
    #[arg(long, value_name = "BODY")]
    body: Option<String>,
    /// Properties of an operation that is not built in: a map in JSON.
    #[arg(long, value_name = "PROPERTIES")]
    properties: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Runs the program with the arguments of the process.
pub(in crate::cli) fn main(arguments: &[OsString]) -> ExitCode {
    let mut command = Options::command();
    let options = match Options::try_parse_from(arguments) {
        Ok(options) => options,
        Err(error) => return unparsed(PROGRAM, &mut command, &error),
    };
    if options.common.version {
        return ended(say_version());
    }
    if options.words.is_empty() {
        return misused(PROGRAM, &mut command, "No operation specified");
    }
    match manage(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failing::Usage(text)) => misused(PROGRAM, &mut command, &text),
        Err(Failing::Ran(complaint)) => ended(Err(complaint)),
    }
}

enum Failing {
    Usage(String),
    Ran(Complaint),
}

impl From<Complaint> for Failing {
    fn from(complaint: Complaint) -> Self {
        Self::Ran(complaint)
    }
}

fn manage(options: Options) -> Result<(), Failing> {
    let connect = options.common.connect_options()?;
    let node = options.common.node(&connect);
    let mut words = options.words.into_iter();
    let mut request = Request {
        operation: words.next().unwrap_or_default(),
        arguments: words.collect(),
        entity_type: options.r#type.filter(|name| !name.is_empty()),
        name: options.name,
        identity: options.identity,
        reads_input: options.stdin,
        body: options.body,
        properties: options.properties,
        given: None,
    };
    let form = Form {
        indent: usize::try_from(options.indent).ok(),
        is_ascii: true,
    };
    let time_out = options.common.time_out();
    let known = |trouble| in_known_words(trouble, &connect);
    let read = request.read_input(&mut io::stdin());
    read.map_err(|problem| failed(problem, &known))?;
    let interrupt = Interrupt::on_signals().map_err(|failure| known(failure.into()))?;
    let mut manager = Manager::connect_to(&connect, &node, time_out, interrupt)
        .map_err(|failure| known(failure.into()))?;
    let answer = request.perform(&mut manager, Style::Incumbent);
    let answer = answer.map_err(|problem| failed(problem, &known))?;
    manager.close();
    let said = match answer {
        Answer::Nothing => Ok(()),
        Answer::Text(text) => screen::say(&text),
        Answer::Data(data) => screen::say(&form.text(&data)),
    };
    Ok(said.map_err(Complaint::from)?)
}

/// A problem in the words of that tool, which does not say which element of a list it was.
fn failed(problem: Problem, known: &dyn Fn(Trouble) -> Complaint) -> Failing {
    match problem {
        Problem::Usage(text) => Failing::Usage(text),
        Problem::Value { class, text } => Complaint::new(class, text).into(),
        Problem::Trouble(trouble) => known(trouble).into(),
        Problem::Element { problem, .. } => failed(*problem, known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_the_incumbent() {
        let options = Options::try_parse_from([
            "qdmanage", "query", "-b", "h:1", "-t", "2.5", "-r", "R", "--ty", "link", "--id=5",
            "--indent", "-1", "id", "-vv",
        ])
        .unwrap();
        assert_eq!(options.words, ["query", "id"]);
        assert_eq!(options.r#type.as_deref(), Some("link"));
        assert_eq!(options.identity.as_deref(), Some("5"));
        assert_eq!((options.indent, options.common.verbose), (-1, 2));
        assert_eq!(options.common.time_out().as_millis(), 2500);
        assert_eq!(options.common.router.as_deref(), Some("R"));
        assert!(Options::try_parse_from(["qdmanage", "query", "-t", "soon"]).is_err());
    }
}
