//! How runs go, as workers reported it last. In memory: the journal is the truth, this is only sooner.

use crate::bounds::ENDED_RUNS_MAX;
use jiff::Timestamp;
use lockstep_model::{CustomerId, RunId, WorkerId};
use lockstep_protocol::status::RunProgress;
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{PoisonError, RwLock},
};

/// One report of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Reported {
    pub worker: WorkerId,
    pub heard_at: Timestamp,
    pub progress: RunProgress,
}

#[derive(Default)]
pub struct Progress {
    runs: RwLock<Runs>,
}

#[derive(Default)]
struct Runs {
    by_id: BTreeMap<(CustomerId, RunId), Reported>,
    /// The oldest goes first when there are too many.
    ended: VecDeque<(CustomerId, RunId)>,
}

impl Progress {
    /// Takes a report in; says whose runs it changed. A full report ends the runs of this worker that it
    /// does not name: the worker no longer knows them.
    pub fn report(
        &self,
        worker: WorkerId,
        full: bool,
        runs: Vec<RunProgress>,
        at: Timestamp,
    ) -> HashSet<CustomerId> {
        let mut known = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = HashSet::new();
        let named: HashSet<_> = runs.iter().map(|run| (run.customer_id, run.run)).collect();
        for progress in runs {
            let key = (progress.customer_id, progress.run);
            let ends = progress.finished_at.is_some();
            let reported = Reported {
                worker,
                heard_at: at,
                progress,
            };
            let before = known.by_id.insert(key, reported);
            if before
                .as_ref()
                .is_some_and(|before| before.progress.finished_at.is_some())
            {
                continue;
            }
            changed.insert(key.0);
            if ends {
                known.ended.push_back(key);
            }
        }
        if full {
            let lost: Vec<_> = known
                .by_id
                .iter()
                .filter(|(key, run)| {
                    run.worker == worker
                        && run.progress.finished_at.is_none()
                        && !named.contains(*key)
                })
                .map(|(key, _)| *key)
                .collect();
            for key in lost {
                known.by_id.remove(&key);
                changed.insert(key.0);
            }
        }
        while known.ended.len() > ENDED_RUNS_MAX {
            if let Some(key) = known.ended.pop_front() {
                known.by_id.remove(&key);
            }
        }
        changed
    }

    /// The newest first.
    pub fn live(&self, customer: Option<CustomerId>) -> Vec<Reported> {
        let known = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Reported> = known
            .by_id
            .values()
            .filter(|run| customer.is_none_or(|id| run.progress.customer_id == id))
            .filter(|run| run.progress.finished_at.is_none())
            .cloned()
            .collect();
        found.sort_by_key(|run| std::cmp::Reverse((run.progress.started_at, run.progress.run)));
        found
    }

    pub fn get(&self, customer: CustomerId, run: RunId) -> Option<Reported> {
        let known = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        known.by_id.get(&(customer, run)).cloned()
    }

    /// The customer has another owner: what the old one said of its runs is over.
    pub fn forget_live(&self, customer: CustomerId) {
        let mut known = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        known
            .by_id
            .retain(|key, run| key.0 != customer || run.progress.finished_at.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::{Lane, Revision, entry::Counts};
    use lockstep_protocol::status::Phase;

    fn run(id: u64, ended: bool) -> RunProgress {
        RunProgress {
            customer_id: CustomerId(1),
            run: RunId(id),
            lane: Lane::Trade,
            revision: Revision(1),
            cause: String::new(),
            phase: Phase::Pull,
            counts: Counts::default(),
            expected: None,
            message: String::new(),
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: ended.then_some(Timestamp::UNIX_EPOCH),
            result: None,
            why: None,
        }
    }

    #[test]
    fn a_full_report_ends_what_it_does_not_name() {
        let progress = Progress::default();
        let at = Timestamp::UNIX_EPOCH;
        progress.report(WorkerId(1), true, vec![run(1, false), run(2, false)], at);
        progress.report(WorkerId(2), true, vec![], at);
        assert_eq!(progress.live(None).len(), 2);
        progress.report(WorkerId(1), true, vec![run(2, false)], at);
        let live: Vec<_> = progress
            .live(None)
            .iter()
            .map(|run| run.progress.run)
            .collect();
        assert_eq!(live, [RunId(2)]);
    }

    #[test]
    fn ended_runs_are_bounded_and_live_ones_are_kept() {
        let progress = Progress::default();
        let at = Timestamp::UNIX_EPOCH;
        progress.report(WorkerId(1), false, vec![run(1, false)], at);
        for id in 2..ENDED_RUNS_MAX as u64 + 100 {
            progress.report(WorkerId(1), false, vec![run(id, true)], at);
        }
        assert_eq!(
            progress.runs.read().unwrap().by_id.len(),
            ENDED_RUNS_MAX + 1
        );
        assert_eq!(progress.live(None).len(), 1);
    }
}
