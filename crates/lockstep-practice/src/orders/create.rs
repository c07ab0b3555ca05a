//! Making an order: checks what a caller says, works out what is not said, and takes its units.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::input::{FulfilmentGiven, LineInput, OrderInput, PaymentGiven};
use super::lifecycle::{self, Event, Refused};
use super::order::{Address, Buyer, Fulfilment, Line, Mail, Order, Parcel, Part, Payment};
use super::{order_rows, sums};
use crate::bounds;
use crate::catalogue::product::unknown_reference;
use crate::catalogue::text::{check_label, check_text};
use crate::clock::{self, Stamp};
use crate::config::ShopConfig;
use crate::database::Writing;
use crate::ids::Kind;
use crate::money::{Money, Percent};
use crate::problem::{Code, Problem};
use crate::stock::level_rows;

/// What an order is made on: the shop's settings, its address, and until when a new order is hidden from searches.
#[derive(Clone, Copy)]
pub struct Ground<'g> {
    pub config: &'g ShopConfig,
    pub base: &'g str,
    pub hidden_until: Stamp,
}

/// What the catalogue says of a SKU.
pub struct Sold {
    pub variant: i64,
    pub title: String,
    pub price: Money,
    pub tax_rate: Percent,
    pub for_sale: bool,
    pub backorder: bool,
}

pub fn sold(db: &Connection, sku: &str, config: &ShopConfig) -> Result<Option<Sold>, Problem> {
    type Row = (
        i64,
        String,
        String,
        Option<String>,
        Option<i64>,
        Option<i64>,
        String,
        String,
        String,
        String,
        bool,
        String,
    );
    let found: Option<Row> = db
        .prepare_cached(
            "SELECT v.id, p.title, v.price, v.sale_price, v.sale_from, v.sale_until, v.options, p.options, p.tax_rate, p.status, v.backorder, v.status \
             FROM variant v JOIN product p ON p.id = v.product_id WHERE v.sku = ?1",
        )?
        .query_row([sku], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
                row.get(8)?,
                row.get(9)?,
                row.get(10)?,
                row.get(11)?,
            ))
        })
        .optional()?;
    let Some((
        variant,
        title,
        price,
        sale_price,
        from,
        until,
        chosen,
        names,
        class,
        status,
        backorder,
        variant_status,
    )) = found
    else {
        return Ok(None);
    };
    let now = clock::now();
    let on_sale = from.is_none_or(|from| from <= now) && until.is_none_or(|until| until > now);
    let price = sale_price.filter(|_| on_sale).unwrap_or(price);
    let names: Vec<String> = serde_json::from_str(&names)?;
    let chosen: HashMap<String, String> = serde_json::from_str(&chosen)?;
    let label: Vec<&str> = names
        .iter()
        .filter_map(|name| chosen.get(name))
        .map(String::as_str)
        .collect();
    let title = if label.is_empty() {
        title
    } else {
        format!("{title}, {}", label.join(", "))
    };
    Ok(Some(Sold {
        variant,
        title,
        price: Money::parse(&price).map_err(|detail| Problem::new(Code::Broken, detail))?,
        tax_rate: config.rate_of(&class).unwrap_or_default(),
        for_sale: status == "active" && variant_status == "active",
        backorder,
    }))
}

/// An order made by the API.
pub fn create(
    w: &mut Writing<'_>,
    input: OrderInput,
    ground: Ground<'_>,
) -> Result<Order, Problem> {
    let config = ground.config;
    let key = input.external_key.as_deref().ok_or_else(|| {
        Problem::invalid(
            "external_key",
            "An order made by the API needs an external_key.",
        )
    })?;
    crate::catalogue::text::check_name("external_key", key)?;
    if let Some(currency) = &input.currency
        && *currency != config.currency
    {
        return Err(Problem::invalid(
            "currency",
            format!("This shop keeps its books in {}.", config.currency),
        ));
    }
    if input.lines.is_empty()
        || input.lines.len() > bounds::LINES_MAX
        || input.charges.len() > bounds::LINES_MAX
    {
        return Err(Problem::invalid(
            "lines",
            format!("An order has 1 to {} lines.", bounds::LINES_MAX),
        ));
    }
    let known = |field: &str, id: &Option<String>, is: &dyn Fn(&str) -> bool| match id {
        Some(id) if !is(id) => Err(unknown_reference(field, id)),
        Some(_) | None => Ok(()),
    };
    known("branch", &input.branch, &|id| {
        config.branches.iter().any(|known| known.id == id)
    })?;
    known("shop_version", &input.shop_version, &|id| {
        config.shop_versions.iter().any(|known| known.id == id)
    })?;
    known("stock", &input.stock, &|id| {
        config.stocks.iter().any(|known| known.id == id)
    })?;
    known("payment_term", &input.payment_term, &|id| {
        config.payment_terms.iter().any(|known| known.id == id)
    })?;
    known("payment_method", &input.payment_method, &|id| {
        config.payment_methods.iter().any(|known| known.id == id)
    })?;
    known("shipping_method", &input.shipping_method, &|id| {
        config.shipping_methods.iter().any(|known| known.id == id)
    })?;
    check_people(&input.buyer, [&input.billing, &input.shipping])?;
    check_country(&input.billing, &input.shipping, config)?;
    for (field, text) in [
        ("reference", &input.reference),
        ("tracking", &input.tracking),
        ("carrier", &input.carrier),
    ] {
        check_label(field, text.as_deref().unwrap_or_default())?;
    }
    check_text("note", input.note.as_deref().unwrap_or_default())?;
    let placed_at = match &input.placed_at {
        Some(time) => Some(clock::parse(time).ok_or_else(|| {
            Problem::invalid(
                "placed_at",
                format!("“{time}” is no RFC 3339 time with an offset."),
            )
        })?),
        None => None,
    };
    let mut order = blank(config);
    order.external_key = input.external_key;
    order.reference = input.reference;
    order.branch = input.branch;
    order.shop_version = input.shop_version;
    if let Some(stock) = input.stock {
        order.stock = stock;
    }
    order.payment_term = input.payment_term;
    order.charges = input.charges;
    order.discounts = input.discounts;
    order.buyer = input.buyer;
    order.billing = input.billing;
    order.shipping = input.shipping;
    order.payment_method = input.payment_method;
    order.shipping_method = input.shipping_method;
    order.note = input.note;
    let mut lines = Vec::with_capacity(input.lines.len());
    for (at, line) in input.lines.into_iter().enumerate() {
        lines.push(priced(w, line, &format!("{}", at + 1), config)?);
    }
    let made = Made {
        lines,
        placed_at,
        total: input.total,
        paid: input.payment == Some(PaymentGiven::Paid),
        shipped: (input.fulfilment == Some(FulfilmentGiven::Shipped))
            .then_some((input.tracking, input.carrier)),
        mail: input.send_confirmation,
    };
    place(w, order, made, ground)
}

/// An order before it is placed, beside its own fields.
pub struct Made {
    /// Lines with the units that they want, and the variant they are sold from.
    pub lines: Vec<(Line, Option<i64>)>,
    pub placed_at: Option<Stamp>,
    /// What the caller says the sum is.
    pub total: Option<Money>,
    pub paid: bool,
    /// Tracking and carrier, if all has left already.
    pub shipped: Option<(Option<String>, Option<String>)>,
    pub mail: bool,
}

pub fn blank(config: &ShopConfig) -> Order {
    Order {
        id: String::new(),
        number: String::new(),
        external_key: None,
        reference: None,
        branch: None,
        shop_version: None,
        stock: config.main_stock().to_string(),
        payment_term: None,
        due_at: None,
        placed_at: String::new(),
        modified_at: String::new(),
        rev: 0,
        currency: config.currency.clone(),
        prices_include_tax: config.prices_include_tax,
        payment: Payment::Pending,
        fulfilment: Fulfilment::Open,
        cancelled: false,
        lines: Vec::new(),
        charges: Vec::new(),
        discounts: Vec::new(),
        total: Money::ZERO,
        tax_by_rate: Vec::new(),
        refunded: Money::ZERO,
        buyer: Buyer::default(),
        billing: None,
        shipping: None,
        payment_method: None,
        shipping_method: None,
        note: None,
        parcels: Vec::new(),
        refunds: Vec::new(),
        returns: Vec::new(),
        cancellations: Vec::new(),
        confirmation_mail: Mail::default(),
        page_url: String::new(),
    }
}

/// The common end of checkout and API: the units are taken, the order is written.
pub fn place(
    w: &mut Writing<'_>,
    mut order: Order,
    made: Made,
    ground: Ground<'_>,
) -> Result<Order, Problem> {
    let config = ground.config;
    let row = order_rows::insert(
        w,
        &mut order,
        &config.number_prefix(),
        ground.hidden_until,
        ground.base,
    )?;
    let stamp = w.stamp();
    let placed_at = made.placed_at.unwrap_or(stamp);
    order.placed_at = clock::show(placed_at);
    if let Some(term) = config
        .payment_terms
        .iter()
        .find(|term| Some(&term.id) == order.payment_term.as_ref())
    {
        order.due_at = Some(clock::show(
            placed_at + i64::from(term.days) * 86_400_000_000,
        ));
    }
    for (mut line, variant) in made.lines {
        let wanted = line.quantity;
        line.quantity = 0;
        if let (Some(sku), Some(variant)) = (&line.sku, variant) {
            order_rows::add_line(w, row, &line.id, sku, variant)?;
        }
        order.lines.push(line);
        let at = order.lines.len() - 1;
        happen(
            w,
            config,
            &mut order,
            at,
            variant,
            Event::Place { n: wanted },
        )?;
    }
    sums::add_up(&mut order);
    if let Some(total) = made.total
        && total.0 != order.total.0
    {
        return Err(Problem::new(
            Code::SumMismatch,
            format!(
                "The lines and charges add up to {}, not to {total}. Nothing was made.",
                order.total
            ),
        )
        .with("field", "total"));
    }
    let variants = order_rows::variants_of(w, row)?;
    if made.paid {
        for at in 0..order.lines.len() {
            let variant = variants.get(&order.lines[at].id).copied();
            happen(w, config, &mut order, at, variant, Event::Pay)?;
        }
        order.payment = Payment::Paid;
    }
    if let Some((tracking, carrier)) = made.shipped {
        let mut parts = Vec::new();
        for at in 0..order.lines.len() {
            let (id, n) = (order.lines[at].id.clone(), order.lines[at].quantity);
            happen(
                w,
                config,
                &mut order,
                at,
                variants.get(&id).copied(),
                Event::Ship { n },
            )?;
            parts.push(Part { id, quantity: n });
        }
        order.parcels.push(Parcel {
            id: "1".into(),
            key: None,
            tracking,
            carrier,
            lines: parts,
            shipped_at: clock::show(stamp),
            mail_sent: false,
        });
    }
    if made.mail {
        order.confirmation_mail = Mail {
            sent: true,
            at: Some(clock::show(stamp)),
        };
    }
    order.settle();
    order_rows::save(w, row, &mut order, "order.created")?;
    Ok(order)
}

/// One step of one line, and what it does to the level.
pub fn happen(
    w: &mut Writing<'_>,
    config: &ShopConfig,
    order: &mut Order,
    at: usize,
    variant: Option<i64>,
    event: Event,
) -> Result<(), Problem> {
    let line = &order.lines[at];
    // A line that takes nothing from the shelf goes through its states all the same.
    let takes = if variant.is_some() {
        config.takes
    } else {
        lifecycle::Takes::Never
    };
    let (units, movement) =
        lifecycle::step(takes, order.was_paid(), line.units(), event).map_err(|refused| {
            match refused {
                Refused::NotPositive => Problem::invalid("quantity", "A quantity is 1 or more."),
                Refused::TooMany { at_most } => Problem::new(
                    Code::WrongState,
                    format!(
                        "Of line {} of order {} at most {at_most} units can be meant here.",
                        line.id, order.id
                    ),
                )
                .with("line", line.id.as_str())
                .with("at_most", at_most),
            }
        })?;
    if let Some(variant) = variant {
        level_rows::movement(w, variant, &order.stock, movement)?;
    }
    order.lines[at].set_units(units);
    Ok(())
}

/// A line as the caller states it, filled up from the catalogue. `quantity` holds the units wanted.
pub fn priced(
    db: &Connection,
    input: LineInput,
    id: &str,
    config: &ShopConfig,
) -> Result<(Line, Option<i64>), Problem> {
    if !(1..=bounds::QUANTITY_MAX).contains(&input.quantity) {
        return Err(Problem::invalid("quantity", "A quantity is 1 or more."));
    }
    let catalogue = match &input.sku {
        Some(sku) => Some(sold(db, sku, config)?.ok_or_else(|| {
            Problem::new(
                Code::UnknownSku,
                format!("This shop has no SKU “{sku}”. No order was made or changed."),
            )
            .with("field", "sku")
            .with("sku", sku.as_str())
        })?),
        None => None,
    };
    let said = |field: &'static str| {
        Problem::invalid(
            field,
            format!("A line without a SKU of this shop needs a {field}."),
        )
    };
    let title = input
        .title
        .or_else(|| catalogue.as_ref().map(|sold| sold.title.clone()))
        .ok_or_else(|| said("title"))?;
    check_label("title", &title)?;
    check_label("key", input.key.as_deref().unwrap_or_default())?;
    let stated = input
        .gross
        .map(|gross| Money::rounded(gross.0 / rust_decimal::Decimal::from(input.quantity)));
    let unit_price = input
        .unit_price
        .or(stated)
        .or_else(|| catalogue.as_ref().map(|sold| sold.price))
        .ok_or_else(|| said("unit_price"))?;
    let tax_rate = input
        .tax_rate
        .or_else(|| catalogue.as_ref().map(|sold| sold.tax_rate))
        .ok_or_else(|| said("tax_rate"))?;
    let mut line = Line {
        id: id.to_string(),
        key: input.key,
        variant_id: catalogue
            .as_ref()
            .map(|sold| Kind::Variant.show(sold.variant)),
        sku: input.sku,
        title,
        quantity: input.quantity,
        unit_price,
        net: Money::ZERO,
        tax: Money::ZERO,
        gross: Money::ZERO,
        tax_rate,
        discount: input.discount.unwrap_or_default(),
        taken: 0,
        reserved: 0,
        shipped: 0,
        cancelled: 0,
        returned: 0,
    };
    state_amounts(&mut line, (input.net, input.tax, input.gross), config)?;
    Ok((line, catalogue.map(|sold| sold.variant)))
}

/// An existing line at another price, at the units that it has.
pub fn reprice(line: &mut Line, input: &LineInput, config: &ShopConfig) -> Result<(), Problem> {
    let stated = input.gross.filter(|_| line.quantity != 0);
    let stated =
        stated.map(|gross| Money::rounded(gross.0 / rust_decimal::Decimal::from(line.quantity)));
    if let Some(price) = input.unit_price.or(stated) {
        line.unit_price = price;
    }
    if let Some(rate) = input.tax_rate {
        line.tax_rate = rate;
    }
    if let Some(discount) = input.discount {
        line.discount = discount;
    }
    state_amounts(line, (input.net, input.tax, input.gross), config)
}

/// A line's net, tax and gross as they are stated, or as its price says.
fn state_amounts(
    line: &mut Line,
    stated: (Option<Money>, Option<Money>, Option<Money>),
    config: &ShopConfig,
) -> Result<(), Problem> {
    match stated {
        (Some(net), Some(tax), Some(gross)) => {
            if net.0 + tax.0 != gross.0 {
                return Err(Problem::new(
                    Code::SumMismatch,
                    format!(
                        "The net {net} and the tax {tax} of line {} do not add up to {gross}.",
                        line.id
                    ),
                )
                .with("field", "gross"));
            }
            (line.net, line.tax, line.gross) = (net, tax, gross);
        }
        (None, None, Some(gross)) => {
            (line.net, line.tax, line.gross) = sums::split(gross.0, line.tax_rate, true);
        }
        (None, None, None) => sums::work_out(line, config.prices_include_tax),
        _ => {
            return Err(Problem::invalid(
                "gross",
                "State net, tax and gross of a line together, or gross alone, or none of them.",
            ));
        }
    }
    Ok(())
}

pub fn check_people(buyer: &Buyer, addresses: [&Option<Address>; 2]) -> Result<(), Problem> {
    let texts = [
        ("buyer.name", Some(&buyer.name)),
        ("buyer.email", Some(&buyer.email)),
        ("buyer.phone", buyer.phone.as_ref()),
        ("buyer.company", buyer.company.as_ref()),
        ("buyer.vat_number", buyer.vat_number.as_ref()),
        ("buyer.language", buyer.language.as_ref()),
    ];
    for (field, text) in texts {
        check_label(field, text.map(String::as_str).unwrap_or_default())?;
    }
    for address in addresses.into_iter().flatten() {
        let texts = [
            Some(&address.name),
            address.company.as_ref(),
            Some(&address.street),
            address.street2.as_ref(),
            Some(&address.postal_code),
            Some(&address.city),
            address.region.as_ref(),
            Some(&address.country),
        ];
        for text in texts.into_iter().flatten() {
            check_label("address", text)?;
        }
    }
    Ok(())
}

/// Where the goods go: the shipping address, else the billing address.
pub fn check_country(
    billing: &Option<Address>,
    shipping: &Option<Address>,
    config: &ShopConfig,
) -> Result<(), Problem> {
    let (field, address) = match (shipping, billing) {
        (Some(address), _) => ("shipping.country", address),
        (None, Some(address)) => ("billing.country", address),
        (None, None) => return Ok(()),
    };
    if address.country.is_empty() || config.sends_to(&address.country) {
        return Ok(());
    }
    Err(unknown_reference(field, &address.country))
}

/// The first stock, in the shop's order, that can give all of these; or what is short.
pub fn stock_with(
    db: &Connection,
    wanted: &[(i64, String, i64, bool)],
    config: &ShopConfig,
) -> Result<String, Problem> {
    let available = |variant: i64, stock: &str| -> Result<i64, Problem> {
        let quantity: Option<i64> = db
            .prepare_cached(
                "SELECT on_hand - reserved FROM level WHERE variant_id = ?1 AND stock_id = ?2",
            )?
            .query_row(params![variant, stock], |row| row.get(0))
            .optional()?;
        Ok(quantity.unwrap_or(0))
    };
    let mut short: Option<(String, i64)> = None;
    for stock in &config.stocks {
        let mut all = true;
        for (variant, sku, units, backorder) in wanted {
            let there = available(*variant, &stock.id)?;
            if there < *units && !backorder {
                all = false;
                match &mut short {
                    Some((known, most)) if known == sku => *most = there.max(*most),
                    Some(_) => {}
                    None => short = Some((sku.clone(), there)),
                }
            }
        }
        if all {
            return Ok(stock.id.clone());
        }
    }
    let (sku, there) = short.unwrap_or_default();
    Err(Problem::new(
        Code::SoldOut,
        if there > 0 {
            format!("Only {there} of “{sku}” are left.")
        } else {
            format!("“{sku}” is sold out.")
        },
    )
    .with("sku", sku)
    .with("available", there.max(0)))
}
