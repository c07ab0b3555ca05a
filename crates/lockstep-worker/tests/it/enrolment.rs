//! A worker becomes known: pending, compared, confirmed, renewed, rejected, forgotten.

use crate::coordinator::FakeCoordinator;
use lockstep_connector::Registry;
use lockstep_protocol::Code;
use lockstep_worker::{Exit, RunningWorker, WorkerConfig, WorkerState, start, sync_once};
use std::path::Path;

fn config(coordinator: &FakeCoordinator, data: &Path) -> WorkerConfig {
    WorkerConfig {
        name: "harbour".into(),
        ..WorkerConfig::new(coordinator.url.clone(), data, Registry::default())
    }
}

async fn state(worker: &RunningWorker, wanted: impl Fn(&WorkerState) -> bool) -> WorkerState {
    let mut state = worker.state();
    let wait = state.wait_for(|state| wanted(state));
    let patience = std::time::Duration::from_secs(30);
    match tokio::time::timeout(patience, wait).await {
        Ok(state) => return state.unwrap().clone(),
        Err(_late) => {}
    }
    panic!("waited in vain; it is {:?}", worker.state().borrow())
}

fn is_active(state: &WorkerState) -> bool {
    matches!(state, WorkerState::Active { .. })
}

#[tokio::test]
async fn a_worker_waits_for_a_person_and_is_then_given_its_token() {
    let coordinator = FakeCoordinator::start().await;
    let place = tempfile::tempdir().unwrap();
    let worker = start(config(&coordinator, place.path())).await.unwrap();
    let pending = state(&worker, |state| {
        matches!(state, WorkerState::Pending { .. })
    })
    .await;
    let WorkerState::Pending {
        code, enrolment, ..
    } = pending
    else {
        unreachable!()
    };
    coordinator
        .until("it asked and was told to wait", |mind| {
            mind.enrolments
                .values()
                .any(|enrolment| enrolment.asked > 0)
        })
        .await;
    coordinator.with(|mind| {
        let waiting = mind.enrolments.get_mut(&enrolment.0).unwrap();
        assert_eq!(waiting.code, code);
        assert_eq!(waiting.request.name, "harbour");
        waiting.confirmed = true;
    });
    state(&worker, is_active).await;
    worker.shutdown().await.unwrap();

    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        let file = std::fs::metadata(place.path().join(name)).unwrap();
        file.permissions().mode() & 0o777
    };
    assert_eq!((mode("key"), mode("worker.json")), (0o600, 0o600));

    // The next start needs nobody.
    let worker = start(config(&coordinator, place.path())).await.unwrap();
    state(&worker, is_active).await;
    worker.shutdown().await.unwrap();
    coordinator.with(|mind| assert_eq!(mind.enrolments.len(), 1));
}

#[tokio::test]
async fn a_rejected_worker_is_told_so() {
    let coordinator = FakeCoordinator::start().await;
    let place = tempfile::tempdir().unwrap();
    let worker = start(config(&coordinator, place.path())).await.unwrap();
    state(&worker, |state| {
        matches!(state, WorkerState::Pending { .. })
    })
    .await;
    coordinator.with(|mind| {
        for enrolment in mind.enrolments.values_mut() {
            enrolment.verdict = Some(Code::Rejected);
        }
    });
    state(&worker, |state| *state == WorkerState::Rejected).await;
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_expired_enrolment_begins_anew() {
    let coordinator = FakeCoordinator::start().await;
    let place = tempfile::tempdir().unwrap();
    let worker = start(config(&coordinator, place.path())).await.unwrap();
    coordinator
        .until("it asked", |mind| !mind.enrolments.is_empty())
        .await;
    coordinator.with(|mind| {
        mind.confirms_by_itself = true;
        for enrolment in mind.enrolments.values_mut() {
            enrolment.verdict = Some(Code::Expired);
        }
    });
    state(&worker, is_active).await;
    coordinator.with(|mind| assert_eq!(mind.enrolments.len(), 2));
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_lost_token_is_replaced_by_the_key_and_a_forgotten_key_enrols_anew() {
    let coordinator = FakeCoordinator::start().await;
    coordinator.with(|mind| mind.confirms_by_itself = true);
    let place = tempfile::tempdir().unwrap();
    let worker = start(config(&coordinator, place.path())).await.unwrap();
    state(&worker, is_active).await;
    coordinator.with(|mind| mind.tokens.clear());
    coordinator
        .until("the key was shown", |mind| mind.renewals == 1)
        .await;
    state(&worker, is_active).await;
    coordinator.with(|mind| {
        mind.tokens.clear();
        mind.known_keys.clear();
    });
    coordinator
        .until("it enrolled anew", |mind| {
            mind.enrolments.len() == 2 && mind.minted == 3
        })
        .await;
    state(&worker, is_active).await;
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_worker_without_its_token_is_known_by_its_key_and_waits_for_nobody() {
    let coordinator = FakeCoordinator::start().await;
    coordinator.with(|mind| mind.confirms_by_itself = true);
    let place = tempfile::tempdir().unwrap();
    let worker = start(config(&coordinator, place.path())).await.unwrap();
    state(&worker, is_active).await;
    worker.shutdown().await.unwrap();
    coordinator.with(|mind| mind.confirms_by_itself = false);
    let lose = || std::fs::remove_file(place.path().join("worker.json")).unwrap();

    lose();
    let worker = start(config(&coordinator, place.path())).await.unwrap();
    state(&worker, is_active).await;
    worker.shutdown().await.unwrap();
    coordinator.with(|mind| assert_eq!((mind.minted, mind.renewals), (2, 0)));

    // So does a round from cron; and who is suspended is told so.
    lose();
    let round = sync_once(config(&coordinator, place.path())).await;
    assert_eq!(round.exit, Exit::Done, "{}", round.message);
    lose();
    coordinator.with(|mind| mind.refuses_tokens = Some(Code::Suspended));
    let round = sync_once(config(&coordinator, place.path())).await;
    assert_eq!(round.exit, Exit::NeedsPerson);
    assert!(round.message.contains("suspended"), "{}", round.message);
    let worker = start(config(&coordinator, place.path())).await.unwrap();
    let refused = state(&worker, |state| {
        matches!(state, WorkerState::Refused { .. })
    })
    .await;
    let suspended = matches!(
        refused,
        WorkerState::Refused {
            code: Code::Suspended,
            ..
        }
    );
    assert!(suspended, "{refused:?}");
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_shown_and_an_absence_too() {
    let mut coordinator = FakeCoordinator::start().await;
    coordinator.with(|mind| mind.confirms_by_itself = true);
    let place = tempfile::tempdir().unwrap();
    let worker = start(config(&coordinator, place.path())).await.unwrap();
    state(&worker, is_active).await;
    coordinator.with(|mind| mind.refuses = Some((Code::Suspended, Some(1))));
    let refused = state(&worker, |state| {
        matches!(state, WorkerState::Refused { .. })
    })
    .await;
    assert!(matches!(
        refused,
        WorkerState::Refused {
            code: Code::Suspended,
            ..
        }
    ));
    coordinator.with(|mind| mind.refuses = None);
    state(&worker, is_active).await;
    coordinator.go_away().await;
    state(&worker, |state| {
        matches!(state, WorkerState::NoAnswer { .. })
    })
    .await;
    coordinator.come_back().await;
    state(&worker, is_active).await;
    worker.shutdown().await.unwrap();
}

#[tokio::test]
async fn one_round_says_by_its_exit_code_how_it_went() {
    let mut coordinator = FakeCoordinator::start().await;
    let place = tempfile::tempdir().unwrap();
    let first = sync_once(config(&coordinator, place.path())).await;
    assert_eq!(first.exit, Exit::NeedsPerson, "{}", first.message);
    let code = coordinator.with(|mind| {
        let waiting = mind.enrolments.values_mut().next().unwrap();
        waiting.confirmed = true;
        waiting.code.to_string()
    });
    assert!(first.message.contains(&code), "{}", first.message);
    // The same enrolment, from the disk.
    let second = sync_once(config(&coordinator, place.path())).await;
    assert_eq!(second.exit, Exit::Done, "{}", second.message);
    coordinator.with(|mind| assert_eq!(mind.enrolments.len(), 1));
    coordinator.go_away().await;
    let third = sync_once(config(&coordinator, place.path())).await;
    assert_eq!(third.exit.code(), 4, "{}", third.message);
}

#[tokio::test]
async fn a_folder_that_is_in_use_is_refused_at_once() {
    let coordinator = FakeCoordinator::start().await;
    let place = tempfile::tempdir().unwrap();
    let worker = start(config(&coordinator, place.path())).await.unwrap();
    let second = start(config(&coordinator, place.path())).await.map(|_| ());
    assert!(second.unwrap_err().to_string().contains("another worker"));
    worker.shutdown().await.unwrap();
}
