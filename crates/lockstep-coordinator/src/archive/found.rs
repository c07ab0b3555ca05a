//! The rows of the search box that follow from journal entries.

use lockstep_model::{
    OrderKey,
    entry::{Body, Entry},
};
use lockstep_storage::SearchRow;

pub const ORDER: &str = "order";

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
        // By the number that the buyer was told. Who he is stands nowhere here.
        Body::OrderSeen {
            shop, order, state, ..
        } if *shop == order.shop => vec![SearchRow {
            kind: ORDER.to_owned(),
            record: 0,
            key: state.number.clone(),
            title: order_title(order),
        }],
        _ => Vec::new(),
    }
}

fn order_title(order: &OrderKey) -> String {
    order.to_string()
}
