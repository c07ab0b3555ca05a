//! Telling shops where to call: once a worker has applied a customer's settings, it is asked to make the
//! shops' registrations equal to our wish. A shop whose hooks are not registered is polled all the same.

use super::key::hook_url;
use crate::{
    AppState,
    alarms::{self, Alarm},
    asks::{Asked, ask_for_us},
    events::Topic,
    refusal::{Answer, Chain},
};
use jiff::{SignedDuration, Timestamp};
use lockstep_connector::HookScheme;
use lockstep_model::{CustomerId, Flow, Revision, ShopId, settings::Service};
use lockstep_protocol::{
    asks::{Answer as Answered, HookAnswer, Question},
    people::shops::Mended,
    status::HooksSeen,
};
use lockstep_storage::WakeBy;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const WAIT: Duration = Duration::from_secs(60);
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// Shops whose answers and deliveries are remembered.
const SHOPS_MAX: usize = 10_000;

#[derive(Default)]
pub struct Registrations {
    tried: Mutex<HashMap<CustomerId, Tried>>,
    heard: Mutex<HashMap<(CustomerId, ShopId), Heard>>,
}

/// What this coordinator has heard of a shop's webhooks, for people.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// As the platform answered last, and when.
    pub registered: Option<(Timestamp, Vec<HookAnswer>)>,
    pub mended: Option<Mended>,
    pub problem: Option<String>,
    pub delivered_at: Option<Timestamp>,
}

struct Tried {
    revision: Revision,
    /// None: it went well, or is under way.
    again_at: Option<Instant>,
}

impl Registrations {
    /// Whether it is time, and nobody else does it.
    fn begin(&self, customer: CustomerId, revision: Revision) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let due = tried.get(&customer).is_none_or(|last| {
            last.revision < revision || last.again_at.is_some_and(|at| at <= Instant::now())
        });
        if due {
            tried.insert(
                customer,
                Tried {
                    revision,
                    again_at: None,
                },
            );
        }
        due
    }

    fn failed(&self, customer: CustomerId) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = tried.get_mut(&customer) {
            last.again_at = Some(Instant::now() + AGAIN_AFTER);
        }
    }

    pub fn heard(&self, customer: CustomerId, shop: ShopId) -> Heard {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(&(customer, shop)).cloned().unwrap_or_default()
    }

    /// A delivery that was signed as it should be.
    pub fn delivered(&self, customer: CustomerId, shop: ShopId) {
        self.note(customer, shop, |heard| {
            heard.delivered_at = Some(Timestamp::now());
        });
    }

    /// As a worker has read them from the shop. Whether a person is told of something else than before.
    fn seen(&self, seen: &HooksSeen, at: Timestamp) -> bool {
        let mut is_news = false;
        self.note(seen.customer_id, seen.shop_id, |heard| {
            // After a restart nobody knows what was told.
            is_news = heard.registered.is_none() || heard.problem != seen.problem;
            if seen.problem.is_none() {
                heard.registered = Some((at, seen.hooks.clone()));
            }
            if !seen.mended.is_empty() {
                let topics = seen.mended.clone();
                heard.mended = Some(Mended { at, topics });
            }
            heard.problem.clone_from(&seen.problem);
        });
        is_news
    }

    fn note(&self, customer: CustomerId, shop: ShopId, change: impl FnOnce(&mut Heard)) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= SHOPS_MAX && !heard.contains_key(&(customer, shop)) {
            heard.clear();
        }
        change(heard.entry((customer, shop)).or_default());
    }

    /// Customers whose registration failed and is due again.
    pub fn due(&self) -> Vec<(CustomerId, Revision)> {
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let due = tried
            .iter()
            .filter(|(_, last)| last.again_at.is_some_and(|at| at <= Instant::now()));
        due.map(|(customer, last)| (*customer, last.revision))
            .collect()
    }
}

pub async fn register(app: AppState, customer: CustomerId, revision: Revision) {
    if !app.registrations.begin(customer, revision) {
        return;
    }
    let stored = match app.storage.customer(customer).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(%customer, error = %Chain(&error), "webhooks are not registered yet; it is tried again");
            app.registrations.failed(customer);
            return;
        }
    };
    let mut failed = false;
    let mut places = Vec::new();
    for (service, _) in stored.settings.shops() {
        if let Some(url) = wanted(&app, customer, service) {
            if one(&app, customer, service, url).await {
                let flows = Flow::ALL.into_iter();
                let on = flows.filter(|flow| stored.settings.customer.flow_is_on(*flow));
                places.extend(on.map(|flow| (customer, service.id, flow)));
            } else {
                failed = true;
            }
        }
    }
    if failed {
        app.registrations.failed(customer);
    }
    // What changed before the shop knew where to call was told to nobody: each is looked at once more.
    if stored.settings.customer.may_run()
        && !places.is_empty()
        && let Err(refusal) = app.wakes.raise(places, WakeBy::Person).await
    {
        tracing::warn!(%customer, problem = refusal.problem().detail, "shops that can call now are looked at by schedule");
    }
}

fn wanted(app: &AppState, customer: CustomerId, service: &Service) -> Option<String> {
    let manifest = app.registry.get(&service.platform)?.manifest();
    if manifest.hooks == HookScheme::None {
        return None;
    }
    let secret = service.hook_secret.as_ref()?;
    Some(hook_url(&app.public_url, customer, service.id, secret))
}

/// Asked for by a person, whatever was answered before. `None`: this shop cannot call.
pub async fn register_one(app: &AppState, customer: CustomerId, service: &Service) -> Option<bool> {
    let url = wanted(app, customer, service)?;
    Some(one(app, customer, service, url).await)
}

/// Whether the shop's platform can call, and there is a secret to sign with.
pub fn possible(app: &AppState, customer: CustomerId, service: &Service) -> bool {
    wanted(app, customer, service).is_some()
}

async fn one(app: &AppState, customer: CustomerId, service: &Service, url: String) -> bool {
    let key = format!("{customer}/{}", service.id);
    let problem = match asked(app, customer, service.id, url).await {
        Ok(Answered::Hooks { hooks }) => {
            app.registrations.note(customer, service.id, |heard| {
                heard.registered = Some((Timestamp::now(), hooks.clone()));
                heard.problem = None;
            });
            let sleeping: Vec<&str> = hooks
                .iter()
                .filter(|hook| !hook.active)
                .map(|hook| hook.topic.as_str())
                .collect();
            if sleeping.is_empty() {
                alarms::clear(app, "hooks", &key, Some(customer)).await;
                return true;
            }
            format!("it did not switch these on: {}", sleeping.join(", "))
        }
        Ok(Answered::Failed { fault }) => fault.message,
        Ok(_) => "the worker answered another question".to_owned(),
        Err(refusal) => refusal.problem().detail.clone(),
    };
    app.registrations.note(customer, service.id, |heard| {
        heard.problem = Some(problem.clone());
    });
    silent(app, customer, service, &problem).await;
    false
}

async fn silent(app: &AppState, customer: CustomerId, service: &Service, problem: &str) {
    tracing::warn!(%customer, shop = %service.id, problem, "webhooks could not be registered");
    let alarm = Alarm {
        kind: "hooks",
        key: format!("{customer}/{}", service.id),
        customer: Some(customer),
        worker: None,
        title: format!("{} does not tell us of changes", service.name),
        detail: format!(
            "Its webhooks could not be registered: {problem}. Nothing is lost: it is read by schedule until then, only later."
        ),
        href: format!("/customers/{customer}/shops/{}#hooks", service.id),
        action: "Register again".into(),
        shop: None,
    };
    alarms::raise(app, alarm).await;
}

/// Its worker has looked at a shop's registrations, and mended them if it had to. `age`: how long ago.
pub async fn seen(app: &AppState, seen: HooksSeen, age: SignedDuration) -> Answer<()> {
    let (customer, shop) = (seen.customer_id, seen.shop_id);
    let now = Timestamp::now();
    let at = now.saturating_sub(age).unwrap_or(now);
    if !app.registrations.seen(&seen, at) {
        return Ok(());
    }
    app.events.tell(Topic::Customers, Some(customer));
    match seen.problem {
        None => alarms::clear(app, "hooks", &format!("{customer}/{shop}"), Some(customer)).await,
        Some(problem) => {
            let stored = app.storage.customer(customer).await?;
            let settings = stored.map(|stored| stored.settings);
            if let Some(service) = settings.as_ref().and_then(|known| known.service(shop)) {
                silent(app, customer, service, &problem).await;
            }
        }
    }
    Ok(())
}

async fn asked(
    app: &AppState,
    customer: CustomerId,
    shop: ShopId,
    url: String,
) -> Answer<Answered> {
    let asked = Asked {
        customer: Some(customer),
        platform: None,
        question: Question::Hooks {
            shop_id: shop,
            url: Some(url),
        },
        by: "the coordinator",
        wait: WAIT,
    };
    ask_for_us(app, asked).await
}
