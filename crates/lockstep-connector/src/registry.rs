//! The platforms that a binary knows, by name.

use crate::{Account, Connector, Hint, HookDelivery, Http, Manifest};
use std::sync::Arc;

/// A platform: its manifest, and how to make a connector for one of its accounts.
pub trait Platform: Send + Sync {
    fn manifest(&self) -> &'static Manifest;

    /// Does not call the shop. A missing or malformed credential is found by `check`.
    fn connect(&self, account: Account, http: Arc<dyn Http>) -> Box<dyn Connector>;

    /// Checks a hook's signature over its raw bytes and reads what it names. Pure.
    fn hint(&self, delivery: HookDelivery<'_>) -> Hint;
}

#[derive(Clone, Default)]
pub struct Registry {
    platforms: Vec<Arc<dyn Platform>>,
}

impl Registry {
    pub fn new(platforms: Vec<Arc<dyn Platform>>) -> Self {
        Self { platforms }
    }

    pub fn get(&self, platform: &str) -> Option<&Arc<dyn Platform>> {
        self.iter()
            .find(|each| each.manifest().platform == platform)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Platform>> {
        self.platforms.iter()
    }
}
