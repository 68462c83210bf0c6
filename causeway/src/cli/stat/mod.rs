//! `causeway stat`: what a router says about itself.
//!
//! Owns the options and the order of the tables. It asks over AMQP like any management client, so
//! it works from anywhere and on other routers of this kind, too.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use management::client::Table;
use serde_json::{Map as Object, Value as Json};

use crate::cli::client::ConnectOptions;
use crate::cli::failure::{self, Failure};
use crate::cli::json;
use crate::cli::manager::{Manager, plain};
use crate::cli::quantity;
use crate::cli::screen;
use crate::cli::stat::view::View;

pub mod view;

/// What to show.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  causeway stat\n  causeway stat -l -v\n  \
    causeway stat connections links --json")]
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
    /// Where the router connects to, and how that goes.
    #[arg(long)]
    pub connectors: bool,
    /// Links that the router attaches by itself, and how that goes.
    #[arg(long)]
    pub autolinks: bool,
    /// Show more columns.
    #[arg(short, long)]
    pub verbose: bool,
    /// Show at most N rows; 0 shows all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub limit: usize,
    /// Ask another router of the network, through the one that is connected to.
    #[arg(short, long, value_name = "ID")]
    pub router: Option<String>,
    /// Ask every router of the network.
    #[arg(long, conflicts_with = "router")]
    pub all_routers: bool,
    /// How long an answer may take.
    #[arg(short, long, value_name = "TIME", default_value = "5s",
          value_parser = quantity::parse_duration)]
    pub timeout: Duration,
    /// Print all attributes as JSON.
    #[arg(long)]
    pub json: bool,
    /// How to reach the router.
    #[command(flatten)]
    pub connect: ConnectOptions,
}

/// Asks and shows.
#[must_use]
pub fn run(options: StatOptions) -> ExitCode {
    failure::exit(stat(&options))
}

fn stat(options: &StatOptions) -> Result<ExitCode, Failure> {
    if !options.all_routers {
        screen::say(&shown(options, options.router.as_deref())?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut manager = Manager::connect(&options.connect, None, options.timeout)?;
    let nodes = manager.query(View::Nodes.entity_type(), None)?;
    manager.close();
    let ids = nodes.rows.iter().map(|row| plain(nodes.value(row, "id")));
    let ids: Vec<String> = ids.collect();
    if ids.is_empty() {
        // A router that is by itself.
        screen::say(&shown(options, None)?)?;
    }
    let mut objects = Vec::new();
    for id in ids {
        let text = shown(options, Some(&id))?;
        if options.json {
            let name = Json::from(id).to_string();
            objects.push(format!("{name}:{text}"));
        } else {
            screen::say(&format!("Router {id}\n\n{text}\n"))?;
        }
    }
    if !objects.is_empty() {
        screen::say(&format!("{{{}}}", objects.join(",")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What one router says: the one that is connected to, or another of the network.
fn shown(options: &StatOptions, router: Option<&str>) -> Result<String, Failure> {
    let views = options.all_views();
    let mut manager = Manager::connect(&options.connect, router, options.timeout)?;
    let limit = (options.limit > 0).then_some(options.limit);
    let mut texts = Vec::new();
    let mut tables = Vec::new();
    for view in &views {
        let table = manager.query(view.entity_type(), limit)?;
        if options.json {
            tables.push((view.name().to_owned(), entities(&table)));
        } else {
            texts.push(view.text(&table, options.verbose));
        }
    }
    manager.close();
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
            (self.connectors, View::Connectors),
            (self.autolinks, View::AutoLinks),
        ];
        let flagged = flags.iter().filter(|(on, _)| *on).map(|(_, view)| *view);
        let mut views: Vec<View> = Vec::new();
        for view in self.views.iter().copied().chain(flagged) {
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

/// All attributes of all entities of a table.
fn entities(table: &Table) -> Json {
    let entity = |row: &Vec<_>| {
        let attributes = table.columns.iter().zip(row);
        attributes
            .map(|(name, value)| (name.clone(), json::from_amqp(value)))
            .collect()
    };
    table.rows.iter().map(entity).map(Json::Object).collect()
}
