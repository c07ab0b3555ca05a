//! Every run ends, or says what it waits for; and what waits for a person does so with a reason that people know of.

use crate::coordinator::later;
use crate::scenario::ERP;
use crate::shop::{LevelWrites, Line};
use crate::sim::{LATE_MS, Sim};
use crate::topics::Topic;
use crate::world::{Life, World, lives};
use lockstep_model::Sku;
use lockstep_model::entry::{Conflict, Differing, Hold, RunResult, Subject};
use std::collections::BTreeSet;

/// What waits for a person, rightly; and what does so without a reason.
#[derive(Debug, Default)]
pub struct Waiting {
    /// A write to the owner was lost, and somebody moved the level meanwhile: it cannot be told from a receipt. It
    /// waits for a person, or, where the two moved by the same units, is taken for what it looks like.
    pub levels: BTreeSet<Sku>,
    /// Made or not, in a shop that cannot be asked.
    pub doubtful: BTreeSet<String>,
    /// Their units differ on the two sides, and it is not for us to say which count.
    pub asked: BTreeSet<String>,
    /// They go elsewhere on the two sides.
    pub asked_where: BTreeSet<String>,
    pub contradictory: u64,
    pub without_reason: Vec<String>,
}

impl Waiting {
    pub fn count(&self) -> u64 {
        (self.levels.len() + self.doubtful.len() + self.asked.len()) as u64 + self.contradictory
    }
}

/// From a write that nobody answered to the look that settles it, with cuts and crashes between.
const COINCIDENCE_MS: i64 = 120_000;
/// Clocks of workers differ by less than this.
const CLOCKS_MS: i64 = 125_000;

pub fn waiting(sim: &Sim, world: &World) -> Waiting {
    let mut waiting = Waiting::default();
    let lives = lives(&sim.shops);
    for conflict in sim.conflicts() {
        let is_known = match (&conflict.about, &conflict.subject) {
            (Conflict::LevelInDoubt { shop, .. }, Subject::Level { item, .. }) if *shop == ERP => {
                let meant_at = sim.coordinator.level_intents.get(&conflict.subject);
                let moved = world
                    .moved_at
                    .get(&Sku(item.0.clone()))
                    .is_some_and(|moved| {
                        moved.iter().any(|(at, _)| {
                            meant_at.is_some_and(|meant_at| {
                                let apart = at.duration_since(*meant_at).as_millis();
                                apart >= -i128::from(CLOCKS_MS)
                            })
                        })
                    });
                if moved {
                    waiting.levels.insert(Sku(item.0.clone()));
                }
                moved
            }
            (Conflict::ShippedAndCancelled { .. }, Subject::Order(order)) => {
                let is_so = lives.iter().any(|life| {
                    life.shop == order.shop && *life.id == order.id && life.is_contradictory()
                });
                waiting.contradictory += u64::from(is_so);
                is_so
            }
            (
                Conflict::OrderDiffers {
                    differs: Differing::Address,
                    ..
                },
                Subject::Order(order),
            ) => {
                let mut lives = lives.iter();
                let life = lives.find(|life| life.shop == order.shop && *life.id == order.id);
                let is_told = sim.shops[&ERP].traits.readdresses;
                let differ = life.is_some_and(|life| {
                    let copies = || life.copies.iter();
                    let differs = copies().any(|copy| copy.address != life.origin.address);
                    // Whether the copy was told, no reading shows: where that is in doubt when it is shipped, it is asked.
                    let mut sides = copies().chain([&life.origin]);
                    let is_shipped = sides.any(|side| side.any_shipped());
                    life.origin.address != 0 && (is_shipped || (differs && !is_told))
                });
                if differ {
                    waiting.asked_where.insert(order.to_string());
                }
                differ
            }
            (Conflict::OrderDiffers { .. }, Subject::Order(order)) => {
                let life = lives
                    .iter()
                    .find(|life| life.shop == order.shop && *life.id == order.id);
                let differ = life.is_some_and(|life| {
                    let ordered = |line: &Line| (line.quantity - line.cancelled, line.returned);
                    life.copies.iter().any(|copy| {
                        if life.origin.refunded() != copy.refunded() {
                            return true;
                        }
                        life.origin.lines.iter().any(|line| {
                            let twin = Life::line_of(copy, line).map(ordered);
                            twin != Some(ordered(line))
                        })
                    })
                });
                if differ {
                    waiting.asked.insert(order.to_string());
                }
                differ
            }
            // These are answered before all is looked at.
            (Conflict::GoneThere { .. }, Subject::Record(_)) => {
                world.topics.has(Topic::DeletedThere)
            }
            (Conflict::Undone { .. }, Subject::Record(_)) => world.topics.has(Topic::Undo),
            _ => false,
        };
        if !is_known {
            let what = format!("waits for a person without a reason: {conflict:?}");
            waiting.without_reason.push(what);
        }
    }
    waiting.levels.extend(coincidences(sim, world));
    waiting.levels.extend(overwritten(sim, world));
    let held = sim.journal().map(|journal| {
        let orders = journal.orders(None, 1_000).expect("orders");
        orders
            .into_iter()
            .filter(|order| order.held == Some(Hold::InDoubt))
            .map(|order| order.order.to_string())
    });
    waiting.doubtful.extend(held.into_iter().flatten());
    waiting
}

/// Somebody moved a level of the ERP by exactly what an unanswered write was to move, or back: no reading can tell
/// which of the two it shows.
fn coincidences(sim: &Sim, world: &World) -> BTreeSet<Sku> {
    let window = i128::from(COINCIDENCE_MS) * if sim.pages_are_slow { 4 } else { 1 };
    let writes = sim.erp_writes.iter().filter(|write| write.unanswered);
    writes
        .filter(|write| {
            let moved = world.moved_at.get(&write.sku).into_iter().flatten();
            let around: Vec<i64> = moved
                .filter(|(at, _)| {
                    let after_ms = at.duration_since(write.at).as_millis();
                    (-window / 10..window).contains(&after_ms)
                })
                .map(|(_, units)| *units)
                .collect();
            // What was moved between any two moments.
            (0..around.len()).any(|from| {
                let mut sum = 0;
                around[from..].iter().any(|units| {
                    sum += units;
                    sum.abs() == write.units.abs()
                })
            })
        })
        .map(|write| write.sku.clone())
        .collect()
}

/// Where all that a shop can do is to set a level, what people moved between our reading and our write is lost.
fn overwritten(sim: &Sim, world: &World) -> BTreeSet<Sku> {
    let blind = sim.shops[&ERP].traits.level_writes == LevelWrites::Absolute;
    let writes = sim.erp_writes.iter().filter(|_| blind);
    writes
        .filter(|write| {
            let mut moved = world.moved_at.get(&write.sku).into_iter().flatten();
            let until = later(write.at, LATE_MS);
            let around = write.read_since..=until;
            // A sale that is lost with it can be told from a receipt, unless there is one as well.
            // For all that a reading tells, one that nobody answered may have come at any time before it.
            let may_come_until = if write.unanswered {
                later(write.at, COINCIDENCE_MS)
            } else {
                until
            };
            let erp_orders = sim.shops[&ERP].orders.values();
            let sold = erp_orders
                .filter(|order| order.lines_of(&write.sku).next().is_some())
                .any(|order| (write.read_since..=may_come_until).contains(&order.placed_at));
            moved.any(|(at, _)| {
                let after_ms = at.duration_since(write.at).as_millis();
                around.contains(at) || (sold && (0..i128::from(COINCIDENCE_MS)).contains(&after_ms))
            })
        })
        .map(|write| write.sku.clone())
        .collect()
}

/// Everything that began is over, and whatever did not go through says why.
pub fn ended(sim: &Sim) -> Vec<String> {
    let Some(journal) = sim.journal() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for run in journal.runs(None, 200).expect("runs") {
        match run.result {
            None => found.push(format!("run {} has not ended", run.run)),
            Some(RunResult::Done) => {}
            Some(result) if run.message.is_empty() => {
                found.push(format!("run {} is {result:?} and says nothing", run.run));
            }
            Some(_) => {}
        }
    }
    found
}
