//! What every request of one shop shares.

use std::sync::Arc;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::ShopConfig;
use crate::database::Database;
use crate::faults::Faults;
use crate::orders::create::Ground;
use crate::requests::Requests;

pub struct ShopState {
    pub config: Arc<ShopConfig>,
    pub shop_id: String,
    /// How others reach the shop; without a slash at the end.
    pub base: Arc<str>,
    pub token: SecretString,
    pub database: Database,
    pub faults: Faults,
    pub requests: Requests,
    pub stopping: CancellationToken,
}

/// What a closure on the database takes with it.
#[derive(Clone)]
pub struct Grounds {
    pub config: Arc<ShopConfig>,
    pub base: Arc<str>,
}

impl ShopState {
    pub fn grounds(&self) -> Grounds {
        Grounds {
            config: self.config.clone(),
            base: self.base.clone(),
        }
    }

    /// Until when an order that is placed now is hidden from searches; 0 if it is not.
    pub fn hidden_until(&self) -> clock::Stamp {
        match self.faults.hide_order() {
            Some(wait) => clock::now() + i64::try_from(wait.as_micros()).unwrap_or(i64::MAX / 2),
            None => 0,
        }
    }
}

impl Grounds {
    pub fn ground(&self, hidden_until: clock::Stamp) -> Ground<'_> {
        Ground {
            config: &self.config,
            base: &self.base,
            hidden_until,
        }
    }
}
