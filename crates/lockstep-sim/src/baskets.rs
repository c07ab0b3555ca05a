//! What buyers put into an order, and what is written on its parcels.

use crate::scenario::{PRODUCTS, sku};
use crate::shop::{Basket, Line};
use crate::sim::Sim;
use crate::topics::Topic;
use crate::world::World;
use lockstep_model::{Charge, ChargeKind, Payment, ShopId, Sku};
use rust_decimal::Decimal;

/// Of the first SKU, and of the others.
const RATES: [(i64, u32); 2] = [(255, 1), (135, 1)];

/// An order of this item, and of what the history's topics put beside it.
pub fn basket(
    sim: &Sim,
    world: &mut World,
    shop: ShopId,
    first: Sku,
    quantity: i64,
    paid: bool,
) -> Basket {
    let has = |topic| world.topics.has(topic);
    let more = &mut world.more;
    let mut skus = vec![(Some(first.clone()), quantity)];
    if has(Topic::SeveralLines) {
        for _ in 0..more.below(3) {
            let other = sku(more.between(1, PRODUCTS));
            let is_new = skus.iter().all(|(known, _)| known.as_ref() != Some(&other));
            if is_new && sim.shops[&shop].levels.contains_key(&other) {
                skus.push((Some(other), more.between(1, 2)));
            }
        }
    }
    if has(Topic::TwinLines) && more.chance(30) {
        skus.push((Some(first), more.between(1, 2)));
    }
    if has(Topic::LinesWithoutStock) && more.chance(30) {
        skus.insert(more.below(2) as usize, (None, 1));
    }
    let lines = skus.into_iter().map(|(sku, quantity)| {
        if !has(Topic::Taxes) {
            return Line::new(sku, quantity, Decimal::TEN, Decimal::ZERO);
        }
        let price = Decimal::new(more.between(95, 4_999), 2);
        Line::new(sku, quantity, price, rate(more.below(2)))
    });
    let lines: Vec<Line> = lines.collect();
    let charges = if has(Topic::Charges) {
        charges(world, &lines)
    } else {
        Vec::new()
    };
    let payment = if paid {
        Payment::Paid
    } else if world.topics.has(Topic::Authorised) && world.more.chance(50) {
        Payment::Authorized
    } else {
        Payment::Pending
    };
    Basket {
        lines,
        charges,
        payment,
        payment_method: None,
        address: 0,
    }
}

fn rate(number: u64) -> Decimal {
    let (digits, scale) = RATES[number as usize % RATES.len()];
    Decimal::new(digits, scale)
}

fn charges(world: &mut World, lines: &[Line]) -> Vec<Charge> {
    let is_taxed = world.topics.has(Topic::Taxes);
    let more = &mut world.more;
    let mut charges = Vec::new();
    for (kind, title, least, most) in [
        (ChargeKind::Shipping, "Post", 290, 990),
        (ChargeKind::Fee, "Invoice", 100, 300),
    ] {
        if more.chance(50) {
            let gross = Decimal::new(more.between(least, most), 2);
            let rate = if is_taxed {
                rate(more.below(2))
            } else {
                Decimal::ZERO
            };
            charges.push(charge(kind, title, gross, rate));
        }
    }
    // One for each rate of the lines: how it is split where a shop does not say so is not for its buyers to know.
    if more.chance(40) {
        let gross: Decimal = lines.iter().map(|line| line.gross).sum();
        let rate = lines.first().map_or(Decimal::ZERO, |line| line.tax_rate);
        let off = (gross / Decimal::TEN).round_dp(2);
        charges.push(charge(ChargeKind::Discount, "Ten off", -off, rate));
    }
    charges
}

fn charge(kind: ChargeKind, title: &str, gross: Decimal, rate: Decimal) -> Charge {
    let tax = crate::shop::tax_within(gross, rate);
    Charge {
        kind,
        title: title.into(),
        net: gross - tax,
        tax,
        gross,
        tax_rate: rate,
    }
}

/// Carrier and number of a parcel: no two are alike.
pub fn label(world: &mut World) -> (Option<String>, Option<String>) {
    if !world.topics.has(Topic::Tracking) {
        return (None, None);
    }
    world.parcels += 1;
    let carriers = ["Posti", "Matkahuolto"];
    let carrier = world.more.pick(&carriers).map(|carrier| (*carrier).into());
    (carrier, Some(format!("JJFI{:04}", world.parcels)))
}
