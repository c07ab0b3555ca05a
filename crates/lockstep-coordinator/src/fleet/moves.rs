//! Which customers get another owner without a person: those that nobody has, those whose owner a person took out, and
//! those that are on their way from an owner which lets nobody know any more.
//!
//! What stays with a person: an owner that is only silent keeps its customers. It may be at work, cut off from us.

use super::seen::{CustomerSeen, Fleet, WorkerSeen};
use crate::{
    bounds::{REGRANT_AFTER, SESSION_TTL},
    view::Standing,
};
use lockstep_model::{CustomerId, WorkerId};
use lockstep_storage::ownership::Event;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub customer: CustomerId,
    pub event: Event,
}

/// Its lease is over, whatever it does.
fn is_over(worker: Option<&WorkerSeen>) -> bool {
    let silent = (SESSION_TTL + REGRANT_AFTER).as_millis();
    worker.is_none_or(|seen| u128::from(seen.silent_ms) >= silent)
}

/// In the order of the customers; each sees those before it as done.
pub fn moves(fleet: &Fleet) -> Vec<Move> {
    let mut load: BTreeMap<WorkerId, usize> = fleet
        .workers
        .iter()
        .map(|(id, seen)| (*id, seen.load))
        .collect();
    let mut moves = Vec::new();
    for customer in &fleet.customers {
        let Some(event) = event(fleet, &load, customer) else {
            continue;
        };
        if let Event::Pass { to, .. } | Event::Assign { to } = event {
            *load.entry(to).or_default() += 1;
        }
        moves.push(Move {
            customer: customer.id,
            event,
        });
    }
    moves
}

fn event(
    fleet: &Fleet,
    load: &BTreeMap<WorkerId, usize>,
    customer: &CustomerSeen,
) -> Option<Event> {
    let now = customer.ownership;
    let pass = |to| Event::Pass {
        from: now.worker,
        epoch: now.epoch,
        to,
    };
    let best = || best(fleet, load, customer);
    let Some(owner) = now.worker else {
        return best().map(pass);
    };
    let wanted = now.moving_to.filter(|to| may_have(fleet, customer, *to));
    let standing = fleet.standing(owner);
    // A person said that its machine is gone: nobody is waited for.
    let is_free =
        standing == Standing::Gone || customer.movable && is_over(fleet.workers.get(&owner));
    if now.revoked {
        return is_free.then_some(Event::Release {
            by: owner,
            epoch: now.epoch,
        });
    }
    match (now.moving_to, standing) {
        (None, Standing::Active) => None,
        (_, _) if is_free => wanted.or_else(best).map(pass),
        // Whoever was to get it was taken out meanwhile.
        (Some(_), _) if wanted.is_none() => best().map(|to| Event::Assign { to }),
        (_, _) => None,
    }
}

fn may_have(fleet: &Fleet, customer: &CustomerSeen, worker: WorkerId) -> bool {
    customer.pin.is_none_or(|pin| pin == worker)
        && fleet
            .workers
            .get(&worker)
            .is_some_and(|seen| may_take(customer, seen))
}

/// Active, and with the connectors of all its shops.
pub fn may_take(customer: &CustomerSeen, worker: &WorkerSeen) -> bool {
    worker.standing == Standing::Active && customer.platforms.is_subset(&worker.platforms)
}

/// The one with the fewest customers of those that are here; of those that were let in and did not call yet, if none
/// is. One that was here and is not gets nothing.
fn best(
    fleet: &Fleet,
    load: &BTreeMap<WorkerId, usize>,
    customer: &CustomerSeen,
) -> Option<WorkerId> {
    let able = fleet
        .workers
        .iter()
        .filter(|(id, _)| may_have(fleet, customer, **id))
        .filter(|(_, seen)| seen.is_here() || seen.heard_ms_ago.is_none());
    let (id, _) = able.min_by_key(|(id, seen)| {
        let carries = load.get(id).copied().unwrap_or_default();
        (!seen.is_here(), carries, **id)
    })?;
    Some(*id)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use lockstep_model::Epoch;
    use lockstep_storage::ownership::Ownership;

    pub const A: WorkerId = WorkerId(1);
    pub const B: WorkerId = WorkerId(2);

    pub fn worker(name: &str, load: usize) -> WorkerSeen {
        WorkerSeen {
            name: name.into(),
            standing: Standing::Active,
            platforms: ["practice".to_owned()].into(),
            heard_ms_ago: Some(1_000),
            comes_by: false,
            silent_ms: 1_000,
            unrenewed_ms: 1_000,
            load,
        }
    }

    pub fn silent(name: &str, ms: u64) -> WorkerSeen {
        WorkerSeen {
            heard_ms_ago: Some(ms),
            silent_ms: ms,
            unrenewed_ms: ms,
            ..worker(name, 0)
        }
    }

    pub fn customer(id: u64, owner: Option<WorkerId>) -> CustomerSeen {
        CustomerSeen {
            id: CustomerId(id),
            ownership: Ownership {
                worker: owner,
                epoch: Epoch(3),
                ..Ownership::default()
            },
            wanted: true,
            pin: None,
            movable: true,
            platforms: ["practice".to_owned()].into(),
            said: None,
            not_kept: None,
        }
    }

    pub fn fleet(workers: Vec<(WorkerId, WorkerSeen)>, customers: Vec<CustomerSeen>) -> Fleet {
        Fleet {
            workers: workers.into_iter().collect(),
            customers,
            ..Fleet::default()
        }
    }

    fn pass(from: Option<WorkerId>, to: WorkerId) -> Event {
        Event::Pass {
            from,
            epoch: Epoch(3),
            to,
        }
    }

    fn events(fleet: &Fleet) -> Vec<Event> {
        moves(fleet).into_iter().map(|each| each.event).collect()
    }

    #[test]
    fn r3_customers_that_nobody_has_go_to_whoever_has_the_fewest() {
        let four = (1..=4).map(|id| customer(id, None)).collect();
        let spread = fleet(vec![(A, worker("a", 0)), (B, worker("b", 0))], four);
        let to_a = pass(None, A);
        let to_b = pass(None, B);
        assert_eq!(events(&spread), [to_a, to_b, to_a, to_b]);
        let full = fleet(
            vec![(A, worker("a", 5)), (B, worker("b", 3))],
            vec![customer(1, None)],
        );
        assert_eq!(events(&full), [to_b]);
    }

    #[test]
    fn r3_only_who_is_there_speaks_its_platforms_and_may_have_it_gets_it() {
        let wordless = WorkerSeen {
            platforms: ["medusa".to_owned()].into(),
            ..worker("b", 0)
        };
        let new = customer(1, None);
        let a_is_busy = |b| fleet(vec![(A, worker("a", 9)), (B, b)], vec![new.clone()]);
        let to_a = [pass(None, A)];
        assert_eq!(events(&a_is_busy(wordless)), to_a);
        assert_eq!(events(&a_is_busy(silent("b", 60_000))), to_a);
        for standing in [Standing::Draining, Standing::Suspended, Standing::Gone] {
            let b = WorkerSeen {
                standing,
                ..worker("b", 0)
            };
            assert_eq!(events(&a_is_busy(b)), to_a, "{standing:?}");
        }
        // Let in a moment ago: it gets what nobody who is there can take.
        let never = WorkerSeen {
            heard_ms_ago: None,
            ..worker("b", 0)
        };
        assert_eq!(events(&a_is_busy(never.clone())), to_a);
        let alone = fleet(vec![(B, never)], vec![new.clone()]);
        assert_eq!(events(&alone), [pass(None, B)]);
        let nobody = fleet(vec![(B, silent("b", 60_000))], vec![new.clone()]);
        assert!(events(&nobody).is_empty());
        let pinned = CustomerSeen {
            pin: Some(B),
            ..new
        };
        let two = vec![(A, worker("a", 0)), (B, worker("b", 9))];
        assert_eq!(events(&fleet(two, vec![pinned.clone()])), [pass(None, B)]);
        let only_a = fleet(vec![(A, worker("a", 0))], vec![pinned]);
        assert!(events(&only_a).is_empty(), "a pin is kept");
    }

    #[test]
    fn r3_who_was_taken_out_loses_its_customers_to_the_others() {
        let out = |standing, ms| WorkerSeen {
            standing,
            ..silent("a", ms)
        };
        let with = |a: WorkerSeen, movable| {
            let held = CustomerSeen {
                movable,
                ..customer(1, Some(A))
            };
            events(&fleet(vec![(A, a), (B, worker("b", 0))], vec![held]))
        };
        let passed = [pass(Some(A), B)];
        // Gone was said by a person who typed its name: at once, also what lies on its disk.
        assert_eq!(with(out(Standing::Gone, 0), false), passed);
        // Suspended or draining, and its lease is over.
        assert_eq!(with(out(Standing::Suspended, 19_000), true), []);
        assert_eq!(with(out(Standing::Suspended, 20_000), true), passed);
        assert_eq!(with(out(Standing::Draining, 20_000), true), passed);
        // Its disk is needed: a person says so.
        assert_eq!(with(out(Standing::Suspended, 60_000), false), []);
        // Only silent: it may be at work.
        assert_eq!(with(silent("a", 600_000), true), []);
    }

    #[test]
    fn a_move_is_completed_or_turned_to_somebody_who_is_there() {
        let leaving = |to: WorkerId| {
            let mut held = customer(1, Some(A));
            held.ownership.moving_to = Some(to);
            held
        };
        let with = |a, b, held| events(&fleet(vec![(A, a), (B, b)], vec![held]));
        assert_eq!(with(worker("a", 1), worker("b", 0), leaving(B)), []);
        assert_eq!(
            with(silent("a", 20_000), worker("b", 0), leaving(B)),
            [pass(Some(A), B)]
        );
        // B was suspended meanwhile: it stays with A.
        let suspended = WorkerSeen {
            standing: Standing::Suspended,
            ..worker("b", 0)
        };
        assert_eq!(
            with(worker("a", 1), suspended, leaving(B)),
            [Event::Assign { to: A }]
        );
        let mut revoked = customer(1, Some(A));
        revoked.ownership.revoked = true;
        let release = Event::Release {
            by: A,
            epoch: Epoch(3),
        };
        assert_eq!(
            with(silent("a", 20_000), worker("b", 0), revoked.clone()),
            [release]
        );
        revoked.movable = false;
        assert_eq!(with(silent("a", 20_000), worker("b", 0), revoked), []);
    }
}
