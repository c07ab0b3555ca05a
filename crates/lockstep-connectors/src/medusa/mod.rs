//! Medusa v2 (v2.21): what is called, and in which order.
//!
//! What the platform tells of changes, and what it does not (each seen in a running 2.21.2):
//!
//! | changed | what moves | how it is found |
//! |---|---|---|
//! | a product's own fields; a product deleted | `product.updated_at` | `Since` |
//! | a variant, or one deleted; its prices by the variant's pages | `variant.updated_at` alone | `Since`: a second request |
//! | an option's name | `option.updated_at` alone | `Since`: a third, for options |
//! | a sale price in a price list, a list itself | `price.updated_at`, `price_list.updated_at` | `Since`: a fourth, for price lists and those that run |
//! | a price by `products/:id` or `products/batch`, an option's value, a sales channel, a price taken out of a list | nothing | the rolling `Everything` |
//! | a level, a reservation | `location_levels[].updated_at`, which cannot be filtered by | full scan (`since: false`) |
//! | an order: fulfilment, shipment, cancel, refund | `order.updated_at` | `Since` |
//! | an order: capture | `payment.updated_at` alone | `Since`: a second request, for payments |
//!
//! So an idle look costs four requests for products and one for each running sale, and two for orders. Levels cost one for each page of variants:
//! cheaper than asking for each product's, and the only way that sees a reservation.
//!
//! Pictures and categories are not part yet: the manifest does not hold them.

mod amounts;
mod api;
mod copies;
mod edits;
mod map;
mod place;
mod reads;
mod sales;
mod steps;
mod stock;
mod wire;
mod writes;

#[cfg(test)]
mod tests;

use crate::exchange::{Exchange, Refusal, option};
use crate::redaction::Redaction;
use api::Api;
use async_trait::async_trait;
use http::StatusCode;
use lockstep_connector::{
    Account, BodyStream, Connector, Cost, Credential, Hint, Hook, HookDelivery, HookScheme,
    HookState, Http, Manifest, OrderCreation, Paging, Pictures, Platform, StockWrite, WriteBatch,
};
use lockstep_model::{
    Change, ChangeSort, Choice, Currency, Fault, FaultKind, Field, Kind, NaturalKey, Outcome, Page,
    PictureSource, PullRequest, Record, RemoteId, ShopIdentity, StepSort, StockSemantics, Takes,
    VariantField,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const STOCK_LOCATION: &str = "stock_location";
const SALES_CHANNEL: &str = "sales_channel";
const SHIPPING_PROFILE: &str = "shipping_profile";
const REGION: &str = "region";
const SHIPPING_OPTION: &str = "shipping_option";

/// There is no bound of its own; a page of a hundred products with their prices takes a fifth of a second.
const PAGE_MAX: u32 = 100;
const ORDERS_PAGE_MAX: u32 = 50;

/// Items are small, and all of them are read each time.
const LEVELS_PAGE_MAX: u32 = 500;
/// So many ids fit into an address.
const IDS_MAX: u32 = 100;

const fn paging(kind: Kind, page_max: u32, since: bool) -> Paging {
    Paging {
        kind,
        page_max,
        since,
        ids_max: if page_max < IDS_MAX {
            page_max
        } else {
            IDS_MAX
        },
    }
}

const fn batch(sort: ChangeSort, max: u32) -> WriteBatch {
    WriteBatch { sort, max }
}

const fn setting(name: &'static str, label: &'static str) -> Credential {
    Credential {
        name,
        label,
        secret: false,
    }
}

static MANIFEST: Manifest = Manifest {
    platform: "medusa",
    name: "Medusa",
    credentials: &[
        Credential {
            name: "api_key",
            label: "Secret API key (sk_…)",
            secret: true,
        },
        setting(STOCK_LOCATION, "Stock location, if there are several"),
        setting(SALES_CHANNEL, "Sales channel, if there are several"),
        setting(
            REGION,
            "Region of orders from other shops, if there are several",
        ),
        setting(SHIPPING_PROFILE, "Shipping profile, if there are several"),
        setting(
            SHIPPING_OPTION,
            "Shipping option of orders from other shops, if there are several",
        ),
    ],
    paging: &[
        paging(Kind::Product, PAGE_MAX, true),
        paging(Kind::Level, LEVELS_PAGE_MAX, false),
        paging(Kind::Order, ORDERS_PAGE_MAX, true),
    ],
    batches: &[
        batch(ChangeSort::CreateProduct, 50),
        batch(ChangeSort::UpdateProduct, 25),
        batch(ChangeSort::SetLevel, 100),
        batch(ChangeSort::CreateOrder, 10),
        batch(ChangeSort::StepOrder, 10),
    ],
    stock_write: StockWrite::Absolute,
    // Metadata cannot be filtered by: orders of the time in question are read and their keys compared.
    orders: OrderCreation::ExactSearch,
    order_steps: &[StepSort::Pay, StepSort::Ship, StepSort::Cancel],
    settles_after: Duration::from_secs(30),
    hooks: HookScheme::None,
    holds,
    removes: Manifest::removes_all,
};

fn holds(field: &Field<'_>) -> bool {
    let is_sale = matches!(
        field,
        Field::Variant {
            field: VariantField::SalePrice(_),
            ..
        }
    );
    is_sale || Manifest::holds_basics(field)
}

pub struct Medusa;

impl Platform for Medusa {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn connect(&self, account: Account, http: Arc<dyn Http>) -> Box<dyn Connector> {
        Box::new(Shop {
            exchange: Exchange::new(http, account, read_refusal),
            lists: Mutex::default(),
            regions: Mutex::default(),
            sales: Mutex::default(),
        })
    }

    /// The platform sends no hooks of its own.
    fn hint(&self, _: HookDelivery<'_>) -> Hint {
        Hint::Refused
    }
}

/// `{type, message}`; unique violations come as 400 `invalid_data` with "… already exists".
fn read_refusal(status: StatusCode, body: &[u8]) -> Refusal {
    let Ok(refused) = serde_json::from_slice::<wire::Refused>(body) else {
        return Refusal::default();
    };
    let is_refusal = matches!(status.as_u16(), 400 | 409 | 422);
    let says = |words: &str| refused.message.contains(words);
    let is_duplicate =
        status == StatusCode::UNPROCESSABLE_ENTITY && refused.kind == "duplicate_error";
    let kind = if is_refusal && says("Product with handle") && says("already exists") {
        // No key of ours: another product has the address that this one should get.
        let field = Some("handle".to_owned());
        Some(FaultKind::Invalid { field })
    } else if is_duplicate || (is_refusal && says("already exists")) {
        Some(FaultKind::Duplicate { existing: None })
    } else if is_refusal && says("required inventory") {
        // An order of more than is there. It may be made when there is more.
        Some(FaultKind::Conflict)
    } else if is_refusal && says("reservation") {
        // Units of the variant are promised to a buyer. It may go once they are shipped.
        Some(FaultKind::Conflict)
    } else {
        None
    };
    Refusal {
        kind,
        said: (!refused.message.is_empty()).then_some(refused.message),
    }
}

struct Shop {
    exchange: Exchange,
    /// List → its rows, read at the first need.
    lists: Mutex<BTreeMap<&'static str, Arc<Vec<wire::Named>>>>,
    regions: Mutex<Option<Arc<Regions>>>,
    /// As last read.
    sales: Mutex<Option<Arc<sales::Sales>>>,
}

/// Where a copy is made, and what becomes of its amounts there.
struct CopyRegion {
    id: RemoteId,
    adds_tax: bool,
    includes_tax: bool,
}

struct Regions {
    rows: Vec<wire::Region>,
    preferences: Vec<wire::PricePreference>,
}

impl Shop {
    fn api(&self) -> Api<'_> {
        Api {
            account: self.exchange.account(),
        }
    }

    fn invalid(&self, field: &str, why: &str) -> Fault {
        let kind = FaultKind::Invalid {
            field: Some(field.into()),
        };
        self.exchange.fault(kind, why)
    }

    /// A setting by its name, wherever a person entered it.
    fn setting(&self, name: &str) -> Option<RemoteId> {
        let account = self.exchange.account();
        let named = option(account, name).or_else(|| {
            let value = account.credentials.get(name)?.trim();
            (!value.is_empty()).then_some(value)
        });
        named.map(RemoteId::from)
    }

    async fn list(&self, plural: &'static str) -> Result<Arc<Vec<wire::Named>>, Fault> {
        let lock = || self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(plural) {
            return Ok(Arc::clone(known));
        }
        let request = self.api().named(plural);
        let list: wire::NamedList = self.exchange.call(request, Cost::read()).await?;
        let rows = Arc::new(list.rows);
        lock().insert(plural, Arc::clone(&rows));
        Ok(rows)
    }

    /// The setting; else the only row of that list; `None` if there are several and none is set.
    async fn chosen(&self, name: &str, plural: &'static str) -> Result<Option<RemoteId>, Fault> {
        if let Some(id) = self.setting(name) {
            return Ok(Some(id));
        }
        let rows = self.list(plural).await?;
        Ok(match rows.as_slice() {
            [only] => Some(only.id.as_str().into()),
            _ => None,
        })
    }

    /// Where a product is sold. In no channel it would be there and invisible, so nothing is made before one is chosen.
    async fn channel(&self) -> Result<RemoteId, Fault> {
        let chosen = self.chosen(SALES_CHANNEL, "sales-channels").await?;
        chosen.ok_or_else(|| {
            let why =
                "has several sales channels: choose the one that is kept in step, in its settings";
            self.invalid(SALES_CHANNEL, why)
        })
    }

    /// Every shop is given one of the type `default`; what nobody chose otherwise is sent by it.
    async fn profile(&self) -> Result<Option<RemoteId>, Fault> {
        let plural = "shipping-profiles";
        if let Some(id) = self.chosen(SHIPPING_PROFILE, plural).await? {
            return Ok(Some(id));
        }
        let rows = self.list(plural).await?;
        let mut default = rows.iter().filter(|row| row.sort == "default");
        Ok(default.next().map(|row| row.id.as_str().into()))
    }

    /// Its locations, the chosen one first.
    async fn stocks(&self) -> Result<Vec<lockstep_model::Named>, Fault> {
        let rows = self.list("stock-locations").await?;
        let chosen = self.setting(STOCK_LOCATION);
        let mut rows: Vec<_> = rows.iter().map(named).collect();
        rows.sort_by_key(|row| chosen.as_ref() != Some(&row.id));
        Ok(rows)
    }

    /// The location that counts where nothing else says one.
    async fn home(&self) -> Result<Option<RemoteId>, Fault> {
        self.chosen(STOCK_LOCATION, "stock-locations").await
    }

    fn forget(&self) {
        let lists = || self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists().clear();
        let regions = || self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        *regions() = None;
    }

    async fn regions(&self) -> Result<Arc<Regions>, Fault> {
        let lock = || self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().as_ref() {
            return Ok(Arc::clone(known));
        }
        let rows: wire::Regions = self
            .exchange
            .call(self.api().regions(), Cost::read())
            .await?;
        let preferences: wire::PricePreferences = self
            .exchange
            .call(self.api().price_preferences(), Cost::read())
            .await?;
        let regions = Arc::new(Regions {
            rows: rows.regions,
            preferences: preferences.price_preferences,
        });
        *lock() = Some(Arc::clone(&regions));
        Ok(regions)
    }

    /// The region that a copy is made in: the one of the settings, else the only one that sells in this currency, else of
    /// those the one that the goods go to.
    async fn region_for(
        &self,
        currency: &Currency,
        country: Option<&str>,
    ) -> Result<CopyRegion, Fault> {
        let regions = self.regions().await?;
        let wanted = self.setting(REGION);
        let fitting = regions.rows.iter().filter(|region| {
            map::currency(&region.currency_code) == *currency
                && wanted.as_ref().is_none_or(|id| region.id == id.0)
        });
        let mut fitting: Vec<_> = fitting.collect();
        if fitting.len() > 1
            && let Some(country) = country
        {
            fitting.retain(|region| region.has_country(country));
        }
        let [region] = fitting.as_slice() else {
            let why = format!(
                "has not exactly one region that sells in {currency}: name the one for orders from other shops in its settings"
            );
            return Err(self.invalid("region", &why));
        };
        Ok(CopyRegion {
            id: region.id.as_str().into(),
            adds_tax: region.automatic_taxes,
            includes_tax: regions.includes_tax(&region.currency_code),
        })
    }

    async fn identity(&self) -> Result<ShopIdentity, Fault> {
        let stores = self.exchange.call(self.api().stores(), Cost::read()).await;
        let stores: wire::Stores = match stores {
            Err(fault) if fault.kind == FaultKind::NotFound => {
                let what = "is not at this address: something else answers there";
                return Err(self.exchange.fault(FaultKind::Protocol, what));
            }
            other => other?,
        };
        let Some(store) = stores.stores.into_iter().next() else {
            let what = "says that it has no store";
            return Err(self.exchange.fault(FaultKind::Protocol, what));
        };
        let mut currencies = store.supported_currencies.iter();
        let currency = currencies
            .clone()
            .find(|currency| currency.is_default)
            .or_else(|| currencies.next());
        let Some(currency) = currency.map(|c| c.currency_code.clone()) else {
            let what = "has no currency: add one to the store";
            return Err(self.invalid("currency", what));
        };
        // As they are now: somebody may have added one.
        self.forget();
        let stocks = self.stocks().await?;
        let listed = async |plural| {
            let rows = self.list(plural).await;
            rows.map(|rows| rows.iter().map(named).collect::<Vec<_>>())
        };
        let shipping_methods = listed("shipping-options").await?;
        let mut channels = listed("sales-channels").await?;
        // The shop's own first.
        channels.sort_by_key(|row| store.default_sales_channel_id.as_ref() != Some(&row.id.0));
        let profiles = listed("shipping-profiles").await?;
        let regions = self.regions().await?;
        let rates: wire::TaxRates = self
            .exchange
            .call(self.api().tax_rates(), Cost::read())
            .await?;
        let mut tax_rates: Vec<_> = rates.tax_rates.into_iter().filter_map(|r| r.rate).collect();
        tax_rates.sort();
        tax_rates.dedup();
        let providers = regions
            .rows
            .iter()
            .flat_map(|region| &region.payment_providers);
        let providers: BTreeMap<&str, ()> = providers
            .flatten()
            .map(|provider| (provider.id.as_str(), ()))
            .collect();
        let shop_versions: Vec<_> = regions
            .rows
            .iter()
            .map(|region| lockstep_model::Named {
                id: region.id.as_str().into(),
                name: region.name.clone(),
            })
            .collect();
        let same = |id: &str| lockstep_model::Named {
            id: id.into(),
            name: id.to_owned(),
        };
        let choice = |setting: &str, rows: &[lockstep_model::Named]| Choice {
            setting: setting.into(),
            label: setting.replace('_', " "),
            rows: rows.to_vec(),
            is_needed: [STOCK_LOCATION, SALES_CHANNEL].contains(&setting),
            is_of_stocks: setting == STOCK_LOCATION,
        };
        let choices = vec![
            choice(STOCK_LOCATION, &stocks),
            choice(SALES_CHANNEL, &channels),
            choice(REGION, &shop_versions),
            choice(SHIPPING_PROFILE, &profiles),
            choice(SHIPPING_OPTION, &shipping_methods),
        ];
        Ok(ShopIdentity {
            choices,
            name: store.name,
            platform_version: None,
            prices_include_tax: regions.includes_tax(&currency),
            currency: map::currency(&currency),
            // Times are in UTC throughout.
            time_zone: Some("UTC".into()),
            languages: store
                .supported_locales
                .into_iter()
                .map(|locale| locale.locale_code)
                .collect(),
            stocks,
            shop_versions,
            shipping_methods,
            payment_methods: providers.into_keys().map(same).collect(),
            tax_rates,
            // Regions have countries, which bind carts; that a draft order's address is held to them was never seen.
            countries: Vec::new(),
            stock: StockSemantics {
                takes: Takes::Reserve,
                copies_take: Takes::Reserve,
                reserves: true,
                negative: false,
            },
            ..ShopIdentity::default()
        })
    }
}

fn named(row: &wire::Named) -> lockstep_model::Named {
    lockstep_model::Named {
        id: row.id.as_str().into(),
        name: row.name.clone(),
    }
}

impl Regions {
    /// Base prices follow the preference of their currency; a region's own is for prices of that region alone.
    fn includes_tax(&self, currency: &str) -> bool {
        self.preferences.iter().any(|preference| {
            preference.is_tax_inclusive
                && preference.attribute == "currency_code"
                && preference.value == currency
        })
    }
}

#[async_trait]
impl Connector for Shop {
    async fn check(&self) -> Result<ShopIdentity, Fault> {
        self.identity().await
    }

    async fn pull(&self, request: &PullRequest) -> Result<Page, Fault> {
        self.read(request).await
    }

    async fn push(&self, changes: &[Change], _: &dyn Pictures) -> Result<Vec<Outcome>, Fault> {
        self.write(changes)
            .await
            .map_err(|fault| Redaction::of_buyers(changes).clean_fault(fault))
            .map(|outcomes| Redaction::of_buyers(changes).clean_outcomes(outcomes))
    }

    async fn find(&self, key: &NaturalKey) -> Result<Vec<Record>, Fault> {
        self.look(key).await
    }

    async fn picture(&self, _: &PictureSource) -> Result<BodyStream, Fault> {
        Err(self.invalid("picture", "has no pictures for Lockstep yet"))
    }

    async fn look_at_hooks(&self, _: &[Hook]) -> Result<Vec<HookState>, Fault> {
        Ok(Vec::new())
    }

    async fn hooks(&self, wanted: &[Hook]) -> Result<Vec<HookState>, Fault> {
        match wanted {
            [] => Ok(Vec::new()),
            _ => Err(self.invalid("hooks", "cannot call others: the platform has no hooks")),
        }
    }
}
