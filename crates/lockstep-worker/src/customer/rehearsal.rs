//! What would follow from settings that nobody has saved: a plan by those in force and one by these, on a copy of the
//! customer's file, which is thrown away. It goes by what was read last: no shop is called, nothing reaches the journal, and
//! no run waits for it.

use super::driver::{everything_due, known_identities, map_stocks, what_is_known};
use super::file::{File, FileError};
use super::loads::loaded;
use super::plan::{Around, Asked, Made, plan};
use crate::clock;
use crate::link::Link;
use crate::shops::{Shops, UnknownPlatform};
use lockstep_engine::{Customer, Effect, Event, Rules};
use lockstep_journal::{Journal, JournalError};
use lockstep_model::cases::Also;
use lockstep_model::settings::CustomerSettings;
use lockstep_model::{CustomerId, Lane, Revision, ShopId};
use lockstep_protocol::people::plan::{Plan, Preview};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub struct Draft {
    pub in_force: Arc<CustomerSettings>,
    pub proposed: Arc<CustomerSettings>,
    pub rows_max: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    #[error("a copy of the customer's journal cannot be made: {0}")]
    Copy(#[source] JournalError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the thread that copies the customer's journal ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
    #[error("{0}")]
    Unknown(#[from] UnknownPlatform),
    #[error("the plan ended before it was whole; nothing was saved")]
    Unended,
}

/// `shops` are those of the settings in force.
pub async fn rehearse(
    link: &Link,
    customer: CustomerId,
    shops: &Shops,
    draft: &Draft,
) -> Result<Preview, RehearsalError> {
    let (from, to) = (
        link.folder.journal(customer),
        link.folder.rehearsal(customer),
    );
    let copying = tokio::task::spawn_blocking(move || Journal::copy(&from, &to, customer));
    let copy = copying.await?.map_err(RehearsalError::Copy)?;
    let file = File::open(copy.path().to_owned(), customer).await?;
    let stage = Stage {
        customer,
        file: &file,
        shops,
    };
    let before = stage.plan(&draft.in_force, draft.rows_max).await?;
    let after = stage.plan(&draft.proposed, draft.rows_max).await?;
    file.close().await;
    drop(copy);
    Ok(Preview::of(before, after, untold(draft)))
}

struct Stage<'a> {
    customer: CustomerId,
    file: &'a File,
    shops: &'a Shops,
}

impl Stage<'_> {
    async fn plan(
        &self,
        settings: &Arc<CustomerSettings>,
        rows_max: usize,
    ) -> Result<Plan, RehearsalError> {
        let identities = known_identities(self.file, self.shops).await?;
        map_stocks(self.file, settings, &identities).await?;
        let due = everything_due(self.shops);
        self.file
            .with(move |journal| journal.append(clock::now(), due, Also::default()))
            .await?;
        let rules = self.shops.rules(settings, Revision::default(), &identities);
        let made = self.play(rules).await?;
        let (connected, narrow) = (
            settings
                .shops()
                .map(|(shop, _)| shop.id)
                .collect::<Vec<_>>(),
            settings.shops_that_pick(),
        );
        let made_at = made.made_at.clone();
        let (standing, meetings) = self
            .file
            .with(move |journal| {
                let mut standing = journal.standing(&connected, &[])?;
                // All is due here: what a shop is to get is what the plan makes there.
                for shop in narrow {
                    let lacking = journal.products_lacking(shop)?;
                    let made = made_at.get(&shop).copied().unwrap_or_default();
                    standing.outside += lacking.saturating_sub(made);
                }
                Ok::<_, JournalError>((standing, journal.meetings()?))
            })
            .await?;
        let around = Around {
            settings,
            revision: Revision::default(),
            standing,
            not_accepted: meetings.waiting,
        };
        let asked = Asked {
            flows: Vec::new(),
            shops: Vec::new(),
            rows_max,
        };
        Ok(plan(self.customer, made, &around, &asked))
    }

    /// Both lanes, by these rules.
    async fn play(&self, rules: Rules) -> Result<Made, RehearsalError> {
        let opened = what_is_known(self.file, self.shops).await?;
        let mut engine = Customer::rehearsal(opened, rules);
        let mut events = VecDeque::from([Event::PlanAsked { flows: Vec::new() }]);
        let mut made: BTreeMap<Lane, Made> = BTreeMap::new();
        while let Some(event) = events.pop_front() {
            for effect in engine.on(event, clock::now()) {
                match effect {
                    // Nothing is read by name either.
                    Effect::ReadAgainList {
                        lane, shop, kind, ..
                    } => events.push_back(Event::ReadAgain {
                        lane,
                        shop,
                        kind,
                        ids: Vec::new(),
                    }),
                    Effect::Append { bodies, also } => {
                        self.file
                            .with(move |journal| journal.append(clock::now(), bodies, also))
                            .await?;
                    }
                    Effect::Planned {
                        run,
                        lane,
                        lines,
                        total,
                        conflicts,
                        by_shop,
                        made: made_at,
                        blocked,
                        unread,
                        stopped_by,
                    } => {
                        let of_lane = Made {
                            run,
                            lines,
                            total,
                            conflicts,
                            by_shop,
                            made_at,
                            blocked,
                            unread,
                            stopped_by: stopped_by.into_iter().collect(),
                        };
                        made.insert(lane, of_lane);
                    }
                    other => events.extend(loaded(self.file, other).await?),
                }
            }
        }
        match (made.remove(&Lane::Catalogue), made.remove(&Lane::Trade)) {
            (Some(catalogue), Some(trade)) => Ok(catalogue.join(trade)),
            _ => Err(RehearsalError::Unended),
        }
    }
}

/// Shops of which it cannot be told yet what would follow there.
fn untold(draft: &Draft) -> Vec<String> {
    let known = |shop: ShopId| {
        let mut shops = draft.in_force.shops();
        let found = shops.find(|(service, _)| service.id == shop);
        found.map(|(service, _)| (service.platform.as_str(), service.url.as_str()))
    };
    let shops = draft.proposed.shops().filter_map(|(service, _)| {
        let name = &service.name;
        match known(service.id) {
            Some(place) if place == (service.platform.as_str(), service.url.as_str()) => None,
            Some(_) => Some(format!(
                "{name} is called at another address then: what stands here goes by what the old one held."
            )),
            None => Some(format!(
                "{name} was not read yet: what it would get is planned once it was. Nothing is written to it before."
            )),
        }
    });
    shops.collect()
}
