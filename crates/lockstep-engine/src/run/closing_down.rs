//! Settings that close what a run is at: it ends at the next effect, and nothing further is written.

use super::Run;
use crate::rules::Rules;
use lockstep_model::{Flow, Lane};

impl Run {
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Why it may not go on under these rules. A plan that is only shown writes nothing anyway.
    pub fn is_closed_by(&self, new: &Rules) -> Option<String> {
        let old = &self.rules;
        if !new.may_run() {
            return Some("syncing was switched off for this customer".into());
        }
        if self.dry {
            return None;
        }
        let rest = "Nothing further is written; what is still allowed goes on with the next run.";
        for (shop, before) in &old.shops {
            let name = &before.name;
            let Some(now) = new.shops.get(shop) else {
                return Some(format!("{name} is switched off now. {rest}"));
            };
            if now.read_only && !before.read_only {
                return Some(format!("{name} may only be read from now on. {rest}"));
            }
            if now.account != before.account {
                return Some(format!("{name} has another address or key now. {rest}"));
            }
        }
        let mut flows = Flow::ALL
            .into_iter()
            .filter(|flow| flow.lane() == self.lane);
        let closed = flows.find(|flow| old.flow_is_on(*flow) && !new.flow_is_on(*flow))?;
        Some(format!("the flow \"{closed}\" was switched off. {rest}"))
    }
}
