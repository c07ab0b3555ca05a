//! The rule's arithmetic, for one SKU in all its stocks. Pure sums, no shop is written here.

use crate::rules::Rules;
use lockstep_model::cases::{LineCase, LineSide};
use lockstep_model::settings::{CustomerSettings, StockId, StockMode};
use lockstep_model::{Level, ShopId, ShopIdentity, StockSemantics, Takes};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// What the sums go by: whose count it is, which shop takes units when, and who sells from which stocks.
pub struct Ledger<'a> {
    settings: &'a CustomerSettings,
    shops: BTreeMap<ShopId, &'a ShopIdentity>,
}

/// The units of one SKU in every stock, each order line in the stock that it counts in.
pub struct Books<'a> {
    ledger: &'a Ledger<'a>,
    bases: BTreeMap<StockId, Decimal>,
    lines: BTreeMap<StockId, Vec<Booked<'a>>>,
}

/// An order line, as far as it counts in one stock.
#[derive(Debug, Clone)]
pub struct Booked<'a> {
    pub line: &'a LineCase,
    pub sides: BTreeMap<ShopId, LineSide>,
    /// Units that it takes out of the pool: once, wherever the order lives.
    pub committed: Decimal,
}

impl<'a> Ledger<'a> {
    pub fn new(
        settings: &'a CustomerSettings,
        shops: impl Iterator<Item = (ShopId, &'a ShopIdentity)>,
    ) -> Self {
        Self {
            settings,
            shops: shops.collect(),
        }
    }

    pub fn of(rules: &'a Rules) -> Self {
        let shops = rules.shops.iter();
        Self::new(
            &rules.settings,
            shops.map(|(shop, rules)| (*shop, &rules.identity)),
        )
    }

    fn owner(&self) -> Option<ShopId> {
        match self.settings.policies.stock.mode {
            StockMode::Owned { owner } => Some(owner),
            StockMode::Pooled => None,
        }
    }

    fn semantics(&self, shop: ShopId) -> Option<&'a StockSemantics> {
        self.shops.get(&shop).map(|identity| &identity.stock)
    }

    /// The stocks whose sum a shop with one stock of its own is told, the first first. Empty: each of its stocks is told
    /// what is in the one of ours that it stands for.
    fn sells_from(&self, shop: ShopId) -> &'a [StockId] {
        // However many it has there: those that stand for none of ours are not told anything.
        let rows = self.settings.stock_service_identifiers.iter();
        let has_one = rows.filter(|row| row.service_id == shop).count() <= 1;
        match self.settings.link(shop) {
            Some(link) if has_one && self.owner() != Some(shop) => &link.sells_from,
            _ => &[],
        }
    }

    fn committed(&self, line: &LineCase, sides: &BTreeMap<ShopId, LineSide>) -> Decimal {
        let origin = line.order.shop;
        let owner = self.owner();
        if line.before_opening && Some(origin) != owner {
            return Decimal::ZERO;
        }
        // Once the owner's copy is shipped, cancelled or returned, what the owner says is all there is to it; unless its
        // copies never take stock: then it says nothing (docs/adr/0002).
        let owner_speaks = owner
            .and_then(|owner| self.semantics(owner))
            .is_some_and(|owner| owner.copies_take != Takes::Never);
        if let Some(owner) = owner
            && owner_speaks
            && owner != origin
            && let Some(side) = sides.get(&owner)
            && side.done
        {
            return side.taken;
        }
        let is_called_off = is_called_off(line, sides);
        let taken = sides
            .iter()
            .filter(|(shop, _)| !(is_called_off && **shop == origin && owner != Some(origin)))
            .map(|(_, side)| side.taken)
            .max()
            .unwrap_or_default();
        // Where the origin takes late and shows no reservation, an accepted order counts from acceptance.
        let takes_late = self.semantics(origin).is_some_and(|origin| {
            matches!(
                origin.takes,
                Takes::Payment | Takes::Shipment | Takes::Never
            )
        });
        match sides.get(&origin) {
            Some(side) if takes_late && line.accepted => taken.max(side.wanted),
            _ => taken,
        }
    }

    /// Puts each line into the stocks that it counts in: those that the copy in the stock's owner names, else another
    /// copy's, else the origin's own; and for a shop that sells from several, the first that has it.
    pub fn books(&'a self, bases: BTreeMap<StockId, Decimal>, lines: &'a [LineCase]) -> Books<'a> {
        let mut books = Books {
            ledger: self,
            bases,
            lines: BTreeMap::new(),
        };
        let mut anywhere = Vec::new();
        for line in lines {
            match self.named_by(line) {
                Some(shop) => {
                    let named = line.sides.get(&shop).into_iter().flatten();
                    let shares: Vec<(StockId, Decimal)> = named
                        .map(|(stock, side)| (*stock, side.wanted.max(side.taken)))
                        .collect();
                    books.book(line, &shares);
                }
                None => anywhere.push(line),
            }
        }
        for line in anywhere {
            let whole = self.committed(line, &whole_sides(line));
            let sells_from = self.sells_from(line.order.shop);
            let free = |stock: &&StockId| books.free(**stock);
            let stock = sells_from
                .iter()
                .find(|stock| free(stock) >= whole)
                .or_else(|| sells_from.iter().find(|stock| free(stock) > Decimal::ZERO))
                .or_else(|| sells_from.first());
            if let Some(stock) = stock.copied() {
                books.book(line, &[(stock, whole)]);
            }
        }
        books
    }

    /// The shop whose word on the stock counts. `None`: nobody has said it.
    fn named_by(&self, line: &LineCase) -> Option<ShopId> {
        let origin = line.order.shop;
        let names = |shop: &ShopId| {
            line.sides.get(shop).is_some_and(|side| !side.is_empty())
                && self.sells_from(*shop).is_empty()
        };
        let copies = line.sides.keys().copied().filter(|shop| *shop != origin);
        self.owner()
            .into_iter()
            .filter(|owner| *owner != origin)
            .chain(copies)
            .find(names)
            .or_else(|| Some(origin).filter(names))
    }
}

impl<'a> Books<'a> {
    /// `shares`: how many units of the line are in which stock, by the word that counts. The other shops' units go the
    /// same way.
    fn book(&mut self, line: &'a LineCase, shares: &[(StockId, Decimal)]) {
        let mut parts: BTreeMap<StockId, BTreeMap<ShopId, LineSide>> = BTreeMap::new();
        for (shop, sides) in &line.sides {
            let is_named_alike =
                sides.len() == shares.len() && shares.iter().all(|(s, _)| sides.contains_key(s));
            if is_named_alike {
                for (stock, side) in sides {
                    parts.entry(*stock).or_default().insert(*shop, *side);
                }
                continue;
            }
            let mut rest = whole_side(sides);
            for (nth, (stock, units)) in shares.iter().enumerate() {
                let is_last = nth + 1 == shares.len();
                let part = |of: &mut Decimal| {
                    let part = if is_last { *of } else { (*of).min(*units) };
                    *of -= part;
                    part
                };
                let side = LineSide {
                    wanted: part(&mut rest.wanted),
                    taken: part(&mut rest.taken),
                    done: rest.done,
                };
                parts.entry(*stock).or_default().insert(*shop, side);
            }
        }
        for (stock, sides) in parts {
            let committed = self.ledger.committed(line, &sides);
            self.lines.entry(stock).or_default().push(Booked {
                line,
                sides,
                committed,
            });
        }
    }

    /// Those that a line counts in.
    pub fn stocks(&self) -> impl Iterator<Item = StockId> {
        self.lines.keys().copied()
    }

    pub fn lines(&self, stock: StockId) -> &[Booked<'a>] {
        self.lines.get(&stock).map_or(&[], Vec::as_slice)
    }

    pub fn committed(&self, stock: StockId) -> Decimal {
        self.lines(stock).iter().map(|line| line.committed).sum()
    }

    pub fn is_open(&self, stock: StockId) -> bool {
        self.bases.contains_key(&stock)
    }

    fn free(&self, stock: StockId) -> Decimal {
        self.bases.get(&stock).copied().unwrap_or_default() - self.committed(stock)
    }

    /// The stocks of ours that a shop's level in this one shows.
    pub fn shown<'s>(&self, shop: ShopId, stock: &'s StockId) -> &'s [StockId]
    where
        'a: 's,
    {
        match self.ledger.sells_from(shop) {
            [] => std::slice::from_ref(stock),
            several => several,
        }
    }

    /// What is counted in the stocks that a shop's level shows, before any order.
    pub fn base(&self, shop: ShopId, stock: StockId) -> Decimal {
        let shown = self.shown(shop, &stock).iter();
        shown.filter_map(|stock| self.bases.get(stock)).sum()
    }

    pub fn pool(&self, shop: ShopId, stock: StockId) -> Decimal {
        let shown = self.shown(shop, &stock).iter();
        shown.map(|stock| self.free(*stock)).sum()
    }

    /// Committed units of orders that this shop holds, or is about to be given, and that it has not taken yet but will.
    pub fn pending(&self, shop: ShopId, stock: StockId) -> Decimal {
        let Some(semantics) = self.ledger.semantics(shop) else {
            return Decimal::ZERO;
        };
        let shown = self.shown(shop, &stock).iter();
        shown
            .flat_map(|stock| self.lines(*stock))
            .map(|booked| self.pending_of(shop, semantics, booked))
            .sum()
    }

    fn pending_of(&self, shop: ShopId, semantics: &StockSemantics, booked: &Booked<'_>) -> Decimal {
        let line = booked.line;
        let is_origin = line.order.shop == shop;
        let takes = if is_origin {
            semantics.takes
        } else {
            semantics.copies_take
        };
        if takes == Takes::Never {
            return Decimal::ZERO;
        }
        let side = booked.sides.get(&shop);
        if side.is_some_and(|side| side.done) {
            return Decimal::ZERO;
        }
        // The switch of the orders' flow is a pause: what is on its way waits, and is not told by a level meanwhile.
        let comes = self.ledger.settings.policies.orders.into == Some(shop) && !line.before_opening;
        if side.is_none() && !is_origin && !comes && !line.on_its_way.contains(&shop) {
            return Decimal::ZERO;
        }
        let taken = side.map_or(Decimal::ZERO, |side| side.taken);
        (booked.committed - taken).max(Decimal::ZERO)
    }

    /// What this shop's `available` shall be. Negative where more was sold than there is.
    pub fn target(&self, shop: ShopId, stock: StockId) -> Decimal {
        let units = self.pool(shop, stock) + self.pending(shop, stock);
        let policy = &self.ledger.settings.policies.stock;
        match policy.buffer.get(&shop) {
            Some(buffer) if self.ledger.owner() != Some(shop) => {
                (units - buffer).max(Decimal::ZERO)
            }
            _ => units,
        }
    }

    /// The most that is kept from a shop which sells from this stock.
    pub fn kept(&self, stock: StockId) -> Decimal {
        let buffers = &self.ledger.settings.policies.stock.buffer;
        let of_stock = buffers.iter().filter(|(shop, _)| {
            let sells_from = self.ledger.sells_from(**shop);
            self.ledger.owner() != Some(**shop)
                && (sells_from.is_empty() || sells_from.contains(&stock))
        });
        of_stock
            .map(|(_, buffer)| *buffer)
            .max()
            .unwrap_or_default()
    }

    /// The `available` that a shop which shows this level is to be told. What it shows by its own doing it can hold, also
    /// below nothing; by a write its on hand may not be. Its owner's number is not written up because another cannot be
    /// written. What the shop has set aside by hand stays set aside: no other shop makes up for it.
    pub fn told(&self, shop: ShopId, stock: StockId, level: &Level) -> Decimal {
        let available = level.available();
        let set_aside = counted(self.ledger.owner(), shop, level) - available;
        let target = self.target(shop, stock) - set_aside;
        let semantics = self.ledger.semantics(shop);
        if semantics.is_none_or(|semantics| semantics.negative) || target == available {
            return target;
        }
        let reserved = match semantics.is_some_and(|semantics| semantics.reserves) {
            true => level.reserved,
            false => Decimal::ZERO,
        };
        let told = (target + reserved).max(Decimal::ZERO) - reserved;
        if self.ledger.owner() == Some(shop) && told != target {
            told.min(available)
        } else {
            told
        }
    }
}

/// What a shop's level says of the goods. What is set aside by hand is gone where the shop's own number is the count;
/// elsewhere it is that shop's own affair, and neither the goods' nor an order's doing.
pub fn counted(owner: Option<ShopId>, shop: ShopId, level: &Level) -> Decimal {
    match owner {
        Some(owner) if owner != shop => level.unspoken_for(),
        _ => level.available(),
    }
}

/// A shop's side of a line over all stocks.
fn whole_side(sides: &BTreeMap<StockId, LineSide>) -> LineSide {
    let mut whole = LineSide {
        wanted: Decimal::ZERO,
        taken: Decimal::ZERO,
        done: true,
    };
    for side in sides.values() {
        whole.wanted += side.wanted;
        whole.taken += side.taken;
        whole.done &= side.done;
    }
    whole
}

fn whole_sides(line: &LineCase) -> BTreeMap<ShopId, LineSide> {
    let sides = line.sides.iter();
    sides
        .map(|(shop, sides)| (*shop, whole_side(sides)))
        .collect()
}

/// Cancelled in its origin. The goods never left, so what counts is what the owner's side of it still holds: a shop
/// that does not put cancelled units back keeps its own number low, which its target then corrects.
fn is_called_off(line: &LineCase, sides: &BTreeMap<ShopId, LineSide>) -> bool {
    !line.accepted
        && sides
            .get(&line.order.shop)
            .is_some_and(|side| side.done && side.wanted.is_zero())
}
