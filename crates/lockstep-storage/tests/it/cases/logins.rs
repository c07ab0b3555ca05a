//! People, their passwords and sessions.

use crate::place::{Place, after_ms, noon};
use lockstep_model::CustomerId;
use lockstep_storage::{Hash, Kind, NewPerson, NewSession, Role, SessionKind, Storage};

async fn maija(storage: &Storage) -> u64 {
    let new = NewPerson {
        name: "Maija".into(),
        password: "korvapuusti".to_owned().into(),
        role: Role::Operator,
        customer: None,
    };
    storage.add_person(new, noon()).await.unwrap()
}

pub async fn s7_a_password_is_checked_however_many_wrong_ones_came_before(place: &Place) {
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
    let check = async |name: &str, password: &str| {
        let password = password.to_owned().into();
        let person = storage.check_password(name, password).await.unwrap();
        person.map(|it| it.role)
    };
    assert_eq!(check("maija", "korvapuusti").await, Some(Role::Operator));
    assert_eq!(check("nobody", "korvapuusti").await, None);
    for _ in 0..20 {
        assert_eq!(check("maija", "pulla").await, None);
    }
    // s7: whoever guesses does not keep the right one out.
    assert_eq!(check("maija", "korvapuusti").await, Some(Role::Operator));
    storage
        .set_password(id, "mustikkapiirakka".to_owned().into())
        .await
        .unwrap();
    assert_eq!(check("maija", "korvapuusti").await, None);
    assert_eq!(
        check("maija", "mustikkapiirakka").await,
        Some(Role::Operator)
    );
}

pub async fn s10_a_login_is_switched_off_and_taken_away(place: &Place) {
    let storage = &place.storage;
    let maija = maija(storage).await;
    for refused in [
        storage.set_person_disabled(maija, true).await,
        storage.delete_person(maija).await,
    ] {
        assert_eq!(refused.unwrap_err().kind, Kind::Conflict, "the last one");
    }
    let new = NewPerson {
        name: "Pekka".into(),
        password: "korvapuusti".to_owned().into(),
        role: Role::Operator,
        customer: None,
    };
    let pekka = storage.add_person(new, noon()).await.unwrap();
    let session = NewSession {
        hash: Hash([3; 32]),
        id: storage.next_session_id().await.unwrap(),
        person: pekka,
        kind: SessionKind::Api,
        label: "laptop".into(),
        expires_at: Some(after_ms(1_000)),
    };
    let logged_in = async || {
        let password = "korvapuusti".to_owned().into();
        storage.check_password("pekka", password).await.unwrap()
    };
    storage.put_session(&session, noon()).await.unwrap();
    storage.set_person_disabled(pekka, true).await.unwrap();
    assert!(
        storage
            .session(session.hash, noon())
            .await
            .unwrap()
            .is_none()
    );
    assert!(logged_in().await.is_none());
    storage.set_person_disabled(pekka, false).await.unwrap();
    assert!(
        storage
            .session(session.hash, noon())
            .await
            .unwrap()
            .is_none(),
        "what it had opened stays closed"
    );
    assert!(logged_in().await.is_some());
    storage.put_session(&session, noon()).await.unwrap();
    storage.delete_person(pekka).await.unwrap();
    assert!(
        storage
            .session(session.hash, noon())
            .await
            .unwrap()
            .is_none()
    );
    assert!(logged_in().await.is_none());
    assert_eq!(storage.people().await.unwrap().len(), 1);
}

pub async fn s10_what_is_open_is_listed_and_ended(place: &Place) {
    let storage = &place.storage;
    let maija = maija(storage).await;
    for (byte, ms) in [(1, 1_000), (2, 500)] {
        let new = NewSession {
            hash: Hash([byte; 32]),
            id: storage.next_session_id().await.unwrap(),
            person: maija,
            kind: SessionKind::Api,
            label: format!("laptop {byte}"),
            expires_at: Some(after_ms(ms)),
        };
        storage.put_session(&new, noon()).await.unwrap();
    }
    let open = async |ms| {
        let open = storage.sessions(Some(maija), after_ms(ms)).await.unwrap();
        open.into_iter().map(|open| open.id).collect::<Vec<_>>()
    };
    assert_eq!(open(0).await, [2, 1]);
    assert_eq!(open(600).await, [1], "the other is over");
    assert!(storage.sessions(Some(99), noon()).await.unwrap().is_empty());
    storage.end_session_by_id(1).await.unwrap();
    assert!(
        storage
            .session(Hash([1; 32]), noon())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        storage.end_session_by_id(1).await.unwrap_err().kind,
        Kind::NotFound
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
