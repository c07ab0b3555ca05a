//! What a connector's test tells the kit of the shop that it runs against.

use super::How;
use crate::{Account, Connector, Http, Platform};
use async_trait::async_trait;
use lockstep_model::{Currency, Kind, RemoteId, Sku};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A plain product as the shop's own people would enter it: one variant, for sale.
#[derive(Debug, Clone)]
pub struct Seed {
    pub sku: Sku,
    pub title: String,
    pub price: Decimal,
    pub units: u32,
}

impl Seed {
    pub fn new(sku: impl Into<String>) -> Self {
        let sku = sku.into();
        Self {
            title: format!("Product {sku}"),
            sku: sku.into(),
            price: Decimal::new(1990, 2),
            units: 10,
        }
    }
}

/// A product as the shop's own API shows it, read without the connector.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    pub title: String,
    pub description: String,
    /// Whether buyers see it.
    pub for_sale: bool,
    pub skus: Vec<Sku>,
    /// Of the variant that was asked for.
    pub prices: BTreeMap<Currency, Decimal>,
    pub gtin: Option<String>,
    pub weight_g: Option<Decimal>,
    pub options: BTreeMap<String, String>,
}

/// A shop, and ways to act in it that do not go through the connector under test.
///
/// Errors are for people: what could not be done in the shop.
#[async_trait]
pub trait ShopUnderTest: Send + Sync {
    fn how(&self) -> How;
    fn platform(&self) -> Arc<dyn Platform>;
    fn account(&self) -> Account;
    /// Reaches the shop.
    fn http(&self) -> Arc<dyn Http>;
    /// Begins SKUs that no other line and no other run uses.
    fn tag(&self) -> String;
    fn currency(&self) -> Currency;
    /// The stock that is written to.
    fn stock(&self) -> RemoteId;

    /// Accounts at which no such shop answers: a closed port, another server.
    fn elsewhere(&self) -> Vec<Account>;
    /// An account whose key may not write; `None`: the platform has no such keys.
    fn without_a_right(&self) -> Option<Account>;
    /// The whole reply to the first page of a kind of which the shop has none.
    fn empty_reply(&self, kind: Kind) -> String;

    async fn add(&self, products: &[Seed]) -> Result<(), String>;
    /// Makes one record of the list of products unreadable, beside the good ones.
    async fn spoil(&self, sku: &Sku) -> Result<(), String>;
    async fn mend(&self, sku: &Sku) -> Result<(), String>;
    async fn set_title(&self, sku: &Sku, title: &str) -> Result<(), String>;
    async fn set_price(&self, sku: &Sku, price: Decimal) -> Result<(), String>;
    async fn set_on_hand(&self, sku: &Sku, units: u32) -> Result<(), String>;
    async fn delete(&self, sku: &Sku) -> Result<(), String>;
    async fn look(&self, sku: &Sku) -> Result<Option<Seen>, String>;
    /// The product of this SKU as the shop's API has it, whole.
    async fn raw(&self, sku: &Sku) -> Result<serde_json::Value, String>;
    /// Members of `raw` that move with every write.
    fn moving(&self) -> &'static [&'static str];
    /// On hand and reserved in `stock`.
    async fn level(&self, sku: &Sku) -> Result<(Decimal, Decimal), String>;

    /// A buyer takes this many units and pays at once, or as soon as the shop lets them.
    async fn buy(&self, sku: &Sku, units: u32) -> Result<RemoteId, String>;
    /// Who `buy` says it is.
    fn buyer_email(&self) -> &'static str;
    async fn ship(&self, order: &RemoteId) -> Result<(), String>;
    async fn cancel(&self, order: &RemoteId) -> Result<(), String>;
    /// Orders in the shop that bear this key, by whatever its API allows.
    async fn orders_with_key(&self, key: &str) -> Result<usize, String>;

    /// Registrations as the shop lists them: address, topics, active. `None`: the platform has no hooks.
    async fn registrations(&self) -> Result<Option<Vec<(String, Vec<String>, bool)>>, String>;
    async fn switch_hook_off(&self, url: &str) -> Result<(), String>;
    /// A delivery as this platform would send it: headers (lower case), body. `None`: it has no hooks.
    fn delivery(&self, secret: &str) -> Option<(BTreeMap<String, String>, Vec<u8>)>;

    fn connect(&self, account: Account, http: Arc<dyn Http>) -> Box<dyn Connector> {
        self.platform().connect(account, http)
    }

    fn connector(&self) -> Box<dyn Connector> {
        self.connect(self.account(), self.http())
    }

    /// The account with every secret replaced.
    fn with_wrong_key(&self) -> Account {
        let mut account = self.account();
        for credential in self.platform().manifest().credentials {
            if credential.secret {
                let wrong = "wrong-0123456789".to_owned();
                account.credentials.insert(credential.name.into(), wrong);
            }
        }
        account
    }
}
