//! Opening a database: locks, keys, migrations and what is refused.

use super::{kahvila, save};
use crate::place::{Kind as Database, Place};
use lockstep_model::{CustomerId, Incarnation, WorkerId};
use lockstep_storage::{Kind, MoveOutcome, Storage, ownership::Event};

pub async fn opening_again_finds_everything(place: &Place) {
    let saved = save(&place.storage, kahvila(0)).await;
    let marker = place.storage.archive_marker().await.unwrap();
    let again = reopen(place).await;
    assert_eq!(again.archive_marker().await.unwrap(), marker);
    let stored = again.customer(saved.id).await.unwrap().unwrap();
    assert_eq!(
        stored.settings.services[0]
            .credential("token")
            .unwrap()
            .reveal(),
        "s3cret-1"
    );
    again.close().await.unwrap();
}

/// SQLite has one coordinator: a copy of its folder stands for the restart.
async fn reopen(place: &Place) -> Storage {
    if place.kind() != Database::Sqlite {
        return Storage::open(place.options()).await.unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(place.folder()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    Storage::open(lockstep_storage::Options::in_folder(copy.keep()))
        .await
        .unwrap()
}

pub async fn another_key_is_refused(place: &Place) {
    if place.kind() == Database::Sqlite {
        // The lock would refuse first: give the copy another key.
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(place.folder()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        let mut options = lockstep_storage::Options::in_folder(copy.path());
        options.key = Some("ab".repeat(32).into());
        assert_eq!(
            Storage::open(options).await.unwrap_err().kind,
            Kind::WrongKey
        );
        return;
    }
    let mut options = place.options();
    options.key = Some("ab".repeat(32).into());
    let error = Storage::open(options).await.unwrap_err();
    assert_eq!(error.kind, Kind::WrongKey, "{error}");
}

pub async fn a_lost_key_is_refused(place: &Place) {
    if place.kind() == Database::Sqlite {
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(place.folder()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "key" {
                std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
            }
        }
        let options = lockstep_storage::Options::in_folder(copy.path());
        assert_eq!(
            Storage::open(options).await.unwrap_err().kind,
            Kind::WrongKey
        );
        return;
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let error = Storage::open(place.options_in(elsewhere.path()))
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::WrongKey, "{error}");
    assert!(
        !elsewhere.path().join("key").exists(),
        "no second key may be made"
    );
}

pub async fn several_coordinators_may_start_at_once(place: &Place) {
    if place.kind() == Database::Sqlite {
        return;
    }
    let starts = (0..3).map(|_| tokio::spawn(Storage::open(place.options())));
    let mut started = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        started.push(start.await.unwrap().unwrap());
    }
    for storage in started {
        storage.close().await.unwrap();
    }
}

pub async fn a_restore_raises_the_incarnation(place: &Place) {
    let storage = &place.storage;
    assert_eq!(storage.incarnation().await.unwrap(), Incarnation(1));
    let saved = save(storage, kahvila(0)).await;
    let event = Event::Assign { to: WorkerId(7) };
    storage
        .move_customer(saved.id, event, crate::place::noon())
        .await
        .unwrap();
    assert_eq!(
        storage.raise_incarnation(Incarnation(0)).await.unwrap(),
        Incarnation(2)
    );
    assert_eq!(
        storage.raise_incarnation(Incarnation(9)).await.unwrap(),
        Incarnation(9)
    );
    let owned = storage.owner(saved.id).await.unwrap().unwrap();
    assert_eq!(owned.incarnation, Incarnation(9));
    assert_eq!(owned.ownership.worker, Some(WorkerId(7)));
    let other = storage
        .move_customer(CustomerId(99), event, crate::place::noon())
        .await
        .unwrap();
    let MoveOutcome::Done(other) = other else {
        panic!("{other:?}")
    };
    assert_eq!(other.incarnation, Incarnation(9));
}
