//! Ids that occur in settings alone. Those that the rest of Lockstep shares stand in `crate::ids`.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! settings_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    )+};
}

settings_ids! {
    /// A branch (place of business) of the customer.
    BranchId,
    /// A stock: a warehouse.
    StockId,
    /// A version of a shop: a language, a currency, a visibility.
    ShopVersionId,
    ShippingMethodId,
    PaymentTermId,
    PaymentMethodId,
    /// A place within a stock, printed on picking lists.
    ShelfId,
    /// A row of one of the `…ServiceIdentifiers` sections or of `activeShopVersions`.
    RowId,
}
