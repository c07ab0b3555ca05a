//! An order that was placed elsewhere, as a Medusa draft whose total is that of the origin to the cent. Pure.
//!
//! How the shop takes an amount depends on the part. An item of a variant is with tax if the prices of its currency are;
//! shipping and items without a variant never are. What tax it adds is its own affair: by the region, the address and
//! the product's type. So a draft is made as it should come out, the shop's answer says how each part was taken, and
//! where that was not as expected the draft is made once more by what it said.
//!
//! Amounts are sent with as many digits as it takes to come out right (14.90 of 25.5 % is 11.8725099601594 without).

use super::amounts::{rate_of, shown};
use super::map::{
    KEY, NOTE, Object, REFERENCE, Unsayable, VAT_NUMBER, new_address, number, unsayable,
};
use super::wire;
use lockstep_model::{ChargeKind, NewOrder, RemoteId, Sku};
use rust_decimal::Decimal;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Which line or charge of the origin an item or a shipping method stands for.
pub(super) const PART: &str = "lockstep_line";

/// Begins the name of a charge; a line's is its id.
const CHARGE: &str = "lockstep charge ";

/// A binary number holds so many digits of any decimal.
const DIGITS_MAX: u32 = 15;

/// Where a copy is made.
pub(super) struct CopyTo<'a> {
    pub region: &'a RemoteId,
    pub sales_channel: Option<&'a RemoteId>,
    pub shipping_option: Option<&'a RemoteId>,
    /// The region reckons taxes of its own.
    pub adds_tax: bool,
    /// Prices of variants are with tax in this currency.
    pub includes_tax: bool,
    /// SKU → variant.
    pub variants: &'a BTreeMap<Sku, RemoteId>,
}

/// How the shop takes what it is sent for a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// As it is.
    WithTax,
    /// It adds so many percent.
    Net { rate: Decimal },
}

/// By part.
pub(super) type TakenByPart = BTreeMap<String, Taken>;

struct Part<'a> {
    name: String,
    title: &'a str,
    units: Decimal,
    gross: Decimal,
    /// What the origin says.
    rate: Decimal,
    is: Is<'a>,
}

enum Is<'a> {
    Variant(&'a RemoteId),
    FreeItem,
    Shipping(&'a RemoteId),
}

impl Part<'_> {
    fn expected(&self, to: &CopyTo<'_>) -> Taken {
        match self.is {
            _ if !to.adds_tax => Taken::WithTax,
            Is::Variant(_) if to.includes_tax => Taken::WithTax,
            Is::Variant(_) | Is::FreeItem | Is::Shipping(_) => Taken::Net { rate: self.rate },
        }
    }

    /// What is sent for one unit, so that all units come out at the gross.
    fn unit_amount(&self, taken: Taken) -> Option<Decimal> {
        let each = self.gross.checked_div(self.units)?;
        let each = match taken {
            Taken::WithTax => each,
            Taken::Net { rate } => {
                let factor = Decimal::ONE.checked_add(rate.checked_div(Decimal::ONE_HUNDRED)?)?;
                each.checked_div(factor)?
            }
        };
        each.round_sf(DIGITS_MAX)
    }
}

fn parts<'a>(new: &'a NewOrder, to: &CopyTo<'a>) -> Result<Vec<Part<'a>>, Unsayable> {
    let state = &new.order.state;
    let mut parts = Vec::new();
    for line in &state.lines {
        let is = match &line.sku {
            Some(sku) => Is::Variant(to.variants.get(sku).ok_or_else(|| {
                let why = format!("there is no variant with the SKU {sku} in this shop");
                unsayable("sku", why)
            })?),
            None => Is::FreeItem,
        };
        if line.quantity > Decimal::ZERO {
            parts.push(Part {
                name: line.id.0.clone(),
                title: &line.title,
                units: line.quantity,
                gross: line.gross,
                rate: line.tax_rate,
                is,
            });
        }
    }
    for (nth, charge) in state.charges.iter().enumerate() {
        let is = if charge.kind == ChargeKind::Shipping {
            let option = state.shipping_method.as_ref().or(to.shipping_option);
            Is::Shipping(option.ok_or_else(|| {
                unsayable(
                    "shipping_method",
                    "this shop has several shipping options: map the method, or name one in its settings",
                )
            })?)
        } else {
            Is::FreeItem
        };
        parts.push(Part {
            name: format!("{CHARGE}{nth}"),
            title: &charge.title,
            units: Decimal::ONE,
            gross: charge.gross,
            rate: charge.tax_rate,
            is,
        });
    }
    Ok(parts)
}

/// `taken`: how the shop said that it takes parts, as far as it has.
pub(super) fn create_draft(
    new: &NewOrder,
    to: &CopyTo<'_>,
    taken: &TakenByPart,
) -> Result<Json, Unsayable> {
    let (state, person) = (&new.order.state, &new.order.person);
    let (mut items, mut shipping) = (Vec::new(), Vec::new());
    for part in parts(new, to)? {
        let how = taken.get(&part.name).copied();
        let how = how.unwrap_or_else(|| part.expected(to));
        let amount = part
            .unit_amount(how)
            .ok_or_else(|| unsayable("amount", format!("{} is too large an amount", part.gross)))?;
        let amount = number("amount", amount)?;
        let mut body = Object::new();
        let metadata = json!({ PART: part.name });
        match part.is {
            Is::Shipping(option) => {
                body.insert("shipping_option_id".into(), json!(option));
                body.insert("name".into(), part.title.into());
                body.insert("amount".into(), amount);
                body.insert("data".into(), metadata);
                shipping.push(Json::Object(body));
            }
            Is::Variant(_) | Is::FreeItem => {
                body.insert("title".into(), part.title.into());
                body.insert("quantity".into(), number("quantity", part.units)?);
                body.insert("unit_price".into(), amount);
                if let Is::Variant(variant) = part.is {
                    body.insert("variant_id".into(), json!(variant));
                }
                body.insert("metadata".into(), metadata);
                items.push(Json::Object(body));
            }
        }
    }
    let mut metadata = Object::new();
    metadata.insert(KEY.into(), new.key.to_string().into());
    metadata.insert(REFERENCE.into(), new.reference.as_str().into());
    for (name, text) in [(NOTE, &person.note), (VAT_NUMBER, &person.vat_number)] {
        if let Some(text) = text {
            metadata.insert(name.into(), text.as_str().into());
        }
    }
    let mut body = Object::new();
    body.insert("region_id".into(), json!(to.region));
    body.insert(
        "currency_code".into(),
        state.currency.0.to_lowercase().into(),
    );
    body.insert("items".into(), items.into());
    body.insert("shipping_methods".into(), shipping.into());
    body.insert("metadata".into(), metadata.into());
    body.insert(
        "no_notification_order".into(),
        (!new.send_confirmation).into(),
    );
    if let Some(channel) = to.sales_channel {
        body.insert("sales_channel_id".into(), json!(channel));
    }
    if let Some(email) = &person.email {
        body.insert("email".into(), email.as_str().into());
    }
    let billing = person.billing.as_ref().or(person.shipping.as_ref());
    let shipping = person.shipping.as_ref().or(person.billing.as_ref());
    for (name, address) in [("billing_address", billing), ("shipping_address", shipping)] {
        if let Some(address) = address {
            body.insert(name.into(), new_address(address));
        }
    }
    Ok(Json::Object(body))
}

/// Which line of its origin an item of a copy was made of.
pub(super) fn line_of(metadata: &Option<Object>) -> Option<RemoteId> {
    let name = metadata.as_ref()?.get(PART)?.as_str()?;
    (!name.starts_with(CHARGE)).then(|| name.into())
}

/// Does the draft cost what the order costs, as both are shown?
pub(super) fn is_exact(new: &NewOrder, draft: &wire::Draft) -> bool {
    let state = &new.order.state;
    draft.total.map(|total| shown(total, &state.currency)) == Some(state.total)
}

/// How the shop took each part of a draft.
pub(super) fn taken(draft: &wire::Draft) -> TakenByPart {
    let of = |data: &Option<Object>, is_gross: bool, lines: &[wire::TaxLine]| {
        let name = data.as_ref()?.get(PART)?.as_str()?.to_owned();
        let rate = rate_of(lines);
        let taken = if is_gross {
            Taken::WithTax
        } else {
            Taken::Net { rate }
        };
        Some((name, taken))
    };
    let items = draft
        .items
        .iter()
        .filter_map(|item| of(&item.metadata, item.is_tax_inclusive, &item.tax_lines));
    let shipping = draft
        .shipping_methods
        .iter()
        .filter_map(|method| of(&method.data, method.is_tax_inclusive, &method.tax_lines));
    items.chain(shipping).collect()
}
