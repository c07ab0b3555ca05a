//! What must be true of a customer's settings as a whole. Problems are for people: each names the place
//! and says what to do.

use super::bounds::{PROBLEMS_MAX, ROWS_MAX, TEXT_CHARS_MAX};
use super::{
    ALLOW_INSECURE, CustomerSettings, FieldGroup, Identifier, Policy, Service, ShopRole, StockMode,
};
use crate::ids::ShopId;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display},
    net::IpAddr,
};

/// Something that keeps settings from being saved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Where: `stockServiceIdentifiers[2].serviceId`.
    pub path: String,
    pub message: String,
}

impl Problem {
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Problem {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// As many as a person reads; the rest is counted.
pub(super) fn shortened(mut found: Vec<Problem>) -> Vec<Problem> {
    if found.len() > PROBLEMS_MAX {
        let more = found.len() - PROBLEMS_MAX;
        found.truncate(PROBLEMS_MAX);
        found.push(Problem::new("", format!("and {more} more")));
    }
    found
}

impl CustomerSettings {
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let mut found = Vec::new();
        if !self.check_bounds(&mut found) {
            return Err(shortened(found));
        }
        self.check_customer(&mut found);
        self.check_services(&mut found);
        self.check_ids(&mut found);
        self.check_identifiers(&mut found);
        self.check_policies(&mut found);
        if found.is_empty() {
            Ok(())
        } else {
            Err(shortened(found))
        }
    }

    fn check_customer(&self, found: &mut Vec<Problem>) {
        let customer = &self.customer;
        if customer.name.trim().is_empty() {
            found.push(Problem::new("customer.name", "a customer needs a name"));
        }
        for (path, text) in [
            ("customer.name", &customer.name),
            ("customer.username", &customer.username),
            ("customer.email", &customer.email),
        ] {
            if text.chars().count() > TEXT_CHARS_MAX {
                let message = format!("longer than {TEXT_CHARS_MAX} characters");
                found.push(Problem::new(path, message));
            }
        }
        if !customer.email.is_empty() && !looks_like_an_address(&customer.email) {
            found.push(Problem::new(
                "customer.email",
                format!("\"{}\" is not an e-mail address", customer.email),
            ));
        }
        if customer.create_root_category && customer.root_category_id.is_some() {
            found.push(Problem::new(
                "customer.rootCategoryId",
                "either a root category is made (createRootCategory) or this one is used, not both",
            ));
        }
        if let Some(branch) = customer.branch_id
            && !self.branches.iter().any(|row| row.id == branch)
        {
            found.push(Problem::new(
                "customer.branchId",
                dangling("branch", branch, "branches"),
            ));
        }
        if let Some(stock) = customer.stock_id
            && !self.stocks.iter().any(|row| row.id == stock)
        {
            found.push(Problem::new(
                "customer.stockId",
                dangling("stock", stock, "stocks"),
            ));
        }
    }

    fn check_services(&self, found: &mut Vec<Problem>) {
        for (at, service) in self.services.iter().enumerate() {
            let path = format!("services[{at}]");
            if service.name.trim().is_empty() {
                found.push(Problem::new(format!("{path}.name"), "a shop needs a name"));
            }
            if service.platform.trim().is_empty() {
                found.push(Problem::new(
                    format!("{path}.platform"),
                    "say which platform this shop is on",
                ));
            }
            if let Some(message) = url_problem(service) {
                found.push(Problem::new(format!("{path}.url"), message));
            }
        }
        let mut linked = BTreeMap::new();
        for (at, link) in self.customer_has_services.iter().enumerate() {
            let path = format!("customerHasServices[{at}]");
            if link.customer_id != self.customer.id {
                found.push(Problem::new(
                    format!("{path}.customerId"),
                    format!(
                        "is {}, but these are the settings of customer {}",
                        link.customer_id, self.customer.id
                    ),
                ));
            }
            self.check_shop(found, format!("{path}.serviceId"), link.service_id);
            if let Some(first) = linked.insert(link.service_id, at) {
                found.push(Problem::new(
                    format!("{path}.serviceId"),
                    format!(
                        "shop {} is linked already, by customerHasServices[{first}]",
                        link.service_id
                    ),
                ));
            }
            if let Some(currency) = &link.currency
                && !is_currency(currency.as_str())
            {
                found.push(Problem::new(
                    format!("{path}.currency"),
                    bad_currency(currency.as_str()),
                ));
            }
            if let Some(country) = &link.country
                && !(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
            {
                found.push(Problem::new(
                    format!("{path}.country"),
                    format!("\"{country}\" is not a country's two letters, as in \"FI\""),
                ));
            }
            let mut seen = BTreeSet::new();
            for (nth, stock) in link.sells_from.iter().enumerate() {
                let path = format!("{path}.sellsFrom[{nth}]");
                if !self.stocks.iter().any(|row| row.id == *stock) {
                    found.push(Problem::new(path, dangling("stock", stock, "stocks")));
                } else if !seen.insert(*stock) {
                    found.push(Problem::new(
                        path,
                        format!("stock {stock} stands here twice"),
                    ));
                }
            }
        }
        for (at, link) in self.customer_has_services.iter().enumerate() {
            let path = format!("customerHasServices[{at}].transform");
            link.picks.check(
                found,
                &format!("customerHasServices[{at}]"),
                link.assortment,
            );
            let transform = &link.transform;
            transform.check(found, &path, link.service_id, &self.policies);
        }
        let erps: Vec<_> = self
            .customer_has_services
            .iter()
            .filter(|link| link.role == ShopRole::Erp)
            .collect();
        if let [_, second, ..] = erps.as_slice() {
            found.push(Problem::new(
                "customerHasServices",
                format!(
                    "there are {} ERPs; shop {} must be a shop",
                    erps.len(),
                    second.service_id
                ),
            ));
        }
    }

    fn check_ids(&self, found: &mut Vec<Problem>) {
        unique(found, "services", self.services.iter().map(|row| row.id));
        unique(
            found,
            "customerHasServices",
            self.customer_has_services.iter().map(|row| row.id),
        );
        unique(found, "branches", self.branches.iter().map(|row| row.id));
        unique(found, "stocks", self.stocks.iter().map(|row| row.id));
        unique(
            found,
            "shopVersions",
            self.shop_versions.iter().map(|row| row.id),
        );
        unique(
            found,
            "activeShopVersions",
            self.active_shop_versions.iter().map(|row| row.id),
        );
        unique(
            found,
            "shippingMethods",
            self.shipping_methods.iter().map(|row| row.id),
        );
        unique(
            found,
            "paymentTerms",
            self.payment_terms.iter().map(|row| row.id),
        );
        unique(
            found,
            "paymentMethods",
            self.payment_methods.iter().map(|row| row.id),
        );
        unique(found, "shelves", self.shelves.iter().map(|row| row.id));
        for (at, shelf) in self.shelves.iter().enumerate() {
            if let Some(stock) = shelf.stock_id
                && !self.stocks.iter().any(|row| row.id == stock)
            {
                let path = format!("shelves[{at}].stockId");
                found.push(Problem::new(path, dangling("stock", stock, "stocks")));
            }
        }
        for (at, version) in self.shop_versions.iter().enumerate() {
            if let Some(currency) = &version.currency
                && !is_currency(currency.as_str())
            {
                let path = format!("shopVersions[{at}].currency");
                found.push(Problem::new(path, bad_currency(currency.as_str())));
            }
        }
        for (at, active) in self.active_shop_versions.iter().enumerate() {
            let path = format!("activeShopVersions[{at}]");
            if !self
                .shop_versions
                .iter()
                .any(|row| row.id == active.shop_version_id)
            {
                found.push(Problem::new(
                    format!("{path}.shopVersionId"),
                    dangling("shop version", active.shop_version_id, "shopVersions"),
                ));
            }
            if let Some(shop) = active.service_id {
                self.check_shop(found, format!("{path}.serviceId"), shop);
            }
        }
    }

    fn check_identifiers(&self, found: &mut Vec<Problem>) {
        macro_rules! section {
            ($identifiers:ident $name:literal of $rows:ident $rows_name:literal, $what:literal) => {
                section!($identifiers $name of $rows $rows_name, $what, None)
            };
            ($identifiers:ident $name:literal of $rows:ident $rows_name:literal, $what:literal, $gathers:expr) => {
                self.check_section(
                    found,
                    $name,
                    $what,
                    $rows_name,
                    self.$identifiers.iter().map(|row| row.id),
                    &self.$identifiers,
                    &self.$rows.iter().map(|row| row.id).collect(),
                    $gathers,
                )
            };
        }
        // Orders go one way: several of the shops' methods, or terms, may be one in the shop that takes them.
        let gathers = self.policies.orders.into;
        section!(branch_service_identifiers "branchServiceIdentifiers" of branches "branches", "branch");
        section!(stock_service_identifiers "stockServiceIdentifiers" of stocks "stocks", "stock");
        section!(shop_version_service_identifiers "shopVersionServiceIdentifiers" of shop_versions "shopVersions", "shop version");
        section!(shipping_method_service_identifiers "shippingMethodServiceIdentifiers" of shipping_methods "shippingMethods", "shipping method", gathers);
        section!(payment_term_service_identifiers "paymentTermServiceIdentifiers" of payment_terms "paymentTerms", "payment term", gathers);
        section!(payment_method_service_identifiers "paymentMethodServiceIdentifiers" of payment_methods "paymentMethods", "payment method", gathers);
        section!(shelf_service_identifiers "shelfServiceIdentifiers" of shelves "shelves", "shelf");
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call per section, from one macro above"
    )]
    fn check_section<I: Identifier>(
        &self,
        found: &mut Vec<Problem>,
        section: &str,
        what: &str,
        whats: &str,
        row_ids: impl Iterator<Item = super::RowId>,
        rows: &[I],
        known: &BTreeSet<I::Of>,
        gathers: Option<ShopId>,
    ) where
        I::Of: fmt::Display,
    {
        unique(found, section, row_ids);
        let mut meanings: BTreeMap<(ShopId, &str), (usize, I::Of)> = BTreeMap::new();
        let mut names: BTreeMap<(ShopId, I::Of), usize> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let path = format!("{section}[{at}]");
            self.check_shop(found, format!("{path}.serviceId"), row.service_id());
            if !known.contains(&row.of()) {
                found.push(Problem::new(path.clone(), dangling(what, row.of(), whats)));
            }
            let identifier = row.identifier();
            if identifier.is_empty() || identifier.chars().count() > TEXT_CHARS_MAX {
                found.push(Problem::new(
                    format!("{path}.identifier"),
                    format!("an identifier has 1 to {TEXT_CHARS_MAX} characters"),
                ));
            }
            if let Some((first, _)) =
                meanings.insert((row.service_id(), identifier), (at, row.of()))
                && gathers != Some(row.service_id())
            {
                found.push(Problem::new(
                    format!("{path}.identifier"),
                    format!(
                        "\"{identifier}\" in shop {} stands in {section}[{first}] already: one identifier names one {what}",
                        row.service_id()
                    ),
                ));
            } else if let Some(first) = names.insert((row.service_id(), row.of()), at) {
                found.push(Problem::new(
                    path,
                    format!(
                        "{what} {} has an identifier in shop {} already, in {section}[{first}]",
                        row.of(),
                        row.service_id()
                    ),
                ));
            }
        }
    }

    fn check_policies(&self, found: &mut Vec<Problem>) {
        let policies = &self.policies;
        for group in FieldGroup::ALL {
            if let Policy::Owner(shop) = policies.of(group) {
                self.check_linked(found, format!("policies.{}", group_name(group)), shop);
            }
        }
        for (at, shop) in policies.rank.iter().enumerate() {
            let path = format!("policies.rank[{at}]");
            if policies.rank.iter().take(at).any(|other| other == shop) {
                found.push(Problem::new(path, format!("shop {shop} stands here twice")));
            } else {
                self.check_linked(found, path, *shop);
            }
        }
        if let StockMode::Owned { owner } = policies.stock.mode {
            self.check_linked(found, "policies.stock.mode.owned.owner".into(), owner);
        }
        for (shop, units) in &policies.stock.buffer {
            let path = format!("policies.stock.buffer.{shop}");
            self.check_linked(found, path.clone(), *shop);
            if units.is_sign_negative() {
                found.push(Problem::new(path, "a buffer is not below zero"));
            }
        }
        if let Some(into) = policies.orders.into {
            self.check_linked(found, "policies.orders.into".into(), into);
        }
        for (at, gate) in policies.orders.gates.iter().enumerate() {
            if let Some(shop) = gate.shop {
                self.check_linked(found, format!("policies.orders.gates[{at}].shop"), shop);
            }
        }
        self.check_tax_rates(found);
        self.check_countries(found);
        for (path, percent) in [
            (
                "policies.limits.archivePercentMax",
                policies.limits.archive_percent_max,
            ),
            (
                "policies.limits.priceMovePercentMax",
                policies.limits.price_move_percent_max,
            ),
        ] {
            if percent > 1_000 {
                found.push(Problem::new(
                    path,
                    format!("{percent} % is not a limit; at most 1000"),
                ));
            }
        }
    }

    fn check_tax_rates(&self, found: &mut Vec<Problem>) {
        let list = "policies.orders.taxRates";
        let rows = &self.policies.orders.tax_rates;
        let keys = rows.iter().map(|row| (row.shop, row.rate.normalize()));
        self.check_mapped(found, list, ("rate", " %"), keys);
        for (at, row) in rows.iter().enumerate().take(ROWS_MAX) {
            for (name, rate) in [("rate", row.rate), ("into", row.into)] {
                if rate.is_sign_negative() || rate > Decimal::ONE_HUNDRED {
                    found.push(Problem::new(
                        format!("{list}[{at}].{name}"),
                        format!("{rate} is not a tax rate in percent"),
                    ));
                }
            }
        }
    }

    fn check_countries(&self, found: &mut Vec<Problem>) {
        let list = "policies.orders.countries";
        let rows = &self.policies.orders.countries;
        let keys = rows.iter().map(|row| (row.shop, &row.country));
        self.check_mapped(found, list, ("country", ""), keys);
        for (at, row) in rows.iter().enumerate().take(ROWS_MAX) {
            for (name, country) in [("country", &row.country), ("into", &row.into)] {
                if !is_country(country) {
                    found.push(Problem::new(
                        format!("{list}[{at}].{name}"),
                        format!("\"{country}\" is not a country's two letters, as in \"FI\""),
                    ));
                }
            }
        }
    }

    /// A list that maps each of a shop's values once. `key`: the field that holds it, and its unit.
    fn check_mapped<K: Ord + Clone + Display>(
        &self,
        found: &mut Vec<Problem>,
        list: &str,
        (key, unit): (&str, &str),
        rows: impl ExactSizeIterator<Item = (Option<ShopId>, K)>,
    ) {
        if rows.len() > ROWS_MAX {
            found.push(Problem::new(list, format!("more than {ROWS_MAX} rows")));
            return;
        }
        let mut first = BTreeMap::new();
        for (at, (shop, value)) in rows.enumerate() {
            if let Some(shop) = shop {
                self.check_linked(found, format!("{list}[{at}].shop"), shop);
            }
            if let Some(before) = first.insert((shop, value.clone()), at) {
                found.push(Problem::new(
                    format!("{list}[{at}].{key}"),
                    format!("{value}{unit} is mapped already, in {list}[{before}]"),
                ));
            }
        }
    }

    fn check_shop(&self, found: &mut Vec<Problem>, path: String, shop: ShopId) {
        if self.service(shop).is_none() {
            found.push(Problem::new(path, dangling("shop", shop, "services")));
        }
    }

    fn check_linked(&self, found: &mut Vec<Problem>, path: String, shop: ShopId) {
        if self.service(shop).is_none() {
            found.push(Problem::new(path, dangling("shop", shop, "services")));
        } else if self.link(shop).is_none() {
            found.push(Problem::new(
                path,
                format!(
                    "shop {shop} is not linked to this customer; add it to customerHasServices"
                ),
            ));
        }
    }
}

fn unique<I: Ord + Copy + fmt::Display>(
    found: &mut Vec<Problem>,
    section: &str,
    ids: impl Iterator<Item = I>,
) {
    let mut first = BTreeMap::new();
    for (at, id) in ids.enumerate() {
        if at >= ROWS_MAX {
            found.push(Problem::new(section, format!("more than {ROWS_MAX} rows")));
            return;
        }
        if let Some(before) = first.insert(id, at) {
            found.push(Problem::new(
                format!("{section}[{at}].id"),
                format!("id {id} is taken by {section}[{before}]"),
            ));
        }
    }
}

fn dangling(what: &str, id: impl fmt::Display, section: &str) -> String {
    format!("there is no {what} {id} in {section}")
}

pub(super) fn group_name(group: FieldGroup) -> &'static str {
    match group {
        FieldGroup::Texts => "texts",
        FieldGroup::Prices => "prices",
        FieldGroup::Status => "status",
        FieldGroup::Categories => "categories",
        FieldGroup::Pictures => "pictures",
        FieldGroup::Variants => "variants",
        FieldGroup::Attributes => "attributes",
        FieldGroup::Identifiers => "identifiers",
    }
}

pub(super) fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

pub(super) fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

pub(super) fn bad_currency(text: &str) -> String {
    format!("\"{text}\" is not a currency's three letters, as in \"EUR\"")
}

/// Good enough to catch a slip; only a mail proves an address.
fn looks_like_an_address(text: &str) -> bool {
    match text.split_once('@') {
        Some((local, domain)) => {
            !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && !domain.starts_with('.')
                && !domain.ends_with('.')
                && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        }
        None => false,
    }
}

fn url_problem(service: &Service) -> Option<String> {
    bare_url_problem(&service.url, service.option_is_on(ALLOW_INSECURE))
}

/// Why this cannot be a shop's address; `None` if it can. Plain HTTP would carry its credentials in
/// clear, so it is for this machine alone unless a person says otherwise.
pub fn bare_url_problem(url: &str, allow_insecure: bool) -> Option<String> {
    let shape = |why: &str| Some(format!("\"{url}\" is not an address of a shop: {why}"));
    if url.chars().count() > 2_048 {
        return Some("an address has at most 2048 characters".into());
    }
    let uri = match url.parse::<http::Uri>() {
        Ok(uri) => uri,
        Err(error) => return shape(&error.to_string()),
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return shape("it starts with https:// and names a host");
    };
    if authority.as_str().contains('@') {
        return Some("an address carries no password; put it into the credentials".into());
    }
    let host = authority.host();
    if host.is_empty() {
        return shape("it names no host");
    }
    if authority.as_str().len() > host.len() && authority.port_u16().is_none() {
        return shape("the port is not a number up to 65535");
    }
    match scheme {
        "https" => None,
        "http" if allow_insecure || is_loopback(host) => None,
        "http" => Some(format!(
            "plain http would send the shop's credentials in clear to {host}; use https, or set the option {ALLOW_INSECURE} if you accept that"
        )),
        _ => shape("it starts with https://"),
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;
    use crate::ids::{CustomerId, ShopId};

    fn two_shops() -> CustomerSettings {
        let mut settings = CustomerSettings::new(Customer::new(CustomerId(1), "Kahvila Oy"));
        for (id, name, role) in [(1, "ERP", ShopRole::Erp), (2, "Web", ShopRole::Shop)] {
            let id = ShopId(id);
            settings
                .services
                .push(Service::new(id, name, "practice", "http://127.0.0.1:9"));
            settings.customer_has_services.push(CustomerHasService::new(
                RowId(id.0),
                CustomerId(1),
                id,
                role,
            ));
        }
        settings.policies = Policies::owned_by(ShopId(1));
        settings
    }

    fn problems(change: impl FnOnce(&mut CustomerSettings)) -> Vec<String> {
        let mut settings = two_shops();
        change(&mut settings);
        let found = settings.validate().err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn sound_settings_have_no_problem() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn an_id_that_leads_nowhere_is_named() {
        assert_eq!(
            problems(|settings| {
                settings.customer.branch_id = Some(BranchId(9));
                settings.policies.prices = Policy::Owner(ShopId(5));
            }),
            [
                "customer.branchId: there is no branch 9 in branches",
                "policies.prices: there is no shop 5 in services",
            ]
        );
    }

    #[test]
    fn one_identifier_names_one_thing() {
        let row = |id, stock_id, identifier: &str| StockServiceIdentifier {
            id: RowId(id),
            stock_id: StockId(stock_id),
            service_id: ShopId(2),
            identifier: identifier.into(),
        };
        let stocks = |settings: &mut CustomerSettings| {
            settings.stocks = [1, 2]
                .map(|id| Stock {
                    id: StockId(id),
                    name: "main".into(),
                })
                .to_vec();
        };
        assert_eq!(
            problems(|settings| {
                stocks(settings);
                settings.stock_service_identifiers = vec![row(1, 1, "loc_1"), row(2, 2, "loc_1")];
            }),
            [
                "stockServiceIdentifiers[1].identifier: \"loc_1\" in shop 2 stands in stockServiceIdentifiers[0] already: one identifier names one stock"
            ]
        );
        assert_eq!(
            problems(|settings| {
                stocks(settings);
                settings.stock_service_identifiers = vec![row(1, 1, "loc_1"), row(1, 1, "loc_2")];
            }),
            [
                "stockServiceIdentifiers[1].id: id 1 is taken by stockServiceIdentifiers[0]",
                "stockServiceIdentifiers[1]: stock 1 has an identifier in shop 2 already, in stockServiceIdentifiers[0]",
            ]
        );
    }

    #[test]
    fn two_methods_or_terms_may_be_one_in_the_shop_that_orders_go_into() {
        let gathered = |into: Option<ShopId>| {
            problems(|settings| {
                settings.policies.orders.into = into;
                for id in [1, 2] {
                    settings.payment_methods.push(PaymentMethod {
                        id: PaymentMethodId(id),
                        name: "card".into(),
                        product_id: None,
                    });
                    settings.payment_method_service_identifiers.push(
                        PaymentMethodServiceIdentifier {
                            id: RowId(id),
                            payment_method_id: PaymentMethodId(id),
                            service_id: ShopId(2),
                            identifier: "card".into(),
                        },
                    );
                    settings.payment_terms.push(PaymentTerm {
                        id: PaymentTermId(id),
                        name: "30 days".into(),
                        due_days: 30,
                    });
                    settings
                        .payment_term_service_identifiers
                        .push(PaymentTermServiceIdentifier {
                            id: RowId(id),
                            payment_term_id: PaymentTermId(id),
                            service_id: ShopId(2),
                            identifier: "net30".into(),
                        });
                }
            })
        };
        assert_eq!(gathered(Some(ShopId(2))), Vec::<String>::new());
        assert_eq!(gathered(None).len(), 2);
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for url in [
            "https://shop.example",
            "http://127.0.0.1:80/x",
            "http://localhost",
            "http://[::1]:1/",
        ] {
            assert_eq!(bare_url_problem(url, false), None, "{url}");
        }
        for url in [
            "http://shop.example",
            "http://10.0.0.1",
            "shop.example",
            "",
            "https://",
            "ftp://shop.example",
            "https://me:pw@shop.example",
            "https://a b",
            "https://shop.example:99999999",
        ] {
            assert!(bare_url_problem(url, false).is_some(), "{url}");
        }
        assert_eq!(bare_url_problem("http://10.0.0.1", true), None);
    }

    #[test]
    fn an_address_without_a_domain_is_no_mail_address() {
        let problem = problems(|settings| settings.customer.email = "matti@".into());
        assert_eq!(
            problem,
            ["customer.email: \"matti@\" is not an e-mail address"]
        );
    }

    #[test]
    fn a_tax_rate_is_mapped_once_for_a_shop_and_is_a_rate() {
        let row = |shop, rate: i64, into: i64| RateInto {
            shop,
            rate: rate.into(),
            into: into.into(),
        };
        let problem = problems(|settings| {
            settings.policies.orders.tax_rates = vec![
                row(None, 24, 25),
                row(Some(ShopId(2)), 24, 25),
                row(Some(ShopId(2)), 24, 10),
                row(Some(ShopId(7)), 24, 250),
            ];
        });
        assert_eq!(
            problem,
            [
                "policies.orders.taxRates[2].rate: 24 % is mapped already, in policies.orders.taxRates[1]",
                "policies.orders.taxRates[3].shop: there is no shop 7 in services",
                "policies.orders.taxRates[3].into: 250 is not a tax rate in percent",
            ]
        );
    }

    #[test]
    fn a_country_is_mapped_once_for_a_shop_and_has_two_letters() {
        let row = |country: &str, into: &str| CountryInto {
            shop: None,
            country: country.into(),
            into: into.into(),
        };
        let problem = problems(|settings| {
            settings.policies.orders.countries =
                vec![row("AX", "FI"), row("AX", "SE"), row("Estonia", "FI")];
        });
        assert_eq!(
            problem,
            [
                "policies.orders.countries[1].country: AX is mapped already, in policies.orders.countries[0]",
                "policies.orders.countries[2].country: \"Estonia\" is not a country's two letters, as in \"FI\"",
            ]
        );
    }

    #[test]
    fn there_is_one_erp() {
        let problem = problems(|settings| settings.customer_has_services[1].role = ShopRole::Erp);
        assert_eq!(
            problem,
            ["customerHasServices: there are 2 ERPs; shop 2 must be a shop"]
        );
    }
}
