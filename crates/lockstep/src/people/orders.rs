//! `lockstep orders`, `lockstep map` and `lockstep answer`

use super::api::Api;
use crate::arguments;
use crate::exit::{Exit, Trouble};
use crate::print;
use lockstep_model::settings::{Mappable, NamedAt};
use lockstep_model::{CustomerId, OrderAnswer, ShopId};
use lockstep_protocol::paths::{fill, people as paths};
use lockstep_protocol::people::Page;
use lockstep_protocol::people::customers::{ApplyReply, CustomerView};
use lockstep_protocol::people::orders::{HeldView, MapRequest, OrderAnswerRequest};
use lockstep_protocol::people::shops::ListsReply;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// What is shown of an order in a list.
#[derive(Serialize, Deserialize)]
struct Row {
    key: String,
    number: String,
    origin_name: String,
    placed_at: jiff::Timestamp,
    total: String,
    currency: String,
    copies: Vec<Copy>,
    held: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Copy {
    name: String,
    number: String,
}

const ORDERS: &str = "/api/v1/customers/{customer}/orders";
/// Orders that are asked for at once.
const LISTED: &str = "50";

pub async fn orders(arguments: arguments::Orders, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.customer).await?;
    if arguments.held {
        return held(&api, customer, as_json).await;
    }
    let query = arguments.query.unwrap_or_default();
    let page = find(&api, customer, &query).await?;
    if as_json {
        print::json(&page.items)?;
    } else if page.items.is_empty() {
        print::line("No order.");
    } else {
        let rows = page.items.iter().map(|row| {
            let copies = row.copies.iter();
            let copies = copies.map(|copy| format!("{} {}", copy.name, copy.number));
            vec![
                row.number.clone(),
                row.origin_name.clone(),
                format!("{} {}", row.total, row.currency),
                copies.collect::<Vec<_>>().join(", "),
                row.held.clone().unwrap_or_default(),
            ]
        });
        print::table(
            &["order", "placed in", "total", "copy", "held"],
            rows.collect(),
        );
        if page.next.is_some() {
            print::line(
                "There are older ones: the console shows them, and --query finds one by its number.",
            );
        }
    }
    Ok(Exit::Done)
}

async fn find(api: &Api, customer: CustomerId, query: &str) -> anyhow::Result<Page<Row>> {
    let path = Api::of_customer(ORDERS, customer);
    api.get(&path, &[("limit", LISTED), ("query", query)]).await
}

async fn held(api: &Api, customer: CustomerId, as_json: bool) -> anyhow::Result<Exit> {
    let held: HeldView = api
        .get(&Api::of_customer(paths::ORDERS_HELD, customer), &[])
        .await?;
    let exit = if held.groups.is_empty() {
        Exit::Done
    } else {
        Exit::NeedsPerson
    };
    if as_json {
        print::json(&held)?;
        return Ok(exit);
    }
    if held.groups.is_empty() {
        print::line("No order waits for a person.");
    }
    for group in &held.groups {
        print::line(&format!("{}. {}", group.title, group.detail));
        let rows = group.orders.iter().map(|order| {
            let placed = order.placed_at.map(|at| at.strftime("%Y-%m-%d %H:%M"));
            vec![
                format!("  {}", order.number),
                placed.map(|at| at.to_string()).unwrap_or_default(),
                order.why.clone(),
            ]
        });
        print::table(&["  order", "placed", "why"], rows.collect());
        let named = group.orders.len() as u64;
        if group.count > named {
            print::line(&format!("  and {} more", group.count - named));
        }
        if let Some(unmapped) = &group.unmapped {
            print::line(&format!(
                "  Let all go: lockstep map {customer} {} '{}' --of {} --to WORD_OF_SHOP_{}",
                option_of(unmapped.what),
                unmapped.from.id,
                unmapped.from.shop,
                unmapped.into
            ));
        } else {
            print::line(&format!(
                "  Answer for one: lockstep answer {customer} ORDER --again, --there NUMBER or --not-there"
            ));
        }
    }
    Ok(exit)
}

fn option_of(what: Mappable) -> &'static str {
    match what {
        Mappable::PaymentMethod => "--payment-method",
        Mappable::ShippingMethod => "--shipping-method",
        Mappable::PaymentTerm => "--payment-term",
        Mappable::TaxRate => "--tax-rate",
        Mappable::Country => "--country",
    }
}

pub async fn map(arguments: arguments::Map, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.customer).await?;
    let word = arguments.word;
    let given = [
        (Mappable::PaymentMethod, word.payment_method),
        (Mappable::ShippingMethod, word.shipping_method),
        (Mappable::PaymentTerm, word.payment_term),
        (Mappable::TaxRate, word.tax_rate),
        (Mappable::Country, word.country),
    ];
    let given = given.into_iter().find_map(|(what, id)| Some((what, id?)));
    let (what, id) = given.ok_or_else(|| Trouble::wrong_use("it was not said what is mapped"))?;
    let view: CustomerView = api
        .get(&Api::of_customer(paths::CUSTOMER, customer), &[])
        .await?;
    let shop = shop_named(&view, &arguments.of)?;
    let receiver = view
        .settings
        .policies
        .orders
        .into
        .ok_or_else(|| Trouble::wrong_use("no shop takes the orders, by the policies"))?;
    is_listed(&api, customer, receiver, what, &arguments.to).await?;
    let request = MapRequest {
        what,
        from: NamedAt {
            shop,
            id: id.as_str().into(),
        },
        into: arguments.to.as_str().into(),
    };
    let path = Api::of_customer(paths::ORDERS_MAP, customer);
    let reply: ApplyReply = api.post(&path, &request).await?;
    if as_json {
        print::json(&reply)?;
    } else if reply.changed {
        print::line(&format!(
            "Saved as revision {}. All orders that waited for it cross now.",
            reply.revision
        ));
    } else {
        print::line("The settings say so already.");
    }
    Ok(Exit::Done)
}

fn shop_named(view: &CustomerView, named: &str) -> anyhow::Result<ShopId> {
    let shops = view.settings.services.iter();
    let found = shops
        .map(|shop| (shop.id, &shop.name))
        .find(|(id, name)| id.to_string() == named || *name == named);
    match found {
        Some((id, _)) => Ok(id),
        None => Err(Trouble::wrong_use(format!("the customer has no shop \"{named}\"")).into()),
    }
}

/// A word that the receiver does not list would hold the orders, or be refused there.
async fn is_listed(
    api: &Api,
    customer: CustomerId,
    receiver: ShopId,
    what: Mappable,
    word: &str,
) -> anyhow::Result<()> {
    let path = fill(paths::SHOP_LISTS, &[&customer, &receiver]);
    let reply: ListsReply = api.get(&path, &[]).await?;
    let list = what.listed(&reply.identity);
    if list.is_empty() || list.iter().any(|each| what.is_same(each.id.as_str(), word)) {
        return Ok(());
    }
    let there: Vec<String> = list
        .iter()
        .map(|each| format!("{} ({})", each.id, each.name))
        .collect();
    Err(Trouble::wrong_use(format!(
        "shop {receiver} has no {} \"{word}\"; it has {}",
        what.as_str(),
        there.join(", ")
    ))
    .into())
}

pub async fn answer(arguments: arguments::Answer, as_json: bool) -> anyhow::Result<Exit> {
    let api = Api::open()?;
    let customer = api.customer(&arguments.customer).await?;
    let key = order_key(&api, customer, &arguments.order).await?;
    let said = arguments.word;
    let answer = match (said.there, said.not_there, said.again) {
        (Some(id), ..) => OrderAnswer::ItIsThere { id: id.into() },
        (None, true, _) => OrderAnswer::ItIsNotThere,
        (None, false, true) => OrderAnswer::TryAgain,
        (None, false, false) => return Err(Trouble::wrong_use("no answer was given").into()),
    };
    let path = fill(paths::ORDER_ANSWER, &[&customer, &key]);
    let _nothing: IgnoredAny = api.post(&path, &OrderAnswerRequest { answer }).await?;
    if as_json {
        print::json(&serde_json::json!({ "order": key, "answered": true }))?;
    } else {
        print::line("Noted. The next run goes on from it.");
    }
    Ok(Exit::Done)
}

/// By our key, or by a number that one order bears.
pub(super) async fn order_key(
    api: &Api,
    customer: CustomerId,
    named: &str,
) -> anyhow::Result<String> {
    if lockstep_model::OrderKey::parse(named).is_some() {
        return Ok(named.to_owned());
    }
    let page = find(api, customer, named).await?;
    let mut rows = page.items.into_iter().filter(|row| row.number == named);
    match (rows.next(), rows.next()) {
        (Some(row), None) => Ok(row.key),
        (None, _) => Err(Trouble::wrong_use(format!("there is no order {named}")).into()),
        (Some(one), Some(other)) => Err(Trouble::wrong_use(format!(
            "several orders are called {named}; name it by its key: {}, {} …",
            one.key, other.key
        ))
        .into()),
    }
}
