//! `lockstep runs`

use super::api::Api;
use crate::arguments;
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_model::entry::RunResult;
use lockstep_model::{CustomerId, RunId};
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::Page;
use lockstep_protocol::people::runs::{RunDetail, RunView, folded};

pub async fn runs(arguments: arguments::Runs, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.customer).await?;
    if let Some(run) = arguments.run {
        let path = fill(paths::RUN, &[&customer, &run]);
        let detail: RunDetail = api.get(&path, &[]).await?;
        if as_json {
            print::json(&detail)?;
        } else {
            print::line(&line(&detail.run));
            for step in &detail.steps {
                print::line(&format!("  {}  {}  {}", step.at, step.title, step.detail));
            }
        }
        return Ok(exit(&detail.run));
    }
    let page: Page<RunView> = api
        .get(&Api::of_customer(paths::RUNS, customer), &[])
        .await?;
    if as_json {
        print::json(&page.items)?;
    } else if page.items.is_empty() {
        print::line("No runs yet. Start one: lockstep sync CUSTOMER");
    } else {
        let lines = folded(page.items);
        let rows = lines.iter().map(|line| {
            let run = &line.newest;
            let times = match line.times {
                1 => String::new(),
                times => format!("{times} × since {}", line.first_at),
            };
            vec![
                run.run.to_string(),
                run.lane.to_string(),
                result(run).to_owned(),
                run.started_at.to_string(),
                run.counts.pulled.to_string(),
                run.counts.written.to_string(),
                run.counts.failed.to_string(),
                run.counts.calls.to_string(),
                run.cause.clone(),
                times,
            ]
        });
        print::table(
            &[
                "run", "lane", "result", "started", "read", "written", "failed", "calls", "cause",
                "same",
            ],
            rows.collect(),
        );
    }
    Ok(Exit::Done)
}

pub fn line(run: &RunView) -> String {
    let mut line = format!(
        "run {} ({}): {}, {} read, {} changed, {} written, {} calls",
        run.run,
        run.lane,
        result(run),
        run.counts.pulled,
        run.counts.changed,
        run.counts.written,
        run.counts.calls
    );
    if run.counts.failed > 0 {
        line.push_str(&format!(", {} not written", run.counts.failed));
    }
    if !run.message.is_empty() {
        line.push_str(" — ");
        line.push_str(&run.message);
    }
    line
}

fn result(run: &RunView) -> &'static str {
    match run.result {
        None => run.phase.as_str(),
        Some(RunResult::Done) => "done",
        Some(RunResult::Partly) => "partly",
        Some(RunResult::NeedsPerson) => "needs a person",
        Some(RunResult::Failed) => "failed",
        Some(RunResult::Cancelled) if run.gave_way() => "gave way",
        Some(RunResult::Cancelled) => "cancelled",
    }
}

pub fn exit(run: &RunView) -> Exit {
    match run.result {
        None | Some(RunResult::Done) => Exit::Done,
        // What it left the next run did, or does.
        Some(RunResult::Cancelled) if run.gave_way() => Exit::Done,
        Some(RunResult::NeedsPerson) => Exit::NeedsPerson,
        Some(RunResult::Partly | RunResult::Failed | RunResult::Cancelled) => Exit::Failed,
    }
}

/// A run that was begun is heard of within this; else its worker has gone.
const HEARD_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);
/// Between two looks at a run.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(300);

/// Waits until a run that has begun is over, and says how it ended.
pub async fn until_ended(
    api: &Api,
    customer: CustomerId,
    run: RunId,
    as_json: bool,
) -> anyhow::Result<Exit> {
    let path = fill(paths::RUN, &[&customer, &run]);
    loop {
        let RunDetail { run: ours, .. } = api.get(&path, &[]).await?;
        if !ours.is_live() {
            if as_json {
                print::json(&ours)?;
            } else {
                print::line(&line(&ours));
            }
            return Ok(exit(&ours));
        }
        let silent = jiff::Timestamp::now().duration_since(ours.heard_at);
        if silent.unsigned_abs() > HEARD_WITHIN {
            return Err(Trouble::new(
                Exit::OutOfReach,
                format!(
                    "nothing was heard of run {run} for {} s: its worker may be away. What it was about to write is on \
                     record; `lockstep runs {customer} {run}` shows how it went on",
                    silent.as_secs()
                ),
            )
            .into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
