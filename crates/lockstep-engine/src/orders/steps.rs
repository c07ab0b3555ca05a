//! What has to be carried from one side of an order to the other. Status, parcels, cancels, returns and refunds travel;
//! each step is the difference between the two sides, so a step that was done is not found again.

use super::lines::{Side, Units};
use lockstep_model::{
    Fulfilment, OrderLine, OrderState, OrderStep, Parcel, Payment, Refund, RemoteId, StepSort,
};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Units by the origin's name of their line.
type ByLine<'a> = BTreeMap<&'a RemoteId, Decimal>;

/// What can be said to the side that the steps go to.
pub(super) struct Terms {
    /// From the copy to its origin.
    pub back: bool,
    /// Money that was promised in the origin is taken once its goods have left.
    pub captures: bool,
    pub can: &'static [StepSort],
}

impl Terms {
    fn can(&self, sort: StepSort) -> bool {
        self.can.contains(&sort)
    }
}

/// The step that brings `to` nearer to `from`, if any.
pub(super) fn step(from: &Side<'_>, to: &Side<'_>, terms: &Terms) -> Option<OrderStep> {
    let goods = if to.order.cancelled {
        None
    } else if from.order.cancelled {
        let is_open = to.order.fulfilment == Fulfilment::Open;
        is_open.then(|| cancel_all(from, to, terms))
    } else {
        goods(from, to, terms)
    };
    goods
        .filter(|step| terms.can(step.sort()))
        .or_else(|| refund(from, to, terms))
}

fn goods(from: &Side<'_>, to: &Side<'_>, terms: &Terms) -> Option<OrderStep> {
    let (one, other) = (from.order, to.order);
    // Money is received where the buyer is.
    if !terms.back && one.payment >= Payment::Paid && other.payment < Payment::Paid {
        return Some(OrderStep::Pay);
    }
    // First, since what will not be delivered cannot be shipped either.
    if let Some(step) = cancel(from, to).filter(|_| terms.can(StepSort::CancelUnits)) {
        return Some(step);
    }
    if let Some(step) = ship(from, to) {
        return Some(step);
    }
    let has_left = other.fulfilment == Fulfilment::Shipped;
    (terms.back && terms.captures && has_left && other.payment == Payment::Authorized)
        .then_some(OrderStep::Pay)
}

/// What was not put back there is not put back here.
fn cancel_all(from: &Side<'_>, to: &Side<'_>, terms: &Terms) -> OrderStep {
    let is_written_off = !missing(from, to, |units| units.written_off).is_empty();
    let in_part = cancel(from, to).filter(|_| is_written_off && terms.can(StepSort::CancelUnits));
    in_part.unwrap_or(OrderStep::Cancel)
}

/// Where `from` has more of something than `to`.
fn missing<'a>(from: &Side<'a>, to: &Side<'_>, count: impl Fn(Units) -> Decimal) -> ByLine<'a> {
    from.units
        .iter()
        .filter_map(|(name, units)| {
            let there = to.units.get(name).copied().unwrap_or_default();
            let missing = count(*units) - count(there);
            (missing > Decimal::ZERO).then_some((*name, missing))
        })
        .collect()
}

/// Units that `from` has cancelled and `to` still means to deliver.
pub(super) fn to_cancel<'a>(from: &Side<'a>, to: &Side<'_>) -> ByLine<'a> {
    let mut cancelled = missing(from, to, |units| units.cancelled);
    cancelled.retain(|name, units| {
        let wanted = |side: &Side<'_>| side.units.get(name).copied().unwrap_or_default().wanted();
        *units = (*units).min(wanted(to) - wanted(from));
        *units > Decimal::ZERO
    });
    cancelled
}

fn cancel(from: &Side<'_>, to: &Side<'_>) -> Option<OrderStep> {
    let cancelled = to_cancel(from, to);
    // What cannot be cancelled any more is asked about, whole.
    let cancelled = cancelled
        .into_iter()
        .filter(|(name, units)| to.lines(name).map(OrderLine::open).sum::<Decimal>() >= *units)
        .collect();
    let (lines, restock) = put_back_first(from, to, cancelled, OrderLine::open)?;
    let done: Decimal = to.order.lines.iter().map(|line| line.cancelled).sum();
    let done = done + lines.values().sum::<Decimal>();
    Some(OrderStep::CancelUnits {
        key: RemoteId(format!("cancelled-{}", done.normalize())),
        lines,
        restock,
    })
}

/// Units that go back to the shelf, else those that do not: a step does one or the other.
fn put_back_first(
    from: &Side<'_>,
    to: &Side<'_>,
    units: ByLine<'_>,
    room: impl Fn(&OrderLine) -> Decimal,
) -> Option<(BTreeMap<RemoteId, Decimal>, bool)> {
    let written_off = missing(from, to, |units| units.written_off);
    let (mut back, mut lost) = (ByLine::new(), ByLine::new());
    for (name, units) in units {
        let broken = written_off
            .get(name)
            .copied()
            .unwrap_or_default()
            .min(units);
        back.insert(name, units - broken);
        lost.insert(name, broken);
    }
    [(back, true), (lost, false)]
        .into_iter()
        .map(|(units, restock)| (to.put_on(&units, &room), restock))
        .find(|(lines, _)| !lines.is_empty())
}

/// One parcel as the other side packed it; what no parcel says goes without.
fn ship(from: &Side<'_>, to: &Side<'_>) -> Option<OrderStep> {
    let shipped = missing(from, to, |units| units.shipped);
    if shipped.is_empty() {
        return None;
    }
    for parcel in not_there(from, to) {
        let mut packed = contents(from, parcel);
        // One that does not say what is in it holds what is missing.
        if parcel.lines.is_empty() {
            packed.clone_from(&shipped);
        }
        packed.retain(|name, units| {
            *units = (*units).min(shipped.get(name).copied().unwrap_or_default());
            *units > Decimal::ZERO
        });
        let lines = to.put_on(&packed, OrderLine::open);
        if !lines.is_empty() {
            return Some(OrderStep::Ship {
                parcel: parcel.id.clone(),
                carrier: parcel.carrier.clone(),
                tracking: parcel.tracking.clone(),
                lines,
            });
        }
    }
    let lines = to.put_on(&shipped, OrderLine::open);
    let done: Decimal = to.order.lines.iter().map(|line| line.shipped).sum();
    let done = done + lines.values().sum::<Decimal>();
    (!lines.is_empty()).then(|| OrderStep::Ship {
        parcel: RemoteId(format!("shipped-{}", done.normalize())),
        carrier: None,
        tracking: None,
        lines,
    })
}

/// Parcels of `from` that `to` does not have. Where neither a name nor a number tells, what is in them does.
fn not_there<'a>(from: &Side<'a>, to: &Side<'a>) -> Vec<&'a Parcel> {
    let made_of = |one: &Parcel, other: &Parcel| {
        one.of.as_ref() == Some(&other.id) || other.of.as_ref() == Some(&one.id)
    };
    let alike =
        |one: &Parcel, other: &Parcel| one.tracking.is_some() && one.tracking == other.tracking;
    let holds_the_same = |one: &Parcel, other: &Parcel| {
        let is_another = |(one, other): (&String, &String)| one != other;
        let numbers = one.tracking.as_ref().zip(other.tracking.as_ref());
        !one.lines.is_empty()
            && !numbers.is_some_and(is_another)
            && contents(from, one) == contents(to, other)
    };
    let rules: [Alike<'_, Parcel>; 3] = [&made_of, &alike, &holds_the_same];
    unmatched(&from.order.parcels, &to.order.parcels, &rules).0
}

/// Units in a parcel, by the origin's name of their line.
fn contents<'a>(side: &Side<'a>, parcel: &Parcel) -> ByLine<'a> {
    let mut contents = ByLine::new();
    for (line, units) in &parcel.lines {
        if let Some(name) = side.name(line) {
            *contents.entry(name).or_default() += *units;
        }
    }
    contents
}

/// Refunds that one side has and the other does not.
fn own_refunds<'a>(
    one: &'a OrderState,
    other: &'a OrderState,
) -> (Vec<&'a Refund>, Vec<&'a Refund>) {
    let made_of = |one: &Refund, other: &Refund| {
        one.of.as_ref() == Some(&other.id) || other.of.as_ref() == Some(&one.id)
    };
    let alike = |one: &Refund, other: &Refund| one.amount == other.amount;
    let (mut ours, mut theirs) = unmatched(&one.refunds, &other.refunds, &[&made_of, &alike]);
    let is_money = |refund: &&Refund| refund.amount > Decimal::ZERO;
    ours.retain(is_money);
    theirs.retain(is_money);
    (ours, theirs)
}

type Alike<'f, T> = &'f dyn Fn(&T, &T) -> bool;

/// What is left of both when each of one is paired with one of the other, by the first of the rules first.
fn unmatched<'a, T>(
    ones: &'a [T],
    others: &'a [T],
    rules: &[Alike<'_, T>],
) -> (Vec<&'a T>, Vec<&'a T>) {
    let (mut ones, mut others): (Vec<&T>, Vec<&T>) =
        (ones.iter().collect(), others.iter().collect());
    for rule in rules {
        ones.retain(
            |one| match others.iter().position(|other| rule(one, other)) {
                Some(at) => {
                    others.remove(at);
                    false
                }
                None => true,
            },
        );
    }
    (ones, others)
}

/// Goods that came back and money that was given back.
fn refund(from: &Side<'_>, to: &Side<'_>, terms: &Terms) -> Option<OrderStep> {
    if !terms.can(StepSort::Refund) {
        return None;
    }
    let back = |line: &OrderLine| line.shipped - line.returned;
    let returned = missing(from, to, |units| units.returned);
    let returned = put_back_first(from, to, returned, back);
    let money = money_to_carry(from.order, to.order, terms.back);
    let (amount, charges, key) = match &money {
        Some(refund) => (refund.amount, refund.charges, Some(refund.id.clone())),
        None => (Decimal::ZERO, Decimal::ZERO, None),
    };
    if returned.is_none() && money.is_none() {
        return None;
    }
    let (lines, restock) = returned.unwrap_or_default();
    let done: Decimal = to.order.lines.iter().map(|line| line.returned).sum();
    let done = done + lines.values().sum::<Decimal>();
    Some(OrderStep::Refund {
        key: key.unwrap_or_else(|| RemoteId(format!("returned-{}", done.normalize()))),
        amount,
        charges,
        lines,
        restock,
    })
}

/// The next refund of `from` that `to` lacks, no more of it than the two sums differ by.
fn money_to_carry(from: &OrderState, to: &OrderState, back: bool) -> Option<Refund> {
    let missing = from.refunded() - to.refunded();
    if missing <= Decimal::ZERO || !can_be_carried(from, to, missing, back) {
        return None;
    }
    let next = own_refunds(from, to).0.into_iter().next();
    Some(match next {
        Some(next) if next.amount <= missing => next.clone(),
        // The same money was given back in part on both sides.
        next => Refund {
            id: next.map_or_else(
                || RemoteId(format!("refunded-{}", from.refunded().normalize())),
                |next| next.id.clone(),
            ),
            amount: missing,
            ..Refund::default()
        },
    })
}

/// Whether it is clear that so much more is to be given back in `to`.
fn can_be_carried(from: &OrderState, to: &OrderState, amount: Decimal, back: bool) -> bool {
    let is_paid = to.payment >= Payment::Paid;
    // A platform that gives back a copy's money by itself when the copy is cancelled has given back none that a buyer paid.
    let may_be_its_own = back && from.cancelled && to.cancelled;
    is_paid
        && !may_be_its_own
        && !both_gave_back(from, to)
        && to.refunded() + amount <= to.total.max(from.total)
}

/// People of both sides gave money back, and not the same: together it may be meant, or once.
fn both_gave_back(one: &OrderState, other: &OrderState) -> bool {
    let (ours, theirs) = own_refunds(one, other);
    !ours.is_empty() && !theirs.is_empty()
}

/// The sums of what was given back differ, and no step will make them equal.
pub(super) fn money_differs(origin: &OrderState, copy: &OrderState, can: [&[StepSort]; 2]) -> bool {
    let (ours, theirs) = (origin.refunded(), copy.refunded());
    let (from, to, amount, back, can) = if ours > theirs {
        (origin, copy, ours - theirs, false, can[1])
    } else {
        (copy, origin, theirs - ours, true, can[0])
    };
    // It is paid first: that step comes before.
    let will_be_paid =
        !back && from.payment >= Payment::Paid && !to.cancelled && can.contains(&StepSort::Pay);
    let paid = OrderState {
        payment: to.payment.max(Payment::Paid),
        ..to.clone()
    };
    let to = if will_be_paid { &paid } else { to };
    amount > Decimal::ZERO
        && !(can.contains(&StepSort::Refund) && can_be_carried(from, to, amount, back))
}

/// Shipped on one side, cancelled on the other: a person decides.
pub fn contradicts(one: &OrderState, other: &OrderState) -> bool {
    one.cancelled && !other.cancelled && other.fulfilment != Fulfilment::Open
}
