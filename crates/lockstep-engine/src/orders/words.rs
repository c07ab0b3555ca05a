//! What an order says in the words of its shop, said in those of the shop that it goes into. What nobody has mapped holds
//! the order.

use lockstep_model::entry::Hold;
use lockstep_model::settings::{CustomerSettings, OrderPolicy};
use lockstep_model::{ChargeKind, OrderState, Payment, Person, RemoteId, ShopId, ShopIdentity};
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

/// Until when the copy has to be paid: the receiver's name of it, and days.
pub(super) struct Term {
    pub id: Option<RemoteId>,
    pub due_days: Option<u32>,
}

/// The order's own term; for one that was accepted and names none, the first of the settings. What is paid has none.
pub(super) fn say_term(
    origin: &OrderState,
    from: ShopId,
    into: ShopId,
    receiver: Option<&ShopIdentity>,
    settings: &CustomerSettings,
) -> Result<Term, Hold> {
    let rows = &settings.payment_term_service_identifiers;
    let named = origin.payment_term.as_ref();
    let own = named.filter(|_| origin.payment < Payment::Paid);
    let Some(own) = own else {
        let is_accepted = origin.payment == Payment::Accepted;
        let first = settings.payment_terms.first().filter(|_| is_accepted);
        return Ok(Term {
            id: first
                .and_then(|term| CustomerSettings::name_in(rows, into, term.id))
                .map(RemoteId::from),
            due_days: first.map(|term| term.due_days),
        });
    };
    let ours = CustomerSettings::named(rows, from, own.as_str());
    let days = ours.and_then(|ours| settings.payment_terms.iter().find(|term| term.id == ours));
    let id = match ours.and_then(|ours| CustomerSettings::name_in(rows, into, ours)) {
        Some(said) => RemoteId::from(said),
        None if receiver.is_some_and(|receiver| !receiver.payment_terms.is_empty()) => {
            return Err(Hold::UnmappedPaymentTerm { id: own.clone() });
        }
        // A receiver that lists none keeps the origin's name for it.
        None => own.clone(),
    };
    Ok(Term {
        id: Some(id),
        // One that was mapped alone says no days: the receiver has its own.
        due_days: days.map(|term| term.due_days).filter(|days| *days > 0),
    })
}

/// Holds an order that goes to a country which the receiver does not list and nobody has mapped.
pub(super) fn check_country(
    country: &str,
    from: ShopId,
    receiver: Option<&ShopIdentity>,
    policy: &OrderPolicy,
) -> Result<(), Hold> {
    let listed = receiver.map_or(&[][..], |receiver| &receiver.countries);
    let said = policy.country_into(from, country).unwrap_or(country);
    let is_listed = |known: &String| known.eq_ignore_ascii_case(said);
    if listed.is_empty() || listed.iter().any(is_listed) {
        return Ok(());
    }
    Err(Hold::UnmappedCountry {
        country: country.to_ascii_uppercase(),
    })
}

/// The receiver's countries in a copy's addresses.
pub(super) fn say_countries(person: &mut Person, from: ShopId, policy: &OrderPolicy) {
    let addresses = [&mut person.billing, &mut person.shipping];
    for address in addresses.into_iter().flatten() {
        let country = address.country.as_deref();
        if let Some(said) = country.and_then(|country| policy.country_into(from, country)) {
            address.country = Some(said.to_owned());
        }
    }
}
