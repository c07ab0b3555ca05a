//! The rows of the search box that follow from journal entries.

use lockstep_model::{
    OrderKey, ShopId,
    entry::{Body, Entry},
};
use lockstep_storage::{ORDER, SearchRow};
use sha2::{Digest, Sha256};

pub fn rows(entries: &[Entry]) -> Vec<SearchRow> {
    entries.iter().flat_map(of_one).collect()
}

fn of_one(entry: &Entry) -> Vec<SearchRow> {
    match &entry.body {
        Body::Merged(merged) => merged
            .keys
            .iter()
            .map(|key| SearchRow {
                kind: merged.kind.as_str().to_owned(),
                record: merged.record.0,
                key: key.replace('\u{1f}', " › "),
                title: merged.title.clone(),
            })
            .collect(),
        // By the number that the buyer was told, and by the one that its copy bears. Who he is stands nowhere here.
        Body::OrderSeen {
            shop, order, state, ..
        } => vec![SearchRow {
            kind: ORDER.to_owned(),
            record: place(order, *shop),
            key: state.number.clone(),
            title: order.to_string(),
        }],
        _ => Vec::new(),
    }
}

/// Two shops may give out the same number; orders have no number of ours.
fn place(order: &OrderKey, shop: ShopId) -> u64 {
    let hash = Sha256::digest(format!("{order} at {shop}"));
    let first = hash.first_chunk::<8>().copied().unwrap_or_default();
    // The database counts with a sign.
    u64::from_be_bytes(first) >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h5_orders_of_one_number_in_two_shops_are_two() {
        let order = |shop| OrderKey::parse(&format!("lockstep:7:{shop}:5001")).unwrap();
        let here = place(&order(2), ShopId(2));
        assert_ne!(here, place(&order(3), ShopId(3)));
        assert_ne!(here, place(&order(2), ShopId(1)), "its copy bears another");
        assert_eq!(here, place(&order(2), ShopId(2)));
        assert!(i64::try_from(here).is_ok());
    }
}
