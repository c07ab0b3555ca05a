//! What shops refuse for a while: everything, as one does whose key was revoked or who is down, or one record, as one does
//! that dislikes what it says. Then it is lifted, and nobody tells.

use crate::coordinator::later;
use crate::dice::Dice;
use crate::scenario::{PRODUCTS, WEB, sku};
use crate::sim::Sim;
use jiff::Timestamp;
use lockstep_model::{Change, ChangeSort, Fault, FaultKind, ShopId};

/// In percent, after each act of a person.
const BEGINS: u64 = 12;
const OF_A_RECORD: u64 = 50;

#[derive(Debug, Clone)]
pub struct Refusal {
    pub shop: ShopId,
    /// `None`: of every sort.
    pub sort: Option<ChangeSort>,
    /// A SKU or an order's key; `None`: whatever it is.
    pub about: Option<String>,
    pub kind: FaultKind,
    pub until: Timestamp,
    /// Nothing is shown either.
    pub reads_too: bool,
    /// Refused only where it says this: a part of a title, or a level.
    pub dislikes: Option<String>,
}

impl Refusal {
    fn fault(&self) -> Fault {
        Fault::new(self.kind.clone(), "it is refused, for a while")
    }

    fn is_of(&self, shop: ShopId, change: &Change) -> bool {
        self.shop == shop
            && self.sort.is_none_or(|sort| sort == change.sort())
            && self.about.as_ref().is_none_or(|name| bears(change, name))
            && self.dislikes.as_ref().is_none_or(|what| says(change, what))
    }
}

fn says(change: &Change, what: &str) -> bool {
    match change {
        Change::CreateProduct { product } | Change::UpdateProduct { product, .. } => {
            product.title.contains(what)
        }
        Change::SetLevel { on_hand, .. } => on_hand.normalize().to_string() == what,
        _ => false,
    }
}

fn bears(change: &Change, name: &str) -> bool {
    match change {
        Change::CreateProduct { product } | Change::UpdateProduct { product, .. } => {
            let mut variants = product.variants.iter();
            variants.any(|variant| variant.sku.0 == name)
        }
        Change::SetLevel { was, .. } => was.sku.0 == name,
        Change::CreateOrder { order } => {
            let mut lines = order.order.state.lines.iter();
            lines.any(|line| line.sku.as_ref().is_some_and(|sku| sku.0 == name))
        }
        Change::StepOrder { id, .. } => id.0 == name,
        _ => false,
    }
}

impl Sim {
    /// Why the shop does not do it.
    pub fn refused(&self, shop: ShopId, change: &Change) -> Option<Fault> {
        let now = self.now;
        let mut standing = self.refusals.iter().filter(|each| each.until > now);
        standing
            .find(|each| each.is_of(shop, change))
            .map(Refusal::fault)
    }

    pub fn refused_to_show(&self, shop: ShopId) -> Option<Fault> {
        let now = self.now;
        let mut standing = self.refusals.iter().filter(|each| each.until > now);
        standing
            .find(|each| each.shop == shop && each.reads_too)
            .map(Refusal::fault)
    }
}

/// By the dice, something is refused from now on.
pub fn act(sim: &mut Sim, dice: &mut Dice) {
    if !dice.chance(BEGINS) {
        return;
    }
    let refusal = if dice.chance(OF_A_RECORD) {
        of_a_record(sim, dice)
    } else {
        of_the_shop(sim, dice)
    };
    sim.tell(|| format!("from now on: {refusal:?}"));
    sim.refusals.push(refusal);
}

fn shop(sim: &Sim, dice: &mut Dice) -> ShopId {
    let shops: Vec<ShopId> = sim.shops.keys().copied().collect();
    dice.pick(&shops).copied().unwrap_or(WEB[0])
}

fn of_the_shop(sim: &Sim, dice: &mut Dice) -> Refusal {
    let kinds = [
        FaultKind::Auth,
        FaultKind::Forbidden,
        FaultKind::Unavailable,
        FaultKind::Timeout,
        FaultKind::Protocol,
        FaultKind::RateLimited { retry_at: None },
    ];
    let sorts = [
        None,
        None,
        Some(ChangeSort::CreateOrder),
        Some(ChangeSort::SetLevel),
        Some(ChangeSort::UpdateProduct),
    ];
    let kind = dice.pick(&kinds).cloned().unwrap_or(FaultKind::Forbidden);
    Refusal {
        shop: shop(sim, dice),
        sort: dice.pick(&sorts).copied().flatten(),
        about: None,
        kind,
        until: later(sim.now, dice.between(500, 60_000)),
        reads_too: dice.chance(30),
        dislikes: None,
    }
}

fn of_a_record(sim: &Sim, dice: &mut Dice) -> Refusal {
    // That there is no such level would be believed: it is looked for when its product is read the next time.
    let kinds = [
        (FaultKind::Invalid { field: None }, None),
        (FaultKind::Duplicate { existing: None }, None),
        (FaultKind::Conflict, None),
        (FaultKind::NotFound, Some(ChangeSort::UpdateProduct)),
        (FaultKind::Forbidden, None),
        (FaultKind::Unavailable, None),
        (FaultKind::Protocol, None),
    ];
    let (kind, sort) = dice
        .pick(&kinds)
        .cloned()
        .unwrap_or((FaultKind::Conflict, None));
    Refusal {
        shop: shop(sim, dice),
        sort,
        about: Some(sku(dice.between(1, PRODUCTS)).0),
        kind,
        until: later(sim.now, dice.between(500, 90_000)),
        reads_too: false,
        dislikes: None,
    }
}
