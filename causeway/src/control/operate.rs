//! What the router as a whole is asked for: its end in good order, and its configuration anew.

use std::sync::mpsc::Sender;
use std::time::Duration;

use amqp_proto::Time;

use super::parts::{Control, End};
use crate::drain::Drain;
use crate::log::{Level, Module};
use crate::orders::Asked;
use crate::readiness::Readiness;
use crate::reload::{self, Site};

/// Turns in which connections are accepted that have come before listeners change.
const LAST_ACCEPTS: usize = 17;

impl Control {
    /// Why the router ends, once it has waited long enough for what is in flight.
    pub(super) fn ended(&mut self, now: Time) -> Option<End> {
        let in_flight = self.in_flight();
        let (end, drain) = self.end.as_mut()?;
        if !drain.is_over(in_flight, now) {
            return None;
        }
        if *end == End::Stopped {
            drain.tell_end(in_flight, now, &self.log);
        }
        Some(*end)
    }

    /// Begins the end: nobody new is let in, and what is in flight may take so long.
    pub(super) fn end(&mut self, bound: Duration) {
        let now = self.clock.now();
        self.process.note_end(bound);
        self.stage.reach(Readiness::Draining);
        self.service.tell("STOPPING=1");
        self.log.line(Module::Server, Level::Notice, "Shut Down");
        self.listeners.close_for_messages();
        self.unresolved.clear();
        self.dialler.hang_up_all();
        let is_in_network = self.plane.nodes().len() > 1;
        self.plane.retire(now);
        let drain = Drain::begin(bound, is_in_network, now);
        drain.tell_begin(self.in_flight(), &self.log);
        self.end = Some((End::Stopped, drain));
    }

    /// The process has been told to read its configuration anew.
    pub(super) fn ask_reload(&mut self, done: Sender<()>) {
        let asked = Asked {
            ticket: None,
            is_check: false,
            done: Some(done.clone()),
        };
        if let Err(text) = self.process.ask_reload(asked) {
            let text = format!("Reload: {text}");
            self.log.line(Module::Agent, Level::Error, text);
        }
        drop(done);
    }

    /// Goes on with what the router as a whole was asked for: its end, or its configuration anew.
    pub(super) fn operate(&mut self, now: Time) {
        if let Some(bound) = self.process.take_drain() {
            match &mut self.end {
                None => self.end(bound),
                Some((_, drain)) => drain.shorten(bound, now, &self.log),
            }
        }
        if let Some(prepared) = self.reloads.take() {
            self.finish_reload(prepared, now);
            self.tell_reloaded();
        }
        // Behind that: the next one has nothing else to wake this thread.
        while self.reloads.is_idle()
            && let Some(asked) = self.process.take_reload()
        {
            if !asked.is_check {
                self.service.tell("RELOADING=1");
                self.is_reloading = true;
            }
            let Self { agent, plane, .. } = self;
            self.reloads.begin(asked, agent, plane, &self.log);
            self.tell_reloaded();
        }
    }

    /// Says that the configuration has been read, if it has.
    fn tell_reloaded(&mut self) {
        if self.is_reloading && self.reloads.is_idle() {
            self.is_reloading = false;
            if self.end.is_none() {
                self.service.tell("READY=1");
            }
        }
    }

    /// Accepts whoever has come.
    pub(super) fn accept_all(&mut self, now: Time) {
        self.listeners.look_everywhere();
        for _ in 0..LAST_ACCEPTS {
            self.accept(now);
        }
    }

    fn finish_reload(&mut self, prepared: reload::Outcome, now: Time) {
        let prepared = match self.end {
            Some(_) => Err(vec!["the router is about to end".to_owned()]),
            None => prepared,
        };
        // Who has come by now meets the listeners as they are.
        self.accept_all(now);
        let site = Site {
            agent: &mut self.agent,
            plane: &mut self.plane,
            process: &mut self.process,
            listeners: &mut self.listeners,
            registry: self.poll.registry(),
            connections_max: &mut self.connections_max,
            log: &self.log,
        };
        self.reloads.finish(prepared, site);
    }

    /// Deliveries in flight. Those that come and those that leave are largely the same.
    pub(super) fn in_flight(&self) -> usize {
        let told = self.intakes.iter().map(|intake| intake.load().in_flight());
        let sums = told.fold([0; 2], |[a, b], [inbound, outbound]| {
            [a + inbound, b + outbound]
        });
        sums[0].max(sums[1])
    }
}
