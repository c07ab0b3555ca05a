//! Who changed what of a record, a SKU or an order, from what to what, and why; from the replica, page by page.

use super::{Person, cursor, folding::folded, limit, said};
use crate::{
    AppState,
    extract::{Json, Path, Query},
    refusal::{Answer, Refusal},
};
use axum::extract::State;
use lockstep_journal::{HistoryItem, Journal, JournalError};
use lockstep_model::{CustomerId, OrderKey, RecordId, Sku, entry::Subject};
use lockstep_protocol::people::{ListQuery, login::Role, records::HistoryPage};

/// Orders that are looked through for a number, newest first.
const ORDERS_LOOKED_THROUGH_MAX: usize = 5_000;
const LOOK: usize = 500;

/// What was named, and all whose entries tell of it.
struct Named {
    about: About,
    subjects: Vec<Subject>,
}

enum About {
    /// Our own words for it.
    Known(String),
    Order {
        order: OrderKey,
        number: String,
    },
}

enum Looked {
    Found(Named, Vec<HistoryItem>),
    Nothing,
    /// The number of several orders.
    Several(Vec<OrderKey>),
}

pub async fn show(
    State(app): State<AppState>,
    person: Person,
    Path((customer, named)): Path<(CustomerId, String)>,
    Query(query): Query<ListQuery>,
) -> Answer<Json<HistoryPage>> {
    person.may(Role::Viewer, customer)?;
    let names = said::Names::of(&app, customer).await?;
    let limit = limit(query.limit);
    let before: Option<u64> = cursor(&query)?;
    let wanted = named.clone();
    let read = app
        .replicas
        .read(customer, move |journal| {
            look(journal, customer, &wanted, before, limit + 1)
        })
        .await?;
    let (found, mut items) = match read.value {
        Looked::Found(found, items) => (found, items),
        Looked::Nothing => {
            return Err(Refusal::not_found(format!(
                "a record, SKU or order \"{named}\" of {}; if it is new, the journal may not have it yet",
                names.settings.customer.name
            )));
        }
        Looked::Several(orders) => {
            let keys: Vec<String> = orders.iter().map(ToString::to_string).collect();
            return Err(Refusal::bad_request(format!(
                "several orders bear the number \"{named}\"; name one of them by its key: {}",
                keys.join(", ")
            )));
        }
    };
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().map(|item| item.seq.to_string());
    Ok(Json(HistoryPage {
        customer_id: customer,
        about: match found.about {
            About::Known(words) => words,
            About::Order { order, number } => {
                format!("order {number} of {}", names.shop(order.shop))
            }
        },
        rows: folded(
            items
                .iter()
                .flat_map(|item| said::history_rows(&names, item))
                .collect(),
        ),
        next: last.filter(|_| more),
        as_of: read.as_of,
    }))
}

fn look(
    journal: &Journal,
    customer: CustomerId,
    named: &str,
    before: Option<u64>,
    limit: usize,
) -> Result<Looked, JournalError> {
    let found = match find(journal, customer, named)? {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Looked::Nothing),
        Err(several) => return Ok(Looked::Several(several)),
    };
    let mut items = Vec::new();
    for subject in &found.subjects {
        items.extend(journal.history(subject, before, limit)?);
    }
    items.sort_by_key(|item| std::cmp::Reverse(item.seq));
    items.truncate(limit);
    Ok(Looked::Found(found, items))
}

/// A key comes first (a SKU with its levels, a category's path), then our id of a record, then an order: by its key, or
/// by its number. The inner error: the orders that bear the number.
fn find(
    journal: &Journal,
    customer: CustomerId,
    named: &str,
) -> Result<Result<Option<Named>, Vec<OrderKey>>, JournalError> {
    let levels = levels(journal, named)?;
    let by_key = journal.record_by_key(&said::key_of(named))?;
    let record = match (by_key, levels.is_empty()) {
        (None, true) => named.parse().ok().map(RecordId),
        (found, _) => found,
    };
    let view = match record {
        Some(record) => journal.record_view(record)?,
        None => None,
    };
    let words = match &view {
        Some(view) => said::record_name(view),
        None => named.to_owned(),
    };
    let record = view.map(|view| Subject::Record(view.record));
    let subjects: Vec<Subject> = record.into_iter().chain(levels).collect();
    if !subjects.is_empty() {
        let about = About::Known(words);
        return Ok(Ok(Some(Named { about, subjects })));
    }
    order(journal, customer, named)
}

fn levels(journal: &Journal, sku: &str) -> Result<Vec<Subject>, JournalError> {
    let sku = Sku(sku.to_owned());
    let item = journal.item_called(&sku)?;
    let explained = journal.ledger(&sku)?;
    let stocks = explained.into_iter().flat_map(|explained| explained.stocks);
    Ok(stocks
        .map(|stock| Subject::Level {
            stock: stock.stock,
            item: item.clone(),
        })
        .collect())
}

fn order(
    journal: &Journal,
    customer: CustomerId,
    named: &str,
) -> Result<Result<Option<Named>, Vec<OrderKey>>, JournalError> {
    let of = |order: OrderKey, number: String| Named {
        subjects: vec![Subject::Order(order.clone())],
        about: About::Order { order, number },
    };
    if let Some(key) = OrderKey::parse(named).filter(|key| key.customer == customer)
        && let Some(view) = journal.order_view(&key)?
    {
        let number = view.row.number.unwrap_or_else(|| key.id.to_string());
        return Ok(Ok(Some(of(key, number))));
    }
    let mut found: Vec<(OrderKey, String)> = Vec::new();
    let mut before = None;
    let mut looked = 0;
    while looked < ORDERS_LOOKED_THROUGH_MAX {
        let rows = journal.orders(before, LOOK)?;
        let Some(last) = rows.last() else { break };
        before = Some(last.first_seq);
        looked += rows.len();
        for row in rows {
            let id = row.order.id.to_string();
            let number = row.number.unwrap_or_else(|| id.clone());
            if number == named || id == named {
                found.push((row.order, number));
            }
        }
    }
    if found.len() > 1 {
        return Ok(Err(found.into_iter().map(|(order, _)| order).collect()));
    }
    Ok(Ok(found.pop().map(|(order, number)| of(order, number))))
}
