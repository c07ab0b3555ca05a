//! What must not be guessed: which record of ours a record of a shop is.

use super::decide::Ids;
use lockstep_model::cases::{Cluster, Staged};
use lockstep_model::entry::{AsideSubject, Body, Conflict, Subject};
use lockstep_model::{Fault, FaultKind, RecordId, ShopId};
use std::collections::BTreeMap;

/// What must not be guessed: one record of a shop that could be several of ours, or the other way round.
pub(super) fn doubt(cluster: &Cluster, ids: &mut Ids<'_>) -> Option<Vec<Body>> {
    let mut by_shop: BTreeMap<ShopId, Vec<&Staged>> = BTreeMap::new();
    for row in &cluster.staged {
        by_shop.entry(row.shop).or_default().push(row);
    }
    let mut bodies = Vec::new();
    for (shop, rows) in &by_shop {
        // Two rows of one shop, or one that is new while another record of that shop holds the link.
        let linked_elsewhere = cluster.known.iter().any(|known| {
            known.shops.get(shop).is_some_and(|at| {
                !at.gone
                    && at.id.as_ref().is_some_and(|id| {
                        rows.iter().any(|row| row.id != *id && row.linked.is_none())
                    })
            })
        });
        if rows.len() < 2 && !linked_elsewhere {
            continue;
        }
        let key = rows
            .first()
            .and_then(|row| row.keys.first())
            .cloned()
            .unwrap_or_default();
        for row in rows {
            bodies.push(aside_for_same_key(*shop, row, &key));
        }
    }
    if bodies.is_empty() && cluster.known.len() > 1 {
        let candidates: Vec<RecordId> = cluster.known.iter().map(|known| known.record).collect();
        let already = cluster
            .known
            .iter()
            .any(|known| !known.conflicts.is_empty());
        if !already && let (Some(first), Some(row)) = (candidates.first(), cluster.staged.first()) {
            bodies.push(Body::ConflictOpened {
                conflict: ids.conflict(),
                subject: Subject::Record(*first),
                about: Conflict::DoubtfulMatch {
                    shop: row.shop,
                    id: row.id.clone(),
                    candidates,
                },
            });
        }
        return Some(bodies);
    }
    (!bodies.is_empty()).then_some(bodies)
}

fn aside_for_same_key(shop: ShopId, row: &Staged, key: &str) -> Body {
    let message = format!(
        "two records of this shop bear the key \"{key}\" (one of them is its {}): neither is synced until one of \
         them has another key or is deleted in the shop",
        row.id
    );
    Body::Aside {
        shop,
        subject: AsideSubject::Remote {
            kind: row.kind,
            id: Some(row.id.clone()),
        },
        fault: Fault::new(FaultKind::Invalid { field: None }, message)
            .about(key)
            .at(shop),
        retry_at: None,
        tries: 0,
    }
}
