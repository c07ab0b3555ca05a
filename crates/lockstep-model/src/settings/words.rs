//! What an order says in the words of its shop (how it is paid and shipped, its tax rates, where it goes), said in another shop's
//! words.

use super::validate::is_country;
use super::{
    CountryInto, CustomerSettings, PaymentMethod, PaymentMethodId, PaymentMethodServiceIdentifier,
    PaymentTerm, PaymentTermId, PaymentTermServiceIdentifier, RateInto, RowId, ShippingMethod,
    ShippingMethodId, ShippingMethodServiceIdentifier,
};
use crate::{Named, RemoteId, ShopId, ShopIdentity};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What is said in another shop's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mappable {
    #[serde(rename = "payment")]
    PaymentMethod,
    #[serde(rename = "shipping")]
    ShippingMethod,
    #[serde(rename = "payment_term")]
    PaymentTerm,
    #[serde(rename = "tax_rate")]
    TaxRate,
    #[serde(rename = "country")]
    Country,
}

impl Mappable {
    pub const ALL: [Mappable; 5] = [
        Mappable::PaymentMethod,
        Mappable::ShippingMethod,
        Mappable::PaymentTerm,
        Mappable::TaxRate,
        Mappable::Country,
    ];

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Mappable::PaymentMethod => "payment method",
            Mappable::ShippingMethod => "shipping method",
            Mappable::PaymentTerm => "payment term",
            Mappable::TaxRate => "tax rate",
            Mappable::Country => "country",
        }
    }

    /// Its name on the wire and in forms.
    pub fn word(self) -> &'static str {
        match self {
            Mappable::PaymentMethod => "payment",
            Mappable::ShippingMethod => "shipping",
            Mappable::PaymentTerm => "payment_term",
            Mappable::TaxRate => "tax_rate",
            Mappable::Country => "country",
        }
    }

    /// The page where what is said of it is changed.
    pub fn kept_among(self) -> &'static str {
        match self {
            Mappable::PaymentMethod | Mappable::ShippingMethod | Mappable::PaymentTerm => {
                "identifiers"
            }
            Mappable::TaxRate | Mappable::Country => "policies",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Mappable::ALL.into_iter().find(|what| what.word() == word)
    }

    /// What a shop says that it has of these.
    pub fn listed(self, shop: &ShopIdentity) -> Vec<Named> {
        match self {
            Mappable::PaymentMethod => shop.payment_methods.clone(),
            Mappable::ShippingMethod => shop.shipping_methods.clone(),
            Mappable::PaymentTerm => shop.payment_terms.clone(),
            Mappable::TaxRate => {
                let rates = shop.tax_rates.iter().map(Decimal::normalize);
                let named = rates.map(|rate| Named {
                    id: RemoteId(rate.to_string()),
                    name: format!("{rate} %"),
                });
                named.collect()
            }
            Mappable::Country => {
                let named = shop.countries.iter().map(|country| Named {
                    id: country.as_str().into(),
                    name: country.clone(),
                });
                named.collect()
            }
        }
    }

    /// Two words that mean the same: a rate may be written with a comma, or with zeros at its end.
    pub fn is_same(self, one: &str, other: &str) -> bool {
        match self {
            Mappable::PaymentMethod | Mappable::ShippingMethod | Mappable::PaymentTerm => {
                one == other
            }
            Mappable::Country => one.trim().eq_ignore_ascii_case(other.trim()),
            Mappable::TaxRate => match (percent(one), percent(other)) {
                (Some(one), Some(other)) => one == other,
                _ => false,
            },
        }
    }
}

/// A rate as people write it.
fn percent(text: &str) -> Option<Decimal> {
    let text = text.trim().trim_end_matches('%').trim_end();
    text.replace(',', ".").parse().ok()
}

/// A word of one shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedAt {
    pub shop: ShopId,
    pub id: RemoteId,
}

/// Why a word is not mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotMapped {
    /// It stands for this already, which is no hole to fill but an edit.
    Already(String),
    /// This is not of its kind.
    Unreadable(String),
}

/// What becomes of our rows: which of ours it is, and what its two shops call it.
enum Known<Id> {
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
     $row:ident { $extra:ident: $value:expr }, $id:ident, $identifier:ident, $of:ident) => {{
        let known = &$settings.$identifiers;
        let first = CustomerSettings::named(known, $from.shop, $from.id.as_str());
        let second = CustomerSettings::named(known, $into.shop, $into.id.as_str());
        let meant = match (first, second) {
            (Some(ours), _) => match CustomerSettings::name_in(known, $into.shop, ours) {
                Some(there) if there == $into.id.as_str() => Known::AsIs,
                Some(there) => return Err(NotMapped::Already(there.to_owned())),
                None => Known::Second(ours),
            },
            (None, Some(ours)) if CustomerSettings::name_in(known, $from.shop, ours).is_none() => {
                Known::First(ours)
            }
            (None, _) => Known::New,
        };
        let (ours, rows) = match meant {
            Known::AsIs => return Ok(false),
            Known::Second(ours) => (ours, vec![$into]),
            Known::First(ours) => (ours, vec![$from]),
            Known::New => {
                let highest = $settings.$rows.iter().map(|row| row.id.0).max();
                let ours = $id(highest.unwrap_or(0) + 1);
                $settings.$rows.push($row {
                    id: ours,
                    name: $name.to_owned(),
                    $extra: $value,
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
    /// What `from` is called in the shop that orders go into. `name`: of a row of ours, if one has to be made. Answers
    /// whether anything changed.
    pub fn map(
        &mut self,
        what: Mappable,
        from: &NamedAt,
        into: &NamedAt,
        name: &str,
    ) -> Result<bool, NotMapped> {
        match what {
            Mappable::PaymentMethod => map_method!(
                self,
                from,
                into,
                name,
                payment_methods,
                payment_method_service_identifiers,
                PaymentMethod { product_id: None },
                PaymentMethodId,
                PaymentMethodServiceIdentifier,
                payment_method_id
            ),
            Mappable::ShippingMethod => map_method!(
                self,
                from,
                into,
                name,
                shipping_methods,
                shipping_method_service_identifiers,
                ShippingMethod { product_id: None },
                ShippingMethodId,
                ShippingMethodServiceIdentifier,
                shipping_method_id
            ),
            Mappable::PaymentTerm => map_method!(
                self,
                from,
                into,
                name,
                payment_terms,
                payment_term_service_identifiers,
                // The receiver knows its own.
                PaymentTerm { due_days: 0 },
                PaymentTermId,
                PaymentTermServiceIdentifier,
                payment_term_id
            ),
            Mappable::TaxRate => self.map_rate(from, into),
            Mappable::Country => self.map_country(from, into),
        }
    }

    fn map_country(&mut self, from: &NamedAt, into: &NamedAt) -> Result<bool, NotMapped> {
        let read = |at: &NamedAt| {
            let country = at.id.as_str().trim().to_ascii_uppercase();
            if is_country(&country) {
                Ok(country)
            } else {
                Err(NotMapped::Unreadable(at.id.to_string()))
            }
        };
        let (country, into) = (read(from)?, read(into)?);
        let orders = &mut self.policies.orders;
        match orders.country_into(from.shop, &country) {
            Some(there) if there == into => Ok(false),
            Some(there) => Err(NotMapped::Already(there.to_owned())),
            None => {
                orders.countries.push(CountryInto {
                    shop: Some(from.shop),
                    country,
                    into,
                });
                Ok(true)
            }
        }
    }

    fn map_rate(&mut self, from: &NamedAt, into: &NamedAt) -> Result<bool, NotMapped> {
        let read = |at: &NamedAt| {
            let unreadable = || NotMapped::Unreadable(at.id.to_string());
            percent(at.id.as_str()).ok_or_else(unreadable)
        };
        let (rate, into) = (read(from)?.normalize(), read(into)?.normalize());
        let orders = &mut self.policies.orders;
        match orders.rate_into(from.shop, rate) {
            Some(there) if there == into => Ok(false),
            Some(there) => Err(NotMapped::Already(there.normalize().to_string())),
            None => {
                orders.tax_rates.push(RateInto {
                    shop: Some(from.shop),
                    rate,
                    into,
                });
                Ok(true)
            }
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

    fn at(shop: ShopId, id: &str) -> NamedAt {
        NamedAt {
            shop,
            id: id.into(),
        }
    }

    fn map(settings: &mut CustomerSettings, from: NamedAt, into: &str) -> Result<bool, NotMapped> {
        settings.map(
            Mappable::PaymentMethod,
            &from,
            &at(ERP, into),
            from.id.as_str(),
        )
    }

    fn called(settings: &CustomerSettings, from: &NamedAt) -> Option<String> {
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
            Err(NotMapped::Already("card".into()))
        );
        assert_eq!(settings, before);
    }

    #[test]
    fn a_term_that_nobody_knew_becomes_one_of_ours_at_the_end_of_the_list() {
        let mut settings = settings();
        settings.payment_terms.push(PaymentTerm {
            id: PaymentTermId(4),
            name: "14 days".into(),
            due_days: 14,
        });
        let from = at(WEB, "net30");
        let said = settings.map(Mappable::PaymentTerm, &from, &at(ERP, "30d"), "30 days net");
        assert_eq!(said, Ok(true));
        let names: Vec<&str> = settings
            .payment_terms
            .iter()
            .map(|term| term.name.as_str())
            .collect();
        // The first one counts for orders that name none.
        assert_eq!(names, ["14 days", "30 days net"]);
        let rows = &settings.payment_term_service_identifiers;
        let ours = CustomerSettings::named(rows, WEB, "net30").unwrap();
        assert_eq!(CustomerSettings::name_in(rows, ERP, ours), Some("30d"));
    }

    #[test]
    fn a_rate_is_mapped_for_its_shop_and_written_as_people_write_it() {
        let mut settings = settings();
        let mut map =
            |from: NamedAt, into: &str| settings.map(Mappable::TaxRate, &from, &at(ERP, into), "");
        assert_eq!(map(at(WEB, "24"), "25,5 %"), Ok(true));
        assert_eq!(map(at(WEB, "24.0"), "25.50"), Ok(false));
        assert_eq!(
            map(at(WEB, "24"), "10"),
            Err(NotMapped::Already("25.5".into()))
        );
        assert_eq!(map(at(OTHER, "24"), "10"), Ok(true));
        assert_eq!(
            map(at(WEB, "x"), "10"),
            Err(NotMapped::Unreadable("x".into()))
        );
        let orders = &settings.policies.orders;
        let into = |shop| orders.rate_into(shop, Decimal::from(24));
        assert_eq!(into(WEB), Some(Decimal::new(255, 1)));
        assert_eq!(into(OTHER), Some(Decimal::TEN));
        assert_eq!(into(ERP), None);
    }

    #[test]
    fn a_country_is_mapped_for_its_shop() {
        let mut settings = settings();
        let mut map =
            |from, into: &str| settings.map(Mappable::Country, &at(WEB, from), &at(ERP, into), "");
        assert_eq!(map("AX", "fi"), Ok(true));
        assert_eq!(map("ax", "FI"), Ok(false));
        assert_eq!(map("AX", "SE"), Err(NotMapped::Already("FI".into())));
        assert_eq!(
            map("Åland", "FI"),
            Err(NotMapped::Unreadable("Åland".into()))
        );
        let orders = &settings.policies.orders;
        assert_eq!(orders.country_into(WEB, "AX"), Some("FI"));
        assert_eq!(orders.country_into(OTHER, "AX"), None);
    }

    #[test]
    fn every_kind_is_read_by_its_name() {
        for what in Mappable::ALL {
            assert_eq!(Mappable::parse(what.word()), Some(what));
            let json = serde_json::to_value(what).unwrap();
            assert_eq!(json, what.word());
        }
    }
}
