//! The `customer` section: who the customer is, and the switches that each change what a run does.

use super::{BranchId, StockId, lenient};
use crate::{
    flow::Flow,
    ids::{CustomerId, WorkerId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    pub id: CustomerId,
    pub name: String,
    /// The login of the customer's own people.
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub email: String,
    #[serde(default)]
    pub registered_at: Option<Timestamp>,

    /// Off: no run starts.
    #[serde(default = "on")]
    pub enable_syncing: bool,
    /// On: no run starts and only an operator may edit.
    #[serde(default)]
    pub locked: bool,
    #[serde(default = "on")]
    pub sync_products: bool,
    #[serde(default = "on")]
    pub sync_categories: bool,
    #[serde(default = "on")]
    pub sync_orders: bool,
    #[serde(default = "on")]
    pub sync_pictures: bool,

    /// The branch that orders are booked to where no identifier says otherwise.
    #[serde(default)]
    pub branch_id: Option<BranchId>,
    /// The stock that levels are read from and written to where no identifier says otherwise.
    #[serde(default)]
    pub stock_id: Option<StockId>,

    /// In every shop that receives the whole catalogue the category tree hangs under a root category of its own, which
    /// bears the customer's name and is made if it is missing …
    #[serde(default)]
    pub create_root_category: bool,
    /// … or under this one (our key of the category, or its id in the shop that is written to).
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub root_category_id: Option<String>,

    /// Products may be sold below zero.
    #[serde(default)]
    pub product_back_order_enabled: bool,
    /// Variants may be sold below zero.
    #[serde(default)]
    pub variation_back_order_enabled: bool,

    /// SKU of the product that carries an order's discount where the receiver has no discounts.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub discount_product_id: Option<String>,
    /// SKU of the product that carries an order's rounding difference. Ours, not the source's.
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub rounding_product_id: Option<String>,

    /// Stock is written for drafts and disabled products too.
    #[serde(default)]
    pub ignore_product_status_for_stock_update: bool,
    /// The platform that an order is created in is told to send its own confirmation. Off by default:
    /// a first import must never mail a thousand buyers.
    #[serde(default)]
    pub send_mcf_confirmation_email: bool,

    /// Pins the customer to one worker; empty: any. The source's `slaveId`.
    #[serde(default, alias = "slaveId")]
    pub worker_id: Option<WorkerId>,
    /// Movable: its intents are acknowledged by the coordinator before a write leaves, so another
    /// worker can take over without the disk. Otherwise pinned: its worker's disk is enough.
    #[serde(default = "on")]
    pub movable: bool,
}

fn on() -> bool {
    true
}

impl Customer {
    /// A customer with every switch at its default.
    pub fn new(id: CustomerId, name: impl Into<String>) -> Self {
        Customer {
            id,
            name: name.into(),
            username: String::new(),
            email: String::new(),
            registered_at: None,
            enable_syncing: true,
            locked: false,
            sync_products: true,
            sync_categories: true,
            sync_orders: true,
            sync_pictures: true,
            branch_id: None,
            stock_id: None,
            create_root_category: false,
            root_category_id: None,
            product_back_order_enabled: false,
            variation_back_order_enabled: false,
            discount_product_id: None,
            rounding_product_id: None,
            ignore_product_status_for_stock_update: false,
            send_mcf_confirmation_email: false,
            worker_id: None,
            movable: true,
        }
    }

    /// Whether any run may start.
    pub fn may_run(&self) -> bool {
        self.enable_syncing && !self.locked
    }

    /// Whether this flow's own switch is on. Stock has none in the source: it follows `enableSyncing`.
    pub fn flow_is_on(&self, flow: Flow) -> bool {
        match flow {
            Flow::Products => self.sync_products,
            Flow::Categories => self.sync_categories,
            Flow::Orders => self.sync_orders,
            Flow::Pictures => self.sync_pictures,
            Flow::Stock => true,
        }
    }
}
