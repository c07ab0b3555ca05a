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
use lockstep_model::CustomerId;
use lockstep_protocol::{
    paths::people,
    people::{Page, asides::AsideView},
};

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
    advice: String,
    state: State,
    retry: Option<When>,
    tries: u32,
    since: When,
}

pub async fn list(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
) -> Result<Response, Failure> {
    let name = named(&visitor.caller, customer).await?;
    let path = urls::path(people::ASIDES, &[&customer]);
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
            advice: aside.advice,
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
