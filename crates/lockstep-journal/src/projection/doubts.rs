//! Shops' records of which it is open which of ours they are, and what people said of them.

use crate::JournalError;
use crate::columns::{int, kind_code};
use lockstep_model::entry::MatchAnswer;
use lockstep_model::{Kind, RecordId, RemoteId, ShopId};
use rusqlite::{Connection, params};

pub(super) fn doubted(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
    candidates: &[RecordId],
    by_sku: bool,
) -> Result<(), JournalError> {
    forget(connection, shop, kind, id)?;
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO doubt(shop, kind, id, record, by_sku, answer) VALUES (?1, ?2, ?3, ?4, ?5, NULL)",
    )?;
    for record in candidates {
        insert.execute(params![
            int(shop.0),
            kind_code(kind),
            id.0,
            int(record.0),
            by_sku
        ])?;
    }
    Ok(())
}

/// The records that it could have been: they are due again.
pub(super) fn answered(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
    answer: MatchAnswer,
) -> Result<Vec<i64>, JournalError> {
    let place = params![int(shop.0), kind_code(kind), id.0];
    let candidates: Vec<i64> = connection
        .prepare_cached("SELECT record FROM doubt WHERE shop = ?1 AND kind = ?2 AND id = ?3")?
        .query_map(place, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let answer = match answer {
        MatchAnswer::Is { record } => int(record.0),
        MatchAnswer::NoneOfOurs => 0,
        MatchAnswer::Over => {
            forget(connection, shop, kind, id)?;
            return Ok(candidates);
        }
    };
    connection
        .prepare_cached("UPDATE doubt SET answer = ?4 WHERE shop = ?1 AND kind = ?2 AND id = ?3")?
        .execute(params![int(shop.0), kind_code(kind), id.0, answer])?;
    for record in &candidates {
        let record = RecordId(crate::columns::id(*record));
        super::catalogue::due_where_linked(connection, record)?;
    }
    Ok(candidates)
}

fn forget(
    connection: &Connection,
    shop: ShopId,
    kind: Kind,
    id: &RemoteId,
) -> Result<(), JournalError> {
    connection
        .prepare_cached("DELETE FROM doubt WHERE shop = ?1 AND kind = ?2 AND id = ?3")?
        .execute(params![int(shop.0), kind_code(kind), id.0])?;
    Ok(())
}
