//! `GET /shop`: who this shop is, its identifiers, and how it behaves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::caller::Reader;
use crate::bounds;
use crate::clock;
use crate::orders::lifecycle::Takes;
use crate::state::ShopState;

pub async fn show(_: Reader, State(shop): State<Arc<ShopState>>) -> Json<Value> {
    let config = &shop.config;
    Json(json!({
        "id": shop.shop_id,
        "name": config.name,
        "version": env!("CARGO_PKG_VERSION"),
        "currency": config.currency,
        "time_zone": config.time_zone,
        "country": config.country,
        "now": clock::show(clock::now()),
        "languages": config.languages,
        "prices_include_tax": config.prices_include_tax,
        "stocks": config.stocks,
        "shop_versions": config.shop_versions,
        "shipping_methods": config.shipping_methods,
        "payment_methods": config.payment_methods,
        "payment_terms": config.payment_terms,
        "branches": config.branches,
        "shelves": config.shelves,
        "tax_rates": config.tax_rates,
        "countries": config.countries,
        "semantics": {
            "takes": config.takes,
            "gives_back_on_cancel": true,
            "copies_take": config.takes != Takes::Never,
            "unique_order_key": true,
            "stock_write": ["compare_and_set", "relative", "absolute"],
        },
        "limits": {
            "page_max": bounds::PAGE_MAX,
            "batch_max": bounds::BATCH_MAX,
            "body_bytes_max": bounds::BODY_BYTES_MAX,
            "picture_bytes_max": bounds::PICTURE_BYTES_MAX,
        },
        "storefront_url": format!("{}/", shop.base),
    }))
}
