//! Settings and rules for tests: an ERP that owns everything, and web shops.

use crate::customer::Event;
use crate::rules::{Abilities, LevelWrites, PageSize, Rules, ShopRules};
use lockstep_model::settings::{
    Assortment, Customer, CustomerHasService, CustomerSettings, Policies, RowId, Service, ShopRole,
};
use lockstep_model::{
    ChangeSort, CustomerId, Kind, Lane, Level, Revision, ShopId, ShopIdentity, StepSort,
    StockSemantics, Takes,
};
use rust_decimal::Decimal;
use std::sync::Arc;

pub const ERP: ShopId = ShopId(1);
pub const A: ShopId = ShopId(2);
pub const B: ShopId = ShopId(3);

pub fn abilities() -> Abilities {
    let page = PageSize {
        records: 100,
        ids: 100,
        since: true,
    };
    let sorts = [
        ChangeSort::CreateCategory,
        ChangeSort::UpdateCategory,
        ChangeSort::CreateProduct,
        ChangeSort::UpdateProduct,
        ChangeSort::AddPicture,
        ChangeSort::RemovePicture,
        ChangeSort::SetLevel,
        ChangeSort::CreateOrder,
        ChangeSort::StepOrder,
    ];
    Abilities {
        pages: [Kind::Category, Kind::Product, Kind::Level, Kind::Order]
            .map(|kind| (kind, page))
            .into(),
        batches: sorts.map(|sort| (sort, 100)).into(),
        settles_after_ms: 1_000,
        unique_order_key: true,
        order_steps: StepSort::ALL,
        order_search: true,
        level_writes: LevelWrites::CompareAndSet,
        holds: |_| true,
        removes: |_| true,
    }
}

/// So many units of it, none of them reserved.
pub fn level(sku: &str, units: i64) -> Level {
    Level {
        sku: sku.into(),
        stock: "main".into(),
        item: "".into(),
        variant: None,
        inventory: None,
        on_hand: units.into(),
        reserved: Decimal::ZERO,
        set_aside: Decimal::ZERO,
        version: None,
        location: None,
        modified_at: None,
    }
}

/// The answer to `ReadAgainList` where there is nothing to read by name.
pub fn nothing_to_read(lane: Lane, shop: ShopId, kind: Kind) -> Event {
    Event::ReadAgain {
        lane,
        shop,
        kind,
        ids: vec![],
    }
}

/// ERP, A and B, with the step at which each takes stock.
pub fn rules(erp: Takes, a: Takes, b: Takes) -> Rules {
    let mut settings = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
    settings.policies = Policies::owned_by(ERP);
    let mut shops = std::collections::BTreeMap::new();
    for (index, (shop, name, takes)) in [(ERP, "ERP", erp), (A, "Woo", a), (B, "Medusa", b)]
        .into_iter()
        .enumerate()
    {
        let role = if shop == ERP {
            ShopRole::Erp
        } else {
            ShopRole::Shop
        };
        let mut link = CustomerHasService::new(RowId(index as u64 + 1), CustomerId(1), shop, role);
        link.assortment = Assortment::All;
        settings.customer_has_services.push(link.clone());
        settings
            .services
            .push(Service::new(shop, name, "practice", "http://127.0.0.1:1"));
        let identity = ShopIdentity {
            name: name.into(),
            currency: "EUR".into(),
            stock: StockSemantics {
                takes,
                copies_take: takes,
                reserves: takes == Takes::Reserve,
                negative: true,
            },
            ..ShopIdentity::default()
        };
        shops.insert(
            shop,
            ShopRules {
                name: name.into(),
                link,
                read_only: false,
                account: 0,
                abilities: abilities(),
                identity,
            },
        );
    }
    Rules {
        revision: Revision(1),
        settings: Arc::new(settings),
        shops,
    }
}
