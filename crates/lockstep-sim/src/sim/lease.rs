//! Who holds the customer: leases, epochs, processes that start, stop and crash, and the journal's way to the
//! coordinator.

use super::{Due, LONGEST_REPLY_MS, OFFER_MS, RENEW_MS, Sim};
use crate::coordinator::{LEASE_MS, OWN_MARGIN_MS, later};
use crate::worker::Shipping;
use lockstep_engine::Event;
use lockstep_model::Lane;

impl Sim {
    /// The machine of the process that holds the newest epoch.
    pub(super) fn holder(&self) -> Option<usize> {
        (0..self.machines.len()).find(|machine| {
            let process = self.machines[*machine].process.as_ref();
            process.is_some_and(|process| process.epoch == self.coordinator.epoch)
        })
    }

    pub(super) fn apply_for(&mut self, machine: usize) {
        let now = self.now;
        if self.machines[machine].process.is_some() {
            return;
        }
        let cut_off = self.machines[machine].cut_off_until > now;
        if cut_off || !self.coordinator.may_grant(machine, now) {
            self.at(later(now, RENEW_MS), Due::Apply(machine));
            return;
        }
        self.grant(machine);
    }

    pub(super) fn grant(&mut self, machine: usize) {
        let now = self.now;
        if self.coordinator.owner != machine || self.machines[machine].journal.is_none() {
            self.keys_lost_at = now;
        }
        let epoch = self.coordinator.grant(machine, now);
        self.note(|| format!("machine {machine} holds the customer under epoch {epoch}"));
        self.machines[machine].open(&mut self.coordinator, epoch, now);
        let deadline = later(now, LEASE_MS - OWN_MARGIN_MS);
        self.machines[machine].start(epoch, deadline, &self.rules, now);
        if self.rules.revision != self.opened.revision {
            // Nobody remembers by which settings what was last in step.
            self.mark_everything_due(machine);
        }
        let generation = self.machines[machine].generation;
        self.at(
            later(now, RENEW_MS),
            Due::Renew {
                machine,
                generation,
            },
        );
        self.tell_right(machine);
    }

    pub(super) fn tell_right(&mut self, machine: usize) {
        let ahead_ms = self.machines[machine].ahead_ms(self.now);
        if let Some(process) = &self.machines[machine].process {
            let until = later(process.deadline, ahead_ms);
            self.feed(machine, Event::WritesUntil(Some(until)));
        }
    }

    pub(super) fn renew(&mut self, machine: usize, generation: u64) {
        let now = self.now;
        let cut_off = self.machines[machine].cut_off_until > now;
        let Some(epoch) = self
            .process(machine, generation)
            .map(|process| process.epoch)
        else {
            return;
        };
        let renewed = if cut_off {
            None
        } else {
            Some(self.coordinator.renew(epoch, now))
        };
        let Some(process) = self.process(machine, generation) else {
            return;
        };
        if let Some(renewed) = renewed {
            match renewed {
                Some(until) => process.deadline = later(until, -OWN_MARGIN_MS),
                None => {
                    self.stop(machine, "its lease is another's");
                    return;
                }
            }
        } else if process.deadline <= now {
            self.give_up_waiting(machine);
        }
        self.at(
            later(now, RENEW_MS),
            Due::Renew {
                machine,
                generation,
            },
        );
        self.tell_right(machine);
    }

    /// The process ends; its machine would like to work again.
    pub(super) fn stop(&mut self, machine: usize, why: &str) {
        self.machines[machine].process = None;
        self.forget_replies();
        self.note(|| format!("machine {machine} stops: {why}"));
        self.at(later(self.now, RENEW_MS), Due::Apply(machine));
    }

    pub(super) fn crash(&mut self, machine: usize) {
        self.crashes += 1;
        self.machines[machine].process = None;
        self.forget_replies();
        let disk_lost = self.dice.chance(self.faults.disk_lost);
        if disk_lost {
            self.machines[machine].lose_disk();
        }
        let delay = self.dice.between(100, 8_000);
        self.note(|| format!("machine {machine} crashes, disk lost: {disk_lost}"));
        self.at(later(self.now, delay), Due::Apply(machine));
    }

    /// Replies on their way to a process that is gone are heard by nobody.
    pub(super) fn forget_replies(&mut self) {
        let since = later(self.now, -LONGEST_REPLY_MS);
        for write in self.erp_writes.iter_mut().filter(|write| write.at >= since) {
            write.unanswered = true;
        }
    }

    pub(super) fn give_up_waiting(&mut self, machine: usize) {
        let Some(process) = &mut self.machines[machine].process else {
            return;
        };
        let lanes: Vec<Lane> = std::mem::take(&mut process.waiting).into_keys().collect();
        for lane in lanes {
            let reason = "the coordinator did not acknowledge the journal in time".into();
            self.feed(machine, Event::NotDurable { lane, reason });
        }
    }

    /// Offers the journal; what waited for it goes on once it is taken.
    pub(super) fn offer(&mut self, machine: usize) {
        let lost = self.dice.chance(self.faults.acknowledgement_lost);
        let now = self.now;
        let shipped = self.machines[machine].ship(&mut self.coordinator, now, lost);
        match shipped {
            Shipping::Done => {
                let Some(process) = &mut self.machines[machine].process else {
                    return;
                };
                let lanes: Vec<Lane> = std::mem::take(&mut process.waiting).into_keys().collect();
                for lane in lanes {
                    self.feed(machine, Event::Durable { lane });
                }
            }
            Shipping::Unreachable => {
                let process = self.machines[machine].process.as_ref();
                if process.is_some_and(|process| !process.waiting.is_empty()) {
                    let generation = self.machines[machine].generation;
                    self.at(
                        later(now, OFFER_MS),
                        Due::Offer {
                            machine,
                            generation,
                        },
                    );
                }
            }
            Shipping::Refused(refusal) => {
                self.stop(machine, &format!("its journal is refused: {refusal:?}"));
            }
        }
    }
}
