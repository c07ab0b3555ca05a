//! A shop's registrations are looked at now and then: one that was deleted or switched off there is registered again, and
//! what it did not tell of meanwhile is looked at.

use super::calls::Done;
use super::driver::Driver;
use crate::asks::{answers, wanted};
use crate::report::Reporter;
use lockstep_connector::{Connector, Hook, HookState};
use lockstep_engine::Event;
use lockstep_engine::budget::Urgency;
use lockstep_model::entry::Cause;
use lockstep_model::{CustomerId, Fault, Flow, Kind, Lane, ShopId};
use lockstep_protocol::status::HooksSeen;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where each shop was told to send its webhooks, as far as this worker has been asked to tell it.
#[derive(Default)]
pub struct HookUrls(Mutex<BTreeMap<(CustomerId, ShopId), String>>);

impl HookUrls {
    pub fn set(&self, customer: CustomerId, shop: ShopId, url: Option<&str>) {
        let mut urls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match url {
            Some(url) => urls.insert((customer, shop), url.to_owned()),
            None => urls.remove(&(customer, shop)),
        };
    }

    fn of(&self, customer: CustomerId, shop: ShopId) -> Option<String> {
        let urls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        urls.get(&(customer, shop)).cloned()
    }
}

impl Driver {
    /// One read for each shop that was told to call us; more only where something is amiss.
    pub fn look_at_hooks(&mut self) {
        let customer = self.seat.customer;
        for (shop, each) in self.shops.iter() {
            let url = self.tools.hook_urls.of(customer, shop);
            let Ok(wanted) = wanted(&each.service, url.as_deref(), each.manifest.hooks) else {
                continue;
            };
            if wanted.is_empty() {
                continue;
            }
            let look = Look {
                customer,
                shop,
                connector: each.connector.clone(),
                reporter: self.tools.reporter.clone(),
                wanted,
            };
            self.calls.spawn(look.look());
        }
    }
}

struct Look {
    customer: CustomerId,
    shop: ShopId,
    connector: Arc<dyn Connector>,
    reporter: Arc<Reporter>,
    wanted: Vec<Hook>,
}

/// Topics that are wanted and not there, or switched off.
fn missing(wanted: &[Hook], there: &[HookState]) -> Vec<String> {
    let is_there = |hook: &Hook| {
        let mut states = there.iter();
        states.any(|state| state.active && state.topic == hook.topic && state.url == hook.url)
    };
    wanted
        .iter()
        .filter(|hook| !is_there(hook))
        .map(|hook| hook.topic.clone())
        .collect()
}

impl Look {
    async fn look(self) -> Done {
        let urgency = Urgency::of_reading(Kind::Product);
        let (events, requests) = crate::shop_http::counting(urgency, self.ask()).await;
        Done {
            events,
            lane: Lane::Catalogue,
            requests,
            was_push: false,
            shows: None,
            wrote: None,
        }
    }

    async fn ask(&self) -> Vec<Event> {
        match self.make_right().await {
            Ok((hooks, mended)) => {
                let was_mended = !mended.is_empty();
                self.tell(hooks, mended, None);
                if was_mended { self.woken() } else { Vec::new() }
            }
            Err(fault) => {
                self.tell(Vec::new(), Vec::new(), Some(fault.message));
                Vec::new()
            }
        }
    }

    async fn make_right(&self) -> Result<(Vec<HookState>, Vec<String>), Fault> {
        let there = self.connector.look_at_hooks(&self.wanted).await?;
        let gone = missing(&self.wanted, &there);
        if gone.is_empty() {
            return Ok((there, Vec::new()));
        }
        let made = self.connector.hooks(&self.wanted).await?;
        let left = missing(&self.wanted, &made);
        let mended: Vec<String> = gone
            .into_iter()
            .filter(|topic| !left.contains(topic))
            .collect();
        if !mended.is_empty() {
            tracing::warn!(customer = %self.customer, shop = %self.shop, ?mended, "webhooks were deleted or switched off in the shop; they are registered again");
        }
        Ok((made, mended))
    }

    fn tell(&self, hooks: Vec<HookState>, mended: Vec<String>, problem: Option<String>) {
        self.reporter.hooks(HooksSeen {
            customer_id: self.customer,
            shop_id: self.shop,
            looked_at: jiff::Timestamp::now(),
            hooks: answers(hooks),
            mended,
            problem,
        });
    }

    /// What changed while the shop did not call was told to nobody.
    fn woken(&self) -> Vec<Event> {
        let shop = self.shop;
        let flows = [Flow::Categories, Flow::Products, Flow::Stock, Flow::Orders];
        vec![Event::Woken {
            flows: flows.map(|flow| (shop, flow)).to_vec(),
            causes: flows.map(|flow| Cause::Wake { shop, flow }).to_vec(),
            everything: false,
        }]
    }
}
