//! `lockstep sync`: wakes the customer's flows and waits for the runs that this leads to.

use super::api::Api;
use super::plan::flows;
use super::runs::{exit, line};
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
        let ended: BTreeSet<Lane> = ours
            .iter()
            .filter(|run| !run.is_live())
            .map(|run| run.lane)
            .collect();
        let live = ours.iter().any(RunView::is_live);
        if let Some(run) = ours.iter().find(|run| run.is_live()) {
            bar.set_length(run.expected.unwrap_or(run.counts.pulled));
            bar.set_position(run.counts.written);
            bar.set_message(format!("{}: {}", run.lane, run.phase.as_str()));
        }
        if ended == lanes && !live {
            bar.finish_and_clear();
            if as_json {
                print::json(&ours)?;
            } else {
                for run in ours.iter().rev() {
                    print::line(&line(run));
                }
            }
            let worst = ours.iter().map(exit).max_by_key(|exit| *exit as u8);
            return Ok(worst.unwrap_or(Exit::Done));
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
