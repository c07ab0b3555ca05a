//! What an order says in the words of its shop, said in those of the shop that it goes into. What nobody has mapped holds
//! the order.

use lockstep_model::entry::Hold;
use lockstep_model::settings::OrderPolicy;
use lockstep_model::{ChargeKind, OrderState, ShopId, ShopIdentity};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// The receiver's rates in place of the origin's; every amount stays as the origin states it.
pub(super) fn say_rates(
    state: &mut OrderState,
    from: ShopId,
    receiver: Option<&ShopIdentity>,
    policy: &OrderPolicy,
) -> Result<(), Hold> {
    let listed = receiver.map_or(&[][..], |receiver| &receiver.tax_rates);
    let said = |rate: Decimal| policy.rate_into(from, rate).unwrap_or(rate);
    let taxed_lines = state.lines.iter().filter(|line| !line.tax.is_zero());
    let rates = state.tax_by_rate.keys().copied();
    for rate in rates.chain(taxed_lines.map(|line| line.tax_rate)) {
        if !listed.is_empty() && !listed.contains(&said(rate)) {
            return Err(Hold::UnknownTaxRate {
                rate: rate.normalize(),
            });
        }
    }
    for line in &mut state.lines {
        line.tax_rate = said(line.tax_rate);
    }
    for charge in &mut state.charges {
        // A difference of cents has no rate.
        if charge.kind != ChargeKind::Rounding {
            charge.tax_rate = said(charge.tax_rate);
        }
    }
    let mut taxes: BTreeMap<Decimal, Decimal> = BTreeMap::new();
    for (rate, tax) in std::mem::take(&mut state.tax_by_rate) {
        *taxes.entry(said(rate)).or_default() += tax;
    }
    state.tax_by_rate = taxes;
    Ok(())
}
