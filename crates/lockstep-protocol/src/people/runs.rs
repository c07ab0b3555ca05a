//! Runs: start, watch, cancel.

use crate::status::Phase;
use jiff::Timestamp;
use lockstep_model::{
    CustomerId, Flow, Lane, Revision, RunId, ShopId, WorkerId,
    entry::{Counts, RunResult, RunWhy},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// "Sync now". Empty lists: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncRequest {
    pub flows: Vec<Flow>,
    pub shops: Vec<ShopId>,
}

/// The wakes are raised. `runs_after` is the greatest run id known now: a run with a greater one is of
/// this wake or a later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReply {
    pub wakes: Vec<crate::wanted::Wake>,
    pub runs_after: Option<RunId>,
}

/// Which runs, the newest first. What is absent does not narrow the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunsQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// Begun then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Begun before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not ended.
    Live,
    /// Ended otherwise than well.
    Trouble,
    /// Wrote to a shop.
    Wrote,
    /// More than a look that found nothing.
    News,
}

impl RunState {
    pub const ALL: [RunState; 4] = [
        RunState::Live,
        RunState::Trouble,
        RunState::Wrote,
        RunState::News,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Live => "live",
            RunState::Trouble => "trouble",
            RunState::Wrote => "wrote",
            RunState::News => "news",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    pub customer_id: CustomerId,
    pub customer_name: String,
    pub run: RunId,
    pub lane: Lane,
    pub worker_id: WorkerId,
    pub revision: Revision,
    pub cause: String,
    pub phase: Phase,
    pub counts: Counts,
    #[serde(default)]
    pub expected: Option<u64>,
    pub message: String,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub result: Option<RunResult>,
    #[serde(default)]
    pub why: Option<RunWhy>,
    /// When the coordinator last heard of it.
    pub heard_at: Timestamp,
}

impl RunView {
    pub fn is_live(&self) -> bool {
        self.finished_at.is_none()
    }

    /// It stopped for a run that knows more, which begins at once.
    pub fn gave_way(&self) -> bool {
        self.why == Some(RunWhy::GaveWay)
    }
}

/// Runs of one lane that came to the same one after the other and wrote nothing: one line.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeated {
    pub newest: RunView,
    /// How many they are.
    pub times: u64,
    /// When the first of them began.
    pub first_at: Timestamp,
}

/// Newest first, as they come; each stands where its newest run does. What runs of another lane or customer did in between
/// is beside it.
pub fn folded(runs: Vec<RunView>) -> Vec<Repeated> {
    let mut folded: Vec<Repeated> = Vec::with_capacity(runs.len());
    let mut last: BTreeMap<(CustomerId, Lane), usize> = BTreeMap::new();
    for run in runs {
        let at = (run.customer_id, run.lane);
        let before = last.get(&at).and_then(|last| folded.get_mut(*last));
        match before.filter(|before| same(&before.newest, &run)) {
            Some(before) => {
                before.times += 1;
                before.first_at = run.started_at;
            }
            None => {
                last.insert(at, folded.len());
                folded.push(Repeated {
                    first_at: run.started_at,
                    newest: run,
                    times: 1,
                });
            }
        }
    }
    folded
}

fn same(one: &RunView, other: &RunView) -> bool {
    let told = |run: &RunView| {
        let Counts {
            written,
            failed,
            conflicts,
            bad,
            open,
            ..
        } = run.counts;
        (written, failed, conflicts, bad, open)
    };
    let nothing = |run: &RunView| !run.is_live() && run.counts.written == 0;
    nothing(one)
        && nothing(other)
        && told(one) == told(other)
        && (&one.cause, &one.message, one.result, one.why)
            == (&other.cause, &other.message, other.result, other.why)
}

/// One step of a run, in order, with its cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStep {
    pub at: Timestamp,
    /// The journal entry's sequence.
    pub seq: u64,
    pub shop: Option<ShopId>,
    pub title: String,
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    pub run: RunView,
    pub steps: Vec<RunStep>,
    #[serde(default)]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn run(id: u64, lane: Lane, cause: &str, written: u64) -> RunView {
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(id.cast_signed());
        RunView {
            customer_id: CustomerId(7),
            customer_name: "Kahvila Oy".into(),
            run: RunId(id),
            lane,
            worker_id: WorkerId(1),
            revision: Revision(1),
            cause: cause.into(),
            phase: Phase::Finished,
            counts: Counts {
                written,
                ..Counts::default()
            },
            expected: None,
            message: String::new(),
            started_at: at,
            finished_at: Some(at),
            result: Some(RunResult::Done),
            why: None,
            heard_at: at,
        }
    }

    #[test]
    fn g5_runs_that_looked_and_found_nothing_are_one_line_with_their_number_and_span() {
        let mut runs: Vec<RunView> = (1..=20)
            .map(|id| {
                let lanes = [Lane::Trade, Lane::Catalogue];
                run(id, lanes[id as usize % 2], "schedule", 0)
            })
            .collect();
        runs[9].counts.written = 3;
        runs[3].cause = "operator".into();
        runs.reverse();
        let lines = folded(runs);
        let told: Vec<(u64, u64, i64)> = lines
            .iter()
            .map(|line| {
                let first = line.first_at.as_second() / 60;
                (line.newest.run.0, line.times, first)
            })
            .collect();
        assert_eq!(
            told,
            [
                (20, 5, 12),
                (19, 10, 1),
                (10, 1, 10),
                (8, 2, 6),
                (4, 1, 4),
                (2, 1, 2)
            ]
        );
    }

    #[test]
    fn g5_a_run_that_goes_on_or_failed_otherwise_stands_for_itself() {
        let mut live = run(3, Lane::Trade, "schedule", 0);
        live.finished_at = None;
        live.result = None;
        let mut failed = run(2, Lane::Trade, "schedule", 0);
        failed.message = "Web shop: it is down.".into();
        let lines = folded(vec![live, failed, run(1, Lane::Trade, "schedule", 0)]);
        assert_eq!(lines.len(), 3);
    }
}
