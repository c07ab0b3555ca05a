//! The copy of an order in the receiver's terms, or the reason why it must wait.

use super::spread::spread_over_rates;
use super::sums::{Sums, check_sums};
use super::words::{check_country, say_countries, say_rates, say_term};
use crate::rules::Rules;
use lockstep_model::cases::Sellable;
use lockstep_model::entry::Hold;
use lockstep_model::settings::{CustomerSettings, StockId};
use lockstep_model::{
    Charge, ChargeKind, NewOrder, Order, OrderKey, OrderLine, OrderState, Person, RemoteId, ShopId,
    Sku,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Composes what shall be made in `into`. `items`: which SKUs the receiver has, and how many of each.
pub fn compose(
    key: &OrderKey,
    origin: &OrderState,
    mut person: Person,
    into: ShopId,
    items: &BTreeMap<Sku, Sellable>,
    rules: &Rules,
) -> Result<NewOrder, Hold> {
    let settings = &rules.settings;
    let customer = &settings.customer;
    let receiver = rules.shops.get(&into);
    for line in &origin.lines {
        match &line.sku {
            None => {
                return Err(Hold::NoSku {
                    title: line.title.clone(),
                });
            }
            Some(sku) if !items.contains_key(sku) => {
                return Err(Hold::UnknownSku {
                    sku: sku.to_string(),
                });
            }
            Some(_) => {}
        }
    }
    let mut state = origin.clone();
    state.charges = spread_over_rates(origin);
    match check_sums(origin) {
        Sums::Exact => {}
        Sums::Rounding(difference) => state.charges.push(Charge {
            kind: ChargeKind::Rounding,
            title: "Rounding".into(),
            net: difference,
            tax: Decimal::ZERO,
            gross: difference,
            tax_rate: Decimal::ZERO,
        }),
        Sums::Off { parts } => {
            return Err(Hold::Sums {
                total: origin.total,
                parts,
            });
        }
    }
    let identity = receiver.map(|receiver| &receiver.identity);
    say_rates(&mut state, key.shop, identity, &settings.policies.orders)?;

    let methods = |listed: bool, own: &Option<RemoteId>, mapped: Option<&str>| match own {
        None => Ok(None),
        Some(id) => match mapped {
            Some(mapped) => Ok(Some(RemoteId::from(mapped))),
            // A receiver that lists none keeps the origin's name for it.
            None if !listed => Ok(Some(id.clone())),
            None => Err(id.clone()),
        },
    };
    let payment_rows = &settings.payment_method_service_identifiers;
    let payment = origin.payment_method.as_ref().and_then(|id| {
        let ours = CustomerSettings::named(payment_rows, key.shop, id.as_str())?;
        CustomerSettings::name_in(payment_rows, into, ours)
    });
    let lists_payment = receiver.is_some_and(|shop| !shop.identity.payment_methods.is_empty());
    state.payment_method = methods(lists_payment, &origin.payment_method, payment)
        .map_err(|id| Hold::UnmappedPaymentMethod { id })?;
    let shipping_rows = &settings.shipping_method_service_identifiers;
    let shipping_id = origin
        .shipping_method
        .as_ref()
        .and_then(|id| CustomerSettings::named(shipping_rows, key.shop, id.as_str()));
    let shipping =
        shipping_id.and_then(|ours| CustomerSettings::name_in(shipping_rows, into, ours));
    let lists_shipping = receiver.is_some_and(|shop| !shop.identity.shipping_methods.is_empty());
    state.shipping_method = methods(lists_shipping, &origin.shipping_method, shipping)
        .map_err(|id| Hold::UnmappedShippingMethod { id })?;
    let term = say_term(origin, key.shop, into, identity, settings)?;
    state.payment_term.clone_from(&term.id);
    let policy = &settings.policies.orders;
    if let Some(country) = person.country() {
        check_country(country, key.shop, identity, policy)?;
    }
    say_countries(&mut person, key.shop, policy);

    // A charge for which the customer names a product becomes a line with it.
    let shipping_product = shipping_id.and_then(|ours| {
        let method = settings
            .shipping_methods
            .iter()
            .find(|row| row.id == ours)?;
        method.product_id.clone()
    });
    let charges = std::mem::take(&mut state.charges);
    for (index, charge) in charges.into_iter().enumerate() {
        let product = match charge.kind {
            ChargeKind::Discount => customer.discount_product_id.as_deref(),
            ChargeKind::Rounding => customer.rounding_product_id.as_deref(),
            ChargeKind::Shipping => shipping_product.as_deref(),
            ChargeKind::Fee => None,
        };
        match product {
            Some(product) => state.lines.push(line_for(&charge, product, index)),
            None => state.charges.push(charge),
        }
    }

    let named = |name: Option<&str>| name.map(RemoteId::from);
    let branch = customer.branch_id.and_then(|id| {
        named(CustomerSettings::name_in(
            &settings.branch_service_identifiers,
            into,
            id,
        ))
    });
    let stock = named(CustomerSettings::name_in(
        &settings.stock_service_identifiers,
        into,
        taken_from(key.shop, origin, items, rules),
    ));
    for line in &mut state.lines {
        line.stock.clone_from(&stock);
    }
    let prefix = rules
        .shops
        .get(&key.shop)
        .map(|shop| shop.name.as_str())
        .unwrap_or_default();
    Ok(NewOrder {
        key: key.clone(),
        reference: format!("{prefix} {}", origin.number).trim().to_owned(),
        order: Order {
            state,
            person: if settings.policies.orders.collective_buyer {
                collective(person, prefix)
            } else {
                person
            },
        },
        branch,
        stock,
        payment_term: term.id,
        due_days: term.due_days,
        send_confirmation: customer.send_mcf_confirmation_email,
    })
}

/// The stock that the goods go out of: the one that the origin took them from, where it has several of ours; else the
/// first that the origin sells from and that has all of them.
fn taken_from(
    origin: ShopId,
    order: &OrderState,
    items: &BTreeMap<Sku, Sellable>,
    rules: &Rules,
) -> StockId {
    let settings = &rules.settings;
    let home = settings.home_stock(origin);
    let mut named = order.lines.iter().map(|line| {
        let stock = line.stock.as_ref()?;
        rules.stock_of(origin, stock)
    });
    let first = named.next().flatten();
    let sells_from = settings
        .link(origin)
        .map(|link| link.sells_from.as_slice())
        .unwrap_or_default();
    if let Some(stock) = first
        && sells_from.len() < 2
        && named.all(|stock| stock == first)
    {
        return stock;
    }
    let has_all = |stock: &&StockId| {
        order.wanted().iter().all(|(sku, units)| {
            let there = items.get(sku).and_then(|sellable| sellable.get(*stock));
            there.is_some_and(|there| there >= units)
        })
    };
    sells_from.iter().find(has_all).copied().unwrap_or(home)
}

/// The one buyer of a shop. The goods still go to the person who bought them: addresses, language and note stay.
fn collective(person: Person, shop: &str) -> Person {
    Person {
        name: Some(shop.to_owned()),
        email: None,
        phone: None,
        company: None,
        vat_number: None,
        ..person
    }
}

fn line_for(charge: &Charge, product: &str, index: usize) -> OrderLine {
    OrderLine {
        id: RemoteId(format!("charge-{index}")),
        sku: Some(product.into()),
        title: charge.title.clone(),
        quantity: Decimal::ONE,
        unit_price: charge.gross,
        net: charge.net,
        tax: charge.tax,
        gross: charge.gross,
        tax_rate: charge.tax_rate,
        discount: Decimal::ZERO,
        taken: Decimal::ZERO,
        shipped: Decimal::ZERO,
        cancelled: Decimal::ZERO,
        returned: Decimal::ZERO,
        stock: None,
    }
}
