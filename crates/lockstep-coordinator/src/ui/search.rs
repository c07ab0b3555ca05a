//! The search box: customers by name, and records and orders of all customers that the person may see.

use super::{
    Shared,
    failure::{Failure, Shown},
    frame::Frame,
    session::Visitor,
    urls,
};
use askama::Template;
use axum::{
    extract::{self, Query},
    response::{IntoResponse, Response},
};
use lockstep_model::CustomerId;
use lockstep_protocol::{
    paths::people,
    people::{Page, customers::CustomerRow, search::SearchHitView},
};
use serde::Deserialize;
use std::collections::BTreeMap;

const CUSTOMERS_SHOWN: &str = "10";
const HITS_SHOWN: &str = "100";

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct SearchQuery {
    query: String,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    frame: Frame,
    query: String,
    customers: Vec<(String, String)>,
    found: Vec<InCustomer>,
    /// There is more than was shown.
    cut: bool,
}

struct InCustomer {
    name: String,
    href: String,
    more_href: String,
    rows: Vec<Hit>,
}

struct Hit {
    href: String,
    kind: String,
    key: String,
    title: String,
}

impl Hit {
    fn new(hit: SearchHitView) -> Self {
        let customer = hit.customer_id;
        Hit {
            href: match (&hit.order, hit.record) {
                (Some(order), _) => urls::order(customer, order),
                (None, Some(record)) => urls::record(customer, record),
                (None, None) => urls::customer(customer),
            },
            kind: hit.kind,
            key: hit.key,
            title: hit.title,
        }
    }
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Query(query): Query<SearchQuery>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let text = query.query.trim();
    let mut customers = Vec::new();
    let mut found: BTreeMap<CustomerId, InCustomer> = BTreeMap::new();
    let mut cut = false;
    if !text.is_empty() {
        let named = urls::with_query(
            people::CUSTOMERS,
            &[("limit", CUSTOMERS_SHOWN), ("query", text)],
        );
        let hits = urls::with_query(people::SEARCH, &[("limit", HITS_SHOWN), ("query", text)]);
        let (named, hits) = futures::join!(
            caller.get::<Page<CustomerRow>>(&named),
            caller.get::<Page<SearchHitView>>(&hits),
        );
        let (named, hits) = (named?, hits?);
        customers = named
            .items
            .iter()
            .map(|row| (row.name.clone(), urls::customer(row.id)))
            .collect();
        cut = hits.next.is_some();
        for hit in hits.items {
            let records = urls::of_customer(hit.customer_id, "records");
            let of_customer = found.entry(hit.customer_id).or_insert_with(|| InCustomer {
                name: hit.customer_name.clone(),
                href: urls::customer(hit.customer_id),
                more_href: urls::with_query(&records, &[("query", text)]),
                rows: Vec::new(),
            });
            of_customer.rows.push(Hit::new(hit));
        }
    }
    let mut frame = Frame::of(&ui, &visitor, "Search", "").await;
    frame.query = text.to_owned();
    Ok(Shown(SearchPage {
        query: text.to_owned(),
        customers,
        found: found.into_values().collect(),
        cut,
        frame,
    })
    .into_response())
}
