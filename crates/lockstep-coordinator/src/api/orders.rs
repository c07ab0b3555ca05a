//! Orders: where each was placed, and its copies. Nothing of the buyer: that is sealed at the worker.

use super::{Person, cursor, folding::folded, limit, page, said};
use crate::{
    AppState,
    extract::{Json, Path, Query},
    refusal::{Answer, Refusal},
    ui::{OrderLineRow, OrderPage, OrderRow, OrderSide},
};
use axum::extract::State;
use lockstep_journal::{OrderRow as Known, OrderView};
use lockstep_model::{CustomerId, OrderKey, OrderState, ShopId, entry::Subject};
use lockstep_protocol::people::{ListQuery, Page, login::Role};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

pub const ORDERS: &str = "/api/v1/customers/{customer}/orders";
pub const ORDER: &str = "/api/v1/customers/{customer}/orders/{order}";

const HISTORY_ROWS: usize = 100;
/// Orders that are looked through for a number.
const LOOKED_THROUGH_MAX: usize = 5_000;
const LOOK: usize = 500;

pub async fn list(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
    Query(query): Query<ListQuery>,
) -> Answer<Json<Page<OrderRow>>> {
    person.may(Role::Viewer, customer)?;
    let names = said::Names::of(&app, customer).await?;
    let limit = limit(query.limit);
    let before: Option<u64> = cursor(&query)?;
    let text = query
        .query
        .clone()
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let read = app
        .replicas
        .read(customer, move |journal| {
            let mut before = before;
            let mut found: Vec<(Known, BTreeMap<ShopId, OrderState>)> = Vec::new();
            let mut looked = 0;
            while found.len() <= limit && looked < LOOKED_THROUGH_MAX {
                let rows = journal.orders(before, LOOK)?;
                let Some(last) = rows.last() else { break };
                before = Some(last.first_seq);
                looked += rows.len();
                for row in rows {
                    if found.len() > limit {
                        break;
                    }
                    if matches(&row, &text) {
                        let view = journal.order_view(&row.order)?;
                        found.push((row, view.map(|view| view.states).unwrap_or_default()));
                    }
                }
            }
            Ok(found)
        })
        .await?;
    let found = page(read.value, limit, |(row, _): &(Known, _)| {
        row.first_seq.to_string()
    });
    Ok(Json(Page {
        items: found
            .items
            .iter()
            .map(|(row, states)| order_row(&names, row, states))
            .collect(),
        next: found.next,
    }))
}

fn matches(row: &Known, text: &str) -> bool {
    text.is_empty()
        || row
            .number
            .as_ref()
            .is_some_and(|number| number.to_lowercase().contains(text))
        || row.order.to_string().to_lowercase().contains(text)
}

fn order_row(names: &said::Names, row: &Known, states: &BTreeMap<ShopId, OrderState>) -> OrderRow {
    let origin = row.origin.as_ref().or_else(|| states.get(&row.order.shop));
    OrderRow {
        key: row.order.to_string(),
        number: row
            .number
            .clone()
            .unwrap_or_else(|| row.order.id.to_string()),
        origin: row.order.shop,
        origin_name: names.shop(row.order.shop),
        placed_at: origin.map(|origin| origin.placed_at).unwrap_or_default(),
        currency: origin
            .map(|origin| origin.currency.clone())
            .unwrap_or_default(),
        total: origin.map(|origin| origin.total).unwrap_or_default(),
        payment: origin.map(|origin| origin.payment).unwrap_or_default(),
        fulfilment: origin.map(|origin| origin.fulfilment).unwrap_or_default(),
        cancelled: origin.is_some_and(|origin| origin.cancelled),
        copies: row
            .copies
            .iter()
            .map(|(shop, id)| side(names, *shop, id.as_str(), states.get(shop)))
            .collect(),
        held: row
            .held
            .as_ref()
            .map(|hold| said::hold_text(names, row.order.shop, hold)),
    }
}

fn side(names: &said::Names, shop: ShopId, id: &str, state: Option<&OrderState>) -> OrderSide {
    OrderSide {
        shop,
        name: names.shop(shop),
        id: id.to_owned(),
        number: state.map_or_else(|| id.to_owned(), |state| state.number.clone()),
        payment: state.map(|state| state.payment).unwrap_or_default(),
        fulfilment: state.map(|state| state.fulfilment).unwrap_or_default(),
        cancelled: state.is_some_and(|state| state.cancelled),
        taken: state.map_or(Decimal::ZERO, |state| {
            state.lines.iter().map(|line| line.taken).sum()
        }),
    }
}

pub async fn show(
    State(app): State<AppState>,
    person: Person,
    Path((customer, named)): Path<(CustomerId, String)>,
) -> Answer<Json<OrderPage>> {
    person.may(Role::Viewer, customer)?;
    let nothing = || Refusal::not_found(format!("order {named} of customer {customer}"));
    let key = OrderKey::parse(&named)
        .filter(|key| key.customer == customer)
        .ok_or_else(nothing)?;
    let names = said::Names::of(&app, customer).await?;
    let wanted = key.clone();
    let read = app
        .replicas
        .read(customer, move |journal| {
            let Some(view) = journal.order_view(&wanted)? else {
                return Ok(None);
            };
            let history = journal.history(&Subject::Order(wanted), None, HISTORY_ROWS)?;
            Ok(Some((view, history)))
        })
        .await?;
    let (view, history) = read.value.ok_or_else(nothing)?;
    Ok(Json(OrderPage {
        row: order_row(&names, &view.row, &view.states),
        sides: sides(&names, &key, &view),
        lines: lines(&view, &key),
        history: folded(
            history
                .iter()
                .flat_map(|item| said::history_rows(&names, item))
                .collect(),
        ),
        as_of: read.as_of,
        hold: view.row.held,
        erased_at: view.erased.as_ref().map(|(at, _)| *at),
        erased_by: view.erased.and_then(|(_, by)| by),
    }))
}

/// The origin first.
fn sides(names: &said::Names, key: &OrderKey, view: &OrderView) -> Vec<OrderSide> {
    let origin = side(names, key.shop, key.id.as_str(), view.states.get(&key.shop));
    let copies = view.row.copies.iter();
    let copies = copies.map(|(shop, id)| side(names, *shop, id.as_str(), view.states.get(shop)));
    std::iter::once(origin).chain(copies).collect()
}

fn lines(view: &OrderView, key: &OrderKey) -> Vec<OrderLineRow> {
    let Some(origin) = view.states.get(&key.shop).or(view.row.origin.as_ref()) else {
        return Vec::new();
    };
    let lines = origin.lines.iter().map(|line| OrderLineRow {
        sku: line.sku.as_ref().map(ToString::to_string),
        title: line.title.clone(),
        quantity: Some(line.quantity),
        gross: line.gross,
        tax: line.tax,
        tax_rate: line.tax_rate,
        shipped: line.shipped,
        cancelled: line.cancelled,
        returned: line.returned,
    });
    let charges = origin.charges.iter().map(|charge| OrderLineRow {
        sku: None,
        title: charge.title.clone(),
        quantity: None,
        gross: charge.gross,
        tax: charge.tax,
        tax_rate: charge.tax_rate,
        shipped: Decimal::ZERO,
        cancelled: Decimal::ZERO,
        returned: Decimal::ZERO,
    });
    lines.chain(charges).collect()
}
