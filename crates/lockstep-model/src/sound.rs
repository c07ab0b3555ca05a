//! What a shop says that can be reckoned with. Whatever comes from a shop is held against this before it is kept, so that
//! nothing later has to ask whether a sum of it is a number.

use crate::{Level, Order, OrderState, Product, Record, Sku};
use rust_decimal::Decimal;
use std::collections::BTreeSet;

/// 10^12: no shop has more units of anything, and no price or total is higher. Sums of millions of such numbers, and the
/// product of two, are numbers still.
pub const NUMBER_MAX: Decimal = Decimal::from_parts(0xd4a5_1000, 0xe8, 0, false, 0);

impl Record {
    /// Why nothing can be decided by it, for people. `None`: it is sound.
    pub fn unsound(&self) -> Option<String> {
        match self {
            Record::Product(product) => of_product(product),
            Record::Level(level) => of_level(level),
            Record::Order(order) => of_order(order),
            Record::Category(_) | Record::Gone { .. } => None,
        }
    }
}

fn is_sound(number: Decimal) -> bool {
    number.abs() <= NUMBER_MAX
}

fn beyond(what: &str) -> String {
    format!("{what} is a number beyond all bounds: put it right in the shop")
}

fn of_product(product: &Product) -> Option<String> {
    let mut skus: BTreeSet<&Sku> = BTreeSet::new();
    for variant in &product.variants {
        let sku = &variant.sku;
        if !sku.as_str().is_empty() && !skus.insert(sku) {
            return Some(format!(
                "two of its variants bear the SKU \"{sku}\": none of it is synced until each has its own in the shop"
            ));
        }
        let prices = variant.prices.values().chain(variant.sale_prices.values());
        if !prices.copied().all(is_sound) {
            return Some(beyond(&format!("a price of {sku}")));
        }
        if !variant.weight_g.is_none_or(is_sound) {
            return Some(beyond(&format!("the weight of {sku}")));
        }
    }
    None
}

fn of_level(level: &Level) -> Option<String> {
    let numbers = [level.on_hand, level.reserved, level.set_aside];
    (!numbers.into_iter().all(is_sound)).then(|| beyond(&format!("the stock of {}", level.sku)))
}

fn of_order(order: &Order) -> Option<String> {
    let OrderState {
        lines,
        charges,
        total,
        tax_by_rate,
        parcels,
        refunds,
        discounts,
        ..
    } = &order.state;
    let of_lines = lines.iter().flat_map(|line| {
        [
            line.quantity,
            line.unit_price,
            line.net,
            line.tax,
            line.gross,
            line.tax_rate,
            line.discount,
            line.taken,
            line.shipped,
            line.cancelled,
            line.returned,
            line.written_off,
        ]
    });
    let of_charges = charges
        .iter()
        .flat_map(|charge| [charge.net, charge.tax, charge.gross, charge.tax_rate]);
    let of_taxes = tax_by_rate.iter().flat_map(|(rate, tax)| [*rate, *tax]);
    let of_parcels = parcels.iter().flat_map(|parcel| parcel.lines.values());
    let of_refunds = refunds.iter().flat_map(|refund| {
        let units = refund.lines.values().copied();
        units.chain([refund.amount, refund.charges])
    });
    let of_discounts = discounts.iter().map(|discount| discount.amount);
    let mut numbers = of_lines
        .chain(of_charges)
        .chain(of_taxes)
        .chain(of_parcels.copied())
        .chain(of_refunds)
        .chain(of_discounts)
        .chain([*total]);
    (!numbers.all(is_sound)).then(|| beyond("an amount or a quantity of it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Variant;

    fn product(skus: [&str; 2], price: Decimal) -> Record {
        let variants = skus.map(|sku| Variant {
            sku: sku.into(),
            prices: [("EUR".into(), price)].into(),
            ..Variant::default()
        });
        Record::Product(Product {
            variants: variants.into(),
            ..Product::default()
        })
    }

    #[test]
    fn c12_a_product_with_one_sku_twice_is_not_folded_but_said() {
        let twice = product(["KH-1", "KH-1"], Decimal::TEN).unsound();
        assert!(twice.is_some_and(|why| why.contains("bear the SKU \"KH-1\"")));
        assert_eq!(product(["KH-1", "KH-2"], Decimal::TEN).unsound(), None);
    }

    #[test]
    fn c12_a_number_beyond_all_bounds_is_no_number_of_a_shop() {
        assert_eq!(NUMBER_MAX.to_string(), "1000000000000");
        let units = |on_hand: Decimal| {
            Record::Level(Level {
                item: "".into(),
                variant: None,
                sku: "KH-1".into(),
                stock: "main".into(),
                inventory: None,
                on_hand,
                reserved: Decimal::ZERO,
                set_aside: Decimal::ZERO,
                version: None,
                location: None,
                modified_at: None,
            })
        };
        let huge: Decimal = "10000000000000000000000000000".parse().unwrap();
        for number in [huge, -huge, Decimal::MAX] {
            assert!(units(number).unsound().is_some(), "{number}");
            assert!(product(["KH-1", "KH-2"], number).unsound().is_some());
        }
        assert_eq!(units(NUMBER_MAX).unsound(), None);
    }
}
