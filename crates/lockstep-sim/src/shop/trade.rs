//! Orders: placed, paid, shipped, cancelled, returned, whole or in part; and when each of it moves the level.

use super::SimShop;
use jiff::Timestamp;
use lockstep_model::{Charge, Kind, Payment, Refund, RemoteId, Sku, Takes};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub struct Line {
    pub id: RemoteId,
    /// Of a copy: which line of the origin it stands for.
    pub origin: Option<RemoteId>,
    pub sku: Option<Sku>,
    pub quantity: i64,
    pub unit_price: Decimal,
    pub net: Decimal,
    pub tax: Decimal,
    pub gross: Decimal,
    pub tax_rate: Decimal,
    pub shipped: i64,
    pub cancelled: i64,
    /// Of the shipped ones.
    pub returned: i64,
    /// Of the cancelled and the returned ones: they cannot be sold again.
    pub broken: i64,
    /// Units by which it lowers what can be sold, now.
    pub taken: i64,
}

impl Line {
    /// A line of a basket; prices are with tax.
    pub fn new(sku: Option<Sku>, quantity: i64, unit_price: Decimal, tax_rate: Decimal) -> Self {
        let gross = unit_price * Decimal::from(quantity);
        let tax = tax_within(gross, tax_rate);
        Self {
            id: RemoteId::default(),
            origin: None,
            sku,
            quantity,
            unit_price,
            net: gross - tax,
            tax,
            gross,
            tax_rate,
            shipped: 0,
            cancelled: 0,
            returned: 0,
            broken: 0,
            taken: 0,
        }
    }

    /// Neither shipped nor cancelled yet.
    pub fn open(&self) -> i64 {
        self.quantity - self.shipped - self.cancelled
    }

    /// Shipped and not come back.
    pub fn away(&self) -> i64 {
        self.shipped - self.returned
    }

    /// What the buyer still gets or got.
    pub fn wanted(&self) -> i64 {
        self.quantity - self.cancelled - self.returned
    }
}

pub fn tax_within(gross: Decimal, rate: Decimal) -> Decimal {
    let tax = gross * rate / (Decimal::ONE_HUNDRED + rate);
    tax.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

#[derive(Debug, Clone)]
pub struct Parcel {
    pub id: RemoteId,
    /// Of the other side, where it was carried from there.
    pub of: Option<RemoteId>,
    pub carrier: Option<String>,
    pub tracking: Option<String>,
    /// Line → units.
    pub lines: BTreeMap<RemoteId, i64>,
}

#[derive(Debug, Clone)]
pub struct Placed {
    pub lines: Vec<Line>,
    pub charges: Vec<Charge>,
    pub total: Decimal,
    /// Of a copy: whose it is.
    pub key: Option<String>,
    pub payment: Payment,
    pub payment_method: Option<RemoteId>,
    /// Where the goods go to: a number for each address.
    pub address: u32,
    pub cancelled: bool,
    pub parcels: Vec<Parcel>,
    pub refunds: Vec<Refund>,
    /// When it takes.
    pub takes: Takes,
    pub placed_at: Timestamp,
    /// Hidden from look-ups by key until then.
    pub(super) hidden_until: Timestamp,
}

/// What somebody wants to buy.
#[derive(Debug, Clone, Default)]
pub struct Basket {
    pub lines: Vec<Line>,
    pub charges: Vec<Charge>,
    pub payment: Payment,
    pub payment_method: Option<RemoteId>,
    pub address: u32,
}

impl Basket {
    pub fn total(&self) -> Decimal {
        let lines: Decimal = self.lines.iter().map(|line| line.gross).sum();
        let charges: Decimal = self.charges.iter().map(|charge| charge.gross).sum();
        lines + charges
    }

    fn units(&self) -> BTreeMap<&Sku, i64> {
        let mut units = BTreeMap::new();
        for line in &self.lines {
            if let Some(sku) = &line.sku {
                *units.entry(sku).or_default() += line.quantity;
            }
        }
        units
    }
}

impl Placed {
    pub fn is_paid(&self) -> bool {
        self.payment >= Payment::Paid
    }

    /// An order that was accepted may not be seen in the level yet.
    pub fn takes_late(&self) -> bool {
        match self.takes {
            Takes::Placement | Takes::Reserve => false,
            Takes::Payment | Takes::Shipment | Takes::Never => true,
        }
    }

    pub fn refunded(&self) -> Decimal {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    pub fn shown_payment(&self) -> Payment {
        let refunded = self.refunded();
        if refunded.is_zero() {
            self.payment
        } else if refunded < self.total {
            Payment::PartlyRefunded
        } else {
            Payment::Refunded
        }
    }

    pub fn any_shipped(&self) -> bool {
        self.lines.iter().any(|line| line.shipped > 0)
    }

    /// All that was not cancelled has left.
    pub fn is_shipped(&self) -> bool {
        self.any_shipped() && self.lines.iter().all(|line| line.open() == 0)
    }

    pub fn lines_of<'a>(&'a self, sku: &'a Sku) -> impl Iterator<Item = &'a Line> {
        let lines = self.lines.iter();
        lines.filter(move |line| line.sku.as_ref() == Some(sku))
    }

    /// Units that can still be shipped, line by line.
    pub fn open_units(&self) -> Vec<(usize, i64)> {
        let lines = self.lines.iter().enumerate();
        lines
            .map(|(index, line)| (index, line.open()))
            .filter(|(_, units)| *units > 0)
            .collect()
    }

    pub fn tax_by_rate(&self) -> BTreeMap<Decimal, Decimal> {
        let lines = self.lines.iter().map(|line| (line.tax_rate, line.tax));
        let charges = self
            .charges
            .iter()
            .map(|charge| (charge.tax_rate, charge.tax));
        let mut by_rate = BTreeMap::new();
        for (rate, tax) in lines.chain(charges) {
            if !tax.is_zero() {
                *by_rate.entry(rate).or_default() += tax;
            }
        }
        by_rate
    }
}

impl SimShop {
    /// Units of lines that become taken: all of a line that is not, if `units` does not say how many.
    fn take(&mut self, id: &RemoteId, at: Takes, units: Option<&[(usize, i64)]>) {
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        if order.takes != at || order.cancelled {
            return;
        }
        let mut moved = Vec::new();
        for (index, line) in order.lines.iter_mut().enumerate() {
            let Some(sku) = &line.sku else {
                continue;
            };
            let units = match units {
                Some(units) => units
                    .iter()
                    .filter(|(at, _)| *at == index)
                    .map(|(_, units)| *units)
                    .sum(),
                None => line.wanted() - line.taken,
            };
            if units > 0 {
                line.taken += units;
                moved.push((sku.clone(), units));
            }
        }
        for (sku, units) in moved {
            if let Some(level) = self.levels.get_mut(&sku) {
                match at {
                    Takes::Reserve => level.reserved += units,
                    Takes::Placement | Takes::Payment | Takes::Shipment | Takes::Never => {
                        level.on_hand -= units;
                    }
                }
            }
            self.touch_level(&sku);
        }
    }

    /// `None`: sold out, or nothing of the kind.
    pub fn buy(&mut self, basket: Basket, now: Timestamp) -> Option<RemoteId> {
        for (sku, units) in basket.units() {
            if self.levels.get(sku)?.available() < units {
                return None;
            }
        }
        Some(self.place(basket, None, now))
    }

    pub(super) fn place(
        &mut self,
        basket: Basket,
        key: Option<String>,
        now: Timestamp,
    ) -> RemoteId {
        let id = self.fresh("o");
        let takes = match key {
            Some(_) => self.traits.copies_take,
            None => self.traits.takes,
        };
        let total = basket.total();
        let prefix = if key.is_some() { "c" } else { "l" };
        let lines = basket
            .lines
            .into_iter()
            .enumerate()
            .map(|(index, line)| Line {
                id: RemoteId(format!("{prefix}{}", index + 1)),
                ..line
            });
        self.orders.insert(
            id.clone(),
            Placed {
                lines: lines.collect(),
                charges: basket.charges,
                total,
                key,
                payment: basket.payment.min(Payment::Authorized),
                payment_method: basket.payment_method,
                address: basket.address,
                cancelled: false,
                parcels: Vec::new(),
                refunds: Vec::new(),
                takes,
                placed_at: now,
                hidden_until: self.found_from(now),
            },
        );
        self.take(&id, Takes::Placement, None);
        self.take(&id, Takes::Reserve, None);
        self.touch(Kind::Order, id.clone());
        if basket.payment >= Payment::Paid {
            self.pay(&id);
        }
        id
    }

    /// Money is promised, and not paid yet.
    pub fn promise(&mut self, id: &RemoteId, payment: Payment) {
        if let Some(order) = self.orders.get_mut(id)
            && !order.cancelled
            && order.payment < payment
        {
            order.payment = payment;
            self.touch(Kind::Order, id.clone());
        }
    }

    pub fn pay(&mut self, id: &RemoteId) {
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        if order.is_paid() || order.cancelled {
            return;
        }
        order.payment = Payment::Paid;
        self.take(id, Takes::Payment, None);
        self.touch(Kind::Order, id.clone());
    }

    pub fn readdress(&mut self, id: &RemoteId, address: u32) {
        if let Some(order) = self.orders.get_mut(id) {
            order.address = address;
            self.touch(Kind::Order, id.clone());
        }
    }

    /// All that is open leaves.
    pub fn ship(&mut self, id: &RemoteId, carrier: Option<&str>, tracking: Option<&str>) {
        if let Some(order) = self.orders.get(id) {
            let units = order.open_units();
            self.ship_units(id, &units, carrier, tracking, None);
        }
    }

    /// A parcel leaves. No more than is open goes into it.
    pub fn ship_units(
        &mut self,
        id: &RemoteId,
        units: &[(usize, i64)],
        carrier: Option<&str>,
        tracking: Option<&str>,
        of: Option<&RemoteId>,
    ) {
        let Some(order) = self.orders.get(id).filter(|order| !order.cancelled) else {
            return;
        };
        let units: Vec<(usize, i64)> = units
            .iter()
            .map(|(index, units)| (*index, order.lines[*index].open().min(*units)))
            .filter(|(_, units)| *units > 0)
            .collect();
        if units.is_empty() {
            return;
        }
        self.take(id, Takes::Shipment, Some(&units));
        let parcel = self.fresh("k");
        let Some(order) = self.orders.get_mut(id) else {
            return;
        };
        let takes = order.takes;
        let mut lines = BTreeMap::new();
        let mut left = Vec::new();
        for (index, units) in units {
            let line = &mut order.lines[index];
            line.shipped += units;
            lines.insert(line.id.clone(), units);
            left.extend(line.sku.clone().map(|sku| (sku, units)));
        }
        order.parcels.push(Parcel {
            id: parcel,
            of: of.cloned(),
            carrier: carrier.map(str::to_owned),
            tracking: tracking.map(str::to_owned),
            lines,
        });
        if takes == Takes::Reserve {
            for (sku, units) in left {
                if let Some(level) = self.levels.get_mut(&sku) {
                    level.reserved -= units;
                    level.on_hand -= units;
                }
                self.touch_level(&sku);
            }
        }
        self.touch(Kind::Order, id.clone());
    }

    pub fn cancel(&mut self, id: &RemoteId) {
        let Some(order) = self.orders.get(id) else {
            return;
        };
        if order.any_shipped() || order.cancelled {
            return;
        }
        for (index, units) in order.open_units() {
            self.cancel_units(id, index, units, true);
        }
        if let Some(order) = self.orders.get_mut(id) {
            order.cancelled = true;
            self.touch(Kind::Order, id.clone());
        }
    }

    /// Money is given back.
    pub fn refund(
        &mut self,
        id: &RemoteId,
        amount: Decimal,
        charges: Decimal,
        of: Option<&RemoteId>,
    ) {
        let name = self.fresh("r");
        if let Some(order) = self.orders.get_mut(id)
            && order.is_paid()
        {
            order.refunds.push(Refund {
                id: name,
                of: of.cloned(),
                amount,
                charges,
                lines: BTreeMap::new(),
            });
            self.touch(Kind::Order, id.clone());
        }
    }

    /// Units of a line will not be delivered. `put_back`: they can be sold again, if the shop does such a thing.
    pub fn cancel_units(&mut self, id: &RemoteId, index: usize, units: i64, put_back: bool) {
        let gives_back = self.traits.gives_back && put_back;
        let Some(order) = self.orders.get_mut(id).filter(|order| !order.cancelled) else {
            return;
        };
        let takes = order.takes;
        let line = &mut order.lines[index];
        let units = units.min(line.open());
        if units <= 0 {
            return;
        }
        line.cancelled += units;
        if !put_back {
            line.broken += units;
        }
        // What has been shipped is not given back by it.
        let held = (line.taken - line.shipped).max(0);
        let back = if gives_back { units.min(held) } else { 0 };
        line.taken -= back;
        if back > 0
            && let Some(sku) = line.sku.clone()
        {
            if let Some(level) = self.levels.get_mut(&sku) {
                match takes {
                    Takes::Reserve => level.reserved -= back,
                    Takes::Placement | Takes::Payment | Takes::Shipment | Takes::Never => {
                        level.on_hand += back;
                    }
                }
            }
            self.touch_level(&sku);
        }
        self.touch(Kind::Order, id.clone());
    }

    /// Units of a line come back. `put_back`: they can be sold again, if the shop does such a thing.
    pub fn take_back(&mut self, id: &RemoteId, index: usize, units: i64, put_back: bool) {
        let gives_back = self.traits.gives_back && put_back;
        let Some(order) = self.orders.get_mut(id).filter(|order| !order.cancelled) else {
            return;
        };
        let Some(line) = order.lines.get_mut(index) else {
            return;
        };
        let units = units.min(line.away());
        if units <= 0 {
            return;
        }
        line.returned += units;
        // Nobody writes off what was never taken.
        if !put_back || (!gives_back && line.taken > 0) {
            line.broken += units;
        }
        let back = units.min(line.taken);
        if gives_back
            && back > 0
            && let Some(sku) = line.sku.clone()
        {
            line.taken -= back;
            if let Some(level) = self.levels.get_mut(&sku) {
                level.on_hand += back;
            }
            self.touch_level(&sku);
        }
        self.touch(Kind::Order, id.clone());
    }
}
