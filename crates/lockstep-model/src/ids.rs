//! Identifiers. Each is a newtype, so that no function can be given two bare numbers in the wrong order.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
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
                text.parse().map(Self)
            }
        }
    )*};
}

number_id! {
    /// A merchant whose shops are kept in step.
    CustomerId,
    /// One account of a customer on a platform (a row of the settings' `services`); an ERP account is one too.
    ShopId,
    /// A worker that enrolled and was confirmed.
    WorkerId,
    /// One execution of a lane for one customer; counted per customer by its journal.
    RunId,
    /// One of our records (a product or a category); counted per customer by its journal.
    RecordId,
    /// One call-to-be that changes a shop; counted per customer by its journal.
    IntentId,
    /// A question for a person; counted per customer by its journal.
    ConflictId,
    /// Grows with each new owner of a customer, within one incarnation.
    Epoch,
    /// Grows when the coordinator's database is restored from a backup.
    Incarnation,
    /// A customer's settings, counted by their edits.
    Revision,
}

impl RecordId {
    /// The root category of our own under which shops are given the tree (`createRootCategory`): counted records begin
    /// at 1. It is in no catalogue: what hangs under it is at the top in ours.
    pub const ROOT_CATEGORY: RecordId = RecordId(0);
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    )*};
}

text_id! {
    /// What a shop calls one of its own records. Opaque: never parsed, never compared across shops.
    RemoteId,
    /// The merchant's name of a sellable item. Kept as given: spaces and case count.
    Sku,
    /// Our own name of a sellable item. It is made of the first SKU that the item bore and never changes; the SKU is a field
    /// of it.
    ItemId,
    /// ISO 4217 code, upper case.
    Currency,
}

impl ItemId {
    /// Has nobody said yet what it is?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As long as nobody has said what it is, it goes by its SKU.
    pub fn or_named_after(&self, sku: &Sku) -> ItemId {
        if self.is_empty() {
            ItemId::from(sku)
        } else {
            self.clone()
        }
    }
}

impl From<&Sku> for ItemId {
    /// Of an item of which nothing but its SKU is known.
    fn from(sku: &Sku) -> Self {
        Self(sku.0.clone())
    }
}

impl Currency {
    /// Its smallest amount. ISO 4217 lists the few that have none or three decimals.
    pub fn minor_unit(&self) -> Decimal {
        match self.as_str() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF"
            | "UGX" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => Decimal::ONE,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => Decimal::new(1, 3),
            _ => Decimal::new(1, 2),
        }
    }
}

/// Our key of an order: the shop it was placed in and the platform's immutable id there.
///
/// A copy carries it, and is known by it even after the journal is lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    pub customer: CustomerId,
    pub shop: ShopId,
    pub id: RemoteId,
}

const ORDER_KEY_PREFIX: &str = "lockstep";

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{ORDER_KEY_PREFIX}:{}:{}:{}",
            self.customer, self.shop, self.id
        )
    }
}

impl OrderKey {
    /// `None` for a key that is not ours: another system's external key is left alone.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ':');
        if parts.next()? != ORDER_KEY_PREFIX {
            return None;
        }
        let customer = parts.next()?.parse().ok()?;
        let shop = parts.next()?.parse().ok()?;
        let id = parts.next().filter(|id| !id.is_empty())?;
        Some(Self {
            customer,
            shop,
            id: id.into(),
        })
    }
}

impl Serialize for OrderKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OrderKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not one of our order keys"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_key_survives_the_platforms_colons() {
        let key = OrderKey {
            customer: CustomerId(7),
            shop: ShopId(2),
            id: "gid://x/Order:9".into(),
        };
        assert_eq!(OrderKey::parse(&key.to_string()), Some(key));
    }

    #[test]
    fn a_foreign_key_is_not_ours() {
        for text in ["", "42", "lockstep:1:2:", "lockstep:a:2:3", "other:1:2:3"] {
            assert_eq!(OrderKey::parse(text), None, "{text}");
        }
    }
}
