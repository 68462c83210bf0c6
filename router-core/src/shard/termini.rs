//! Attaches as values: what a peer's says of the link's kind, what the router answers, and what it
//! sends of its own accord.

use amqp_codec::{
    Attach, ReceiverSettleMode, Role, SenderSettleMode, Source, Str, Symbol, Target,
    TargetArchetype,
};

use crate::inspect::LinkType;

/// The capability of the routing protocol's links.
pub(super) const CONTROL: &str = "qd.router";

/// The capability of links that carry messages between routers.
pub(super) const DATA: &str = "qd.router-data";

/// What a terminus' capabilities make of a link.
pub(super) fn type_of(capabilities: &[Symbol]) -> LinkType {
    match capabilities.first().map(Symbol::as_str) {
        Some(CONTROL) => LinkType::RouterControl,
        Some(DATA) => LinkType::InterRouter,
        _ => LinkType::Endpoint,
    }
}

/// The capabilities of the router's end of a link that a peer attaches.
pub(super) fn own_capabilities(attach: &Attach) -> &[Symbol] {
    match (attach.role, &attach.target, &attach.source) {
        (Role::Sender, Some(TargetArchetype::Target(target)), _) => &target.capabilities,
        (Role::Receiver, _, Some(source)) => &source.capabilities,
        _ => &[],
    }
}

/// The answer's constant part: modes and sizes are the router's own, whatever was asked.
pub(super) fn answer_to(attach: &Attach) -> Attach {
    Attach {
        name: attach.name.clone(),
        handle: 0,
        role: match attach.role {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        },
        snd_settle_mode: SenderSettleMode::Mixed,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: None,
        target: None,
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: (attach.role == Role::Receiver).then_some(0),
        max_message_size: Some(0),
        offered_capabilities: Vec::new(),
        desired_capabilities: Vec::new(),
        properties: None,
    }
}

/// The attach of one of our ends of a pair.
pub(super) fn pair_attach(name: &str, capability: &'static str, role: Role) -> Attach {
    let capabilities = vec![Symbol::from(capability)];
    let source = Source {
        expiry_policy: Some(Symbol::from("link-detach")),
        capabilities: capabilities.clone(),
        ..Source::default()
    };
    let target = Target {
        expiry_policy: Some(Symbol::from("link-detach")),
        capabilities,
        ..Target::default()
    };
    own_attach(Str::copy(name), role, source, target)
}

/// An attach of a link that the router begins for itself.
pub(super) fn own_attach(name: Str, role: Role, source: Source, target: Target) -> Attach {
    Attach {
        name,
        handle: 0,
        role,
        snd_settle_mode: SenderSettleMode::Mixed,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(source),
        target: Some(TargetArchetype::Target(Box::new(target))),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: (role == Role::Sender).then_some(0),
        max_message_size: Some(0),
        offered_capabilities: Vec::new(),
        desired_capabilities: Vec::new(),
        properties: None,
    }
}
