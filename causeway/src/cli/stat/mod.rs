//! `causeway stat`: what a router says about itself.
//!
//! Owns the options and the order of the tables. It asks over AMQP like any management client, so
//! it works from anywhere and on other routers of this kind, too.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use management::client::Table;
use serde_json::{Map as Object, Value as Json};

use crate::cli::ask::AskOptions;
use crate::cli::failure::{self, Failure};
use crate::cli::json;
use crate::cli::manager::{Manager, Node, plain};
use crate::cli::quantity;
use crate::cli::screen;
use crate::cli::stat::sheet::{Choice, Filter};
use crate::cli::stat::view::View;
use crate::cli::table::harmless;

pub(super) mod cells;
pub(super) mod columns;
pub(super) mod sheet;
pub mod view;

/// What a terminal does to show a new round where the last one was.
const NEW_ROUND: &str = "\x1b[H\x1b[2J";

/// The least time between two rounds.
const WATCH_MIN: Duration = Duration::from_millis(100);

/// What to show.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  causeway stat\n  causeway stat -l -v\n  \
    causeway stat connections links --json\n  \
    causeway stat -l --filter addr='orders*' --sort=-undel --watch\n  \
    causeway stat --log --limit 20")]
pub struct StatOptions {
    /// What to show; the router as a whole where silent.
    #[arg(value_name = "VIEW", value_enum)]
    pub views: Vec<View>,
    /// The router as a whole.
    #[arg(short, long)]
    pub general: bool,
    /// Who is connected.
    #[arg(short, long)]
    pub connections: bool,
    /// Links with their counters and credit.
    #[arg(short, long)]
    pub links: bool,
    /// Addresses with their receivers and counters.
    #[arg(short, long, visible_alias = "address")]
    pub addresses: bool,
    /// The routers of the network: which neighbour leads to each, and at what cost.
    #[arg(short, long)]
    pub nodes: bool,
    /// Connections with edge routers.
    #[arg(short, long)]
    pub edge: bool,
    /// What the router keeps in memory.
    #[arg(short, long)]
    pub memory: bool,
    /// What is allowed at all.
    #[arg(short, long)]
    pub policy: bool,
    /// Where the router connects to, and how that goes.
    #[arg(long)]
    pub connectors: bool,
    /// Links that the router attaches by itself, and how that goes.
    #[arg(long)]
    pub autolinks: bool,
    /// Which links are routed to whom.
    #[arg(long)]
    pub linkroutes: bool,
    /// Virtual hosts and their limits.
    #[arg(long)]
    pub vhosts: bool,
    /// Groups of users of virtual hosts.
    #[arg(long)]
    pub vhostgroups: bool,
    /// What was denied at virtual hosts.
    #[arg(long)]
    pub vhoststats: bool,
    /// The latest lines of the log.
    #[arg(long)]
    pub log: bool,
    /// All of it, but for the log and the groups of users.
    #[arg(long)]
    pub all_entities: bool,
    /// Show more columns.
    #[arg(short, long)]
    pub verbose: bool,
    /// Show at most N rows; 0 shows all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub limit: usize,
    /// Show only rows whose column is like this; * is any text, ? any character.
    #[arg(long = "filter", value_name = "COLUMN=PATTERN")]
    filters: Vec<Filter>,
    /// Sort by a column; --sort=-COLUMN begins with the greatest.
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Ask again and again, every 2 s where silent, until Ctrl-C.
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "2s",
          require_equals = true, value_parser = quantity::parse_duration)]
    pub watch: Option<Duration>,
    /// Ask every router of the network.
    #[arg(long, conflicts_with_all = ["router", "edge_router"])]
    pub all_routers: bool,
    /// Print all attributes as JSON.
    #[arg(long)]
    pub json: bool,
    /// Print tables as comma-separated values.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub ask: AskOptions,
}

/// Asks and shows.
#[must_use]
pub fn run(options: StatOptions) -> ExitCode {
    failure::exit(stat(&options))
}

fn stat(options: &StatOptions) -> Result<ExitCode, Failure> {
    let mut manager = options.ask.manager()?;
    let Some(interval) = options.watch else {
        let code = round(&mut manager, options, "")?;
        manager.close();
        return Ok(code);
    };
    let new_round = match io::stdout().is_terminal() {
        true => NEW_ROUND,
        false => "",
    };
    while !manager.interrupted() {
        match round(&mut manager, options, new_round) {
            Ok(_) => {}
            Err(_) if manager.interrupted() => break,
            Err(failure) => return Err(failure),
        }
        manager.rest(interval.max(WATCH_MIN))?;
        if new_round.is_empty() && !options.json && !manager.interrupted() {
            screen::say("")?;
        }
    }
    manager.close();
    Ok(ExitCode::SUCCESS)
}

/// Asks and shows once.
fn round(manager: &mut Manager, options: &StatOptions, begin: &str) -> Result<ExitCode, Failure> {
    if !options.all_routers {
        let text = shown(manager, options)?;
        screen::say(&format!("{begin}{text}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut nodes = Node::Own;
    manager.turn_to(&nodes)?;
    let table = manager.query(NODES, None)?;
    let ids: Vec<String> = table
        .rows
        .iter()
        .map(|row| plain(table.value(row, "id")))
        .collect();
    if ids.is_empty() {
        // A router that is by itself.
        let text = shown(manager, options)?;
        screen::say(&format!("{begin}{text}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut code = ExitCode::SUCCESS;
    let mut objects = Object::new();
    let mut begin = begin;
    for id in ids {
        nodes = Node::Router(id.clone());
        let asked = manager
            .turn_to(&nodes)
            .and_then(|()| shown(manager, options));
        match asked {
            Ok(text) if options.json => {
                let parsed = serde_json::from_str(&text);
                objects.insert(id, parsed.unwrap_or(Json::Null));
            }
            Ok(text) => {
                screen::say(&format!("{begin}Router {id}\n\n{text}\n"))?;
                begin = "";
            }
            Err(failure) if manager.interrupted() => return Err(failure),
            // The others may answer.
            Err(failure) => {
                screen::complain(&format!("error: {failure}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    if options.json {
        screen::say(&Json::Object(objects).to_string())?;
    }
    Ok(code)
}

/// The type whose entities are the routers of the network.
const NODES: &str = "org.apache.qpid.dispatch.router.node";

/// What the router says that is asked.
fn shown(manager: &mut Manager, options: &StatOptions) -> Result<String, Failure> {
    let choice = Choice {
        filters: options.filters.clone(),
        sort: options.sort.clone(),
        limit: (options.limit > 0).then_some(options.limit),
    };
    let mut texts = Vec::new();
    let mut tables = Vec::new();
    for view in options.all_views() {
        let table = view.ask(manager, choice.rows_to_ask())?;
        let mut sheet = view.sheet(&table, options.verbose);
        sheet.choose(&choice, &table)?;
        if options.json {
            let entities = entities(&table, &sheet.entities());
            tables.push((view.name().to_owned(), entities));
        } else if options.csv {
            texts.push(sheet.csv().join("\n"));
        } else if view == View::Log {
            let line = |line: &sheet::Line| harmless(&line.cells.join(" "));
            texts.push(sheet.rows.iter().map(line).collect::<Vec<_>>().join("\n"));
        } else {
            texts.push(sheet.text());
        }
    }
    Ok(match (options.json, tables.pop()) {
        (true, Some((_, table))) if tables.is_empty() => table.to_string(),
        (true, last) => {
            Json::Object(tables.into_iter().chain(last).collect::<Object<_, _>>()).to_string()
        }
        (false, _) => texts.join("\n\n"),
    })
}

impl StatOptions {
    /// The views that were asked for, each once.
    fn all_views(&self) -> Vec<View> {
        let flags = [
            (self.general, View::General),
            (self.connections, View::Connections),
            (self.links, View::Links),
            (self.addresses, View::Addresses),
            (self.nodes, View::Nodes),
            (self.edge, View::Edge),
            (self.connectors, View::Connectors),
            (self.autolinks, View::AutoLinks),
            (self.linkroutes, View::LinkRoutes),
            (self.memory, View::Memory),
            (self.policy, View::Policy),
            (self.vhosts, View::Vhosts),
            (self.vhostgroups, View::VhostGroups),
            (self.vhoststats, View::VhostStats),
            (self.log, View::Log),
        ];
        let flagged = flags.iter().filter(|(on, _)| *on).map(|(_, view)| *view);
        let all = View::ALL.into_iter().filter(|_| self.all_entities);
        let mut views: Vec<View> = Vec::new();
        for view in self.views.iter().copied().chain(flagged).chain(all) {
            if !views.contains(&view) {
                views.push(view);
            }
        }
        if views.is_empty() {
            views.push(View::General);
        }
        views
    }
}

/// All attributes of chosen entities of a table.
fn entities(table: &Table, chosen: &[usize]) -> Json {
    let entity = |row: &Vec<_>| {
        let attributes = table.columns.iter().zip(row);
        attributes
            .map(|(name, value)| (name.clone(), json::from_amqp(value)))
            .collect()
    };
    let rows = chosen.iter().filter_map(|place| table.rows.get(*place));
    rows.map(entity).map(Json::Object).collect()
}
