//! An order whose units changed after it was copied. An edit of the origin reaches the copy until something of either is
//! shipped; every other difference is a question, since the copy's people may have had their reasons.

use crate::rules::Rules;
use lockstep_model::cases::OrderCase;
use lockstep_model::entry::Conflict;
use lockstep_model::{Edited, Fulfilment, OrderState, OrderStep, ShopId, Sku};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Difference {
    None,
    /// To be carried to the copy.
    Edit(OrderStep),
    /// To be asked about.
    Asked(Conflict),
}

pub(super) fn difference(
    case: &OrderCase,
    origin: &OrderState,
    copy: &OrderState,
    into: ShopId,
    rules: &Rules,
) -> Difference {
    if origin.cancelled || copy.cancelled {
        return Difference::None;
    }
    let (ours, theirs) = (origin.wanted(), copy.wanted());
    let none = Decimal::ZERO;
    // What only the copy has may be charges with a product of their own, or its people's: unless the origin had it.
    let lines: BTreeMap<Sku, (Decimal, Decimal)> = ours
        .keys()
        .chain(&case.edited)
        .map(|sku| {
            let units = |wanted: &BTreeMap<Sku, Decimal>| wanted.get(sku).copied().unwrap_or(none);
            (sku.clone(), (units(&ours), units(&theirs)))
        })
        .filter(|(_, (ours, theirs))| ours != theirs)
        .collect();
    if lines.is_empty() {
        return Difference::None;
    }
    let is_open = origin.fulfilment == Fulfilment::Open && copy.fulfilment == Fulfilment::Open;
    let takes_edits = rules
        .shops
        .get(&into)
        .is_some_and(|shop| shop.abilities.edits_orders);
    let is_the_origin_s = lines.keys().all(|sku| case.edited.contains(sku));
    if is_open && takes_edits && is_the_origin_s {
        let policy = &rules.settings.policies.orders;
        let said = |rate: Decimal| policy.rate_into(case.order.shop, rate).unwrap_or(rate);
        let edited = lines.into_iter().map(|(sku, (units, _))| {
            let line = origin
                .lines
                .iter()
                .find(|line| line.sku.as_ref() == Some(&sku));
            let edited = Edited {
                quantity: units,
                title: line.map(|line| line.title.clone()).unwrap_or_default(),
                unit_price: line.map(|line| line.unit_price).unwrap_or_default(),
                tax_rate: line.map(|line| said(line.tax_rate)).unwrap_or_default(),
            };
            (sku, edited)
        });
        return Difference::Edit(OrderStep::Edit {
            lines: edited.collect(),
        });
    }
    Difference::Asked(Conflict::OrderDiffers {
        origin: case.order.shop,
        copy: into,
        lines,
    })
}
