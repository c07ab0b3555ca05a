//! Enrolment, confirmation and tokens: by whom, how often, and what is kept of them.

use super::{enrolment, worker};
use crate::place::{Place, after_ms, noon};
use lockstep_storage::{
    ConfirmOutcome, EnrolOutcome, EnrolmentState, Hash, JoinToken, Kind, NewToken, PollOutcome,
    WorkerState, bounds,
};

const INTERVAL_MS: i64 = 5_000;

pub async fn a_key_waits_for_its_code_and_then_gets_one_token(place: &Place) {
    let storage = &place.storage;
    let new = enrolment(1);
    storage.enrol(&new).await.unwrap();
    let poll = async |ms| {
        storage
            .poll_enrolment(&new.id, new.device_hash, INTERVAL_MS, after_ms(ms))
            .await
            .unwrap()
    };
    assert_eq!(poll(0).await, PollOutcome::Pending);
    assert_eq!(poll(1_000).await, PollOutcome::SlowDown);
    assert_eq!(poll(7_000).await, PollOutcome::Pending);
    let other = storage
        .poll_enrolment(&new.id, Hash([9; 32]), INTERVAL_MS, noon())
        .await
        .unwrap();
    assert_eq!(other, PollOutcome::Expired, "another device learns nothing");

    let pending = storage.pending_enrolments(noon()).await.unwrap();
    assert_eq!(
        (pending[0].name.as_str(), pending[0].public_key),
        ("worker-1", new.public_key)
    );

    let confirm = storage
        .confirm_enrolment(&new.id, "ZZZZ-ZZZZ", "maija", noon())
        .await
        .unwrap();
    assert_eq!(confirm, ConfirmOutcome::WrongCode { left: 4 });
    let confirm = storage
        .confirm_enrolment(&new.id, &new.code, "maija", noon())
        .await
        .unwrap();
    let ConfirmOutcome::Confirmed { worker, name } = confirm else {
        panic!("{confirm:?}")
    };
    assert_eq!(name, "worker-1");
    assert_eq!(poll(20_000).await, PollOutcome::Confirmed { worker });
    assert!(storage.pending_enrolments(noon()).await.unwrap().is_empty());

    let mint = async |byte| {
        let hash = Hash([byte; 32]);
        let token = NewToken {
            worker,
            hash,
            expires_at: after_ms(1_000_000),
        };
        storage.put_token(token, noon()).await.unwrap();
        hash
    };
    let first = mint(1).await;
    // The answer was lost: asking again mints another and forgets the first.
    assert_eq!(poll(30_000).await, PollOutcome::Confirmed { worker });
    let second = mint(2).await;
    assert_eq!(storage.token_owner(first).await.unwrap(), None);
    assert_eq!(
        storage.token_owner(second).await.unwrap().unwrap().worker,
        worker
    );
    storage.mark_token_used(second, noon()).await.unwrap();
    assert_eq!(
        poll(40_000).await,
        PollOutcome::Expired,
        "no second token once one is in use"
    );
    assert!(storage.token_owner(second).await.unwrap().unwrap().used);
    // The key comes back without its token: nobody is asked, and what is given out is given once.
    assert_eq!(
        storage.enrol(&enrolment(1)).await.unwrap(),
        EnrolOutcome::Known(worker)
    );
    assert!(storage.pending_enrolments(noon()).await.unwrap().is_empty());
    let again = storage
        .confirm_enrolment(&new.id, &new.code, "maija", noon())
        .await
        .unwrap();
    assert_eq!(again, ConfirmOutcome::Already(worker));
    assert!(
        storage
            .reject_enrolment(&new.id, "maija", noon())
            .await
            .is_err()
    );
    assert_eq!(poll(50_000).await, PollOutcome::Confirmed { worker });
    assert_eq!(poll(50_001).await, PollOutcome::Expired);
    storage.enrol(&enrolment(1)).await.unwrap();
    assert_eq!(poll(900_001).await, PollOutcome::Expired);
    assert_eq!(
        storage
            .worker_by_key(&new.public_key)
            .await
            .unwrap()
            .unwrap()
            .approved_by,
        "maija"
    );
}

pub async fn five_wrong_codes_reject(place: &Place) {
    let new = enrolment(1);
    place.storage.enrol(&new).await.unwrap();
    for left in (0..5).rev() {
        let outcome = place
            .storage
            .confirm_enrolment(&new.id, "ZZZZ-ZZZZ", "x", noon())
            .await
            .unwrap();
        assert_eq!(outcome, ConfirmOutcome::WrongCode { left });
    }
    let outcome = place
        .storage
        .confirm_enrolment(&new.id, &new.code, "x", noon())
        .await
        .unwrap();
    assert_eq!(outcome, ConfirmOutcome::Rejected);
}

pub async fn no_more_wait_than_may(place: &Place) {
    let storage = &place.storage;
    let max = u16::try_from(bounds::PENDING_MAX).unwrap();
    for number in 0..max {
        assert_eq!(
            storage.enrol(&enrolment(number)).await.unwrap(),
            EnrolOutcome::Pending
        );
    }
    assert_eq!(
        storage.enrol(&enrolment(max)).await.unwrap(),
        EnrolOutcome::TooMany
    );
    // One that asks again takes no more room.
    assert_eq!(
        storage.enrol(&enrolment(0)).await.unwrap(),
        EnrolOutcome::Pending
    );
    let mut late = enrolment(max);
    late.asked_at = after_ms(900_000);
    late.expires_at = after_ms(1_800_000);
    assert_eq!(storage.enrol(&late).await.unwrap(), EnrolOutcome::Pending);
}

pub async fn s6_strangers_do_not_shut_out_who_holds_a_join_token(place: &Place) {
    let storage = &place.storage;
    let max = u16::try_from(bounds::PENDING_MAX).unwrap();
    for number in 0..max {
        storage.enrol(&enrolment(number)).await.unwrap();
    }
    let hash = Hash([7; 32]);
    let join = JoinToken {
        id: storage.next_join_token_id().await.unwrap(),
        label: "new hall".into(),
        made_by: "maija".into(),
        uses_left: 1,
        expires_at: after_ms(3_600_000),
    };
    storage.put_join_token(&join, hash, noon()).await.unwrap();
    let mut holder = enrolment(max);
    holder.join = Some(hash);
    assert_eq!(storage.enrol(&holder).await.unwrap(), EnrolOutcome::Pending);
    let joined = storage.confirm_enrolment_by_join(&holder.id, hash, noon());
    assert!(matches!(
        joined.await.unwrap(),
        ConfirmOutcome::Confirmed { .. }
    ));
    // A token that is none, or none any more, takes no place.
    for (number, hash) in [(max + 1, Hash([8; 32])), (max + 2, hash)] {
        let mut new = enrolment(number);
        new.join = Some(hash);
        assert_eq!(storage.enrol(&new).await.unwrap(), EnrolOutcome::BadJoin);
        assert!(storage.enrolment(&new.id).await.unwrap().is_none());
    }
}

pub async fn s6_a_rejected_key_frees_its_place_and_stays_refused(place: &Place) {
    let storage = &place.storage;
    let max = u16::try_from(bounds::PENDING_MAX).unwrap();
    for number in 0..max {
        storage.enrol(&enrolment(number)).await.unwrap();
    }
    let (rejected, next) = (enrolment(3), enrolment(max));
    assert_eq!(storage.enrol(&next).await.unwrap(), EnrolOutcome::TooMany);
    storage
        .reject_enrolment(&rejected.id, "maija", noon())
        .await
        .unwrap();
    assert_eq!(storage.enrol(&next).await.unwrap(), EnrolOutcome::Pending);
    // The same key under another name, at once and after its time of waiting is over.
    for ms in [1, 1_000_000, 86_400_000] {
        let mut again = enrolment(3);
        again.id = format!("again{ms}");
        again.name = "another".into();
        again.asked_at = after_ms(ms);
        again.expires_at = after_ms(ms + 900_000);
        assert_eq!(storage.enrol(&again).await.unwrap(), EnrolOutcome::Rejected);
    }
}

pub async fn a_rejected_or_late_worker_gets_nothing(place: &Place) {
    let storage = &place.storage;
    let (one, two) = (enrolment(1), enrolment(2));
    storage.enrol(&one).await.unwrap();
    storage.enrol(&two).await.unwrap();
    storage
        .reject_enrolment(&one.id, "maija", noon())
        .await
        .unwrap();
    let poll = storage
        .poll_enrolment(&one.id, one.device_hash, 0, noon())
        .await
        .unwrap();
    assert_eq!(poll, PollOutcome::Rejected);
    assert_eq!(
        storage.enrolment(&one.id).await.unwrap().unwrap().state,
        EnrolmentState::Rejected
    );
    let late = after_ms(900_001);
    let confirm = storage
        .confirm_enrolment(&two.id, &two.code, "maija", late)
        .await
        .unwrap();
    assert_eq!(confirm, ConfirmOutcome::Expired);
    let poll = storage
        .poll_enrolment(&two.id, two.device_hash, 0, late)
        .await
        .unwrap();
    assert_eq!(poll, PollOutcome::Expired);
    let confirm = storage
        .confirm_enrolment("nobody", &two.code, "maija", noon())
        .await
        .unwrap();
    assert_eq!(confirm, ConfirmOutcome::NotFound);
    assert!(storage.workers().await.unwrap().is_empty());
}

pub async fn a_join_token_confirms_as_often_as_it_says(place: &Place) {
    let storage = &place.storage;
    let join = JoinToken {
        id: storage.next_join_token_id().await.unwrap(),
        label: "rack 4".into(),
        made_by: "maija".into(),
        uses_left: 1,
        expires_at: after_ms(60_000),
    };
    let hash = Hash([5; 32]);
    storage.put_join_token(&join, hash, noon()).await.unwrap();
    for number in [1, 2] {
        storage.enrol(&enrolment(number)).await.unwrap();
    }
    let wrong = storage
        .confirm_enrolment_by_join("e1", Hash([6; 32]), noon())
        .await
        .unwrap();
    assert_eq!(wrong, ConfirmOutcome::NotFound);
    let first = storage
        .confirm_enrolment_by_join("e1", hash, noon())
        .await
        .unwrap();
    assert!(
        matches!(first, ConfirmOutcome::Confirmed { .. }),
        "{first:?}"
    );
    let second = storage
        .confirm_enrolment_by_join("e2", hash, noon())
        .await
        .unwrap();
    assert_eq!(second, ConfirmOutcome::NotFound);
    assert_eq!(storage.join_tokens(noon()).await.unwrap()[0].uses_left, 0);
}

pub async fn two_who_confirm_at_once_make_one_worker(place: &Place) {
    let new = enrolment(1);
    place.storage.enrol(&new).await.unwrap();
    let confirm = || {
        let (storage, new) = (place.storage.clone(), new.clone());
        tokio::spawn(async move {
            storage
                .confirm_enrolment(&new.id, &new.code, "maija", noon())
                .await
                .unwrap()
        })
    };
    let (one, two) = (confirm(), confirm());
    let outcomes = [one.await.unwrap(), two.await.unwrap()];
    let made = outcomes
        .iter()
        .filter(|it| matches!(it, ConfirmOutcome::Confirmed { .. }))
        .count();
    assert_eq!(made, 1, "{outcomes:?}");
    assert_eq!(place.storage.workers().await.unwrap().len(), 1);
}

pub async fn a_suspended_workers_token_is_void(place: &Place) {
    let storage = &place.storage;
    let id = worker(storage, 1).await;
    let token = NewToken {
        worker: id,
        hash: Hash([1; 32]),
        expires_at: after_ms(9_000),
    };
    storage.put_token(token, noon()).await.unwrap();
    let seen = storage.change_counter().await.unwrap();
    storage
        .set_worker_state(id, WorkerState::Suspended)
        .await
        .unwrap();
    assert_eq!(storage.token_owner(token.hash).await.unwrap(), None);
    assert_eq!(storage.token_expiry(id).await.unwrap(), None);
    let changes = storage.changes_since(seen).await.unwrap();
    assert!(changes.tokens[0].revoked);
    assert_eq!(changes.workers[0].state, WorkerState::Suspended);
    assert_eq!(
        storage.put_token(token, noon()).await.unwrap_err().kind,
        Kind::Conflict
    );
    storage
        .set_worker_state(id, WorkerState::Active)
        .await
        .unwrap();
    assert_eq!(
        storage.token_owner(token.hash).await.unwrap(),
        None,
        "revoked is revoked"
    );
    storage
        .set_worker_state(id, WorkerState::Gone)
        .await
        .unwrap();
    let back = storage
        .set_worker_state(id, WorkerState::Active)
        .await
        .unwrap_err();
    assert_eq!(back.kind, Kind::Conflict);
}
