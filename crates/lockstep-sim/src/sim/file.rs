//! What a process asks of its own file.

use jiff::Timestamp;
use lockstep_engine::{Effect, Event};
use lockstep_journal::{Journal, PlanRow};
use lockstep_model::{Kind, RemoteId};

pub(super) fn ask_file(journal: &mut Journal, effect: Effect, clock: Timestamp) -> Option<Event> {
    Some(match effect {
        Effect::Stage {
            lane,
            shop,
            records,
            left_at,
            ..
        } => {
            let staged = journal.stage_page(shop, records, left_at);
            let summary = staged.expect("a page is staged");
            Event::Staged {
                lane,
                shop,
                changed: summary.changed,
            }
        }
        // The root category of our own is asked for by settings that are not simulated.
        Effect::LoadUndo { run, after, limit } => Event::UndoLoaded(
            journal
                .load_undo(run, after, limit)
                .expect("what a run wrote is loaded"),
        ),
        Effect::LoadRecords { records, root } => Event::CatalogueLoaded(
            journal
                .load_records(&records, root.as_ref(), clock)
                .expect("what a run wrote is loaded"),
        ),
        Effect::LoadCatalogue {
            kind,
            share,
            after,
            limit,
            root: _,
        } => Event::CatalogueLoaded(
            journal
                .load_share(kind, share, after.as_deref(), limit, clock)
                .expect("a chunk is loaded"),
        ),
        Effect::LoadOrders {
            after,
            limit,
            receivers,
        } => Event::OrdersLoaded(
            journal
                .load_orders(after.as_ref(), limit, clock, &receivers)
                .expect("orders are loaded"),
        ),
        Effect::LoadStock {
            after,
            limit,
            count,
        } => Event::StockLoaded(
            journal
                .load_stock(after.as_ref(), limit, count)
                .expect("levels are loaded"),
        ),
        Effect::LoadClosing {
            after,
            before,
            limit,
        } => Event::ClosingLoaded(
            journal
                .load_closing(after.as_ref(), before, limit)
                .expect("orders that are over are loaded"),
        ),
        Effect::ReadAgainList {
            lane,
            shop,
            kind,
            limit,
        } => {
            let ids = match kind {
                Kind::Level => {
                    let items = journal.items_to_read(shop, None, limit);
                    let items = items.expect("levels to read");
                    items.into_iter().map(|item| RemoteId(item.0)).collect()
                }
                Kind::Order => {
                    let orders = journal.orders_to_read(shop, None, limit);
                    let orders = orders.expect("orders to read");
                    orders.into_iter().filter_map(|order| order.id).collect()
                }
                Kind::Product | Kind::Category => journal
                    .records_to_read(shop, kind, None, limit)
                    .expect("records to read"),
            };
            Event::ReadAgain {
                lane,
                shop,
                kind,
                ids,
            }
        }
        Effect::SavePlan { run, rows } => {
            let rows: Vec<PlanRow> = rows
                .into_iter()
                .map(|(ord, decision)| PlanRow {
                    ord,
                    body: serde_json::to_string(&decision).expect("a plan's row"),
                })
                .collect();
            journal.save_plan(run, &rows).expect("a plan is saved");
            return None;
        }
        Effect::LoadPlan { run, after, limit } => {
            let rows = journal.load_plan(run, after, limit);
            let rows = rows.expect("a plan is loaded").into_iter().map(|row| {
                let decision = serde_json::from_str(&row.body);
                (row.ord, decision.expect("a plan's row is whole"))
            });
            Event::PlanLoaded {
                rows: rows.collect(),
            }
        }
        Effect::DropPlan { run } => {
            journal.clear_plan(run).expect("a plan is dropped");
            return None;
        }
        _ => return None,
    })
}
