//! Whether the coordinator can write: noted where workers' journals and signs of life are to be kept.

use crate::view::now_ms;
use lockstep_model::CustomerId;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Customers whose journals are not taken, that are remembered.
const CUSTOMERS_MAX: usize = 10_000;
/// What was not heard again for so long is no news of now: its worker may be gone.
const FORGOTTEN_AFTER_MS: u64 = 60_000;

#[derive(Default)]
pub struct Keeping {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Signs of life: one of these is written every few seconds while there is a worker.
    leases: Option<Failing>,
    journals: BTreeMap<CustomerId, Failing>,
}

struct Failing {
    why: String,
    last_ms: u64,
}

impl Failing {
    fn now(why: &str) -> Self {
        Failing {
            why: why.to_owned(),
            last_ms: now_ms(),
        }
    }

    fn told(&self) -> Option<String> {
        let is_of_now = now_ms().saturating_sub(self.last_ms) < FORGOTTEN_AFTER_MS;
        is_of_now.then(|| self.why.clone())
    }
}

impl Keeping {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lease(&self, kept: Result<(), String>) {
        self.inner().leases = kept.err().map(|why| Failing::now(&why));
    }

    pub fn journal(&self, customer: CustomerId, kept: Result<(), String>) {
        let mut inner = self.inner();
        match kept {
            Ok(()) => {
                inner.journals.remove(&customer);
            }
            Err(why) => {
                let is_known = inner.journals.contains_key(&customer);
                if is_known || inner.journals.len() < CUSTOMERS_MAX {
                    inner.journals.insert(customer, Failing::now(&why));
                }
            }
        }
    }

    pub fn not_kept(&self) -> Option<String> {
        self.inner().leases.as_ref().and_then(Failing::told)
    }

    pub fn journal_not_kept(&self, customer: CustomerId) -> Option<String> {
        self.inner().journals.get(&customer).and_then(Failing::told)
    }
}
