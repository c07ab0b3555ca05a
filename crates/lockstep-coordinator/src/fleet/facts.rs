//! What the settings of a customer say of who may have it. Read once for each revision, and only of customers that
//! something may be the matter with.

use crate::{AppState, view};
use lockstep_model::{CustomerId, Revision, WorkerId};
use lockstep_storage::StorageError;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

const CUSTOMERS_MAX: usize = 10_000;

#[derive(Debug)]
pub struct Fact {
    revision: Revision,
    pub wanted: bool,
    pub pin: Option<WorkerId>,
    pub movable: bool,
    pub platforms: BTreeSet<String>,
}

#[derive(Default)]
pub struct Facts {
    known: Mutex<BTreeMap<CustomerId, Arc<Fact>>>,
}

impl Facts {
    /// `None`: it was deleted meanwhile.
    pub async fn of(
        &self,
        app: &AppState,
        customer: CustomerId,
        seen: &view::CustomerSeen,
    ) -> Result<Option<Arc<Fact>>, StorageError> {
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&customer).cloned()
        };
        if let Some(known) = known
            && known.revision == seen.revision
        {
            return Ok(Some(known));
        }
        let Some(stored) = app.storage.customer(customer).await? else {
            return Ok(None);
        };
        let settings = &stored.settings;
        let fact = Arc::new(Fact {
            revision: stored.revision,
            wanted: settings.customer.may_run(),
            pin: settings.customer.worker_id,
            movable: settings.customer.movable,
            platforms: settings
                .shops()
                .map(|(service, _)| service.platform.clone())
                .collect(),
        });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CUSTOMERS_MAX && !known.contains_key(&customer) {
            known.clear();
        }
        known.insert(customer, fact.clone());
        Ok(Some(fact))
    }
}
