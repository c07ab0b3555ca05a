//! What may be written to now, by the newest settings. A call that was handed out before, and waits for its turn or is in
//! the midst of its batch, is held against it once more before each request: what was closed meanwhile gets nothing.

use lockstep_engine::Rules;
use lockstep_model::{Fault, FaultKind, Flow, ShopId};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

#[derive(Debug, Default)]
pub struct Doors {
    open: RwLock<BTreeMap<(ShopId, Flow), u64>>,
}

/// For the writes of one call.
#[derive(Debug, Clone)]
pub struct Pass {
    doors: Arc<Doors>,
    shop: ShopId,
    flow: Flow,
    account: Option<u64>,
}

impl Doors {
    pub fn hold_to(&self, rules: &Rules) {
        let mut open = BTreeMap::new();
        for (shop, each) in rules.shops.iter().filter(|(_, each)| !each.read_only) {
            let flows = Flow::ALL.into_iter();
            for flow in flows.filter(|flow| rules.may_run() && rules.flow_is_on(*flow)) {
                open.insert((*shop, flow), each.account);
            }
        }
        // Nothing can be half done to it: it is put in whole.
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = open;
    }

    fn account(&self, shop: ShopId, flow: Flow) -> Option<u64> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&(shop, flow)).copied()
    }

    pub fn pass(self: &Arc<Self>, shop: ShopId, flow: Flow) -> Pass {
        Pass {
            doors: self.clone(),
            shop,
            flow,
            account: self.account(shop, flow),
        }
    }
}

impl Pass {
    /// Is it still the same account, and still to be written to?
    pub fn check(&self) -> Result<(), Fault> {
        let now = self.doors.account(self.shop, self.flow);
        if now.is_some() && now == self.account {
            return Ok(());
        }
        let message = format!(
            "the settings were changed before this was sent: nothing of \"{}\" is written to this shop under the old ones",
            self.flow
        );
        Err(Fault::new(FaultKind::Unavailable, message).at(self.shop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::{Abilities, LevelWrites, ShopRules};
    use lockstep_model::settings::{
        Customer, CustomerHasService, CustomerSettings, RowId, ShopRole,
    };
    use lockstep_model::{CustomerId, Revision, ShopIdentity};

    const SHOP: ShopId = ShopId(2);

    fn rules(change: impl FnOnce(&mut Rules, &mut CustomerSettings)) -> Rules {
        let customer = CustomerId(1);
        let mut settings = CustomerSettings::new(Customer::new(customer, "Kahvila Oy"));
        let shop = ShopRules {
            name: "Web shop".into(),
            link: CustomerHasService::new(RowId(1), customer, SHOP, ShopRole::Shop),
            read_only: false,
            account: 1,
            abilities: Abilities {
                pages: BTreeMap::new(),
                batches: BTreeMap::new(),
                settles_after_ms: 0,
                unique_order_key: true,
                order_steps: &[],
                order_search: true,
                level_writes: LevelWrites::Relative,
                holds: |_| true,
                removes: |_| true,
            },
            identity: ShopIdentity::default(),
        };
        let mut rules = Rules {
            revision: Revision(1),
            settings: Arc::new(settings.clone()),
            shops: [(SHOP, shop)].into(),
        };
        change(&mut rules, &mut settings);
        rules.settings = Arc::new(settings);
        rules
    }

    #[test]
    fn x5_a_call_on_its_way_gets_through_no_door_that_was_closed_meanwhile() {
        let doors = Arc::new(Doors::default());
        let open = || doors.hold_to(&rules(|_, _| ()));
        open();
        let pass = |flow| doors.pass(SHOP, flow);
        let (products, orders) = (pass(Flow::Products), pass(Flow::Orders));
        assert!(products.check().is_ok() && orders.check().is_ok());
        doors.hold_to(&rules(|_, settings| {
            settings.customer.sync_products = false
        }));
        assert!(products.check().is_err() && orders.check().is_ok());
        type Closing = fn(&mut Rules, &mut CustomerSettings);
        let closings: [Closing; 4] = [
            |rules, _| rules.shops.get_mut(&SHOP).unwrap().read_only = true,
            |rules, _| rules.shops.clear(),
            |rules, _| rules.shops.get_mut(&SHOP).unwrap().account = 2,
            |_, settings| settings.customer.locked = true,
        ];
        for closing in closings {
            open();
            assert!(orders.check().is_ok());
            doors.hold_to(&rules(closing));
            assert!(orders.check().is_err());
        }
    }
}
