//! `causeway recv`: receives messages from an address and prints them.
//!
//! Owns the order of receiving, printing and settling: a message is accepted after it has been
//! printed, so that one that was lost on the way to the screen is not lost to the sender.

use std::process::ExitCode;
use std::time::Duration;

use amqp_codec::{AmqpError, DeliveryState, Modified, Source, Str};
use amqp_proto::{Event, Time};
use clap::{Args, ValueEnum};
use management::counted;

use crate::cli::client::fault;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::client::{Client, ConnectOptions, container_name};
use crate::cli::failure::{self, Failure};
use crate::cli::intake::{self, Arrival, Intake};
use crate::cli::quantity;
use crate::cli::screen;
use crate::cli::show;

/// What to receive, and how it is shown.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 when stopped, drained or after --count messages; 1 if fewer \
    came in time, or on failure.\nExamples:\n  causeway recv orders\n  causeway recv orders \
    --count 1 --timeout 5s\n  causeway recv orders --drain --json"
)]
pub struct RecvOptions {
    /// The address to receive from, or a whole URL: amqp://HOST:PORT/ADDRESS.
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// Stop after N messages.
    #[arg(long, short = 'n', value_name = "N")]
    pub count: Option<u64>,
    /// Stop when no message has come for this long.
    #[arg(long, value_name = "TIME", value_parser = quantity::parse_duration)]
    pub timeout: Option<Duration>,
    /// Take what is there and stop.
    #[arg(long)]
    pub drain: bool,
    /// Print one JSON object a line.
    #[arg(long, conflicts_with = "body")]
    pub json: bool,
    /// Print bodies only.
    #[arg(long)]
    pub body: bool,
    /// What becomes of the messages.
    #[arg(long, value_enum, value_name = "OUTCOME", default_value_t = Outcome::Accept)]
    pub outcome: Outcome,
    /// Ask for settled messages: nobody will know whether they arrived.
    #[arg(long, conflicts_with = "outcome")]
    pub settled: bool,
    /// How to reach the router.
    #[command(flatten)]
    pub connect: ConnectOptions,
}

/// What the sender is told about a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Outcome {
    /// Accepted.
    Accept,
    /// Rejected as invalid.
    Reject,
    /// Released: as if it had never been sent.
    Release,
    /// Modified: delivery failed, and not here again.
    Modify,
}

impl Outcome {
    fn state(self) -> DeliveryState {
        match self {
            Self::Accept => DeliveryState::Accepted,
            Self::Release => DeliveryState::Released,
            Self::Reject => DeliveryState::Rejected(Some(Box::new(AmqpError::new(
                "amqp:precondition-failed",
                "rejected by causeway recv",
            )))),
            Self::Modify => DeliveryState::Modified(Box::new(Modified {
                delivery_failed: true,
                undeliverable_here: true,
                ..Modified::default()
            })),
        }
    }
}

/// Receives and prints.
#[must_use]
pub fn run(options: RecvOptions) -> ExitCode {
    failure::exit(receive(&options))
}

fn receive(options: &RecvOptions) -> Result<ExitCode, Failure> {
    let (connect, address) = options.connect.with_address(&options.address)?;
    let mut client = Client::connect(&connect, &container_name("recv"), Interrupt::on_signals()?)?;
    let source = Source {
        address: Some(Str::copy(&address)),
        ..Source::default()
    };
    let link = client.attach_receiver(source, options.settled)?.key;
    let intake = Intake::new(link, options.count.unwrap_or(u64::MAX));
    let mut receiving = Receiving {
        client,
        intake,
        options,
        deadline: None,
        received: 0,
    };
    let end = receiving.run()?;
    receiving.finish(&end, &address)
}

/// Why receiving ended.
enum End {
    /// All that was wanted has come, or was there.
    Complete,
    /// The person wants no more.
    Stopped,
    /// Nothing came for too long.
    TimedOut,
}

/// A running receive.
struct Receiving<'a> {
    client: Client,
    intake: Intake,
    options: &'a RecvOptions,
    deadline: Option<Time>,
    received: u64,
}

impl Receiving<'_> {
    fn run(&mut self) -> Result<End, Failure> {
        if self.intake.wanted() == 0 {
            return Ok(End::Complete);
        }
        self.grant();
        self.renew_deadline();
        loop {
            let Some(event) = self.client.next_event(self.deadline)? else {
                let end = if self.client.interrupted() {
                    End::Stopped
                } else {
                    End::TimedOut
                };
                return Ok(end);
            };
            match event {
                Event::Transfer {
                    link,
                    delivery,
                    payload,
                } if link == self.intake.link() => {
                    if let Some(arrival) = self.intake.take(&delivery, payload)? {
                        self.arrived(&arrival)?;
                        if self.intake.wanted() == 0 {
                            return Ok(End::Complete);
                        }
                    }
                }
                Event::Flow { .. } if self.is_drained() => return Ok(End::Complete),
                Event::Detached { link, error, .. } => {
                    self.client.forget(link);
                    let peer = self.client.wire().peer().to_string();
                    return Err(fault::done(&peer, "detached the link", error.as_deref()));
                }
                _ => {}
            }
        }
    }

    /// Prints a message, then settles it.
    fn arrived(&mut self, arrival: &Arrival) -> Result<(), Failure> {
        self.received += 1;
        match &arrival.message {
            Ok(message) if self.options.json => screen::say(&show::json(message).to_string())?,
            Ok(message) if self.options.body => screen::raw(&show::bare(message), true)?,
            Ok(message) => screen::say(&show::text(message))?,
            Err(error) => {
                screen::complain(&format!("a message cannot be decoded: {error}"));
                screen::say(&show::undecodable(&arrival.bytes).to_string())?;
            }
        }
        intake::settle(&mut self.client, arrival, self.options.outcome.state());
        self.renew_deadline();
        if self.options.drain {
            // All credit went into messages: there may be more.
            if self.is_drained() {
                self.grant();
            }
        } else {
            self.intake.renew(&mut self.client);
        }
        Ok(())
    }

    /// Gives credit; to drain, with the request to give back what is left of it.
    fn grant(&mut self) {
        if self.options.drain {
            let (link, window) = (self.intake.link(), self.intake.window());
            let wire = self.client.wire();
            wire.connection
                .set_credit(link, window, true, &mut wire.output);
        } else {
            self.intake.renew(&mut self.client);
        }
    }

    /// Whether a drain has used up all credit.
    fn is_drained(&mut self) -> bool {
        let link = self.intake.link();
        self.options.drain && self.client.wire().connection.credit(link) == 0
    }

    fn renew_deadline(&mut self) {
        self.deadline = self
            .options
            .timeout
            .map(|timeout| self.client.deadline(timeout));
    }

    /// Says goodbye and gives the exit status.
    fn finish(mut self, end: &End, address: &str) -> Result<ExitCode, Failure> {
        // A second Ctrl-C ends the process; the first only ends the receiving.
        if !matches!(end, End::Stopped) {
            self.client.detach(self.intake.link())?;
        }
        self.client.close();
        match (end, self.options.count) {
            (End::TimedOut, Some(count)) => {
                let seconds = self.options.timeout.unwrap_or_default().as_secs_f64();
                let text = format!(
                    "{} of {} came from `{address}`, then none for {seconds} s",
                    self.received,
                    counted(count, "message")
                );
                Err(Failure::new(text))
            }
            (End::Complete, Some(count)) if self.received < count => {
                let count = counted(count, "message");
                let text = format!("`{address}` had {} of {count}", self.received);
                Err(Failure::new(text))
            }
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}
