//! What is done to an order: pay, ship, cancel, refund, return, edit. The whole-order forms are repeatable by state,
//! the parts by their key.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde_json::json;

use super::create::{self, Ground, happen, priced};
use super::input::{
    CancelInput, EditInput, PartInput, PayInput, RefundInput, ReturnInput, ShipInput,
};
use super::lifecycle::{Event, Units};
use super::order::{Cancellation, Order, Parcel, Part, Payment, Refund, Return};
use super::{order_rows, sums};
use crate::bounds;
use crate::catalogue::product::unknown_reference;
use crate::catalogue::text::{check_label, check_text};
use crate::clock;
use crate::database::Writing;
use crate::money::Money;
use crate::problem::{Code, Problem};

/// One thing to do to an order.
#[derive(Debug)]
pub enum Act {
    Pay(PayInput),
    Ship(ShipInput),
    Cancel(CancelInput),
    Refund(RefundInput),
    Return(ReturnInput),
    Edit(Box<EditInput>),
}

/// Does it, and answers the order as it then is. What changes nothing leaves revision and time alone.
pub fn act(w: &mut Writing<'_>, id: &str, act: Act, ground: Ground<'_>) -> Result<Order, Problem> {
    let row = order_rows::row_of(id)?;
    let before = order_rows::load_one(w, id, ground.base)?;
    let mut open = Open {
        variants: order_rows::variants_of(w, row)?,
        order: before.clone(),
        row,
        ground,
        w,
    };
    match act {
        Act::Pay(PayInput {}) => open.pay()?,
        Act::Ship(input) => open.ship(input)?,
        Act::Cancel(input) => open.cancel(input)?,
        Act::Refund(input) => open.refund(input)?,
        Act::Return(input) => open.take_back(input)?,
        Act::Edit(input) => open.edit(*input)?,
    }
    let Open { mut order, w, .. } = open;
    order.settle();
    if order != before {
        order_rows::save(w, row, &mut order, "order.changed")?;
    }
    Ok(order)
}

struct Open<'o, 'w, 'c> {
    w: &'w mut Writing<'c>,
    ground: Ground<'o>,
    row: i64,
    order: Order,
    variants: HashMap<String, i64>,
}

impl Open<'_, '_, '_> {
    fn happen(&mut self, at: usize, event: Event) -> Result<(), Problem> {
        let variant = self.variants.get(&self.order.lines[at].id).copied();
        happen(
            self.w,
            self.ground.config,
            &mut self.order,
            at,
            variant,
            event,
        )
    }

    fn wrong(&self, what: &str) -> Problem {
        Problem::new(
            Code::WrongState,
            format!("The order {} {what}.", self.order.number),
        )
        .with("payment", json!(self.order.payment))
        .with("fulfilment", json!(self.order.fulfilment))
        .with("cancelled", self.order.cancelled)
    }

    fn pay(&mut self) -> Result<(), Problem> {
        if self.order.was_paid() {
            return Ok(());
        }
        if self.order.cancelled {
            return Err(self.wrong("is cancelled and cannot be paid"));
        }
        for at in 0..self.order.lines.len() {
            self.happen(at, Event::Pay)?;
        }
        self.order.payment = Payment::Paid;
        Ok(())
    }

    fn ship(&mut self, input: ShipInput) -> Result<(), Problem> {
        if is_done(
            &input.key,
            self.order.parcels.iter().map(|parcel| &parcel.key),
        ) {
            return Ok(());
        }
        for (field, text) in [
            ("tracking", &input.tracking),
            ("carrier", &input.carrier),
            ("key", &input.key),
        ] {
            check_label(field, text.as_deref().unwrap_or_default())?;
        }
        if self.order.cancelled {
            return Err(self.wrong("is cancelled and cannot be shipped"));
        }
        let Some(parts) = self.parts(input.lines, Units::open)? else {
            return Ok(());
        };
        for (at, part) in &parts {
            self.happen(*at, Event::Ship { n: part.quantity })?;
        }
        let shipped_at = clock::show(self.w.stamp());
        self.order.parcels.push(Parcel {
            id: next_id(self.order.parcels.len()),
            key: input.key,
            tracking: input.tracking,
            carrier: input.carrier,
            lines: parts.into_iter().map(|(_, part)| part).collect(),
            shipped_at,
            mail_sent: input.send_mail,
        });
        Ok(())
    }

    fn cancel(&mut self, input: CancelInput) -> Result<(), Problem> {
        if self.order.cancelled
            || is_done(
                &input.key,
                self.order.cancellations.iter().map(|done| &done.key),
            )
        {
            return Ok(());
        }
        check_label("key", input.key.as_deref().unwrap_or_default())?;
        let restock = input.restock.unwrap_or(true);
        let Some(parts) = self.parts(input.lines, Units::open)? else {
            // What could be cancelled was cancelled before: a repeat.
            if self.order.lines.iter().any(|line| line.cancelled > 0) {
                return Ok(());
            }
            return Err(self.wrong("has left already and cannot be cancelled"));
        };
        for (at, part) in &parts {
            self.happen(
                *at,
                Event::Cancel {
                    n: part.quantity,
                    restock,
                },
            )?;
        }
        let at = clock::show(self.w.stamp());
        self.order.cancellations.push(Cancellation {
            id: next_id(self.order.cancellations.len()),
            key: input.key,
            lines: parts.into_iter().map(|(_, part)| part).collect(),
            restock,
            at,
        });
        Ok(())
    }

    fn take_back(&mut self, input: ReturnInput) -> Result<(), Problem> {
        if is_done(&input.key, self.order.returns.iter().map(|done| &done.key)) {
            return Ok(());
        }
        check_label("key", input.key.as_deref().unwrap_or_default())?;
        let restock = input.restock.unwrap_or(true);
        let Some(parts) = self.parts(input.lines, Units::away)? else {
            return Ok(());
        };
        for (at, part) in &parts {
            self.happen(
                *at,
                Event::Return {
                    n: part.quantity,
                    restock,
                },
            )?;
        }
        self.note_return(
            parts.into_iter().map(|(_, part)| part).collect(),
            restock,
            input.key,
        );
        Ok(())
    }

    fn note_return(&mut self, lines: Vec<Part>, restock: bool, key: Option<String>) {
        let at = clock::show(self.w.stamp());
        self.order.returns.push(Return {
            id: next_id(self.order.returns.len()),
            key,
            lines,
            restock,
            at,
        });
    }

    fn refund(&mut self, input: RefundInput) -> Result<(), Problem> {
        if is_done(&input.key, self.order.refunds.iter().map(|done| &done.key)) {
            return Ok(());
        }
        for (field, text) in [("key", &input.key), ("reason", &input.reason)] {
            check_label(field, text.as_deref().unwrap_or_default())?;
        }
        match self.order.payment {
            Payment::Pending => return Err(self.wrong("is not paid and cannot be refunded")),
            Payment::Refunded if input.lines.is_none() && input.amount.is_none() => return Ok(()),
            Payment::Paid | Payment::PartlyRefunded | Payment::Refunded => {}
        }
        let restock = input.restock.unwrap_or(false);
        let left = Money(self.order.total.0 - self.order.refunded.0);
        let only_money = input.lines.is_none() && input.amount.is_some();
        let whole = input.lines.is_none();
        let parts = if only_money {
            Vec::new()
        } else {
            self.parts(input.lines, |units| units.open() + units.away())?
                .unwrap_or_default()
        };
        // A discount is no charge that could be given back.
        let charged = self.order.charges.iter().map(|charge| charge.gross.0);
        let charged: Decimal = charged.filter(Decimal::is_sign_positive).sum();
        let given_back: Decimal = self.order.refunds.iter().map(|done| done.charges.0).sum();
        let charges_left = Money(charged - given_back);
        let charges = match input.charges {
            Some(charges) => charges,
            None if whole && !only_money => charges_left.min(left),
            None => Money::ZERO,
        };
        if charges < Money::ZERO || charges > charges_left {
            return Err(Problem::invalid(
                "charges",
                format!(
                    "Between 0.00 and {charges_left} of charges can be refunded, not {charges}."
                ),
            ));
        }
        let amount = match input.amount {
            Some(amount) => amount,
            None if whole => left,
            None => {
                let sum: Decimal = parts
                    .iter()
                    .map(|(at, part)| sums::part_of(&self.order.lines[*at], part.quantity).0)
                    .sum();
                Money(sum + charges.0)
            }
        };
        if amount < charges || amount > left {
            return Err(Problem::invalid(
                "amount",
                format!("Between {charges} and {left} can be refunded, not {amount}."),
            ));
        }
        for (at, part) in &parts {
            let back = part.quantity.min(self.order.lines[*at].units().away());
            if back > 0 {
                self.happen(*at, Event::Return { n: back, restock })?;
            }
            if part.quantity > back {
                self.happen(
                    *at,
                    Event::Cancel {
                        n: part.quantity - back,
                        restock,
                    },
                )?;
            }
        }
        let at = clock::show(self.w.stamp());
        self.order.refunds.push(Refund {
            id: next_id(self.order.refunds.len()),
            key: input.key,
            amount,
            charges,
            lines: parts.into_iter().map(|(_, part)| part).collect(),
            restock,
            reason: input.reason,
            at,
        });
        self.order.refunded.0 += amount.0;
        Ok(())
    }

    fn edit(&mut self, input: EditInput) -> Result<(), Problem> {
        if let Some(rev) = input.if_rev
            && rev != self.order.rev
        {
            return Err(Problem::new(
                Code::Stale,
                format!(
                    "The order {} is at revision {}, not {rev}.",
                    self.order.id, self.order.rev
                ),
            )
            .with("current", json!(self.order)));
        }
        if let Some(note) = input.note {
            check_text("note", note.as_deref().unwrap_or_default())?;
            self.order.note = note;
        }
        if let Some(reference) = input.reference {
            check_label("reference", reference.as_deref().unwrap_or_default())?;
            self.order.reference = reference;
        }
        if let Some(branch) = input.branch {
            if let Some(id) = &branch
                && !self
                    .ground
                    .config
                    .branches
                    .iter()
                    .any(|known| known.id == *id)
            {
                return Err(unknown_reference("branch", id));
            }
            self.order.branch = branch;
        }
        if let Some(shipping) = input.shipping {
            self.order.shipping = shipping;
        }
        if let Some(billing) = input.billing {
            self.order.billing = billing;
        }
        super::create::check_people(
            &self.order.buyer,
            [&self.order.billing, &self.order.shipping],
        )?;
        match input.lines {
            Some(lines) => self.edit_lines(lines),
            None => Ok(()),
        }
    }

    fn edit_lines(&mut self, lines: Vec<super::input::LineInput>) -> Result<(), Problem> {
        let begun = self
            .order
            .lines
            .iter()
            .any(|line| line.shipped > 0 || line.cancelled > 0);
        if begun || !self.order.refunds.is_empty() {
            return Err(self.wrong(
                "was shipped, cancelled or refunded in part, and its lines cannot be edited",
            ));
        }
        for input in lines {
            match self.line_to_edit(&input)? {
                Some(at) => {
                    let from = self.order.lines[at].quantity;
                    if !(0..=bounds::QUANTITY_MAX).contains(&input.quantity) {
                        return Err(Problem::invalid("quantity", "A quantity is 0 or more."));
                    }
                    let by = input.quantity - from;
                    if by > 0 {
                        self.happen(at, Event::Place { n: by })?;
                    } else if by < 0 {
                        self.happen(at, Event::Shrink { n: -by })?;
                    }
                    if input.quantity == 0 {
                        let line = self.order.lines.remove(at);
                        order_rows::remove_line(self.w, self.row, &line.id)?;
                    } else if input.says_amounts() {
                        create::reprice(&mut self.order.lines[at], &input, self.ground.config)?;
                    } else {
                        sums::rescale(&mut self.order.lines[at], from, input.quantity);
                    }
                }
                // One that is not there any more, or was named as gone in the first place.
                None if input.quantity == 0 => {}
                None => {
                    let highest = self
                        .order
                        .lines
                        .iter()
                        .filter_map(|line| line.id.parse::<usize>().ok())
                        .max();
                    let id = next_id(highest.unwrap_or(0));
                    let wanted = input.quantity;
                    let (mut line, variant) = priced(self.w, input, &id, self.ground.config)?;
                    line.quantity = 0;
                    if let (Some(sku), Some(variant)) = (&line.sku, variant) {
                        order_rows::add_line(self.w, self.row, &id, sku, variant)?;
                        self.variants.insert(id, variant);
                    }
                    self.order.lines.push(line);
                    self.happen(self.order.lines.len() - 1, Event::Place { n: wanted })?;
                }
            }
        }
        if self.order.lines.is_empty() || self.order.lines.len() > bounds::LINES_MAX {
            return Err(Problem::invalid(
                "lines",
                format!(
                    "An order has 1 to {} lines; cancel it instead.",
                    bounds::LINES_MAX
                ),
            ));
        }
        sums::add_up(&mut self.order);
        Ok(())
    }

    /// A line by its id, else by its key, else by its SKU.
    fn line_to_edit(&self, input: &super::input::LineInput) -> Result<Option<usize>, Problem> {
        match (&input.id, &input.key) {
            (None, Some(key)) => {
                let mut lines = self.order.lines.iter();
                Ok(lines.position(|line| line.key.as_ref() == Some(key)))
            }
            (_, _) => self.line_named(input.id.as_deref(), input.sku.as_deref()),
        }
    }

    /// A line by its id (which must be there), else by its SKU.
    fn line_named(&self, id: Option<&str>, sku: Option<&str>) -> Result<Option<usize>, Problem> {
        match (id, sku) {
            (Some(id), _) => {
                let at = self.order.lines.iter().position(|line| line.id == id);
                at.map(Some).ok_or_else(|| unknown_reference("lines", id))
            }
            (None, Some(sku)) => Ok(self
                .order
                .lines
                .iter()
                .position(|line| line.sku.as_deref() == Some(sku))),
            (None, None) => Ok(None),
        }
    }

    /// The units that are meant: those named, or all that `can` be. None when nothing is left to be meant.
    #[allow(clippy::type_complexity)]
    fn parts(
        &self,
        named: Option<Vec<PartInput>>,
        can: impl Fn(&Units) -> i64,
    ) -> Result<Option<Vec<(usize, Part)>>, Problem> {
        let mut parts: Vec<(usize, Part)> = Vec::new();
        match named {
            None => {
                for (at, line) in self.order.lines.iter().enumerate() {
                    let quantity = can(&line.units());
                    if quantity > 0 {
                        parts.push((
                            at,
                            Part {
                                id: line.id.clone(),
                                quantity,
                            },
                        ));
                    }
                }
                if parts.is_empty() {
                    return Ok(None);
                }
            }
            Some(named) => {
                if named.is_empty() {
                    return Err(Problem::invalid(
                        "lines",
                        "Name at least one line, or leave lines out for all.",
                    ));
                }
                for part in named {
                    let name = part
                        .id
                        .as_deref()
                        .or(part.sku.as_deref())
                        .unwrap_or_default()
                        .to_string();
                    let at = self
                        .line_named(part.id.as_deref(), part.sku.as_deref())?
                        .ok_or_else(|| unknown_reference("lines", &name))?;
                    if part.quantity < 1 {
                        return Err(Problem::invalid("quantity", "A quantity is 1 or more."));
                    }
                    if parts.iter().any(|(other, _)| *other == at) {
                        return Err(Problem::invalid(
                            "lines",
                            format!("The line “{name}” is named twice."),
                        ));
                    }
                    parts.push((
                        at,
                        Part {
                            id: self.order.lines[at].id.clone(),
                            quantity: part.quantity,
                        },
                    ));
                }
            }
        }
        Ok(Some(parts))
    }
}

fn next_id(count: usize) -> String {
    (count + 1).to_string()
}

fn is_done<'k>(key: &Option<String>, mut done: impl Iterator<Item = &'k Option<String>>) -> bool {
    key.is_some() && done.any(|other| other == key)
}
