//! The change tail: what other coordinators see, and in which order.

use super::{kahvila, save, worker};
use crate::place::{Place, noon};
use lockstep_model::{CustomerId, Flow, ShopId};
use lockstep_storage::{WakeBy, ownership::Event};
use std::collections::{BTreeMap, BTreeSet};

/// Writers in several tasks, and one reader that asks for what is new again and again. Whatever it did
/// not see of a number that it has passed would be missing in the end.
pub async fn whoever_sees_a_number_has_seen_all_before_it(place: &Place) {
    const WRITERS: u64 = 4;
    const TIMES: u64 = 15;
    let writers: Vec<_> = (1..=WRITERS)
        .map(|writer| {
            let storage = place.storage.clone();
            tokio::spawn(async move {
                for _ in 0..TIMES {
                    let wakes = BTreeMap::from([
                        ((CustomerId(writer), ShopId(1), Flow::Stock), WakeBy::Shop),
                        ((CustomerId(100), ShopId(1), Flow::Orders), WakeBy::Shop),
                    ]);
                    storage.raise_wakes(&wakes, noon()).await.unwrap();
                }
            })
        })
        .collect();
    let mut seen = 0;
    let mut stamps = BTreeSet::new();
    let mut counters = BTreeMap::new();
    while seen < WRITERS * TIMES {
        let changes = place.storage.changes_since(seen).await.unwrap();
        assert!(changes.upto >= seen);
        for wake in changes.wakes {
            assert!(wake.stamp > seen && wake.stamp <= changes.upto);
            stamps.insert(wake.stamp);
            counters.insert(wake.customer, wake.counter);
        }
        seen = changes.upto;
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for writer in 1..=WRITERS {
        assert_eq!(counters[&CustomerId(writer)], TIMES);
    }
    assert_eq!(counters[&CustomerId(100)], WRITERS * TIMES);
    assert_eq!(
        place.storage.change_counter().await.unwrap(),
        WRITERS * TIMES
    );
}

pub async fn a_change_that_was_none_tells_nobody(place: &Place) {
    let saved = save(&place.storage, kahvila(0)).await;
    let before = place.storage.change_counter().await.unwrap();
    let again = place
        .storage
        .customer(saved.id)
        .await
        .unwrap()
        .unwrap()
        .settings;
    assert!(!save(&place.storage, again).await.changed);
    assert_eq!(place.storage.change_counter().await.unwrap(), before);
    assert!(
        place
            .storage
            .changes_since(before)
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn the_tail_says_what_changed(place: &Place) {
    let storage = &place.storage;
    let (a, b) = (worker(storage, 1).await, worker(storage, 2).await);
    let customer = save(storage, kahvila(0)).await.id;
    let seen = storage.change_counter().await.unwrap();
    storage
        .move_customer(customer, Event::Assign { to: a }, noon())
        .await
        .unwrap();
    let changes = storage.changes_since(seen).await.unwrap();
    assert_eq!(changes.ownerships.len(), 1);
    assert_eq!(changes.ownerships[0].ownership.told_to(), Some(a));
    assert!(changes.customers.is_empty() && changes.departures.is_empty());

    storage
        .move_customer(customer, Event::Take { to: b }, noon())
        .await
        .unwrap();
    let changes = storage.changes_since(changes.upto).await.unwrap();
    assert_eq!(changes.ownerships[0].ownership.told_to(), Some(b));
    assert_eq!(
        (changes.departures[0].customer, changes.departures[0].worker),
        (customer, a)
    );

    let all = storage.changes_since(0).await.unwrap();
    assert_eq!(
        (all.customers.len(), all.workers.len(), all.upto),
        (1, 2, changes.upto)
    );

    storage.forget_departures(changes.upto).await.unwrap();
    assert_eq!(storage.departed_since().await.unwrap(), changes.upto);
    assert!(
        storage
            .changes_since(0)
            .await
            .unwrap()
            .departures
            .is_empty()
    );
}
