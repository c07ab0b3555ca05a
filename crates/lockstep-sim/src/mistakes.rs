//! Bugs that somebody could write, each switched on at a seam that the simulation owns: what the engine is told of
//! shops and files, what becomes of what it asks for, what a connector makes of a change. The engine itself stays
//! as it is. A checker has to catch each of them: that is what shows that the checkers have teeth.

use crate::scenario::ERP;
use lockstep_engine::{Event, LevelWrites, Rules};
use lockstep_model::cases::{CatalogueChunk, LineCase, LineSide, OpenIntent, StockChunk};
use lockstep_model::entry::{Body, Movement, What};
use lockstep_model::settings::StockId;
use lockstep_model::{
    Change, Fields, OrderKey, OrderStep, Payment, Record, RemoteId, ShopId, Takes, Value,
};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    SkipTheIntent,
    IntentNotAcknowledged,
    CompareWithTheBase,
    AbsoluteWriteIgnoresOrders,
    StockWriteRepeated,
    EpochUnchecked,
    CursorBeforeCommit,
    CopyCountedAsSale,
    ShipmentCountedAsSale,
    ErpWrittenForUnitsInTransit,
    CancelGivenBackTwice,
    ReturnCountedInBothShops,
    FreeNumberWrittenAsPhysical,
    CopyImportedAsAnOrder,
    OwnValueReadAsAnEdit,
    StockIntentMatchedByValue,
    SearchTooEarly,
    UnsettledIntentOverwritten,
    NotPutBackIgnored,
    OpeningDateIgnored,
    AuthorisedCountsAsPaid,
    TrackingLost,
    BufferOffTheOwnerToo,
    OrdersNotReadAgain,
    RestOfBatchDropped,
    CursorOfStoppedRunMoves,
    NotFoundNotDueAgain,
}

impl Mistake {
    pub const ALL: [Mistake; 27] = [
        Mistake::SkipTheIntent,
        Mistake::IntentNotAcknowledged,
        Mistake::CompareWithTheBase,
        Mistake::AbsoluteWriteIgnoresOrders,
        Mistake::StockWriteRepeated,
        Mistake::EpochUnchecked,
        Mistake::CursorBeforeCommit,
        Mistake::CopyCountedAsSale,
        Mistake::ShipmentCountedAsSale,
        Mistake::ErpWrittenForUnitsInTransit,
        Mistake::CancelGivenBackTwice,
        Mistake::ReturnCountedInBothShops,
        Mistake::FreeNumberWrittenAsPhysical,
        Mistake::CopyImportedAsAnOrder,
        Mistake::OwnValueReadAsAnEdit,
        Mistake::StockIntentMatchedByValue,
        Mistake::SearchTooEarly,
        Mistake::UnsettledIntentOverwritten,
        Mistake::NotPutBackIgnored,
        Mistake::OpeningDateIgnored,
        Mistake::AuthorisedCountsAsPaid,
        Mistake::TrackingLost,
        Mistake::BufferOffTheOwnerToo,
        Mistake::OrdersNotReadAgain,
        Mistake::RestOfBatchDropped,
        Mistake::CursorOfStoppedRunMoves,
        Mistake::NotFoundNotDueAgain,
    ];

    /// What the engine is told that shops can do.
    pub fn in_rules(self, rules: &mut Rules) {
        for (shop, each) in &mut rules.shops {
            match self {
                Mistake::AbsoluteWriteIgnoresOrders => {
                    each.abilities.level_writes = LevelWrites::CompareAndSet;
                }
                Mistake::OpeningDateIgnored => each.link.orders_from = None,
                Mistake::SearchTooEarly => each.abilities.settles_after_ms = 0,
                Mistake::ErpWrittenForUnitsInTransit if *shop == ERP => {
                    each.identity.stock.copies_take = Takes::Never;
                }
                _ => {}
            }
        }
    }

    /// What the engine is told has happened.
    pub fn in_event(self, event: &mut Event) {
        match (self, event) {
            (Mistake::CompareWithTheBase, Event::CatalogueLoaded(chunk)) => base_for_shadow(chunk),
            (Mistake::OwnValueReadAsAnEdit, Event::CatalogueLoaded(chunk)) => forget_values(chunk),
            (Mistake::UnsettledIntentOverwritten, Event::CatalogueLoaded(chunk)) => {
                for known in chunk.clusters.iter_mut().flat_map(|each| &mut each.known) {
                    known.shops.values_mut().for_each(|at| at.open.clear());
                }
            }
            (Mistake::UnsettledIntentOverwritten, Event::OrdersLoaded(chunk)) => {
                chunk.cases.iter_mut().for_each(|case| case.open.clear());
            }
            (Mistake::UnsettledIntentOverwritten, Event::StockLoaded(chunk)) => {
                for case in &mut chunk.cases {
                    case.levels.values_mut().for_each(|at| at.open.clear());
                }
            }
            (Mistake::CopyCountedAsSale, Event::StockLoaded(chunk)) => {
                count_again(chunk, |line| {
                    let side = side_of(line, ERP).filter(|_| line.order.shop != ERP)?;
                    Some((ERP, side))
                });
            }
            (Mistake::ShipmentCountedAsSale, Event::StockLoaded(chunk)) => {
                count_again(chunk, |line| {
                    let side = side_of(line, line.order.shop)?;
                    let taken = LineSide {
                        taken: side.wanted,
                        ..side
                    };
                    (side.done && !side.wanted.is_zero()).then_some((line.order.shop, taken))
                });
            }
            (Mistake::StockIntentMatchedByValue, Event::StockLoaded(chunk)) => {
                let cases = chunk.cases.iter_mut();
                for at in cases.flat_map(|case| case.levels.values_mut()) {
                    for intent in &mut at.open {
                        if let What::Level { was_taken, .. } = &mut intent.what {
                            *was_taken = at.taken;
                        }
                    }
                }
            }
            (
                Mistake::CopyImportedAsAnOrder,
                Event::Pulled {
                    result: Ok(page), ..
                },
            ) => {
                for record in page.records.iter_mut().flatten() {
                    if let Record::Order(order) = record {
                        order.state.key = None;
                    }
                }
            }
            (
                Mistake::AuthorisedCountsAsPaid,
                Event::Pulled {
                    result: Ok(page), ..
                },
            ) => {
                for record in page.records.iter_mut().flatten() {
                    if let Record::Order(order) = record
                        && order.state.payment == Payment::Authorized
                    {
                        order.state.payment = Payment::Paid;
                    }
                }
            }
            _ => {}
        }
    }

    /// What becomes of entries on their way to the journal.
    pub fn in_entries(
        self,
        bodies: &mut Vec<Body>,
        returned: &mut BTreeMap<(OrderKey, RemoteId), i64>,
    ) {
        match self {
            Mistake::SkipTheIntent => {
                bodies.retain(|body| !matches!(body, Body::Intended { .. }));
            }
            Mistake::ReturnCountedInBothShops => {
                let mut more = Vec::new();
                for body in bodies.iter() {
                    let Body::OrderSeen {
                        shop, order, state, ..
                    } = body
                    else {
                        continue;
                    };
                    for line in state.lines.iter().filter(|_| *shop != ERP) {
                        let (Some(sku), Ok(now)) = (&line.sku, i64::try_from(line.returned)) else {
                            continue;
                        };
                        let line = (order.clone(), line.id.clone());
                        let before = returned.insert(line, now).unwrap_or_default();
                        if now > before {
                            more.push(Body::BaseMoved {
                                item: sku.into(),
                                stock: StockId::default(),
                                delta: (now - before).into(),
                                cause: Movement::Unexplained {
                                    shop: *shop,
                                    emptied: false,
                                },
                            });
                        }
                    }
                }
                bodies.extend(more);
            }
            _ => {}
        }
    }

    /// What a connector makes of a change.
    pub fn in_change(self, change: &mut Change) {
        match (self, change) {
            (Mistake::FreeNumberWrittenAsPhysical, Change::SetLevel { was, on_hand, .. }) => {
                *on_hand -= was.reserved;
            }
            (
                Mistake::NotPutBackIgnored,
                Change::StepOrder {
                    step: OrderStep::Refund { restock, .. } | OrderStep::CancelUnits { restock, .. },
                    ..
                },
            ) => *restock = true,
            (
                Mistake::TrackingLost,
                Change::StepOrder {
                    step: OrderStep::Ship { tracking, .. },
                    ..
                },
            ) => *tracking = None,
            _ => {}
        }
    }
}

fn base_for_shadow(chunk: &mut CatalogueChunk) {
    for known in chunk.clusters.iter_mut().flat_map(|each| &mut each.known) {
        for at in known.shops.values_mut().filter(|at| at.id.is_some()) {
            at.held = known.ours.clone();
        }
    }
}

fn forget_values(chunk: &mut CatalogueChunk) {
    let known = chunk.clusters.iter_mut().flat_map(|each| &mut each.known);
    let sides = known.flat_map(|known| known.shops.values_mut());
    for OpenIntent { what, .. } in sides.flat_map(|at| &mut at.open) {
        if let What::Set { set } = what {
            let emptied: Fields = set.keys().map(|k| (k.clone(), Value::Empty)).collect();
            *set = emptied;
        }
    }
}

/// Shops have one stock here.
fn side_of(line: &LineCase, shop: ShopId) -> Option<LineSide> {
    line.sides.get(&shop)?.values().next().copied()
}

/// Adds lines of orders that do not exist.
fn count_again(chunk: &mut StockChunk, again: impl Fn(&LineCase) -> Option<(ShopId, LineSide)>) {
    for case in &mut chunk.cases {
        let more: Vec<LineCase> = case
            .lines
            .iter()
            .filter_map(|line| {
                let (shop, side) = again(line)?;
                let mut line = line.clone();
                line.order.shop = shop;
                line.order.id = RemoteId(format!("{}-again", line.order.id));
                line.sides = [(shop, [(StockId::default(), side)].into())].into();
                Some(line)
            })
            .collect();
        case.lines.extend(more);
    }
}
