//! Records, their history and their stock, from the replica.

use super::{Person, folding::folded, limit, page, said};
use crate::{
    AppState,
    extract::{self, Json, Query},
    fields,
    refusal::{Answer, Refusal},
};
use axum::extract::State;
use lockstep_journal::{ConflictRow, Found, Journal, JournalError, RecordView as Seen};
use lockstep_model::{
    CustomerId, Field, Path, RecordId, ShopId, ShopIdentity, Sku, Value, VariantField, called,
    entry::Subject,
};
use lockstep_protocol::people::{
    ListQuery, Page,
    login::Role,
    records::{FieldRow, HistoryRow, RecordRow, RecordView, ShopColumn, StockExplained},
};
use std::collections::{BTreeMap, BTreeSet};

/// Entries of a record's history on its page.
const HISTORY_ROWS: usize = 100;

pub async fn list(
    State(app): State<AppState>,
    person: Person,
    extract::Path(customer): extract::Path<CustomerId>,
    Query(query): Query<ListQuery>,
) -> Answer<Json<Page<RecordRow>>> {
    person.may(Role::Viewer, customer)?;
    let limit = limit(query.limit);
    let after: Option<RecordId> = super::cursor(&query)?;
    let text = query.query.clone().unwrap_or_default();
    let read = app
        .replicas
        .read(customer, move |journal| {
            let mut found = journal.search(&text, None, after, limit + 1)?;
            // Somebody who types a whole key wants that record first.
            if after.is_none()
                && let Some(exact) = journal.record_by_key(text.trim())?
                && let Some(at) = found.iter().position(|row| row.record == exact)
            {
                let row = found.remove(at);
                found.insert(0, row);
            }
            Ok(found)
        })
        .await?;
    let mut found = page(read.value, limit, |row: &Found| row.record.to_string());
    if found.next.is_some() {
        // The exact one may stand before its place: the next page goes on after the greatest.
        found.next = found
            .items
            .iter()
            .map(|row| row.record)
            .max()
            .map(|id| id.to_string());
    }
    let text = query
        .query
        .as_deref()
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    Ok(Json(Page {
        items: found
            .items
            .into_iter()
            .map(|row| told(row, &text))
            .collect(),
        next: found.next,
    }))
}

/// By the key that was looked for, if it is one of several.
fn told(row: Found, text: &str) -> RecordRow {
    let wanted = row
        .keys
        .iter()
        .find(|key| !text.is_empty() && key.to_lowercase().contains(text));
    let key = wanted
        .or(row.keys.first())
        .map(|key| said::key_text(key))
        .unwrap_or_default();
    RecordRow {
        record: row.record,
        kind: row.kind.as_str().to_owned(),
        key,
        title: row.title,
    }
}

pub async fn show(
    State(app): State<AppState>,
    person: Person,
    extract::Path((customer, named)): extract::Path<(CustomerId, String)>,
) -> Answer<Json<RecordView>> {
    person.may(Role::Viewer, customer)?;
    let names = said::Names::of(&app, customer).await?;
    let wanted = named.clone();
    let read = app
        .replicas
        .read(customer, move |journal| {
            let Some(record) = find(journal, &wanted)? else {
                return Ok(None);
            };
            let Some(seen) = journal.record_view(record)? else {
                return Ok(None);
            };
            let history = journal.history(&Subject::Record(record), None, HISTORY_ROWS)?;
            let mut categories = Categories::default();
            for id in category_ids(&seen) {
                if let Some(category) = journal.record_view(id)? {
                    categories.add(id, &category);
                }
            }
            let others = super::matches::candidates(journal, &seen.conflicts)?;
            Ok(Some((seen, history, categories, others)))
        })
        .await?;
    let Some((seen, history, categories, others)) = read.value else {
        return Err(Refusal::not_found(format!(
            "record {named} of {}; if it is new, the journal may not have it yet",
            names.settings.customer.name
        )));
    };
    let history: Vec<HistoryRow> = history
        .iter()
        .flat_map(|item| said::history_rows(&names, item))
        .collect();
    let history = folded(history);
    let row = said::record_row(&seen);
    Ok(Json(RecordView {
        customer_id: customer,
        shops: columns(&names, &seen),
        fields: fields(&names, &seen, &categories),
        history,
        conflicts: seen
            .conflicts
            .iter()
            .map(|conflict: &ConflictRow| {
                said::conflict(&names, customer, conflict, Some(row.clone()), &others)
            })
            .collect(),
        as_of: read.as_of,
        row,
    }))
}

/// By our id, or by its key: a SKU, a category's path.
fn find(journal: &Journal, named: &str) -> Result<Option<RecordId>, JournalError> {
    if let Some(found) = journal.record_by_key(named)? {
        return Ok(Some(found));
    }
    Ok(named.parse().ok())
}

/// What categories are called, by our ids and by each shop's: people want their names.
#[derive(Default)]
struct Categories {
    ours: BTreeMap<String, String>,
    theirs: BTreeMap<(ShopId, String), String>,
}

impl Categories {
    fn add(&mut self, id: RecordId, category: &Seen) {
        let name = said::record_name(category);
        for (shop, side) in &category.shops {
            if let Some(their_id) = &side.id {
                self.theirs
                    .insert((*shop, their_id.to_string()), name.clone());
            }
        }
        self.ours.insert(id.to_string(), name);
    }

    /// An id that is not known stays what it is.
    fn named(&self, shop: Option<ShopId>, value: &Value) -> String {
        let ids: Vec<String> = match value {
            Value::List(ids) => ids.clone(),
            other => vec![fields::value_text(other)],
        };
        let named: Vec<String> = ids
            .into_iter()
            .map(|id| {
                let known = match shop {
                    Some(shop) => self.theirs.get(&(shop, id.clone())),
                    None => self.ours.get(&id),
                };
                known.cloned().unwrap_or(id)
            })
            .collect();
        named.join(", ")
    }
}

fn category_ids(seen: &Seen) -> BTreeSet<RecordId> {
    let ours = seen
        .ours
        .iter()
        .filter(|(path, _)| matches!(path.field(), Some(Field::Categories | Field::Parent)));
    ours.flat_map(|(_, value)| {
        let list = value.as_list().iter().map(String::as_str);
        list.chain(value.as_text())
            .filter_map(|id| id.parse().ok())
            .collect::<Vec<_>>()
    })
    .collect()
}

/// All shops of the customer, and those that it once had and that still have the record.
fn columns(names: &said::Names, seen: &Seen) -> Vec<ShopColumn> {
    let connected = names
        .settings
        .customer_has_services
        .iter()
        .map(|link| link.service_id);
    let mut shops: Vec<ShopId> = connected.collect();
    shops.extend(
        seen.shops
            .keys()
            .filter(|shop| !shops.contains(shop))
            .copied()
            .collect::<Vec<_>>(),
    );
    shops
        .into_iter()
        .map(|shop| ShopColumn {
            shop,
            name: names.shop(shop),
            id: seen
                .shops
                .get(&shop)
                .filter(|side| !side.gone)
                .and_then(|side| side.id.as_ref())
                .map(ToString::to_string),
        })
        .collect()
}

fn fields(names: &said::Names, seen: &Seen, categories: &Categories) -> Vec<FieldRow> {
    let mut paths: BTreeSet<_> = seen.ours.keys().collect();
    for side in seen.shops.values() {
        paths.extend(side.held.keys());
    }
    // That a variant is there is shown by its other fields.
    paths.retain(|path| {
        !matches!(
            path.field(),
            Some(Field::Variant {
                field: VariantField::Present,
                ..
            })
        )
    });
    let text = |path: &Path, shop: Option<ShopId>, value: &Value| match path.field() {
        Some(Field::Categories | Field::Parent) => categories.named(shop, value),
        _ => fields::value_text(value),
    };
    paths
        .into_iter()
        .map(|path| FieldRow {
            path: called(path, &seen.ours).as_str().to_owned(),
            values: seen
                .shops
                .iter()
                .filter(|(_, side)| !side.gone)
                .filter_map(|(shop, side)| {
                    let held = side.held.get(path)?;
                    Some((*shop, text(path, Some(*shop), held)))
                })
                .collect(),
            ours: seen.ours.get(path).map(|ours| text(path, None, ours)),
            decides: names.decides(path),
        })
        .collect()
}

pub async fn explain(
    State(app): State<AppState>,
    person: Person,
    extract::Path((customer, sku)): extract::Path<(CustomerId, String)>,
) -> Answer<Json<StockExplained>> {
    person.may(Role::Viewer, customer)?;
    let names = said::Names::of(&app, customer).await?;
    let shops: Vec<ShopId> = names
        .settings
        .services
        .iter()
        .map(|service| service.id)
        .collect();
    let wanted = Sku(sku.clone());
    let read = app
        .replicas
        .read(customer, move |journal| {
            let Some(explanation) = journal.ledger(&wanted)? else {
                return Ok(None);
            };
            let mut identities: BTreeMap<ShopId, ShopIdentity> = BTreeMap::new();
            for shop in shops {
                if let Some(identity) = journal.identity(shop)? {
                    identities.insert(shop, identity);
                }
            }
            Ok(Some((explanation, identities)))
        })
        .await?;
    let Some((explanation, identities)) = read.value else {
        return Err(Refusal::not_found(format!(
            "stock of \"{sku}\" at {}; SKUs are kept as given: spaces and case count",
            names.settings.customer.name
        )));
    };
    Ok(Json(StockExplained {
        customer_id: customer,
        sku,
        stocks: said::stocks(&names, &explanation, &identities),
        as_of: read.as_of,
    }))
}
