//! Which line of a copy is which of its origin, and how many units of each stand where on either side.
//!
//! A SKU names no line: two may bear one, and one may bear none.

use lockstep_model::{LineLinks, OrderLine, OrderState, RemoteId};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// The links as they are now: what is linked stays, and what is not yet is found. The copy's own word on what a line was
/// made of comes first; else what it was made as tells.
pub(super) fn link(known: &LineLinks, origin: &OrderState, copy: &OrderState) -> LineLinks {
    let mut links = known.clone();
    // A platform may give the name of a line that went to another one.
    links
        .lines
        .retain(|line, of| copy.line(line).is_some() || origin.line(of).is_some());
    for line in &copy.lines {
        if let Some(of) = &line.of
            && origin.line(of).is_some()
        {
            links.lines.insert(line.id.clone(), of.clone());
        }
    }
    type Alike = fn(&OrderLine, &OrderLine) -> bool;
    link_in_order(&mut links, origin, copy);
    let alike: [Alike; 3] = [
        |one, other| one.wanted() == other.wanted() && one.gross == other.gross,
        |one, other| one.wanted() == other.wanted(),
        |one, other| one.sku.is_some() || one.gross == other.gross,
    ];
    for alike in alike {
        for line in &origin.lines {
            if links.lines.values().any(|of| *of == line.id) {
                continue;
            }
            let free = copy.lines.iter().find(|there| {
                !links.lines.contains_key(&there.id)
                    && there.of.is_none()
                    && is_same_item(line, there)
                    && alike(line, there)
            });
            if let Some(there) = free {
                links.lines.insert(there.id.clone(), line.id.clone());
            }
        }
    }
    for line in &origin.lines {
        let is_new = !known.lines.values().any(|of| *of == line.id);
        let there = ordered(&links, copy, &line.id);
        if !is_new || there.is_zero() {
            continue;
        }
        // Units that were cancelled before it was made were not ordered there.
        let left_out = (line.quantity - there).min(line.cancelled);
        if left_out > Decimal::ZERO {
            links.left_out.insert(line.id.clone(), left_out);
        }
    }
    links
}

/// It was made line by line, of what was ordered or of what was still wanted then: where all lines of an item stand so, each is
/// the one in its place. Units may have been cancelled since, on either side, before it was read.
fn link_in_order(links: &mut LineLinks, origin: &OrderState, copy: &OrderState) {
    let is_linked = |line: &OrderLine| links.lines.values().any(|of| *of == line.id);
    let open: Vec<&OrderLine> = origin
        .lines
        .iter()
        .filter(|line| !is_linked(line))
        .collect();
    let free = |there: &&OrderLine| !links.lines.contains_key(&there.id) && there.of.is_none();
    let free: Vec<&OrderLine> = copy.lines.iter().filter(free).collect();
    for (number, first) in open.iter().enumerate() {
        if open[..number]
            .iter()
            .any(|before| is_same_item(before, first))
        {
            continue;
        }
        let theirs: Vec<&&OrderLine> = free
            .iter()
            .filter(|there| is_same_item(first, there))
            .collect();
        for made_of in [|line: &OrderLine| line.quantity, OrderLine::wanted] {
            let ours = open.iter().filter(|line| is_same_item(first, line));
            let ours: Vec<&&OrderLine> = ours.filter(|line| !made_of(line).is_zero()).collect();
            let mut pairs = ours.iter().zip(&theirs);
            let is_so = ours.len() == theirs.len()
                && pairs.all(|(one, other)| {
                    made_of(one) == other.quantity
                        && (one.unit_price == other.unit_price || one.gross == other.gross)
                });
            if is_so {
                let pairs = ours.iter().zip(&theirs);
                let pairs = pairs.map(|(one, other)| (other.id.clone(), one.id.clone()));
                links.lines.extend(pairs);
                break;
            }
        }
    }
}

fn is_same_item(one: &OrderLine, other: &OrderLine) -> bool {
    match (one.item(), other.item()) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.title == other.title,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn ordered(links: &LineLinks, copy: &OrderState, line: &RemoteId) -> Decimal {
    let made = copy
        .lines
        .iter()
        .filter(|there| links.lines.get(&there.id) == Some(line));
    made.map(|there| there.quantity).sum()
}

/// What of a line stands where.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Units {
    pub quantity: Decimal,
    pub shipped: Decimal,
    pub cancelled: Decimal,
    pub returned: Decimal,
    pub written_off: Decimal,
}

impl Units {
    pub fn wanted(self) -> Decimal {
        self.quantity - self.cancelled
    }

    /// What the buyer keeps of it.
    pub fn kept(self) -> Decimal {
        self.wanted() - self.returned
    }

    fn add(&mut self, line: &OrderLine) {
        self.quantity += line.quantity;
        self.shipped += line.shipped;
        self.cancelled += line.cancelled;
        self.returned += line.returned;
        self.written_off += line.written_off;
    }
}

/// One side of an order, its lines under the names that they have in the origin.
pub(super) struct Side<'a> {
    pub order: &'a OrderState,
    /// The line here → the origin's.
    names: BTreeMap<&'a RemoteId, &'a RemoteId>,
    pub units: BTreeMap<&'a RemoteId, Units>,
}

/// Both sides of an order, without what the copy has beside.
pub(super) fn sides<'a>(
    links: &'a LineLinks,
    origin: &'a OrderState,
    copy: &'a OrderState,
) -> (Side<'a>, Side<'a>) {
    let mut ours = Side::new(origin);
    for line in &origin.lines {
        ours.put(line, &line.id);
        if let Some(left_out) = links.left_out.get(&line.id)
            && let Some(units) = ours.units.get_mut(&line.id)
        {
            units.quantity -= left_out;
            units.cancelled -= left_out;
        }
    }
    let mut theirs = Side::new(copy);
    for line in &copy.lines {
        if let Some(of) = links.lines.get(&line.id) {
            theirs.put(line, of);
        }
    }
    // A line that one side has no longer is one of no units there.
    let all: BTreeSet<&RemoteId> = links
        .lines
        .values()
        .chain(ours.names.values().copied())
        .collect();
    for line in all {
        ours.units.entry(line).or_default();
        theirs.units.entry(line).or_default();
    }
    (ours, theirs)
}

impl<'a> Side<'a> {
    fn new(order: &'a OrderState) -> Self {
        Side {
            order,
            names: BTreeMap::new(),
            units: BTreeMap::new(),
        }
    }

    fn put(&mut self, line: &'a OrderLine, name: &'a RemoteId) {
        self.names.insert(&line.id, name);
        self.units.entry(name).or_default().add(line);
    }

    /// The lines here that are this one of the origin.
    pub fn lines(&self, name: &RemoteId) -> impl Iterator<Item = &'a OrderLine> {
        let order = self.order;
        order
            .lines
            .iter()
            .filter(move |line| self.names.get(&line.id).is_some_and(|of| *of == name))
    }

    /// The origin's name of a line here.
    pub fn name(&self, line: &RemoteId) -> Option<&'a RemoteId> {
        self.names.get(line).copied()
    }

    /// Puts units of the origin's lines on the lines here, as far as these have room for them.
    pub fn put_on(
        &self,
        wanted: &BTreeMap<&RemoteId, Decimal>,
        room: impl Fn(&OrderLine) -> Decimal,
    ) -> BTreeMap<RemoteId, Decimal> {
        let mut put = BTreeMap::new();
        for (name, units) in wanted {
            let mut left = *units;
            for line in self.lines(name) {
                let here = left.min(room(line));
                if here > Decimal::ZERO {
                    left -= here;
                    put.insert(line.id.clone(), here);
                }
            }
        }
        put
    }
}
