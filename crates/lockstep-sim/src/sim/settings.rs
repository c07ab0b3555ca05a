//! Settings that change while everything goes on, told as a worker tells them.

use super::Sim;
use crate::closing::is_open;
use crate::coordinator::later;
use lockstep_engine::{Event, Rules};
use lockstep_model::entry::{Again, Body, Cause};
use lockstep_model::{Change, Fault, FaultKind, Flow, Kind, Revision, RunId, ShopId};
use std::sync::Arc;

impl Sim {
    /// Time goes on for so long.
    pub fn pass(&mut self, ms: i64) {
        self.run_until(later(self.now, ms));
    }

    /// From now on these hold.
    pub fn change_settings(&mut self, mut rules: Rules) {
        rules.revision = Revision(self.rules.revision.0 + 1);
        if let Some(mistake) = self.mistake {
            mistake.in_rules(&mut rules);
        }
        self.rules = Arc::new(rules);
        self.tell(|| "the settings are changed".into());
        let Some(machine) = self.holder() else {
            return;
        };
        self.machines[machine].told = Some(Arc::clone(&self.rules));
        self.mark_everything_due(machine);
        let process = self.machines[machine].process.as_ref();
        let runs = process.is_some_and(|process| !process.runs.is_empty());
        self.machines[machine].owes_due_again = runs.then_some(self.rules.revision);
        let rules = Box::new(Rules::clone(&self.rules));
        self.feed(machine, Event::Settings(rules));
        let shops: Vec<ShopId> = self.shops.keys().copied().collect();
        let flows = [Flow::Products, Flow::Stock, Flow::Orders];
        let woken = Event::Woken {
            flows: shops
                .iter()
                .flat_map(|shop| flows.map(|flow| (*shop, flow)))
                .collect(),
            causes: vec![Cause::Settings],
            everything: false,
        };
        self.feed(machine, woken);
    }

    /// What was in step by the settings before may not be so by these.
    pub(super) fn mark_everything_due(&mut self, machine: usize) {
        if self.machines[machine].journal.is_none() {
            return;
        }
        let shops = self.shops.keys().copied().collect();
        let kind = Kind::Product;
        let all = [Again::Records { kind, shops }, Again::Levels, Again::Orders];
        let bodies = all.map(|what| Body::DueAgain { what });
        self.append(machine, bodies.into(), Default::default());
    }

    /// The last run by older settings has ended: what they took for in step is looked at once more.
    pub(super) fn run_has_ended(&mut self, machine: usize, run: RunId) {
        let Some(process) = &mut self.machines[machine].process else {
            return;
        };
        process.runs.remove(&run);
        let mut going_on = process.runs.values();
        let owed = self.machines[machine].owes_due_again;
        if let Some(since) = owed
            && going_on.all(|revision| *revision >= since)
        {
            self.machines[machine].owes_due_again = None;
            self.mark_everything_due(machine);
        }
    }

    pub fn lose_a_machine(&mut self) {
        if let Some(machine) = self.holder() {
            self.machines[machine].lose_disk();
            self.crash(machine);
        }
    }

    /// A call that waited for its turn while its door was closed. A worker sends nothing of it.
    pub(super) fn is_closed(
        &self,
        machine: usize,
        shop: ShopId,
        changes: &[Change],
    ) -> Option<Fault> {
        let told = self.machines[machine].told.as_ref()?;
        let closed = changes.iter().any(|each| !is_open(told, shop, each));
        closed.then(|| Fault::new(FaultKind::Unavailable, "the settings were changed"))
    }

    /// The engine wants this written now.
    pub(super) fn hold_against_settings(
        &mut self,
        machine: usize,
        shop: ShopId,
        changes: &[Change],
    ) {
        let Some(told) = self.machines[machine].told.clone() else {
            return;
        };
        for change in changes {
            if !is_open(&told, shop, change) {
                let what = format!("written to what is closed: shop {shop} {change:?}");
                self.unexplained.push(what);
            }
        }
    }
}
