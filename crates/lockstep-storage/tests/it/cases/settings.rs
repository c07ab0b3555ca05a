//! Customers and their settings: revisions, secrets and sections.

use super::{kahvila, save, worker};
use crate::place::{Place, noon};
use lockstep_model::{
    CustomerId, Revision, ShopId, WorkerId,
    settings::{Branch, BranchId, Credentials, Secret},
};
use lockstep_storage::{CredentialsOutcome, CustomerFilter, Expect, Kind, ownership::Event};
use sea_orm::{ConnectionTrait, Statement};

pub async fn an_edit_has_a_new_revision_and_an_unchanged_one_has_not(place: &Place) {
    let storage = &place.storage;
    let first = save(storage, kahvila(0)).await;
    assert_eq!(
        (first.id, first.revision, first.created),
        (CustomerId(1), Revision(1), true)
    );
    let mut settings = storage.customer(first.id).await.unwrap().unwrap().settings;
    assert_eq!(settings.customer_has_services[0].customer_id, first.id);
    settings.branches.push(Branch {
        id: BranchId(1),
        name: "Tampere".into(),
    });
    settings.customer.branch_id = Some(BranchId(1));
    let second = save(storage, settings.clone()).await;
    assert_eq!((second.revision, second.changed), (Revision(2), true));
    let third = save(storage, settings.clone()).await;
    assert_eq!((third.revision, third.changed), (Revision(2), false));
    let stored = storage.customer(first.id).await.unwrap().unwrap();
    assert_eq!((stored.settings, stored.revision), (settings, Revision(2)));
    assert_eq!(save(storage, kahvila(0)).await.id, CustomerId(2));
    assert_eq!(save(storage, kahvila(40)).await.id, CustomerId(40));
    assert_eq!(save(storage, kahvila(0)).await.id, CustomerId(41));
}

pub async fn of_two_edits_at_once_one_is_refused(place: &Place) {
    let storage = &place.storage;
    let id = save(storage, kahvila(0)).await.id;
    let settings = storage.customer(id).await.unwrap().unwrap().settings;
    let edit = |name: &str| {
        let (storage, mut settings) = (storage.clone(), settings.clone());
        settings.customer.name = name.to_owned();
        tokio::spawn(async move {
            let expect = Expect::Revision(Revision(1));
            storage
                .save_customer(settings, expect, "test", noon())
                .await
        })
    };
    let (one, two) = (edit("one"), edit("two"));
    let results = [one.await.unwrap(), two.await.unwrap()];
    assert_eq!(
        results.iter().filter(|result| result.is_ok()).count(),
        1,
        "{results:?}"
    );
    let refused = results.into_iter().find_map(Result::err).unwrap();
    assert_eq!(refused.kind, Kind::OldRevision(2));
    let new = storage
        .save_customer(settings, Expect::New, "test", noon())
        .await
        .unwrap_err();
    assert_eq!(new.kind, Kind::Conflict);
}

pub async fn secrets_are_sealed_and_kept(place: &Place) {
    let storage = &place.storage;
    let mut settings = kahvila(0);
    settings.services[1].hook_secret = Some(Secret::new("hook-s3cret"));
    let id = save(storage, settings).await.id;

    let raw = place.raw().await;
    let rows = raw
        .query_all_raw(Statement::from_string(
            raw.get_database_backend(),
            "SELECT sealed_credentials, sealed_hook_secret FROM service ORDER BY id",
        ))
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let mut bytes: Vec<u8> = row.try_get("", "sealed_credentials").unwrap();
        let hook: Option<Vec<u8>> = row.try_get("", "sealed_hook_secret").unwrap();
        bytes.extend(hook.unwrap_or_default());
        assert!(!bytes.windows(6).any(|window| window == b"s3cret"));
    }
    raw.close().await.unwrap();

    // What was exported comes back without its secrets and keeps them.
    let stored = storage.customer(id).await.unwrap().unwrap().settings;
    let export = serde_json::to_string(&stored).unwrap();
    let mut edit = lockstep_model::settings::read(&export).unwrap();
    edit.customer.name = "Kahvila Uusi Oy".into();
    save(storage, edit).await;
    let kept = storage.customer(id).await.unwrap().unwrap().settings;
    assert_eq!(
        kept.services[0].credential("token").unwrap().reveal(),
        "s3cret-1"
    );
    assert_eq!(
        kept.services[1].hook_secret.as_ref().unwrap().reveal(),
        "hook-s3cret"
    );
    assert_eq!(kept.services[0].generation, 1);

    let mut edit = kept.clone();
    edit.services[0]
        .credentials
        .insert("token".into(), Some(Secret::new("newer")));
    save(storage, edit).await;
    let kept = storage.customer(id).await.unwrap().unwrap().settings;
    assert_eq!(
        kept.services[0].credential("token").unwrap().reveal(),
        "newer"
    );
    assert_eq!(
        (kept.services[0].generation, kept.services[1].generation),
        (2, 1)
    );
}

pub async fn unsound_settings_are_not_saved(place: &Place) {
    let mut settings = kahvila(0);
    settings.customer.branch_id = Some(BranchId(5));
    settings.services[0].url = "http://shop.example".into();
    let error = place
        .storage
        .save_customer(settings, Expect::Anything, "test", noon())
        .await
        .unwrap_err();
    let Kind::Invalid(problems) = error.kind else {
        panic!("{error:?}")
    };
    let paths: Vec<_> = problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(paths, ["customer.branchId", "services[0].url"]);
    assert_eq!(place.storage.customer_count().await.unwrap(), 0);
    assert_eq!(
        place.storage.change_counter().await.unwrap(),
        0,
        "the number was not used up"
    );

    let mut settings = kahvila(u64::MAX);
    settings.services[0].id = ShopId(0);
    let error = place
        .storage
        .save_customer(settings, Expect::Anything, "test", noon())
        .await
        .unwrap_err();
    assert!(matches!(error.kind, Kind::Invalid(_)), "{error:?}");
}

pub async fn a_renewed_credential_is_compared_and_set(place: &Place) {
    let storage = &place.storage;
    let owner = worker(storage, 1).await;
    let id = save(storage, kahvila(0)).await.id;
    storage
        .move_customer(id, Event::Assign { to: owner }, noon())
        .await
        .unwrap();
    let renewed = Credentials::from([("token".to_owned(), Some(Secret::new("fresh")))]);
    let renew = async |worker, generation| {
        storage
            .renew_credentials(id, ShopId(1), worker, generation, &renewed)
            .await
            .unwrap()
    };
    assert_eq!(renew(WorkerId(77), 1).await, CredentialsOutcome::OldEpoch);
    assert_eq!(
        renew(owner, 1).await,
        CredentialsOutcome::Stored { generation: 2 }
    );
    assert_eq!(renew(owner, 1).await, CredentialsOutcome::OldGeneration(2));
    let stored = storage.customer(id).await.unwrap().unwrap();
    assert_eq!(stored.revision, Revision(1), "nobody is told");
    assert_eq!(
        stored.settings.services[0]
            .credential("token")
            .unwrap()
            .reveal(),
        "fresh"
    );
    // A person's edit that does not touch the credentials keeps the renewed ones.
    let mut edit = stored.settings;
    edit.services[0].credentials.insert("token".into(), None);
    edit.customer.name = "Other".into();
    save(storage, edit).await;
    let stored = storage.customer(id).await.unwrap().unwrap().settings;
    assert_eq!(
        stored.services[0].credential("token").unwrap().reveal(),
        "fresh"
    );
    assert_eq!(stored.services[0].generation, 2);
}

pub async fn a_deleted_customer_leaves_its_worker(place: &Place) {
    let storage = &place.storage;
    let owner = worker(storage, 1).await;
    let id = save(storage, kahvila(0)).await.id;
    storage
        .move_customer(id, Event::Assign { to: owner }, noon())
        .await
        .unwrap();
    let seen = storage.change_counter().await.unwrap();
    storage.delete_customer(id, "test", noon()).await.unwrap();
    assert!(storage.customer(id).await.unwrap().is_none());
    assert_eq!(
        storage.owner(id).await.unwrap().unwrap().ownership.worker,
        None
    );
    let changes = storage.changes_since(seen).await.unwrap();
    assert!(changes.customers[0].deleted);
    assert_eq!(
        (changes.departures[0].customer, changes.departures[0].worker),
        (id, owner)
    );
    let again = save(storage, kahvila(id.0)).await;
    assert_eq!(
        (again.revision, again.created),
        (Revision(3), true),
        "no revision is used twice"
    );
}

pub async fn customers_are_listed_and_found(place: &Place) {
    let storage = &place.storage;
    for name in ["Kahvila Oy", "LUMO Ateljé", "Sähkö & Valo"] {
        let mut settings = kahvila(0);
        settings.customer.name = name.into();
        save(storage, settings).await;
    }
    let list = async |text: Option<&str>, after: Option<u64>, limit| {
        let filter = CustomerFilter {
            text: text.map(str::to_owned),
            after: after.map(CustomerId),
            only: None,
            limit,
        };
        let rows = storage.list_customers(&filter).await.unwrap();
        rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 2).await, ["Kahvila Oy", "LUMO Ateljé"]);
    assert_eq!(list(None, Some(2), 2).await, ["Sähkö & Valo"]);
    assert_eq!(list(Some("SÄHKÖ"), None, 9).await, ["Sähkö & Valo"]);
    assert_eq!(list(Some("lumo"), None, 9).await, ["LUMO Ateljé"]);
    assert_eq!(list(Some("%"), None, 9).await, Vec::<String>::new());
    let row = &storage
        .list_customers(&CustomerFilter {
            limit: 1,
            ..CustomerFilter::default()
        })
        .await
        .unwrap()[0];
    assert_eq!((row.shops, row.enabled, row.movable), (2, true, true));
}
