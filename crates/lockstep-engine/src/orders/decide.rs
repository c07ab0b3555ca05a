//! One order: what was seen of it, whether it may cross, and the next write on either side.

use super::copy::compose;
use super::edits::{Both, differences};
use super::lines::{link, sides};
use super::steps::{Terms, contradicts, step};
use super::words::check_country;
use crate::catalogue::{is_after, settled_by};
use crate::rules::Rules;
use crate::write::{PlanLine, Sign, Write, is_refused, of_what};
use jiff::Timestamp;
use lockstep_model::cases::{Consumed, OpenIntent, OrderCase};
use lockstep_model::entry::{Body, Conflict, Hold, Personal, Settlement, Subject, What};
use lockstep_model::{
    Change, ConflictId, Edited, Fingerprint, Flow, Fulfilment, IntentId, Kind, OrderKey, OrderLine,
    OrderState, OrderStep, Payment, Person, RemoteId, RunId, ShopId, Stage,
};
use rust_decimal::Decimal;
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
    let is_create = |open: &OpenIntent| open.what == What::CreateOrder;
    let may_be_copied = is_copied(case) || case.open.iter().any(is_create);
    for (shop, staged) in &case.staged {
        let is_origin = *shop == case.order.shop;
        let (is_other_person, readdressed) = match (&staged.person, &case.person) {
            (Some(now), Some(before)) if is_origin => {
                let goes_to = |person: &Person| {
                    let Person {
                        shipping,
                        billing,
                        note,
                        ..
                    } = person;
                    (shipping.clone(), billing.clone(), note.clone())
                };
                (
                    now != before,
                    may_be_copied && goes_to(now) != goes_to(before),
                )
            }
            (_, _) => (false, false),
        };
        if case.known.get(shop) == Some(&staged.state) && !is_other_person {
            continue;
        }
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
            before_opening: is_before_opening(case, rules),
            readdressed,
        });
    }
    let state = |shop: &ShopId| {
        let staged = case.staged.get(shop).map(|staged| &staged.state);
        staged.or_else(|| case.known.get(shop))
    };
    let shops: BTreeSet<&ShopId> = case.known.keys().chain(case.staged.keys()).collect();
    for shop in shops.into_iter().filter(|shop| **shop != case.order.shop) {
        let (Some(origin), Some(copy)) = (state(&case.order.shop), state(shop)) else {
            continue;
        };
        let known = case.links.get(shop).cloned().unwrap_or_default();
        let links = link(&known, origin, copy);
        if links != known {
            decision.bodies.push(Body::LinesLinked {
                order: case.order.clone(),
                copy: *shop,
                links,
            });
        }
    }
    decision
}

/// Decided when the order is first met, by the date of then; never for one that has crossed.
fn is_before_opening(case: &OrderCase, rules: &Rules) -> bool {
    let origin = case.order.shop;
    if is_copied(case) {
        return false;
    }
    if case.known.contains_key(&origin) {
        return case.before_opening;
    }
    let from = rules
        .shops
        .get(&origin)
        .and_then(|shop| shop.link.orders_from);
    let placed_at = case
        .staged
        .get(&origin)
        .map(|staged| staged.state.placed_at);
    matches!((placed_at, from), (Some(placed_at), Some(from)) if placed_at < from)
}

fn is_copied(case: &OrderCase) -> bool {
    let mut shops = case.known.keys().chain(case.staged.keys());
    !case.copies.is_empty() || shops.any(|shop| *shop != case.order.shop)
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
        let read = case.staged.get(&intent.shop);
        let left_at = read.map(|staged| staged.left_at);
        match what_became_of(intent, state(intent.shop), left_at, rules, now) {
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
        rules.shops.get(&shop).is_some_and(|shop| !shop.read_only) && !open_at.contains(&shop)
    };

    let Some(copy) = state(into) else {
        if let Some(id) = case.copies.get(&into) {
            // Made, and not read yet: it will be seen.
            let _: &RemoteId = id;
            return decision;
        }
        if is_over(origin) {
            // One that may have been made is looked for all the same.
            if open_at.is_empty() && case.held != Some(Hold::Refunded) {
                decision.bodies.push(held(case, Hold::Refunded));
            }
            return decision;
        }
        if !crosses(case, origin, rules) {
            if !origin.cancelled && case.held != Some(Hold::Gate) {
                decision.bodies.push(held(case, Hold::Gate));
            }
            return decision;
        }
        if !may_write(into) {
            decision.done = open_at.is_empty();
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
            Ok(order) => {
                decision.done = false;
                let write = Write {
                    shop: into,
                    subject: Subject::Order(case.order.clone()),
                    label: order.reference.clone(),
                    change: Change::CreateOrder {
                        order: Box::new(order),
                    },
                    what: What::CreateOrder,
                    tries: 0,
                    again: false,
                    is_part: false,
                };
                // Without its buyer it is known by the rest.
                let names = write.fingerprints();
                let name = if person.is_some() {
                    names.first()
                } else {
                    names.last()
                };
                let Some(tries) = tries_of(case, into, name.copied(), now) else {
                    return decision;
                };
                decision.lines.push(PlanLine {
                    shop: into,
                    sign: Sign::Create,
                    label: write.label.clone(),
                    field: "order".into(),
                    from: String::new(),
                    to: format!("{} {}", origin.total, origin.currency),
                    why: "its gate is open".into(),
                });
                if person.is_none() {
                    decision.read_again = true;
                    return decision;
                }
                if case.held.is_some() {
                    decision.bodies.push(Body::OrderReleased {
                        order: case.order.clone(),
                    });
                }
                decision.writes.push(Write { tries, ..write });
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
    let known = case.links.get(&into).cloned().unwrap_or_default();
    let links = link(&known, origin, copy);
    let (ours, theirs) = sides(&links, origin, copy);
    let can = [case.order.shop, into].map(|shop| {
        let shop = rules.shops.get(&shop);
        shop.map_or(&[][..], |shop| shop.abilities.order_steps)
    });
    let both = Both {
        case,
        links: &links,
        origin: &ours,
        copy: &theirs,
        into,
        can,
    };
    let differences = differences(&both, rules);
    ask_what_differs(case, &differences.asked, next_conflict, &mut decision);
    if let Some(step) = differences.steps.into_iter().next() {
        decision.done = false;
        // The copy's lines come first: what is shipped is read off them.
        if may_write(into) {
            decision.edit(case, origin, copy, into, step, now);
            return decision;
        }
    }
    let directions = [
        (&ours, &theirs, into, false, can[1]),
        (&theirs, &ours, case.order.shop, true, can[0]),
    ];
    for (from, to, shop, back, can) in directions {
        let terms = Terms {
            back,
            captures: rules.settings.policies.orders.capture_on_shipment,
            can,
        };
        let Some(step) = step(from, to, &terms) else {
            continue;
        };
        decision.done = false;
        if !may_write(shop) {
            continue;
        }
        decision.carry(case, &origin.number, shop, to.order, step, None, now);
    }
    decision
}

impl OrderDecision {
    /// An edit of the origin. Where to the goods go has to be at hand: it is not kept with what is to be done.
    fn edit(
        &mut self,
        case: &OrderCase,
        origin: &OrderState,
        copy: &OrderState,
        into: ShopId,
        step: OrderStep,
        now: Timestamp,
    ) {
        let person = if step == OrderStep::Readdress {
            let staged = case.staged.get(&case.order.shop);
            let person = staged.and_then(|staged| staged.person.clone());
            let Some(person) = person.or_else(|| case.person.clone()) else {
                // Without its buyer it is known by the rest.
                let what = What::StepOrder { step };
                let waits = tries_of(case, into, Some(of_what(&what)), now).is_none();
                self.read_again = !case.buyer_erased && !waits;
                if self.read_again {
                    let OrderState { number, .. } = origin;
                    let step = OrderStep::Readdress;
                    self.lines.push(step_line(into, number, &step));
                }
                return;
            };
            Some(Box::new(person))
        } else {
            None
        };
        self.carry(case, &origin.number, into, copy, step, person, now);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one write")]
    fn carry(
        &mut self,
        case: &OrderCase,
        number: &str,
        shop: ShopId,
        to: &OrderState,
        step: OrderStep,
        person: Option<Box<Person>>,
        now: Timestamp,
    ) {
        let line = step_line(shop, number, &step);
        let write = Write {
            shop,
            subject: Subject::Order(case.order.clone()),
            label: number.to_owned(),
            what: What::StepOrder { step: step.clone() },
            change: Change::StepOrder {
                id: to.id.clone(),
                step,
                person,
            },
            tries: 0,
            again: false,
            is_part: false,
        };
        let Some(tries) = tries_of(case, shop, write.fingerprint(), now) else {
            return;
        };
        self.lines.push(line);
        self.writes.push(Write { tries, ..write });
    }
}

fn step_line(shop: ShopId, number: &str, step: &OrderStep) -> PlanLine {
    PlanLine {
        shop,
        sign: Sign::Update,
        label: number.to_owned(),
        field: "order".into(),
        from: String::new(),
        to: describe(step).into(),
        why: "the other side of the order says so".into(),
    }
}

/// How often this change was refused before. `None`: it stands aside with it, and only another one is made now.
fn tries_of(
    case: &OrderCase,
    shop: ShopId,
    change: Option<Fingerprint>,
    now: Timestamp,
) -> Option<u32> {
    let Some(until) = case.aside_until.get(&shop) else {
        return Some(0);
    };
    let nothing = BTreeSet::new();
    if !is_refused(case.refused.get(&shop).unwrap_or(&nothing), change) {
        return Some(0);
    }
    (*until <= now).then(|| case.tries.get(&shop).copied().unwrap_or_default())
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

/// A question about what differs stands as long as it differs so.
fn ask_what_differs(
    case: &OrderCase,
    asked_now: &[Conflict],
    next_conflict: &mut u64,
    decision: &mut OrderDecision,
) {
    for open in &case.conflicts {
        if !matches!(open.about, Conflict::OrderDiffers { .. }) || asked_now.contains(&open.about) {
            continue;
        }
        let is_asked_anew = asked_now
            .iter()
            .any(|about| is_of_one_sort(about, &open.about));
        let decision_text = if is_asked_anew {
            "it has changed; it is asked anew"
        } else {
            "there is no difference left to decide on"
        };
        decision.bodies.push(Body::ConflictClosed {
            conflict: open.conflict,
            decision: decision_text.into(),
            by: None,
            ours: Default::default(),
        });
    }
    for about in asked_now {
        let stands = case.conflicts.iter().any(|open| open.about == *about);
        if !stands && !case.settled.contains(about) {
            decision
                .bodies
                .push(asked(case, about.clone(), next_conflict));
        }
    }
}

fn is_of_one_sort(one: &Conflict, other: &Conflict) -> bool {
    match (one, other) {
        (
            Conflict::OrderDiffers { differs: one, .. },
            Conflict::OrderDiffers { differs: other, .. },
        ) => std::mem::discriminant(one) == std::mem::discriminant(other),
        (_, _) => false,
    }
}

fn describe(step: &OrderStep) -> &'static str {
    match step {
        OrderStep::Pay => "paid",
        OrderStep::Ship { .. } => "shipped",
        OrderStep::Cancel => "cancelled",
        OrderStep::CancelUnits { .. } => "cancelled in part",
        OrderStep::Refund { amount, .. } if amount.is_zero() => "units came back",
        OrderStep::Refund { .. } => "refunded",
        OrderStep::Edit { .. } => "its lines changed",
        OrderStep::Readdress => "its address changed",
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

/// All its money was given back and nothing has left: made now, it would be shipped.
fn is_over(origin: &OrderState) -> bool {
    let refunded = origin.refunded();
    let is_refunded = origin.payment == Payment::Refunded
        || (refunded > Decimal::ZERO && refunded >= origin.total);
    let has_left = |line: &OrderLine| line.shipped > Decimal::ZERO;
    is_refunded && !origin.cancelled && !origin.lines.iter().any(has_left)
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

fn is_as_edited(edited: &Edited, copy: &OrderState) -> bool {
    let there = copy.lines.iter().find(|line| match &edited.line {
        Some(id) => line.id == *id,
        None => line.of.as_ref() == Some(&edited.of),
    });
    match there {
        Some(there) => there.quantity == edited.quantity && there.gross == edited.gross,
        None => edited.quantity.is_zero(),
    }
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
    left_at: Option<Timestamp>,
    rules: &Rules,
    now: Timestamp,
) -> Found {
    let settles_after_ms = rules
        .shops
        .get(&intent.shop)
        .map_or(0, |shop| shop.abilities.settles_after_ms);
    // A look that leaves now proves something.
    let can_look = settled_by(intent, settles_after_ms, now);
    let settled = left_at.is_some_and(|left_at| settled_by(intent, settles_after_ms, left_at));
    let read = left_at.is_some_and(|left_at| is_after(intent, settles_after_ms, left_at));
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
        (What::CreateOrder, None) if can_look => {
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
                OrderStep::Ship { .. }
                | OrderStep::CancelUnits { .. }
                | OrderStep::Refund { .. } => settled,
                OrderStep::Edit { lines } => lines.iter().all(|line| is_as_edited(line, state)),
                // It may be said again.
                OrderStep::Readdress => false,
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
