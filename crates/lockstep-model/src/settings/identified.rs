//! What bears another id in each shop (branches, stocks, shop versions, methods, terms, shelves), and
//! the `…ServiceIdentifiers` that say which.

use super::{
    BranchId, PaymentMethodId, PaymentTermId, RowId, ShelfId, ShippingMethodId, ShopVersionId,
    StockId, lenient,
};
use crate::ids::{Currency, ShopId};
use serde::{Deserialize, Serialize};

/// One row of an identifier section, whichever it is: for forms, lookups and validation.
pub trait Identifier {
    type Of: Copy + Ord;
    fn of(&self) -> Self::Of;
    fn service_id(&self) -> ShopId;
    fn identifier(&self) -> &str;
}

macro_rules! identified {
    ($($(#[$doc:meta])* $row:ident($id:ident) { $($(#[$meta:meta])* $field:ident: $type:ty),* $(,)? }
       $identifier:ident.$of:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $row {
            pub id: $id,
            pub name: String,
            $($(#[$meta])* #[serde(default)] pub $field: $type,)*
        }

        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $identifier {
            pub id: RowId,
            pub $of: $id,
            pub service_id: ShopId,
            /// The id that it bears in that shop.
            #[serde(deserialize_with = "lenient::text")]
            pub identifier: String,
        }

        impl Identifier for $identifier {
            type Of = $id;

            fn of(&self) -> $id {
                self.$of
            }

            fn service_id(&self) -> ShopId {
                self.service_id
            }

            fn identifier(&self) -> &str {
                &self.identifier
            }
        }
    )+};
}

identified! {
    /// A place of business; orders are booked to one.
    Branch(BranchId) {} BranchServiceIdentifier.branch_id;
    /// A warehouse.
    Stock(StockId) {} StockServiceIdentifier.stock_id;
    /// A language, a currency and a visibility that a shop sells under.
    ShopVersion(ShopVersionId) {
        /// BCP 47.
        language: Option<String>,
        /// ISO 4217.
        currency: Option<Currency>,
        hidden: bool,
    } ShopVersionServiceIdentifier.shop_version_id;
    ShippingMethod(ShippingMethodId) {
        /// SKU or id of the line that its cost becomes where the receiver has no shipping line.
        product_id: Option<String>,
    } ShippingMethodServiceIdentifier.shipping_method_id;
    PaymentTerm(PaymentTermId) {
        /// Days until an invoice order is due.
        due_days: u32,
    } PaymentTermServiceIdentifier.payment_term_id;
    PaymentMethod(PaymentMethodId) {
        product_id: Option<String>,
    } PaymentMethodServiceIdentifier.payment_method_id;
    /// A place within a stock.
    Shelf(ShelfId) {
        stock_id: Option<StockId>,
    } ShelfServiceIdentifier.shelf_id;
}

/// That a shop version is in use; in one shop if it names one, else in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveShopVersion {
    pub id: RowId,
    pub shop_version_id: ShopVersionId,
    #[serde(default)]
    pub service_id: Option<ShopId>,
}
