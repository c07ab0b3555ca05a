//! How often each flow looks by itself. Webhooks and people wake it sooner.

use crate::flow::Flow;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Schedule {
    /// Between two pulls of what changed. 0: only when woken.
    pub poll_seconds: u32,
    /// Between two pulls of everything, which find what cursors miss (deletions, lost changes). 0: never.
    pub reconcile_seconds: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule {
            poll_seconds: 60,
            reconcile_seconds: 24 * 60 * 60,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Schedules {
    pub categories: Schedule,
    pub products: Schedule,
    pub pictures: Schedule,
    pub stock: Schedule,
    pub orders: Schedule,
}

impl Default for Schedules {
    fn default() -> Self {
        let often = Schedule {
            poll_seconds: 30,
            ..Schedule::default()
        };
        let seldom = Schedule {
            poll_seconds: 300,
            ..Schedule::default()
        };
        Schedules {
            categories: seldom,
            products: Schedule::default(),
            pictures: seldom,
            stock: often,
            orders: often,
        }
    }
}

impl Schedules {
    pub fn of(&self, flow: Flow) -> Schedule {
        match flow {
            Flow::Categories => self.categories,
            Flow::Products => self.products,
            Flow::Pictures => self.pictures,
            Flow::Stock => self.stock,
            Flow::Orders => self.orders,
        }
    }
}
