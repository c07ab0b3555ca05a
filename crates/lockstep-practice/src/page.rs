//! Lists: what a caller may ask, which rows a page holds, and how to go on. Keyset paging, two ways:
//!
//! ```text
//! full read      by row number, up to the highest at the first page: an edit does not move a record, a delete shifts nothing
//! change feed    by stamp, up to the last at the first page: endless edits cannot make a read endless
//! ```
//! Both carry `as_of`, the moment after the last change before the first page: the place from which to read on.

use data_encoding::BASE64URL_NOPAD;
use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::value::Value;

use crate::bounds;
use crate::clock::{self, Stamp};
use crate::problem::{Code, Problem};

/// A list that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    Products,
    Categories,
    Stock,
    Orders,
}

impl Feed {
    fn table(self) -> &'static str {
        match self {
            Self::Products => "product",
            Self::Categories => "category",
            Self::Stock => "level",
            Self::Orders => "sale",
        }
    }

    /// The word for this feed in cursors and tombstones.
    pub fn word(self) -> &'static str {
        self.table()
    }

    fn look_ups(self) -> &'static [&'static str] {
        match self {
            Self::Products => &["ids", "sku", "handle"],
            Self::Categories => &["ids"],
            Self::Stock => &["ids", "sku"],
            Self::Orders => &["ids", "sku", "external_key", "number"],
        }
    }
}

/// What a caller asks of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    Read {
        limit: usize,
        start: Start,
        stock: Option<String>,
    },
    LookUp {
        by: LookUp,
        stock: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    Everything,
    Since(Stamp),
    At(Cursor),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    Ids(Vec<String>),
    Skus(Vec<String>),
    Handle(String),
    ExternalKey(String),
    Number(String),
}

/// Where a read stands. Opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    by_stamp: bool,
    after: i64,
    upto: i64,
    as_of: Stamp,
}

impl Cursor {
    fn show(self, feed: Feed) -> String {
        let way = if self.by_stamp { 'c' } else { 'f' };
        let plain = format!(
            "{}.{way}.{}.{}.{}",
            feed.word(),
            self.after,
            self.upto,
            self.as_of
        );
        BASE64URL_NOPAD.encode(plain.as_bytes())
    }

    fn parse(feed: Feed, text: &str) -> Option<Self> {
        let plain = String::from_utf8(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()?;
        let mut parts = plain.split('.');
        let of = parts.next()?;
        let by_stamp = match parts.next()? {
            "c" => true,
            "f" => false,
            _ => return None,
        };
        let mut number = || parts.next()?.parse::<i64>().ok();
        let cursor = Self {
            by_stamp,
            after: number()?,
            upto: number()?,
            as_of: number()?,
        };
        (of == feed.word() && parts.next().is_none()).then_some(cursor)
    }
}

impl Ask {
    /// Reads the query. Every parameter must be known, and said once unless it is `sku`.
    pub fn parse(feed: Feed, query: &[(String, String)]) -> Result<Self, Problem> {
        let (mut limit, mut cursor, mut since, mut stock) =
            (bounds::PAGE_DEFAULT, None, None, None);
        let mut by: Option<(String, LookUp)> = None;
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in query {
            if name != "sku" && seen.contains(&name.as_str()) {
                return Err(bad(name, format!("“{name}” is said twice.")));
            }
            seen.push(name);
            match name.as_str() {
                "limit" => {
                    limit = value
                        .parse::<usize>()
                        .ok()
                        .filter(|limit| *limit > 0)
                        .ok_or_else(|| {
                            bad(
                                name,
                                format!(
                                    "“{value}” is no page size; say 1 to {}.",
                                    bounds::PAGE_MAX
                                ),
                            )
                        })?
                        .min(bounds::PAGE_MAX);
                }
                "cursor" => {
                    cursor = Some(Cursor::parse(feed, value).ok_or_else(|| {
                        bad(
                            name,
                            "This cursor was not given out by this list.".to_string(),
                        )
                    })?);
                }
                "modified_since" => {
                    since = Some(clock::parse(value).ok_or_else(|| {
                        bad(
                            name,
                            format!("“{value}” is no RFC 3339 time with an offset."),
                        )
                    })?);
                }
                "stock" if feed == Feed::Stock => stock = Some(value.clone()),
                other if feed.look_ups().contains(&other) => by = Some(look_up(by, other, value)?),
                other => {
                    return Err(bad(
                        other,
                        format!("“{other}” is not a parameter of this list."),
                    ));
                }
            }
        }
        match by {
            Some((name, by)) => {
                if cursor.is_some() || since.is_some() {
                    return Err(bad(
                        &name,
                        format!(
                            "“{name}” is a look-up: it goes with no cursor and no modified_since."
                        ),
                    ));
                }
                Ok(Self::LookUp { by, stock })
            }
            None => {
                let start = match (cursor, since) {
                    (Some(cursor), _) => Start::At(cursor),
                    (None, Some(since)) => Start::Since(since),
                    (None, None) => Start::Everything,
                };
                Ok(Self::Read {
                    limit,
                    start,
                    stock,
                })
            }
        }
    }
}

fn look_up(
    by: Option<(String, LookUp)>,
    name: &str,
    value: &str,
) -> Result<(String, LookUp), Problem> {
    let found = match (by, name) {
        (None, "ids") => LookUp::Ids(value.split(',').map(str::to_string).collect()),
        (None, "sku") => LookUp::Skus(vec![value.to_string()]),
        (Some((_, LookUp::Skus(mut skus))), "sku") => {
            skus.push(value.to_string());
            LookUp::Skus(skus)
        }
        (None, "handle") => LookUp::Handle(value.to_string()),
        (None, "external_key") => LookUp::ExternalKey(value.to_string()),
        (None, "number") => LookUp::Number(value.to_string()),
        (Some((first, _)), _) => {
            return Err(bad(
                name,
                format!("Look up by “{first}” or by “{name}”, not by both."),
            ));
        }
        (None, _) => return Err(bad(name, format!("“{name}” is no look-up."))),
    };
    let members = match &found {
        LookUp::Ids(members) | LookUp::Skus(members) => members.len(),
        LookUp::Handle(_) | LookUp::ExternalKey(_) | LookUp::Number(_) => 1,
    };
    if members > bounds::MEMBERS_MAX {
        return Err(bad(
            name,
            format!("At most {} at once.", bounds::MEMBERS_MAX),
        ));
    }
    Ok((name.to_string(), found))
}

fn bad(field: &str, detail: String) -> Problem {
    Problem::new(Code::BadParameter, detail).with("field", field)
}

/// One place on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    Live(i64),
    Gone(Tombstone),
}

/// What a deleted record leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tombstone {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<String>,
    pub deleted_at: String,
}

/// The rows of a page, before they are read.
pub struct Slice {
    pub members: Vec<Member>,
    pub next_cursor: Option<String>,
    pub as_of: Stamp,
}

/// Which rows the page holds. `now` decides what is still hidden.
pub fn slice(
    db: &Connection,
    feed: Feed,
    limit: usize,
    start: &Start,
    stock: Option<&str>,
    now: Stamp,
) -> Result<Slice, Problem> {
    let table = feed.table();
    let cursor = match start {
        Start::At(cursor) => *cursor,
        Start::Everything => Cursor {
            by_stamp: false,
            after: 0,
            upto: db.query_row(
                &format!("SELECT coalesce(max(id), 0) FROM {table}"),
                [],
                |row| row.get(0),
            )?,
            as_of: as_of(db, feed, now)?,
        },
        Start::Since(since) => Cursor {
            by_stamp: true,
            after: since - 1,
            upto: last_stamp(db)?,
            as_of: as_of(db, feed, now)?,
        },
    };
    let seen = match feed {
        Feed::Orders => "AND hidden_until <= ?4",
        Feed::Stock => "AND (?5 IS NULL OR stock_id = ?5) AND ?4 = ?4",
        Feed::Products | Feed::Categories => "AND ?4 = ?4",
    };
    // Every statement has the same five parameters, so that they can be bound alike.
    let sql = if cursor.by_stamp {
        let gone = match feed {
            Feed::Stock => "AND (?5 IS NULL OR stock_id = ?5)",
            Feed::Products | Feed::Categories | Feed::Orders => "",
        };
        format!(
            "SELECT changed, id, NULL, NULL FROM {table} WHERE changed > ?1 AND changed <= ?2 {seen} \
             UNION ALL \
             SELECT changed, 0, record, stock_id FROM tombstone WHERE kind = '{table}' AND changed > ?1 AND changed <= ?2 {gone} \
             AND ?5 IS ?5 ORDER BY changed LIMIT ?3"
        )
    } else {
        format!(
            "SELECT id, id, NULL, NULL FROM {table} WHERE id > ?1 AND id <= ?2 {seen} AND ?5 IS ?5 ORDER BY id LIMIT ?3"
        )
    };
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![cursor.after, cursor.upto, (limit + 1) as i64, now, stock],
        |row| {
            let at: i64 = row.get(0)?;
            let member = match row.get::<_, Option<String>>(2)? {
                None => Member::Live(row.get(1)?),
                Some(record) => {
                    let stock: Option<String> = row.get(3)?;
                    Member::Gone(Tombstone {
                        sku: stock.is_some().then(|| record.clone()),
                        id: record,
                        stock,
                        deleted_at: clock::show(at),
                    })
                }
            };
            Ok((at, member))
        },
    )?;
    let mut rows: Vec<(i64, Member)> = rows.collect::<Result<_, _>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = match rows.last() {
        Some((after, _)) if more => Some(
            Cursor {
                after: *after,
                ..cursor
            }
            .show(feed),
        ),
        _ => None,
    };
    Ok(Slice {
        members: rows.into_iter().map(|(_, member)| member).collect(),
        next_cursor,
        as_of: cursor.as_of,
    })
}

/// The moment after the last change; never later than a change that is still hidden.
pub fn as_of(db: &Connection, feed: Feed, now: Stamp) -> Result<Stamp, Problem> {
    let next = last_stamp(db)? + 1;
    if feed != Feed::Orders {
        return Ok(next);
    }
    let hidden: Option<Stamp> = db
        .prepare_cached(
            "SELECT min(changed) FROM sale WHERE hidden_until > 0 AND hidden_until > ?1",
        )?
        .query_row([now], |row| row.get(0))?;
    Ok(hidden.map_or(next, |hidden| hidden.min(next)))
}

fn last_stamp(db: &Connection) -> Result<Stamp, Problem> {
    Ok(db
        .prepare_cached("SELECT last FROM clock")?
        .query_row([], |row| row.get(0))?)
}

/// A page as it is answered.
#[derive(Serialize)]
pub struct Page {
    pub items: Vec<Value>,
    pub next_cursor: Option<String>,
    pub as_of: String,
}

/// The numbers of many rows, for `IN (SELECT value FROM json_each(?))`.
pub fn as_json_list(rows: &[i64]) -> String {
    let mut text = String::with_capacity(rows.len() * 8 + 2);
    text.push('[');
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&row.to_string());
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(feed: Feed, query: &str) -> Result<Ask, String> {
        let pairs: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap();
                (name.into(), value.into())
            })
            .collect();
        Ask::parse(feed, &pairs).map_err(|problem| problem.to_json()["field"].to_string())
    }

    #[test]
    fn a_parameter_that_is_unknown_doubled_or_out_of_range_is_named() {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=abc", "limit"),
            ("limit=1&limit=2", "limit"),
            ("cursor=zzz", "cursor"),
            ("modified_since=monday", "modified_since"),
            ("colour=red", "colour"),
            ("external_key=a", "external_key"),
            ("ids=p1&sku=A", "sku"),
            ("ids=p1&modified_since=2026-01-01T00:00:00Z", "ids"),
        ] {
            assert_eq!(ask(Feed::Products, query), Err(format!("\"{field}\"")));
        }
    }

    #[test]
    fn a_page_is_never_larger_than_its_bound() {
        let Ok(Ask::Read { limit, .. }) = ask(Feed::Orders, "limit=100000") else {
            panic!("refused");
        };
        assert_eq!(limit, bounds::PAGE_MAX);
    }

    #[test]
    fn a_cursor_belongs_to_its_list() {
        let cursor = Cursor {
            by_stamp: true,
            after: 7,
            upto: 9,
            as_of: 10,
        };
        let text = cursor.show(Feed::Stock);
        assert_eq!(Cursor::parse(Feed::Stock, &text), Some(cursor));
        assert_eq!(Cursor::parse(Feed::Orders, &text), None);
    }

    #[test]
    fn skus_may_be_repeated() {
        assert_eq!(
            ask(Feed::Stock, "sku=A&sku=B,C"),
            Ok(Ask::LookUp {
                by: LookUp::Skus(vec!["A".into(), "B,C".into()]),
                stock: None
            })
        );
    }
}
