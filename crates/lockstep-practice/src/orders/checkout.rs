//! A buyer's order: the catalogue's prices, units that are there.

use super::create::{self, Ground, Made};
use super::input::{CheckoutInput, LineInput};
use super::order::{Charge, ChargeKind, Order};
use super::sums;
use crate::bounds;
use crate::catalogue::product::unknown_reference;
use crate::catalogue::text::{check_name, check_text};
use crate::database::Writing;
use crate::problem::{Code, Problem};

/// More than anybody buys.
const UNITS_MAX: i64 = 10_000;

pub fn check_out(
    w: &mut Writing<'_>,
    input: CheckoutInput,
    ground: Ground<'_>,
) -> Result<Order, Problem> {
    let config = ground.config;
    if input.lines.is_empty() || input.lines.len() > bounds::LINES_MAX {
        return Err(Problem::invalid("lines", "There is nothing in this order."));
    }
    check_name("buyer.name", &input.buyer.name)?;
    check_email(&input.buyer.email)?;
    create::check_people(&input.buyer, [&input.billing, &input.shipping])?;
    create::check_country(&input.billing, &input.shipping, ground.config)?;
    check_text("note", input.note.as_deref().unwrap_or_default())?;
    let mut lines = Vec::new();
    let mut wanted: Vec<(i64, String, i64, bool)> = Vec::new();
    for line in input.lines {
        if !(1..=UNITS_MAX).contains(&line.quantity) {
            return Err(Problem::invalid(
                "quantity",
                format!("A quantity is 1 to {UNITS_MAX}."),
            ));
        }
        let unknown = || {
            Problem::new(
                Code::UnknownSku,
                format!("“{}” is not for sale here.", line.sku),
            )
            .with("field", "sku")
            .with("sku", line.sku.as_str())
        };
        let sold = create::sold(w, &line.sku, config)?
            .filter(|sold| sold.for_sale)
            .ok_or_else(unknown)?;
        match wanted
            .iter_mut()
            .find(|(variant, ..)| *variant == sold.variant)
        {
            Some((_, _, units, _)) => *units += line.quantity,
            None => wanted.push((
                sold.variant,
                line.sku.clone(),
                line.quantity,
                sold.backorder,
            )),
        }
        let id = format!("{}", lines.len() + 1);
        let said = LineInput {
            sku: Some(line.sku),
            quantity: line.quantity,
            ..LineInput::default()
        };
        lines.push(create::priced(w, said, &id, config)?);
    }
    let mut order = create::blank(config);
    order.stock = create::stock_with(w, &wanted, config)?;
    if let Some(id) = input.shipping_method {
        let method = config
            .shipping_methods
            .iter()
            .find(|method| method.id == id)
            .ok_or_else(|| unknown_reference("shipping_method", &id))?;
        if !method.price.0.is_zero() {
            let (net, tax, gross) =
                sums::split(method.price.0, method.tax_rate, config.prices_include_tax);
            order.charges.push(Charge {
                kind: ChargeKind::Shipping,
                title: method.name.clone(),
                method: Some(id.clone()),
                net,
                tax,
                gross,
                tax_rate: method.tax_rate,
            });
        }
        order.shipping_method = Some(id);
    }
    order.payment_method = match input.payment_method {
        Some(id) if config.payment_methods.iter().any(|method| method.id == id) => Some(id),
        Some(id) => return Err(unknown_reference("payment_method", &id)),
        None if input.pay => config
            .payment_methods
            .first()
            .map(|method| method.id.clone()),
        None => config
            .payment_methods
            .last()
            .map(|method| method.id.clone()),
    };
    if order.payment_method.as_deref() == Some("invoice") {
        order.payment_term = config.payment_terms.first().map(|term| term.id.clone());
    }
    order.branch = config.branches.first().map(|branch| branch.id.clone());
    order.shop_version = config
        .shop_versions
        .iter()
        .find(|version| Some(&version.language) == input.buyer.language.as_ref())
        .map(|version| version.id.clone());
    order.buyer = input.buyer;
    order.billing = input.billing;
    order.shipping = input.shipping;
    order.note = input.note;
    let made = Made {
        lines,
        placed_at: None,
        total: None,
        paid: input.pay,
        shipped: None,
        mail: true,
    };
    create::place(w, order, made, ground)
}

fn check_email(email: &str) -> Result<(), Problem> {
    let shaped = email
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && email.len() <= 254
        && !email.contains(char::is_whitespace);
    if shaped {
        Ok(())
    } else {
        Err(Problem::invalid(
            "buyer.email",
            "An e-mail address such as aino@example.com is needed.",
        ))
    }
}
