//! Customers: the list, and one customer's start page.

use super::{
    Shared,
    api::Caller,
    failure::{Failure, Shown},
    frame::Frame,
    overview::{NeedRow, PartShown, parts_of, share},
    runs::{RunRow, telling},
    session::{Posted, Visitor, refused, went_well},
    urls,
    widgets::{Id, State, Tone, When, grouped},
    workers::applied_state,
};
use askama::Template;
use axum::{
    extract::{self, Path, Query},
    response::{IntoResponse, Response},
};
use lockstep_model::{
    CustomerId, Flow, ShopId, WorkerId,
    settings::{CustomerSettings, ShopRole},
};
use lockstep_protocol::{
    Problem,
    paths::people,
    people::{
        NeedKind, Overview, Page,
        customers::{CustomerRow, CustomerView, OwnerRequest},
        standing::{Health, Mood},
        workers::{WorkerList, WorkerState},
    },
};
use serde::{Deserialize, de::IgnoredAny};
use std::collections::BTreeMap;

const CUSTOMERS_A_PAGE: &str = "50";
const RUNS_SHOWN: u32 = 5;

pub async fn view(caller: &Caller, customer: CustomerId) -> Result<CustomerView, Problem> {
    caller
        .get(&urls::path(people::CUSTOMER, &[&customer]))
        .await
}

pub async fn named(caller: &Caller, customer: CustomerId) -> Result<String, Problem> {
    Ok(view(caller, customer).await?.row.name)
}

/// The names that pages call a customer and its shops by.
pub struct Names {
    pub customer: String,
    shops: BTreeMap<ShopId, String>,
}

impl Names {
    pub fn new(view: &CustomerView) -> Self {
        let shops = view.settings.services.iter();
        Names {
            customer: view.row.name.clone(),
            shops: shops.map(|shop| (shop.id, shop.name.clone())).collect(),
        }
    }

    pub fn of(&self, shop: ShopId) -> String {
        self.shops
            .get(&shop)
            .cloned()
            .unwrap_or_else(|| format!("shop {shop}"))
    }
}

pub async fn shop_names(caller: &Caller, customer: CustomerId) -> Result<Names, Problem> {
    Ok(Names::new(&view(caller, customer).await?))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct CustomersQuery {
    query: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "customers.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    query: String,
    next: Option<String>,
    may_edit: bool,
}

struct Row {
    href: String,
    id: Id,
    name: String,
    email: String,
    state: State,
    detail: String,
    standing: String,
    shops: u32,
    shops_href: String,
    records_href: String,
    records: String,
    /// Of the records; `None`: there are none.
    in_step: Option<String>,
    revision: u64,
    applied: State,
    worker: Option<(String, String)>,
    movable: bool,
}

pub fn state_of(health: &Health) -> State {
    let tone = match health.mood {
        Mood::Good => Tone::Good,
        Mood::Attention => Tone::Attention,
        Mood::Failed => Tone::Failed,
        Mood::Idle => Tone::Idle,
    };
    State::new(tone, health.word.clone())
}

pub async fn list(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Query(query): Query<CustomersQuery>,
) -> Result<Response, Failure> {
    let pairs = [
        ("limit", CUSTOMERS_A_PAGE),
        ("query", query.query.as_str()),
        ("cursor", query.cursor.as_str()),
    ];
    let found: Page<CustomerRow> = visitor
        .caller
        .get(&urls::with_query(people::CUSTOMERS, &pairs))
        .await?;
    let frame = Frame::of(&ui, &visitor, "Customers", "customers").await;
    let rows = found.items.iter().map(|row| Row {
        href: urls::customer(row.id),
        id: Id::new(row.id),
        name: row.name.clone(),
        email: row.email.clone(),
        state: state_of(&row.health),
        detail: row.health.detail.clone(),
        standing: row.totals.sentence(),
        shops: row.shops,
        shops_href: urls::of_customer(row.id, "shops"),
        records_href: urls::of_customer(row.id, "records"),
        records: grouped(row.records),
        in_step: share(row.records, row.records_apart),
        revision: row.revision.0,
        applied: applied_state(row.revision, row.applied.as_ref()),
        worker: row
            .owner
            .as_ref()
            .map(|owner| (owner.worker_name.clone(), urls::worker(owner.worker_id))),
        movable: row.movable,
    });
    let next = found.next.as_deref().map(|cursor| {
        urls::with_query(
            urls::CUSTOMERS,
            &[("query", &query.query), ("cursor", cursor)],
        )
    });
    let page = ListPage {
        rows: rows.collect(),
        query: query.query,
        next,
        may_edit: visitor.may_edit(),
        frame,
    };
    Ok(Shown(page).into_response())
}

#[derive(Template)]
#[template(path = "customer.html")]
struct CustomerPage {
    frame: Frame,
    id: Id,
    name: String,
    state: State,
    health: String,
    health_since: Option<When>,
    parts: Vec<PartShown>,
    revision: u64,
    updated: When,
    applied: State,
    apply_error: Option<String>,
    owner: Option<(String, String, u64)>,
    movable: bool,
    needs: Vec<NeedRow>,
    shops: Vec<ShopRow>,
    flows: Vec<FlowRow>,
    runs: Vec<RunRow>,
    workers: Vec<(WorkerId, String)>,
    may_edit: bool,
    operates: bool,
    base: String,
    /// What to do next, where something is missing.
    missing: Option<(&'static str, &'static str, String)>,
}

pub struct ShopRow {
    pub href: String,
    pub name: String,
    pub platform: String,
    pub url: String,
    pub role: &'static str,
    pub assortment: &'static str,
    pub state: State,
    pub detail: String,
    /// Since when it fails, or when it answered last.
    pub since: Option<When>,
}

struct FlowRow {
    name: &'static str,
    state: State,
    decides: String,
    decides_href: String,
    often: String,
}

pub fn shop_rows(view: &CustomerView, frame: &Frame) -> Vec<ShopRow> {
    use lockstep_model::settings::Assortment;
    let settings = &view.settings;
    let rows = settings.services.iter().map(|shop| {
        let href = urls::shop(settings.id(), shop.id);
        let link = settings.link(shop.id);
        let seen = view.shops.iter().find(|seen| seen.shop == shop.id);
        let health = seen.map(|seen| seen.health.clone()).unwrap_or_default();
        ShopRow {
            name: shop.name.clone(),
            platform: shop.platform.clone(),
            url: shop.url.clone(),
            role: match link.map(|link| link.role) {
                Some(ShopRole::Erp) => "ERP",
                Some(ShopRole::Shop) => "shop",
                None => "—",
            },
            assortment: match link.map(|link| link.assortment) {
                Some(Assortment::All) => "everything",
                Some(Assortment::Picked) => "what is picked",
                Some(Assortment::Linked) => "what exists there",
                None => "—",
            },
            state: state_of(&health),
            detail: health.detail,
            since: health.since.map(|at| When::new(at, frame.now)),
            href,
        }
    });
    rows.collect()
}

fn seconds(seconds: u32) -> String {
    match seconds {
        0 => "only when woken".into(),
        seconds => format!("every {}", super::widgets::span(u64::from(seconds))),
    }
}

fn flow_rows(settings: &CustomerSettings, names: &Names) -> Vec<FlowRow> {
    use lockstep_model::settings::{FieldGroup, Policy, StockMode};
    let customer = &settings.customer;
    let policies = &settings.policies;
    let decides = |policy: Policy| match policy {
        Policy::Owner(shop) => names.of(shop),
        Policy::Newest => "the newest change".into(),
        Policy::FirstNotEmpty => "the first that has it".into(),
        Policy::Ask => "a person".into(),
    };
    let rows = Flow::ALL.into_iter().map(|flow| FlowRow {
        name: flow.as_str(),
        state: if customer.may_run() && customer.flow_is_on(flow) {
            State::good("on")
        } else {
            State::idle("off")
        },
        decides: match flow {
            Flow::Categories => decides(policies.of(FieldGroup::Categories)),
            Flow::Products => decides(policies.of(FieldGroup::Texts)),
            Flow::Pictures => decides(policies.of(FieldGroup::Pictures)),
            Flow::Stock => match policies.stock.mode {
                StockMode::Owned { owner } => names.of(owner),
                StockMode::Pooled => "every shop's count".into(),
            },
            Flow::Orders => match policies.orders.into {
                Some(shop) => format!("into {}", names.of(shop)),
                None => "they do not cross".into(),
            },
        },
        decides_href: urls::of_customer(settings.id(), "policies"),
        often: seconds(settings.schedules.of(flow).poll_seconds),
    });
    rows.collect()
}

/// What waits for a person at this customer.
pub async fn needs_of(caller: &Caller, frame: &Frame, customer: CustomerId) -> Vec<NeedRow> {
    let here = urls::customer(customer);
    match caller.get::<Overview>(people::OVERVIEW).await {
        Ok(overview) => overview
            .needs_person
            .into_iter()
            .filter(|need| {
                let below = need.href.strip_prefix(&here);
                need.kind != NeedKind::WorkerPending
                    && below
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
            })
            .map(|need| NeedRow::new(need, frame))
            .collect(),
        Err(problem) => {
            tracing::warn!(%problem, "what needs a person is not shown");
            Vec::new()
        }
    }
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let (view, runs, workers) = futures::join!(
        view(caller, customer),
        telling(caller, Some(customer), RUNS_SHOWN),
        caller.get::<WorkerList>(people::WORKERS),
    );
    let view = view?;
    let row = &view.row;
    let frame = Frame::of(&ui, &visitor, &row.name, "customers")
        .await
        .within(customer, &row.name, "");
    let needs = needs_of(caller, &frame, customer).await;
    let names = Names::new(&view);
    let workers = workers.map(|list| list.workers).unwrap_or_default();
    let page = CustomerPage {
        id: Id::new(customer),
        name: row.name.clone(),
        state: state_of(&row.health),
        health: row.health.detail.clone(),
        health_since: row.health.since.map(|at| When::new(at, frame.now)),
        parts: parts_of(&row.totals, customer),
        revision: row.revision.0,
        updated: When::new(view.updated_at, frame.now),
        applied: applied_state(row.revision, row.applied.as_ref()),
        apply_error: row
            .applied
            .as_ref()
            .and_then(|applied| applied.error.clone()),
        owner: row.owner.as_ref().map(|owner| {
            let href = urls::worker(owner.worker_id);
            (owner.worker_name.clone(), href, owner.epoch.0)
        }),
        movable: row.movable,
        shops: shop_rows(&view, &frame),
        needs,
        flows: flow_rows(&view.settings, &names),
        runs: RunRow::rows(runs?, &frame),
        workers: workers
            .into_iter()
            .filter(|worker| worker.state == WorkerState::Active)
            .map(|worker| (worker.id, worker.name))
            .collect(),
        may_edit: visitor.may_edit(),
        operates: visitor.operates(),
        base: urls::customer(customer),
        missing: missing(&view),
        frame,
    };
    Ok(Shown(page).into_response())
}

fn missing(view: &CustomerView) -> Option<(&'static str, &'static str, String)> {
    let customer = view.row.id;
    if view.settings.services.is_empty() {
        return Some((
            "No shop is connected yet. Connect the one that owns products and stock first, usually the ERP.",
            "Connect a shop",
            urls::of_customer(customer, "shops/new"),
        ));
    }
    if view.settings.services.len() == 1 {
        return Some((
            "One shop is connected. Keeping in step takes two.",
            "Connect the next shop",
            urls::of_customer(customer, "shops/new"),
        ));
    }
    if view.row.owner.is_none() {
        return Some((
            "No worker has this customer, so nothing runs. Give it to one below; if there is none, let one in.",
            "Workers",
            urls::WORKERS.into(),
        ));
    }
    None
}

/// Gives the customer to a worker, by hand.
pub async fn give(Path(customer): Path<CustomerId>, posted: Posted) -> Result<Response, Failure> {
    let back = urls::customer(customer);
    let worker_id = posted
        .values
        .text("worker")
        .parse()
        .map_err(|_| Failure::not_found("such worker"))?;
    let gone = posted.values.text("gone");
    let asked = OwnerRequest {
        worker_id,
        the_machine_is_gone: (!gone.is_empty()).then(|| gone.to_owned()),
    };
    let path = urls::path(people::CUSTOMER_OWNER, &[&customer]);
    let answered: Result<IgnoredAny, Problem> = posted.visitor.caller.post(&path, &asked).await;
    Ok(match answered {
        Ok(_) => went_well(&back, "The worker takes it over within seconds."),
        Err(problem) => refused(&back, &problem),
    })
}
