//! The hooks that callers have registered. A secret is kept, and never shown again.

use rusqlite::{Connection, OptionalExtension, Row, params};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{TOPICS, covers};
use crate::bounds;
use crate::clock;
use crate::database::Writing;
use crate::ids::Kind;
use crate::problem::{Code, Problem};

#[derive(Debug, Serialize)]
pub struct Hook {
    pub id: String,
    pub url: String,
    pub topics: Vec<String>,
    pub enabled: bool,
    /// Failed tries in a row.
    pub failures: i64,
    pub disabled_because: Option<String>,
    /// Deliveries that wait.
    pub waiting: i64,
    pub created_at: String,
    pub modified_at: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HookInput {
    pub url: Option<String>,
    pub topics: Option<Vec<String>>,
    pub secret: Option<SecretString>,
    pub enabled: Option<bool>,
}

const COLUMNS: &str = "id, url, topics, enabled, failures, disabled_because, changed, created, \
                       (SELECT count(*) FROM outbox WHERE hook_id = hook.id)";

fn hook(row: &Row<'_>) -> Result<Hook, Problem> {
    Ok(Hook {
        id: Kind::Hook.show(row.get(0)?),
        url: row.get(1)?,
        topics: serde_json::from_str(row.get_ref(2)?.as_str().map_err(Problem::broken)?)?,
        enabled: row.get(3)?,
        failures: row.get(4)?,
        disabled_because: row.get(5)?,
        modified_at: clock::show(row.get(6)?),
        created_at: clock::show(row.get(7)?),
        waiting: row.get(8)?,
    })
}

pub fn list(db: &Connection) -> Result<Vec<Hook>, Problem> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM hook ORDER BY id"))?;
    let mut rows = statement.query([])?;
    let mut hooks = Vec::new();
    while let Some(row) = rows.next()? {
        hooks.push(hook(row)?);
    }
    Ok(hooks)
}

pub fn row_of(id: &str) -> Result<i64, Problem> {
    Kind::Hook
        .parse(id)
        .ok_or_else(|| Problem::not_found(format_args!("hook {id}")))
}

pub fn load(db: &Connection, id: &str) -> Result<Hook, Problem> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM hook WHERE id = ?1"))?;
    let mut rows = statement.query([row_of(id)?])?;
    match rows.next()? {
        Some(row) => hook(row),
        None => Err(Problem::not_found(format_args!("hook {id}"))),
    }
}

pub fn create(w: &mut Writing<'_>, input: HookInput) -> Result<Hook, Problem> {
    let missing = |field: &str| Problem::invalid(field, format!("A hook needs {field}."));
    let url = input.url.ok_or_else(|| missing("url"))?;
    let topics = input.topics.ok_or_else(|| missing("topics"))?;
    let secret = input.secret.ok_or_else(|| missing("secret"))?;
    check_url(&url)?;
    check_topics(&topics)?;
    check_secret(&secret)?;
    let count: i64 = w.query_row("SELECT count(*) FROM hook", [], |row| row.get(0))?;
    if count >= bounds::HOOKS_MAX as i64 {
        return Err(Problem::invalid(
            "url",
            format!("A shop has at most {} hooks.", bounds::HOOKS_MAX),
        ));
    }
    refuse_taken(w, &url, None)?;
    let stamp = w.stamp();
    w.execute(
        "INSERT INTO hook (url, topics, secret, enabled, failures, changed, created) VALUES (?1, ?2, ?3, ?4, 0, ?5, ?5)",
        params![url, serde_json::to_string(&topics)?, secret.expose_secret(), input.enabled.unwrap_or(true), stamp],
    )?;
    load(w, &Kind::Hook.show(w.last_insert_rowid()))
}

pub fn update(w: &mut Writing<'_>, id: &str, input: HookInput) -> Result<Hook, Problem> {
    let row = row_of(id)?;
    load(w, id)?;
    if let Some(url) = &input.url {
        check_url(url)?;
        refuse_taken(w, url, Some(row))?;
        w.execute("UPDATE hook SET url = ?2 WHERE id = ?1", params![row, url])?;
    }
    if let Some(topics) = &input.topics {
        check_topics(topics)?;
        w.execute(
            "UPDATE hook SET topics = ?2 WHERE id = ?1",
            params![row, serde_json::to_string(topics)?],
        )?;
    }
    if let Some(secret) = &input.secret {
        check_secret(secret)?;
        w.execute(
            "UPDATE hook SET secret = ?2 WHERE id = ?1",
            params![row, secret.expose_secret()],
        )?;
    }
    match input.enabled {
        Some(true) => {
            w.execute(
                "UPDATE hook SET enabled = 1, failures = 0, disabled_because = NULL WHERE id = ?1",
                [row],
            )?;
        }
        Some(false) => {
            w.execute(
                "UPDATE hook SET enabled = 0, disabled_because = 'switched off' WHERE id = ?1",
                [row],
            )?;
            w.execute("DELETE FROM outbox WHERE hook_id = ?1", [row])?;
        }
        None => {}
    }
    let stamp = w.stamp();
    w.execute("UPDATE hook SET changed = ?2 WHERE id = ?1", [row, stamp])?;
    load(w, id)
}

pub fn delete(w: &mut Writing<'_>, id: &str) -> Result<(), Problem> {
    load(w, id)?;
    w.execute("DELETE FROM hook WHERE id = ?1", [row_of(id)?])?;
    Ok(())
}

fn refuse_taken(db: &Connection, url: &str, own: Option<i64>) -> Result<(), Problem> {
    let holder: Option<i64> = db
        .query_row("SELECT id FROM hook WHERE url = ?1", [url], |row| {
            row.get(0)
        })
        .optional()?;
    match holder {
        Some(row) if Some(row) != own => {
            let existing = Kind::Hook.show(row);
            Err(Problem::new(
                Code::DuplicateHook,
                format!("The hook {existing} goes to this address already."),
            )
            .with("field", "url")
            .with("existing", existing))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_url(url: &str) -> Result<(), Problem> {
    let parsed = reqwest::Url::parse(url).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if parsed.is_none() || url.len() > 2_000 {
        return Err(Problem::invalid(
            "url",
            "A hook goes to an http or https address without a name or password in it.",
        ));
    }
    Ok(())
}

fn check_topics(topics: &[String]) -> Result<(), Problem> {
    if topics.is_empty() || topics.len() > 50 {
        return Err(Problem::invalid("topics", "Name 1 to 50 topics."));
    }
    for topic in topics {
        if !TOPICS.iter().any(|known| covers(topic, known)) {
            return Err(
                Problem::invalid("topics", format!("“{topic}” is no topic of this shop."))
                    .with("known", TOPICS.to_vec()),
            );
        }
    }
    Ok(())
}

fn check_secret(secret: &SecretString) -> Result<(), Problem> {
    if (16..=256).contains(&secret.expose_secret().chars().count()) {
        Ok(())
    } else {
        Err(Problem::invalid(
            "secret",
            "A secret has 16 to 256 characters.",
        ))
    }
}
