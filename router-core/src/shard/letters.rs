//! Mail in: one arm for each letter.

use std::sync::Arc;

use amqp_proto::Time;

use super::link::InTarget;
use super::state::{Shard, tighten};
use crate::ids::{AddressKey, InLinkKey, OutLinkKey};
use crate::mail::{Command, ConnectionCommand, Mail};
use crate::route::{Neighbor, Paths, Route, RouteTable};

impl Shard {
    /// Acts on one letter.
    pub(super) fn take_letter(&mut self, mail: Mail, now: Time) {
        match mail {
            Mail::Forward(forward) => self.take_forward(forward),
            Mail::Outcome {
                to,
                from,
                shard,
                state,
                settled,
            } => {
                self.take_outcome(to, from, state, settled);
                if settled {
                    // Unless that was the last of its outcomes.
                    self.leave_fan(to, shard);
                }
            }
            Mail::Data {
                of,
                chunk,
                end,
                state,
            } => {
                if let Some(delivery) = of.delivery {
                    self.take_data((of.shard, delivery), chunk, end, state);
                }
            }
            Mail::Dispose { to, state, settled } => self.take_disposal(to, state, settled),
            Mail::Returned(forward) => self.take_returned(forward),
            Mail::Progress {
                to,
                from,
                bytes,
                begun,
            } => self.take_progress(to, from, bytes, begun),
            Mail::Standing {
                deliveries,
                starving,
            } => self.take_standing(&deliveries, &starving),
            Mail::Recall {
                from,
                link,
                deliveries,
            } => self.recall(from, link, &deliveries),
            Mail::Left { from, deliveries } => self.take_left(from, &deliveries),
            Mail::Window { link, limit, sweep } => self.take_window(link, limit, sweep, now),
            Mail::Swept { link, sweep } => self.swept(link.link, sweep),
            Mail::Gone(link) => self.forget_pipe(link),
            Mail::Credit { to, limit, drain } => self.take_credit(to, limit, drain),
            Mail::Drained { to, limit } => self.take_drained(to, limit),
            Mail::Relay(relay) => self.take_relay(*relay),
            Mail::Receipt { from, bytes } => {
                let by = self.id;
                self.post(from, Mail::Received { by, bytes });
            }
            Mail::Received { by, bytes } => self.take_receipt(by, bytes, now),
            Mail::Routes(table, changed) => self.take_routes(table, &changed),
            Mail::Paths(paths) => self.take_paths(paths),
            Mail::Command(command) => self.take_command(*command, now),
            Mail::Inspect(query) => self.inspect(*query, now),
            // The control plane's alone.
            Mail::Answer(_) => {}
        }
    }

    /// A new topology: what waits may have a way again, or none any more.
    fn take_paths(&mut self, paths: Arc<Paths>) {
        let old = std::mem::replace(&mut self.paths, paths);
        self.topology += 1;
        for link in old.neighbors().iter().flat_map(Neighbor::links) {
            // A pipe is forgotten with its link. One to a neighbour that is merely doubted for a
            // moment must not begin anew: its other end goes on counting.
            let is_gone = self.pipes.to.get(&link).is_some_and(|pipe| pipe.is_gone());
            if is_gone && self.paths.behind(link).is_none() {
                self.pipes.to.remove(&link);
            }
        }
        self.adjust_pins(&old);
        let left = self.paths.left_since(&old);
        if !left.is_empty() {
            for (_, link) in self.out_links.iter_mut() {
                link.histogram.forget(&left);
            }
        }
        let remote = |route: &Option<Arc<Route>>| {
            route
                .as_ref()
                .is_some_and(|route| !route.routers.is_empty())
        };
        let producers: Vec<InLinkKey> = self
            .in_links
            .iter()
            .filter(|(_, link)| match &link.target {
                InTarget::Address { route, .. } => remote(route),
                InTarget::Anonymous { .. } | InTarget::Control | InTarget::Routed(_) => false,
            })
            .map(|(key, _)| InLinkKey(key))
            .collect();
        for key in producers {
            self.mark_credit(key, true);
        }
        if self.table.rules().has_fallbacks() {
            self.fallbacks_changed();
        }
        self.lines_due |= !self.lines.is_empty();
    }

    fn take_window(&mut self, link: OutLinkKey, limit: u32, sweep: Option<u32>, now: Time) {
        if let Some(pipe) = self.pipes.to.get_mut(&link) {
            pipe.raise(limit);
        }
        self.lines_due |= !self.lines.is_empty();
        if let Some(sweep) = sweep {
            self.retry_lines(now);
            self.post(link.shard, Mail::Swept { link, sweep });
        }
    }

    fn take_command(&mut self, command: Command, now: Time) {
        match command {
            Command::Bound(bound) => self.bound(bound),
            Command::AttachLink(ask) => self.attach_far(ask),
            Command::AttachAutoLink(ask) => self.attach_auto_link(*ask),
            Command::DetachAutoLink(of) => self.detach_auto_link(of),
            Command::Connection(id, ConnectionCommand::Close) => self.close_connection(id),
            Command::Connection(id, ConnectionCommand::Drop(by)) => self.drop_connection(id, by),
            Command::Connection(id, ConnectionCommand::Doubt(age)) => self.doubt(id, age, now),
            Command::Connection(id, ConnectionCommand::Trace(on)) => {
                let key = self.by_id.get(&id).copied();
                if let Some(conn) = key.and_then(|key| self.conns.get_mut(key)) {
                    conn.traced = Some(on);
                    conn.engine.set_tap(on);
                }
            }
            Command::Connection(id, ConnectionCommand::Admit(trunk)) => {
                self.admit_member(id, trunk);
            }
            Command::Connection(id, ConnectionCommand::Leave) => self.prepare_to_leave(id),
            Command::Connection(id, ConnectionCommand::Refuse(why)) => self.refuse_member(id, why),
            Command::TraceAll(on) => {
                self.wanted.frames = on;
                for (_, conn) in self.conns.iter_mut() {
                    // Whoever wants all now may have wanted less before.
                    conn.traced = conn.traced.filter(|traced| *traced || !on);
                    conn.engine.set_tap(conn.traced.unwrap_or(on));
                }
            }
            Command::ShowMessages(on) => self.wanted.messages = on,
            Command::Sasl(id, reply) => self.answer_login(id, reply),
            Command::Retire => self.retire(),
            Command::Shutdown => self.shut_down(now),
            // What shards ask of the control plane.
            Command::Bind(_)
            | Command::Dialled(_)
            | Command::Unbind(_)
            | Command::LinkUp(_)
            | Command::LinkDown(_)
            | Command::Trunk(_)
            | Command::Routing(..)
            | Command::Arriving(_)
            | Command::ContainerUp(_)
            | Command::ContainerDown(_)
            | Command::RouteLink(_)
            | Command::AutoLink(..) => {}
        }
    }

    /// A new snapshot: links bound to what changed take their new route.
    fn take_routes(&mut self, table: Arc<RouteTable>, changed: &[AddressKey]) {
        let old = std::mem::replace(&mut self.table, table);
        self.tally.adopt(self.table.boards());
        for key in changed {
            let before = old.lookup(key);
            let after = self.table.lookup(key).cloned();
            if let Some(before) = before {
                for consumer in &before.consumers {
                    let stays = after.as_ref().is_some_and(|after| {
                        after
                            .consumers
                            .iter()
                            .any(|other| other.link == consumer.link)
                    });
                    if !stays {
                        self.pipes.to.remove(&consumer.link);
                    }
                }
                if after.as_ref().is_none_or(|after| after.id != before.id) {
                    self.carried.remove(&before.id);
                }
            }
            for in_key in self.producers.get(key).cloned().unwrap_or_default() {
                let Some(link) = self.in_links.get_mut(in_key) else {
                    continue;
                };
                if let InTarget::Address { route, .. } = &mut link.target {
                    let same = match (&*route, &after) {
                        (Some(old), Some(new)) => old.id == new.id,
                        _ => false,
                    };
                    if !same {
                        link.ingress = 0;
                    }
                    route.clone_from(&after);
                }
                self.mark_credit(in_key, true);
            }
            self.fallback_changed(key);
        }
        let (before, after) = (old.rules(), self.table.rules());
        if !Arc::ptr_eq(before, after) && (before.has_fallbacks() || after.has_fallbacks()) {
            self.fallbacks_changed();
        }
        tighten(&mut self.pipes.to);
        tighten(&mut self.carried);
        self.lines_due |= !self.lines.is_empty();
    }
}
