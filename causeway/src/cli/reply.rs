//! Answers to what `causeway send --reply` has asked.
//!
//! Owns the receiving link with an address made by the router, and prints what comes there.

use amqp_codec::{DeliveryState, Source, Str};
use amqp_proto::{InTransfer, LinkKey, Payload};

use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::intake::{self, Intake};
use crate::cli::screen;
use crate::cli::show;

/// The link answers come on.
#[derive(Debug)]
pub struct Replies {
    address: Str,
    count: u64,
    intake: Intake,
}

impl Replies {
    /// Asks the router for an address of our own.
    ///
    /// # Errors
    /// If it refuses.
    pub fn attach(client: &mut Client) -> Result<Self, Failure> {
        let source = Source {
            dynamic: true,
            ..Source::default()
        };
        let link = client.attach_receiver(source, false)?;
        let Some(address) = link.attach.source.and_then(|source| source.address) else {
            return Err(Failure::new(
                "the router made an address for answers and did not say which",
            ));
        };
        let intake = Intake::new(link.key, u64::MAX);
        intake.renew(client);
        Ok(Self {
            address,
            count: 0,
            intake,
        })
    }

    /// The address answers go to.
    #[must_use]
    pub fn address(&self) -> &Str {
        &self.address
    }

    /// Answers that have come.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes a frame; `true` if it completes an answer, which is then printed.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn take(
        &mut self,
        client: &mut Client,
        link: LinkKey,
        delivery: &InTransfer,
        payload: Payload,
        json: bool,
    ) -> Result<bool, Failure> {
        if link != self.intake.link() {
            return Ok(false);
        }
        let Some(arrival) = self.intake.take(delivery, payload)? else {
            return Ok(false);
        };
        self.count += 1;
        let line = match &arrival.message {
            Ok(message) if json => show::json(message).to_string(),
            Ok(message) => show::text(message),
            Err(_) => show::undecodable(&arrival.bytes).to_string(),
        };
        screen::say(&line)?;
        intake::settle(client, &arrival, DeliveryState::Accepted);
        self.intake.renew(client);
        Ok(true)
    }
}
