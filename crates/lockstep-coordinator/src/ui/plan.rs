//! A plan: what a run would write, shown before it is written. `+ ~ -`, the counts, then the detail.

use super::{
    Shared,
    customers::{Names, view},
    failure::{Failure, Shown},
    frame::Frame,
    overview::{PartShown, parts_of},
    runs::shops_of,
    session::{Posted, Visitor, refused, said, went_well},
    urls,
    widgets::{Id, When, grouped},
};
use askama::Template;
use axum::{
    extract::{self, Path},
    response::{IntoResponse, Response},
};
use lockstep_model::{CustomerId, Flow};
use lockstep_protocol::{
    Problem,
    paths::people,
    people::{
        customers::CustomerView,
        plan::{ApplyPlanReply, ApplyPlanRequest, ClosedShop, Plan, PlanRequest, PlanRow, Sign},
    },
};

#[derive(Template)]
#[template(path = "plan.html")]
struct Page {
    frame: Frame,
    name: String,
    flows: Vec<Tick>,
    shops: Vec<Tick>,
    action: String,
    apply: String,
    may_edit: bool,
    plan: Option<Shape>,
    problem: Option<String>,
    /// The run that a plan waits for.
    behind: Option<String>,
}

struct Tick {
    value: String,
    label: String,
    on: bool,
}

/// A plan, ready to be read.
struct Shape {
    id: Id,
    bare_id: String,
    made: When,
    revision: u64,
    create: String,
    update: String,
    archive: String,
    removes: u64,
    remove: String,
    stock: String,
    orders: String,
    writes: String,
    /// What an apply would write; less than what is shown where a shop is closed to us.
    written: String,
    /// There is something that an apply would write.
    applies: bool,
    in_step: bool,
    parts: Vec<PartShown>,
    closed: Vec<String>,
    unread: Vec<String>,
    rows: Vec<Row>,
    cut: bool,
    stopped_by: Vec<String>,
}

pub struct Row {
    pub mark: char,
    pub class: &'static str,
    pub word: &'static str,
    pub kind: String,
    pub key: String,
    pub key_href: Option<String>,
    pub title: String,
    pub shop: String,
    pub shop_href: String,
    pub fields: Vec<Moved>,
}

pub struct Moved {
    pub path: String,
    pub from: Option<String>,
    pub to: Option<String>,
    pub why: String,
}

impl Shape {
    fn new(plan: Plan, names: &Names, frame: &Frame) -> Self {
        let counts = plan.counts;
        let customer = plan.customer_id;
        let written = plan.written();
        let parts = parts_of(&plan.totals, customer);
        let rows = plan
            .rows
            .into_iter()
            .map(|row| Row::new(row, customer, names));
        Shape {
            id: Id::new(&plan.id),
            bare_id: plan.id.clone(),
            made: When::new(plan.made_at, frame.now),
            revision: plan.revision.0,
            create: grouped(counts.create),
            update: grouped(counts.update),
            archive: grouped(counts.archive),
            removes: counts.remove,
            remove: grouped(counts.remove),
            stock: grouped(counts.stock),
            orders: grouped(counts.orders),
            writes: grouped(counts.writes()),
            written: grouped(written),
            applies: written > 0,
            in_step: plan.totals.is_in_step() && plan.unread.is_empty(),
            parts,
            closed: plan.closed.iter().map(ClosedShop::sentence).collect(),
            unread: plan.unread,
            rows: rows.collect(),
            cut: plan.cut,
            stopped_by: plan.stopped_by,
        }
    }
}

impl Row {
    pub fn new(row: PlanRow, customer: CustomerId, names: &Names) -> Self {
        let (class, word) = match row.sign {
            Sign::Create => ("create", "create"),
            Sign::Update => ("update", "update"),
            Sign::Archive => ("archive", "archive"),
            Sign::Remove => ("archive", "remove"),
            Sign::Ask => ("ask", "ask a person"),
        };
        let key_href = match row.kind.as_str() {
            "level" => Some(urls::stock(customer, &row.key)),
            "order" => {
                let orders = urls::of_customer(customer, "orders");
                Some(urls::with_query(&orders, &[("query", &row.key)]))
            }
            _ => {
                let records = urls::of_customer(customer, "records");
                Some(urls::with_query(&records, &[("query", &row.key)]))
            }
        };
        let mark = match row.sign {
            Sign::Archive | Sign::Remove => '−',
            sign => sign.mark(),
        };
        Row {
            mark,
            class,
            word,
            kind: row.kind,
            key: row.key,
            key_href,
            title: row.title,
            shop: names.of(row.shop),
            shop_href: urls::shop(customer, row.shop),
            fields: row
                .fields
                .into_iter()
                .map(|field| Moved {
                    path: field.path,
                    from: field.from,
                    to: field.to,
                    why: field.why,
                })
                .collect(),
        }
    }
}

async fn page(
    ui: &Shared,
    visitor: &Visitor,
    customer: &CustomerView,
    asked: &PlanRequest,
    plan: Result<Option<Plan>, Problem>,
) -> Response {
    let id = customer.row.id;
    let names = Names::new(customer);
    let frame = Frame::of(
        ui,
        visitor,
        &format!("Plan for {}", names.customer),
        "customers",
    )
    .await
    .within(id, &names.customer, "plan");
    let (plan, problem) = match plan {
        Ok(plan) => (plan, None),
        Err(problem) => (None, Some(problem)),
    };
    let flows = Flow::ALL.into_iter().map(|flow| Tick {
        value: flow.to_string(),
        label: flow.to_string(),
        on: asked.flows.is_empty() || asked.flows.contains(&flow),
    });
    let shops = customer.settings.shops().map(|(shop, _)| Tick {
        value: shop.id.to_string(),
        label: shop.name.clone(),
        on: asked.shops.is_empty() || asked.shops.contains(&shop.id),
    });
    let page = Page {
        flows: flows.collect(),
        shops: shops.collect(),
        action: urls::of_customer(id, "plan"),
        apply: urls::of_customer(id, "plan/apply"),
        may_edit: visitor.may_edit(),
        plan: plan.map(|plan| Shape::new(plan, &names, &frame)),
        problem: problem.as_ref().map(said),
        behind: problem
            .as_ref()
            .and_then(|problem| problem.run)
            .map(|run| urls::run(id, run)),
        name: names.customer,
        frame,
    };
    let mut response = Shown(page).into_response();
    if let Some(problem) = problem {
        *response.status_mut() = problem.code.status();
    }
    response
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
) -> Result<Response, Failure> {
    let view = view(&visitor.caller, customer).await?;
    Ok(page(&ui, &visitor, &view, &PlanRequest::default(), Ok(None)).await)
}

/// Reads the shops and shows what a run would write. Writes nothing.
pub async fn make(
    extract::State(ui): extract::State<Shared>,
    Path(customer): Path<CustomerId>,
    posted: Posted,
) -> Result<Response, Failure> {
    let asked = PlanRequest {
        flows: posted.values.all("flow").filter_map(Flow::parse).collect(),
        shops: shops_of(&posted),
    };
    let visitor = &posted.visitor;
    let view = view(&visitor.caller, customer).await?;
    let plan: Result<Plan, Problem> = visitor
        .caller
        .post(&urls::path(people::PLAN, &[&customer]), &asked)
        .await;
    Ok(page(&ui, visitor, &view, &asked, plan.map(Some)).await)
}

pub async fn apply(Path(customer): Path<CustomerId>, posted: Posted) -> Response {
    let asked = ApplyPlanRequest {
        plan: posted.values.text("plan").to_owned(),
    };
    let path = urls::path(people::PLAN_APPLY, &[&customer]);
    let answered: Result<ApplyPlanReply, Problem> = posted.visitor.caller.post(&path, &asked).await;
    match answered {
        Ok(reply) => went_well(
            &urls::run(customer, reply.run),
            "The plan is being applied: what still holds is written, what moved since is named.",
        ),
        Err(problem) => refused(&urls::of_customer(customer, "plan"), &problem),
    }
}
