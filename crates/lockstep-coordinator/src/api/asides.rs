//! What stands aside: records, levels and orders that could not be dealt with.

use super::{Person, said};
use crate::{
    AppState,
    extract::{Json, Path},
    refusal::Answer,
};
use axum::extract::State;
use lockstep_journal::{AsideRow, Journal, JournalError};
use lockstep_model::{
    CustomerId, FaultKind,
    entry::{AsideSubject, Subject},
};
use lockstep_protocol::{
    bounds::PAGE_ROWS_MAX,
    people::{Page, asides::AsideView, login::Role},
};

pub async fn list(
    State(app): State<AppState>,
    person: Person,
    Path(customer): Path<CustomerId>,
) -> Answer<Json<Page<AsideView>>> {
    person.may(Role::Viewer, customer)?;
    let names = said::Names::of(&app, customer).await?;
    let read = app
        .replicas
        .read(customer, move |journal| {
            let rows = journal.asides(PAGE_ROWS_MAX)?;
            let rows = rows.into_iter();
            rows.map(|row| {
                let sku = match &row.subject {
                    AsideSubject::Subject(Subject::Level { item, .. }) => {
                        Some(journal.sku_of(item)?.0)
                    }
                    _ => None,
                };
                Ok((called(journal, &row)?, sku, row))
            })
            .collect::<Result<Vec<_>, JournalError>>()
        })
        .await?;
    let views = read.value.into_iter().map(|(what, sku, row)| {
        let (record, order) = match row.subject {
            AsideSubject::Subject(Subject::Record(record)) => (Some(record), None),
            AsideSubject::Subject(Subject::Order(order)) => (None, Some(order.to_string())),
            AsideSubject::Subject(
                Subject::Level { .. } | Subject::Shop(_) | Subject::Levels | Subject::Catalogue,
            )
            | AsideSubject::Remote { .. } => (None, None),
        };
        AsideView {
            shop: row.shop,
            shop_name: names.shop(row.shop),
            what,
            record,
            sku,
            order,
            advice: advice(&row.fault.kind).to_owned(),
            kind: row.fault.kind,
            why: row.fault.message,
            retry_at: row.retry_at,
            tries: row.tries,
            at: row.at,
        }
    });
    Ok(Json(Page::whole(views.collect())))
}

fn advice(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Auth => "Replace the shop's key.",
        FaultKind::Forbidden => "Give the key the missing right in the shop's admin.",
        FaultKind::Invalid { .. } => "Mend the field where it is decided, or the rule in the shop.",
        FaultKind::Duplicate { .. } => {
            "Another record there bears the same key: make one of them different, or remove it."
        }
        FaultKind::NotFound => {
            "It is gone there: make it again there, or take it out of the assortment."
        }
        FaultKind::Conflict => "It moved meanwhile and is read again by itself.",
        FaultKind::RateLimited { .. } | FaultKind::Unavailable | FaultKind::Timeout => {
            "Nothing to do: it is tried again by itself."
        }
        FaultKind::UnknownOutcome => "It is looked at before anything is repeated.",
        FaultKind::Protocol => "The shop answers what its platform does not say; look at its log.",
    }
}

fn called(journal: &Journal, row: &AsideRow) -> Result<String, JournalError> {
    Ok(match &row.subject {
        AsideSubject::Subject(Subject::Record(record)) => match journal.record_view(*record)? {
            Some(view) => said::record_name(&view),
            None => format!("record {record}"),
        },
        AsideSubject::Subject(Subject::Level { item, .. }) => {
            format!("stock of {}", journal.sku_of(item)?)
        }
        AsideSubject::Subject(Subject::Order(order)) => {
            let known = journal.order_view(order)?;
            let number = known.and_then(|view| view.row.number);
            format!("order {}", number.unwrap_or_else(|| order.id.to_string()))
        }
        AsideSubject::Subject(Subject::Shop(shop)) => format!("shop {shop}"),
        AsideSubject::Subject(Subject::Levels) => "all stock levels".into(),
        AsideSubject::Subject(Subject::Catalogue) => "all records".into(),
        AsideSubject::Remote { kind, id: Some(id) } => {
            format!("{} {id} there, which cannot be read", kind.as_str())
        }
        AsideSubject::Remote { kind, id: None } => {
            format!("a {} that cannot be read", kind.as_str())
        }
    })
}
