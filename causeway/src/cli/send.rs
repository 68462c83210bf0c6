//! `causeway send`: sends messages to an address and says what became of them.
//!
//! Owns the order of sending and the account of outcomes. Messages are unsettled unless asked
//! otherwise: a tool that says "sent" of a message nobody took is no help to a person who looks for
//! it.

use std::process::ExitCode;
use std::time::Duration;

use amqp_codec::{DeliveryState, DeliveryTag};
use amqp_proto::{Event, LinkKey, OutTransfer, Time};
use clap::Args;
use management::counted;

use crate::cli::body::{Bodies, Next};
use crate::cli::client::fault::{self, said};
use crate::cli::client::interrupt::Interrupt;
use crate::cli::client::{Client, ConnectOptions, container_name};
use crate::cli::compose::{Composer, MessageOptions};
use crate::cli::failure::{self, Failure};
use crate::cli::quantity;
use crate::cli::reply::Replies;
use crate::cli::screen;

/// How often a source of bodies that is waited for is asked again.
const SOURCE_INTERVAL: Duration = Duration::from_millis(20);
/// Refusals that are told one by one; the rest is only counted.
const REFUSALS_TOLD: u64 = 5;

/// What to send, and where.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if every message was accepted, 1 if not.\n\
    Examples:\n  causeway send orders 'hello' --property region=north\n  \
    ls | causeway send files --file - --lines\n  causeway send clock now --reply"
)]
pub struct SendOptions {
    /// The address to send to, or a whole URL: amqp://HOST:PORT/ADDRESS.
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// What to send and how it looks.
    #[command(flatten)]
    pub message: MessageOptions,
    /// Send settled: nobody will say what became of the messages.
    #[arg(long, conflicts_with = "reply")]
    pub settled: bool,
    /// Attach to no address; each message says where it goes.
    #[arg(long)]
    pub anonymous: bool,
    /// Ask for an answer to each message, and print it.
    #[arg(long)]
    pub reply: bool,
    /// Print answers as JSON, one object a line.
    #[arg(long, requires = "reply")]
    pub json: bool,
    /// Say nothing unless something goes wrong.
    #[arg(long, short)]
    pub quiet: bool,
    /// How long to wait for credit, an outcome or an answer; 0 waits without end.
    #[arg(long, value_name = "TIME", default_value = "10s",
          value_parser = quantity::parse_duration)]
    pub timeout: Duration,
    /// How to reach the router.
    #[command(flatten)]
    pub connect: ConnectOptions,
}

/// Sends, and says what became of it.
#[must_use]
pub fn run(options: SendOptions) -> ExitCode {
    failure::exit(send(&options))
}

/// What became of the messages.
#[derive(Debug, Default)]
struct Account {
    sent: u64,
    accepted: u64,
    rejected: u64,
    released: u64,
    modified: u64,
}

impl Account {
    fn outcomes(&self) -> u64 {
        self.accepted + self.refused()
    }

    fn refused(&self) -> u64 {
        self.rejected + self.released + self.modified
    }

    /// Books an outcome of `count` messages; what to tell a person, if it is no success.
    fn book(&mut self, state: Option<&DeliveryState>, count: u64) -> Option<String> {
        match state {
            Some(DeliveryState::Accepted) => {
                self.accepted += count;
                None
            }
            Some(DeliveryState::Rejected(error)) => {
                self.rejected += count;
                let why = error
                    .as_ref()
                    .map_or("no reason given".into(), |error| said(error));
                Some(format!("rejected: {why}"))
            }
            Some(DeliveryState::Released) => {
                self.released += count;
                Some("released: nobody took it (no receiver could be reached, or it left)".into())
            }
            Some(DeliveryState::Modified(modified)) => {
                self.modified += count;
                let failed = if modified.delivery_failed {
                    "delivery failed"
                } else {
                    "not taken"
                };
                let here = if modified.undeliverable_here {
                    ", undeliverable here"
                } else {
                    ""
                };
                Some(format!("modified: {failed}{here}"))
            }
            other => {
                self.modified += count;
                Some(format!("settled without an outcome ({other:?})"))
            }
        }
    }

    /// One line about everything, and whether all is well.
    fn summary(&self, address: &str, settled: bool) -> (String, bool) {
        let messages = |count: u64| counted(count, "message");
        if settled {
            return (
                format!("sent {} to {address}, settled", messages(self.sent)),
                true,
            );
        }
        let mut parts = vec![format!("{} accepted", self.accepted)];
        let others = [
            (self.rejected, "rejected"),
            (self.released, "released"),
            (self.modified, "modified"),
            (self.sent - self.outcomes(), "without outcome"),
        ];
        parts.extend(
            others
                .iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, what)| format!("{n} {what}")),
        );
        let text = format!(
            "sent {} to {address}: {}",
            messages(self.sent),
            parts.join(", ")
        );
        (text, self.accepted == self.sent)
    }
}

/// A running send.
struct Sending<'a> {
    account: Account,
    address: String,
    client: Client,
    composer: Composer,
    link: LinkKey,
    options: &'a SendOptions,
    patience: Option<Time>,
    replies: Option<Replies>,
}

fn send(options: &SendOptions) -> Result<ExitCode, Failure> {
    let (connect, address) = options.connect.with_address(&options.address)?;
    let mut bodies = options.message.bodies()?;
    let composer = Composer::new(&options.message, options.anonymous.then_some(&*address))?;
    let mut client = Client::connect(&connect, &container_name("send"), Interrupt::on_signals()?)?;
    let replies = options
        .reply
        .then(|| Replies::attach(&mut client))
        .transpose()?;
    let target = (!options.anonymous).then_some(&*address);
    let link = client.attach_sender(target, options.settled)?.key;
    let mut sending = Sending {
        account: Account::default(),
        address,
        client,
        composer,
        link,
        options,
        patience: None,
        replies,
    };
    let result = sending.run(&mut bodies);
    sending.finish(result)
}

impl Sending<'_> {
    /// Sends all bodies and waits for all outcomes (and answers).
    fn run(&mut self, bodies: &mut Bodies) -> Result<(), Failure> {
        let mut next = bodies.poll()?;
        self.renew_patience();
        loop {
            let body = match std::mem::replace(&mut next, Next::Pending) {
                Next::End if self.is_complete() => return Ok(()),
                Next::End => {
                    next = Next::End;
                    None
                }
                Next::Pending => {
                    next = bodies.poll()?;
                    if next != Next::Pending {
                        self.renew_patience();
                        continue;
                    }
                    None
                }
                Next::Body(body) => Some(body),
            };
            if let Some(body) = body {
                if self.send_one(&body)? {
                    next = bodies.poll()?;
                    continue;
                }
                next = Next::Body(body);
            }
            self.wait(&next)?;
        }
    }

    /// Sends one message; `false` if there is no credit.
    fn send_one(&mut self, body: &bytes::Bytes) -> Result<bool, Failure> {
        let number = self.account.sent;
        let reply_to = self.replies.as_ref().map(Replies::address);
        let message = self.composer.message(body, number, reply_to)?;
        let tag = DeliveryTag::new(&number.to_be_bytes()).expect("eight bytes are a tag");
        let transfer = OutTransfer {
            settled: self.options.settled,
            ..OutTransfer::new(number, tag)
        };
        if !self.client.send(self.link, &transfer, message.into())? {
            return Ok(false);
        }
        self.account.sent += 1;
        self.renew_patience();
        Ok(true)
    }

    /// Waits for credit, an outcome, an answer or the next body.
    fn wait(&mut self, next: &Next) -> Result<(), Failure> {
        // With nothing on the way and nothing to send a person may take any time for the next line.
        let idle = *next == Next::Pending && self.is_complete();
        let mut deadline = if idle { None } else { self.patience };
        if *next == Next::Pending {
            let soon = self.client.deadline(SOURCE_INTERVAL);
            deadline = Some(deadline.map_or(soon, |deadline| deadline.min(soon)));
        }
        if let Some(event) = self.client.next_event(deadline)? {
            return self.handle(event);
        }
        if self.client.interrupted() {
            return Err(Failure::new("stopped"));
        }
        let now = self.client.deadline(Duration::ZERO);
        if !idle && self.patience.is_some_and(|patience| patience <= now) {
            return Err(self.out_of_patience(next));
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Disposition {
                session,
                disposition,
            } => {
                let mut tokens = Vec::new();
                self.client
                    .wire()
                    .connection
                    .disposed(session, &disposition, &mut tokens);
                let count = tokens.len() as u64;
                let told = self.account.refused() < REFUSALS_TOLD;
                let said = self.account.book(disposition.state.as_ref(), count);
                if let (true, Some(said), Some(first)) = (told, said, tokens.first()) {
                    screen::complain(&format!("message {}: {said}", first + 1));
                }
                self.renew_patience();
            }
            Event::Transfer {
                link,
                delivery,
                payload,
            } => {
                if let Some(replies) = &mut self.replies
                    && replies.take(
                        &mut self.client,
                        link,
                        &delivery,
                        payload,
                        self.options.json,
                    )?
                {
                    self.renew_patience();
                }
            }
            Event::Detached { link, error, .. } => {
                self.client.forget(link);
                let peer = self.client.wire().peer().to_string();
                return Err(fault::done(&peer, "detached the link", error.as_deref()));
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether nothing is on the way any more.
    fn is_complete(&self) -> bool {
        let settled = self.options.settled || self.account.outcomes() >= self.account.sent;
        // A request that was refused will have no answer.
        let answered = self
            .replies
            .as_ref()
            .is_none_or(|replies| replies.count() + self.account.refused() >= self.account.sent);
        settled && answered
    }

    fn renew_patience(&mut self) {
        let timeout = self.options.timeout;
        self.patience = (!timeout.is_zero()).then(|| self.client.deadline(timeout));
    }

    /// Why nothing happened for so long.
    fn out_of_patience(&self, next: &Next) -> Failure {
        let (address, seconds) = (&self.address, self.options.timeout.as_secs_f64());
        if matches!(next, Next::Body(_)) {
            let text = format!("no credit to send to `{address}` for {seconds} s");
            let hint = if self.account.sent == 0 {
                "a router gives credit only while a receiver is attached to the address; start one \
                 (`causeway recv`), or see who is there (`causeway stat -a`)"
            } else {
                "the receivers take no more: they have stopped giving credit, or do not settle \
                 what they have"
            };
            return Failure::new(text).hint(hint);
        }
        let open = self.account.sent - self.account.outcomes();
        if open == 0 {
            return Failure::new(format!("no answer from `{address}` within {seconds} s"));
        }
        Failure::new(format!(
            "no outcome for {open} of {} within {seconds} s",
            counted(self.account.sent, "message")
        ))
        .hint("a receiver has them and does not settle; --settled does not wait for that")
    }

    /// Detaches, closes and gives the account.
    fn finish(mut self, result: Result<(), Failure>) -> Result<ExitCode, Failure> {
        let (text, all_well) = self.account.summary(&self.address, self.options.settled);
        if result.is_ok() {
            // The answer to our detach means that the router has all that was sent before it.
            self.client.detach(self.link)?;
        }
        self.client.close();
        if !self.options.quiet && (self.account.sent > 0 || result.is_ok()) {
            screen::complain(&text);
        }
        result?;
        Ok(if all_well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

#[cfg(test)]
mod tests {
    use amqp_codec::AmqpError;

    use super::*;

    #[test]
    fn an_account_is_fine_only_if_all_were_accepted() {
        let mut account = Account {
            sent: 3,
            ..Account::default()
        };
        assert_eq!(account.book(Some(&DeliveryState::Accepted), 2), None);
        let told = account.book(Some(&DeliveryState::Released), 1).unwrap();
        assert!(told.contains("nobody took it"));
        let (text, all_well) = account.summary("q", false);
        assert_eq!(text, "sent 3 messages to q: 2 accepted, 1 released");
        assert!(!all_well);
    }

    #[test]
    fn a_rejection_gives_the_reason() {
        let mut account = Account {
            sent: 1,
            ..Account::default()
        };
        let error = AmqpError::new("amqp:not-allowed", "no");
        let told = account.book(Some(&DeliveryState::Rejected(Some(Box::new(error)))), 1);
        assert_eq!(told.unwrap(), "rejected: amqp:not-allowed: no");
        let (text, _) = account.summary("q", false);
        assert_eq!(text, "sent 1 message to q: 0 accepted, 1 rejected");
    }
}
