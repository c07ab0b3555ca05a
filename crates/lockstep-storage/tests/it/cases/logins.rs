//! People, their passwords and sessions.

use crate::place::{Place, after_ms, noon};
use lockstep_model::CustomerId;
use lockstep_storage::{Hash, Kind, NewPerson, NewSession, Role, SessionKind, Storage, bounds};

async fn maija(storage: &Storage) -> u64 {
    let new = NewPerson {
        name: "Maija".into(),
        password: "korvapuusti".to_owned().into(),
        role: Role::Operator,
        customer: None,
    };
    storage.add_person(new, noon()).await.unwrap()
}

pub async fn a_password_is_checked_and_guessing_is_slowed(place: &Place) {
    let storage = &place.storage;
    assert_eq!(storage.person_count().await.unwrap(), 0);
    let id = maija(storage).await;
    let again = NewPerson {
        name: "MAIJA".into(),
        password: "x".to_owned().into(),
        role: Role::Viewer,
        customer: Some(CustomerId(1)),
    };
    assert_eq!(
        storage.add_person(again, noon()).await.unwrap_err().kind,
        Kind::Conflict
    );
    let check = async |name: &str, password: &str, ms| {
        let password = password.to_owned().into();
        storage
            .check_password(name, password, after_ms(ms))
            .await
            .unwrap()
            .map(|it| it.role)
    };
    assert_eq!(check("maija", "korvapuusti", 0).await, Some(Role::Operator));
    assert_eq!(check("nobody", "korvapuusti", 0).await, None);
    // All at once: each is counted.
    let guesses: Vec<_> = (0..bounds::WRONG_PASSWORDS_MAX)
        .map(|_| {
            let storage = storage.clone();
            tokio::spawn(async move {
                storage
                    .check_password("maija", "pulla".to_owned().into(), noon())
                    .await
                    .unwrap()
            })
        })
        .collect();
    for guess in guesses {
        assert!(guess.await.unwrap().is_none());
    }
    assert_eq!(
        check("maija", "korvapuusti", 1).await,
        None,
        "has to wait now"
    );
    let later = bounds::PASSWORD_WAIT_MS + 1;
    assert_eq!(
        check("maija", "korvapuusti", later).await,
        Some(Role::Operator)
    );
    storage
        .set_password(id, "mustikkapiirakka".to_owned().into())
        .await
        .unwrap();
    assert_eq!(check("maija", "korvapuusti", later).await, None);
    assert_eq!(
        check("maija", "mustikkapiirakka", later).await,
        Some(Role::Operator)
    );
}

pub async fn a_session_ends(place: &Place) {
    let storage = &place.storage;
    let person = maija(storage).await;
    let session = async |byte, expires_at| {
        let new = NewSession {
            hash: Hash([byte; 32]),
            id: storage.next_session_id().await.unwrap(),
            person,
            kind: SessionKind::Api,
            label: "laptop".into(),
            expires_at,
        };
        storage.put_session(&new, noon()).await.unwrap();
        new.hash
    };
    let short = session(1, Some(after_ms(1_000))).await;
    let long = session(2, None).await;
    let (who, until) = storage.session(short, noon()).await.unwrap().unwrap();
    assert_eq!((who.name.as_str(), until), ("Maija", Some(after_ms(1_000))));
    assert!(
        storage
            .session(short, after_ms(1_000))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        storage
            .session(long, after_ms(1_000))
            .await
            .unwrap()
            .is_some()
    );
    storage.end_session(long).await.unwrap();
    assert!(storage.session(long, noon()).await.unwrap().is_none());
    storage
        .set_password(person, "uusi".to_owned().into())
        .await
        .unwrap();
    assert!(
        storage.session(short, noon()).await.unwrap().is_none(),
        "a new password ends all"
    );
}
