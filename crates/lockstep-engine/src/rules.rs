//! What a run goes by: one revision of the customer's settings, with what each shop can do. Fixed for a whole run.

use crate::catalogue::Terms;
use lockstep_model::cases::RootCategory;
use lockstep_model::settings::{
    Assortment, CustomerHasService, CustomerSettings, Policy, StockId, StockMode,
};
use lockstep_model::{
    Change, ChangeSort, Choice, Currency, CustomerId, Field, FieldGroup, Fields, Flow, Kind, Path,
    RemoteId, Revision, ShopId, ShopIdentity, StepSort, StockSemantics,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a platform can do: the part of its manifest that decisions depend on.
#[derive(Debug, Clone)]
pub struct Abilities {
    /// Kind → records a page, ids a page; a kind that is missing cannot be read.
    pub pages: BTreeMap<Kind, PageSize>,
    /// Sort → changes a call; a sort that is missing cannot be written.
    pub batches: BTreeMap<ChangeSort, usize>,
    /// After this a write that is not to be seen was not applied.
    pub settles_after_ms: i64,
    /// An order's create may be repeated: the shop refuses the second.
    pub unique_order_key: bool,
    /// What can be done to an order there.
    pub order_steps: &'static [StepSort],
    /// An order can be looked up by our key.
    pub order_search: bool,
    pub level_writes: LevelWrites,
    pub holds: fn(&Field<'_>) -> bool,
    /// May this field, or this variant, be taken away there?
    pub removes: fn(&Field<'_>) -> bool,
}

/// What a write to a level does to units that move between our reading and the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelWrites {
    /// It is refused.
    CompareAndSet,
    /// It keeps them: what is written is a difference.
    Relative,
    /// It overwrites them.
    Absolute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize {
    pub records: u32,
    pub ids: u32,
    /// The feed tells what changed; else each look is a full scan.
    pub since: bool,
}

#[derive(Debug, Clone)]
pub struct ShopRules {
    pub name: String,
    pub link: CustomerHasService,
    pub read_only: bool,
    /// Another one with every other address, key or way of calling it: what was read under the one is no ground for a write
    /// under the other.
    pub account: u64,
    pub abilities: Abilities,
    /// As the shop last said; empty until it was first checked.
    pub identity: ShopIdentity,
}

impl ShopRules {
    pub fn stock(&self) -> StockSemantics {
        self.identity.stock.clone()
    }

    pub fn currency(&self) -> &Currency {
        self.link
            .currency
            .as_ref()
            .unwrap_or(&self.identity.currency)
    }

    pub fn can(&self, change: &Change) -> bool {
        self.abilities.batches.contains_key(&change.sort())
    }
}

#[derive(Debug, Clone)]
pub struct Rules {
    pub revision: Revision,
    pub settings: Arc<CustomerSettings>,
    pub shops: BTreeMap<ShopId, ShopRules>,
}

impl Rules {
    pub fn customer(&self) -> CustomerId {
        self.settings.customer.id
    }

    pub fn may_run(&self) -> bool {
        self.settings.customer.may_run()
    }

    pub fn flow_is_on(&self, flow: Flow) -> bool {
        self.settings.customer.flow_is_on(flow)
    }

    pub fn owner(&self, group: FieldGroup) -> Option<ShopId> {
        match self.settings.policies.of(group) {
            Policy::Owner(shop) => Some(shop),
            Policy::Newest | Policy::FirstNotEmpty | Policy::Ask => None,
        }
    }

    /// Do the shop's own people keep this group?
    pub fn keeps(&self, shop: ShopId, group: FieldGroup) -> bool {
        self.shops
            .get(&shop)
            .is_some_and(|rules| rules.link.transform.keeps.contains(&group))
    }

    /// Of these shops the one that the policies rank first.
    pub fn first_in_rank(&self, shops: impl Iterator<Item = ShopId>) -> Option<ShopId> {
        let policies = &self.settings.policies;
        shops
            .filter(|shop| policies.rank.contains(shop))
            .min_by_key(|shop| policies.place_of(*shop))
    }

    /// Whose products the others are given: the owner of which variants there are.
    pub fn catalogue_owner(&self) -> Option<ShopId> {
        self.owner(FieldGroup::Variants)
    }

    pub fn stock_owner(&self) -> Option<ShopId> {
        match self.settings.policies.stock.mode {
            StockMode::Owned { owner } => Some(owner),
            StockMode::Pooled => None,
        }
    }

    /// The shop that orders are copied into.
    pub fn orders_into(&self) -> Option<ShopId> {
        self.settings.policies.orders.into
    }

    /// Are records made there at all?
    fn is_given_records(&self, shop: ShopId) -> bool {
        self.shops
            .get(&shop)
            .is_some_and(|rules| rules.link.assortment != Assortment::Linked)
    }

    /// Is this record of ours made there? The category tree is there whole where anything is.
    pub fn gives(&self, shop: ShopId, kind: Kind, ours: &Fields, terms: &Terms) -> bool {
        let Some(rules) = self.shops.get(&shop) else {
            return false;
        };
        match rules.link.assortment {
            Assortment::All => true,
            Assortment::Linked => false,
            Assortment::Picked => {
                kind != Kind::Product || {
                    let categories = ours.get(&Path::new(&Field::Categories));
                    let in_owner = self.catalogue_owner().zip(categories);
                    let in_owner = in_owner.map(|(owner, value)| terms.up_to_the_top(owner, value));
                    rules.link.picks.names(ours, &in_owner.unwrap_or_default())
                }
            }
        }
    }

    /// Shops that get what is in categories that were picked.
    pub fn shops_given_by_category(&self) -> Vec<ShopId> {
        let picks_some = |link: &CustomerHasService| {
            link.assortment == Assortment::Picked && !link.picks.categories.is_empty()
        };
        let shops = self.shops.iter();
        shops
            .filter(|(_, rules)| picks_some(&rules.link))
            .map(|(shop, _)| *shop)
            .collect()
    }

    /// Is the category tree put under a root category of its own in this shop? Not in the one that it comes from, nor
    /// where only what exists is kept in step.
    pub fn gets_a_root(&self, shop: ShopId) -> bool {
        let owner = self.owner(FieldGroup::Categories);
        self.settings.customer.create_root_category
            && self.flow_is_on(Flow::Categories)
            && owner.is_some_and(|owner| owner != shop)
            && self.is_given_records(shop)
            && self.shops.get(&shop).is_some_and(|rules| {
                let abilities = &rules.abilities;
                let writes = |sort| abilities.batches.contains_key(&sort);
                writes(ChangeSort::CreateCategory)
                    && writes(ChangeSort::UpdateCategory)
                    && (abilities.holds)(&Field::Parent)
            })
    }

    /// It bears the customer's name.
    pub fn root_category(&self) -> Option<RootCategory> {
        let shops: BTreeSet<ShopId> = self
            .shops
            .keys()
            .copied()
            .filter(|shop| self.gets_a_root(*shop))
            .collect();
        (!shops.is_empty()).then(|| RootCategory {
            name: self.settings.customer.name.trim().to_owned(),
            shops,
        })
    }

    /// A group takes part if the flow that carries it is on.
    pub fn group_is_on(&self, group: FieldGroup) -> bool {
        match group {
            FieldGroup::Categories => self.flow_is_on(Flow::Categories),
            FieldGroup::Pictures => self.flow_is_on(Flow::Pictures),
            FieldGroup::Texts
            | FieldGroup::Prices
            | FieldGroup::Status
            | FieldGroup::Variants
            | FieldGroup::Attributes
            | FieldGroup::Identifiers => true,
        }
    }

    /// Our stock that a shop's own stock stands for. A shop with one stock and no identifier means its home.
    pub fn stock_of(&self, shop: ShopId, stock: &RemoteId) -> Option<StockId> {
        let rows = &self.settings.stock_service_identifiers;
        if let Some(id) = CustomerSettings::named(rows, shop, stock.as_str()) {
            return Some(id);
        }
        let mapped = rows.iter().any(|row| row.service_id == shop);
        let stocks = &self.shops.get(&shop)?.identity.stocks;
        let only = match stocks.as_slice() {
            [] => true,
            [first, ..] => first.id == *stock,
        };
        (!mapped && only).then(|| self.settings.home_stock(shop))
    }

    /// What has to be chosen in a shop's settings before anything is written to it.
    pub fn unchosen(&self, shop: ShopId) -> Vec<&Choice> {
        let settings = &self.settings;
        let service = settings.services.iter().find(|service| service.id == shop);
        let (Some(service), Some(rules)) = (service, self.shops.get(&shop)) else {
            return Vec::new();
        };
        let is_said = |choice: &&Choice| {
            let option = service.options.get(&choice.setting);
            let option = option.and_then(serde_json::Value::as_str);
            // An older form kept them among the keys.
            let key = service.credentials.get(&choice.setting);
            let rows = &settings.stock_service_identifiers;
            option.is_some_and(|text| !text.trim().is_empty())
                || key.is_some_and(Option::is_some)
                || (choice.is_of_stocks && rows.iter().any(|row| row.service_id == shop))
        };
        let choices = rules.identity.choices.iter();
        choices
            .filter(|choice| choice.is_needed && choice.rows.len() > 1)
            .filter(|choice| !is_said(choice))
            .collect()
    }

    pub fn default_stock(&self) -> StockId {
        self.settings.customer.stock_id.unwrap_or_default()
    }
}
