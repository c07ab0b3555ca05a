//! What a practice shop is told when it starts: who it is, where it keeps its data, and the lists of its identifiers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Serialize;

use crate::orders::lifecycle::Takes;
use crate::seed::Seed;

/// Something with an id and a name: a branch, a shelf, a payment method.
#[derive(Debug, Clone, Serialize)]
pub struct Named {
    pub id: String,
    pub name: String,
}

impl Named {
    pub fn new(id: &str, name: &str) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
        }
    }
}

/// A stock: a place that holds units.
pub type Location = Named;

/// A version of the shop for a language.
#[derive(Debug, Clone, Serialize)]
pub struct ShopVersion {
    pub id: String,
    pub name: String,
    pub language: String,
}

/// A shipping method, its price in the shop's tax mode, and the rate in per cent.
#[derive(Debug, Clone, Serialize)]
pub struct Method {
    pub id: String,
    pub name: String,
    pub price: crate::money::Money,
    pub tax_rate: crate::money::Percent,
}

/// When an invoice falls due.
#[derive(Debug, Clone, Serialize)]
pub struct PaymentTerm {
    pub id: String,
    pub name: String,
    pub days: u32,
}

/// A tax class and its rate in per cent.
#[derive(Debug, Clone, Serialize)]
pub struct Rate {
    pub id: String,
    pub name: String,
    pub rate: crate::money::Percent,
    pub country: String,
}

/// Everything a shop is started with. Begin with [`ShopConfig::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct ShopConfig {
    /// Port 0 asks for a free one.
    pub listen: SocketAddr,
    /// The folder of `practice-shop.sqlite`; made if it is missing.
    pub data: PathBuf,
    pub name: String,
    /// May read and write. Made at random for this start where missing; see `RunningShop::token`.
    pub token: Option<SecretString>,
    /// May only read.
    pub read_token: Option<SecretString>,
    pub takes: Takes,
    /// Sown once, into an empty folder.
    pub seed: Option<Seed>,
    /// ISO 4217.
    pub currency: String,
    /// IANA name.
    pub time_zone: String,
    pub country: String,
    /// The first is the language of `title` and `description`.
    pub languages: Vec<String>,
    pub prices_include_tax: bool,
    /// At least one; the first takes what names no other.
    pub stocks: Vec<Location>,
    pub shop_versions: Vec<ShopVersion>,
    pub shipping_methods: Vec<Method>,
    pub payment_methods: Vec<Named>,
    pub payment_terms: Vec<PaymentTerm>,
    pub branches: Vec<Named>,
    pub shelves: Vec<Named>,
    /// At least one; the first is the class of a product that names no other.
    pub tax_rates: Vec<Rate>,
    /// Countries that it sends to, ISO 3166 alpha-2. Empty: any.
    pub countries: Vec<String>,
    /// Before the dash of an order number. The name's initials where missing.
    pub order_prefix: Option<String>,
    /// How others reach this shop, if not by the address it listens on. Without a slash at the end.
    pub public_url: Option<String>,
    /// Failed tries in a row after which a hook is disabled.
    pub hook_failures_max: u32,
    /// It keeps other bytes of a picture than it is given, other ones each time, as shops do that resize and compress.
    pub re_encodes_pictures: bool,
}

impl ShopConfig {
    /// A Finnish shop that takes at placement, on a free loopback port, with nothing in it.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let percent = |text: &str| crate::money::Percent::known(text);
        let method = |id: &str, name: &str, price: &str| Method {
            id: id.into(),
            name: name.into(),
            price: crate::money::Money::known(price),
            tax_rate: percent("25.5"),
        };
        let term = |id: &str, name: &str, days| PaymentTerm {
            id: id.into(),
            name: name.into(),
            days,
        };
        let rate = |id: &str, rate: &str| Rate {
            id: id.into(),
            name: format!("VAT {rate} %"),
            rate: percent(rate),
            country: "FI".into(),
        };
        let version = |id: &str, name: &str| ShopVersion {
            id: id.into(),
            name: name.into(),
            language: id.into(),
        };
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: data.into(),
            name: "Practice shop".into(),
            token: None,
            read_token: None,
            takes: Takes::Placement,
            seed: None,
            currency: "EUR".into(),
            time_zone: "Europe/Helsinki".into(),
            country: "FI".into(),
            languages: vec!["en".into(), "fi".into()],
            prices_include_tax: true,
            stocks: vec![Named::new("main", "Main warehouse")],
            shop_versions: vec![version("en", "English"), version("fi", "Suomi")],
            shipping_methods: vec![
                method("post", "Post parcel", "4.90"),
                method("courier", "Courier", "9.90"),
                method("pickup", "Pick-up", "0.00"),
            ],
            payment_methods: vec![
                Named::new("card", "Card"),
                Named::new("invoice", "Invoice"),
                Named::new("bank", "Bank transfer"),
            ],
            payment_terms: vec![
                term("net14", "14 days net", 14),
                term("net30", "30 days net", 30),
            ],
            branches: vec![Named::new("web", "Web"), Named::new("helsinki", "Helsinki")],
            shelves: vec![
                Named::new("A-1", "Aisle A, shelf 1"),
                Named::new("A-2", "Aisle A, shelf 2"),
                Named::new("B-1", "Aisle B, shelf 1"),
            ],
            tax_rates: vec![
                rate("standard", "25.5"),
                rate("reduced", "13.5"),
                rate("low", "10"),
                rate("zero", "0"),
            ],
            countries: Vec::new(),
            order_prefix: None,
            public_url: None,
            hook_failures_max: 20,
            re_encodes_pictures: false,
        }
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.name.trim().is_empty() && self.name.chars().count() <= 100,
            "the shop needs a name of 1 to 100 characters"
        );
        anyhow::ensure!(!self.stocks.is_empty(), "the shop needs at least one stock");
        anyhow::ensure!(
            !self.languages.is_empty(),
            "the shop needs at least one language"
        );
        anyhow::ensure!(
            !self.tax_rates.is_empty(),
            "the shop needs at least one tax rate"
        );
        anyhow::ensure!(
            self.currency.len() == 3 && self.currency.chars().all(|c| c.is_ascii_uppercase()),
            "“{}” is no currency code; say three capitals, such as EUR",
            self.currency
        );
        for country in &self.countries {
            anyhow::ensure!(
                country.len() == 2 && country.chars().all(|c| c.is_ascii_uppercase()),
                "“{country}” is no country code; say two capitals, such as FI"
            );
        }
        jiff::tz::TimeZone::get(&self.time_zone).map_err(|error| {
            anyhow::anyhow!("the time zone “{}” is not known: {error}", self.time_zone)
        })?;
        Ok(())
    }

    pub(crate) fn number_prefix(&self) -> String {
        if let Some(prefix) = &self.order_prefix {
            return prefix.clone();
        }
        let words: Vec<&str> = self
            .name
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        let prefix: String = match words.as_slice() {
            [] => "S".into(),
            [one] => one.chars().take(3).collect(),
            many => many
                .iter()
                .filter_map(|word| word.chars().next())
                .take(6)
                .collect(),
        };
        prefix.to_uppercase()
    }

    pub(crate) fn main_stock(&self) -> &str {
        &self.stocks[0].id
    }

    pub(crate) fn sends_to(&self, country: &str) -> bool {
        let mut countries = self.countries.iter();
        self.countries.is_empty() || countries.any(|known| known.eq_ignore_ascii_case(country))
    }

    pub(crate) fn rate_of(&self, class: &str) -> Option<crate::money::Percent> {
        self.tax_rates
            .iter()
            .find(|rate| rate.id == class)
            .map(|rate| rate.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_numbers_begin_with_the_initials_of_the_shop() {
        for (name, prefix) in [("Web shop 1", "WS1"), ("ERP", "ERP"), ("Kauppa", "KAU")] {
            let config = ShopConfig {
                name: name.into(),
                ..ShopConfig::new("x")
            };
            assert_eq!(config.number_prefix(), prefix);
        }
    }

    #[test]
    fn a_shop_without_a_stock_or_with_an_unknown_time_zone_does_not_start() {
        let config = ShopConfig {
            stocks: vec![],
            ..ShopConfig::new("x")
        };
        assert!(config.check().is_err());
        let config = ShopConfig {
            time_zone: "Mars/Base".into(),
            ..ShopConfig::new("x")
        };
        assert!(config.check().is_err());
        let config = ShopConfig {
            countries: vec!["Finland".into()],
            ..ShopConfig::new("x")
        };
        assert!(config.check().is_err());
        assert!(ShopConfig::new("x").check().is_ok());
    }
}
