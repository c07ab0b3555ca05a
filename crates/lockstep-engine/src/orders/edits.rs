//! An order that was changed after it was copied. An edit of the origin reaches the copy until something of either is
//! shipped; every other difference that no step carries is a question, since the copy's people may have had their reasons.

use super::copy::without;
use super::lines::Side;
use super::steps::{money_differs, to_cancel};
use crate::rules::Rules;
use lockstep_model::cases::OrderCase;
use lockstep_model::entry::{Conflict, Differing, LineDiffers};
use lockstep_model::{
    Edited, Fulfilment, LineLinks, OrderLine, OrderState, OrderStep, RemoteId, ShopId, StepSort,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Differences {
    /// Edits of the origin that are to be carried to the copy.
    pub steps: Vec<OrderStep>,
    /// What only people can say.
    pub asked: Vec<Conflict>,
}

/// Both sides of an order that was copied, and what can be done to each.
pub(super) struct Both<'a> {
    pub case: &'a OrderCase,
    pub links: &'a LineLinks,
    pub origin: &'a Side<'a>,
    pub copy: &'a Side<'a>,
    pub into: ShopId,
    /// Steps that the origin's shop takes, and the copy's.
    pub can: [&'static [StepSort]; 2],
}

pub(super) fn differences(both: &Both<'_>, rules: &Rules) -> Differences {
    let (origin, copy) = (both.origin.order, both.copy.order);
    let mut found = Differences::default();
    let mut ask = |differs| {
        found.asked.push(Conflict::OrderDiffers {
            origin: both.case.order.shop,
            copy: both.into,
            differs,
        });
    };
    if money_differs(origin, copy, both.can) {
        ask(Differing::Refunded {
            origin: origin.refunded(),
            copy: copy.refunded(),
        });
    }
    if origin.cancelled || copy.cancelled {
        return found;
    }
    let is_open = origin.fulfilment == Fulfilment::Open && copy.fulfilment == Fulfilment::Open;
    let can = |sort| both.can[1].contains(&sort);
    if both.case.edits.address {
        if is_open && can(StepSort::Readdress) {
            found.steps.push(OrderStep::Readdress);
        } else {
            ask(Differing::Address);
        }
    }
    let (edited, differing) = lines_that_differ(both, is_open && can(StepSort::Edit));
    let units_differ = !differing.is_empty();
    if units_differ {
        ask(Differing::Units { lines: differing });
    }
    if !edited.is_empty() {
        let lines = edited.into_iter().flat_map(|name| edit(both, name, rules));
        found.steps.push(OrderStep::Edit {
            lines: lines.collect(),
        });
    } else if both.case.edits.total && !units_differ && total_differs(origin, copy) {
        ask(Differing::Total {
            origin: origin.total,
            copy: copy.total,
        });
    }
    found
}

/// By more than rounding.
fn total_differs(one: &OrderState, other: &OrderState) -> bool {
    let parts = one.lines.len() + one.charges.len();
    (one.total - other.total).abs() > one.currency.minor_unit() * Decimal::from(parts)
}

/// The origin's lines to be edited in the copy, and those that are to be asked about.
fn lines_that_differ<'a>(
    both: &Both<'a>,
    takes_edits: bool,
) -> (BTreeSet<&'a RemoteId>, Vec<LineDiffers>) {
    let cancels = |from: &Side<'a>, to: &Side<'a>, can: &[StepSort]| {
        let mut lines = to_cancel(from, to);
        lines.retain(|name, units| {
            can.contains(&StepSort::CancelUnits)
                && to.lines(name).map(OrderLine::open).sum::<Decimal>() >= *units
        });
        lines
    };
    let into_copy = cancels(both.origin, both.copy, both.can[1]);
    let back = cancels(both.copy, both.origin, both.can[0]);
    let (mut edited, mut differing) = (BTreeSet::new(), Vec::new());
    for (name, ours) in &both.origin.units {
        let theirs = both.copy.units.get(name).copied().unwrap_or_default();
        let is_edit = both.case.edits.lines.contains(*name);
        if is_edit && takes_edits {
            edited.insert(*name);
            continue;
        }
        let carried =
            |cancels: &BTreeMap<&RemoteId, Decimal>| cancels.get(name).copied().unwrap_or_default();
        let wanted = theirs.wanted() - carried(&into_copy) - (ours.wanted() - carried(&back));
        let returned = match ours.returned.cmp(&theirs.returned) {
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => both.can[1].contains(&StepSort::Refund),
            std::cmp::Ordering::Less => both.can[0].contains(&StepSort::Refund),
        };
        if wanted.is_zero() && returned {
            continue;
        }
        let line = both.origin.lines(name).chain(both.copy.lines(name)).next();
        differing.push(LineDiffers {
            line: (*name).clone(),
            name: line.map_or_else(String::new, |line| line.name().to_owned()),
            origin: ours.kept(),
            copy: theirs.kept(),
        });
    }
    (edited, differing)
}

/// What the copy's lines that were made of this one shall be; the first stands for all of them.
fn edit(both: &Both<'_>, name: &RemoteId, rules: &Rules) -> Vec<Edited> {
    let policy = &rules.settings.policies.orders;
    let said = |rate: Decimal| {
        let from = both.case.order.shop;
        policy.rate_into(from, rate).unwrap_or(rate)
    };
    let left_out = both.links.left_out.get(name).copied().unwrap_or_default();
    let wanted = both.origin.lines(name).next();
    let wanted = wanted.map(|line| without(line, left_out, &both.origin.order.currency).0);
    let gone = |there: &OrderLine| Edited {
        line: Some(there.id.clone()),
        of: name.clone(),
        sku: there.sku.clone(),
        title: there.title.clone(),
        quantity: Decimal::ZERO,
        unit_price: there.unit_price,
        net: Decimal::ZERO,
        tax: Decimal::ZERO,
        gross: Decimal::ZERO,
        tax_rate: there.tax_rate,
        discount: Decimal::ZERO,
    };
    let mut there = both.copy.lines(name);
    let first = there.next();
    let edited = match (wanted, first) {
        (Some(wanted), first) => Some(Edited {
            line: first.map(|line| line.id.clone()),
            of: name.clone(),
            sku: wanted.sku,
            title: wanted.title,
            quantity: wanted.quantity,
            unit_price: wanted.unit_price,
            net: wanted.net,
            tax: wanted.tax,
            gross: wanted.gross,
            tax_rate: said(wanted.tax_rate),
            discount: wanted.discount,
        }),
        (None, first) => first.map(gone),
    };
    edited.into_iter().chain(there.map(gone)).collect()
}
