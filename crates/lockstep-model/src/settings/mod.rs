//! A customer's settings: the source's eighteen sections under its own names, and beside them what the
//! source lacks, policies and schedules. Plain data and its invariants; where it is kept and how it
//! travels is said elsewhere.
//!
//! - [`CustomerSettings::validate`] holds what must be true of a whole (no dangling id, one identifier
//!   per shop, a known owner).
//! - [`read`] takes JSON from people: an unknown key is an error that names the nearest known one.
//! - Serialising gives the *export*: secrets are `null`. [`OnWire`] alone carries them.
//! - [`digest`] is over (customer id, revision), never over rendered JSON.

mod assortment;
mod bounds;
mod customer;
mod digest;
mod identified;
mod ids;
mod lenient;
mod policies;
mod read;
mod recipient;
mod schedules;
mod secret;
mod shop;
mod transform;
mod validate;
mod wire;
mod words;

pub use crate::{fields::FieldGroup, flow::Flow};
pub use assortment::{Assortment, Picks};
pub use bounds::{ROWS_MAX, SHOPS_MAX, VALUES_MAX};
pub use customer::Customer;
pub use digest::{SettingsDigest, digest};
pub use identified::{
    ActiveShopVersion, Branch, BranchServiceIdentifier, Identifier, PaymentMethod,
    PaymentMethodServiceIdentifier, PaymentTerm, PaymentTermServiceIdentifier, Shelf,
    ShelfServiceIdentifier, ShippingMethod, ShippingMethodServiceIdentifier, ShopVersion,
    ShopVersionServiceIdentifier, Stock, StockServiceIdentifier,
};
pub use ids::{
    BranchId, PaymentMethodId, PaymentTermId, RowId, ShelfId, ShippingMethodId, ShopVersionId,
    StockId,
};
pub use policies::{
    CountryInto, Gate, Limits, OrderPolicy, Policies, Policy, RateInto, StockMode, StockPolicy,
};
pub use read::read;
pub use recipient::{AUTHORITY, CERTIFICATE};
pub use schedules::{Schedule, Schedules};
pub use secret::{Credentials, Secret};
pub use shop::{ALLOW_INSECURE, CustomerHasService, FirstMeeting, Service, ShopRole};
pub use transform::{PriceRule, Rounding, Tax, Transform, Way};
pub use validate::{Problem, bare_url_problem};
pub use wire::OnWire;
pub use words::{Mappable, NamedAt, NotMapped};

use crate::ids::{CustomerId, ShopId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// All settings of one customer. Serialises without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerSettings {
    pub customer: Customer,
    #[serde(default)]
    pub customer_has_services: Vec<CustomerHasService>,
    #[serde(default)]
    pub branches: Vec<Branch>,
    #[serde(default)]
    pub branch_service_identifiers: Vec<BranchServiceIdentifier>,
    #[serde(default)]
    pub stocks: Vec<Stock>,
    #[serde(default)]
    pub stock_service_identifiers: Vec<StockServiceIdentifier>,
    #[serde(default)]
    pub shop_versions: Vec<ShopVersion>,
    #[serde(default)]
    pub shop_version_service_identifiers: Vec<ShopVersionServiceIdentifier>,
    #[serde(default)]
    pub active_shop_versions: Vec<ActiveShopVersion>,
    #[serde(default)]
    pub shipping_methods: Vec<ShippingMethod>,
    #[serde(default)]
    pub shipping_method_service_identifiers: Vec<ShippingMethodServiceIdentifier>,
    #[serde(default)]
    pub payment_terms: Vec<PaymentTerm>,
    #[serde(default)]
    pub payment_term_service_identifiers: Vec<PaymentTermServiceIdentifier>,
    #[serde(default)]
    pub payment_methods: Vec<PaymentMethod>,
    #[serde(default)]
    pub payment_method_service_identifiers: Vec<PaymentMethodServiceIdentifier>,
    #[serde(default)]
    pub shelves: Vec<Shelf>,
    #[serde(default)]
    pub shelf_service_identifiers: Vec<ShelfServiceIdentifier>,
    #[serde(default)]
    pub services: Vec<Service>,

    #[serde(default)]
    pub policies: Policies,
    #[serde(default)]
    pub schedules: Schedules,
}

/// The source's eighteen sections and our two, in their order, as they are called on the wire.
pub const SECTIONS: [&str; 20] = [
    "customer",
    "customerHasServices",
    "branches",
    "branchServiceIdentifiers",
    "stocks",
    "stockServiceIdentifiers",
    "shopVersions",
    "shopVersionServiceIdentifiers",
    "activeShopVersions",
    "shippingMethods",
    "shippingMethodServiceIdentifiers",
    "paymentTerms",
    "paymentTermServiceIdentifiers",
    "paymentMethods",
    "paymentMethodServiceIdentifiers",
    "shelves",
    "shelfServiceIdentifiers",
    "services",
    "policies",
    "schedules",
];

impl CustomerSettings {
    /// A customer without shops.
    pub fn new(customer: Customer) -> Self {
        CustomerSettings {
            customer,
            customer_has_services: Vec::new(),
            branches: Vec::new(),
            branch_service_identifiers: Vec::new(),
            stocks: Vec::new(),
            stock_service_identifiers: Vec::new(),
            shop_versions: Vec::new(),
            shop_version_service_identifiers: Vec::new(),
            active_shop_versions: Vec::new(),
            shipping_methods: Vec::new(),
            shipping_method_service_identifiers: Vec::new(),
            payment_terms: Vec::new(),
            payment_term_service_identifiers: Vec::new(),
            payment_methods: Vec::new(),
            payment_method_service_identifiers: Vec::new(),
            shelves: Vec::new(),
            shelf_service_identifiers: Vec::new(),
            services: Vec::new(),
            policies: Policies::default(),
            schedules: Schedules::default(),
        }
    }

    pub fn id(&self) -> CustomerId {
        self.customer.id
    }

    pub fn service(&self, shop: ShopId) -> Option<&Service> {
        self.services.iter().find(|service| service.id == shop)
    }

    pub fn link(&self, shop: ShopId) -> Option<&CustomerHasService> {
        self.customer_has_services
            .iter()
            .find(|link| link.service_id == shop)
    }

    /// The customer's shops: a service and the row that links it, the inactive ones left out.
    pub fn shops(&self) -> impl Iterator<Item = (&Service, &CustomerHasService)> {
        self.customer_has_services.iter().filter_map(|link| {
            let service = self.service(link.service_id)?;
            service.active.then_some((service, link))
        })
    }

    /// Shops whose assortment leaves products out.
    pub fn shops_that_pick(&self) -> Vec<ShopId> {
        let picks = self.shops().filter(|(_, link)| {
            link.assortment != Assortment::All && self.customer.flow_is_on(Flow::Products)
        });
        picks.map(|(service, _)| service.id).collect()
    }

    /// The row with the ERP's role.
    pub fn erp(&self) -> Option<ShopId> {
        self.shops()
            .find(|(_, link)| link.role == ShopRole::Erp)
            .map(|(service, _)| service.id)
    }

    /// The stock that a shop means where it names none: the only one that it has a name for, else the first that it sells
    /// from, else the customer's.
    pub fn home_stock(&self, shop: ShopId) -> StockId {
        let rows = self.stock_service_identifiers.iter();
        let named: BTreeSet<StockId> = rows
            .filter(|row| row.service_id == shop)
            .map(|row| row.stock_id)
            .collect();
        let only = named.first().filter(|_| named.len() == 1).copied();
        only.or_else(|| self.link(shop)?.sells_from.first().copied())
            .or(self.customer.stock_id)
            .unwrap_or_default()
    }

    /// Our id of what this shop calls `identifier`, in one of the identifier sections.
    pub fn named<I: Identifier>(rows: &[I], shop: ShopId, identifier: &str) -> Option<I::Of> {
        rows.iter()
            .find(|row| row.service_id() == shop && row.identifier() == identifier)
            .map(Identifier::of)
    }

    /// What this shop calls our id, in one of the identifier sections.
    pub fn name_in<I: Identifier>(rows: &[I], shop: ShopId, of: I::Of) -> Option<&str> {
        rows.iter()
            .find(|row| row.service_id() == shop && row.of() == of)
            .map(Identifier::identifier)
    }

    /// A shop whose orders have no beginning yet crosses those from its activation on: what was placed before is
    /// read for what it took alone. The beginning that was stored stays where the edit names none.
    pub fn begin_orders_as(&mut self, stored: Option<&CustomerSettings>, now: Timestamp) {
        // As people write it.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        for link in &mut self.customer_has_services {
            let before = stored.and_then(|stored| stored.link(link.service_id));
            link.orders_from = link
                .orders_from
                .or_else(|| before.and_then(|before| before.orders_from))
                .or(Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_has_the_sections_of_the_source_under_its_names() {
        let settings = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        let value = serde_json::to_value(&settings).unwrap();
        let mut keys: Vec<&str> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut wanted = SECTIONS.to_vec();
        keys.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(keys, wanted);
    }

    #[test]
    fn an_export_has_no_secret_and_an_import_keeps_the_stored_one() {
        let mut stored = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        let mut service = Service::new(ShopId(1), "ERP", "practice", "http://127.0.0.1:1")
            .with_credential("token", Secret::new("s3cret"));
        service.hook_secret = Some(Secret::new("hooked"));
        stored.services.push(service);
        let export = serde_json::to_string(&stored).unwrap();
        assert!(
            !export.contains("s3cret") && !export.contains("hooked"),
            "{export}"
        );
        let mut edit: CustomerSettings = serde_json::from_str(&export).unwrap();
        assert_eq!(edit.services[0].credential("token"), None);
        edit.keep_secrets_of(&stored);
        assert_eq!(edit, stored);
    }

    #[test]
    fn orders_cross_from_activation_on_and_a_later_edit_does_not_move_that() {
        let mut settings = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        settings.customer_has_services.push(CustomerHasService::new(
            RowId(1),
            CustomerId(1),
            ShopId(1),
            ShopRole::Shop,
        ));
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let mut stored = settings.clone();
        stored.begin_orders_as(None, first);
        settings.begin_orders_as(Some(&stored), later);
        assert_eq!(settings, stored);
        assert_eq!(stored.customer_has_services[0].orders_from, Some(first));
    }

    #[test]
    fn the_wire_to_the_worker_carries_the_secrets() {
        let mut settings = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        settings.services.push(
            Service::new(ShopId(1), "ERP", "practice", "http://127.0.0.1:1")
                .with_credential("token", Secret::new("s3cret")),
        );
        let wire = serde_json::to_string(&OnWire(settings.clone())).unwrap();
        let back: OnWire = serde_json::from_str(&wire).unwrap();
        assert_eq!(back.0, settings);
    }
}
