//! What waits to be sent. It is filled in the transaction of the change itself, so that no change is without its word.

use std::time::Duration;

use rusqlite::{Connection, params};
use serde::Serialize;

use super::covers;
use crate::bounds;
use crate::clock::{self, Stamp};
use crate::database::Writing;
use crate::problem::Problem;

/// Something changed.
#[derive(Debug)]
pub struct Notice {
    pub topic: &'static str,
    /// The record's id; for stock its SKU.
    pub record: String,
    pub at: Stamp,
}

#[derive(Serialize)]
struct Body<'b> {
    delivery: &'b str,
    topic: &'b str,
    shop: &'b str,
    id: &'b str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'b str>,
    at: String,
}

/// Queues the notices for each hook that wants them; says how many were queued. What waits already is not queued twice.
pub fn fill(db: &Connection, shop: &str, notices: &[Notice]) -> Result<usize, Problem> {
    if notices.is_empty() {
        return Ok(0);
    }
    let hooks: Vec<(i64, String)> = db
        .prepare_cached("SELECT id, topics FROM hook WHERE enabled = 1")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut queued = 0;
    for (hook, topics) in hooks {
        let topics: Vec<String> = serde_json::from_str(&topics)?;
        for notice in notices {
            if topics.iter().any(|topic| covers(topic, notice.topic)) {
                queued += queue(db, hook, shop, notice)?;
            }
        }
    }
    Ok(queued)
}

/// Queues one notice for one hook.
pub fn queue(db: &Connection, hook: i64, shop: &str, notice: &Notice) -> Result<usize, Problem> {
    let waits: bool = db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE hook_id = ?1 AND topic = ?2 AND record = ?3 AND flying = 0)",
        )?
        .query_row(params![hook, notice.topic, notice.record], |row| row.get(0))?;
    if waits {
        return Ok(0);
    }
    let delivery = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 12]>());
    let body = serde_json::to_string(&Body {
        delivery: &delivery,
        topic: notice.topic,
        shop,
        id: &notice.record,
        sku: (notice.topic == "stock.changed").then_some(notice.record.as_str()),
        at: clock::show(notice.at),
    })?;
    db.prepare_cached(
        "INSERT INTO outbox (hook_id, delivery, topic, record, body, tries, due, flying) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, 0)",
    )?
    .execute(params![hook, delivery, notice.topic, notice.record, body, notice.at.min(clock::now())])?;
    Ok(1)
}

/// A delivery that is being sent.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub row: i64,
    pub hook: i64,
    pub url: String,
    pub secret: secrecy::SecretString,
    pub delivery: String,
    pub topic: String,
    pub body: String,
    pub tries: u32,
}

/// What is due, taken off the queue: at most so many in flight for one hook. Also when to look again.
pub fn claim(w: &Writing<'_>, now: Stamp) -> Result<(Vec<Delivery>, Option<Duration>), Problem> {
    let hooks: Vec<(i64, String, String, i64)> = w
        .prepare_cached(
            "SELECT id, url, secret, (SELECT count(*) FROM outbox WHERE hook_id = hook.id AND flying = 1) FROM hook WHERE enabled = 1",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    let mut taken = Vec::new();
    let mut next: Option<Stamp> = None;
    for (hook, url, secret, flying) in hooks {
        let free = bounds::HOOKS_IN_FLIGHT as i64 - flying;
        if free <= 0 {
            continue;
        }
        let mut statement = w.prepare_cached(
            "SELECT id, delivery, topic, body, tries FROM outbox WHERE hook_id = ?1 AND flying = 0 AND due <= ?2 ORDER BY due, id LIMIT ?3",
        )?;
        let due = statement.query_map(params![hook, now, free], |row| {
            Ok(Delivery {
                row: row.get(0)?,
                hook,
                url: url.clone(),
                secret: secret.clone().into(),
                delivery: row.get(1)?,
                topic: row.get(2)?,
                body: row.get(3)?,
                tries: row.get(4)?,
            })
        })?;
        for delivery in due {
            let delivery = delivery?;
            w.prepare_cached("UPDATE outbox SET flying = 1 WHERE id = ?1")?
                .execute([delivery.row])?;
            taken.push(delivery);
        }
        let later: Option<Stamp> = w
            .prepare_cached(
                "SELECT min(due) FROM outbox WHERE hook_id = ?1 AND flying = 0 AND due > ?2",
            )?
            .query_row([hook, now], |row| row.get(0))?;
        next = [next, later].into_iter().flatten().min();
    }
    let wait = next.map(|due| Duration::from_micros((due - now).max(0) as u64));
    Ok((taken, wait))
}

/// Drops all that waits: hooks are blocked, and said to be lost.
pub fn drop_waiting(w: &Writing<'_>) -> Result<usize, Problem> {
    Ok(w.execute("DELETE FROM outbox WHERE flying = 0", [])?)
}

/// How a try went.
#[derive(Debug)]
pub struct Tried {
    pub delivery: Delivery,
    pub failed: Option<String>,
}

/// Notes how tries went. A hook that failed too often in a row is disabled, and what waits for it is dropped.
pub fn settle(
    w: &mut Writing<'_>,
    tried: &[Tried],
    now: Stamp,
    failures_max: u32,
) -> Result<(), Problem> {
    for Tried { delivery, failed } in tried {
        let Some(reason) = failed else {
            w.prepare_cached("DELETE FROM outbox WHERE id = ?1")?
                .execute([delivery.row])?;
            w.prepare_cached("UPDATE hook SET failures = 0 WHERE id = ?1 AND failures > 0")?
                .execute([delivery.hook])?;
            continue;
        };
        let tries = delivery.tries + 1;
        if tries >= bounds::HOOK_TRIES_MAX {
            w.prepare_cached("DELETE FROM outbox WHERE id = ?1")?
                .execute([delivery.row])?;
        } else {
            let due = now + (backoff(tries).as_micros() as i64);
            w.prepare_cached("UPDATE outbox SET flying = 0, tries = ?2, due = ?3 WHERE id = ?1")?
                .execute(params![delivery.row, tries, due])?;
        }
        w.prepare_cached("UPDATE hook SET failures = failures + 1 WHERE id = ?1")?
            .execute([delivery.hook])?;
        let disabled = w
            .prepare_cached("UPDATE hook SET enabled = 0, disabled_because = ?3 WHERE id = ?1 AND enabled = 1 AND failures >= ?2")?
            .execute(params![delivery.hook, failures_max, format!("failed {failures_max} times in a row, at last: {reason}")])?;
        if disabled > 0 {
            w.prepare_cached("DELETE FROM outbox WHERE hook_id = ?1")?
                .execute([delivery.hook])?;
            tracing::warn!(
                hook = delivery.hook,
                reason,
                "a hook failed too often and is disabled"
            );
        }
    }
    Ok(())
}

/// The wait before the next try: from a quarter of a second, four-fold each time.
fn backoff(tries: u32) -> Duration {
    let factor = 4u64.saturating_pow(tries.saturating_sub(1));
    Duration::from_millis(
        bounds::HOOK_BACKOFF_MS
            .saturating_mul(factor)
            .min(bounds::HOOK_BACKOFF_MS_MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_a_quarter_second_to_half_a_minute_apart() {
        let waits: Vec<u128> = (1..7).map(|tries| backoff(tries).as_millis()).collect();
        assert_eq!(waits, [250, 1_000, 4_000, 16_000, 30_000, 30_000]);
    }
}
