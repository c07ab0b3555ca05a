//! What has to be carried from one side of an order to the other. Only status, fulfilment, tracking, cancel and
//! refund travel; each step is the difference between the two sides, so a step that was done is not found again.

use lockstep_model::{Fulfilment, OrderState, OrderStep, Payment, RemoteId, Sku};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// The step that brings `to` nearer to `from`, if any. `back`: from the copy to its origin. `captures`: money that was
/// promised in the origin is taken once its goods have left.
pub fn step(from: &OrderState, to: &OrderState, back: bool, captures: bool) -> Option<OrderStep> {
    if to.cancelled {
        return None;
    }
    if from.cancelled {
        return (to.fulfilment == Fulfilment::Open).then_some(OrderStep::Cancel);
    }
    // Money is received where the buyer is.
    if !back && from.payment >= Payment::Paid && to.payment < Payment::Paid {
        return Some(OrderStep::Pay);
    }
    let shipped = missing(from, to, |line| line.shipped);
    if !shipped.is_empty() {
        let parcel = from.parcels.iter().rev().find(|parcel| {
            !to.parcels
                .iter()
                .any(|known| known.tracking.is_some() && known.tracking == parcel.tracking)
        });
        return Some(OrderStep::Ship {
            parcel: parcel.map_or_else(RemoteId::default, |parcel| parcel.id.clone()),
            carrier: parcel.and_then(|parcel| parcel.carrier.clone()),
            tracking: parcel.and_then(|parcel| parcel.tracking.clone()),
            lines: shipped,
        });
    }
    let has_left = to.fulfilment == Fulfilment::Shipped;
    if back && captures && has_left && to.payment == Payment::Authorized {
        return Some(OrderStep::Pay);
    }
    let returned = missing(from, to, |line| line.returned);
    if !returned.is_empty() {
        // Put back there means put back here too: what still is taken was not given back.
        let kept: Decimal = from
            .lines
            .iter()
            .filter(|line| {
                line.sku
                    .as_ref()
                    .is_some_and(|sku| returned.contains_key(sku))
            })
            .map(|line| line.taken - (line.quantity - line.cancelled - line.returned))
            .sum();
        return Some(OrderStep::Refund {
            lines: returned,
            restock: kept <= Decimal::ZERO,
        });
    }
    None
}

/// Shipped on one side, cancelled on the other: a person decides.
pub fn contradicts(one: &OrderState, other: &OrderState) -> bool {
    one.cancelled && !other.cancelled && other.fulfilment != Fulfilment::Open
}

fn missing(
    from: &OrderState,
    to: &OrderState,
    count: impl Fn(&lockstep_model::OrderLine) -> Decimal,
) -> BTreeMap<Sku, Decimal> {
    let sum = |order: &OrderState| {
        let mut sums: BTreeMap<Sku, Decimal> = BTreeMap::new();
        for line in &order.lines {
            if let Some(sku) = &line.sku {
                *sums.entry(sku.clone()).or_default() += count(line);
            }
        }
        sums
    };
    let there = sum(to);
    sum(from)
        .into_iter()
        .filter_map(|(sku, units)| {
            let missing = units - there.get(&sku)?;
            (missing > Decimal::ZERO).then_some((sku, missing))
        })
        .collect()
}
