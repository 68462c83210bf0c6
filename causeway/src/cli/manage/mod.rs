//! `causeway manage`: any operation of a router's management node.
//!
//! Owns the options of the verb; what is asked and how the answer reads is in [`request`] and
//! [`dumps`], which the program called `qdmanage` shares.

use std::io;
use std::process::ExitCode;

use clap::Args;

pub mod dumps;
pub mod request;

use crate::cli::ask::AskOptions;
use crate::cli::failure::{self, Failure};
use crate::cli::manage::dumps::Form;
use crate::cli::manage::request::{Answer, Problem, Request, Style};
use crate::cli::screen;

/// What to ask of the management node.
#[derive(Debug, Args)]
#[command(
    after_help = "Operations: query, create, read, update, delete, get-types, \
    get-operations, get-attributes, get-annotations, get-mgmt-nodes, get-schema, \
    get-json-schema, get-log; others are sent as they are.\n\n\
    Examples:\n  causeway manage query --type connection host role\n  \
    causeway manage create --type address --name orders prefix=orders distribution=closest\n  \
    causeway manage update --type log --name log/DEFAULT enable=debug+\n  \
    causeway manage delete --type connector --name hub\n  \
    causeway manage get-log limit=10"
)]
pub struct ManageOptions {
    /// The operation, in any case.
    pub operation: String,
    /// Attributes; without a value: their names (query), or no value any more (update).
    #[arg(value_name = "ATTR[=VALUE]")]
    pub arguments: Vec<String>,
    /// The type of entity, short or full.
    #[arg(long, value_name = "TYPE")]
    pub r#type: Option<String>,
    /// The entity's name.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The entity's identity.
    #[arg(long, value_name = "ID")]
    pub identity: Option<String>,
    /// Indent JSON by this many blanks; -1 prints one line.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        allow_negative_numbers = true
    )]
    pub indent: i16,
    /// Read attributes from standard input: a map in JSON, or a list of maps.
    #[arg(long)]
    pub stdin: bool,
    /// The body of an operation that is not built in: JSON, or text.
    #[arg(long, value_name = "JSON")]
    pub body: Option<String>,
    /// More properties of an operation that is not built in: a map in JSON.
    #[arg(long, value_name = "JSON")]
    pub properties: Option<String>,
    /// Whom to ask.
    #[command(flatten)]
    pub ask: AskOptions,
}

/// Asks and prints.
#[must_use]
pub fn run(options: ManageOptions) -> ExitCode {
    failure::exit(manage(options))
}

fn manage(options: ManageOptions) -> Result<ExitCode, Failure> {
    let mut request = Request {
        operation: options.operation,
        arguments: options.arguments,
        entity_type: options.r#type,
        name: options.name,
        identity: options.identity,
        reads_input: options.stdin,
        body: options.body,
        properties: options.properties,
        given: None,
    };
    request.read_input(&mut io::stdin())?;
    let form = Form {
        indent: usize::try_from(options.indent).ok(),
        is_ascii: false,
    };
    let mut manager = options.ask.manager()?;
    let answer = request.perform(&mut manager, Style::Own);
    if let Err(Problem::Element { written, .. }) = &answer {
        // A script has to know what is there by now.
        screen::say(&form.text(written))?;
    }
    let answer = answer.map_err(Failure::from)?;
    manager.close();
    match answer {
        Answer::Nothing => {}
        Answer::Text(text) => screen::say(&text)?,
        Answer::Data(data) => screen::say(&form.text(&data))?,
    }
    Ok(ExitCode::SUCCESS)
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Usage(text) => Self::new(text).hint("`causeway manage --help` says what is"),
            Problem::Value { text, .. } => Self::new(text),
            Problem::Trouble(trouble) => trouble.into(),
            Problem::Element {
                number, problem, ..
            } => Self::from(*problem).within(&format!("element {number} of the list")),
        }
    }
}
