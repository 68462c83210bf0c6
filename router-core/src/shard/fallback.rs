//! Fallbacks: where a delivery goes that nobody takes who consumes its address.
//!
//! Decision: that is asked only where no route was found, and once the mail has been read that was
//! in the box then (`lines.rs`). So nothing goes past a consumer that has been told that it is
//! bound, and addresses whose consumers are there pay nothing. Decision: the rules of the moment
//! say who has a fallback, not those with which a record was made: it may be switched on for
//! senders that are attached.

use std::sync::Arc;

use amqp_codec::Str;

use super::head::Head;
use super::link::{InLink, InTarget};
use super::parcel::{Parcel, Verdict};
use super::state::Shard;
use crate::address::{Phase, fallback_key, primary_key};
use crate::counters::Counter;
use crate::delivery::Redirect;
use crate::ids::{AddressId, AddressKey, Direction, InLinkKey};
use crate::mail::Heads;
use crate::route::{Paths, Route, RouteTable, Treatment};

impl Shard {
    /// Chooses for a message whose address key is known: among the consumers of the address, else
    /// among those of its fallback.
    pub(super) fn choose_by_key(&mut self, key: &AddressKey, parcel: &mut Parcel) -> Verdict {
        match (self.choose_among(key, parcel), parcel.redirect) {
            (Verdict::NoPath(key), Redirect::From(_)) if Phase::is_fallback(&key) => {
                self.choose_primary(key, parcel)
            }
            (Verdict::NoPath(key), _) => self.choose_fallback(key, parcel),
            (verdict, _) => verdict,
        }
    }

    /// Chooses for what waited for a fallback that is gone: its address may be served again.
    fn choose_primary(&mut self, key: AddressKey, parcel: &mut Parcel) -> Verdict {
        primary_key(&key, &mut self.text);
        let Some(primary) = self.table.lookup(&self.text) else {
            return Verdict::NoPath(key);
        };
        let primary = AddressKey::clone(&primary.key);
        match self.choose_in_line(&primary, parcel) {
            Verdict::NoPath(_) => Verdict::NoPath(key),
            verdict => {
                parcel.heads = None;
                self.annotate(parcel);
                verdict
            }
        }
    }

    fn choose_fallback(&mut self, key: AddressKey, parcel: &mut Parcel) -> Verdict {
        let is_barred = parcel.redirect == Redirect::Barred || self.is_copy(&key, parcel);
        // What has come home may soon have a way again.
        if is_barred || self.awaits_paths(parcel) {
            return Verdict::NoPath(key);
        }
        let Some(fallback) = fallback_route(&key, &self.table, &mut self.text) else {
            return Verdict::NoPath(key);
        };
        let fallback = AddressKey::clone(&fallback.key);
        let verdict = self.choose_in_line(&fallback, parcel);
        match verdict {
            Verdict::NoPath(_) => Verdict::NoPath(key),
            Verdict::Collect | Verdict::Refuse(_) => verdict,
            Verdict::One { .. } | Verdict::Each { .. } | Verdict::Wait(_) => {
                self.note_redirected(&key, parcel);
                if verdict.wants_annotations()
                    && let Some(text) = fallback.get(2..)
                {
                    readdress(parcel, text);
                }
                verdict
            }
        }
    }

    /// Whether a message for an address came from another router as one of its copies: that nobody
    /// receives here says nothing of the others.
    fn is_copy(&self, key: &AddressKey, parcel: &Parcel) -> bool {
        let trace = parcel.journey.trace.as_deref();
        trace.is_some_and(|trace| !trace.is_empty())
            && key.get(2..).is_some_and(|text| {
                let rules = self.table.rules().resolve(text, Direction::In);
                rules.treatment == Treatment::Multicast
            })
    }

    /// Counts what goes to a fallback, or begins to wait for it, once however often it comes home
    /// from there and whoever gets it in the end.
    fn note_redirected(&mut self, key: &AddressKey, parcel: &mut Parcel) {
        if let Redirect::From(_) = parcel.redirect {
            return;
        }
        let primary = self.table.lookup(key).map(|route| route.id);
        parcel.redirect = Redirect::From(primary);
        self.counters
            .add(Counter::DeliveriesRedirectedToFallback, 1);
        if let Some(primary) = primary {
            self.carried.entry(primary).or_default().redirected += 1;
        }
    }

    /// A delivery for an address has come home that had gone by the one with this record: the key
    /// of that, if it was the fallback. What it says of its way is forgotten if it went by another
    /// than its own.
    pub(super) fn recall_redirect(
        &mut self,
        key: &AddressKey,
        went_by: AddressId,
        parcel: &mut Parcel,
    ) -> Option<AddressKey> {
        let primary = self.table.lookup(key).map(|route| route.id);
        if primary == Some(went_by) {
            return None;
        }
        parcel.heads = None;
        fallback_key(key, &mut self.text);
        let fallback = self.table.lookup(&self.text)?;
        if fallback.id != went_by {
            return None;
        }
        parcel.redirect = Redirect::From(primary);
        Some(AddressKey::clone(&fallback.key))
    }

    /// The consumers of an address have changed: if it is a fallback, those who send to the address
    /// that has it may have to get credit.
    pub(super) fn fallback_changed(&mut self, key: &AddressKey) {
        if primary_key(key, &mut self.text)
            && let Some(links) = self.producers.get(self.text.as_str())
        {
            for link in links.clone() {
                self.mark_credit(link, true);
            }
        }
    }

    /// Rules or paths are others than before: the same for all links whose address may have a
    /// fallback.
    pub(super) fn fallbacks_changed(&mut self) {
        let addressed = |link: &InLink| matches!(link.target, InTarget::Address { .. });
        let links = self.in_links.iter().filter(|(_, link)| addressed(link));
        let links: Vec<_> = links.map(|(key, _)| InLinkKey(key)).collect();
        for link in links {
            self.mark_credit(link, true);
        }
    }
}

/// Whether an address has a fallback to which something can be sent; `text` is scratch.
#[cold]
pub(super) fn has_open_fallback(
    key: &AddressKey,
    table: &RouteTable,
    paths: &Paths,
    text: &mut String,
) -> bool {
    fallback_route(key, table, text).is_some_and(|route| route.is_reachable(paths))
}

/// The route of an address's fallback, if it has one; `text` is scratch.
fn fallback_route<'a>(
    key: &str,
    table: &'a RouteTable,
    text: &mut String,
) -> Option<&'a Arc<Route>> {
    if !fallback_key(key, text) {
        return None;
    }
    let route = table.lookup(text)?;
    let has_one = table.rules().has_fallback(text.get(2..)?);
    has_one.then_some(route)
}

/// What a message says of its way to other routers, told anew: it goes to the fallback of the
/// address with this text.
fn readdress(parcel: &mut Parcel, text: &str) {
    let Some(heads) = &parcel.heads else {
        return;
    };
    let Some(annotated) = &heads.annotated else {
        return;
    };
    if let Some(annotated) = Head::to_fallback(annotated, &Str::copy(text)) {
        parcel.heads = Some(Arc::new(Heads {
            annotated: Some(annotated),
            ..Heads::clone(heads)
        }));
    }
}
