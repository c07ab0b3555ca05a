//! The start page: what needs a person, then how it goes.

use super::{
    Shared,
    failure::{Failure, Shown},
    frame::Frame,
    runs::{RunRow, telling},
    session::Visitor,
    urls,
    widgets::{State, When, grouped, span},
    workers::{PendingRow, WorkerRow},
};
use askama::Template;
use axum::{extract, response::IntoResponse};
use lockstep_model::CustomerId;
use lockstep_protocol::{
    paths::people,
    people::{
        CallRate, Lag, Need, NeedKind, Overview,
        standing::{Part, Totals},
        workers::WorkerList,
    },
};

const RUNS_SHOWN: u32 = 8;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    may_edit: bool,
    operates: bool,
    pending: Vec<PendingRow>,
    needs: Vec<NeedRow>,
    customers: String,
    records: String,
    in_step: Option<String>,
    apart: String,
    parts: Vec<PartShown>,
    lag: Option<LagShown>,
    calls: Option<CallsShown>,
    runs_live: u64,
    workers: Vec<WorkerRow>,
    active: usize,
    draining: usize,
    runs: Vec<RunRow>,
    /// Nothing was set up yet.
    fresh: bool,
}

struct LagShown {
    p50: String,
    p99: String,
    about: String,
}

impl LagShown {
    fn new(lag: Lag) -> Self {
        LagShown {
            p50: seconds(lag.p50_ms),
            p99: seconds(lag.p99_ms),
            about: format!(
                "From the beginning of the run that found a change to the shop's answer that it was taken. Of the {} \
                 writes of the last {} minutes half took the first time or less, 99 of 100 the second.",
                grouped(lag.writes),
                lag.minutes
            ),
        }
    }
}

struct CallsShown {
    rate: String,
    allowed: Option<String>,
    about: String,
}

impl CallsShown {
    fn new(calls: CallRate) -> Self {
        let allowed = calls.allowed_per_second.map(|rate| format!("{rate:.0}"));
        let about = match &allowed {
            Some(_) => {
                "The second is what all shops together take, by their settings, by what they told us, and after their complaints."
            }
            None => "What the shops allow is not known of each of them.",
        };
        CallsShown {
            rate: per_second(calls),
            allowed,
            about: format!(
                "Calls to shops: {} in the last {} s. {about}",
                grouped(calls.calls),
                calls.seconds
            ),
        }
    }
}

/// One decimal below ten.
fn per_second(calls: CallRate) -> String {
    let tenths = (calls.calls * 10).div_ceil(calls.seconds.max(1));
    if tenths < 100 {
        format!("{}.{}", tenths / 10, tenths % 10)
    } else {
        grouped(tenths / 10)
    }
}

fn seconds(ms: u64) -> String {
    if ms < 10_000 {
        let tenths = ms.div_ceil(100);
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        span(ms / 1_000)
    }
}

/// Rounded down: it is 100 % when all of it is. `None`: there is nothing.
pub fn share(records: u64, apart: u64) -> Option<String> {
    let good = records.saturating_sub(apart);
    let hundredths = (u128::from(good) * 10_000).checked_div(u128::from(records))?;
    Some(if hundredths == 10_000 {
        "100 %".into()
    } else {
        format!("{}.{:02} %", hundredths / 100, hundredths % 100)
    })
}

/// One sort of what is not in step, and where to see it.
pub struct PartShown {
    pub count: String,
    pub words: &'static str,
    pub href: String,
}

/// What is not in step, each sort with its number.
pub fn parts(totals: &Totals, href: impl Fn(Part) -> String) -> Vec<PartShown> {
    let parts = totals.parts().into_iter();
    parts
        .map(|(part, count)| PartShown {
            count: grouped(count),
            words: part.words(count),
            href: href(part),
        })
        .collect()
}

/// The pages of one customer about each sort.
pub fn parts_of(totals: &Totals, customer: CustomerId) -> Vec<PartShown> {
    parts(totals, |part| match part {
        Part::Writes | Part::Blocked => urls::of_customer(customer, "plan"),
        Part::Aside => urls::of_customer(customer, "asides"),
        Part::Questions => urls::of_customer(customer, "conflicts"),
        Part::Held => format!("{}?state=held", urls::of_customer(customer, "orders")),
        Part::Outside => urls::of_customer(customer, "shops"),
    })
}

pub struct NeedRow {
    pub state: State,
    pub title: String,
    pub detail: String,
    pub href: String,
    pub button: String,
    pub since: Option<When>,
    /// Met more than once since then.
    pub times: Option<String>,
    /// Where to ask the shop again, and which: that may be all that it takes.
    pub again: Option<(String, String)>,
}

impl NeedRow {
    pub fn new(need: Need, frame: &Frame) -> Self {
        let state = match need.kind {
            NeedKind::WorkerPending => State::attention("worker"),
            NeedKind::Conflict => State::attention("conflict"),
            NeedKind::Aside => State::attention("set aside"),
            NeedKind::ShopFailed => State::failed("shop"),
            NeedKind::SettingsFailed => State::failed("settings"),
            NeedKind::OrderHeld => State::attention("order held"),
            NeedKind::Limit => State::attention("limit"),
            NeedKind::NotServed => State::failed("not served"),
            NeedKind::Alert => State::attention("alert"),
        };
        NeedRow {
            state,
            title: need.title,
            detail: need.detail,
            href: need.href,
            button: match need.action.is_empty() {
                true => "Look at it".into(),
                false => need.action,
            },
            times: (need.times > 1).then(|| grouped(need.times)),
            again: need
                .again
                .map(|(customer, shop)| (urls::of_customer(customer, "sync"), shop.to_string())),
            since: need.since.map(|at| When::new(at, frame.now)),
        }
    }
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
) -> Result<impl IntoResponse, Failure> {
    let caller = &visitor.caller;
    let (frame, overview, workers, runs) = futures::join!(
        Frame::of(&ui, &visitor, "Overview", "overview"),
        caller.get::<Overview>(people::OVERVIEW),
        caller.get::<WorkerList>(people::WORKERS),
        telling(caller, None, RUNS_SHOWN),
    );
    let overview = overview?;
    // Who may not see the workers still sees the rest.
    let list = workers.unwrap_or_else(|problem| {
        tracing::debug!(%problem, "the overview shows no workers");
        WorkerList {
            workers: Vec::new(),
            pending: Vec::new(),
        }
    });
    let needs = overview
        .needs_person
        .into_iter()
        .filter(|need| need.kind != NeedKind::WorkerPending || list.pending.is_empty())
        .map(|need| NeedRow::new(need, &frame))
        .collect();
    let workers: Vec<WorkerRow> = list
        .workers
        .iter()
        .map(|worker| WorkerRow::new(worker, &frame))
        .collect();
    Ok(Shown(Page {
        may_edit: visitor.may_edit(),
        operates: visitor.operates(),
        pending: list
            .pending
            .iter()
            .map(|pending| PendingRow::new(pending, &frame))
            .collect(),
        needs,
        customers: grouped(overview.customers),
        records: grouped(overview.records),
        in_step: share(overview.records, overview.records_apart),
        parts: parts(&overview.totals, |part| match part {
            Part::Questions | Part::Held => urls::CONFLICTS.into(),
            Part::Writes | Part::Blocked | Part::Aside | Part::Outside => urls::CUSTOMERS.into(),
        }),
        apart: grouped(overview.records_apart),
        lag: overview.lag.map(LagShown::new),
        calls: overview.calls.map(CallsShown::new),
        runs_live: overview.runs_live,
        active: workers.iter().filter(|row| row.is_active()).count(),
        draining: workers.iter().filter(|row| row.is_draining()).count(),
        workers,
        runs: RunRow::rows(runs?, &frame),
        fresh: overview.customers == 0,
        frame,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_whole_when_all_of_it_is() {
        assert_eq!(share(0, 0), None);
        assert_eq!(share(48, 0).as_deref(), Some("100 %"));
        assert_eq!(share(1_204_551, 1).as_deref(), Some("99.99 %"));
        assert_eq!(share(3, 5).as_deref(), Some("0.00 %"));
    }

    #[test]
    fn small_rates_keep_a_decimal() {
        let rate = |calls| CallRate {
            calls,
            seconds: 60,
            allowed_per_second: None,
        };
        assert_eq!(per_second(rate(0)), "0.0");
        assert_eq!(per_second(rate(1)), "0.1");
        assert_eq!(per_second(rate(2_460)), "41");
        assert_eq!(seconds(840), "0.9 s");
    }
}
