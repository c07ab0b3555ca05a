//! One SKU in one stock: takes in what was read, moves the base by what no order explains, and asks for the writes
//! that bring every shop to its target.

use super::ledger::{Books, Ledger, counted};
use crate::catalogue::{is_after, settled_by};
use crate::rules::{LevelWrites, Rules, ShopRules};
use crate::write::{PlanLine, Sign, Write, is_refused, of_level};
use jiff::Timestamp;
use lockstep_model::cases::{LevelAt, OpenIntent, StockCase};
use lockstep_model::entry::{Body, Conflict, Movement, Settlement, Subject, What};
use lockstep_model::settings::StockId;
use lockstep_model::{
    Change, ChangeSort, ConflictId, Flow, IntentId, ItemId, Level, RunId, ShopId, Status,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Default)]
pub struct StockDecision {
    pub bodies: Vec<Body>,
    pub writes: Vec<Write>,
    pub lines: Vec<PlanLine>,
    /// Staged levels that have been dealt with: shop, reading.
    pub consumed: Vec<(ShopId, u64)>,
    /// Nothing is left to do for it until something is read.
    pub done: bool,
    /// Shops that would be told that nothing is left of what they sold until now, since none is counted any more: what
    /// buyers bought does not explain it.
    pub emptied: BTreeSet<ShopId>,
    /// The stock's new owner shows another number than the others were told, and nobody has accepted it.
    pub is_switched: bool,
}

/// What becomes of numbers that a new owner of the stock shows otherwise than the others were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// They wait for a person.
    Asked,
    /// They count.
    Accepted,
    /// What would be written if they counted.
    Shown,
}

/// What an open level intent turns out to have been, by a later reading.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Applied,
    /// Applied, and somebody has moved this many units since.
    AppliedAndMoved(Decimal),
    NotApplied,
    Doubtful,
    TooEarly,
}

/// All cases of one SKU that there is anything to decide on, by stock. What was read in each is taken in before any is
/// written by: a shop may be told the sum of several stocks.
pub fn evaluate(
    cases: &[StockCase],
    rules: &Rules,
    run: RunId,
    next_conflict: &mut u64,
    now: Timestamp,
    switch: Switch,
) -> Vec<StockDecision> {
    let mut read: Vec<Reading> = cases
        .iter()
        .map(|case| take_in(case, rules, run, next_conflict))
        .collect();
    let Some(first) = cases.first() else {
        return Vec::new();
    };
    let mut bases = first.other_bases.clone();
    let opened = cases.iter().zip(&read);
    bases.extend(opened.filter_map(|(case, reading)| Some((case.stock, reading.base?))));
    let blocked: BTreeSet<StockId> = cases
        .iter()
        .zip(&read)
        .filter(|(_, reading)| reading.blocked)
        .map(|(case, _)| case.stock)
        .collect();
    let ledger = Ledger::of(rules);
    let mut books = ledger.books(bases.clone(), &first.lines);
    let mut any_moved = false;
    for (case, reading) in cases.iter().zip(&mut read) {
        let Some(delta) = switched(case, reading, &books, rules, switch) else {
            continue;
        };
        any_moved = true;
        *bases.entry(case.stock).or_default() += delta;
    }
    if any_moved {
        books = ledger.books(bases, &first.lines);
    }
    let mut emptied = first.emptied.clone();
    for (case, reading) in cases.iter().zip(&mut read) {
        if is_emptied(case, reading, &books) {
            emptied.insert(case.stock);
        } else {
            emptied.remove(&case.stock);
        }
    }
    cases
        .iter()
        .zip(read)
        .map(|(case, reading)| {
            let state = State {
                books: &books,
                blocked: &blocked,
                emptied: &emptied,
            };
            aim(case, reading, &state, rules, now)
        })
        .collect()
}

/// What the readings of one stock come to.
struct Reading {
    decision: StockDecision,
    base: Option<Decimal>,
    /// What each shop holds now, as far as it is known; a shop whose reading is not consistent is left out.
    holds: BTreeMap<ShopId, Level>,
    /// The base is not to be relied on.
    blocked: bool,
}

/// Of all stocks of one SKU, once what was read in each is taken in.
struct State<'a> {
    books: &'a Books<'a>,
    /// Stocks whose base is not to be relied on.
    blocked: &'a BTreeSet<StockId>,
    /// Stocks in which a count has left nothing of what the orders had left.
    emptied: &'a BTreeSet<StockId>,
}

/// Has a count, now or before, left nothing of what the orders had left, or of what a shop's buffer had? Not if buyers
/// bought the last: what moved the base is judged by the base less everything that is committed. The movement says so, for
/// a later run to know it.
fn is_emptied(case: &StockCase, reading: &mut Reading, books: &Books<'_>) -> bool {
    let (Some(before), Some(after)) = (case.base, reading.base) else {
        return false;
    };
    let committed = books.committed(case.stock);
    let was_emptied = case.emptied.contains(&case.stock);
    let is_emptied = [Decimal::ZERO, books.kept(case.stock)]
        .into_iter()
        .map(|kept| committed + kept)
        .any(|kept| after <= kept && (was_emptied || before > kept));
    let mut causes = reading
        .decision
        .bodies
        .iter_mut()
        .filter_map(|body| match body {
            Body::BaseMoved {
                cause: Movement::Unexplained { emptied, .. },
                ..
            } => Some(emptied),
            _ => None,
        });
    match causes.next_back() {
        Some(emptied) => {
            *emptied = is_emptied;
            is_emptied
        }
        None => case.emptied.contains(&case.stock),
    }
}

/// Another shop owns the stock than when the SKU was opened.
fn is_switch(case: &StockCase, rules: &Rules) -> Option<ShopId> {
    let owner = rules.stock_owner()?;
    let before = case.counted_by.filter(|_| case.base.is_some())?;
    (before != owner).then_some(owner)
}

/// By how many units the base moves so that the new owner's number is its target: what it shows is the truth from here on.
fn switched(
    case: &StockCase,
    reading: &mut Reading,
    books: &Books<'_>,
    rules: &Rules,
    switch: Switch,
) -> Option<Decimal> {
    let owner = is_switch(case, rules)?;
    let shows = reading.holds.get(&owner)?.available();
    let told = books.pool(owner, case.stock) + books.pending(owner, case.stock);
    let delta = shows - told;
    let decision = &mut reading.decision;
    if !delta.is_zero() && switch == Switch::Asked {
        decision.is_switched = true;
        decision.done = false;
        // Its number stays what it is until a person has seen it.
        reading.holds.remove(&owner);
        return None;
    }
    if switch == Switch::Shown {
        decision.done = false;
    } else {
        let cause = Movement::Switched { shop: owner };
        decision.bodies.push(moved(case, delta, cause));
    }
    Some(delta)
}

fn take_in(case: &StockCase, rules: &Rules, run: RunId, next_conflict: &mut u64) -> Reading {
    let mut decision = StockDecision {
        done: true,
        ..StockDecision::default()
    };
    let owner = rules.stock_owner();
    let mut base = case.base;
    let mut holds: BTreeMap<ShopId, Level> = BTreeMap::new();
    let mut blocked = !case.conflicts.is_empty();

    for (shop, at) in &case.levels {
        let Some(shop_rules) = rules.shops.get(shop) else {
            continue;
        };
        let counts = owner.is_none_or(|owner| owner == *shop) && is_switch(case, rules).is_none();
        let Some((level, reading)) = &at.staged else {
            match &at.held {
                // There is no level any more, so nothing to write and nothing to wait for.
                Some(_) if at.gone => {}
                // Orders were read and the level was not: the two do not belong together.
                Some((level, taken)) if *taken == at.taken => {
                    if at.open.is_empty() {
                        holds.insert(*shop, level.clone());
                    } else {
                        decision.done = false;
                    }
                }
                Some(_) => {
                    decision.done = false;
                    blocked |= counts;
                }
                None => {}
            }
            continue;
        };
        let mut held = at.held.clone();
        let mut readable = true;
        for intent in &at.open {
            match found(intent, level, at, shop_rules) {
                Found::TooEarly => readable = false,
                Found::Applied => {
                    held = Some((level.clone(), at.taken));
                    decision.bodies.push(applied(intent, level, at.taken));
                }
                Found::AppliedAndMoved(units) => {
                    let ours = Level {
                        on_hand: level.on_hand - units,
                        ..level.clone()
                    };
                    decision.bodies.push(applied(intent, &ours, at.taken));
                    held = Some((ours, at.taken));
                }
                Found::NotApplied => decision.bodies.push(settled(
                    intent.intent,
                    Settlement::NotApplied { fault: None },
                )),
                Found::Doubtful if counts => {
                    if case.conflicts.is_empty() {
                        decision
                            .bodies
                            .push(in_doubt(case, *shop, intent, level, next_conflict));
                    }
                    readable = false;
                    blocked = true;
                }
                Found::Doubtful => {
                    // Not the owner's: its own number decides nothing. Read as it is, written over.
                    held = Some((level.clone(), at.taken));
                    decision
                        .bodies
                        .push(settled(intent.intent, Settlement::Moot));
                }
            }
        }
        if !readable {
            // Too early to tell: it is read again when it can be told.
            decision.consumed.push((*shop, *reading));
            decision.done = false;
            continue;
        }
        let delta = match &held {
            Some((before, taken)) => {
                let counted = |level| counted(owner, *shop, level);
                (counted(level) + at.taken) - (counted(before) + *taken)
            }
            None => Decimal::ZERO,
        };
        decision.bodies.push(Body::LevelSeen {
            run,
            shop: *shop,
            stock: case.stock,
            level: level.clone(),
            taken: at.taken,
        });
        decision.consumed.push((*shop, *reading));
        if counts {
            match base {
                None => {
                    // base = what the owner can sell and what its own orders hold.
                    let opening = level.available() + at.taken;
                    decision
                        .bodies
                        .push(moved(case, opening, Movement::Opening { shop: *shop }));
                    base = Some(opening);
                }
                Some(units) if delta != Decimal::ZERO => {
                    decision.bodies.push(moved(
                        case,
                        delta,
                        Movement::Unexplained {
                            shop: *shop,
                            emptied: false,
                        },
                    ));
                    base = Some(units + delta);
                }
                Some(_) => {}
            }
        } else if delta != Decimal::ZERO && owner != Some(*shop) {
            decision.bodies.push(Body::LevelOverruled {
                shop: *shop,
                stock: case.stock,
                item: case.item.clone(),
                delta,
            });
        }
        holds.insert(*shop, level.clone());
    }

    Reading {
        decision,
        base,
        holds,
        blocked,
    }
}

fn aim(
    case: &StockCase,
    reading: Reading,
    state: &State<'_>,
    rules: &Rules,
    now: Timestamp,
) -> StockDecision {
    let State {
        books,
        blocked,
        emptied,
    } = *state;
    let mut decision = reading.decision;
    decision.done &= !reading.blocked;
    for (shop, level) in reading.holds {
        let (Some(at), Some(shop_rules)) = (case.levels.get(&shop), rules.shops.get(&shop)) else {
            continue;
        };
        let shown = books.shown(shop, &case.stock);
        if shown.iter().any(|stock| blocked.contains(stock)) {
            decision.done = false;
            continue;
        }
        if !shown.iter().any(|stock| books.is_open(*stock)) {
            continue;
        }
        let target = books.told(shop, case.stock, &level);
        if level.available() == target || at.meant == Some(target) {
            continue;
        }
        let may_sell = rules
            .settings
            .customer
            .ignore_product_status_for_stock_update
            || case.status.is_none_or(|status| status == Status::Active);
        if shop_rules.read_only
            || !rules.flow_is_on(Flow::Stock)
            || !may_sell
            || !shop_rules
                .abilities
                .batches
                .contains_key(&ChangeSort::SetLevel)
        {
            continue;
        }
        let on_hand = if shop_rules.stock().reserves {
            target + level.reserved
        } else {
            target
        };
        let is_known = is_refused(&at.refused, Some(of_level(on_hand, target)));
        if is_known && at.aside_until.is_some_and(|until| until > now) {
            decision.done = false;
            continue;
        }
        if level.available() > Decimal::ZERO
            && target <= Decimal::ZERO
            && (books.base(shop, case.stock) <= Decimal::ZERO
                || shown.iter().any(|stock| emptied.contains(stock)))
        {
            decision.emptied.insert(shop);
        }
        decision.lines.push(PlanLine {
            shop,
            sign: Sign::Update,
            label: case.sku.to_string(),
            field: "stock".into(),
            from: level.available().normalize().to_string(),
            to: target.normalize().to_string(),
            why: "the ledger".into(),
        });
        decision.writes.push(Write {
            shop,
            subject: subject(&case.item, case.stock),
            what: What::Level {
                on_hand,
                target,
                was_available: level.available(),
                was_taken: at.taken,
                answered: false,
            },
            label: case.sku.to_string(),
            tries: if is_known { at.tries } else { 0 },
            again: false,
            is_part: false,
            change: Change::SetLevel {
                was: Box::new(level),
                on_hand,
                location: location(rules, shop, case.stock),
            },
        });
    }
    decision
}

/// The value alone decides nothing, since a sale can make the same number: what was ordered there since counts too.
fn found(intent: &OpenIntent, level: &Level, at: &LevelAt, shop: &ShopRules) -> Found {
    let What::Level {
        on_hand,
        target,
        was_available,
        was_taken,
        answered,
    } = &intent.what
    else {
        return Found::NotApplied;
    };
    let settles_after_ms = shop.abilities.settles_after_ms;
    let Some(left_at) = at.left_at else {
        return Found::TooEarly;
    };
    if !is_after(intent, settles_after_ms, left_at) {
        return Found::TooEarly;
    }
    let taken_since = at.taken - *was_taken;
    let without_sales = level.available() + taken_since;
    if without_sales == *target {
        return Found::Applied;
    }
    if !settled_by(intent, settles_after_ms, left_at) {
        return Found::TooEarly;
    }
    if without_sales == *was_available && !answered {
        return Found::NotApplied;
    }
    // An absolute write loses what moved between our reading and it: units that were sold or given back, or, where sales
    // are reservations, shipped or returned ones. No more than that is its loss; what goes beyond somebody else did.
    let lost_at_most = if shop.stock().reserves {
        // Reserved then or sold since, and reserved no more: it was shipped. A cancel is neither.
        let reserved_then = *on_hand - *target;
        reserved_then + taken_since - level.reserved
    } else {
        taken_since
    };
    let lost = without_sales - *target;
    let is_loss =
        lost_at_most.min(Decimal::ZERO) <= lost && lost <= lost_at_most.max(Decimal::ZERO);
    if shop.abilities.level_writes == LevelWrites::Absolute && is_loss {
        return Found::Applied;
    }
    if *answered {
        Found::AppliedAndMoved(without_sales - *target)
    } else {
        Found::Doubtful
    }
}

fn applied(intent: &OpenIntent, level: &Level, taken: Decimal) -> Body {
    let id = level.inventory.clone();
    settled(
        intent.intent,
        Settlement::Done {
            id: id.unwrap_or_else(|| level.sku.0.clone().into()),
            parts: None,
            held: None,
            level: Some((level.clone(), taken)),
            partly: false,
        },
    )
}

fn subject(item: &ItemId, stock: StockId) -> Subject {
    Subject::Level {
        stock,
        item: item.clone(),
    }
}

fn settled(intent: IntentId, how: Settlement) -> Body {
    Body::Settled {
        intent,
        how: Box::new(how),
    }
}

fn moved(case: &StockCase, delta: Decimal, cause: Movement) -> Body {
    Body::BaseMoved {
        item: case.item.clone(),
        stock: case.stock,
        delta,
        cause,
    }
}

fn in_doubt(
    case: &StockCase,
    shop: ShopId,
    intent: &OpenIntent,
    level: &Level,
    next_conflict: &mut u64,
) -> Body {
    let (was, target) = match &intent.what {
        What::Level {
            was_available,
            target,
            ..
        } => (*was_available, *target),
        _ => (Decimal::ZERO, Decimal::ZERO),
    };
    let conflict = ConflictId(*next_conflict);
    *next_conflict += 1;
    Body::ConflictOpened {
        conflict,
        subject: subject(&case.item, case.stock),
        about: Conflict::LevelInDoubt {
            shop,
            was,
            target,
            found: level.available(),
        },
    }
}

/// The shelf's name in this shop, where there is one for the stock.
fn location(rules: &Rules, shop: ShopId, stock: StockId) -> Option<String> {
    let settings = &rules.settings;
    let default = rules.default_stock();
    let shelf = settings
        .shelves
        .iter()
        .find(|shelf| shelf.stock_id.unwrap_or(default) == stock)?;
    let rows = &settings.shelf_service_identifiers;
    lockstep_model::settings::CustomerSettings::name_in(rows, shop, shelf.id).map(str::to_owned)
}
