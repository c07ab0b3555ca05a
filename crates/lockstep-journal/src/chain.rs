//! The chain of segments: cut from this journal, acknowledged by a coordinator, or accepted from another file.

use crate::bounds::SEGMENT_BYTES_MAX;
use crate::columns::{id, int, micros, time};
use crate::journal::{check, last_seq, write_line};
use crate::segment::{Hash, Segment, SegmentHeader};
use crate::{Journal, JournalError, SegmentError, projection, seal, staging};
use jiff::Timestamp;
use lockstep_model::entry::Entry;
use lockstep_model::{CustomerId, Epoch, Incarnation, Lane};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use sha2::Digest;

const COLUMNS: &str =
    "sequence, incarnation, epoch, first_seq, last_seq, previous, hash, at, acknowledged";

/// A cut, as its row. The entries lie where they lay.
pub(crate) struct Cut {
    pub incarnation: Incarnation,
    pub epoch: Epoch,
    pub sequence: u64,
    pub first_seq: u64,
    pub last_seq: u64,
    pub previous: Hash,
    pub hash: Hash,
    pub at: Timestamp,
    pub acknowledged: bool,
}

impl Cut {
    fn header(&self, customer: CustomerId) -> SegmentHeader {
        SegmentHeader {
            customer,
            incarnation: self.incarnation,
            epoch: self.epoch,
            sequence: self.sequence,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            at: self.at,
            previous: self.previous,
        }
    }
}

pub(crate) fn last_cut(connection: &Connection) -> Result<Option<Cut>, JournalError> {
    one_cut(
        connection,
        &format!("SELECT {COLUMNS} FROM segment ORDER BY sequence DESC LIMIT 1"),
        [],
    )
}

fn cut_at(connection: &Connection, sequence: u64) -> Result<Option<Cut>, JournalError> {
    one_cut(
        connection,
        &format!("SELECT {COLUMNS} FROM segment WHERE sequence = ?1"),
        [int(sequence)],
    )
}

fn one_cut(
    connection: &Connection,
    sql: &str,
    key: impl rusqlite::Params,
) -> Result<Option<Cut>, JournalError> {
    let row = connection
        .prepare_cached(sql)?
        .query_row(key, |row| Ok(read_cut(row)))
        .optional()?;
    row.transpose()
}

fn read_cut(row: &Row<'_>) -> Result<Cut, JournalError> {
    let hash = |column: usize| -> Result<Hash, JournalError> {
        let bytes: Vec<u8> = row.get(column)?;
        bytes
            .try_into()
            .map(Hash)
            .map_err(|_| JournalError::Corrupt {
                what: "a segment's hash",
            })
    };
    Ok(Cut {
        sequence: id(row.get(0)?),
        incarnation: Incarnation(id(row.get(1)?)),
        epoch: Epoch(id(row.get(2)?)),
        first_seq: id(row.get(3)?),
        last_seq: id(row.get(4)?),
        previous: hash(5)?,
        hash: hash(6)?,
        at: time(row.get(7)?)?,
        acknowledged: row.get(8)?,
    })
}

fn save(connection: &Connection, segment: &Segment, acknowledged: bool) -> rusqlite::Result<()> {
    let header = &segment.header;
    connection
        .prepare_cached(
            "INSERT INTO segment(sequence, incarnation, epoch, first_seq, last_seq, previous, hash, at, acknowledged)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            int(header.sequence),
            int(header.incarnation.0),
            int(header.epoch.0),
            int(header.first_seq),
            int(header.last_seq),
            header.previous.0.as_slice(),
            segment.hash.0.as_slice(),
            micros(header.at),
            acknowledged
        ])?;
    Ok(())
}

impl Journal {
    /// The oldest segment that is not acknowledged; cut now, if there is none and there are entries. The same until
    /// it is acknowledged, byte for byte in what its hash covers. `None`: everything is acknowledged.
    pub fn cut_segment(&mut self, bytes_max: usize) -> Result<Option<Segment>, SegmentError> {
        let open = one_cut(
            &self.connection,
            &format!(
                "SELECT {COLUMNS} FROM segment WHERE acknowledged = 0 ORDER BY sequence LIMIT 1"
            ),
            [],
        )?;
        if let Some(cut) = open {
            return self.pack(&cut).map(Some);
        }
        let last = last_cut(&self.connection)?;
        let first_seq = last.as_ref().map_or(1, |cut| cut.last_seq + 1);
        let Some((lines, last_seq, at)) = lines_from(
            &self.connection,
            first_seq,
            bytes_max.min(SEGMENT_BYTES_MAX),
        )?
        else {
            return Ok(None);
        };
        let (incarnation, epoch) = projection::held_epoch(&self.connection)?;
        let header = SegmentHeader {
            customer: self.customer,
            incarnation,
            epoch,
            sequence: last.as_ref().map_or(1, |cut| cut.sequence + 1),
            first_seq,
            last_seq,
            // In the precision that the header has.
            at: time(micros(at))?,
            previous: last.map_or(Hash::ZERO, |cut| cut.hash),
        };
        let segment = Segment::pack(header, &lines)?;
        save(&self.connection, &segment, false)?;
        Ok(Some(segment))
    }

    /// A segment that was cut or accepted before, made again from its entries.
    pub fn segment(&self, sequence: u64) -> Result<Option<Segment>, SegmentError> {
        match cut_at(&self.connection, sequence)? {
            Some(cut) => self.pack(&cut).map(Some),
            None => Ok(None),
        }
    }

    fn pack(&self, cut: &Cut) -> Result<Segment, SegmentError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT line FROM entry WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq")?;
        let mut rows = query.query(params![int(cut.first_seq), int(cut.last_seq)])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            lines.extend_from_slice(row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?);
            lines.push(b'\n');
        }
        let segment = Segment::pack(cut.header(self.customer), &lines)?;
        if segment.hash == cut.hash {
            Ok(segment)
        } else {
            Err(SegmentError::WrongHash)
        }
    }

    /// The coordinator has the segment, under this hash.
    pub fn acknowledge(&mut self, sequence: u64, hash: Hash) -> Result<(), SegmentError> {
        let Some(cut) = cut_at(&self.connection, sequence)? else {
            let wanted = last_cut(&self.connection)?.map_or(0, |cut| cut.sequence);
            return Err(SegmentError::Gap {
                wanted,
                found: sequence,
            });
        };
        if cut.hash != hash {
            return Err(SegmentError::WrongAcknowledgement { sequence });
        }
        if !cut.acknowledged {
            self.connection
                .prepare_cached("UPDATE segment SET acknowledged = 1 WHERE sequence <= ?1")?
                .execute([int(sequence)])?;
        }
        Ok(())
    }

    /// Forgets cuts that were never acknowledged, so that their entries are cut again under the epoch held now.
    ///
    /// For the one case that the coordinator refused a cut because this same worker has opened the journal anew
    /// since: it has not got the cut, and will not take it under the old epoch.
    pub fn cut_again(&mut self) -> Result<(), JournalError> {
        self.connection
            .execute("DELETE FROM segment WHERE acknowledged = 0", [])?;
        Ok(())
    }

    /// Takes over the next segment of this customer's chain: a restore on a fresh disk, or a replica.
    ///
    /// A segment that is known already is accepted again without effect.
    pub fn accept(&mut self, segment: &Segment) -> Result<(), SegmentError> {
        self.accept_all(std::slice::from_ref(segment))
    }

    /// As `accept`, all of them or none.
    pub fn accept_all(&mut self, segments: &[Segment]) -> Result<(), SegmentError> {
        let customer = self.customer;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let keys = seal::keys(&transaction)?;
        for segment in segments {
            accept_one(&transaction, customer, segment)?;
        }
        // What this file has staged was read before another worker went on, and is older than what he saw.
        for lane in Lane::ALL {
            staging::forget(&transaction, lane)?;
        }
        let erased = seal::keys(&transaction)? < keys;
        transaction.commit()?;
        if erased {
            seal::empty_log(&self.connection)?;
        }
        Ok(())
    }
}

/// Do the entries of this file hash, segment by segment, to the chain that it says? All of it is acknowledged then.
/// Whoever knows the last hash knows each entry.
pub(crate) fn prove(connection: &Connection, customer: CustomerId) -> Result<(), SegmentError> {
    let mut cuts =
        connection.prepare(&format!("SELECT {COLUMNS} FROM segment ORDER BY sequence"))?;
    let mut cuts = cuts.query([])?;
    let mut entries = connection.prepare("SELECT seq, line FROM entry ORDER BY seq")?;
    let mut entries = entries.query([])?;
    let mut last: Option<Cut> = None;
    while let Some(row) = cuts.next()? {
        let cut = read_cut(row)?;
        let sequence = cut.sequence;
        let (before, end, previous) = last.map_or((0, 0, Hash::ZERO), |last| {
            (last.sequence, last.last_seq, last.hash)
        });
        if sequence != before + 1 {
            return Err(SegmentError::Gap {
                wanted: before + 1,
                found: sequence,
            });
        }
        if cut.previous != previous || !cut.acknowledged {
            return Err(SegmentError::BrokenChain { sequence });
        }
        let mut hasher = cut.header(customer).hasher();
        for seq in end + 1..=cut.last_seq {
            let entry = entries.next()?;
            let Some(entry) = entry.filter(|_| cut.first_seq == end + 1) else {
                return Err(SegmentError::Disorder { sequence, seq });
            };
            if id(entry.get(0)?) != seq {
                return Err(SegmentError::Disorder { sequence, seq });
            }
            hasher.update(
                entry
                    .get_ref(1)?
                    .as_bytes()
                    .map_err(rusqlite::Error::from)?,
            );
            hasher.update(b"\n");
        }
        if Hash(hasher.finalize().into()) != cut.hash {
            return Err(SegmentError::WrongHash);
        }
        last = Some(cut);
    }
    Ok(())
}

fn accept_one(
    transaction: &Connection,
    customer: CustomerId,
    segment: &Segment,
) -> Result<(), SegmentError> {
    let header = &segment.header;
    let sequence = header.sequence;
    if header.customer != customer {
        return Err(SegmentError::WrongCustomer {
            wanted: customer,
            found: header.customer,
        });
    }
    // What it says of itself is believed once it is proven.
    let lines = segment.lines()?;
    let last = last_cut(transaction)?;
    let last_sequence = last.as_ref().map_or(0, |cut| cut.sequence);
    if sequence <= last_sequence {
        return match cut_at(transaction, sequence)? {
            Some(cut) if cut.hash == segment.hash => Ok(()),
            _ => Err(SegmentError::Forked { sequence }),
        };
    }
    if sequence != last_sequence + 1 {
        return Err(SegmentError::Gap {
            wanted: last_sequence + 1,
            found: sequence,
        });
    }
    if header.previous != last.as_ref().map_or(Hash::ZERO, |cut| cut.hash) {
        return Err(SegmentError::BrokenChain { sequence });
    }
    if let Some(last) = &last
        && (header.incarnation, header.epoch) < (last.incarnation, last.epoch)
    {
        return Err(SegmentError::OldEpoch { sequence });
    }
    let wanted = last_seq(transaction)? + 1;
    if header.first_seq != wanted {
        return Err(SegmentError::WrongStart {
            sequence,
            wanted,
            found: header.first_seq,
        });
    }
    segment.each_entry(&lines, |entry, line| {
        check(transaction, customer, &entry.body)?;
        Ok(write_line(transaction, &entry, line)?)
    })?;
    save(transaction, segment, true)?;
    Ok(())
}

/// Lines from `first_seq` on, at least one, up to `bytes_max`; the last one's number and time.
fn lines_from(
    connection: &Connection,
    first_seq: u64,
    bytes_max: usize,
) -> Result<Option<(Vec<u8>, u64, Timestamp)>, JournalError> {
    let mut query =
        connection.prepare_cached("SELECT seq, line FROM entry WHERE seq >= ?1 ORDER BY seq")?;
    let mut rows = query.query([int(first_seq)])?;
    let mut lines = Vec::new();
    let mut last: Option<(u64, usize)> = None;
    while let Some(row) = rows.next()? {
        let line = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
        if last.is_some() && lines.len() + line.len() + 1 > bytes_max {
            break;
        }
        last = Some((id(row.get(0)?), lines.len()));
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    let Some((seq, start)) = last else {
        return Ok(None);
    };
    let entry: Entry = serde_json::from_slice(&lines[start..])
        .map_err(|source| JournalError::CorruptEntry { seq, source })?;
    Ok(Some((lines, seq, entry.at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_as_it_was_written_so_that_its_segment_can_be_made_again() {
        let customer = CustomerId(1);
        // As another version may have written it: the same entry, other bytes.
        let line = br#"{ "at": "1970-01-01T00:00:00Z", "seq": 1, "entry": "order_released", "order": "lockstep:1:2:3" }"#;
        let header = SegmentHeader {
            customer,
            incarnation: Incarnation(1),
            epoch: Epoch(1),
            sequence: 1,
            first_seq: 1,
            last_seq: 1,
            at: Timestamp::UNIX_EPOCH,
            previous: Hash::ZERO,
        };
        let segment = Segment::pack(header, &[line.as_slice(), b"\n"].concat()).unwrap();
        let mut journal = Journal::in_memory(customer).unwrap();
        journal.accept(&segment).unwrap();
        assert_eq!(journal.segment(1).unwrap(), Some(segment));
    }
}
