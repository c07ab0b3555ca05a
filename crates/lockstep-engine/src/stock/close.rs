//! Orders that are over leave the sums: what a line was counted for leaves the base alike, so that nothing that any shop is
//! told changes.

use super::ledger::Ledger;
use crate::rules::Rules;
use lockstep_model::cases::{ClosingCase, LineCase};
use lockstep_model::entry::{Body, Movement};
use lockstep_model::settings::StockId;
use lockstep_model::{Flow, OrderKey};
use rust_decimal::Decimal;
use std::collections::BTreeSet;

/// One closing movement for each stock that an order's lines are in, all in one append: half of them would count units twice.
pub fn close(case: &ClosingCase, rules: &Rules) -> Vec<Body> {
    let ledger = Ledger::of(rules);
    let books = ledger.books(case.bases.clone(), &case.lines);
    let mut bodies = Vec::new();
    let orders: BTreeSet<&OrderKey> = case.lines.iter().map(|line| &line.order).collect();
    for order in orders {
        let of_it = || case.lines.iter().filter(|line| line.order == *order);
        if !of_it().all(|line| is_over(line, case, rules)) {
            continue;
        }
        let mut counted: BTreeSet<StockId> = BTreeSet::new();
        for stock in books.stocks() {
            let booked = books.lines(stock).iter();
            let mut committed = booked
                .filter(|booked| booked.line.order == *order)
                .map(|booked| booked.committed)
                .peekable();
            if committed.peek().is_some() {
                counted.insert(stock);
                bodies.push(closing(case, stock, -committed.sum::<Decimal>(), order));
            }
        }
        let named: BTreeSet<StockId> = of_it()
            .flat_map(|line| line.sides.values())
            .flat_map(|stocks| stocks.keys().copied())
            .collect();
        for stock in named.difference(&counted) {
            bodies.push(closing(case, *stock, Decimal::ZERO, order));
        }
    }
    bodies
}

/// Every shop that has it is done with it, and so is the one that it crosses into. While the orders' flow is off, money that
/// was given back on one side may still have to travel to the other.
fn is_over(line: &LineCase, case: &ClosingCase, rules: &Rules) -> bool {
    let mut sides = line.sides.values().flat_map(|stocks| stocks.values());
    let origin = line.order.shop;
    let crosses = rules.orders_into().is_some_and(|into| {
        into != origin && !line.before_opening && line.accepted && !line.sides.contains_key(&into)
    });
    let waits = line.sides.len() > 1 && !rules.flow_is_on(Flow::Orders);
    case.over.contains(&line.order)
        && !waits
        && line.sides.contains_key(&origin)
        && line.on_its_way.is_empty()
        && !crosses
        && sides.all(|side| side.done)
}

fn closing(case: &ClosingCase, stock: StockId, delta: Decimal, order: &OrderKey) -> Body {
    Body::BaseMoved {
        item: case.item.clone(),
        stock,
        delta,
        cause: Movement::Closing {
            order: order.clone(),
        },
    }
}
