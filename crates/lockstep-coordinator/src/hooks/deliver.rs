//! `POST /hooks/v1/{customer}/{shop}/{key}`: one delivery of a shop's webhook.

use super::{key::is_key, replays::said};
use crate::extract::Path;
use crate::{
    AppState,
    bounds::HOOK_HEADERS_MAX,
    refusal::{Answer, Refusal},
};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::StatusCode,
};
use lockstep_connector::{Hint, HookDelivery};
use lockstep_model::{CustomerId, Revision, ShopId, settings::Secret};
use lockstep_protocol::Code;
use lockstep_storage::WakeBy;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::{Instant, sleep_until};

/// Shops whose hook secrets are held in memory.
const TARGETS_MAX: usize = 10_000;

/// A shop as its hooks need to know it.
pub struct Target {
    revision: Revision,
    platform: String,
    secret: Option<Secret>,
    /// Wakes of a shop that is switched off are not raised.
    listens: bool,
}

/// Read once for each revision of the settings: a busy shop's hooks do not open the settings each time.
#[derive(Default)]
pub struct Targets {
    known: Mutex<HashMap<(CustomerId, ShopId), Arc<Target>>>,
}

impl Targets {
    async fn get(
        &self,
        app: &AppState,
        customer: CustomerId,
        shop: ShopId,
    ) -> Answer<Option<Arc<Target>>> {
        let Some(seen) = app.view.customer(customer).filter(|seen| !seen.deleted) else {
            return Ok(None);
        };
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(customer, shop))
            .cloned();
        if let Some(known) = known
            && known.revision == seen.revision
        {
            return Ok(Some(known));
        }
        let Some(stored) = app.storage.customer(customer).await? else {
            return Ok(None);
        };
        let Some(service) = stored.settings.service(shop) else {
            return Ok(None);
        };
        let target = Arc::new(Target {
            revision: stored.revision,
            platform: service.platform.clone(),
            secret: service.hook_secret.clone(),
            listens: service.active && stored.settings.customer.may_run(),
        });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TARGETS_MAX {
            known.clear();
        }
        known.insert((customer, shop), target.clone());
        Ok(Some(target))
    }
}

pub async fn take(
    State(app): State<AppState>,
    Path((customer, shop, key)): Path<(CustomerId, ShopId, String)>,
    request: Request,
) -> Answer<StatusCode> {
    let nobody = || Refusal::new(Code::NotFound, "nobody listens at this address");
    let target = app
        .targets
        .get(&app, customer, shop)
        .await?
        .ok_or_else(nobody)?;
    let secret = target.secret.as_ref().ok_or_else(nobody)?;
    if !is_key(&key, customer, shop, secret) {
        return Err(nobody());
    }
    let platform = app.registry.get(&target.platform).ok_or_else(nobody)?;
    let headers = request.headers().clone();
    // Not before the key was right: nobody else has anything to say here.
    let body = Bytes::from_request(request, &()).await?;
    let headers: BTreeMap<String, String> = headers
        .iter()
        .take(HOOK_HEADERS_MAX)
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let hint = platform.hint(HookDelivery {
        headers: &headers,
        body: &body,
        secret: secret.reveal(),
    });
    if !matches!(hint, Hint::Refused) {
        app.registrations.delivered(customer, shop);
    }
    match hint {
        Hint::Ping => Ok(StatusCode::NO_CONTENT),
        Hint::Refused => Err(Refusal::new(
            Code::BadSignature,
            "the webhook is not signed with this shop's secret; nothing was done",
        )),
        Hint::Look(flows) if flows.is_empty() || !target.listens => Ok(StatusCode::NO_CONTENT),
        Hint::Look(flows) => {
            let now = Instant::now();
            let turn = app.replays.turn(said(customer, shop, &flows, &body), now);
            if turn > now {
                sleep_until(turn).await;
            }
            let places = flows
                .into_iter()
                .map(|flow| (customer, shop, flow))
                .collect();
            app.wakes.raise(places, WakeBy::Shop).await?;
            Ok(StatusCode::NO_CONTENT)
        }
    }
}
