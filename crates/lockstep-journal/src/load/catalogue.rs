//! Clusters of catalogue records: what shares a link or a key is decided on together.
//!
//! Candidates are staged rows and records that are due somewhere, in the order of their places. A cluster stands where
//! its first candidate stands; reached again from a later one, it is passed over.

use super::{asides_of, bounded, conflicts_of, intents_of};
use crate::bounds::{CATEGORY_DEPTH_MAX, CLUSTER_MEMBERS_MAX};
use crate::columns::{
    AFTER_ROOT, PATH_SEPARATOR, id, int, is_within_depth, json, key_of_place, kind_code, micros,
    parse, place, place_at_depth, record_subject, time,
};
use crate::journal::{Counted, last_seq};
use crate::projection::awaited_by;
use crate::{Journal, JournalError};
use jiff::Timestamp;
use lockstep_model::cases::{
    AtShop, CatalogueChunk, Categories, Cluster, Doubt, Known, RootCategory, Share, Staged,
    StagedBody,
};
use lockstep_model::entry::{Conflict, MatchAnswer};
use lockstep_model::{Field, Fields, Kind, Path, RecordId, RemoteId, ShopId, Value};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

const FIELDS: &str = "a record's fields";
const PARTS: &str = "the parts of a shop's record";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Member {
    Staged(i64),
    Record(i64),
}

struct Candidate {
    place: String,
    member: Member,
}

/// The members of a cluster, and the place of its first candidate.
struct Members {
    staged: Vec<i64>,
    records: Vec<i64>,
    first: String,
    /// It was cut at the bound: from another of its members it looks otherwise.
    is_cut: bool,
}

impl Journal {
    /// Clusters after this place, in order, up to `limit`. `kind`: products or categories.
    ///
    /// A chunk of categories holds one depth of the tree alone: parents are dealt with before their children are
    /// shown. What is due only at shops where it stands aside, or where a write of it is open, is not shown.
    pub fn load_catalogue(
        &self,
        kind: Kind,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<CatalogueChunk, JournalError> {
        self.load_clusters(kind, Share::All, None, after, limit, now)
    }

    /// As `load_catalogue`, of a part of what is due.
    pub fn load_share(
        &self,
        kind: Kind,
        share: Share,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<CatalogueChunk, JournalError> {
        self.load_clusters(kind, share, None, after, limit, now)
    }

    /// Categories, where shops have a root category of our own, or shall have it: first comes the root, alone, whether
    /// or not anything of it is due; the paths of what hangs under it begin below it.
    pub fn load_categories_under(
        &self,
        root: &RootCategory,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<CatalogueChunk, JournalError> {
        self.load_clusters(Kind::Category, Share::All, Some(root), after, limit, now)
    }

    /// These records with all that is known and was read of them, whether or not anything of them is due.
    pub fn load_records(
        &self,
        records: &[RecordId],
        root: Option<&RootCategory>,
        now: Timestamp,
    ) -> Result<CatalogueChunk, JournalError> {
        if self.paths_are_stale.get() {
            work_out_paths(&self.connection, root)?;
            self.paths_are_stale.set(false);
        }
        let mut used: HashSet<Member> = HashSet::new();
        let mut chunk = CatalogueChunk::default();
        let mut mentioned = Mentioned::default();
        for record in records.iter().map(|record| int(record.0)) {
            let row: Option<(i64, String)> = self
                .connection
                .prepare_cached("SELECT kind, place FROM record WHERE record = ?1")?
                .query_row([record], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((kind_code, place)) = row else {
                continue;
            };
            let loader = Loader {
                connection: &self.connection,
                kind: crate::columns::kind_of(kind_code)?,
                kind_code,
                share: Share::All,
                now: micros(now),
            };
            let seed = Candidate {
                place,
                member: Member::Record(record),
            };
            if used.contains(&seed.member) {
                continue;
            }
            let members = loader.members(&seed, &used)?;
            used.extend(members.staged.iter().copied().map(Member::Staged));
            used.extend(members.records.iter().copied().map(Member::Record));
            let cluster = loader.cluster(&seed.place, &members)?;
            mentioned.note(&cluster);
            chunk.clusters.push(cluster);
        }
        chunk.categories = mentioned.categories(&self.connection)?;
        Ok(chunk)
    }

    fn load_clusters(
        &self,
        kind: Kind,
        share: Share,
        root: Option<&RootCategory>,
        after: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Result<CatalogueChunk, JournalError> {
        if kind == Kind::Category && (self.paths_are_stale.get() || after.is_none()) {
            work_out_paths(&self.connection, root)?;
            self.paths_are_stale.set(false);
        }
        let limit = bounded(limit);
        let loader = Loader {
            connection: &self.connection,
            kind,
            kind_code: kind_code(kind),
            share,
            now: micros(now),
        };
        let mut after = after.unwrap_or_default().to_owned();
        let mut used: HashSet<Member> = HashSet::new();
        let mut chunk = CatalogueChunk::default();
        let mut mentioned = Mentioned::default();
        let mut depth: Option<String> = None;
        if root.is_some() && after.is_empty() {
            let cluster = loader.root()?;
            mentioned.note(&cluster);
            chunk.clusters.push(cluster);
            chunk.next = Some(AFTER_ROOT.to_owned());
        }
        'chunk: while chunk.next.is_none() {
            let candidates = loader.candidates(&after, limit)?;
            if candidates.is_empty() {
                break;
            }
            for candidate in candidates {
                if chunk.clusters.len() == limit {
                    chunk.next = Some(after);
                    break 'chunk;
                }
                if kind == Kind::Category {
                    let here = depth_of(&candidate.place);
                    if depth.as_deref().is_some_and(|depth| depth != here) {
                        chunk.next = Some(after);
                        break 'chunk;
                    }
                    depth = Some(here.to_owned());
                }
                after.clone_from(&candidate.place);
                if used.contains(&candidate.member) {
                    continue;
                }
                let members = loader.members(&candidate, &used)?;
                used.extend(members.staged.iter().copied().map(Member::Staged));
                used.extend(members.records.iter().copied().map(Member::Record));
                if members.first < candidate.place && !members.is_cut {
                    // It was shown where it stands.
                    continue;
                }
                let cluster = loader.cluster(&candidate.place, &members)?;
                mentioned.note(&cluster);
                chunk.clusters.push(cluster);
            }
        }
        (chunk.total, chunk.items) = self.count(loader.kind_code)?;
        chunk.looked = self.looked(kind)?;
        chunk.categories = mentioned.categories(&self.connection)?;
        Ok(chunk)
    }
}

impl Journal {
    fn looked(&self, kind: Kind) -> Result<BTreeMap<ShopId, Timestamp>, JournalError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT shop, at FROM looked WHERE kind = ?1")?;
        let mut rows = query.query([kind_code(kind)])?;
        let mut looked = BTreeMap::new();
        while let Some(row) = rows.next()? {
            looked.insert(ShopId(id(row.get(0)?)), time(row.get(1)?)?);
        }
        Ok(looked)
    }

    /// Records of a kind, and their keys. Counted once for all chunks between two entries: only entries change them.
    fn count(&self, kind: i64) -> Result<(u64, u64), JournalError> {
        let seq = last_seq(&self.connection)?;
        if let Some(counted) = self.counted.get()
            && (counted.kind, counted.seq) == (kind, seq)
        {
            return Ok((counted.records, counted.keys));
        }
        let count = |sql| -> Result<u64, JournalError> {
            let mut query = self.connection.prepare_cached(sql)?;
            Ok(query.query_row([kind], |row| Ok(id(row.get(0)?)))?)
        };
        let counted = Counted {
            kind,
            seq,
            records: count("SELECT count(*) FROM record_text WHERE kind = ?1")?,
            keys: count("SELECT count(*) FROM record_key WHERE kind = ?1")?,
        };
        self.counted.set(Some(counted));
        Ok((counted.records, counted.keys))
    }
}

fn depth_of(place: &str) -> &str {
    place
        .split_once(PATH_SEPARATOR)
        .map_or(place, |(depth, _)| depth)
}

struct Loader<'a> {
    connection: &'a Connection,
    kind: Kind,
    kind_code: i64,
    share: Share,
    now: i64,
}

impl Loader<'_> {
    /// A row `d` of `due` belongs to the share.
    fn of_share(&self) -> &'static str {
        match self.share {
            Share::All => "",
            Share::Fields => "AND d.pictures = 0",
            Share::Pictures => "AND d.pictures = 1",
        }
    }

    /// The next candidates after a place, in order.
    fn candidates(&self, after: &str, limit: usize) -> Result<Vec<Candidate>, JournalError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut candidates = Vec::new();
        if self.share != Share::Pictures {
            let mut query = self.connection.prepare_cached(
                "SELECT place, reading FROM staged WHERE kind = ?1 AND place > ?2 ORDER BY place LIMIT ?3",
            )?;
            let mut rows = query.query(params![self.kind_code, after, limit])?;
            while let Some(row) = rows.next()? {
                candidates.push(Candidate {
                    place: row.get(0)?,
                    member: Member::Staged(row.get(1)?),
                });
            }
        }
        let staged = candidates.len();
        {
            let mut query = self.connection.prepare_cached(&format!(
                "SELECT DISTINCT place, record FROM due d WHERE kind = ?2 AND place > ?3 AND {IS_DUE_NOW} {}
                 ORDER BY place LIMIT ?4",
                self.of_share()
            ))?;
            let mut rows = query.query(params![self.now, self.kind_code, after, limit])?;
            while let Some(row) = rows.next()? {
                candidates.push(Candidate {
                    place: row.get(0)?,
                    member: Member::Record(row.get(1)?),
                });
            }
        }
        let due = candidates.len() - staged;
        // Each list is whole only up to its last row, if it was cut.
        let whole_to = |from: usize, count: usize| {
            (i64::try_from(count).is_ok_and(|count| count >= limit))
                .then(|| candidates.get(from + count - 1))
                .flatten()
                .map(|last| last.place.clone())
        };
        let bound = match (whole_to(0, staged), whole_to(staged, due)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if let Some(bound) = bound {
            candidates.retain(|candidate| candidate.place <= bound);
        }
        candidates.sort_by(|a, b| a.place.cmp(&b.place));
        Ok(candidates)
    }

    /// Follows links and keys from a candidate.
    fn members(&self, seed: &Candidate, used: &HashSet<Member>) -> Result<Members, JournalError> {
        let mut members = Members {
            staged: Vec::new(),
            records: Vec::new(),
            first: seed.place.clone(),
            is_cut: false,
        };
        let mut found: BTreeSet<Member> = [seed.member].into();
        let mut keys_followed: BTreeSet<String> = BTreeSet::new();
        let mut queue: VecDeque<Member> = [seed.member].into();
        while let Some(member) = queue.pop_front() {
            let mut next = Vec::new();
            let (place, keys) = match member {
                Member::Staged(reading) => {
                    members.staged.push(reading);
                    self.akin(AKIN_TO_STAGED, reading, &mut next)?;
                    let (place, keys, linked) = self.staged_neighbours(reading)?;
                    next.extend(linked.map(Member::Record));
                    (Some(place), keys)
                }
                Member::Record(record) => {
                    members.records.push(record);
                    self.akin(AKIN_TO_RECORD, record, &mut next)?;
                    self.linked_rows(record, &mut next)?;
                    self.record_place_and_keys(record, &members.first)?
                }
            };
            if let Some(place) = place
                && place < members.first
            {
                members.first = place;
            }
            for key in keys {
                if keys_followed.contains(&key) {
                    continue;
                }
                self.bearers(&key, &mut next)?;
                keys_followed.insert(key);
            }
            for member in next {
                if used.contains(&member) || found.contains(&member) {
                    continue;
                }
                if found.len() == CLUSTER_MEMBERS_MAX {
                    members.is_cut = true;
                    break;
                }
                found.insert(member);
                queue.push_back(member);
            }
        }
        Ok(members)
    }

    /// The root category of our own: what is known of it and what was read of it, which may both be nothing.
    fn root(&self) -> Result<Cluster, JournalError> {
        let mut bearers = Vec::new();
        self.bearers(RootCategory::KEY, &mut bearers)?;
        let place = place(Kind::Category, RootCategory::KEY, "");
        let mut cluster = match bearers.first() {
            Some(member) => {
                let seed = Candidate {
                    place: place.clone(),
                    member: *member,
                };
                self.cluster(&place, &self.members(&seed, &HashSet::new())?)?
            }
            None => Cluster::default(),
        };
        cluster.key = RootCategory::KEY.to_owned();
        Ok(cluster)
    }

    fn staged_neighbours(
        &self,
        reading: i64,
    ) -> Result<(String, Vec<String>, Option<i64>), JournalError> {
        let (place, keys, linked): (String, String, Option<i64>) = self
            .connection
            .prepare_cached(
                "SELECT s.place, s.keys, l.record FROM staged s
                 LEFT JOIN link l ON l.shop = s.shop AND l.kind = s.kind AND l.id = s.id
                 WHERE s.reading = ?1",
            )?
            .query_row([reading], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok((place, parse("a record's keys", &keys)?, linked))
    }

    /// Whom a GTIN that few bear, or a doubt that was noted, joins with this one.
    fn akin(&self, sql: &str, member: i64, next: &mut Vec<Member>) -> Result<(), JournalError> {
        let mut query = self.connection.prepare_cached(sql)?;
        let mut rows = query.query(params![member, GTIN_BEARERS_MAX])?;
        while let Some(row) = rows.next()? {
            next.push(match row.get(0)? {
                true => Member::Staged(row.get(1)?),
                false => Member::Record(row.get(1)?),
            });
        }
        Ok(())
    }

    fn linked_rows(&self, record: i64, next: &mut Vec<Member>) -> Result<(), JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT s.reading FROM link l JOIN staged s ON s.shop = l.shop AND s.kind = l.kind AND s.id = l.id
             WHERE l.record = ?1",
        )?;
        let mut rows = query.query([record])?;
        while let Some(row) = rows.next()? {
            next.push(Member::Staged(row.get(0)?));
        }
        Ok(())
    }

    /// The place is that of a candidate: `None` if the record is not due, or does not stand before `first`.
    fn record_place_and_keys(
        &self,
        record: i64,
        first: &str,
    ) -> Result<(Option<String>, Vec<String>), JournalError> {
        let row: Option<(String, String)> = self
            .connection
            .prepare_cached("SELECT place, keys FROM record WHERE record = ?1")?
            .query_row([record], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((place, keys)) = row else {
            return Ok((None, Vec::new()));
        };
        let is_first = place.as_str() < first && {
            let mut query = self.connection.prepare_cached(&format!(
                "SELECT EXISTS (SELECT 1 FROM due d WHERE record = ?2 AND {IS_DUE_NOW} {})",
                self.of_share()
            ))?;
            query.query_row(params![self.now, record], |row| row.get(0))?
        };
        Ok((is_first.then_some(place), parse("a record's keys", &keys)?))
    }

    /// Records and staged rows that bear a key.
    fn bearers(&self, key: &str, next: &mut Vec<Member>) -> Result<(), JournalError> {
        let limit = i64::try_from(CLUSTER_MEMBERS_MAX + 1).unwrap_or(i64::MAX);
        {
            let mut query = self.connection.prepare_cached(
                "SELECT record FROM record_key WHERE kind = ?1 AND key = ?2 ORDER BY record LIMIT ?3",
            )?;
            let mut rows = query.query(params![self.kind_code, key, limit])?;
            while let Some(row) = rows.next()? {
                next.push(Member::Record(row.get(0)?));
            }
        }
        let mut query = self.connection.prepare_cached(
            "SELECT reading FROM staged_key WHERE kind = ?1 AND key = ?2 ORDER BY reading LIMIT ?3",
        )?;
        let mut rows = query.query(params![self.kind_code, key, limit])?;
        while let Some(row) = rows.next()? {
            next.push(Member::Staged(row.get(0)?));
        }
        Ok(())
    }

    fn cluster(&self, place: &str, members: &Members) -> Result<Cluster, JournalError> {
        let mut cluster = Cluster {
            key: key_of_place(self.kind, place).to_owned(),
            ..Cluster::default()
        };
        let mut records = members.records.clone();
        records.sort_unstable();
        for record in records {
            if let Some(known) = known(self.connection, record)? {
                cluster.known.push(known);
            }
        }
        for reading in &members.staged {
            cluster.staged.push(self.staged(*reading)?);
        }
        cluster
            .staged
            .sort_by(|a, b| (a.shop, &a.id).cmp(&(b.shop, &b.id)));
        let smallest = cluster
            .known
            .iter()
            .flat_map(|known| &known.keys)
            .chain(cluster.staged.iter().flat_map(|row| &row.keys))
            .min();
        if let Some(smallest) = smallest {
            cluster.key.clone_from(smallest);
        }
        Ok(cluster)
    }

    fn staged(&self, reading: i64) -> Result<Staged, JournalError> {
        let mut query = self.connection.prepare_cached(
            "SELECT s.shop, s.id, s.keys, s.gone, s.fields, s.parts, l.record, s.left_at FROM staged s
             LEFT JOIN link l ON l.shop = s.shop AND l.kind = s.kind AND l.id = s.id WHERE s.reading = ?1",
        )?;
        let mut rows = query.query([reading])?;
        let row = rows.next()?.ok_or(JournalError::Corrupt {
            what: "a staged row",
        })?;
        let is_gone: bool = row.get(3)?;
        let body = if is_gone {
            StagedBody::Gone
        } else {
            StagedBody::Fields {
                fields: parse(FIELDS, &row.get::<_, String>(4)?)?,
                parts: parse(PARTS, &row.get::<_, String>(5)?)?,
            }
        };
        Ok(Staged {
            shop: ShopId(id(row.get(0)?)),
            kind: self.kind,
            id: RemoteId(row.get(1)?),
            linked: row
                .get::<_, Option<i64>>(6)?
                .map(|record| RecordId(id(record))),
            keys: parse("a record's keys", &row.get::<_, String>(2)?)?,
            body,
            doubt: doubt_of(
                self.connection,
                row.get(0)?,
                self.kind_code,
                &row.get::<_, String>(1)?,
            )?,
            reading: id(reading),
            left_at: time(row.get(7)?)?,
        })
    }
}

/// A GTIN that more records bear than this tells none of them from another.
const GTIN_BEARERS_MAX: i64 = 4;

/// What bears a GTIN of this one ?1 that at most ?2 staged rows and ?2 records bear: first whether it is a staged row
/// itself, then its number.
macro_rules! akin_by_gtin {
    ($table:literal, $number:literal) => {
        concat!(
            "WITH own AS MATERIALIZED (SELECT g.gtin FROM ",
            $table,
            " g WHERE g.",
            $number,
            " = ?1
        AND (SELECT count(*) FROM (SELECT 1 FROM staged_gtin s WHERE s.gtin = g.gtin LIMIT ?2 + 1)) <= ?2
        AND (SELECT count(*) FROM (SELECT 1 FROM record_gtin r WHERE r.gtin = g.gtin LIMIT ?2 + 1)) <= ?2)
    SELECT 1, s.reading FROM own CROSS JOIN staged_gtin s ON s.gtin = own.gtin
    UNION ALL SELECT 0, r.record FROM own CROSS JOIN record_gtin r ON r.gtin = own.gtin
    UNION ALL "
        )
    };
}
const AKIN_TO_STAGED: &str = concat!(
    akin_by_gtin!("staged_gtin", "reading"),
    "SELECT 0, d.record FROM staged t CROSS JOIN doubt d ON d.shop = t.shop AND d.kind = t.kind AND d.id = t.id
        WHERE t.reading = ?1"
);
const AKIN_TO_RECORD: &str = concat!(
    akin_by_gtin!("record_gtin", "record"),
    "SELECT 1, t.reading FROM doubt d CROSS JOIN staged t ON t.shop = d.shop AND t.kind = d.kind AND t.id = d.id
        WHERE d.record = ?1"
);

/// A row `d` of `due` that something can be done about at the time ?1.
const IS_DUE_NOW: &str = "NOT EXISTS (
        SELECT 1 FROM aside a WHERE a.subject = 'r:' || d.record AND a.shop = d.shop AND a.retry_at > ?1 AND a.moved = 0
    ) AND NOT EXISTS (
        SELECT 1 FROM intent i WHERE i.subject = 'r:' || d.record AND i.shop = d.shop
    )";

fn doubt_of(
    connection: &Connection,
    shop: i64,
    kind: i64,
    remote: &str,
) -> Result<Option<Doubt>, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT record, by_sku, answer FROM doubt WHERE shop = ?1 AND kind = ?2 AND id = ?3",
    )?;
    let mut rows = query.query(params![shop, kind, remote])?;
    let mut doubt: Option<Doubt> = None;
    while let Some(row) = rows.next()? {
        let doubt = doubt.get_or_insert(Doubt {
            candidates: BTreeSet::new(),
            by_sku: row.get(1)?,
            answer: row.get::<_, Option<i64>>(2)?.map(|answer| match answer {
                0 => MatchAnswer::NoneOfOurs,
                record => MatchAnswer::Is {
                    record: RecordId(id(record)),
                },
            }),
        });
        doubt.candidates.insert(RecordId(id(row.get(0)?)));
    }
    Ok(doubt)
}

/// What people have said of one of ours: of each price that was held the value that was last accepted, and which records
/// that shops deleted stay so.
type Said = (BTreeMap<Path, Value>, BTreeSet<(ShopId, RemoteId)>);

fn said_of(connection: &Connection, subject: &str) -> Result<Said, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT about FROM conflict
         WHERE subject = ?1 AND closed_at IS NOT NULL AND decided_by IS NOT NULL
         AND json_extract(about, '$.about') IN ('price_held', 'gone_there') ORDER BY conflict",
    )?;
    let mut rows = query.query([subject])?;
    let (mut accepted, mut left) = Said::default();
    while let Some(row) = rows.next()? {
        match parse("a conflict", &row.get::<_, String>(0)?)? {
            Conflict::PriceHeld { path, value, .. } => {
                accepted.insert(path, value);
            }
            Conflict::GoneThere { shop, id } => {
                left.insert((shop, id));
            }
            _ => {}
        }
    }
    Ok((accepted, left))
}

/// Records of shops beside which one of ours is not made.
fn withheld_of(
    connection: &Connection,
    record: i64,
) -> Result<BTreeSet<(ShopId, RemoteId)>, JournalError> {
    doubted(
        connection,
        record,
        "SELECT shop, id FROM doubt WHERE record = ?1 AND (answer IS NULL OR by_sku = 1 AND answer <> record)",
    )
}

/// Records of shops that bear a SKU of one of ours, and of which nobody has said what they are.
fn in_doubt_of(
    connection: &Connection,
    record: i64,
) -> Result<BTreeSet<(ShopId, RemoteId)>, JournalError> {
    doubted(
        connection,
        record,
        "SELECT shop, id FROM doubt WHERE record = ?1 AND by_sku = 1 AND answer IS NULL",
    )
}

fn doubted(
    connection: &Connection,
    record: i64,
    sql: &str,
) -> Result<BTreeSet<(ShopId, RemoteId)>, JournalError> {
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query([record])?;
    let mut doubted = BTreeSet::new();
    while let Some(row) = rows.next()? {
        doubted.insert((ShopId(id(row.get(0)?)), RemoteId(row.get(1)?)));
    }
    Ok(doubted)
}

/// One of our records with all that is known of it in every shop.
pub(crate) fn known(connection: &Connection, record: i64) -> Result<Option<Known>, JournalError> {
    let row: Option<(i64, String, String, i64)> = connection
        .prepare_cached("SELECT kind, keys, ours, changed_at FROM record WHERE record = ?1")?
        .query_row([record], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((kind, keys, ours, changed_at)) = row else {
        return Ok(None);
    };
    let mut shops: BTreeMap<ShopId, AtShop> = BTreeMap::new();
    {
        // Of several ids in one shop: one that is there, and the one that was last dealt with.
        let mut query = connection.prepare_cached(
            "SELECT shop, id, gone, parts, held, meant FROM link WHERE record = ?1 ORDER BY gone DESC, seq",
        )?;
        let mut rows = query.query([record])?;
        while let Some(row) = rows.next()? {
            let at = AtShop {
                id: Some(RemoteId(row.get(1)?)),
                gone: row.get(2)?,
                parts: parse(PARTS, str_of(row, 3)?)?,
                held: parse(FIELDS, str_of(row, 4)?)?,
                meant: parse(FIELDS, str_of(row, 5)?)?,
                ..AtShop::default()
            };
            shops.insert(ShopId(id(row.get(0)?)), at);
        }
    }
    let subject = record_subject(record);
    for intent in intents_of(connection, &subject)? {
        shops.entry(intent.shop).or_default().open.push(intent);
    }
    for (shop, aside) in asides_of(connection, &subject)? {
        let at = shops.entry(shop).or_default();
        at.aside_until = Some(aside.until);
        at.refused = aside.refused;
        at.tries = aside.tries;
    }
    let (accepted, left) = said_of(connection, &subject)?;
    Ok(Some(Known {
        record: RecordId(id(record)),
        kind: crate::columns::kind_of(kind)?,
        keys: parse("a record's keys", &keys)?,
        ours: parse(FIELDS, &ours)?,
        changed_at: time(changed_at)?,
        shops,
        conflicts: conflicts_of(connection, &subject)?,
        accepted,
        left,
        withheld: withheld_of(connection, record)?,
        in_doubt: in_doubt_of(connection, record)?,
        awaits: awaited_by(connection, record)?,
    }))
}

fn str_of<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> Result<&'a str, JournalError> {
    Ok(row
        .get_ref(column)?
        .as_str()
        .map_err(rusqlite::Error::from)?)
}

/// Categories that a chunk speaks of, by the shops' ids and by ours.
#[derive(Default)]
struct Mentioned {
    theirs: BTreeSet<(ShopId, String)>,
    ours: BTreeSet<u64>,
}

impl Mentioned {
    fn note(&mut self, cluster: &Cluster) {
        for known in &cluster.known {
            let ids = category_ids(&known.ours).filter_map(|id| id.parse::<u64>().ok());
            self.ours.extend(ids);
            if known.kind == Kind::Category {
                self.ours.insert(known.record.0);
            }
            for (shop, at) in &known.shops {
                self.theirs
                    .extend(category_ids(&at.held).map(|id| (*shop, id.to_owned())));
            }
            for open in &known.conflicts {
                // What an undo put back may go to the source yet.
                if let Conflict::Undone {
                    path, shop, held, ..
                } = &open.about
                {
                    let held = Fields::from([(path.clone(), held.clone())]);
                    self.theirs
                        .extend(category_ids(&held).map(|id| (*shop, id.to_owned())));
                }
            }
        }
        for row in &cluster.staged {
            if let StagedBody::Fields { fields, .. } = &row.body {
                self.theirs
                    .extend(category_ids(fields).map(|id| (row.shop, id.to_owned())));
            }
        }
    }

    /// The links of all of them and of those above them in all shops, so that they can be read both ways.
    fn categories(mut self, connection: &Connection) -> Result<Categories, JournalError> {
        let category = kind_code(Kind::Category);
        // What is at the top hangs under it.
        self.ours.insert(RecordId::ROOT_CATEGORY.0);
        {
            let mut query = connection.prepare_cached(
                "SELECT record FROM link WHERE shop = ?1 AND kind = ?2 AND id = ?3",
            )?;
            for (shop, theirs) in &self.theirs {
                let record: Option<i64> = query
                    .query_row(params![int(shop.0), category, theirs], |row| row.get(0))
                    .optional()?;
                self.ours.extend(record.map(id));
            }
        }
        let above = above(connection, &self.ours)?;
        self.ours.extend(above.values().map(|record| record.0));
        let mut links: BTreeMap<ShopId, BTreeMap<RemoteId, RecordId>> = BTreeMap::new();
        let mut gone: BTreeMap<ShopId, BTreeMap<RemoteId, RecordId>> = BTreeMap::new();
        let mut query = connection
            .prepare_cached("SELECT shop, id, gone FROM link WHERE record = ?1 AND kind = ?2")?;
        for record in &self.ours {
            let mut rows = query.query(params![int(*record), category])?;
            while let Some(row) = rows.next()? {
                let links = if row.get(2)? { &mut gone } else { &mut links };
                links
                    .entry(ShopId(id(row.get(0)?)))
                    .or_default()
                    .insert(RemoteId(row.get(1)?), RecordId(*record));
            }
        }
        Ok(Categories { links, above, gone })
    }
}

/// What stands above these categories of ours, and above that, up to the top.
fn above(
    connection: &Connection,
    records: &BTreeSet<u64>,
) -> Result<BTreeMap<RecordId, RecordId>, JournalError> {
    let mut query = connection.prepare_cached(
        "SELECT json_extract(ours, '$.parent') FROM record WHERE record = ?1 AND kind = ?2",
    )?;
    let mut above = BTreeMap::new();
    for record in records {
        let mut record = RecordId(*record);
        // A shop may have hung a category under itself.
        while !above.contains_key(&record) {
            let parent: Option<String> = query
                .query_row(params![int(record.0), kind_code(Kind::Category)], |row| {
                    row.get(0)
                })
                .optional()?
                .flatten();
            let Some(parent) = parent.and_then(|parent| parent.parse().ok()) else {
                break;
            };
            above.insert(record, RecordId(parent));
            record = RecordId(parent);
        }
    }
    Ok(above)
}

fn category_ids(fields: &Fields) -> impl Iterator<Item = &str> {
    let list = fields
        .get(&Path::new(&Field::Categories))
        .map(Value::as_list)
        .unwrap_or_default()
        .iter()
        .map(String::as_str);
    let parent = fields
        .get(&Path::new(&Field::Parent))
        .and_then(Value::as_text);
    list.chain(parent)
}

/// Gives every staged category its path and its place, now that parents and children are there.
fn work_out_paths(
    connection: &Connection,
    root: Option<&RootCategory>,
) -> Result<(), JournalError> {
    let transaction = connection.unchecked_transaction()?;
    let category = kind_code(Kind::Category);
    let roots = roots(&transaction, root)?;
    transaction.execute("DELETE FROM staged_key WHERE kind = ?1", params![category])?;
    let mut after = 0;
    loop {
        let page: Vec<(i64, i64, String)> = transaction
            .prepare_cached(
                "SELECT reading, shop, id FROM staged WHERE kind = ?1 AND gone = 0 AND reading > ?2
                 ORDER BY reading LIMIT 500",
            )?
            .query_map(params![category, after], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        let Some((last, _, _)) = page.last() else {
            break;
        };
        after = *last;
        for (reading, shop, remote) in &page {
            let root = roots.get(shop).map(String::as_str);
            let (path, depth) = if root == Some(remote) {
                (RootCategory::KEY.to_owned(), 0)
            } else {
                path_of(&transaction, *shop, remote, root)?
            };
            let tie = format!("s{shop}/{remote}");
            transaction
                .prepare_cached("UPDATE staged SET place = ?2, keys = ?3 WHERE reading = ?1")?
                .execute(params![
                    reading,
                    place_at_depth(depth, &path, &tie),
                    json("a category's path", &[&path])?
                ])?;
            transaction
                .prepare_cached("INSERT INTO staged_key(kind, key, reading) VALUES (?1, ?2, ?3)")?
                .execute(params![category, path, reading])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Which category of each shop is the root of our own: the one that is linked; else, where it shall be, one of its name
/// at the top that is no other record's.
fn roots(
    connection: &Connection,
    root: Option<&RootCategory>,
) -> Result<BTreeMap<i64, String>, JournalError> {
    let category = kind_code(Kind::Category);
    let mut roots: BTreeMap<i64, String> = connection
        .prepare_cached("SELECT shop, id FROM link WHERE record = ?1 AND kind = ?2 AND gone = 0")?
        .query_map(params![int(RecordId::ROOT_CATEGORY.0), category], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let Some(root) = root else {
        return Ok(roots);
    };
    let mut query = connection.prepare_cached(
        "SELECT s.id FROM staged s
         LEFT JOIN link l ON l.shop = s.shop AND l.kind = s.kind AND l.id = s.id
         WHERE s.shop = ?1 AND s.kind = ?2 AND s.gone = 0 AND (l.record IS NULL OR l.record = ?4)
         AND json_extract(s.fields, '$.title') = ?3 AND json_extract(s.fields, '$.parent') IS NULL
         ORDER BY s.id LIMIT 1",
    )?;
    for shop in &root.shops {
        let shop = int(shop.0);
        if roots.contains_key(&shop) {
            continue;
        }
        let own = int(RecordId::ROOT_CATEGORY.0);
        let found: Option<String> = query
            .query_row(params![shop, category, root.name, own], |row| row.get(0))
            .optional()?;
        roots.extend(found.map(|found| (shop, found)));
    }
    Ok(roots)
}

/// The names from the root down to a category of a shop, as staged or else as last known, and how many stand above it
/// there. What stands above it goes by our names from where it is known as ours: it may be called something else in this
/// shop, or not be renamed there yet. Below the root of our own, where it hangs under it.
fn path_of(
    connection: &Connection,
    shop: i64,
    remote: &str,
    root: Option<&str>,
) -> Result<(String, usize), JournalError> {
    let mut names: Vec<String> = Vec::new();
    let mut is_ours = false;
    let mut above = 0;
    let mut next = Some(remote.to_owned());
    while let Some(id) = next.take().filter(|id| Some(id.as_str()) != root) {
        let fields: Option<String> = connection
            .prepare_cached(
                "SELECT fields FROM staged WHERE shop = ?1 AND kind = ?2 AND id = ?3 AND gone = 0
                 UNION ALL SELECT held FROM link WHERE shop = ?1 AND kind = ?2 AND id = ?3 LIMIT 1",
            )?
            .query_row(params![shop, kind_code(Kind::Category), id], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(fields) = fields else { break };
        let fields: Fields = parse(FIELDS, &fields)?;
        let text = |field: Field<'_>| {
            fields
                .get(&Path::new(&field))
                .and_then(Value::as_text)
                .map(str::to_owned)
        };
        let is_itself = names.is_empty();
        if !is_itself {
            above += 1;
        }
        if !is_ours {
            let ours = match is_itself {
                true => None,
                false => our_path(connection, shop, &id)?,
            };
            is_ours = ours.is_some();
            names.push(
                ours.or_else(|| text(Field::Title))
                    .unwrap_or_else(|| format!("#{id}")),
            );
        }
        if above + 1 == CATEGORY_DEPTH_MAX {
            break;
        }
        next = text(Field::Parent);
    }
    names.reverse();
    Ok((names.join(&PATH_SEPARATOR.to_string()), above))
}

/// The path by which we call a category of a shop, if it is known as ours.
fn our_path(
    connection: &Connection,
    shop: i64,
    remote: &str,
) -> Result<Option<String>, JournalError> {
    let path: Option<Option<String>> = connection
        .prepare_cached(
            "SELECT json_extract(r.keys, '$[0]') FROM link l JOIN record r ON r.record = l.record
             WHERE l.shop = ?1 AND l.kind = ?2 AND l.id = ?3 AND l.gone = 0",
        )?
        .query_row(params![shop, kind_code(Kind::Category), remote], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(path.flatten().filter(|path| is_within_depth(path)))
}
