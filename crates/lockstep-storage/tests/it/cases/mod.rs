//! The bodies, one module per subject, and what they share.

pub mod enrolling;
pub mod journal;
pub mod logins;
pub mod opening;
pub mod settings;
pub mod tail;
pub mod texts;
pub mod work;

use crate::place::{after_ms, noon};
use lockstep_model::{
    CustomerId, ShopId, WorkerId,
    settings::{
        Customer, CustomerHasService, CustomerSettings, Policies, RowId, Secret, Service, ShopRole,
    },
};
use lockstep_storage::{
    ConfirmOutcome, EnrolOutcome, Expect, Hash, NewEnrolment, SaveOutcome, Storage,
};
use std::collections::BTreeMap;

/// An enrolment whose values all follow from one number.
pub fn enrolment(number: u16) -> NewEnrolment {
    let mut key = [0; 32];
    key[..2].copy_from_slice(&number.to_be_bytes());
    NewEnrolment {
        id: format!("e{number}"),
        public_key: key,
        name: format!("worker-{number}"),
        build: "1.0".into(),
        platforms: vec!["practice".into()],
        facts: BTreeMap::from([("host".to_owned(), "box".to_owned())]),
        address: "127.0.0.1".into(),
        code: "BCDF-GHJK".into(),
        device_hash: Hash(key),
        nonce: [1; 16],
        asked_at: noon(),
        expires_at: after_ms(900_000),
        join: None,
    }
}

/// An approved worker.
pub async fn worker(storage: &Storage, number: u16) -> WorkerId {
    let new = enrolment(number);
    assert_eq!(storage.enrol(&new).await.unwrap(), EnrolOutcome::Pending);
    match storage
        .confirm_enrolment(&new.id, &new.code, "test", noon())
        .await
        .unwrap()
    {
        ConfirmOutcome::Confirmed { worker, .. } => worker,
        other => panic!("{other:?}"),
    }
}

/// A customer with an ERP and a web shop. Id 0: the next free one.
pub fn kahvila(id: u64) -> CustomerSettings {
    let mut settings = CustomerSettings::new(Customer::new(CustomerId(id), "Kahvila Oy"));
    settings.customer.email = "talous@kahvila.example".into();
    for (shop, name, role) in [(1, "ERP", ShopRole::Erp), (2, "Web", ShopRole::Shop)] {
        settings.services.push(
            Service::new(ShopId(shop), name, "practice", "https://shop.example")
                .with_credential("token", Secret::new(format!("s3cret-{shop}"))),
        );
        settings.customer_has_services.push(CustomerHasService::new(
            RowId(shop),
            CustomerId(id),
            ShopId(shop),
            role,
        ));
    }
    settings.policies = Policies::owned_by(ShopId(1));
    settings
}

pub async fn save(storage: &Storage, settings: CustomerSettings) -> SaveOutcome {
    storage
        .save_customer(settings, Expect::Anything, "test", noon())
        .await
        .unwrap()
}
