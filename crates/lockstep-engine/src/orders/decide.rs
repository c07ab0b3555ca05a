//! One order: what was seen of it, whether it may cross, and the next write on either side.

use super::copy::compose;
use super::edits::{Difference, difference};
use super::steps::{contradicts, step};
use super::words::check_country;
use crate::catalogue::settled_by;
use crate::rules::Rules;
use crate::write::{PlanLine, Sign, Write};
use jiff::Timestamp;
use lockstep_model::cases::{Consumed, OpenIntent, OrderCase};
use lockstep_model::entry::{Body, Conflict, Hold, Personal, Settlement, Subject, What};
use lockstep_model::{
    Change, ConflictId, Flow, Fulfilment, IntentId, Kind, OrderKey, OrderState, OrderStep, Payment,
    RemoteId, RunId, ShopId, Stage,
};
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct OrderDecision {
    pub bodies: Vec<Body>,
    pub writes: Vec<Write>,
    pub lines: Vec<PlanLine>,
    pub consumed: Vec<Consumed>,
    /// The order has to be read again before its copy can be made: the buyer's data is not kept.
    pub read_again: bool,
    /// Open intents that must be looked up in their shop by our key.
    pub look: Vec<Look>,
    /// Nothing is left to do for it until something is read.
    pub done: bool,
}

/// A look into a shop for the outcome of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub intent: IntentId,
    pub shop: ShopId,
    pub order: OrderKey,
    /// The order was not made before this.
    pub not_before: Timestamp,
}

/// Takes in what was read of an order: entries only, no write. Comes first, since the ledger follows from it.
pub fn see(case: &OrderCase, rules: &Rules, run: RunId) -> OrderDecision {
    let mut decision = OrderDecision::default();
    for (shop, staged) in &case.staged {
        if case.known.get(shop) == Some(&staged.state) {
            continue;
        }
        let is_origin = *shop == case.order.shop;
        let from = rules
            .shops
            .get(&case.order.shop)
            .and_then(|shop| shop.link.orders_from);
        let placed_at = if is_origin {
            Some(staged.state.placed_at)
        } else {
            case.known
                .get(&case.order.shop)
                .map(|origin| origin.placed_at)
        };
        let before_opening = match (placed_at, from) {
            (Some(placed_at), Some(from)) => placed_at < from,
            _ => case.before_opening,
        };
        decision.bodies.push(Body::OrderSeen {
            run,
            shop: *shop,
            order: case.order.clone(),
            state: Box::new(staged.state.clone()),
            person: match &staged.person {
                // The copy's buyer is the origin's: kept once.
                Some(person) if is_origin => Personal::Clear(Box::new(person.clone())),
                _ => Personal::None,
            },
            before_opening,
        });
    }
    decision
}

/// Decides on the writes of an order whose staged rows are (or are being) taken in.
pub fn decide(
    case: &OrderCase,
    rules: &Rules,
    next_conflict: &mut u64,
    now: Timestamp,
) -> OrderDecision {
    let mut decision = OrderDecision {
        done: true,
        consumed: case
            .staged
            .iter()
            .map(|(shop, staged)| Consumed {
                shop: *shop,
                kind: Kind::Order,
                id: staged.state.id.clone(),
                reading: staged.reading,
            })
            .collect(),
        ..OrderDecision::default()
    };
    let state = |shop: ShopId| {
        let staged = case.staged.get(&shop).map(|staged| &staged.state);
        staged.or_else(|| case.known.get(&shop))
    };
    let mut open_at = BTreeSet::new();
    for intent in &case.open {
        let read = case.staged.contains_key(&intent.shop);
        match what_became_of(intent, state(intent.shop), read, rules, now) {
            Found::Known(how) => decision.bodies.push(Body::Settled {
                intent: intent.intent,
                how,
            }),
            Found::Look => {
                open_at.insert(intent.shop);
                decision.done = false;
                decision.look.push(Look {
                    intent: intent.intent,
                    shop: intent.shop,
                    order: case.order.clone(),
                    not_before: intent.at,
                });
            }
            Found::Wait => {
                open_at.insert(intent.shop);
                decision.done = false;
            }
            Found::InDoubt => {
                open_at.insert(intent.shop);
                if case.held != Some(Hold::InDoubt) {
                    decision.bodies.push(held(case, Hold::InDoubt));
                }
            }
        }
    }
    let (Some(into), Some(origin)) = (rules.orders_into(), state(case.order.shop)) else {
        return decision;
    };
    if into == case.order.shop
        || case.before_opening
        || !rules.flow_is_on(Flow::Orders)
        || case
            .conflicts
            .iter()
            .any(|open| holds_up_the_rest(&open.about))
    {
        return decision;
    }
    let may_write = |shop: ShopId| {
        rules.shops.get(&shop).is_some_and(|shop| !shop.read_only)
            && !open_at.contains(&shop)
            && case
                .aside_until
                .get(&shop)
                .is_none_or(|until| *until <= now)
    };

    let tries = |shop: ShopId| case.tries.get(&shop).copied().unwrap_or_default();

    let Some(copy) = state(into) else {
        if let Some(id) = case.copies.get(&into) {
            // Made, and not read yet: it will be seen.
            let _: &RemoteId = id;
            return decision;
        }
        if !crosses(case, origin, rules) {
            if !origin.cancelled && case.held != Some(Hold::Gate) {
                decision.bodies.push(held(case, Hold::Gate));
            }
            return decision;
        }
        if !may_write(into) {
            decision.done = open_at.is_empty() && case.aside_until.is_empty();
            return decision;
        }
        let person = match case.staged.get(&case.order.shop) {
            Some(staged) => staged.person.clone(),
            None => None,
        };
        let items = case.items.get(&into).cloned().unwrap_or_default();
        let composed = compose(
            &case.order,
            origin,
            person.clone().unwrap_or_default(),
            into,
            &items,
            rules,
        );
        let composed = match &person {
            Some(_) => composed,
            None => composed.and_then(|order| still_held(case, into, rules).map_or(Ok(order), Err)),
        };
        match composed {
            Err(hold) => {
                if case.held.as_ref() != Some(&hold) {
                    decision.bodies.push(held(case, hold));
                }
            }
            Ok(_) if person.is_none() && case.buyer_erased => {
                if case.held != Some(Hold::BuyerErased) {
                    decision.bodies.push(held(case, Hold::BuyerErased));
                }
            }
            Ok(_) if person.is_none() => {
                decision.read_again = true;
                decision.done = false;
            }
            Ok(order) => {
                if case.held.is_some() {
                    decision.bodies.push(Body::OrderReleased {
                        order: case.order.clone(),
                    });
                }
                decision.lines.push(PlanLine {
                    shop: into,
                    sign: Sign::Create,
                    label: order.reference.clone(),
                    field: "order".into(),
                    from: String::new(),
                    to: format!("{} {}", origin.total, origin.currency),
                    why: "its gate is open".into(),
                });
                decision.done = false;
                decision.writes.push(Write {
                    shop: into,
                    subject: Subject::Order(case.order.clone()),
                    label: order.reference.clone(),
                    change: Change::CreateOrder {
                        order: Box::new(order),
                    },
                    what: What::CreateOrder,
                    tries: tries(into),
                    again: false,
                });
            }
        }
        return decision;
    };

    if case.held == Some(Hold::InDoubt) {
        decision.bodies.push(Body::OrderReleased {
            order: case.order.clone(),
        });
    }
    for (shipped, cancelled, other, state) in [
        (into, case.order.shop, copy, origin),
        (case.order.shop, into, origin, copy),
    ] {
        if contradicts(state, other) {
            if !case.settled.iter().any(holds_up_the_rest) {
                let about = Conflict::ShippedAndCancelled { shipped, cancelled };
                decision.bodies.push(asked(case, about, next_conflict));
            }
            return decision;
        }
    }
    let difference = difference(case, origin, copy, into, rules);
    ask_about_units(case, &difference, next_conflict, &mut decision);
    if let Difference::Edit(step) = difference {
        decision.done = false;
        if may_write(into) {
            decision.carry(case, &origin.number, into, copy, step, tries(into));
        }
        // What is shipped is read off the lines: they come first.
        return decision;
    }
    let directions = [
        (origin, copy, into, false),
        (copy, origin, case.order.shop, true),
    ];
    for (from, to, shop, back) in directions {
        let captures = rules.settings.policies.orders.capture_on_shipment;
        let Some(step) = step(from, to, back, captures) else {
            continue;
        };
        decision.done = false;
        if !may_write(shop) {
            continue;
        }
        decision.carry(case, &origin.number, shop, to, step, tries(shop));
    }
    decision
}

impl OrderDecision {
    fn carry(
        &mut self,
        case: &OrderCase,
        number: &str,
        shop: ShopId,
        to: &OrderState,
        step: OrderStep,
        tries: u32,
    ) {
        self.lines.push(PlanLine {
            shop,
            sign: Sign::Update,
            label: number.to_owned(),
            field: "order".into(),
            from: String::new(),
            to: describe(&step).into(),
            why: "the other side of the order says so".into(),
        });
        self.writes.push(Write {
            shop,
            subject: Subject::Order(case.order.clone()),
            label: number.to_owned(),
            change: Change::StepOrder {
                id: to.id.clone(),
                step: step.clone(),
            },
            what: What::StepOrder { step },
            tries,
            again: false,
        });
    }
}

/// While a person is asked this, nothing of the order is carried.
fn holds_up_the_rest(about: &Conflict) -> bool {
    matches!(about, Conflict::ShippedAndCancelled { .. })
}

fn asked(case: &OrderCase, about: Conflict, next_conflict: &mut u64) -> Body {
    let conflict = ConflictId(*next_conflict);
    *next_conflict += 1;
    Body::ConflictOpened {
        conflict,
        subject: Subject::Order(case.order.clone()),
        about,
    }
}

/// A question about units stands as long as they differ as it says.
fn ask_about_units(
    case: &OrderCase,
    difference: &Difference,
    next_conflict: &mut u64,
    decision: &mut OrderDecision,
) {
    let about = match difference {
        Difference::Asked(about) => Some(about),
        Difference::None | Difference::Edit(_) => None,
    };
    let mut stands = false;
    for open in &case.conflicts {
        if Some(&open.about) == about {
            stands = true;
        } else if matches!(open.about, Conflict::OrderDiffers { .. }) {
            let decision_text = match about {
                Some(_) => "the units have changed; it is asked anew",
                None => "there is no difference left to decide on",
            };
            decision.bodies.push(Body::ConflictClosed {
                conflict: open.conflict,
                decision: decision_text.into(),
                by: None,
                ours: Default::default(),
            });
        }
    }
    if let Some(about) = about
        && !stands
        && !case.settled.contains(about)
    {
        decision
            .bodies
            .push(asked(case, about.clone(), next_conflict));
    }
}

fn describe(step: &OrderStep) -> &'static str {
    match step {
        OrderStep::Pay => "paid",
        OrderStep::Ship { .. } => "shipped",
        OrderStep::Cancel => "cancelled",
        OrderStep::Refund { .. } => "refunded",
        OrderStep::Edit { .. } => "its units changed",
    }
}

fn held(case: &OrderCase, reason: Hold) -> Body {
    Body::OrderHeld {
        order: case.order.clone(),
        reason,
    }
}

/// Is the order's gate open? Any state that it has reached will do.
pub(super) fn crosses(case: &OrderCase, origin: &OrderState, rules: &Rules) -> bool {
    if origin.stage != Stage::Placed || origin.cancelled {
        return false;
    }
    let mut reached = vec!["placed"];
    if origin.payment >= Payment::Accepted {
        reached.push("accepted");
    }
    if origin.payment >= Payment::Paid {
        reached.push("paid");
    }
    if origin.fulfilment == Fulfilment::Shipped {
        reached.push("shipped");
    }
    let method = origin.payment_method.as_ref().map(RemoteId::as_str);
    reached.iter().any(|state| {
        rules
            .settings
            .policies
            .orders
            .crosses(case.order.shop, method, state)
    })
}

/// Where its buyer is not at hand: the country that the order was held for, if it holds it still. Else it would be read
/// again in every run.
fn still_held(case: &OrderCase, into: ShopId, rules: &Rules) -> Option<Hold> {
    let Some(Hold::UnmappedCountry { country }) = &case.held else {
        return None;
    };
    let receiver = rules.shops.get(&into).map(|shop| &shop.identity);
    let policy = &rules.settings.policies.orders;
    check_country(country, case.order.shop, receiver, policy).err()
}

enum Found {
    Known(Box<Settlement>),
    Look,
    Wait,
    /// The shop cannot be asked: a person has to look.
    InDoubt,
}

fn what_became_of(
    intent: &OpenIntent,
    there: Option<&OrderState>,
    read: bool,
    rules: &Rules,
    now: Timestamp,
) -> Found {
    let settles_after_ms = rules
        .shops
        .get(&intent.shop)
        .map_or(0, |shop| shop.abilities.settles_after_ms);
    let settled = settled_by(intent, settles_after_ms, now);
    let done = |state: &OrderState| {
        Found::Known(Box::new(Settlement::Done {
            id: state.id.clone(),
            parts: None,
            held: None,
            level: None,
            partly: false,
        }))
    };
    match (&intent.what, there) {
        (What::CreateOrder, Some(state)) => done(state),
        (What::CreateOrder, None) if settled => {
            let can_be_asked = rules
                .shops
                .get(&intent.shop)
                .is_none_or(|shop| shop.abilities.order_search || shop.abilities.unique_order_key);
            if can_be_asked {
                Found::Look
            } else {
                Found::InDoubt
            }
        }
        (What::StepOrder { step }, Some(state)) if read => {
            let applied = match step {
                OrderStep::Pay => state.payment >= Payment::Paid,
                OrderStep::Cancel => state.cancelled,
                // Counts were compared when the step was made; a later reading makes it anew where it is missing.
                OrderStep::Ship { .. } | OrderStep::Refund { .. } => settled,
                OrderStep::Edit { lines } => {
                    let there = state.wanted();
                    let units = |sku| there.get(sku).copied().unwrap_or_default();
                    lines.iter().all(|(sku, line)| units(sku) == line.quantity)
                }
            };
            if applied {
                done(state)
            } else if settled {
                Found::Known(Box::new(Settlement::NotApplied { fault: None }))
            } else {
                Found::Wait
            }
        }
        (
            What::CreateOrder
            | What::StepOrder { .. }
            | What::Create { .. }
            | What::Set { .. }
            | What::AddPicture { .. }
            | What::RemovePicture { .. }
            | What::Level { .. },
            _,
        ) => Found::Wait,
    }
}
