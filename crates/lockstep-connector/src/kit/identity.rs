//! Lines 1 and 2: who answers, and what is wrong if nobody does.

use super::{Proof, ShopUnderTest, Told, ensure};
use crate::NoPictures;
use lockstep_model::FaultKind;

pub async fn check_names_the_shop(shop: &dyn ShopUnderTest) -> Told {
    let identity = shop.connector().check().await?;
    ensure!(!identity.name.is_empty(), "the shop has no name");
    ensure!(
        identity.currency == shop.currency(),
        "the currency is {}",
        identity.currency
    );
    ensure!(
        identity.stocks.iter().any(|stock| stock.id == shop.stock()),
        "its stock is not named"
    );
    ensure!(!identity.shipping_methods.is_empty(), "no shipping methods");
    ensure!(!identity.payment_methods.is_empty(), "no payment methods");
    ensure!(identity.time_zone.is_some(), "no time zone");
    Ok(Proof::Yes(shop.how()))
}

pub async fn check_tells_wrong_address_wrong_key_missing_right_apart(
    shop: &dyn ShopUnderTest,
) -> Told {
    for account in shop.elsewhere() {
        let url = account.url.clone();
        let told = shop.connect(account, shop.http()).check().await;
        let kind = told.err().map(|fault| fault.kind);
        ensure!(
            matches!(kind, Some(FaultKind::Unavailable | FaultKind::Protocol)),
            "a wrong address ({url}) is told as {kind:?}"
        );
    }
    let told = shop.connect(shop.with_wrong_key(), shop.http());
    let kind = told.check().await.err().map(|fault| fault.kind);
    ensure!(
        kind == Some(FaultKind::Auth),
        "a wrong key is told as {kind:?}"
    );
    let mut malformed = shop.account();
    malformed.url = "not an address".into();
    let told = shop.connect(malformed, shop.http()).check().await;
    let kind = told.err().map(|fault| fault.kind);
    ensure!(
        matches!(kind, Some(FaultKind::Invalid { .. })),
        "an address that is none is told as {kind:?}"
    );
    if let Some(account) = shop.without_a_right() {
        let connector = shop.connect(account, shop.http());
        let kind = match connector.check().await {
            Err(fault) => Some(fault.kind),
            Ok(_) => connector
                .push(&[], &NoPictures)
                .await
                .err()
                .map(|fault| fault.kind),
        };
        ensure!(
            kind == Some(FaultKind::Forbidden),
            "a missing right is told as {kind:?}"
        );
    }
    Ok(Proof::Yes(shop.how()))
}
