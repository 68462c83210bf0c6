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
use crate::cli::json::from_amqp;
use crate::cli::manager::{Manager, Node, plain};
use crate::cli::quantity;
use crate::cli::screen;
use crate::cli::stat::sheet::{Choice, Filter, Sheet};
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
    /// Show only rows whose column is like this; * is any text, ? any character. Of several tables
    /// only those are shown that have the column.
    #[arg(long = "filter", value_name = "COLUMN=PATTERN")]
    filters: Vec<Filter>,
    /// Sort by a column; --sort=-COLUMN begins with the greatest.
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Ask again and again, every 2 s where silent, until Ctrl-C.
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "2s",
          require_equals = true, value_parser = quantity::parse_duration)]
    pub watch: Option<Duration>,
    /// Ask every router of the network. With --csv their rows are in one table, which begins with a
    /// column for the router.
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

/// A table that was asked for, and what is chosen of it.
struct Shown {
    view: View,
    table: Table,
    sheet: Sheet,
}

/// Asks and shows once.
fn round(manager: &mut Manager, options: &StatOptions, begin: &str) -> Result<ExitCode, Failure> {
    if options.all_routers {
        return all_routers(manager, options, begin);
    }
    let text = text(options, &gather(manager, options)?);
    screen::say(&format!("{begin}{text}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks each router of the network; those that do not answer are named, the others are shown.
fn all_routers(
    manager: &mut Manager,
    options: &StatOptions,
    mut begin: &str,
) -> Result<ExitCode, Failure> {
    let ids = routers(manager)?;
    if ids.is_empty() && !options.csv {
        let text = text(options, &gather(manager, options)?);
        screen::say(&format!("{begin}{text}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut code = ExitCode::SUCCESS;
    let mut objects = Object::new();
    let mut joined: Vec<(View, Sheet)> = Vec::new();
    for (id, node) in router_or_own(manager, ids)? {
        let asked = manager
            .turn_to(&node)
            .and_then(|()| gather(manager, options));
        match asked {
            Ok(shown) if options.csv => join(&mut joined, &id, shown),
            Ok(shown) if options.json => {
                objects.insert(id, json(options, &shown));
            }
            Ok(shown) => {
                let text = text(options, &shown);
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
    if !joined.is_empty() {
        let views = options.all_views().into_iter();
        let sheets = views.filter_map(|view| joined.iter().find(|(of, _)| *of == view));
        let tables: Vec<String> = sheets.map(|(_, sheet)| sheet.csv().join("\n")).collect();
        screen::say(&format!("{begin}{}", tables.join("\n\n")))?;
    }
    Ok(code)
}

/// The type whose entities are the routers of the network.
const NODES: &str = "org.apache.qpid.dispatch.router.node";

/// The routers of the network; none where a router is by itself.
fn routers(manager: &mut Manager) -> Result<Vec<String>, Failure> {
    manager.turn_to(&Node::Own)?;
    ids(manager, NODES)
}

/// Where to ask each of them; a router that is by itself is asked directly.
fn router_or_own(
    manager: &mut Manager,
    routers: Vec<String>,
) -> Result<Vec<(String, Node)>, Failure> {
    if routers.is_empty() {
        let own = ids(manager, "org.apache.qpid.dispatch.router")?;
        return Ok(own.into_iter().map(|id| (id, Node::Own)).collect());
    }
    let node = |id: String| (id.clone(), Node::Router(id));
    Ok(routers.into_iter().map(node).collect())
}

fn ids(manager: &mut Manager, entity_type: &str) -> Result<Vec<String>, Failure> {
    let table = manager.query(entity_type, None)?;
    let rows = table.rows.iter();
    Ok(rows.map(|row| plain(table.value(row, "id"))).collect())
}

/// Adds a router's tables to those of the others, for a program that reads one table of each kind.
fn join(joined: &mut Vec<(View, Sheet)>, router: &str, shown: Vec<Shown>) {
    for Shown {
        view, mut sheet, ..
    } in shown
    {
        sheet.begin_with("router", router);
        match joined.iter_mut().find(|(of, _)| *of == view) {
            Some((_, all)) => all.join(sheet),
            None => joined.push((view, sheet)),
        }
    }
}

/// What the router says that is asked. Of several tables those are left out that do not have a
/// column by which is filtered, and those keep their order that do not have the one to sort by.
fn gather(manager: &mut Manager, options: &StatOptions) -> Result<Vec<Shown>, Failure> {
    let choice = Choice {
        filters: options.filters.clone(),
        sort: options.sort.clone(),
        limit: (options.limit > 0).then_some(options.limit),
    };
    let views = options.all_views();
    let mut all = Vec::new();
    let mut is_sorted = false;
    for view in &views {
        let table = view.ask(manager, choice.rows_to_ask())?;
        let mut sheet = view.sheet(&table, options.verbose);
        let mut choice = choice.clone();
        if views.len() > 1 {
            if !choice
                .filters
                .iter()
                .all(|filter| sheet.has(filter, &table))
            {
                continue;
            }
            choice.sort.take_if(|sort| !sheet.sorts(sort, &table));
        }
        is_sorted |= choice.sort.is_some();
        sheet.choose(&choice, &table)?;
        all.push(Shown {
            view: *view,
            table,
            sheet,
        });
    }
    if all.is_empty() {
        let text = "there is none of these tables that has the columns to filter by";
        return Err(Failure::new(text).hint("`causeway stat VIEW` shows the columns of a table"));
    }
    match &options.sort {
        Some(sort) if !is_sorted => {
            let column = sort.trim_start_matches('-');
            Err(Failure::new(format!(
                "there is no column `{column}` in any of these tables"
            )))
        }
        _ => Ok(all),
    }
}

/// For people, or for a program that reads tables or JSON.
fn text(options: &StatOptions, shown: &[Shown]) -> String {
    if options.json {
        return json(options, shown).to_string();
    }
    let texts = shown.iter().map(|Shown { view, sheet, .. }| {
        if options.csv {
            sheet.csv().join("\n")
        } else if *view == View::Log {
            let line = |line: &sheet::Line| harmless(&line.cells.join(" "));
            sheet.rows.iter().map(line).collect::<Vec<_>>().join("\n")
        } else {
            sheet.text()
        }
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// The list of one table, or an object of lists where several were asked for.
fn json(options: &StatOptions, shown: &[Shown]) -> Json {
    let list = |shown: &Shown| entities(&shown.table, &shown.sheet.entities());
    match shown {
        [one] if options.all_views().len() == 1 => list(one),
        all => {
            let lists = all
                .iter()
                .map(|one| (one.view.name().to_owned(), list(one)));
            Json::Object(lists.collect())
        }
    }
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
            .map(|(name, value)| (name.clone(), from_amqp(value)))
            .collect()
    };
    let rows = chosen.iter().filter_map(|place| table.rows.get(*place));
    rows.map(entity).map(Json::Object).collect()
}
