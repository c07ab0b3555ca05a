//! `lockstep sync`: wakes the customer's flows and waits for the runs that this leads to.

use super::api::Api;
use super::plan::flows;
use super::runs::{exit, line};
use super::standing::{self, standing_after};
use crate::arguments;
use crate::exit::{Exit, Trouble};
use crate::print;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lockstep_model::{Lane, RunId};
use lockstep_protocol::paths::people as paths;
use lockstep_protocol::people::Page;
use lockstep_protocol::people::runs::{RunView, SyncReply, SyncRequest};
use std::collections::BTreeSet;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Without a run by then, no worker holds the customer.
const START_WITHIN: Duration = Duration::from_secs(60);

pub async fn sync(arguments: arguments::Sync, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.of.customer).await?;
    let flows = flows(&arguments.of.flow)?;
    let lanes: BTreeSet<Lane> = if flows.is_empty() {
        Lane::ALL.into()
    } else {
        flows.iter().map(|flow| flow.lane()).collect()
    };
    let request = SyncRequest {
        flows,
        shops: Vec::new(),
    };
    let reply: SyncReply = api
        .post(&Api::of_customer(paths::SYNC, customer), &request)
        .await?;
    if arguments.no_wait {
        if as_json {
            print::json(&reply)?;
        } else {
            print::line("Woken.");
        }
        return Ok(Exit::Done);
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if as_json || !print::is_watched() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar.set_style(ProgressStyle::with_template(
        "{wide_msg} {pos}/{len} [{elapsed}]",
    )?);
    let after = reply.runs_after.unwrap_or(RunId(0));
    let started = tokio::time::Instant::now();
    loop {
        let page: Page<RunView> = api
            .get(&Api::of_customer(paths::RUNS, customer), &[])
            .await?;
        let ours: Vec<RunView> = page
            .items
            .into_iter()
            .filter(|run| run.run > after && lanes.contains(&run.lane))
            .collect();
        if let Some(run) = ours.iter().find(|run| run.is_live()) {
            bar.set_length(run.expected.unwrap_or(run.counts.pulled));
            bar.set_position(run.counts.written);
            bar.set_message(format!("{}: {}", run.lane, run.phase.as_str()));
        }
        if are_over(&ours, &lanes) {
            bar.finish_and_clear();
            let newest = ours.iter().map(|run| run.run).max().unwrap_or(after);
            let standing = standing_after(&api, customer, newest).await?;
            if as_json {
                print::json(&ours)?;
            } else {
                for run in ours.iter().rev() {
                    print::line(&line(run));
                }
                standing::show(&standing);
            }
            let worst = ours.iter().map(exit).max_by_key(|exit| *exit as u8);
            let waits = standing::exit(&standing);
            return Ok(worst
                .into_iter()
                .chain([waits])
                .max_by_key(|exit| *exit as u8)
                .unwrap_or(Exit::Done));
        }
        if ours.is_empty() && started.elapsed() > START_WITHIN {
            return Err(Trouble::new(
                Exit::NeedsPerson,
                "no worker took it up: is syncing on for this customer, and does an active worker hold it? \
                 `lockstep customers show` tells",
            )
            .into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Each lane has had its run. One that gave way is followed by another at once, which knows more.
fn are_over(runs: &[RunView], lanes: &BTreeSet<Lane>) -> bool {
    lanes.iter().all(|lane| {
        let of_lane = runs.iter().filter(|run| run.lane == *lane);
        let newest = of_lane.max_by_key(|run| run.run);
        newest.is_some_and(|run| !run.is_live() && !run.gave_way())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use lockstep_model::entry::{Counts, RunResult, RunWhy};
    use lockstep_model::{CustomerId, Revision, WorkerId};
    use lockstep_protocol::status::Phase;

    fn run(id: u64, lane: Lane, end: Option<(RunResult, Option<RunWhy>)>) -> RunView {
        RunView {
            customer_id: CustomerId(1),
            customer_name: "Kahvila Oy".into(),
            run: RunId(id),
            lane,
            worker_id: WorkerId(1),
            revision: Revision(1),
            cause: String::new(),
            phase: Phase::Finished,
            counts: Counts::default(),
            expected: None,
            message: String::new(),
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: end.map(|_| Timestamp::UNIX_EPOCH),
            result: end.map(|(result, _)| result),
            why: end.and_then(|(_, why)| why),
            heard_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn r11_a_first_sync_waits_for_the_run_that_a_run_gave_way_to() {
        let lanes: BTreeSet<Lane> = Lane::ALL.into();
        let done = Some((RunResult::Done, None));
        let gave_way = Some((RunResult::Cancelled, Some(RunWhy::GaveWay)));
        let mut runs = vec![run(1, Lane::Catalogue, done), run(2, Lane::Trade, gave_way)];
        assert!(!are_over(&runs, &lanes), "the next one begins at once");
        runs.push(run(3, Lane::Trade, None));
        assert!(!are_over(&runs, &lanes));
        runs[2] = run(3, Lane::Trade, done);
        assert!(are_over(&runs, &lanes));
        assert!(runs.iter().all(|run| exit(run) == Exit::Done));
        // Stopped by a person it is over, and no success.
        let stopped = run(
            2,
            Lane::Trade,
            Some((RunResult::Cancelled, Some(RunWhy::Stopped))),
        );
        assert!(are_over(
            &[run(1, Lane::Catalogue, done), stopped.clone()],
            &lanes
        ));
        assert_eq!(exit(&stopped), Exit::Failed);
    }
}
