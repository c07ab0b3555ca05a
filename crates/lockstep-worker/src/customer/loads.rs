//! What the engine asks of the customer's file.

use super::file::{File, FileError};
use crate::clock;
use lockstep_engine::{Effect, Event};
use lockstep_journal::{Journal, JournalError};
use lockstep_model::{Kind, PullRequest, RemoteId, Scope, ShopId};

/// `None`: it is no question to the file.
pub async fn loaded(file: &File, effect: Effect) -> Result<Option<Event>, FileError> {
    Ok(Some(match effect {
        Effect::LoadCatalogue {
            kind,
            share,
            after,
            limit,
            root,
        } => {
            let load = move |journal: &mut Journal| {
                let (after, now) = (after.as_deref(), clock::now());
                match root {
                    Some(root) => journal.load_categories_under(&root, after, limit, now),
                    None => journal.load_share(kind, share, after, limit, now),
                }
            };
            Event::CatalogueLoaded(file.with(load).await?)
        }
        Effect::LoadRecords { records, root } => {
            let load = move |journal: &mut Journal| {
                journal.load_records(&records, root.as_ref(), clock::now())
            };
            Event::CatalogueLoaded(file.with(load).await?)
        }
        Effect::LoadUndo { run, after, limit } => {
            let load = move |journal: &mut Journal| journal.load_undo(run, after, limit);
            Event::UndoLoaded(file.with(load).await?)
        }
        Effect::LoadOrders {
            after,
            limit,
            receivers,
        } => {
            let load = move |journal: &mut Journal| {
                journal.load_orders(after.as_ref(), limit, clock::now(), &receivers)
            };
            Event::OrdersLoaded(file.with(load).await?)
        }
        Effect::LoadStock {
            after,
            limit,
            count,
        } => {
            let load =
                move |journal: &mut Journal| journal.load_stock(after.as_ref(), limit, count);
            Event::StockLoaded(file.with(load).await?)
        }
        Effect::LoadClosing {
            after,
            before,
            limit,
        } => {
            let load =
                move |journal: &mut Journal| journal.load_closing(after.as_ref(), before, limit);
            Event::ClosingLoaded(file.with(load).await?)
        }
        Effect::ReadAgainList {
            lane,
            shop,
            kind,
            limit,
        } => Event::ReadAgain {
            lane,
            shop,
            kind,
            ids: to_be_read(file, shop, kind, limit).await?,
        },
        _ => return Ok(None),
    }))
}

async fn to_be_read(
    file: &File,
    shop: ShopId,
    kind: Kind,
    limit: usize,
) -> Result<Vec<RemoteId>, FileError> {
    file.with(move |journal| match kind {
        Kind::Level => {
            let items = journal.items_to_read(shop, None, limit)?;
            Ok(items.into_iter().map(|item| RemoteId(item.0)).collect())
        }
        Kind::Order => {
            let orders = journal.orders_to_read(shop, None, limit)?;
            Ok(orders.into_iter().filter_map(|order| order.id).collect())
        }
        Kind::Category | Kind::Product => journal.records_to_read(shop, kind, None, limit),
    })
    .await
}

/// Our own names of what a shop shows.
pub(super) async fn named(
    file: &File,
    shop: ShopId,
    mut events: Vec<Event>,
) -> Result<Vec<Event>, FileError> {
    let any = events.iter_mut().any(|event| !event.records().is_empty());
    if !any {
        return Ok(events);
    }
    file.with(move |journal| {
        for record in events.iter_mut().flat_map(Event::records) {
            journal.name_items(shop, record)?;
        }
        Ok::<_, JournalError>(events)
    })
    .await
}

/// Levels are asked for by what their items are called in the shop.
pub(super) async fn asked_by_sku(
    file: &File,
    shop: ShopId,
    request: PullRequest,
) -> Result<PullRequest, FileError> {
    match request {
        PullRequest {
            kind: Kind::Level,
            scope: Scope::Ids(items),
            limit,
        } => {
            let skus = file
                .with(move |journal| journal.skus_at(shop, &items))
                .await?;
            Ok(PullRequest {
                kind: Kind::Level,
                scope: Scope::Ids(skus),
                limit,
            })
        }
        request => Ok(request),
    }
}
