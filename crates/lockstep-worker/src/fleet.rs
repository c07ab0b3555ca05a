//! All customers of this worker: a task for each, begun, told and stopped as the settings say.

use crate::asks::{About, register};
use crate::bounds;
use crate::customer::{Ask, Handle, RoundEnd, Seat, Tools, tend, wire};
use crate::folder::FolderError;
use crate::lease;
use crate::link::Link;
use crate::settings_file::Kept;
use lockstep_model::settings::{CustomerSettings, OnWire};
use lockstep_model::{CustomerId, Epoch, Incarnation, ShopId};
use lockstep_protocol::delta::{Applied, DeltaFault, HeldCustomer, SettingsReply};
use lockstep_protocol::lease::HeldLease;
use lockstep_protocol::status::{ApplyState, CustomerReport};
use lockstep_protocol::wanted::{Cancel, Wake};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub struct Fleet {
    pub tools: Arc<Tools>,
    pub kept: Kept,
    tended: BTreeMap<CustomerId, Tended>,
    /// Tasks that are ending; who comes back waits for its own.
    closing: BTreeMap<CustomerId, JoinHandle<()>>,
    /// Releases that are said until they are heard.
    releasing: BTreeSet<HeldLease>,
    hooks: JoinSet<()>,
    draining: bool,
    /// Whose task began with the last reply.
    beginners: BTreeSet<CustomerId>,
    /// Who is held works; from then on only changes are looked at.
    begun: bool,
    /// This worker stops: what was not released yet is with its next start.
    stopping: CancellationToken,
}

struct Tended {
    handle: Handle,
    seat: Arc<Seat>,
    task: JoinHandle<RoundEnd>,
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the settings were not applied: {0}")]
    Delta(#[from] DeltaFault),
    #[error("the settings were not applied, since they could not be saved: {0}")]
    Folder(#[from] FolderError),
}

impl Fleet {
    pub fn new(tools: Arc<Tools>, kept: Kept) -> Self {
        Fleet {
            tools,
            kept,
            tended: BTreeMap::new(),
            closing: BTreeMap::new(),
            releasing: BTreeSet::new(),
            hooks: JoinSet::new(),
            draining: false,
            beginners: BTreeSet::new(),
            begun: false,
            stopping: CancellationToken::new(),
        }
    }

    /// Saved first, then in force.
    pub fn apply(&mut self, reply: SettingsReply) -> Result<(), ApplyError> {
        self.beginners.clear();
        let only_news =
            reply.base.is_some() && reply.upserts.is_empty() && reply.removed.is_empty();
        if only_news {
            // A wake or a question: what the disk has stays true, only its version is older.
            self.kept.held.apply(reply)?;
        } else {
            self.apply_settings(reply)?;
        }
        if !self.begun {
            self.begin_all();
        }
        self.tools.reporter.applied(self.kept.held.etag);
        Ok(())
    }

    fn apply_settings(&mut self, reply: SettingsReply) -> Result<(), ApplyError> {
        let mut kept = self.kept.clone();
        let incarnation = kept.held.etag.map(|etag| etag.incarnation);
        let Applied { changed, removed } = kept.held.apply(reply)?;
        kept.forget_strangers();
        kept.save(&self.tools.link.folder, &self.tools.link.crash)?;
        let before = std::mem::replace(&mut self.kept, kept);
        for customer in removed {
            let epoch = before.held.customers.get(&customer).map(|held| held.epoch);
            self.let_go(customer, epoch);
        }
        for customer in &changed {
            self.renew_hooks(*customer, &before);
        }
        if self.kept.held.etag.map(|etag| etag.incarnation) == incarnation && self.begun {
            self.begin(&changed);
        } else {
            self.begin_all();
        }
        Ok(())
    }

    /// Where this shop's webhooks are to go, from now on and at the next start.
    pub fn hooks_go_to(&mut self, customer: CustomerId, shop: ShopId, url: Option<&str>) {
        self.tools.hook_urls.set(customer, shop, url);
        if self.kept.set_hook_url(customer, shop, url) {
            self.save();
        }
    }

    fn save(&self) {
        if let Err(error) = self
            .kept
            .save(&self.tools.link.folder, &self.tools.link.crash)
        {
            tracing::warn!(%error, "the settings were not saved");
        }
    }

    /// Gives every customer back, and takes none until it is over.
    pub fn drain(&mut self, draining: bool) {
        if self.draining == draining {
            return;
        }
        self.draining = draining;
        if draining {
            tracing::info!("this worker drains: its customers are given back");
            let held = self.kept.held.customers.iter();
            let all: Vec<_> = held.map(|(id, held)| (*id, Some(held.epoch))).collect();
            for (customer, epoch) in all {
                self.let_go(customer, epoch);
            }
        } else {
            self.begin_all();
        }
    }

    /// Every customer that is held works in its newest seat.
    pub fn begin_all(&mut self) {
        let all: Vec<CustomerId> = self.kept.held.customers.keys().copied().collect();
        self.begin(&all);
    }

    fn begin(&mut self, customers: &[CustomerId]) {
        let Some(etag) = self.kept.held.etag.filter(|_| !self.draining) else {
            return;
        };
        if !self.begun {
            self.forget_strangers_keys();
        }
        self.begun = true;
        for customer in customers {
            if let Some(held) = self.kept.held.customers.get(customer) {
                let seat = Arc::new(seat(*customer, etag.incarnation, held));
                self.give(seat);
            }
        }
    }

    fn give(&mut self, seat: Arc<Seat>) {
        let customer = seat.customer;
        if let Err(problems) = seat.settings.validate() {
            let stopped = !self.tended.contains_key(&customer);
            let words: Vec<String> = problems.iter().take(20).map(ToString::to_string).collect();
            self.tools.reporter.customer(CustomerReport {
                id: customer,
                revision: seat.revision,
                epoch: seat.epoch,
                state: ApplyState::Failed,
                error: Some(words.join(" · ")),
                stopped,
                journal_sequence: 0,
                calls_per_second_max: None,
                shops: Vec::new(),
            });
            return;
        }
        if let Some(tended) = self.tended.get_mut(&customer)
            && !tended.task.is_finished()
        {
            if tended.seat != seat {
                tended.seat = seat.clone();
                tended.handle.seat.send_replace(seat);
            }
            return;
        }
        let (handle, ears) = wire(seat.clone());
        let (tools, before) = (self.tools.clone(), self.closing.remove(&customer));
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                let _over = before.await;
            }
            tend(tools, ears).await
        });
        let tended = Tended { handle, seat, task };
        self.beginners.insert(customer);
        self.tended.insert(customer, tended);
    }

    /// Customers that left while this worker was away.
    fn forget_strangers_keys(&mut self) {
        let here = match self.tools.link.folder.journals() {
            Ok(here) => here,
            Err(error) => {
                tracing::warn!(%error, "it was not looked for buyers' keys of customers that left; it is at the next start");
                return;
            }
        };
        for customer in here {
            if !self.kept.held.customers.contains_key(&customer) {
                let link = self.tools.link.clone();
                let closing = tokio::spawn(async move { forget_keys(&link, customer).await });
                self.closing.insert(customer, closing);
            }
        }
    }

    /// Stops, and when nothing of it is in flight any more, says so. Also of a customer that nobody worked for here, as
    /// just after a start: it is waited for all the same. `epoch`: the one that it was held in, if it was.
    fn let_go(&mut self, customer: CustomerId, epoch: Option<Epoch>) {
        self.tools.reporter.gone(customer);
        let tended = self.tended.remove(&customer);
        let epoch = tended.as_ref().map(|tended| tended.seat.epoch).or(epoch);
        let lease = epoch.map(|epoch| HeldLease {
            customer_id: customer,
            epoch,
        });
        self.releasing.extend(lease);
        let (link, before) = (self.tools.link.clone(), self.closing.remove(&customer));
        let stopping = self.stopping.clone();
        let closing = tokio::spawn(async move {
            if let Some(before) = before {
                let _over = before.await;
            }
            if let Some(tended) = tended {
                tended.close().await;
            }
            if let Some(lease) = lease {
                lease::release(&link, lease, &stopping).await;
            }
            forget_keys(&link, customer).await;
        });
        self.closing.insert(customer, closing);
        self.closing.retain(|_, closing| !closing.is_finished());
    }

    /// What the coordinator says is ours still and on its way from us. Who died between letting go and saying so, or
    /// lost what it had, knows nothing of it: it is released. What is worked for is told by the settings.
    pub fn release_strangers(&mut self, leaving: &[HeldLease]) {
        self.releasing.retain(|lease| leaving.contains(lease));
        for lease in leaving {
            let customer = lease.customer_id;
            let is_said = self.releasing.contains(lease);
            if self.begun && !is_said && !self.tended.contains_key(&customer) {
                tracing::info!(%customer, epoch = %lease.epoch, "the coordinator waits for a customer that nobody works for here; it is released");
                self.let_go(customer, Some(lease.epoch));
            }
        }
    }

    pub fn wake(&mut self, wake: Wake) {
        if !self.tools.reporter.is_news(&wake) {
            return;
        }
        if let Some(tended) = self.tended.get(&wake.customer_id) {
            let asked = self.tools.reporter.heard(&wake);
            // Who begins looks at everything.
            if self.beginners.contains(&wake.customer_id) {
                self.tools.reporter.acted(wake);
            } else {
                tended.handle.wake(wake, asked);
            }
        }
    }

    pub fn cancel(&self, cancel: Cancel) {
        if let Some(tended) = self.tended.get(&cancel.customer_id)
            && tended
                .handle
                .asks
                .try_send(Ask::Cancel(cancel.run))
                .is_err()
        {
            tracing::warn!(customer = %cancel.customer_id, run = %cancel.run, "the run is too busy to be cancelled now; it is asked again with the next change");
        }
    }

    pub fn about(&self, customer: Option<CustomerId>) -> About {
        let Some(customer) = customer else {
            return About::default();
        };
        let held = self.kept.held.customers.get(&customer);
        About {
            settings: held.map(|held| Arc::new(held.settings.0.clone())),
            handle: self
                .tended
                .get(&customer)
                .map(|tended| tended.handle.clone()),
        }
    }

    /// Shops whose address or secret changed are told again where their webhooks go.
    fn renew_hooks(&mut self, customer: CustomerId, before: &Kept) {
        while self.hooks.try_join_next().is_some() {}
        let Some(held) = self.kept.held.customers.get(&customer) else {
            return;
        };
        let old = before.held.customers.get(&customer);
        for (service, _) in held.settings.0.shops() {
            let url = self.kept.hook_url(customer, service.id).map(str::to_owned);
            let is_new = old.and_then(|old| old.settings.0.service(service.id)) != Some(service);
            if let Some(url) = url
                && is_new
                && self.hooks.len() < bounds::ASKS_REMEMBERED
            {
                let (service, tools) = (service.clone(), self.tools.clone());
                self.hooks.spawn(async move {
                    let done = register(&service, Some(&url), &tools.registry, &tools.calling).await;
                    if let Err(fault) = done {
                        tracing::warn!(shop = %service.id, %fault, "the shop's webhooks were not renewed; changes are found by looking");
                    }
                });
            }
        }
    }

    /// Stops all and waits for them. The customers stay this worker's: its next start goes on with them, and
    /// a lease that is not renewed runs out by itself.
    pub async fn stop(&mut self) {
        for tended in self.tended.values() {
            tended.handle.stop.cancel();
        }
        self.stopping.cancel();
        let stopping = std::mem::take(&mut self.tended);
        futures::future::join_all(stopping.into_values().map(Tended::close)).await;
        for (_, closing) in std::mem::take(&mut self.closing) {
            let _over = closing.await;
        }
    }

    /// With `once`: waits until each customer is at rest.
    pub async fn rest(&mut self) -> Vec<(CustomerId, RoundEnd)> {
        let mut ends = Vec::new();
        for (customer, tended) in std::mem::take(&mut self.tended) {
            match tended.task.await {
                Ok(end) => ends.push((customer, end)),
                Err(error) => {
                    tracing::error!(%customer, %error, "the customer's task broke off");
                    ends.push((customer, RoundEnd::Stopped));
                }
            }
        }
        ends
    }
}

/// Another machine works for the customer: what was sealed here is not to be read here any more.
async fn forget_keys(link: &Arc<Link>, customer: CustomerId) {
    let folder = link.clone();
    let done = tokio::task::spawn_blocking(move || folder.folder.forget_keys(customer)).await;
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%customer, %error, "buyers' keys of a customer that left are not cleared away; they are at the next start");
        }
        Err(error) => {
            tracing::warn!(%customer, %error, "buyers' keys of a customer that left are not cleared away; they are at the next start")
        }
    }
}

impl Tended {
    async fn close(self) {
        self.handle.stop.cancel();
        let mut task = self.task;
        let patience = bounds::STOP_PATIENCE * 2;
        if tokio::time::timeout(patience, &mut task).await.is_err() {
            task.abort();
            let _aborted = task.await;
        }
    }
}

fn seat(
    customer: CustomerId,
    incarnation: Incarnation,
    held: &HeldCustomer<OnWire<CustomerSettings>>,
) -> Seat {
    Seat {
        customer,
        incarnation,
        epoch: held.epoch,
        revision: held.revision,
        settings: Arc::new(held.settings.0.clone()),
    }
}
