//! What stands aside: records, levels and orders that could not be dealt with, each with its reason and
//! what happens next. Everything else goes on.

use super::{
    Shared,
    customers::named,
    failure::{Failure, Shown},
    frame::Frame,
    session::Visitor,
    urls,
    widgets::{State, When},
};
use askama::Template;
use axum::{
    extract::{self, Path},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, FaultKind, RecordId, ShopId};
use lockstep_protocol::people::Page;
use serde::{Deserialize, Serialize};

/// Beside the people's API's other calls.
pub const ASIDES: &str = "/api/v1/customers/{customer}/asides";

/// Something that stands aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsideView {
    pub shop: ShopId,
    pub shop_name: String,
    /// "KH-100 Coffee 500 g", "order 1043", "a product that cannot be read".
    pub what: String,
    pub record: Option<RecordId>,
    pub sku: Option<String>,
    /// Our key.
    pub order: Option<String>,
    pub kind: FaultKind,
    pub why: String,
    /// None: only a person's action helps.
    pub retry_at: Option<Timestamp>,
    pub tries: u32,
    pub at: Timestamp,
}

#[derive(Template)]
#[template(path = "asides.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    records_href: String,
}

struct Row {
    what: String,
    href: Option<String>,
    shop: String,
    shop_href: String,
    why: String,
    advice: &'static str,
    state: State,
    retry: Option<When>,
    tries: u32,
    since: When,
}

/// What a person can do about it.
fn advice(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Auth => "Replace the shop's key.",
        FaultKind::Forbidden => "Give the key the missing right in the shop's admin.",
        FaultKind::Invalid { .. } => "Mend the field where it is decided, or the rule in the shop.",
        FaultKind::Duplicate { .. } => {
            "Another record there bears the same key: make one of them different, or remove it."
        }
        FaultKind::NotFound => "It is gone there; it is left alone until it is back.",
        FaultKind::Conflict => "It moved meanwhile and is read again by itself.",
        FaultKind::RateLimited { .. } | FaultKind::Unavailable | FaultKind::Timeout => {
            "Nothing to do: it is tried again by itself."
        }
        FaultKind::UnknownOutcome => "It is looked at before anything is repeated.",
        FaultKind::Protocol => "The shop answers what its platform does not say; look at its log.",
    }
}

pub async fn list(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
) -> Result<Response, Failure> {
    let name = named(&visitor.caller, customer).await?;
    let path = urls::path(ASIDES, &[&customer]);
    let found: Page<AsideView> = visitor.caller.get(&path).await?;
    let mut frame = Frame::of(&ui, &visitor, &format!("Set aside at {name}"), "customers")
        .await
        .within(customer, &name, "records");
    frame.crumb("Records", urls::of_customer(customer, "records"));
    let rows = found.items.into_iter().map(|aside| {
        let sku = aside.sku.as_deref();
        let href = match (aside.record, sku, &aside.order) {
            (Some(record), ..) => Some(urls::record(customer, record)),
            (_, Some(sku), _) => Some(urls::stock(customer, sku)),
            (.., Some(order)) => Some(urls::order(customer, order)),
            _ => None,
        };
        Row {
            href,
            state: match aside.retry_at {
                Some(_) => State::attention("waits"),
                None => State::failed("needs a person"),
            },
            retry: aside.retry_at.map(|at| When::new(at, frame.now)),
            since: When::new(aside.at, frame.now),
            shop_href: urls::shop(customer, aside.shop),
            advice: advice(&aside.kind),
            what: aside.what,
            shop: aside.shop_name,
            why: aside.why,
            tries: aside.tries,
        }
    });
    Ok(Shown(ListPage {
        rows: rows.collect(),
        records_href: urls::of_customer(customer, "records"),
        frame,
    })
    .into_response())
}
