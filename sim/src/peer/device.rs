//! A device's link, which is routed to a hub: attaches, works as long as it is there, and attaches
//! again when it has gone.

use std::time::Duration;

use amqp_codec::{Attach, ReceiverSettleMode, Role, TargetArchetype};
use amqp_proto::{Connection, LinkKey, Time};

use super::ends::{End, Flow};
use super::hand::{Hand, attach};
use super::words::marked;
use crate::books::Books;
use crate::plan::{DevicePlan, Work};
use crate::tunnels::{Side, Tunnel};

/// Seconds for which a terminus outlives its link, where it does.
const SURVIVAL: u32 = 5;

/// It leaves so many times at most.
const LEAVES: u32 = 3;

#[derive(Debug)]
pub(super) struct Device {
    plan: DevicePlan,
    name: String,
    /// Its link, and the number of that in the books.
    pub(super) link: Option<(LinkKey, usize)>,
    /// What it does on it, once the hub has agreed.
    pub(super) end: Option<End>,
    /// Deliveries that it is still to send.
    left: u32,
    times: u32,
    not_before: Time,
}

impl Device {
    pub(super) fn new(plan: &DevicePlan, name: String) -> Self {
        Self {
            plan: plan.clone(),
            name,
            link: None,
            end: None,
            left: match &plan.work {
                Work::Send(plan) => plan.count,
                Work::Receive(_) => 0,
            },
            times: 0,
            not_before: Time::ZERO,
        }
    }

    pub(super) fn act(&mut self, hand: &mut Hand<'_>) -> Option<Time> {
        if let Some(end) = &mut self.end {
            return end.act(hand);
        }
        if self.link.is_some() {
            return None;
        }
        if self.not_before > hand.now {
            return Some(self.not_before);
        }
        self.attach(hand);
        None
    }

    fn attach(&mut self, hand: &mut Hand<'_>) {
        let DevicePlan {
            address,
            settles,
            survives,
            ..
        } = self.plan;
        let role = match &self.plan.work {
            Work::Send(_) => Role::Sender,
            Work::Receive(_) => Role::Receiver,
        };
        let name = match hand.random.one_in(2) {
            true => self.name.clone(),
            false => format!("{}.{}", self.name, self.times),
        };
        let number = hand.books.tunnels.all.len();
        let mut attach = Attach {
            snd_settle_mode: settles,
            rcv_settle_mode: match self.plan.second {
                true => ReceiverSettleMode::Second,
                false => ReceiverSettleMode::First,
            },
            max_message_size: Some(20_000_000 + number as u64),
            desired_capabilities: vec![amqp_codec::Symbol::copy("sim:wish")],
            properties: Some(marked(number as u64)),
            ..attach(name, role, Some(address), false)
        };
        if survives {
            match (&mut attach.source, &mut attach.target) {
                (Some(source), _) if role == Role::Receiver => source.timeout = SURVIVAL,
                (_, Some(TargetArchetype::Target(target))) => target.timeout = SURVIVAL,
                _ => {}
            }
        }
        let Ok(link) = hand
            .engine
            .attach(hand.session, attach.clone(), hand.output)
        else {
            return;
        };
        let tunnel = Tunnel::new((hand.peer, hand.node), attach, survives, hand.now);
        let number = hand.books.tunnels.add(tunnel);
        hand.books.tunnels.all[number].end_mut(Side::Device).link = Some(link);
        self.link = Some((link, number));
    }

    /// The hub has agreed.
    pub(super) fn attached(&mut self, hand: &mut Hand<'_>) {
        let Some((link, number)) = self.link else {
            return;
        };
        let tunnel = &mut hand.books.tunnels.all[number];
        tunnel.end_mut(Side::Device).up = Some(hand.now);
        let flow = Flow::new(&self.plan.work, tunnel.modes(), self.left);
        let detaches = match self.times < LEAVES {
            true => self.plan.detaches,
            false => 0,
        };
        self.end = Some(End::new((link, number, Side::Device), flow, detaches));
    }

    /// Its link is over; it attaches another after a while.
    pub(super) fn lost(&mut self, hand: &mut Hand<'_>) {
        if let Some(mut end) = self.end.take() {
            if let Flow::Out(outlet) = &end.flow {
                self.left = outlet.left;
            }
            end.lost(hand);
        }
        if let Some((_, number)) = self.link.take() {
            let book = hand.books.tunnels.all[number].end_mut(Side::Device);
            book.over.get_or_insert(hand.now);
        }
        self.times += 1;
        self.not_before = hand.now + Duration::from_millis(1) + hand.random.micros(500_000);
    }

    pub(super) fn unmet(&self, engine: &Connection, books: &Books) -> Option<String> {
        let unmet = match (&self.end, self.link) {
            (Some(end), _) => end.unmet(engine, books)?,
            (None, Some((_, number))) => format!("the attach of tunnel {number} has no answer"),
            (None, None) => format!("no link to {}", self.plan.address),
        };
        Some(format!("{}: {unmet}", self.name))
    }
}
