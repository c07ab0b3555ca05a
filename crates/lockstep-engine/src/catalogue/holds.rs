//! Prices that are not written before a person has seen them, and records that are not made since something is missing that
//! they would be sold by. Each holds up itself: the record's other fields, its other shops and all other records go on.
//!
//! ```text
//! it moves further than the limit      what buyers pay in the shop, or last paid, against what they would
//! it is nothing, or less               0.00 is a slip more often than a gift
//! the sale price is above the price
//! ```
//!
//! The question closes with a person's word, which counts for that value of that field, or by itself once its source says
//! something else that is not to be asked about.

use super::merge::Side;
use crate::rules::ShopRules;
use lockstep_model::cases::OpenConflict;
use lockstep_model::entry::{Conflict, HeldPrice, MissingThere, PriceDoubt};
use lockstep_model::{
    ConflictId, Currency, Field, Fields, ItemId, Path, RemoteId, ShopId, Sku, Value, VariantField,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a price that a person should see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// It waits, and a person is asked.
    Asks,
    /// What would be written if it did not.
    Shows,
    /// A person has seen it: it is written.
    Accepts,
}

/// What an open question, or a person's word, says of one field.
pub(super) struct Answers<'a> {
    open: &'a [OpenConflict],
    accepted: &'a BTreeMap<Path, Value>,
}

impl<'a> Answers<'a> {
    pub fn new(open: &'a [OpenConflict], accepted: &'a BTreeMap<Path, Value>) -> Self {
        Self { open, accepted }
    }

    fn is_accepted(&self, path: &Path, ours: &Value) -> bool {
        self.accepted.get(path) == Some(ours)
    }

    fn asked_at(&self, path: &Path, shop: ShopId) -> Option<&'a HeldPrice> {
        self.open.iter().find_map(|open| match &open.about {
            Conflict::PriceHeld {
                path: of, shops, ..
            } if of == path => shops.get(&shop),
            _ => None,
        })
    }
}

/// A price of a shop: of which variant, on sale or not, in the shop's currency.
struct PriceOf {
    item: ItemId,
    is_sale: bool,
    currency: Currency,
}

impl PriceOf {
    fn of(path: &Path) -> Option<Self> {
        let (item, is_sale, currency) = match path.field()? {
            Field::Variant {
                item,
                field: VariantField::Price(currency),
            } => (item, false, currency),
            Field::Variant {
                item,
                field: VariantField::SalePrice(currency),
            } => (item, true, currency),
            _ => return None,
        };
        Some(Self {
            item,
            is_sale,
            currency,
        })
    }

    fn path(&self, is_sale: bool) -> Path {
        let currency = self.currency.clone();
        Path::new(&Field::Variant {
            item: self.item.clone(),
            field: match is_sale {
                true => VariantField::SalePrice(currency),
                false => VariantField::Price(currency),
            },
        })
    }
}

/// One shop's prices, about to be written.
pub(super) struct Prices<'a> {
    pub shop: ShopId,
    pub rules: &'a ShopRules,
    pub side: Option<&'a Side<'a>>,
    /// What the shop should hold, in its own terms.
    pub wanted: &'a Fields,
    /// What our record said before this reading, and says now.
    pub before: &'a Fields,
    pub ours: &'a Fields,
    pub limit: u32,
    pub answers: &'a Answers<'a>,
}

impl Prices<'_> {
    /// Those that a person should see before they are written, by our own path, with the shop's.
    pub fn in_doubt(&self) -> Vec<(Path, Path, HeldPrice)> {
        let prices = self.wanted.iter().filter_map(|(path, value)| {
            let price = PriceOf::of(path)?;
            let to = value.as_number()?;
            let ours = self.source(&price);
            let why = self.doubt(path, &price, &ours, to)?;
            let is_accepted = || {
                let value = self.ours.get(&ours);
                value.is_some_and(|value| self.answers.is_accepted(&ours, value))
            };
            let held = HeldPrice {
                from: self.paid(&price, &ours).unwrap_or(Value::Empty),
                to: value.clone(),
                why,
            };
            (!is_accepted()).then(|| (ours, path.clone(), held))
        });
        prices.collect()
    }

    /// From which field of ours the shop's price is made.
    fn source(&self, price: &PriceOf) -> Path {
        let rule = self.rules.link.transform.price_in(&price.currency);
        let currency = rule.map_or(&price.currency, |rule| &rule.from);
        PriceOf {
            item: price.item.clone(),
            is_sale: price.is_sale,
            currency: currency.clone(),
        }
        .path(price.is_sale)
    }

    fn held(&self, path: &Path) -> Option<&Value> {
        let side = self.side.filter(|side| side.is_there())?;
        side.holds().get(path)
    }

    fn doubt(&self, path: &Path, price: &PriceOf, ours: &Path, to: Decimal) -> Option<PriceDoubt> {
        let is_there = |value: &Value| value.as_number() == Some(to);
        if self.held(path).is_some_and(is_there) || self.is_as_meant(path, to) {
            return None;
        }
        if to <= Decimal::ZERO {
            return Some(PriceDoubt::Nothing);
        }
        if price.is_sale {
            let base = price.path(false);
            let base = self.wanted.get(&base).or_else(|| self.held(&base));
            if base
                .and_then(Value::as_number)
                .is_some_and(|base| to > base)
            {
                return Some(PriceDoubt::SaleAbovePrice);
            }
        }
        let from = self.paid(price, ours).and_then(|from| from.as_number())?;
        let limit = Decimal::from(self.limit);
        let moved = (to - from).abs().checked_mul(Decimal::ONE_HUNDRED);
        let is_far = moved.is_none_or(|moved| moved > limit * from);
        (from > Decimal::ZERO && is_far).then_some(PriceDoubt::MovesTooFar { limit: self.limit })
    }

    /// The shop makes something else of it, and holds that.
    fn is_as_meant(&self, path: &Path, to: Decimal) -> bool {
        self.side.is_some_and(|side| {
            let meant = side.shadow.meant.get(path);
            side.is_there()
                && side.holds().get(path) == side.shadow.held.get(path)
                && meant.and_then(Value::as_number) == Some(to)
        })
    }

    /// What buyers pay there now, or, where it is not sold yet, what was last known of it before anybody had to be asked.
    fn paid(&self, price: &PriceOf, ours: &Path) -> Option<Value> {
        let is_number = |value: &&Value| value.as_number().is_some();
        let base = price.path(false);
        let mut held = self.held(&price.path(price.is_sale)).filter(is_number);
        if price.is_sale {
            // A sale that begins is held against the price.
            held = held.or_else(|| self.held(&base).filter(is_number));
        }
        if let Some(held) = held {
            return Some(held.clone());
        }
        if let Some(asked) = self.answers.asked_at(ours, self.shop)
            && asked.from != Value::Empty
        {
            return Some(asked.from.clone());
        }
        let rule = self.rules.link.transform.price_in(&price.currency);
        let before = self.before.get(ours).and_then(Value::as_number);
        let before = before.and_then(|before| match rule {
            Some(rule) => super::prices::given(rule, before),
            None => Some(before),
        });
        let of_sale = || {
            let base = self.wanted.get(&base).filter(|_| price.is_sale);
            base.and_then(Value::as_number)
        };
        before.or_else(of_sale).map(Value::number)
    }

    /// Does our own record say what it costs?
    pub fn is_known(&self, item: &ItemId) -> bool {
        let price = PriceOf {
            item: item.clone(),
            is_sale: false,
            currency: self.rules.currency().clone(),
        };
        let price = self.ours.get(&self.source(&price));
        price.and_then(Value::as_number).is_some()
    }

    /// The variants that would be sold there without any price.
    pub fn missing(&self, variants: impl Iterator<Item = ItemId>) -> BTreeSet<ItemId> {
        let currency = self.rules.currency();
        variants
            .filter(|item| {
                let field = VariantField::Price(currency.clone());
                let item = item.clone();
                let price = self.wanted.get(&Path::new(&Field::Variant { item, field }));
                price.and_then(Value::as_number).is_none()
            })
            .collect()
    }
}

/// What is held of one record, over all shops.
#[derive(Default)]
pub(super) struct Held {
    prices: BTreeMap<Path, BTreeMap<ShopId, HeldPrice>>,
    missing: BTreeMap<ShopId, MissingThere>,
    gone: BTreeMap<ShopId, RemoteId>,
}

/// The questions of one record as they stand after a decision.
pub(super) struct Questions {
    pub closed: Vec<(ConflictId, &'static str)>,
    pub asked: Vec<Conflict>,
}

impl Held {
    pub fn price(&mut self, path: Path, shop: ShopId, held: HeldPrice) {
        self.prices.entry(path).or_default().insert(shop, held);
    }

    pub fn missing(&mut self, shop: ShopId, missing: MissingThere) {
        self.missing.insert(shop, missing);
    }

    pub fn gone(&mut self, shop: ShopId, id: RemoteId) {
        self.gone.insert(shop, id);
    }

    /// Asks what is not asked yet, and closes what there is nothing left to ask about. What a person has seen already, or is
    /// shown, is not asked; its question closes once it is written.
    pub fn questions(self, open: &[OpenConflict], ours: &Fields, holding: Holding) -> Questions {
        let prices = self.prices.into_iter().map(|(path, shops)| {
            let value = ours.get(&path).cloned().unwrap_or(Value::Empty);
            Conflict::PriceHeld { path, value, shops }
        });
        let missing = Some(self.missing).filter(|missing| !missing.is_empty());
        let missing = missing.map(|shops| Conflict::NotMade { shops });
        let gone = self.gone.into_iter();
        let gone = gone.map(|(shop, id)| Conflict::GoneThere { shop, id });
        let mut asked: Vec<Conflict> = prices.chain(missing).chain(gone).collect();
        let mut closed = Vec::new();
        if holding == Holding::Accepts {
            let held: BTreeSet<&Path> = asked.iter().filter_map(price_of).collect();
            let written = open.iter().filter(|open| {
                let path = price_of(&open.about);
                path.is_some_and(|path| !held.contains(path))
            });
            let why = "a person has seen it, and it is written";
            closed.extend(written.map(|open| (open.conflict, why)));
        }
        if holding != Holding::Asks {
            asked.retain(|about| !matches!(about, Conflict::PriceHeld { .. }));
        }
        for open in open {
            let is_about = match &open.about {
                Conflict::PriceHeld { .. } => holding == Holding::Asks,
                Conflict::NotMade { .. } | Conflict::GoneThere { .. } => true,
                _ => false,
            };
            if !is_about {
                continue;
            }
            match asked.iter().position(|about| *about == open.about) {
                Some(stands) => {
                    asked.remove(stands);
                }
                None => {
                    let is_asked_anew = asked.iter().any(|about| is_same(about, &open.about));
                    let why = match is_asked_anew {
                        true => "the values have changed; it is asked anew",
                        false => "nothing of the kind is to be written any more",
                    };
                    closed.push((open.conflict, why));
                }
            }
        }
        Questions { closed, asked }
    }
}

/// The price that is asked about.
fn price_of(about: &Conflict) -> Option<&Path> {
    match about {
        Conflict::PriceHeld { path, .. } => Some(path),
        _ => None,
    }
}

/// Are they about the same field, or the same record?
fn is_same(one: &Conflict, other: &Conflict) -> bool {
    match (one, other) {
        (Conflict::PriceHeld { path: one, .. }, Conflict::PriceHeld { path: other, .. }) => {
            one == other
        }
        (Conflict::NotMade { .. }, Conflict::NotMade { .. }) => true,
        (Conflict::GoneThere { shop: one, .. }, Conflict::GoneThere { shop: other, .. }) => {
            one == other
        }
        _ => false,
    }
}

/// For a run's sentence, or a plan's.
pub(super) fn price_in_words(label: &str, shop: &str, held: &HeldPrice) -> String {
    let HeldPrice { from, to, why } = held;
    match why {
        PriceDoubt::MovesTooFar { limit } => format!(
            "the price of {label} at {shop} would move from {from} to {to}, more than the limit of {limit} %"
        ),
        PriceDoubt::Nothing => format!("{label} would be sold at {to} at {shop}"),
        PriceDoubt::SaleAbovePrice => {
            format!("the sale price of {label} at {shop} would be {to}, above its price")
        }
    }
}

pub(super) fn missing_in_words(label: &str, shop: &str, missing: &MissingThere) -> String {
    match missing {
        MissingThere::Variants => {
            format!("{label} is not made at {shop}: it has no variant that could be sold")
        }
        MissingThere::Price { currency, skus } => {
            let skus: Vec<&str> = skus.iter().map(Sku::as_str).collect();
            format!(
                "{label} is not made at {shop}: {} has no price in {currency}, and no rule makes one",
                skus.join(", ")
            )
        }
    }
}
