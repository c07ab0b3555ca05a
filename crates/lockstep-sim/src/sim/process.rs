//! A process: what its engine is told, and what it asks for.

use super::file::ask_file;
use super::{Due, ErpWrite, LONGEST_REPLY_MS, READ_ONLY_PAUSE_MS, SLOWEST_PAGE_MS, Sim};
use crate::coordinator::later;
use crate::mistakes::Mistake;
use crate::scenario::ERP;
use lockstep_engine::{Effect, Event};
use lockstep_model::cases::Also;
use lockstep_model::entry::{Body, Subject, What};
use lockstep_model::{Lane, Next, Sku};

impl Sim {
    /// What was read may have been so a long time ago when it arrives.
    pub(super) fn reply_to_a_read(&mut self, machine: usize, event: Event) {
        let is_slow = self.faults.slow_pages > 0 && self.dice.chance(self.faults.slow_pages);
        if !is_slow {
            self.reply(machine, event);
            return;
        }
        let generation = self.machines[machine].generation;
        let event = Box::new(event);
        let delay = self.dice.between(1_000, SLOWEST_PAGE_MS);
        self.at(
            later(self.now, delay),
            Due::Event {
                machine,
                generation,
                event,
            },
        );
    }

    pub(super) fn reply(&mut self, machine: usize, event: Event) {
        let delay = if self.dice.chance(self.faults.slow) {
            self.dice.between(200, LONGEST_REPLY_MS)
        } else {
            self.dice.between(1, 60)
        };
        let generation = self.machines[machine].generation;
        if self.dice.chance(self.faults.duplicated)
            && let Some(twin) = twin(&event)
        {
            let delay = self.dice.between(1, 500);
            self.at(
                later(self.now, delay),
                Due::Event {
                    machine,
                    generation,
                    event: Box::new(twin),
                },
            );
        }
        self.at(
            later(self.now, delay),
            Due::Event {
                machine,
                generation,
                event: Box::new(event),
            },
        );
    }

    /// Tells the engine, and performs what it asks for: effects of one event in order, then what the file answered.
    pub(super) fn feed(&mut self, machine: usize, event: Event) {
        let generation = self.machines[machine].generation;
        let Some(process) = &mut self.machines[machine].process else {
            return;
        };
        process.queue.push_back(event);
        loop {
            let at = self.machines[machine].clock(self.now);
            let Some(process) = self.process(machine, generation) else {
                return;
            };
            let Some(mut event) = process.queue.pop_front() else {
                return;
            };
            self.name(machine, &mut event);
            self.make_mistakes(machine, &mut event);
            let Some(process) = self.process(machine, generation) else {
                return;
            };
            for effect in process.customer.on(event, at) {
                self.effects += 1;
                if self.dice.below(10_000) < self.faults.crash {
                    self.crash(machine);
                    return;
                }
                let answer = self.perform(machine, effect);
                let Some(process) = self.process(machine, generation) else {
                    return;
                };
                process.queue.extend(answer);
            }
        }
    }

    /// Our own names of what a shop shows.
    fn name(&mut self, machine: usize, event: &mut Event) {
        let (Event::Pulled { call, .. } | Event::Found { call, .. } | Event::Pushed { call, .. }) =
            &*event
        else {
            return;
        };
        let here = &mut self.machines[machine];
        let Some(shop) = here
            .process
            .as_ref()
            .and_then(|p| p.places.get(call).copied())
        else {
            return;
        };
        if let Some(journal) = &here.journal {
            for record in event.records() {
                let named = journal.name_items(shop, record);
                named.expect("what is read is named");
            }
        }
    }

    pub(super) fn make_mistakes(&mut self, machine: usize, event: &mut Event) {
        let Some(mistake) = self.mistake else {
            return;
        };
        mistake.in_event(event);
        if let (Event::Pulled { call, result }, Some(process)) =
            (&*event, &self.machines[machine].process)
            && let Some(place) = process.pulls.get(call).copied()
        {
            self.mistaken.hears(place, result.as_ref().ok());
        }
        if mistake == Mistake::CursorBeforeCommit
            && let Event::Pulled {
                call,
                result: Ok(page),
            } = event
            && let Next::End(Some(cursor)) = &page.next
            && let Some(process) = &self.machines[machine].process
            && let Some((shop, kind)) = process.pulls.get(call).copied()
        {
            let cursor = cursor.clone();
            let moved = Body::CursorMoved { shop, kind, cursor };
            self.machines[machine].append(vec![moved], Default::default(), self.now);
            self.machines[machine].ship(&mut self.coordinator, self.now, false);
        }
    }

    pub(super) fn append(&mut self, machine: usize, mut bodies: Vec<Body>, mut also: Also) {
        if let Some(mistake) = self.mistake {
            mistake.in_entries(&mut bodies, &mut self.returned);
            self.mistaken.in_append(mistake, &mut bodies, &mut also);
        }
        for body in &bodies {
            if let Body::RunStarted { run, revision, .. } = body
                && let Some(process) = &mut self.machines[machine].process
            {
                process.runs.insert(*run, *revision);
            }
            if let Body::Intended {
                shop: ERP,
                subject: Subject::Level { item, .. },
                what:
                    What::Level {
                        target,
                        was_available,
                        ..
                    },
                ..
            } = body
            {
                self.erp_writes.push(ErpWrite {
                    sku: Sku(item.0.clone()),
                    at: self.now,
                    read_since: self.now,
                    units: (*target - *was_available).try_into().unwrap_or_default(),
                    unanswered: true,
                });
            }
        }
        if self.trace.is_some() {
            for body in &bodies {
                self.note(|| format!("  entry: {}", in_short(body)));
            }
        }
        self.machines[machine].append(bodies, also, self.now);
    }

    /// What the file answers comes back at once; what shops answer comes later.
    pub(super) fn perform(&mut self, machine: usize, effect: Effect) -> Option<Event> {
        let now = self.now;
        let clock = self.machines[machine].clock(now);
        let generation = self.machines[machine].generation;
        match effect {
            Effect::Append { bodies, also } => {
                self.append(machine, bodies, also);
                None
            }
            Effect::Intend { lane, bodies, also } => {
                self.append(machine, bodies, also);
                let offer_after = if self.dice.chance(70) {
                    0
                } else {
                    self.dice.between(1, 400)
                };
                self.at(
                    later(now, offer_after),
                    Due::Offer {
                        machine,
                        generation,
                    },
                );
                if self.mistake == Some(Mistake::IntentNotAcknowledged) {
                    return Some(Event::Durable { lane });
                }
                let process = self.process(machine, generation)?;
                if process.deadline <= now {
                    let reason = "there is no right to write now".into();
                    return Some(Event::NotDurable { lane, reason });
                }
                process.waiting.insert(lane, 0);
                None
            }
            Effect::Pull { .. } | Effect::Find { .. } | Effect::Push { .. } => {
                if let Effect::Push { shop, changes, .. } = &effect {
                    self.hold_against_settings(machine, *shop, changes);
                }
                self.call(machine, effect);
                None
            }
            Effect::WaitUntil(at) => {
                let ahead_ms = self.machines[machine].ahead_ms(now);
                let mut at = later(at, -ahead_ms).max(later(now, 1));
                let process = self.process(machine, generation)?;
                if process.deadline <= now {
                    at = at.max(later(now, READ_ONLY_PAUSE_MS));
                }
                process.tick += 1;
                let tick = process.tick;
                self.at(
                    at,
                    Due::Tick {
                        machine,
                        generation,
                        tick,
                    },
                );
                None
            }
            Effect::Finished {
                run,
                lane,
                result,
                counts,
                message,
                ..
            } => {
                self.note(|| format!("run {run} {lane} {result:?} {message}"));
                if lane == Lane::Catalogue && counts.written > 0 {
                    self.written_runs.push(run);
                }
                if lane == Lane::Trade
                    && let Some(process) = self.process(machine, generation)
                {
                    process.levels_read.clear();
                }
                self.run_has_ended(machine, run);
                self.at(
                    now,
                    Due::Offer {
                        machine,
                        generation,
                    },
                );
                None
            }
            Effect::Planned { .. }
            | Effect::Applying { .. }
            | Effect::Undoing { .. }
            | Effect::UndoShown { .. } => None,
            Effect::Stage { .. }
            | Effect::LoadCatalogue { .. }
            | Effect::LoadRecords { .. }
            | Effect::LoadUndo { .. }
            | Effect::LoadOrders { .. }
            | Effect::LoadStock { .. }
            | Effect::LoadClosing { .. }
            | Effect::ReadAgainList { .. }
            | Effect::SavePlan { .. }
            | Effect::LoadPlan { .. }
            | Effect::DropPlan { .. } => {
                let journal = self.machines[machine].journal.as_mut()?;
                ask_file(journal, effect, clock)
            }
        }
    }
}

/// What a trace tells of an entry.
fn in_short(body: &Body) -> String {
    match body {
        Body::LevelSeen {
            shop, level, taken, ..
        } => format!(
            "level {} of shop {shop}: {} less {}, taken {taken}",
            level.sku, level.on_hand, level.reserved
        ),
        Body::OrderSeen { shop, order, .. } => format!("order {order} as in shop {shop}"),
        Body::Merged(merged) => format!("record {} {:?}", merged.record, merged.keys),
        other => format!("{other:?}"),
    }
}

/// The same reply once more.
fn twin(event: &Event) -> Option<Event> {
    Some(match event {
        Event::Pulled { call, result } => Event::Pulled {
            call: *call,
            result: result.clone(),
        },
        Event::Pushed { call, result } => Event::Pushed {
            call: *call,
            result: result.clone(),
        },
        Event::Found { call, result } => Event::Found {
            call: *call,
            result: result.clone(),
        },
        _ => return None,
    })
}
