//! Records: search, one record across all shops, and its stock explained.

use super::{
    Shared,
    conflicts::ConflictRow,
    customers::shop_names,
    failure::{Failure, Shown},
    frame::Frame,
    session::Visitor,
    urls,
    widgets::{Id, State, When, grouped, signed, units},
};
use crate::fields;
use askama::Template;
use axum::{
    extract::{self, Path, Query},
    response::{IntoResponse, Response},
};
use lockstep_model::{CustomerId, Field, Path as FieldPath, RecordId, RunId};
use lockstep_protocol::{
    Code, Problem,
    paths::people,
    people::{
        Page,
        records::{
            FieldRow, HistoryRow, LevelRow, MovementRow, RecordRow, RecordView, StockExplained,
            StockLedger,
        },
    },
};
use rust_decimal::Decimal;
use serde::Deserialize;

const RECORDS_A_PAGE: &str = "50";

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RecordsQuery {
    query: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "records.html")]
struct ListPage {
    frame: Frame,
    base: String,
    query: String,
    rows: Vec<Found>,
    next: Option<String>,
    plan_href: String,
    asides_href: String,
}

pub struct Found {
    pub href: String,
    pub kind: String,
    pub key: String,
    pub title: String,
    pub stock_href: Option<String>,
}

impl Found {
    pub fn new(customer: CustomerId, row: &RecordRow) -> Self {
        Found {
            href: urls::record(customer, row.record),
            kind: row.kind.clone(),
            key: row.key.clone(),
            title: row.title.clone(),
            stock_href: (row.kind == "product").then(|| urls::stock(customer, &row.key)),
        }
    }
}

fn search_path(customer: CustomerId, query: &str, limit: &str, cursor: &str) -> String {
    let pairs = [("query", query), ("limit", limit), ("cursor", cursor)];
    urls::with_query(&urls::path(people::RECORDS, &[&customer]), &pairs)
}

pub async fn list(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path(customer): Path<CustomerId>,
    Query(query): Query<RecordsQuery>,
) -> Result<Response, Failure> {
    let names = shop_names(&visitor.caller, customer).await?;
    let path = search_path(customer, &query.query, RECORDS_A_PAGE, &query.cursor);
    let found: Page<RecordRow> = visitor.caller.get(&path).await?;
    let title = format!("Records of {}", names.customer);
    let frame = Frame::of(&ui, &visitor, &title, "customers").await.within(
        customer,
        &names.customer,
        "records",
    );
    let base = urls::of_customer(customer, "records");
    let next = found
        .next
        .as_deref()
        .map(|cursor| urls::with_query(&base, &[("query", &query.query), ("cursor", cursor)]));
    Ok(Shown(ListPage {
        rows: found
            .items
            .iter()
            .map(|row| Found::new(customer, row))
            .collect(),
        base,
        query: query.query,
        next,
        plan_href: urls::of_customer(customer, "plan"),
        asides_href: urls::of_customer(customer, "asides"),
        frame,
    })
    .into_response())
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    frame: Frame,
    title: String,
    key: Id,
    kind: String,
    record: Id,
    shops: Vec<ShopColumn>,
    groups: Vec<FieldGroup>,
    stock: Vec<Why>,
    conflicts: Vec<ConflictRow>,
    history: Vec<HistoryLine>,
    as_of: Option<When>,
    may_edit: bool,
    policies_href: String,
}

struct ShopColumn {
    name: String,
    href: String,
    id: Option<Id>,
}

/// The record's own fields, then each variant's.
struct FieldGroup {
    sku: Option<(String, String)>,
    fields: Vec<FieldLine>,
}

struct FieldLine {
    label: String,
    path: String,
    cells: Vec<Cell>,
    decides: String,
    /// Every shop that has the field has our value.
    in_step: bool,
}

struct Cell {
    shop: String,
    text: String,
    long: bool,
    class: &'static str,
    said: &'static str,
}

/// What one journal entry says.
pub struct HistoryLine {
    pub at: When,
    pub seq: u64,
    pub run: Option<(RunId, String)>,
    pub whats: Vec<String>,
    pub why: String,
    /// It happened more than once in a row: how often, and first when.
    pub again: Option<(String, When)>,
}

impl HistoryLine {
    /// Each entry once, with all that it moved.
    pub fn lines(customer: CustomerId, rows: &[HistoryRow], frame: &Frame) -> Vec<Self> {
        let mut lines: Vec<HistoryLine> = Vec::new();
        for row in rows {
            if let Some(last) = lines.last_mut()
                && last.seq == row.seq
                && last.why == row.why
            {
                last.whats.push(row.what.clone());
                continue;
            }
            lines.push(HistoryLine {
                at: When::new(row.at, frame.now),
                seq: row.seq,
                run: row.run.map(|run| (run, urls::run(customer, run))),
                whats: vec![row.what.clone()],
                why: row.why.clone(),
                again: row
                    .first_at
                    .map(|first| (grouped(row.times), When::new(first, frame.now))),
            });
        }
        lines
    }
}

const LONG_CHARS: usize = 60;

/// As people write it: prices with their cents, pictures by the beginning of their digests.
fn shown(path: &FieldPath, text: &str) -> String {
    if let Some(Field::Pictures) = path.field() {
        let digests = text.split([',', ' ']).filter(|digest| !digest.is_empty());
        let short: Vec<String> = digests
            .map(|digest| digest.chars().take(DIGEST_CHARS).collect())
            .collect();
        return short.join(", ");
    }
    fields::with_cents(path, text.to_owned())
}

const DIGEST_CHARS: usize = 8;

fn line(row: &FieldRow, view: &RecordView, path: &FieldPath, label: String) -> FieldLine {
    let cells = view.shops.iter().map(|shop| {
        let value = row.values.get(&shop.shop);
        let same = value.is_some() && value == row.ours.as_ref();
        let (class, said) = match (value, &row.ours, same) {
            (None, ..) => ("absent", ""),
            (_, None, _) => ("", ""),
            (_, _, true) => ("same", "in step"),
            _ => ("differs", "differs"),
        };
        let text = value.map_or_else(|| "—".into(), |value| shown(path, value));
        Cell {
            shop: shop.name.clone(),
            long: text.chars().count() > LONG_CHARS,
            text: if value.is_some() && text.is_empty() {
                "(empty)".into()
            } else {
                text
            },
            class,
            said,
        }
    });
    let cells: Vec<Cell> = cells.collect();
    FieldLine {
        label,
        path: row.path.clone(),
        in_step: cells.iter().all(|cell| cell.class != "differs"),
        cells,
        decides: row.decides.clone(),
    }
}

fn groups(view: &RecordView) -> Vec<FieldGroup> {
    let mut groups = vec![FieldGroup {
        sku: None,
        fields: Vec::new(),
    }];
    for row in &view.fields {
        let path = FieldPath::from_stored(row.path.clone());
        let (sku, label) = fields::label(&path);
        let field = line(row, view, &path, label);
        let Some(sku) = sku else {
            groups[0].fields.push(field);
            continue;
        };
        let at = groups
            .iter()
            .position(|group| group.sku.as_ref().is_some_and(|(known, _)| *known == sku));
        let at = at.unwrap_or_else(|| {
            let href = urls::stock(view.customer_id, &sku);
            groups.push(FieldGroup {
                sku: Some((sku, href)),
                fields: Vec::new(),
            });
            groups.len() - 1
        });
        groups[at].fields.push(field);
    }
    groups.retain(|group| !group.fields.is_empty());
    groups
}

/// Variants whose stock is shown on the record's own page.
const STOCK_SHOWN_MAX: usize = 10;

pub async fn show(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path((customer, record)): Path<(CustomerId, RecordId)>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let names = shop_names(caller, customer).await?;
    let view: RecordView = caller
        .get(&urls::path(people::RECORD, &[&customer, &record]))
        .await?;
    let title = if view.row.title.is_empty() {
        view.row.key.clone()
    } else {
        view.row.title.clone()
    };
    let mut frame = Frame::of(&ui, &visitor, &title, "customers").await.within(
        customer,
        &names.customer,
        "records",
    );
    frame.crumb("Records", urls::of_customer(customer, "records"));
    let groups = groups(&view);
    let mut skus: Vec<&str> = groups
        .iter()
        .filter_map(|group| group.sku.as_ref().map(|(sku, _)| sku.as_str()))
        .collect();
    if skus.is_empty() && view.row.kind == "product" {
        skus.push(&view.row.key);
    }
    let asked = skus
        .into_iter()
        .take(STOCK_SHOWN_MAX)
        .map(|sku| async move {
            let path = urls::path(people::EXPLAIN, &[&customer, &sku]);
            caller.get::<StockExplained>(&path).await
        });
    let mut stock = Vec::new();
    for explained in futures::future::join_all(asked).await {
        match explained {
            Ok(explained) => stock.extend(whys(&explained, &frame)),
            // A product that has no level anywhere has nothing to explain.
            Err(problem) if problem.code == Code::NotFound => {}
            Err(problem) => tracing::warn!(%problem, "a record's stock is not shown"),
        }
    }
    let shops = view.shops.iter().map(|shop| ShopColumn {
        name: shop.name.clone(),
        href: urls::shop(customer, shop.shop),
        id: shop.id.as_ref().map(Id::new),
    });
    let page = RecordPage {
        title,
        key: Id::new(&view.row.key),
        kind: view.row.kind.clone(),
        record: Id::new(record),
        shops: shops.collect(),
        stock,
        conflicts: view
            .conflicts
            .iter()
            .map(|conflict| ConflictRow::new(conflict, &frame))
            .collect(),
        history: HistoryLine::lines(customer, &view.history, &frame),
        as_of: view.as_of.map(|at| When::new(at, frame.now)),
        may_edit: visitor.may_edit(),
        policies_href: urls::of_customer(customer, "policies"),
        groups,
        frame,
    };
    Ok(Shown(page).into_response())
}

/// One stock of one SKU: the sum and what it is made of.
pub struct Why {
    pub sku: String,
    pub href: String,
    pub stock: String,
    pub pool: String,
    pub base: String,
    pub committed: String,
    pub levels: Vec<Level>,
    pub movements: Vec<Moved>,
    /// "opening 10 · receipt +5 · Woo #1041 −1"
    pub sentence: String,
}

pub struct Level {
    pub name: String,
    /// The stocks whose sum it shows, if they are several.
    pub sells_from: String,
    pub href: String,
    pub on_hand: String,
    pub reserved: String,
    pub available: String,
    pub taken: String,
    pub pending: String,
    pub target: String,
    pub state: State,
}

pub struct Moved {
    pub at: When,
    pub units: String,
    pub what: String,
    pub order: Option<String>,
    pub sum: String,
}

const SENTENCE_MOVEMENTS_MAX: usize = 6;

fn whys(explained: &StockExplained, frame: &Frame) -> Vec<Why> {
    let stocks = explained.stocks.iter();
    stocks.map(|stock| why(explained, stock, frame)).collect()
}

fn why(explained: &StockExplained, stock: &StockLedger, frame: &Frame) -> Why {
    let customer = explained.customer_id;
    let level = |level: &LevelRow| Level {
        name: level.name.clone(),
        sells_from: level.sells_from.join(" + "),
        href: urls::shop(customer, level.shop),
        on_hand: units(level.on_hand),
        reserved: units(level.reserved),
        available: units(level.available),
        taken: units(level.taken),
        pending: units(level.pending),
        target: units(level.target),
        state: if level.available == level.target {
            State::good("in step")
        } else if level.clamped {
            State::attention(format!("the shop does not take {}", units(level.target)))
        } else {
            State::attention(format!("on its way to {}", units(level.target)))
        },
    };
    let mut sum = Decimal::ZERO;
    let mut moved = |movement: &MovementRow| {
        sum += movement.units;
        Moved {
            at: When::new(movement.at, frame.now),
            units: signed(movement.units),
            what: movement.what.clone(),
            order: movement.order.clone(),
            sum: units(sum),
        }
    };
    let told = stock
        .movements
        .iter()
        .take(SENTENCE_MOVEMENTS_MAX)
        .map(|movement| {
            let what = movement.order.as_deref().unwrap_or(&movement.what);
            format!("{what} {}", signed(movement.units))
        });
    let mut sentence = told.collect::<Vec<_>>().join(" · ");
    let more = stock.movements.len().saturating_sub(SENTENCE_MOVEMENTS_MAX);
    if more > 0 {
        sentence.push_str(&format!(" · and {more} more"));
    }
    Why {
        sku: explained.sku.clone(),
        href: urls::stock(customer, &explained.sku),
        stock: stock.stock_name.clone(),
        pool: units(stock.pool),
        base: units(stock.base),
        committed: units(stock.committed),
        levels: stock.levels.iter().map(level).collect(),
        movements: stock.movements.iter().map(&mut moved).collect(),
        sentence,
    }
}

#[derive(Template)]
#[template(path = "stock.html")]
struct StockPage {
    frame: Frame,
    sku: Id,
    stocks: Vec<Why>,
    as_of: Option<When>,
    record_href: String,
}

pub async fn explain(
    extract::State(ui): extract::State<Shared>,
    visitor: Visitor,
    Path((customer, sku)): Path<(CustomerId, String)>,
) -> Result<Response, Failure> {
    let names = shop_names(&visitor.caller, customer).await?;
    let path = urls::path(people::EXPLAIN, &[&customer, &sku]);
    let explained: Result<StockExplained, Problem> = visitor.caller.get(&path).await;
    let explained = explained?;
    let mut frame = Frame::of(&ui, &visitor, &format!("Stock of {sku}"), "customers")
        .await
        .within(customer, &names.customer, "records");
    frame.crumb("Records", urls::of_customer(customer, "records"));
    let records = urls::of_customer(customer, "records");
    let page = StockPage {
        sku: Id::new(&sku),
        stocks: whys(&explained, &frame),
        as_of: explained.as_of.map(|at| When::new(at, frame.now)),
        record_href: urls::with_query(&records, &[("query", &sku)]),
        frame,
    };
    Ok(Shown(page).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_cents_and_pictures_are_short() {
        let shown = |stored: &str, text: &str| {
            super::shown(&FieldPath::from_stored(stored.to_owned()), text)
        };
        assert_eq!(shown("variant/KH-100/price/EUR", "18.9"), "18.90");
        assert_eq!(shown("variant/KH-100/weight_g", "160"), "160");
        assert_eq!(shown("pictures", "869f2f47698f4a37"), "869f2f47");
    }
}
