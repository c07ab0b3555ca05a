//! Orders: where each was placed, what we made of it elsewhere, and how it stands on both sides. Buyers are
//! masked: what says who they are is sealed beside the worker's journal and never comes here.

use super::{
    Shared,
    customers::{named, view},
    erase,
    failure::{Failure, Shown},
    frame::Frame,
    held,
    records::HistoryLine,
    session::Visitor,
    urls,
    widgets::{Id, State, When, units},
};
use askama::Template;
use axum::{
    extract::{self, Path, Query},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use lockstep_model::{Currency, CustomerId, Fulfilment, Payment, ShopId, entry::Hold};
use lockstep_protocol::people::{Page, records::HistoryRow};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Beside the people's API's other calls.
pub const ORDERS: &str = "/api/v1/customers/{customer}/orders";
pub const ORDER: &str = "/api/v1/customers/{customer}/orders/{order}";

/// An order in a list. `key` is our key of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderRow {
    pub key: String,
    pub number: String,
    pub origin: ShopId,
    pub origin_name: String,
    pub placed_at: Timestamp,
    pub currency: Currency,
    pub total: Decimal,
    pub payment: Payment,
    pub fulfilment: Fulfilment,
    pub cancelled: bool,
    /// Where a copy of it was made.
    pub copies: Vec<OrderSide>,
    /// Why it does not cross, for people.
    pub held: Option<String>,
}

/// An order as one shop has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderSide {
    pub shop: ShopId,
    pub name: String,
    pub id: String,
    pub number: String,
    pub payment: Payment,
    pub fulfilment: Fulfilment,
    pub cancelled: bool,
    /// What it lowers that shop's stock by now.
    pub taken: Decimal,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderPage {
    pub row: OrderRow,
    /// The origin first.
    pub sides: Vec<OrderSide>,
    pub lines: Vec<OrderLineRow>,
    pub history: Vec<HistoryRow>,
    pub as_of: Option<Timestamp>,
    /// What holds it.
    #[serde(default)]
    pub hold: Option<Hold>,
    /// Its buyer is forgotten since.
    #[serde(default)]
    pub erased_at: Option<Timestamp>,
    /// `None`: after its time.
    #[serde(default)]
    pub erased_by: Option<String>,
}

/// A line, or a charge: then without a SKU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderLineRow {
    pub sku: Option<String>,
    pub title: String,
    pub quantity: Option<Decimal>,
    pub gross: Decimal,
    pub tax: Decimal,
    /// Percent.
    pub tax_rate: Decimal,
    pub shipped: Decimal,
    pub cancelled: Decimal,
    pub returned: Decimal,
}

fn state_of(payment: Payment, fulfilment: Fulfilment, cancelled: bool) -> State {
    let paid = match payment {
        Payment::Pending => "not paid",
        Payment::Accepted => "accepted",
        Payment::Authorized => "authorized",
        Payment::Paid => "paid",
        Payment::PartlyRefunded => "refunded in part",
        Payment::Refunded => "refunded",
    };
    let sent = match fulfilment {
        Fulfilment::Open => "",
        Fulfilment::Partly => ", shipped in part",
        Fulfilment::Shipped => ", shipped",
    };
    if cancelled {
        return State::idle("cancelled");
    }
    let word = format!("{paid}{sent}");
    match (payment, fulfilment) {
        (Payment::Pending, _) => State::attention(word),
        (Payment::Refunded, _) => State::idle(word),
        _ => State::good(word),
    }
}

struct Row {
    href: String,
    number: String,
    origin: String,
    origin_href: String,
    placed: When,
    total: String,
    state: State,
    copies: String,
    held: Option<String>,
    unpaid: bool,
}

impl Row {
    fn new(customer: CustomerId, row: &OrderRow, frame: &Frame) -> Self {
        let copies = row.copies.iter();
        let copies = copies.map(|copy| format!("{} {}", copy.name, copy.number));
        Row {
            href: urls::order(customer, &row.key),
            number: row.number.clone(),
            origin: row.origin_name.clone(),
            origin_href: urls::shop(customer, row.origin),
            placed: When::new(row.placed_at, frame.now),
            total: money(row.total, &row.currency),
            state: state_of(row.payment, row.fulfilment, row.cancelled),
            copies: copies.collect::<Vec<_>>().join(", "),
            held: row
                .held
                .as_deref()
                .map(|why| why.trim_end_matches('.').to_owned()),
            unpaid: row.payment == Payment::Pending,
        }
    }
}

fn money(amount: Decimal, currency: &Currency) -> String {
    let mut amount = amount.normalize();
    if amount.scale() < 2 {
        amount.rescale(2);
    }
    format!("{amount} {currency}").replace('-', "−")
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct OrdersQuery {
    query: String,
    cursor: String,
    /// `held`: those that do not cross.
    state: String,
}

/// Orders that are looked through for those that are held.
const LOOKED_THROUGH: &str = "500";

#[derive(Template)]
#[template(path = "orders.html")]
struct ListPage {
    frame: Frame,
    base: String,
    query: String,
    held: bool,
    rows: Vec<Row>,
    next: Option<String>,
    policies_href: String,
    groups: Vec<held::Group>,
    map_action: String,
    may_edit: bool,
}

pub async fn list(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
    Query(query): Query<OrdersQuery>,
) -> Result<Response, Failure> {
    let view = view(&visitor.caller, customer).await?;
    let name = view.row.name.clone();
    let held = query.state == "held";
    let pairs = [
        ("limit", if held { LOOKED_THROUGH } else { "50" }),
        ("query", query.query.as_str()),
        ("cursor", query.cursor.as_str()),
    ];
    let path = urls::with_query(&urls::path(ORDERS, &[&customer]), &pairs);
    let found: Page<OrderRow> = visitor.caller.get(&path).await?;
    let frame = Frame::of(&ui, &visitor, &format!("Orders of {name}"), "customers")
        .await
        .within(customer, &name, "orders");
    let base = urls::of_customer(customer, "orders");
    // On the first page of all, and of those that are held.
    let groups = if query.query.is_empty() && query.cursor.is_empty() {
        held::groups(&ui, &visitor, &frame, &view.settings).await?
    } else {
        Vec::new()
    };
    let next = found.next.as_deref().map(|cursor| {
        let pairs = [
            ("query", query.query.as_str()),
            ("state", &query.state),
            ("cursor", cursor),
        ];
        urls::with_query(&base, &pairs)
    });
    Ok(Shown(ListPage {
        rows: found
            .items
            .iter()
            .filter(|row| !held || row.held.is_some())
            .map(|row| Row::new(customer, row, &frame))
            .collect(),
        held,
        base,
        query: query.query,
        next,
        policies_href: urls::of_customer(customer, "policies"),
        groups,
        map_action: urls::of_customer(customer, "orders/map"),
        may_edit: visitor.may_edit(),
        frame,
    })
    .into_response())
}

#[derive(Template)]
#[template(path = "order.html")]
struct OnePage {
    frame: Frame,
    key: Id,
    row: Row,
    exact: String,
    sides: Vec<Side>,
    lines: Vec<Line>,
    history: Vec<HistoryLine>,
    as_of: Option<When>,
    held_href: String,
    erased: Option<(When, Option<String>)>,
    answers: Option<held::Answers>,
    answer: String,
    may_edit: bool,
    /// Where an operator erases the buyer, while one is known.
    erase: Option<String>,
}

struct Side {
    role: &'static str,
    shop: String,
    shop_href: String,
    id: Id,
    number: String,
    state: State,
    taken: String,
}

struct Line {
    sku: Option<(String, String)>,
    title: String,
    quantity: String,
    gross: String,
    tax: String,
    rate: String,
    sent: String,
}

fn sent(line: &OrderLineRow) -> String {
    let parts = [
        (line.shipped, "shipped"),
        (line.cancelled, "cancelled"),
        (line.returned, "returned"),
    ];
    let said = parts.into_iter().filter(|(amount, _)| !amount.is_zero());
    let said: Vec<String> = said
        .map(|(amount, word)| format!("{} {word}", units(amount)))
        .collect();
    if said.is_empty() && line.quantity.is_some() {
        return "open".into();
    }
    said.join(", ")
}

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path((customer, order)): Path<(CustomerId, String)>,
) -> Result<Response, Failure> {
    let name = named(&visitor.caller, customer).await?;
    let found: OrderPage = visitor
        .caller
        .get(&urls::path(ORDER, &[&customer, &order]))
        .await?;
    let title = format!("Order {}", found.row.number);
    let mut frame = Frame::of(&ui, &visitor, &title, "customers")
        .await
        .within(customer, &name, "orders");
    frame.crumb("Orders", urls::of_customer(customer, "orders"));
    let sides = found.sides.iter().map(|side| Side {
        role: if side.shop == found.row.origin {
            "origin"
        } else {
            "copy"
        },
        shop: side.name.clone(),
        shop_href: urls::shop(customer, side.shop),
        id: Id::new(&side.id),
        number: side.number.clone(),
        state: state_of(side.payment, side.fulfilment, side.cancelled),
        taken: units(side.taken),
    });
    let currency = &found.row.currency;
    let lines = found.lines.iter().map(|line| Line {
        sku: line
            .sku
            .as_ref()
            .map(|sku| (sku.clone(), urls::stock(customer, sku))),
        title: line.title.clone(),
        quantity: line.quantity.map_or_else(String::new, units),
        gross: money(line.gross, currency),
        tax: money(line.tax, currency),
        rate: format!("{} %", units(line.tax_rate)),
        sent: sent(line),
    });
    let page = OnePage {
        key: Id::new(&found.row.key),
        row: Row::new(customer, &found.row, &frame),
        exact: found
            .row
            .placed_at
            .strftime("%Y-%m-%d %H:%M UTC")
            .to_string(),
        sides: sides.collect(),
        lines: lines.collect(),
        history: HistoryLine::lines(customer, &found.history, &frame),
        as_of: found.as_of.map(|at| When::new(at, frame.now)),
        held_href: urls::with_query(&urls::of_customer(customer, "orders"), &[("state", "held")]),
        erased: found
            .erased_at
            .map(|at| (When::new(at, frame.now), found.erased_by.clone())),
        erase: (visitor.operates() && found.erased_at.is_none())
            .then(|| erase::action(customer, &found.row.key)),
        answers: found.hold.as_ref().map(held::Answers::to),
        answer: held::answer_action(customer, &found.row.key),
        may_edit: visitor.may_edit(),
        frame,
    };
    Ok(Shown(page).into_response())
}
