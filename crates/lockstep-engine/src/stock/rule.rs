//! The rule's arithmetic, for one SKU in one stock. Pure sums, no shop is written here.

use crate::rules::Rules;
use lockstep_model::cases::LineCase;
use lockstep_model::{Flow, ShopId, Takes};
use rust_decimal::Decimal;

/// Units that a line takes out of the pool: once, wherever the order lives.
pub fn committed(line: &LineCase, rules: &Rules) -> Decimal {
    let origin = line.order.shop;
    let owner = rules.stock_owner();
    if line.before_opening && Some(origin) != owner {
        return Decimal::ZERO;
    }
    // Once the owner's copy is shipped, cancelled or returned, what the owner says is all there is to it; unless its
    // copies never take stock: then it says nothing (docs/adr/0002).
    let owner_speaks = owner
        .and_then(|owner| rules.shops.get(&owner))
        .is_some_and(|shop| shop.stock().copies_take != Takes::Never);
    if let Some(owner) = owner
        && owner_speaks
        && owner != origin
        && let Some(side) = line.sides.get(&owner)
        && side.done
    {
        return side.taken;
    }
    let taken = line
        .sides
        .iter()
        .filter(|(shop, _)| !(is_called_off(line) && **shop == origin && owner != Some(origin)))
        .map(|(_, side)| side.taken)
        .max()
        .unwrap_or_default();
    // Where the origin takes late and shows no reservation, an accepted order counts from acceptance.
    let takes_late = rules.shops.get(&origin).is_some_and(|shop| {
        matches!(
            shop.stock().takes,
            Takes::Payment | Takes::Shipment | Takes::Never
        )
    });
    match line.sides.get(&origin) {
        Some(side) if takes_late && line.accepted => taken.max(side.wanted),
        _ => taken,
    }
}

/// Cancelled in its origin. The goods never left, so what counts is what the owner's side of it still holds: a shop
/// that does not put cancelled units back keeps its own number low, which its target then corrects.
fn is_called_off(line: &LineCase) -> bool {
    !line.accepted
        && line
            .sides
            .get(&line.order.shop)
            .is_some_and(|side| side.done && side.wanted.is_zero())
}

pub fn pool(base: Decimal, lines: &[LineCase], rules: &Rules) -> Decimal {
    base - lines
        .iter()
        .map(|line| committed(line, rules))
        .sum::<Decimal>()
}

/// Committed units of orders that this shop holds, or is about to be given, and that it has not taken yet but will.
pub fn pending(shop: ShopId, lines: &[LineCase], rules: &Rules) -> Decimal {
    let Some(shop_rules) = rules.shops.get(&shop) else {
        return Decimal::ZERO;
    };
    let semantics = shop_rules.stock();
    lines
        .iter()
        .map(|line| {
            let is_origin = line.order.shop == shop;
            let takes = if is_origin {
                semantics.takes
            } else {
                semantics.copies_take
            };
            if takes == Takes::Never {
                return Decimal::ZERO;
            }
            let side = line.sides.get(&shop);
            if side.is_some_and(|side| side.done) {
                return Decimal::ZERO;
            }
            let comes = rules.orders_into() == Some(shop)
                && !line.before_opening
                && rules.flow_is_on(Flow::Orders);
            if side.is_none() && !is_origin && !comes && !line.on_its_way.contains(&shop) {
                return Decimal::ZERO;
            }
            let taken = side.map_or(Decimal::ZERO, |side| side.taken);
            (committed(line, rules) - taken).max(Decimal::ZERO)
        })
        .sum()
}

/// What this shop's `available` shall be.
pub fn target(shop: ShopId, base: Decimal, lines: &[LineCase], rules: &Rules) -> Decimal {
    let units = pool(base, lines, rules) + pending(shop, lines, rules);
    let policy = &rules.settings.policies.stock;
    let buffered = match policy.buffer.get(&shop) {
        Some(buffer) if rules.stock_owner() != Some(shop) => (units - buffer).max(Decimal::ZERO),
        _ => units,
    };
    match rules.shops.get(&shop) {
        Some(rules) if !rules.stock().negative => buffered.max(Decimal::ZERO),
        _ => buffered,
    }
}
