//! The search box: customers by name, and records of the customers that the person may see.

use super::{
    Shared,
    failure::{Failure, Shown},
    frame::Frame,
    records::{Found, search_path},
    session::{Visitor, redirect},
    urls,
};
use askama::Template;
use axum::{
    extract::{self, Query},
    response::{IntoResponse, Response},
};
use lockstep_protocol::{
    Problem,
    paths::people,
    people::{Page, customers::CustomerRow, records::RecordRow},
};
use serde::Deserialize;

/// Customers whose records are searched at once.
const CUSTOMERS_SEARCHED_MAX: &str = "25";
const RECORDS_EACH: &str = "10";

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
    /// There are more customers than were searched.
    cut: bool,
}

struct InCustomer {
    name: String,
    href: String,
    more_href: String,
    rows: Vec<Found>,
    more: bool,
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Query(query): Query<SearchQuery>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let text = query.query.trim();
    let at_most = [("limit", CUSTOMERS_SEARCHED_MAX)];
    let all: Page<CustomerRow> = caller
        .get(&urls::with_query(people::CUSTOMERS, &at_most))
        .await?;
    if let ([only], None) = (all.items.as_slice(), &all.next) {
        let records = urls::of_customer(only.id, "records");
        return Ok(redirect(&urls::with_query(&records, &[("query", text)])));
    }
    let mut customers = Vec::new();
    let mut found = Vec::new();
    if !text.is_empty() {
        let pairs = [("limit", RECORDS_EACH), ("query", text)];
        let named: Page<CustomerRow> = caller
            .get(&urls::with_query(people::CUSTOMERS, &pairs))
            .await?;
        let rows = named.items.iter();
        customers = rows
            .map(|row| (row.name.clone(), urls::customer(row.id)))
            .collect();
        let asked = all.items.iter().map(|row| async move {
            let path = search_path(row.id, text, RECORDS_EACH, "");
            let page: Result<Page<RecordRow>, Problem> = caller.get(&path).await;
            (row, page)
        });
        for (row, page) in futures::future::join_all(asked).await {
            match page {
                Ok(page) if page.items.is_empty() => {}
                Ok(page) => {
                    let records = urls::of_customer(row.id, "records");
                    found.push(InCustomer {
                        name: row.name.clone(),
                        href: urls::customer(row.id),
                        more_href: urls::with_query(&records, &[("query", text)]),
                        more: page.next.is_some(),
                        rows: page
                            .items
                            .iter()
                            .map(|hit| Found::new(row.id, hit))
                            .collect(),
                    });
                }
                Err(problem) => {
                    tracing::warn!(%problem, customer = %row.id, "a customer's records are not searched")
                }
            }
        }
    }
    let mut frame = Frame::of(&ui, &visitor, "Search", "").await;
    frame.query = text.to_owned();
    Ok(Shown(SearchPage {
        query: text.to_owned(),
        customers,
        found,
        cut: all.next.is_some(),
        frame,
    })
    .into_response())
}
