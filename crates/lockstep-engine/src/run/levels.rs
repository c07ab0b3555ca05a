//! What is asked about all levels before it is done: that many items are sold out at once, which an empty source looks like,
//! and that another shop's numbers count from now on.

use super::Run;
use crate::customer::{Also, Effect, Shared};
use crate::stock::{self, StockDecision, Switch};
use crate::write::Write;
use jiff::Timestamp;
use lockstep_model::ConflictId;
use lockstep_model::cases::{OpenConflict, StockChunk};
use lockstep_model::entry::{Body, Conflict, Subject, What};
use rust_decimal::Decimal;

/// So many may always sell out: a percentage of a small shop means nothing.
const A_HANDFUL: u64 = 10;

/// Questions about all levels, and what the next run may do since a person has accepted.
#[derive(Debug, Default)]
pub(crate) struct OfLevels {
    asked: Vec<OpenConflict>,
    may_sell_out: bool,
    may_switch: bool,
}

impl OfLevels {
    pub fn new(asked: Vec<OpenConflict>) -> Self {
        Self {
            asked,
            ..Self::default()
        }
    }

    pub fn accept(&mut self, answered: Option<ConflictId>) {
        for open in self
            .asked
            .extract_if(.., |open| Some(open.conflict) == answered)
        {
            match open.about {
                Conflict::ManySoldOut { .. } => self.may_sell_out = true,
                Conflict::StockSwitched { .. } => self.may_switch = true,
                _ => {}
            }
        }
    }
}

/// Of one run.
#[derive(Debug, Default)]
pub(super) struct LevelsOfRun {
    may_sell_out: bool,
    may_switch: bool,
    weighed: bool,
    /// Levels of ours that would be told to be sold out, and all that there are.
    sold_out: u64,
    total: u64,
    /// Too many of them: they are not written.
    withholds: bool,
    /// Levels that their new owner shows otherwise.
    switched: u64,
}

fn sells_out(write: &Write) -> bool {
    match write.what {
        What::Level {
            target,
            was_available,
            ..
        } => was_available > Decimal::ZERO && target <= Decimal::ZERO,
        _ => false,
    }
}

impl Run {
    /// Before the first level is looked at: what was accepted until now, this run does.
    pub(super) fn take_acceptance(&mut self, shared: &mut Shared) {
        if !self.dry {
            self.levels.may_sell_out |= std::mem::take(&mut shared.of_levels.may_sell_out);
            self.levels.may_switch |= std::mem::take(&mut shared.of_levels.may_switch);
        }
    }

    fn is_flood(&self, levels: u64, total: u64) -> bool {
        let limit = u64::from(self.rules.settings.policies.limits.archive_percent_max);
        levels > A_HANDFUL && levels * 100 > limit * total
    }

    /// Could this run tell so many items to be sold out that a person has to be asked? Then all is gone through once before
    /// anything is written.
    pub(super) fn has_to_weigh(&self, first: &StockChunk) -> bool {
        !self.dry
            && !self.levels.weighed
            && !self.levels.may_sell_out
            && self.is_flood(first.due, first.total)
    }

    /// Counts what would sell out; nothing is taken in and nothing is written.
    pub(super) fn weigh(&mut self, chunk: &StockChunk, now: Timestamp) {
        self.levels.total += chunk.total;
        let cases = chunk.cases.chunk_by(|one, other| one.sku == other.sku);
        for cases in cases {
            let decisions =
                stock::evaluate(cases, &self.rules, self.id, &mut 0, now, Switch::Shown);
            self.count_sold_out(&decisions);
        }
    }

    pub(super) fn is_weighed(&mut self) {
        self.levels.weighed = true;
        self.levels.withholds = self.is_flood(self.levels.sold_out, self.levels.total);
    }

    pub(super) fn count_sold_out(&mut self, decisions: &[StockDecision]) {
        let sold_out = decisions
            .iter()
            .filter(|decision| decision.writes.iter().any(sells_out));
        self.levels.sold_out += sold_out.count() as u64;
    }

    /// What a plan that is only shown counts as it goes.
    pub(super) fn count_shown(&mut self, decisions: &[StockDecision], total: u64) {
        self.levels.total += total;
        self.count_sold_out(decisions);
    }

    pub(super) fn how_to_switch(&self) -> Switch {
        if self.dry {
            Switch::Shown
        } else if self.levels.may_switch {
            Switch::Accepted
        } else {
            Switch::Asked
        }
    }

    /// Takes back what waits for a person's word. True: there was something.
    pub(super) fn withhold(&mut self, decision: &mut StockDecision) -> bool {
        self.levels.switched += u64::from(decision.is_switched);
        let before = decision.writes.len();
        if self.levels.withholds {
            decision.writes.retain(|write| !sells_out(write));
        }
        decision.writes.len() < before
    }

    /// All levels were gone through: questions are asked, or close since there is nothing to ask any more.
    pub(super) fn ask_about_levels(&mut self, shared: &mut Shared, out: &mut Vec<Effect>) {
        let limit = self.rules.settings.policies.limits.archive_percent_max;
        let LevelsOfRun {
            sold_out,
            total,
            withholds,
            switched,
            ..
        } = self.levels;
        if self.dry {
            if self.is_flood(sold_out, total) {
                self.needs_person.get_or_insert_with(|| {
                    format!(
                        "{sold_out} of {total} stock levels would be set to sold out, more than the limit of {limit} %: \
                         a run that is not only shown asks before it writes them."
                    )
                });
            }
            return;
        }
        let sold_out = withholds.then_some(Conflict::ManySoldOut {
            levels: sold_out,
            of: total,
            limit,
        });
        let owner = self.rules.stock_owner();
        let switched = owner
            .filter(|_| switched > 0)
            .map(|owner| Conflict::StockSwitched {
                owner,
                levels: switched,
            });
        let mut bodies = Vec::new();
        let is_sold_out = |about: &Conflict| matches!(about, Conflict::ManySoldOut { .. });
        for (about, is_the_same) in [
            (sold_out, &is_sold_out as &dyn Fn(&Conflict) -> bool),
            (switched, &|about: &Conflict| !is_sold_out(about)),
        ] {
            let asked = &mut shared.of_levels.asked;
            let open = asked.iter().position(|open| is_the_same(&open.about));
            match (about, open) {
                (Some(about), None) => {
                    let conflict = shared.counters.conflict();
                    asked.push(OpenConflict {
                        conflict,
                        about: about.clone(),
                        at: self.started_at,
                    });
                    bodies.push(Body::ConflictOpened {
                        conflict,
                        subject: Subject::Levels,
                        about,
                    });
                }
                (None, Some(open)) => bodies.push(Body::ConflictClosed {
                    conflict: asked.remove(open).conflict,
                    decision: "there is nothing of the kind to be written any more".into(),
                    by: None,
                    ours: Default::default(),
                }),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        self.count_conflicts(&bodies);
        self.append(bodies, Also::default(), out);
    }
}
