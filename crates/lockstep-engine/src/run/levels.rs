//! What is asked about all levels before it is done: that many items are gone at once, which an empty source looks like, and
//! that another shop's numbers count from now on.

use super::Run;
use crate::customer::{Effect, Shared};
use crate::stock::{self, StockDecision, Switch};
use jiff::{SignedDuration, Timestamp};
use lockstep_model::ConflictId;
use lockstep_model::cases::{Also, OpenConflict, StockCase, StockChunk};
use lockstep_model::entry::{Body, Conflict, Subject};
use std::collections::VecDeque;

/// So many may always be gone: a percentage of a small shop means nothing.
const A_HANDFUL: u64 = 10;
/// What is gone within this counts together, whether a source tells of it at once or one by one; and a person's word holds
/// for so long.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// Questions about all levels, and what the next run may do since a person has accepted.
#[derive(Debug, Default)]
pub(crate) struct OfLevels {
    asked: Vec<OpenConflict>,
    may_empty_until: Option<Timestamp>,
    may_switch: bool,
    /// Levels of which nothing is left, as it was written.
    emptied: VecDeque<(Timestamp, u64)>,
}

fn is_about_emptied(open: &OpenConflict) -> bool {
    matches!(open.about, Conflict::ManySoldOut { .. })
}

impl OfLevels {
    pub fn new(asked: Vec<OpenConflict>, emptied: Vec<Timestamp>) -> Self {
        Self {
            asked,
            emptied: emptied.into_iter().map(|at| (at, 1)).collect(),
            ..Self::default()
        }
    }

    pub fn accept(&mut self, answered: Option<ConflictId>, now: Timestamp) {
        for open in self
            .asked
            .extract_if(.., |open| Some(open.conflict) == answered)
        {
            match open.about {
                Conflict::ManySoldOut { .. } => {
                    self.may_empty_until = now.checked_add(WINDOW).ok();
                    self.emptied.clear();
                }
                Conflict::StockSwitched { .. } => self.may_switch = true,
                _ => {}
            }
        }
    }

    fn asks_about_emptied(&self) -> bool {
        self.asked.iter().any(is_about_emptied)
    }

    /// How many levels were emptied of late.
    pub fn emptied(&mut self, now: Timestamp) -> u64 {
        let is_old = |at: Timestamp| now.duration_since(at) >= WINDOW;
        while self.emptied.front().is_some_and(|(at, _)| is_old(*at)) {
            self.emptied.pop_front();
        }
        self.emptied.iter().map(|(_, levels)| levels).sum()
    }
}

/// Of one run.
#[derive(Debug, Default)]
pub(super) struct LevelsOfRun {
    may_empty: bool,
    may_switch: bool,
    weighed: bool,
    /// Levels of ours of which nothing is left, those of late with them, and all that there are.
    emptied: u64,
    total: u64,
    /// Too many of them: they are not written.
    withholds: bool,
    written: u64,
    /// Levels that their new owner shows otherwise.
    switched: u64,
}

impl Run {
    /// Before the first level is looked at: what was accepted until now, this run does.
    pub(super) fn take_acceptance(&mut self, shared: &mut Shared, now: Timestamp) {
        if self.dry {
            return;
        }
        let of_levels = &mut shared.of_levels;
        self.levels.may_empty = of_levels.may_empty_until.is_some_and(|until| until > now);
        self.levels.may_switch |= std::mem::take(&mut of_levels.may_switch);
        self.levels.emptied = of_levels.emptied(now);
    }

    /// Are all levels to be counted, however few are due?
    pub(super) fn has_to_count(&self) -> bool {
        self.levels.emptied > 0
    }

    fn is_flood(&self, levels: u64, total: u64) -> bool {
        let limit = u64::from(self.rules.settings.policies.limits.archive_percent_max);
        levels > A_HANDFUL && levels * 100 > limit * total
    }

    /// Could this run empty so many levels that a person has to be asked? Then all is gone through once before anything is
    /// written.
    pub(super) fn has_to_weigh(&self, first: &StockChunk, shared: &Shared) -> bool {
        let is_asked = shared.of_levels.asks_about_emptied();
        !self.dry
            && !self.levels.weighed
            && !self.levels.may_empty
            && (is_asked || self.is_flood(self.levels.emptied + first.due, first.total))
    }

    /// Counts what would be emptied; nothing is taken in and nothing is written.
    pub(super) fn weigh(&mut self, chunk: &StockChunk, now: Timestamp) {
        let decisions = self.evaluate(&chunk.cases, &mut 0, now, Switch::Shown);
        self.count_shown(&decisions, chunk.total);
    }

    pub(super) fn evaluate(
        &self,
        cases: &[StockCase],
        next_conflict: &mut u64,
        now: Timestamp,
        switch: Switch,
    ) -> Vec<StockDecision> {
        cases
            .chunk_by(|one, other| one.item == other.item)
            .flat_map(|of_sku| {
                stock::evaluate(of_sku, &self.rules, self.id, next_conflict, now, switch)
            })
            .collect()
    }

    /// What waits for a person's word is counted each time: once most of it was found again, the few that are left wait no
    /// longer.
    pub(super) fn is_weighed(&mut self) {
        self.levels.weighed = true;
        self.levels.withholds = self.is_flood(self.levels.emptied, self.levels.total);
    }

    /// Of what is weighed, or only shown. `total`: of the first chunk.
    pub(super) fn count_shown(&mut self, decisions: &[StockDecision], total: u64) {
        self.levels.total += total;
        let emptied = decisions
            .iter()
            .filter(|decision| !decision.emptied.is_empty());
        self.levels.emptied += emptied.count() as u64;
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
        if decision.emptied.is_empty() {
            return false;
        }
        if self.levels.withholds {
            let emptied = &decision.emptied;
            decision
                .writes
                .retain(|write| !emptied.contains(&write.shop));
        } else {
            self.levels.written += 1;
        }
        self.levels.withholds
    }

    /// All levels were gone through: questions are asked, or close since there is nothing to ask any more.
    pub(super) fn ask_about_levels(
        &mut self,
        shared: &mut Shared,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let limit = self.rules.settings.policies.limits.archive_percent_max;
        let LevelsOfRun {
            emptied,
            total,
            withholds,
            written,
            switched,
            ..
        } = self.levels;
        if self.dry {
            if self.is_flood(emptied, total) {
                self.needs_person.get_or_insert_with(|| {
                    format!(
                        "{emptied} of {total} stock levels would be set to sold out, more than the limit of {limit} %: \
                         a run that is not only shown asks before it writes them."
                    )
                });
            }
            return;
        }
        if written > 0 {
            shared.of_levels.emptied.push_back((now, written));
        }
        let emptied = withholds.then_some(Conflict::ManySoldOut {
            levels: emptied,
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
        for (about, of_emptied) in [(emptied, true), (switched, false)] {
            let asked = &mut shared.of_levels.asked;
            let open = asked
                .iter()
                .position(|open| is_about_emptied(open) == of_emptied);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    #[test]
    fn what_is_gone_within_an_hour_counts_together() {
        let mut of_levels = OfLevels::default();
        for minutes in [0, 20, 40] {
            of_levels.emptied.push_back((at(minutes), 4));
        }
        let counted = [59, 60, 79, 80, 100].map(|minutes| of_levels.emptied(at(minutes)));
        assert_eq!(counted, [12, 8, 8, 4, 0]);
    }

    #[test]
    fn what_was_gone_before_a_process_began_counts_with_what_is_gone_after() {
        let mut of_levels = OfLevels::new(vec![], vec![at(0), at(30), at(30)]);
        of_levels.emptied.push_back((at(50), 4));
        assert_eq!([55, 70].map(|now| of_levels.emptied(at(now))), [7, 6]);
    }

    #[test]
    fn one_answer_is_about_one_question() {
        let open = |conflict: u64, about: Conflict| OpenConflict {
            conflict: ConflictId(conflict),
            about,
            at: at(0),
        };
        let asked = vec![
            open(
                1,
                Conflict::ManySoldOut {
                    levels: 20,
                    of: 100,
                    limit: 10,
                },
            ),
            open(
                2,
                Conflict::StockSwitched {
                    owner: lockstep_model::ShopId(2),
                    levels: 1,
                },
            ),
        ];
        let mut of_levels = OfLevels::new(asked, vec![]);
        of_levels.accept(Some(ConflictId(2)), at(0));
        assert!(of_levels.may_switch && of_levels.may_empty_until.is_none());
        of_levels.accept(Some(ConflictId(1)), at(5));
        assert_eq!(of_levels.may_empty_until, Some(at(65)));
        assert!(of_levels.asked.is_empty());
    }
}
