//! Ways to pay and ways to ship: what one shop calls a method, said in another shop's word.

use super::{
    CustomerSettings, PaymentMethod, PaymentMethodId, PaymentMethodServiceIdentifier, RowId,
    ShippingMethod, ShippingMethodId, ShippingMethodServiceIdentifier,
};
use crate::{RemoteId, ShopId};
use serde::{Deserialize, Serialize};

/// Which of the two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Payment,
    Shipping,
}

impl Method {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Payment => "payment method",
            Method::Shipping => "shipping method",
        }
    }
}

/// A method by its id in one shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodAt {
    pub shop: ShopId,
    pub id: RemoteId,
}

/// What becomes of our rows: which of ours it is, and what its two shops call it.
enum Named<Id> {
    /// It is said already.
    AsIs,
    /// Ours is known in the first shop and gets its name in the second.
    Second(Id),
    /// Ours is known in the second shop and gets its name in the first.
    First(Id),
    New,
}

macro_rules! map_method {
    ($settings:ident, $from:ident, $into:ident, $name:ident, $rows:ident, $identifiers:ident,
     $row:ident, $id:ident, $identifier:ident, $of:ident) => {{
        let known = &$settings.$identifiers;
        let first = CustomerSettings::named(known, $from.shop, $from.id.as_str());
        let second = CustomerSettings::named(known, $into.shop, $into.id.as_str());
        let meant = match (first, second) {
            (Some(ours), _) => match CustomerSettings::name_in(known, $into.shop, ours) {
                Some(there) if there == $into.id.as_str() => Named::AsIs,
                Some(there) => return Err(there.to_owned()),
                None => Named::Second(ours),
            },
            (None, Some(ours)) if CustomerSettings::name_in(known, $from.shop, ours).is_none() => {
                Named::First(ours)
            }
            (None, _) => Named::New,
        };
        let (ours, rows) = match meant {
            Named::AsIs => return Ok(false),
            Named::Second(ours) => (ours, vec![$into]),
            Named::First(ours) => (ours, vec![$from]),
            Named::New => {
                let highest = $settings.$rows.iter().map(|row| row.id.0).max();
                let ours = $id(highest.unwrap_or(0) + 1);
                $settings.$rows.push($row {
                    id: ours,
                    name: $name.to_owned(),
                    product_id: None,
                });
                (ours, vec![$from, $into])
            }
        };
        for at in rows {
            let highest = $settings.$identifiers.iter().map(|row| row.id.0).max();
            $settings.$identifiers.push($identifier {
                id: RowId(highest.unwrap_or(0) + 1),
                $of: ours,
                service_id: at.shop,
                identifier: at.id.to_string(),
            });
        }
        Ok(true)
    }};
}

impl CustomerSettings {
    /// What `from` is called in another shop. `name`: of a method of ours, if one has to be made. Answers whether
    /// anything changed; an error is what it is called there already, which is no hole to fill but an edit.
    pub fn map_method(
        &mut self,
        method: Method,
        from: &MethodAt,
        into: &MethodAt,
        name: &str,
    ) -> Result<bool, String> {
        match method {
            Method::Payment => map_method!(
                self,
                from,
                into,
                name,
                payment_methods,
                payment_method_service_identifiers,
                PaymentMethod,
                PaymentMethodId,
                PaymentMethodServiceIdentifier,
                payment_method_id
            ),
            Method::Shipping => map_method!(
                self,
                from,
                into,
                name,
                shipping_methods,
                shipping_method_service_identifiers,
                ShippingMethod,
                ShippingMethodId,
                ShippingMethodServiceIdentifier,
                shipping_method_id
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CustomerId;
    use crate::settings::Customer;

    const ERP: ShopId = ShopId(1);
    const WEB: ShopId = ShopId(2);
    const OTHER: ShopId = ShopId(3);

    fn settings() -> CustomerSettings {
        CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"))
    }

    fn at(shop: ShopId, id: &str) -> MethodAt {
        MethodAt {
            shop,
            id: id.into(),
        }
    }

    fn map(settings: &mut CustomerSettings, from: MethodAt, into: &str) -> Result<bool, String> {
        settings.map_method(Method::Payment, &from, &at(ERP, into), from.id.as_str())
    }

    fn called(settings: &CustomerSettings, from: &MethodAt) -> Option<String> {
        let rows = &settings.payment_method_service_identifiers;
        let ours = CustomerSettings::named(rows, from.shop, from.id.as_str())?;
        CustomerSettings::name_in(rows, ERP, ours).map(ToOwned::to_owned)
    }

    #[test]
    fn a_method_that_nobody_knew_becomes_one_of_ours() {
        let mut settings = settings();
        assert_eq!(map(&mut settings, at(WEB, "klarna"), "card"), Ok(true));
        assert_eq!(
            called(&settings, &at(WEB, "klarna")).as_deref(),
            Some("card")
        );
        assert_eq!(settings.payment_methods[0].name, "klarna");
        assert_eq!(map(&mut settings, at(WEB, "klarna"), "card"), Ok(false));
    }

    #[test]
    fn another_shop_s_word_joins_the_row_that_the_receiver_knows() {
        let mut settings = settings();
        map(&mut settings, at(WEB, "klarna"), "card").unwrap();
        map(&mut settings, at(OTHER, "stripe"), "card").unwrap();
        assert_eq!(settings.payment_methods.len(), 1);
        assert_eq!(
            called(&settings, &at(OTHER, "stripe")).as_deref(),
            Some("card")
        );
    }

    #[test]
    fn two_methods_of_one_shop_may_be_one_in_the_receiver() {
        let mut settings = settings();
        for id in ["klarna", "stripe"] {
            map(&mut settings, at(WEB, id), "card").unwrap();
        }
        for id in ["klarna", "stripe"] {
            assert_eq!(called(&settings, &at(WEB, id)).as_deref(), Some("card"));
        }
        assert_eq!(settings.payment_methods.len(), 2);
    }

    #[test]
    fn what_is_called_otherwise_there_already_is_left() {
        let mut settings = settings();
        map(&mut settings, at(WEB, "klarna"), "card").unwrap();
        let before = settings.clone();
        assert_eq!(
            map(&mut settings, at(WEB, "klarna"), "invoice"),
            Err("card".into())
        );
        assert_eq!(settings, before);
    }
}
