//! Lines 63 to 66: what a shop answers when it does not answer. All over cans: no shop can be made to do this at will.

use super::ports::{Answer, Canned};
use super::products::plain;
use super::{How, Proof, ShopUnderTest, Told, ensure, orders};
use crate::{Connector, NoPictures};
use jiff::{SignedDuration, Timestamp};
use lockstep_model::{
    Change, Fault, FaultKind, ItemId, Kind, Level, Outcome, PullRequest, Scope, Sku,
};
use rust_decimal::Decimal;

fn reading() -> PullRequest {
    PullRequest {
        kind: Kind::Product,
        scope: Scope::Everything(None),
        limit: 10,
    }
}

/// A write that needs no reading before it.
fn level_write(shop: &dyn ShopUnderTest) -> Change {
    let was = Level {
        item: ItemId::default(),
        sku: Sku("S".into()),
        stock: shop.stock(),
        variant: Some("variant".into()),
        inventory: Some("item".into()),
        on_hand: Decimal::ONE,
        reserved: Decimal::ZERO,
        set_aside: Decimal::ZERO,
        version: Some("1".into()),
        location: None,
        modified_at: None,
    };
    Change::SetLevel {
        was: Box::new(was),
        on_hand: Decimal::TWO,
        location: None,
    }
}

/// The kind that a write ends with, whichever way it is told.
fn kind_of(told: Result<Vec<Outcome>, Fault>) -> Option<FaultKind> {
    match told {
        Err(fault) => Some(fault.kind),
        Ok(outcomes) => match outcomes.into_iter().next() {
            Some(Outcome::Failed(fault)) => Some(fault.kind),
            _ => None,
        },
    }
}

pub async fn throttling_is_told_and_learned_from(shop: &dyn ShopUnderTest) -> Told {
    let answer = Answer::json(429, "{}").with_header("retry-after", "7");
    let http = Canned::new(answer);
    let connector = shop.connect(shop.account(), http.clone());
    let now = Timestamp::now();
    let read = connector.pull(&reading()).await;
    let write = connector.push(&[level_write(shop)], &NoPictures).await;
    for kind in [read.err().map(|fault| fault.kind), kind_of(write)] {
        let Some(FaultKind::RateLimited { retry_at: Some(at) }) = kind else {
            return Err(super::Failure(format!("429 is told as {kind:?}")));
        };
        let pause = at.duration_since(now);
        ensure!(
            pause >= SignedDuration::from_secs(6) && pause <= SignedDuration::from_secs(10),
            "a pause of 7 s is told as {pause}"
        );
    }
    let learned = http.learned();
    ensure!(
        learned.iter().any(|b| b.retry_after_ms == Some(7000)),
        "nothing is learned from it: {learned:?}"
    );
    Ok(Proof::Yes(How::Scripted))
}

pub async fn every_broken_answer_is_its_fault(shop: &dyn ShopUnderTest) -> Told {
    let half = r#"{"items":[{"id":"p1","title":"#;
    let cases = [
        (Answer::html(200), FaultKind::Protocol),
        (Answer::html(503), FaultKind::Unavailable),
        (Answer::json(200, half), FaultKind::Protocol),
        (
            Answer::typed(200, "text/plain", shop.empty_reply(Kind::Product)),
            FaultKind::Protocol,
        ),
        (Answer::json(302, ""), FaultKind::Protocol),
        (Answer::json(500, "{}"), FaultKind::Unavailable),
        (Answer::json(401, "{}"), FaultKind::Auth),
        (Answer::json(403, "{}"), FaultKind::Forbidden),
        // More than is read, and silence: as the port tells them.
        (Answer::Fail(FaultKind::Protocol), FaultKind::Protocol),
        (Answer::Fail(FaultKind::Timeout), FaultKind::Timeout),
        (Answer::Fail(FaultKind::Unavailable), FaultKind::Unavailable),
    ];
    for (answer, wanted) in cases {
        let connector = shop.connect(shop.account(), Canned::new(answer.clone()));
        let kind = connector.pull(&reading()).await.err().map(|f| f.kind);
        ensure!(
            kind.as_ref() == Some(&wanted),
            "a reading that ends with {answer:?} is told as {kind:?}"
        );
    }
    let cases = [
        // Something was done, perhaps.
        (Answer::html(200), FaultKind::UnknownOutcome),
        (Answer::json(200, half), FaultKind::UnknownOutcome),
        (Answer::json(500, "{}"), FaultKind::UnknownOutcome),
        (Answer::json(502, "{}"), FaultKind::UnknownOutcome),
        (
            Answer::Fail(FaultKind::UnknownOutcome),
            FaultKind::UnknownOutcome,
        ),
        (Answer::Fail(FaultKind::Protocol), FaultKind::UnknownOutcome),
        // Nothing was.
        (Answer::json(401, "{}"), FaultKind::Auth),
        (Answer::json(403, "{}"), FaultKind::Forbidden),
        (Answer::Fail(FaultKind::Unavailable), FaultKind::Unavailable),
    ];
    for (answer, wanted) in cases {
        let connector = shop.connect(shop.account(), Canned::new(answer.clone()));
        let told = connector.push(&[level_write(shop)], &NoPictures).await;
        // Only what never left is the whole call's fault.
        let is_whole = told.is_err();
        let kind = kind_of(told);
        ensure!(
            kind.as_ref() == Some(&wanted),
            "a write that ends with {answer:?} is told as {kind:?}"
        );
        ensure!(
            is_whole == (wanted == FaultKind::Unavailable),
            "a write that ends with {answer:?} is the whole call's fault: {is_whole}"
        );
    }
    Ok(Proof::Yes(How::Scripted))
}

pub async fn secrets_are_never_in_faults(shop: &dyn ShopUnderTest) -> Told {
    let manifest = shop.platform().manifest();
    let account = shop.account();
    let secrets: Vec<String> = manifest
        .credentials
        .iter()
        .filter(|credential| credential.secret)
        .filter_map(|credential| account.credentials.get(credential.name).cloned())
        .collect();
    ensure!(!secrets.is_empty(), "there is no secret to keep");
    let buyer = orders::person();
    let mut hidden = secrets.clone();
    hidden.extend(buyer.email.clone());
    hidden.extend(buyer.name.clone());
    // A shop that quotes back what it was sent, in every member that might be shown.
    let quote = hidden.join(" ");
    let body = serde_json::json!({
        "detail": quote, "message": quote, "title": quote, "error": quote, "code": "invalid",
        "type": "invalid_data", "field": "email",
    });
    let mut told = vec![format!("{account:?}")];
    for status in [400, 401, 403, 404, 409, 422, 429, 500] {
        let http = Canned::new(Answer::json(status, body.to_string()));
        let connector = shop.connect(account.clone(), http);
        let connector: &dyn Connector = connector.as_ref();
        told.push(format!("{:?}", connector.check().await.err()));
        told.push(format!("{:?}", connector.pull(&reading()).await.err()));
        let sku = Sku("S".into());
        let product = Box::new(plain(&sku, Decimal::ONE, &shop.currency()));
        let order = Box::new(orders::copy(shop, &sku, "secret"));
        for change in [
            level_write(shop),
            Change::CreateProduct { product },
            Change::CreateOrder { order },
        ] {
            told.push(format!(
                "{:?}",
                connector.push(&[change], &NoPictures).await
            ));
        }
    }
    for text in told {
        for secret in &secrets {
            ensure!(!text.contains(secret), "a fault tells a key");
        }
    }
    let order = Box::new(orders::copy(shop, &Sku("S".into()), "secret"));
    let http = Canned::new(Answer::json(422, body.to_string()));
    let connector = shop.connect(account, http);
    let told = connector
        .push(&[Change::CreateOrder { order }], &NoPictures)
        .await;
    let text = format!("{told:?}");
    for word in ["aino", "virta", "example.com"] {
        ensure!(
            !text.to_lowercase().contains(word),
            "a fault tells who bought"
        );
    }
    Ok(Proof::Yes(How::Scripted))
}
