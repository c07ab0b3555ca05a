//! Why a run starts, and what it therefore reads.

use lockstep_model::entry::Cause;
use lockstep_model::{Flow, ShopId};
use std::collections::{BTreeMap, BTreeSet};

/// Causes that are kept of a storm of wakes.
const CAUSES_MAX: usize = 8;

#[derive(Debug, Clone, Default)]
pub(crate) struct RunCause {
    /// → read everything?
    flows: BTreeMap<(ShopId, Flow), bool>,
    causes: Vec<Cause>,
}

impl RunCause {
    pub fn add(&mut self, shop: ShopId, flow: Flow, everything: bool) {
        // Stock and orders of a shop share one reading; pictures come with their products.
        let flows: &[Flow] = match flow {
            Flow::Stock | Flow::Orders => &[Flow::Stock, Flow::Orders],
            Flow::Pictures | Flow::Products => &[Flow::Products],
            Flow::Categories => &[Flow::Categories],
        };
        for each in flows {
            let read = self.flows.entry((shop, *each)).or_default();
            *read |= everything;
        }
    }

    pub fn because(&mut self, cause: Cause) {
        if self.causes.len() < CAUSES_MAX && !self.causes.contains(&cause) {
            self.causes.push(cause);
        }
    }

    /// What another run was to read is read by this one too.
    pub fn join(&mut self, other: &RunCause) {
        for (pair, everything) in &other.flows {
            *self.flows.entry(*pair).or_default() |= *everything;
        }
    }

    /// Of these shops only.
    pub fn at(&self, shops: impl Fn(ShopId) -> bool) -> RunCause {
        let flows = self.flows.iter().filter(|((shop, _), _)| shops(*shop));
        RunCause {
            flows: flows
                .map(|(pair, everything)| (*pair, *everything))
                .collect(),
            causes: Vec::new(),
        }
    }

    /// Drops what the settings do not switch on.
    pub fn keep(&mut self, pairs: &[(ShopId, Flow)]) {
        self.flows.retain(|pair, _| pairs.contains(pair));
    }

    pub fn flows(&self) -> Vec<(ShopId, Flow)> {
        self.flows.keys().copied().collect()
    }

    pub fn reads_everything(&self, shop: ShopId, flow: Flow) -> bool {
        self.flows.get(&(shop, flow)).copied().unwrap_or_default()
    }

    pub fn shops(&self) -> BTreeSet<ShopId> {
        self.flows.keys().map(|(shop, _)| *shop).collect()
    }

    pub fn reads(&self, shop: ShopId, flow: Flow) -> bool {
        self.flows.contains_key(&(shop, flow))
    }

    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }
}
