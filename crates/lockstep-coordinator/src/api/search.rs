//! The search box: records and orders of all customers that a person sees, from one table.

use super::{Person, limit};
use crate::{
    AppState,
    extract::{Json, Query},
    refusal::Answer,
};
use axum::extract::State;
use lockstep_model::{OrderKey, RecordId};
use lockstep_protocol::people::{ListQuery, Page, login::Role, search::SearchHitView};
use lockstep_storage::ORDER;

/// Keys that begin so come first, then titles that have all of these words.
pub async fn show(
    State(app): State<AppState>,
    person: Person,
    Query(query): Query<ListQuery>,
) -> Answer<Json<Page<SearchHitView>>> {
    person.needs(Role::Viewer)?;
    let limit = limit(query.limit);
    let typed = query.query.unwrap_or_default();
    // An order's number is often told with the sign.
    let text = typed.trim().trim_start_matches('#');
    let hits = app
        .storage
        .search(person.me.customer_id, text, limit as u64 + 1)
        .await?;
    let hits = hits.into_iter().filter_map(|hit| {
        let customer = app.view.customer(hit.customer)?;
        if customer.deleted {
            return None;
        }
        let order = (hit.row.kind == ORDER).then(|| OrderKey::parse(&hit.row.title));
        let order = order.flatten().map(|key| key.to_string());
        Some(SearchHitView {
            customer_id: hit.customer,
            customer_name: customer.name,
            record: order.is_none().then_some(RecordId(hit.row.record)),
            title: match order {
                Some(_) => String::new(),
                None => hit.row.title,
            },
            order,
            kind: hit.row.kind,
            key: hit.row.key,
        })
    });
    let mut items: Vec<SearchHitView> = hits.collect();
    let more = items.len() > limit;
    items.truncate(limit);
    Ok(Json(Page {
        items,
        // There is no second page: more letters find fewer.
        next: more.then(|| "more".to_owned()),
    }))
}
