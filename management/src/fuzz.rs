//! Bodies of fuzz targets: arbitrary bytes as a request.
//! Decision: the property that is checked is the one users miss most: nothing stays unanswered.

use std::sync::Arc;

use amqp_codec::{DeliveryState, Value};
use amqp_proto::Time;
use bytes::Bytes;
use router_core::address::{AddressContext, Phase, lookup_key};
use router_core::control::{ControlConfig, ControlPlane};
use router_core::counters::Counters;
use router_core::ids::{AddressId, InKey, Key, LinkId, Origin, OutLinkKey, ShardId};
use router_core::limits::IN_PROCESS_MESSAGE_BYTES;
use router_core::mail::{Batch, Bind, BoundLink, Command, Forward, Mail, Target};
use router_core::notice::Notice;
use router_core::route::Treatment;

use crate::agent::Agent;
use crate::host::{Host, LogRow, LogStats, ProfileState};
use crate::schema::{Entity, ROUTER};
use crate::settings::{LogSettings, ProfileSettings, router_settings};
use crate::status::Failure;
use crate::wire::Request;

const ROUTER_ID: &str = "fuzzed";

/// The link on which answers come.
const ANSWERS: OutLinkKey = OutLinkKey {
    shard: ShardId(0),
    link: Key {
        index: 7,
        generation: 0,
    },
};

/// A program that knows nothing.
struct Nobody;

impl Host for Nobody {
    fn set_profile(&mut self, _: &ProfileSettings) -> Result<ProfileState, String> {
        Ok(ProfileState::default())
    }

    fn reload_profile(&mut self, _: &str) -> Result<ProfileState, String> {
        Ok(ProfileState::default())
    }

    fn drop_profile(&mut self, _: &str) {}

    fn log_rows(&self, _: Option<usize>, _: &mut Vec<Notice>) -> Vec<LogRow> {
        Vec::new()
    }

    fn update_log(&mut self, _: &LogSettings) -> Result<(), Failure> {
        Ok(())
    }

    fn log_stats(&self) -> Vec<LogStats> {
        Vec::new()
    }

    fn memory_usage(&self) -> Option<u64> {
        None
    }

    fn host_name(&self) -> Option<String> {
        None
    }
}

/// Sends the bytes to `$management`. The delivery must get exactly one outcome, and a request with
/// a usable reply-to exactly one answer, even if no shard says anything.
///
/// # Panics
/// If a request stays without outcome or answer.
pub fn fuzz_management_request(data: &[u8]) {
    if data.len() > IN_PROCESS_MESSAGE_BYTES {
        return;
    }
    let mut router = Entity::new(&ROUTER);
    router.set("id", Some(Value::from(ROUTER_ID)));
    let mut control = ControlPlane::new(ControlConfig {
        instance: 1,
        settings: Arc::new(router_settings(&router, "0")),
        shards: 1,
        seed: 1,
        counters: Counters::new(1),
    });
    let mut agent = Agent::new(router);
    let request = Request::read(&Bytes::copy_from_slice(data));
    let reply_to = request
        .as_ref()
        .ok()
        .and_then(|request| request.reply.to.clone());
    if let Some(reply_to) = &reply_to {
        bind(reply_to, &mut control);
    }
    control.handle_mail(Batch {
        mail: vec![Mail::Forward(delivery(data, &control))],
    });
    let (mut outcomes, mut answers) = (0, 0);
    for second in 0..10 {
        let now = Time::from_millis(second * 1000);
        control.turn(now);
        agent.turn(&mut control, &mut Nobody, now);
        control.turn(now);
        for (_, batch) in control.outboxes().drain().collect::<Vec<_>>() {
            for mail in batch.mail {
                match mail {
                    Mail::Outcome {
                        state: Some(state),
                        settled: true,
                        ..
                    } => {
                        let is_accepted = state == DeliveryState::Accepted;
                        assert_eq!(
                            is_accepted,
                            request.is_ok(),
                            "readable requests are accepted"
                        );
                        outcomes += 1;
                    }
                    Mail::Forward(forward) if forward.to == Target::Link(ANSWERS) => answers += 1,
                    _ => {}
                }
            }
        }
    }
    assert_eq!(outcomes, 1, "a delivery has one outcome");
    if reply_to.is_some_and(|reply_to| !is_own(&reply_to)) {
        assert_eq!(answers, 1, "a request has one answer");
    }
}

/// Whether answers to that address end at the agent itself.
fn is_own(address: &str) -> bool {
    key_of(address).ends_with("$management") || key_of(address) == "L$_management_internal"
}

fn key_of(address: &str) -> String {
    let mut key = String::new();
    let context = AddressContext::new(ROUTER_ID);
    lookup_key(address, Phase::Digit(0), None, &context, &mut key);
    key
}

/// Puts a consumer on an address.
fn bind(address: &str, control: &mut ControlPlane) {
    let bind = Bind {
        key: key_of(address).into(),
        treatment: Treatment::AnycastClosest,
        priority: None,
        link: BoundLink::Out {
            link: ANSWERS,
            capacity: 250,
            annotated: false,
        },
        id: LinkId(1),
        from: None,
    };
    let mail = vec![Mail::Command(Box::new(Command::Bind(bind)))];
    control.handle_mail(Batch { mail });
}

/// The bytes as a delivery for the agent.
fn delivery(data: &[u8], control: &ControlPlane) -> Forward {
    let route = control
        .table()
        .lookup("M0$management")
        .expect("it is there from the start");
    let key = InKey(Key {
        index: 0,
        generation: 0,
    });
    Forward::whole(
        Origin {
            shard: ShardId(0),
            delivery: Some(key),
        },
        Target::Link(route.in_process[0]),
        AddressId(1),
        Bytes::copy_from_slice(data).into(),
    )
}
