//! Sends what the outbox holds: at once when it is filled, again when a try failed. One task for the whole shop.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::outbox::{self, Delivery, Tried};
use crate::bounds;
use crate::clock;
use crate::faults::HookFault;
use crate::problem::Problem;
use crate::state::ShopState;

/// Runs until the shop stops. What is under way then is tried again at the next start.
pub async fn run(shop: Arc<ShopState>, client: reqwest::Client) {
    let mut flying = FuturesUnordered::new();
    let mut wait = None;
    loop {
        match claim(&shop).await {
            Ok((deliveries, again)) => {
                wait = again;
                let copies = if shop.faults.hooks() == HookFault::Duplicated {
                    2
                } else {
                    1
                };
                for delivery in deliveries {
                    flying.push(send(client.clone(), delivery, copies, shop.shop_id.clone()));
                }
            }
            Err(problem) => {
                tracing::error!(error = %problem, source = ?problem, "the outbox could not be read");
                wait = Some(
                    wait.unwrap_or(Duration::from_secs(1))
                        .max(Duration::from_secs(1)),
                );
            }
        }
        let mut tried = Vec::new();
        tokio::select! {
            () = shop.stopping.cancelled() => return,
            Some(done) = flying.next(), if !flying.is_empty() => tried.push(done),
            () = shop.database.outbox_filled().notified() => {}
            () = sleep_or_for_ever(wait) => {}
        }
        while let Some(Some(done)) = flying.next().now_or_never() {
            tried.push(done);
        }
        if !tried.is_empty() {
            let failures_max = shop.config.hook_failures_max;
            let settled = shop
                .database
                .write(move |w| outbox::settle(w, &tried, clock::now(), failures_max))
                .await;
            if let Err(problem) = settled {
                tracing::error!(error = %problem, "how deliveries went could not be written; they will be sent again after a restart");
            }
        }
    }
}

async fn sleep_or_for_ever(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

async fn claim(shop: &Arc<ShopState>) -> Result<(Vec<Delivery>, Option<Duration>), Problem> {
    match shop.faults.hooks() {
        HookFault::Blocked => Ok((Vec::new(), None)),
        HookFault::Dropped => {
            shop.database.write(|w| outbox::drop_waiting(w)).await?;
            Ok((Vec::new(), None))
        }
        HookFault::None | HookFault::Duplicated => {
            let now = clock::now();
            shop.database.write(move |w| outbox::claim(w, now)).await
        }
    }
}

async fn send(
    client: reqwest::Client,
    delivery: Delivery,
    copies: usize,
    shop_id: String,
) -> Tried {
    let mut failed = None;
    for _ in 0..copies {
        failed = post(&client, &delivery, &shop_id).await.err();
    }
    Tried { delivery, failed }
}

async fn post(client: &reqwest::Client, delivery: &Delivery, shop_id: &str) -> Result<(), String> {
    let signature =
        sign(&delivery.secret, delivery.body.as_bytes()).map_err(|error| error.to_string())?;
    let response = client
        .post(&delivery.url)
        .header("Content-Type", "application/json")
        .header("X-Practice-Topic", &delivery.topic)
        .header("X-Practice-Delivery", &delivery.delivery)
        .header("X-Practice-Shop", shop_id)
        .header("X-Practice-Signature", signature)
        .timeout(bounds::HOOK_TIMEOUT)
        .body(delivery.body.clone())
        .send()
        .await
        // The address may hold something private: it stays out of the reason.
        .map_err(|error| error.without_url().to_string())?;
    let status = response.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("answered {status}"))
    }
}

/// `sha256=` and the HMAC of the raw body.
pub fn sign(secret: &SecretString, body: &[u8]) -> Result<String, hmac::digest::InvalidLength> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())?;
    let digest = mac.chain_update(body).finalize().into_bytes();
    Ok(format!(
        "sha256={}",
        data_encoding::HEXLOWER.encode(&digest)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        let key: SecretString = "Jefe".to_string().into();
        assert_eq!(
            sign(&key, b"what do ya want for nothing?").unwrap(),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
