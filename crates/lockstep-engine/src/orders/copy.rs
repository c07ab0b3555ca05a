//! The copy of an order in the receiver's terms, or the reason why it must wait.

use super::spread::spread_over_rates;
use super::sums::{Sums, check_sums};
use super::words::{check_country, say_countries, say_rates, say_term};
use crate::rules::Rules;
use lockstep_model::cases::ItemThere;
use lockstep_model::entry::Hold;
use lockstep_model::settings::{CustomerSettings, StockId};
use lockstep_model::{
    Charge, ChargeKind, Currency, ItemId, NewOrder, Order, OrderKey, OrderLine, OrderState, Person,
    RemoteId, ShopId,
};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

/// Composes what shall be made in `into`. `items`: which items the receiver has, and how many of each.
pub fn compose(
    key: &OrderKey,
    origin: &OrderState,
    mut person: Person,
    into: ShopId,
    items: &BTreeMap<ItemId, ItemThere>,
    rules: &Rules,
) -> Result<NewOrder, Hold> {
    let settings = &rules.settings;
    let customer = &settings.customer;
    let receiver = rules.shops.get(&into);
    for line in &origin.lines {
        // One without a SKU is a line without stock.
        if let Some(item) = line.item()
            && !items.contains_key(&item)
        {
            return Err(Hold::UnknownSku {
                sku: line.name().to_owned(),
            });
        }
    }
    let mut state = origin.clone();
    for line in &mut state.lines {
        call_it_as_there(line, items);
    }
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
    leave_out_cancelled(&mut state);
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
    let said = |stock: StockId| {
        let rows = &settings.stock_service_identifiers;
        named(CustomerSettings::name_in(rows, into, stock))
    };
    let stock = said(taken_from(key.shop, origin, items, rules));
    for line in &mut state.lines {
        let own = named_stock(key.shop, line, rules).and_then(said);
        line.stock = own.or_else(|| stock.clone());
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

/// A line is sent under the names that its item has in the receiver.
pub(super) fn call_it_as_there(line: &mut OrderLine, items: &BTreeMap<ItemId, ItemThere>) {
    let there = line.item().and_then(|item| items.get(&item));
    line.variant = there.and_then(|there| there.variant.clone());
    if let Some(there) = there {
        line.sku = Some(there.sku.clone());
    }
}

/// The stock that the goods go out of: the one that the origin took them from, where it has several of ours; else the
/// first that the origin sells from and that has all of them.
fn taken_from(
    origin: ShopId,
    order: &OrderState,
    items: &BTreeMap<ItemId, ItemThere>,
    rules: &Rules,
) -> StockId {
    let settings = &rules.settings;
    let home = settings.home_stock(origin);
    let goods = order.lines.iter().filter(|line| line.sku.is_some());
    let mut named = goods.map(|line| named_stock(origin, line, rules));
    let first = named.next().flatten();
    let sells_from = settings
        .link(origin)
        .map(|link| link.sells_from.as_slice())
        .unwrap_or_default();
    if let Some(stock) = first
        && named.all(|stock| stock == first)
    {
        return stock;
    }
    let has_all = |stock: &&StockId| {
        order.wanted().iter().all(|(item, units)| {
            let there = items.get(item);
            let there = there.and_then(|there| there.sellable.get(*stock));
            there.is_some_and(|there| there >= units)
        })
    };
    sells_from.iter().find(has_all).copied().unwrap_or(home)
}

/// Our stock that a line is taken from, as its own shop says. One that has a single stock and sells from several of ours
/// says nothing by it.
fn named_stock(origin: ShopId, line: &OrderLine, rules: &Rules) -> Option<StockId> {
    let shop = rules.shops.get(&origin)?;
    if shop.identity.stocks.len() <= 1 && shop.link.sells_from.len() > 1 {
        return None;
    }
    rules.stock_of(origin, line.stock.as_ref()?)
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

/// What was cancelled and put back is not ordered. Its money was asked for all the same: it stays, as a charge, until it
/// is given back. What was cancelled and not put back is ordered and cancelled there too: else nobody would miss it.
fn leave_out_cancelled(state: &mut OrderState) {
    let mut lines = Vec::with_capacity(state.lines.len());
    for line in std::mem::take(&mut state.lines) {
        let units = (line.cancelled - line.written_off).max(Decimal::ZERO);
        let (left, charge) = without(&line, units, &state.currency);
        state.charges.extend(charge);
        if left.quantity > Decimal::ZERO {
            lines.push(left);
        }
    }
    state.lines = lines;
}

/// A line less some units, and their money.
pub(super) fn without(
    line: &OrderLine,
    units: Decimal,
    currency: &Currency,
) -> (OrderLine, Option<Charge>) {
    let left = line.quantity - units;
    let share = left.checked_div(line.quantity).unwrap_or_default();
    if units.is_zero() || line.quantity.is_zero() {
        return (line.clone(), None);
    }
    let scale = currency.minor_unit().scale();
    let part = |amount: Decimal| {
        let exact = amount.checked_mul(share).unwrap_or_default();
        exact.round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero)
    };
    let (tax, gross) = (part(line.tax), part(line.gross));
    let charge = Charge {
        kind: ChargeKind::Fee,
        title: format!("{}: {} cancelled", line.title, units.normalize()),
        net: (line.gross - gross) - (line.tax - tax),
        tax: line.tax - tax,
        gross: line.gross - gross,
        tax_rate: line.tax_rate,
    };
    let line = OrderLine {
        quantity: left,
        cancelled: line.cancelled - units,
        net: gross - tax,
        tax,
        gross,
        discount: part(line.discount),
        ..line.clone()
    };
    (line, (!charge.gross.is_zero()).then_some(charge))
}

fn line_for(charge: &Charge, product: &str, index: usize) -> OrderLine {
    OrderLine {
        id: RemoteId(format!("charge-{index}")),
        of: None,
        sku: Some(product.into()),
        item: None,
        variant: None,
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
        written_off: Decimal::ZERO,
        stock: None,
    }
}
