//! Which of the shops' stocks is which of ours.

use lockstep_model::entry::StockMapping;
use lockstep_model::settings::CustomerSettings;
use lockstep_model::{RemoteId, ShopId, ShopIdentity};
use std::collections::BTreeMap;

/// By the settings. A shop without a word about it means its first stock, and by that the first that it sells from; the
/// others of that shop are not kept in step.
pub fn stock_mapping(
    settings: &CustomerSettings,
    identities: &BTreeMap<ShopId, ShopIdentity>,
) -> StockMapping {
    let mut mapping = StockMapping {
        default: Some(settings.customer.stock_id.unwrap_or_default()),
        ..StockMapping::default()
    };
    for (service, _) in settings.shops() {
        let home = settings.home_stock(service.id);
        let named = settings
            .stock_service_identifiers
            .iter()
            .filter(|row| row.service_id == service.id)
            .map(|row| (RemoteId::from(row.identifier.as_str()), row.stock_id));
        let mut map: BTreeMap<_, _> = named.collect();
        if map.is_empty() {
            let stocks = identities.get(&service.id).map(|identity| &identity.stocks);
            let first = stocks.and_then(|stocks| stocks.first());
            map.extend(first.map(|stock| (stock.id.clone(), home)));
        }
        mapping.homes.insert(service.id, home);
        if !map.is_empty() {
            mapping.shops.insert(service.id, map);
        }
    }
    mapping
}
