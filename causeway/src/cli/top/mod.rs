//! `causeway top`: what is busy right now.
//!
//! Owns the options and the loop: ask, show, do what is pressed. On a terminal the page is drawn in
//! place; otherwise, and with `--batch`, rounds follow each other.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use clap::Args;

mod page;
mod view;

use page::{Page, Wish};
use view::View;

use crate::cli::ask::{ANSWER_TIME, AskOptions};
use crate::cli::client::interrupt::Interrupt;
use crate::cli::failure::{self, Failure};
use crate::cli::manager::{Manager, Node};
use crate::cli::quantity;
use crate::cli::screen;
use crate::cli::terminal::{self, Terminal};
use crate::clock::Clock;

/// How long keys are waited for before the time is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long the connection is looked after in between.
const CARE: Duration = Duration::from_millis(1);

/// What to show.
#[derive(Debug, Args)]
#[command(
    after_help = "Keys: c connections, l links, a addresses, r routers, s sort by the next \
    column, o other order, / filter, p pause, q quit.\n\n\
    Examples:\n  causeway top\n  causeway top links --batch -n 3 --filter 'orders*'"
)]
pub struct TopOptions {
    /// What to show.
    #[arg(value_enum, default_value = "connections")]
    view: View,
    /// How often to ask.
    #[arg(short, long, value_name = "TIME", default_value = "1s",
          value_parser = quantity::parse_duration)]
    pub interval: Duration,
    /// Sort by a column; --sort=-COLUMN begins with the greatest.
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Show only what has this in its name; * is any text, ? any character.
    #[arg(long, value_name = "PATTERN")]
    pub filter: Option<String>,
    /// Print rounds one after another, even on a terminal.
    #[arg(long)]
    pub batch: bool,
    /// End after so many rounds; goes with --batch.
    #[arg(short = 'n', long, value_name = "N", requires = "batch")]
    pub rounds: Option<u64>,
    /// Whom to ask.
    #[command(flatten)]
    pub ask: AskOptions,
}

/// Asks and shows.
#[must_use]
pub fn run(options: TopOptions) -> ExitCode {
    failure::exit(top(&options))
}

fn top(options: &TopOptions) -> Result<ExitCode, Failure> {
    let mut page = Page::new(options.view);
    page.filter(options.filter.as_deref().unwrap_or_default());
    if let Some(sort) = &options.sort {
        page.sort(sort).map_err(|heads| {
            Failure::new(format!("there is no column `{sort}`")).hint(format!("there are {heads}"))
        })?;
    }
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let is_drawn = is_terminal && !options.batch;
    let interrupt = match is_drawn {
        true => terminal::interrupt()?,
        false => Interrupt::on_signals()?,
    };
    let manager = options.ask.manager_with(ANSWER_TIME, interrupt)?;
    let node = options.ask.node();
    let name = match &node {
        Node::Router(id) | Node::Edge(id) => id.clone(),
        Node::Own | Node::At(_) => options.ask.connect.url.to_string(),
    };
    let mut top = Top {
        manager,
        node,
        name,
        page,
        clock: Clock::start(),
        interval: options.interval.max(LOOK),
    };
    let ended = match is_drawn {
        true => top.draw(),
        false => top.print(options.rounds),
    };
    match ended {
        // Whatever else went wrong: that is what was asked for.
        Err(_) if top.manager.interrupted() => Ok(ExitCode::SUCCESS),
        Err(failure) => Err(failure),
        Ok(()) => {
            top.manager.close();
            Ok(ExitCode::SUCCESS)
        }
    }
}

struct Top {
    manager: Manager,
    node: Node,
    name: String,
    page: Page,
    clock: Clock,
    interval: Duration,
}

impl Top {
    fn ask(&mut self) -> Result<(), Failure> {
        let view = self.page.view;
        let samples = view.ask(&mut self.manager, &self.node, &self.clock)?;
        self.page.take(samples);
        Ok(())
    }

    /// Prints rounds; the first is only there to compare with.
    fn print(&mut self, rounds: Option<u64>) -> Result<(), Failure> {
        self.ask()?;
        let mut printed = 0;
        while rounds.is_none_or(|rounds| printed < rounds) {
            self.manager.rest(self.interval)?;
            if self.manager.interrupted() {
                return Ok(());
            }
            self.ask()?;
            if printed > 0 {
                screen::say("")?;
            }
            screen::say(&self.page.lines(&self.name, usize::MAX).join("\n"))?;
            printed += 1;
        }
        Ok(())
    }

    /// Draws pages in place until somebody has seen enough.
    fn draw(&mut self) -> Result<(), Failure> {
        let mut terminal = Terminal::take()?;
        let input = terminal::read_input()?;
        let mut due = self.clock.now();
        // The room there was for what is drawn; none if that has changed.
        let mut drawn = None;
        let mut shown = None;
        while !self.manager.interrupted() {
            // Who pauses and turns to another view wants to see it all the same.
            let is_due = self.clock.now() >= due && !self.page.is_paused;
            if is_due || shown != Some(self.page.view) {
                shown = Some(self.page.view);
                terminal.measure()?;
                due = self.clock.now() + self.interval;
                self.ask()?;
                drawn = None;
            }
            if drawn != Some(terminal.room()) {
                drawn = Some(terminal.room());
                let lines = self.page.lines(&self.name, terminal.room());
                terminal.draw_above(&lines, &self.page.foot())?;
            }
            let pressed = match input.recv_timeout(LOOK) {
                Ok(bytes) => terminal.pressed(&bytes),
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            for key in pressed {
                drawn = None;
                if self.page.press(key) == Wish::Quit {
                    return Ok(());
                }
            }
            self.manager.rest(CARE)?;
        }
        Ok(())
    }
}
