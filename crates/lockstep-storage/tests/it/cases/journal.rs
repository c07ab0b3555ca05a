//! Segments and ownership: what is accepted, what is refused, and in which epoch.

use super::worker;
use crate::place::{Place, noon};
use lockstep_model::{CustomerId, Epoch, Incarnation, WorkerId};
use lockstep_storage::{
    Hash, MoveOutcome, NewSegment, SegmentOutcome, Storage, bounds, ownership::Event,
};

const CUSTOMER: CustomerId = CustomerId(1);

fn hash(byte: u8) -> Hash {
    Hash([byte; 32])
}

fn segment(worker: WorkerId, epoch: u64, sequence: u8, body: &[u8]) -> NewSegment<'_> {
    NewSegment {
        customer: CUSTOMER,
        worker,
        incarnation: Incarnation(1),
        epoch: Epoch(epoch),
        sequence: u64::from(sequence),
        previous: hash(sequence - 1),
        hash: hash(sequence),
        body,
    }
}

async fn put(storage: &Storage, new: &NewSegment<'_>) -> SegmentOutcome {
    storage.put_segment(new, noon()).await.unwrap()
}

async fn give(storage: &Storage, event: Event) -> MoveOutcome {
    storage
        .move_customer(CUSTOMER, event, noon())
        .await
        .unwrap()
}

pub async fn segments_are_accepted_in_order_and_once(place: &Place) {
    let storage = &place.storage;
    let a = worker(storage, 1).await;
    give(storage, Event::Assign { to: a }).await;
    assert_eq!(storage.segment_head(CUSTOMER).await.unwrap(), None);
    assert_eq!(
        put(storage, &segment(a, 1, 2, b"b")).await,
        SegmentOutcome::Gap(None)
    );
    assert_eq!(
        put(storage, &segment(a, 1, 1, b"a")).await,
        SegmentOutcome::Accepted
    );
    assert_eq!(
        put(storage, &segment(a, 1, 1, b"a")).await,
        SegmentOutcome::Same
    );
    let other = NewSegment {
        hash: hash(99),
        ..segment(a, 1, 1, b"x")
    };
    assert!(
        matches!(put(storage, &other).await, SegmentOutcome::Conflict(Some(head)) if head.sequence == 1)
    );
    let fork = NewSegment {
        previous: hash(99),
        ..segment(a, 1, 2, b"x")
    };
    assert!(matches!(
        put(storage, &fork).await,
        SegmentOutcome::Conflict(Some(_))
    ));
    assert_eq!(
        put(storage, &segment(a, 1, 2, b"b")).await,
        SegmentOutcome::Accepted
    );
    assert!(
        matches!(put(storage, &segment(a, 1, 4, b"d")).await, SegmentOutcome::Gap(Some(head)) if head.hash == hash(2))
    );
    let beyond = NewSegment {
        sequence: u64::MAX,
        ..segment(a, 1, 3, b"x")
    };
    assert!(matches!(
        put(storage, &beyond).await,
        SegmentOutcome::Gap(_)
    ));

    let first = storage.segment_at(CUSTOMER, 1).await.unwrap().unwrap();
    assert_eq!((first.sequence, first.hash), (1, hash(1)));
    assert_eq!(storage.segment_at(CUSTOMER, 3).await.unwrap(), None);
    let sizes = storage.segment_sizes_after(CUSTOMER, 1, 9).await.unwrap();
    assert_eq!(sizes, [(2, 1)]);

    let read = storage.segments_after(CUSTOMER, 0, 1_000).await.unwrap();
    let bodies: Vec<_> = read.iter().map(|segment| segment.body.as_slice()).collect();
    assert_eq!(bodies, [b"a", b"b"]);
    assert_eq!(
        (read[1].previous, read[1].hash, read[1].worker),
        (hash(1), hash(2), a)
    );
    assert_eq!(
        storage.segments_after(CUSTOMER, 0, 1).await.unwrap().len(),
        1,
        "one at least"
    );
    assert_eq!(
        storage.segments_after(CUSTOMER, 1, 1).await.unwrap()[0].sequence,
        2
    );
    assert!(
        storage
            .segments_after(CUSTOMER, 2, 1)
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn an_old_epoch_is_refused(place: &Place) {
    let storage = &place.storage;
    let (a, b) = (worker(storage, 1).await, worker(storage, 2).await);
    give(storage, Event::Assign { to: a }).await;
    put(storage, &segment(a, 1, 1, b"a")).await;
    give(storage, Event::Take { to: b }).await;
    let old = SegmentOutcome::OldEpoch {
        incarnation: Incarnation(1),
        epoch: Epoch(2),
    };
    assert_eq!(put(storage, &segment(a, 1, 2, b"late")).await, old);
    // Even what stands there already: an acknowledgement now would let the old owner write.
    assert_eq!(put(storage, &segment(a, 1, 1, b"a")).await, old);
    assert_eq!(put(storage, &segment(a, 2, 2, b"guessed")).await, old);
    let restored = NewSegment {
        incarnation: Incarnation(2),
        ..segment(b, 2, 2, b"b")
    };
    assert_eq!(put(storage, &restored).await, old);
    assert_eq!(
        put(storage, &segment(b, 2, 2, b"b")).await,
        SegmentOutcome::Accepted
    );
    let epochs: Vec<_> = storage.segments_after(CUSTOMER, 0, 100).await.unwrap();
    assert_eq!(
        epochs.iter().map(|it| it.epoch.0).collect::<Vec<_>>(),
        [1, 2]
    );
}

/// What the worker wrote after the backup was taken extends the head that was restored.
pub async fn r1_a_chain_that_extends_a_restored_head_is_taken_from_its_owner(place: &Place) {
    let storage = &place.storage;
    let (a, b) = (worker(storage, 1).await, worker(storage, 2).await);
    give(storage, Event::Assign { to: a }).await;
    put(storage, &segment(a, 1, 1, b"before the backup")).await;
    storage.raise_incarnation(Incarnation(2)).await.unwrap();

    let old = SegmentOutcome::OldEpoch {
        incarnation: Incarnation(2),
        epoch: Epoch(1),
    };
    assert_eq!(put(storage, &segment(b, 1, 2, b"not its own")).await, old);
    let fork = NewSegment {
        previous: hash(99),
        ..segment(a, 1, 2, b"another past")
    };
    assert!(matches!(
        put(storage, &fork).await,
        SegmentOutcome::Conflict(Some(_))
    ));
    assert!(matches!(
        put(storage, &segment(a, 1, 3, b"c")).await,
        SegmentOutcome::Gap(Some(head)) if head.sequence == 1
    ));
    assert_eq!(
        put(storage, &segment(a, 1, 2, b"lost with the database")).await,
        SegmentOutcome::Accepted
    );
    // It had been moved away and back before the restore.
    assert_eq!(
        put(storage, &segment(a, 3, 3, b"in a later epoch")).await,
        SegmentOutcome::Accepted
    );
    assert_eq!(
        put(storage, &segment(a, 2, 4, b"below the head")).await,
        old
    );
    let of_now = NewSegment {
        incarnation: Incarnation(2),
        ..segment(a, 1, 4, b"d")
    };
    assert_eq!(put(storage, &of_now).await, SegmentOutcome::Accepted);
    // From here on it is as ever.
    assert_eq!(put(storage, &segment(a, 3, 5, b"e")).await, old);
    let read = storage.segments_after(CUSTOMER, 0, 10_000).await.unwrap();
    assert_eq!(read.len(), 4);

    // A customer of whom nothing was restored: its number may have been another's.
    let other = CustomerId(2);
    let given = Event::Assign { to: a };
    storage.move_customer(other, given, noon()).await.unwrap();
    let of_whom = NewSegment {
        customer: other,
        ..segment(a, 1, 1, b"of somebody else")
    };
    assert_eq!(put(storage, &of_whom).await, SegmentOutcome::Conflict(None));
}

pub async fn a_large_segment_lies_beside(place: &Place) {
    let storage = &place.storage;
    let a = worker(storage, 1).await;
    give(storage, Event::Assign { to: a }).await;
    let body: Vec<u8> = (0..3 * bounds::SEGMENT_ROW_BYTES_MAX)
        .map(|number| (number % 253) as u8)
        .collect();
    assert_eq!(
        put(storage, &segment(a, 1, 1, &body)).await,
        SegmentOutcome::Accepted
    );
    assert_eq!(
        put(storage, &segment(a, 1, 2, &body)).await,
        SegmentOutcome::Accepted
    );
    let read = storage.segments_after(CUSTOMER, 0, 10 << 20).await.unwrap();
    assert!(read.len() == 2 && read.iter().all(|segment| segment.body == body));
}

pub async fn of_two_segments_at_once_one_stands(place: &Place) {
    let storage = &place.storage;
    let a = worker(storage, 1).await;
    give(storage, Event::Assign { to: a }).await;
    let send = |byte: u8| {
        let storage = storage.clone();
        tokio::spawn(async move {
            let new = NewSegment {
                hash: hash(byte),
                ..segment(a, 1, 1, b"x")
            };
            storage.put_segment(&new, noon()).await.unwrap()
        })
    };
    let (one, two) = (send(1), send(2));
    let outcomes = [one.await.unwrap(), two.await.unwrap()];
    assert!(outcomes.contains(&SegmentOutcome::Accepted), "{outcomes:?}");
    assert!(
        outcomes
            .iter()
            .any(|outcome| matches!(outcome, SegmentOutcome::Conflict(_))),
        "{outcomes:?}"
    );
}

pub async fn a_move_waits_and_a_take_over_does_not(place: &Place) {
    let storage = &place.storage;
    let (a, b) = (worker(storage, 1).await, worker(storage, 2).await);
    give(storage, Event::Assign { to: a }).await;
    give(storage, Event::Assign { to: b }).await;
    let owned = storage.owner(CUSTOMER).await.unwrap().unwrap();
    assert_eq!(
        (owned.ownership.worker, owned.ownership.told_to()),
        (Some(a), None)
    );
    // What it still has to say is taken until it lets go.
    assert_eq!(
        put(storage, &segment(a, 1, 1, b"a")).await,
        SegmentOutcome::Accepted
    );
    assert_eq!(
        put(storage, &segment(b, 2, 2, b"b")).await,
        SegmentOutcome::OldEpoch {
            incarnation: Incarnation(1),
            epoch: Epoch(1)
        }
    );
    let wrong = give(
        storage,
        Event::Release {
            by: b,
            epoch: Epoch(1),
        },
    )
    .await;
    assert_eq!(wrong, MoveOutcome::NotTheOwner);
    give(
        storage,
        Event::Release {
            by: a,
            epoch: Epoch(1),
        },
    )
    .await;
    let owned = storage.owner(CUSTOMER).await.unwrap().unwrap();
    assert_eq!(
        (owned.ownership.told_to(), owned.ownership.epoch),
        (Some(b), Epoch(2))
    );
    assert_eq!(storage.owned_by(b).await.unwrap().len(), 1);
    assert!(storage.owned_by(a).await.unwrap().is_empty());
}

pub async fn nobodys_customer_takes_no_segment(place: &Place) {
    let none = SegmentOutcome::OldEpoch {
        incarnation: Incarnation(0),
        epoch: Epoch(0),
    };
    assert_eq!(
        put(&place.storage, &segment(WorkerId(1), 1, 1, b"a")).await,
        none
    );
}
