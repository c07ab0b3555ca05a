//! A customer's shops, ready to be called: settings, manifest, and a connector behind the one HTTP port.

use crate::shop_http::{Calling, ShopHttp};
use async_trait::async_trait;
use lockstep_connector::{
    Account, BodyStream, Connector, Hook, HookState, Manifest, Pictures, Registry,
};
use lockstep_engine::{Abilities, LevelWrites, PageSize, Rules, ShopRules};
use lockstep_model::settings::{CustomerSettings, Service};
use lockstep_model::{
    Change, Fault, FaultKind, Fingerprint, NaturalKey, Outcome, Page, PictureSource, PullRequest,
    Record, Revision, ShopId, ShopIdentity,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone)]
pub struct Shop {
    pub service: Service,
    pub manifest: &'static Manifest,
    pub connector: Arc<dyn Connector>,
    /// `None`: it cannot be called as its settings are.
    http: Option<Arc<ShopHttp>>,
}

#[derive(Clone, Default)]
pub struct Shops {
    by_id: BTreeMap<ShopId, Shop>,
}

/// A shop that nobody here can speak to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{shop}: this worker knows no platform \"{platform}\"; it knows {known}")]
pub struct UnknownPlatform {
    shop: String,
    platform: String,
    known: String,
}

impl Shops {
    /// Connectors of shops whose settings are what they were go on as they are: they know the pace.
    pub fn of(
        settings: &CustomerSettings,
        registry: &Registry,
        calling: &Calling,
        before: &Shops,
    ) -> Result<Self, UnknownPlatform> {
        let mut by_id = BTreeMap::new();
        for (service, _) in settings.shops() {
            let shop = match before.by_id.get(&service.id) {
                Some(shop) if shop.service == *service => shop.clone(),
                _ => Shop::connect(service, registry, calling)?,
            };
            by_id.insert(service.id, shop);
        }
        Ok(Shops { by_id })
    }

    pub fn get(&self, shop: ShopId) -> Option<&Shop> {
        self.by_id.get(&shop)
    }

    pub fn iter(&self) -> impl Iterator<Item = (ShopId, &Shop)> {
        self.by_id.iter().map(|(id, shop)| (*id, shop))
    }

    pub fn connector(&self, shop: ShopId) -> Result<Arc<dyn Connector>, Fault> {
        let found = self.by_id.get(&shop).map(|shop| shop.connector.clone());
        found.ok_or_else(|| {
            let message = "this shop is not connected any more";
            Fault::new(FaultKind::Unavailable, message).at(shop)
        })
    }

    /// What they together may be called a second now.
    pub fn calls_per_second(&self) -> f64 {
        let ports = self.by_id.values().filter_map(|shop| shop.http.as_ref());
        ports.map(|http| http.calls_per_second()).sum()
    }

    /// What a run goes by.
    pub fn rules(
        &self,
        settings: &Arc<CustomerSettings>,
        revision: Revision,
        identities: &BTreeMap<ShopId, ShopIdentity>,
    ) -> Rules {
        let shops = settings.shops().filter_map(|(service, link)| {
            let shop = self.by_id.get(&service.id)?;
            let rules = ShopRules {
                name: service.name.clone(),
                link: link.clone(),
                read_only: service.read_only,
                account: account_of(service),
                abilities: abilities(shop.manifest),
                identity: identities.get(&service.id).cloned().unwrap_or_default(),
            };
            Some((service.id, rules))
        });
        Rules {
            revision,
            shops: shops.collect(),
            settings: settings.clone(),
        }
    }
}

impl Shop {
    pub fn connect(
        service: &Service,
        registry: &Registry,
        calling: &Calling,
    ) -> Result<Self, UnknownPlatform> {
        let platform = registry.get(&service.platform).ok_or_else(|| {
            let known: Vec<&str> = registry
                .iter()
                .map(|platform| platform.manifest().platform)
                .collect();
            UnknownPlatform {
                shop: service.name.clone(),
                platform: service.platform.clone(),
                known: known.join(", "),
            }
        })?;
        let (connector, http): (Arc<dyn Connector>, _) = match ShopHttp::new(service, calling) {
            Ok(http) => {
                let http = Arc::new(http);
                let connector = platform.connect(account(service), http.clone());
                (Arc::from(connector), Some(http))
            }
            Err(fault) => (Arc::new(Unreachable(fault)), None),
        };
        Ok(Shop {
            service: service.clone(),
            manifest: platform.manifest(),
            connector,
            http,
        })
    }
}

/// Whose data it is and how it is reached, as one number: its generation stands for its key.
fn account_of(service: &Service) -> u64 {
    let options = serde_json::to_string(&service.options).unwrap_or_default();
    let generation = service.generation.to_string();
    let texts = [&service.platform, &service.url, &generation, &options];
    Fingerprint::of(&texts.map(String::as_str)).0
}

fn account(service: &Service) -> Account {
    let credentials = service.credentials.iter().filter_map(|(name, secret)| {
        let secret = secret.as_ref()?;
        Some((name.clone(), secret.reveal().to_owned()))
    });
    let options = service.options.iter().map(|(name, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        (name.clone(), text)
    });
    Account {
        shop: service.id,
        name: service.name.clone(),
        url: service.url.trim_end_matches('/').to_owned(),
        credentials: credentials.collect(),
        options: options.collect(),
    }
}

fn abilities(manifest: &Manifest) -> Abilities {
    let pages = manifest.paging.iter().map(|paging| {
        let size = PageSize {
            records: paging.page_max,
            ids: paging.ids_max,
            since: paging.since,
        };
        (paging.kind, size)
    });
    let batches = manifest
        .batches
        .iter()
        .filter(|batch| batch.max > 0)
        .map(|batch| (batch.sort, batch.max as usize));
    use lockstep_connector::{OrderCreation, StockWrite};
    let (unique_order_key, order_search) = match manifest.orders {
        OrderCreation::UniqueKey => (true, true),
        OrderCreation::ExactSearch => (false, true),
        OrderCreation::None => (false, false),
    };
    Abilities {
        pages: pages.collect(),
        batches: batches.collect(),
        settles_after_ms: i64::try_from(manifest.settles_after.as_millis()).unwrap_or(i64::MAX),
        unique_order_key,
        order_steps: manifest.order_steps,
        order_search,
        level_writes: match manifest.stock_write {
            StockWrite::CompareAndSet => LevelWrites::CompareAndSet,
            StockWrite::Relative => LevelWrites::Relative,
            // Nothing is written at all where nothing can be.
            StockWrite::Absolute | StockWrite::None => LevelWrites::Absolute,
        },
        holds: manifest.holds,
        removes: manifest.removes,
    }
}

/// Where a push gets the bytes of pictures: from the customer's other shops.
pub struct OtherShops(pub Arc<Shops>);

#[async_trait]
impl Pictures for OtherShops {
    async fn open(&self, source: &PictureSource) -> Result<BodyStream, Fault> {
        self.0.connector(source.shop)?.picture(source).await
    }
}

/// Stands for a shop that cannot be called as its settings are: each call says why.
struct Unreachable(Fault);

#[async_trait]
impl Connector for Unreachable {
    async fn check(&self) -> Result<ShopIdentity, Fault> {
        Err(self.0.clone())
    }

    async fn pull(&self, _: &PullRequest) -> Result<Page, Fault> {
        Err(self.0.clone())
    }

    async fn push(&self, _: &[Change], _: &dyn Pictures) -> Result<Vec<Outcome>, Fault> {
        Err(self.0.clone())
    }

    async fn find(&self, _: &NaturalKey) -> Result<Vec<Record>, Fault> {
        Err(self.0.clone())
    }

    async fn picture(&self, _: &PictureSource) -> Result<BodyStream, Fault> {
        Err(self.0.clone())
    }

    async fn look_at_hooks(&self, _: &[Hook]) -> Result<Vec<HookState>, Fault> {
        Err(self.0.clone())
    }

    async fn hooks(&self, _: &[Hook]) -> Result<Vec<HookState>, Fault> {
        Err(self.0.clone())
    }
}

/// A platform by what a shop's settings name; for asks about shops that are not saved yet.
pub fn connect(service: &Service, registry: &Registry, calling: &Calling) -> Result<Shop, Fault> {
    Shop::connect(service, registry, calling).map_err(|unknown| {
        let field = Some("platform".to_owned());
        Fault::new(FaultKind::Invalid { field }, unknown.to_string()).at(service.id)
    })
}
