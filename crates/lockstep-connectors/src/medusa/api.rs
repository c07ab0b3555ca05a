//! Builds requests to Medusa's Admin API. Pure.
//!
//! Validators are strict: an unknown key in a body is a 400. `fields` without `+`, `-` or `*` at its beginning
//! replaces the default fields. Updates are POSTs.

use crate::exchange::{self, credential, encode};
use data_encoding::BASE64;
use http::Method;
use jiff::Timestamp;
use lockstep_connector::{Account, Body, Request};
use lockstep_model::{Fault, RemoteId};
use serde_json::{Value, json};

/// `price_rules` makes `rules` say what it holds: without it every price seems to have none.
const PRODUCT: &str = "id,title,handle,status,description,updated_at,deleted_at,metadata,\
sales_channels.id,options.id,options.title,options.deleted_at,options.is_exclusive,options.values.id,options.values.value,options.values.deleted_at,\
variants.id,variants.title,variants.sku,variants.ean,variants.upc,variants.barcode,variants.weight,\
variants.allow_backorder,variants.variant_rank,variants.deleted_at,\
variants.options.value,variants.options.option.title,*variants.prices,*variants.prices.price_rules";

/// The stock of a variant is that of its items, whatever those are called.
const STOCKED: &str = "id,sku,manage_inventory,inventory_items.required_quantity,\
inventory_items.inventory.id,inventory_items.inventory.variants.id,\
inventory_items.inventory.location_levels.location_id,inventory_items.inventory.location_levels.stocked_quantity,\
inventory_items.inventory.location_levels.reserved_quantity,inventory_items.inventory.location_levels.updated_at,\
inventory_items.inventory.reservation_items.line_item_id,inventory_items.inventory.reservation_items.location_id,\
inventory_items.inventory.reservation_items.quantity";

const ORDER: &str = "id,display_id,status,payment_status,fulfillment_status,currency_code,total,credit_line_total,email,locale,\
created_at,updated_at,metadata,\
items.id,items.title,items.subtitle,items.variant_id,items.variant_sku,items.quantity,items.unit_price,\
items.is_tax_inclusive,items.total,items.tax_total,items.discount_total,items.metadata,items.adjustments.amount,\
items.adjustments.is_tax_inclusive,items.adjustments.code,items.adjustments.description,items.tax_lines.rate,*items.detail,items.variant.manage_inventory,\
shipping_methods.id,shipping_methods.name,shipping_methods.shipping_option_id,shipping_methods.total,\
shipping_methods.tax_total,shipping_methods.tax_lines.rate,\
*shipping_address,*billing_address,*payment_collections,*payment_collections.payments,\
*payment_collections.payments.refunds,\
*fulfillments,*fulfillments.items,*fulfillments.labels";

const DRAFT: &str = "id,total,items.metadata,items.is_tax_inclusive,items.tax_lines.rate,\
shipping_methods.data,shipping_methods.is_tax_inclusive,shipping_methods.tax_lines.rate";

type Built = Result<Request, Fault>;

/// A line has as many as it has items; there is no bound of the platform's own.
const RESERVATIONS_MAX: u32 = 5000;

pub(super) struct Api<'a> {
    pub account: &'a Account,
}

fn ids(ids: &[RemoteId]) -> String {
    let ids = ids
        .iter()
        .map(|id| format!("&id[]={}", encode(id.as_str())));
    ids.collect()
}

fn skus<'a>(skus: impl IntoIterator<Item = &'a str>) -> String {
    let skus = skus
        .into_iter()
        .map(|sku| format!("&sku[]={}", encode(sku)));
    skus.collect()
}

fn in_channel(channel: Option<&RemoteId>) -> String {
    channel.map_or_else(String::new, |id| {
        format!("&sales_channel_id[]={}", encode(id.as_str()))
    })
}

impl Api<'_> {
    fn build(&self, method: Method, path: &str, body: Option<&Value>) -> Built {
        // The secret key is the user name, its password is empty.
        let key = format!("{}:", credential(self.account, "api_key"));
        let body = body.map(|body| ("application/json", Body::Bytes(body.to_string().into())));
        exchange::request(
            self.account,
            method,
            &format!("/admin/{path}"),
            &format!("Basic {}", BASE64.encode(key.as_bytes())),
            body,
        )
    }

    fn get(&self, path: &str) -> Built {
        self.build(Method::GET, path, None)
    }

    fn post(&self, path: &str, body: &Value) -> Built {
        self.build(Method::POST, path, Some(body))
    }

    // ------------------------------------------------------------ products

    /// `channel`: only what is sold there.
    pub fn products(&self, channel: Option<&RemoteId>, offset: u32, limit: u32) -> Built {
        let channel = in_channel(channel);
        self.get(&format!(
            "products?order=id&limit={limit}&offset={offset}{channel}&fields={PRODUCT}"
        ))
    }

    /// Products that changed or were deleted (which moves their time too), of all channels: one that was deleted is in
    /// none any more.
    pub fn products_since(&self, since: Timestamp, offset: u32, limit: u32) -> Built {
        let since = encode(&since.to_string()).to_string();
        self.get(&format!(
            "products?with_deleted=true&updated_at[$gte]={since}\
             &order=id&limit={limit}&offset={offset}&fields={PRODUCT}"
        ))
    }

    /// Products of which a variant changed or was deleted: that moves the variant's time and not the product's. A
    /// request of its own: in an `$or` only `variants` and `status` are heeded, everything else is passed over.
    pub fn products_of_variants_since(&self, since: Timestamp, offset: u32, limit: u32) -> Built {
        let since = encode(&since.to_string()).to_string();
        self.get(&format!(
            "products?with_deleted=true&variants[updated_at][$gte]={since}\
             &order=id&limit={limit}&offset={offset}&fields={PRODUCT}"
        ))
    }

    /// Options that changed, and whose they are: a new name moves neither the product's time nor its variants'.
    pub fn options_since(&self, since: Timestamp, offset: u32, limit: u32) -> Built {
        let since = encode(&since.to_string()).to_string();
        self.get(&format!(
            "product-options?updated_at[$gte]={since}&order=id&limit={limit}&offset={offset}\
             &fields=id,products.id"
        ))
    }

    pub fn products_by_ids(&self, wanted: &[RemoteId]) -> Built {
        let limit = wanted.len().max(1);
        let ids = ids(wanted);
        self.get(&format!("products?limit={limit}{ids}&fields={PRODUCT}"))
    }

    pub fn products_by_variant(&self, name: &str, value: &str) -> Built {
        let value = encode(value);
        self.get(&format!(
            "products?variants[{name}]={value}&fields={PRODUCT}"
        ))
    }

    pub fn product_batch(&self, body: &Value) -> Built {
        self.post(&format!("products/batch?fields={PRODUCT}"), body)
    }

    pub fn create_product(&self, body: &Value) -> Built {
        self.post(&format!("products?fields={PRODUCT}"), body)
    }

    pub fn update_product(&self, id: &RemoteId, body: &Value) -> Built {
        self.post(&format!("products/{}?fields=id", encode(id.as_str())), body)
    }

    pub fn rename_option(&self, id: &str, title: &str) -> Built {
        let path = format!("product-options/{}?fields=id", encode(id));
        self.post(&path, &json!({ "title": title }))
    }

    /// Since 2.17.
    pub fn product_options(&self, id: &RemoteId, body: &Value) -> Built {
        let path = format!("products/{}/options/batch?fields=id", encode(id.as_str()));
        self.post(&path, body)
    }

    pub fn variant_batch(&self, id: &RemoteId, body: &Value) -> Built {
        let path = format!("products/{}/variants/batch?fields=id", encode(id.as_str()));
        self.post(&path, body)
    }

    // ------------------------------------------------------------ sale prices

    pub fn price_lists(&self, offset: u32, limit: u32) -> Built {
        self.get(&format!(
            "price-lists?order=id&limit={limit}&offset={offset}\
             &fields=id,type,status,starts_at,ends_at,updated_at,metadata,price_list_rules.attribute,price_list_rules.value"
        ))
    }

    /// Since 2.12.3. They cannot be filtered by time, but sorted by it.
    pub fn prices_of_list(&self, list: &str, newest_first: bool, offset: u32, limit: u32) -> Built {
        let order = if newest_first { "-updated_at" } else { "id" };
        self.get(&format!(
            "price-lists/{}/prices?order={order}&limit={limit}&offset={offset}\
             &fields=id,currency_code,amount,min_quantity,max_quantity,updated_at,\
             price_set.variant.id,price_set.variant.product_id,price_rules.attribute",
            encode(list)
        ))
    }

    pub fn create_price_list(&self, body: &Value) -> Built {
        self.post("price-lists?fields=id", body)
    }

    pub fn list_prices(&self, list: &str, body: &Value) -> Built {
        self.post(&format!("price-lists/{}/prices/batch", encode(list)), body)
    }

    // ------------------------------------------------------------ stock

    /// Neither a variant's time nor an item's moves with a level: all of them are read.
    pub fn stocked(&self, offset: u32, limit: u32) -> Built {
        self.get(&format!(
            "product-variants?order=id&limit={limit}&offset={offset}&fields={STOCKED}"
        ))
    }

    pub fn stocked_by_sku<'b>(&self, wanted: impl ExactSizeIterator<Item = &'b str>) -> Built {
        let limit = wanted.len().max(1);
        let skus = skus(wanted);
        self.get(&format!(
            "product-variants?limit={limit}{skus}&fields={STOCKED}"
        ))
    }

    pub fn level_batch(&self, create: &[Value], update: &[Value]) -> Built {
        self.post(
            "inventory-items/location-levels/batch",
            &json!({ "create": create, "update": update }),
        )
    }

    pub fn variants_by_sku<'b>(&self, wanted: impl ExactSizeIterator<Item = &'b str>) -> Built {
        let limit = wanted.len().max(1);
        let skus = skus(wanted);
        self.get(&format!(
            "product-variants?limit={limit}{skus}&fields=id,sku"
        ))
    }

    /// Where the units of these lines are reserved.
    pub fn reservations(&self, lines: &[String]) -> Built {
        let ids = lines
            .iter()
            .map(|line| format!("&line_item_id[]={}", encode(line)));
        let ids: String = ids.collect();
        self.get(&format!(
            "reservations?limit={RESERVATIONS_MAX}{ids}&fields=id,line_item_id,location_id,quantity"
        ))
    }

    // ------------------------------------------------------------ orders

    pub fn orders(&self, offset: u32, limit: u32) -> Built {
        self.get(&format!(
            "orders?order=id&limit={limit}&offset={offset}&fields={ORDER}"
        ))
    }

    pub fn orders_since(&self, since: Timestamp, offset: u32, limit: u32) -> Built {
        let since = encode(&since.to_string()).to_string();
        self.get(&format!(
            "orders?updated_at[$gte]={since}&order=id&limit={limit}&offset={offset}&fields={ORDER}"
        ))
    }

    pub fn orders_by_ids(&self, wanted: &[RemoteId]) -> Built {
        let limit = wanted.len().max(1);
        let ids = ids(wanted);
        self.get(&format!("orders?limit={limit}{ids}&fields={ORDER}"))
    }

    /// A capture moves the payment's time and not the order's.
    pub fn payments_since(&self, since: Timestamp, offset: u32, limit: u32) -> Built {
        let since = encode(&since.to_string()).to_string();
        self.get(&format!(
            "payments?updated_at[$gte]={since}&order=id&limit={limit}&offset={offset}\
             &fields=id,payment_collection.order.id"
        ))
    }

    pub fn drafts_since(&self, since: Timestamp, offset: u32, limit: u32) -> Built {
        let since = encode(&since.to_string()).to_string();
        self.get(&format!(
            "draft-orders?created_at[$gte]={since}&order=id&limit={limit}&offset={offset}&fields=id,metadata,total"
        ))
    }

    pub fn create_draft(&self, body: &Value) -> Built {
        self.post(&format!("draft-orders?fields={DRAFT}"), body)
    }

    pub fn remove_draft(&self, id: &str) -> Built {
        self.build(
            Method::DELETE,
            &format!("draft-orders/{}", encode(id)),
            None,
        )
    }

    pub fn convert_draft(&self, id: &str) -> Built {
        let path = format!("draft-orders/{}/convert-to-order?fields=id", encode(id));
        self.post(&path, &json!({}))
    }

    pub fn cancel_order(&self, id: &RemoteId) -> Built {
        let path = format!("orders/{}/cancel?fields=id", encode(id.as_str()));
        self.post(&path, &json!({}))
    }

    pub fn create_payment_collection(&self, order: &RemoteId, amount: &Value) -> Built {
        let body = json!({ "order_id": order, "amount": amount });
        self.post("payment-collections?fields=id", &body)
    }

    pub fn mark_as_paid(&self, collection: &str, order: &RemoteId) -> Built {
        let path = format!(
            "payment-collections/{}/mark-as-paid?fields=id",
            encode(collection)
        );
        self.post(&path, &json!({ "order_id": order }))
    }

    pub fn capture(&self, payment: &str) -> Built {
        let path = format!("payments/{}/capture?fields=id", encode(payment));
        self.post(&path, &json!({}))
    }

    pub fn create_fulfillment(&self, order: &RemoteId, body: &Value) -> Built {
        let fields = "id,*fulfillments";
        let path = format!(
            "orders/{}/fulfillments?fields={fields}",
            encode(order.as_str())
        );
        self.post(&path, body)
    }

    pub fn ship_fulfillment(&self, order: &RemoteId, fulfillment: &str, body: &Value) -> Built {
        let (order, fulfillment) = (encode(order.as_str()), encode(fulfillment));
        let path = format!("orders/{order}/fulfillments/{fulfillment}/shipments?fields=id");
        self.post(&path, body)
    }

    // ------------------------------------------------------------ the shop itself

    pub fn stores(&self) -> Built {
        self.get(
            "stores?limit=1&fields=id,name,default_sales_channel_id,*supported_currencies,*supported_locales",
        )
    }

    /// `stock-locations`, `sales-channels`, `shipping-profiles`, `shipping-options`.
    pub fn named(&self, plural: &str) -> Built {
        let sort = if plural == "shipping-profiles" {
            ",type"
        } else {
            ""
        };
        self.get(&format!("{plural}?limit=100&fields=id,name{sort}"))
    }

    pub fn regions(&self) -> Built {
        self.get(
            "regions?limit=100&fields=id,name,currency_code,automatic_taxes,countries.iso_2,*payment_providers",
        )
    }

    pub fn tax_rates(&self) -> Built {
        self.get("tax-rates?limit=100&fields=id,rate")
    }

    pub fn price_preferences(&self) -> Built {
        self.get("price-preferences?limit=100")
    }
}
