//! Messages of the protocol as the log shows them.
//!
//! Owns what of a message is told, up to a bound. It judges none: what cannot be read is not told
//! here, but as a misdeed.

use crate::address::AddressContext;
use crate::mesh::envelope::{Destination, Envelope};
use crate::mesh::read::{Item, Values};
use crate::mesh::wire::{Body, Change, peers};
use crate::notice::{Few, RoutingText, Said, cut};

/// A message of the protocol, of whoever; `None` if it is passed on to another router, or cannot be
/// read.
pub(super) fn tell(payload: &[u8], context: &AddressContext, is_own: bool) -> Option<RoutingText> {
    let envelope = Envelope::read(payload, context).ok()?;
    let control = envelope.control().ok()?;
    let to = match &envelope.destination {
        Destination::Router(id) => Some(cut(id)).filter(|_| is_own),
        Destination::Neighbor | Destination::Own | Destination::All => None,
    };
    let is_passed_on = matches!(envelope.destination, Destination::Router(_)) && !is_own;
    let said = match control.body {
        Body::Hello { seen } => Said::Hello { seen: few(seen) },
        Body::Advertisement {
            link_sequence,
            mobile_sequence,
        } => Said::Advertisement {
            link_sequence,
            mobile_sequence,
        },
        Body::LinkStateRequest { .. } => Said::LinkStateRequest,
        Body::LinkState {
            sequence,
            peers: told,
        } => Said::LinkState {
            sequence,
            peers: Few::of(
                peers(told)
                    .map_while(Result::ok)
                    .map(|(id, cost)| (cut(id), cost)),
            ),
        },
        Body::AddressRequest { have_sequence, .. } => Said::AddressRequest { have_sequence },
        Body::Addresses {
            sequence, change, ..
        } => {
            let (exist, add, del) = match change {
                Change::All { exist } => (Some(few(exist)), None, None),
                Change::Some { add, del } => (None, Some(few(add)), Some(few(del))),
            };
            Said::Addresses {
                sequence,
                exist,
                add,
                del,
            }
        }
    };
    (!is_passed_on).then(|| RoutingText {
        id: cut(control.id),
        version: control.version,
        instance: control.instance,
        to,
        said,
    })
}

/// The first texts of a list.
fn few(values: Values<'_>) -> Few<String> {
    Few::of(values.map_while(|value| match value {
        Ok(Item::Text(text)) => Some(cut(text)),
        _ => None,
    }))
}
