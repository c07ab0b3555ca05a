//! Journal segments. One row, inserted in the transaction that checks the epoch, *is* the acknowledgement.

use crate::{
    Hash, Storage, StorageError,
    bounds::SEGMENT_ROW_BYTES_MAX,
    entities::segment,
    numbers::{from_ms, signed, to_ms, unsigned},
    owners::{locked, state},
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, Epoch, Incarnation, WorkerId};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

pub struct NewSegment<'a> {
    pub customer: CustomerId,
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    pub epoch: Epoch,
    /// 1, 2, 3 … over all epochs.
    pub sequence: u64,
    pub previous: Hash,
    pub hash: Hash,
    pub body: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentOutcome {
    Accepted,
    /// The same hash stood there: an answer was lost.
    Same,
    /// Another hash stands there, or it follows another one than the last.
    Conflict(Option<SegmentHead>),
    /// Not the next one.
    Gap(Option<SegmentHead>),
    /// The customer is another's, or in another epoch or incarnation.
    OldEpoch {
        incarnation: Incarnation,
        epoch: Epoch,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHead {
    pub incarnation: Incarnation,
    pub epoch: Epoch,
    pub sequence: u64,
    pub hash: Hash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub customer: CustomerId,
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    pub epoch: Epoch,
    pub sequence: u64,
    pub previous: Hash,
    pub hash: Hash,
    pub body: Vec<u8>,
    pub received_at: Timestamp,
}

fn head(row: &segment::Model) -> Result<SegmentHead, StorageError> {
    Ok(SegmentHead {
        incarnation: Incarnation(unsigned(row.incarnation)),
        epoch: Epoch(unsigned(row.epoch)),
        sequence: unsigned(row.sequence),
        hash: Hash::from_hex(&row.hash)?,
    })
}

async fn last(
    db: &impl ConnectionTrait,
    customer: i64,
) -> Result<Option<SegmentHead>, StorageError> {
    at(db, customer, None).await
}

/// The segment of this number, or the last one.
async fn at(
    db: &impl ConnectionTrait,
    customer: i64,
    sequence: Option<u64>,
) -> Result<Option<SegmentHead>, StorageError> {
    let mut found = segment::Entity::find();
    if let Some(sequence) = sequence {
        found = found.filter(segment::Column::Sequence.eq(signed(sequence)));
    }
    // Not the body.
    let row = found
        .select_only()
        .columns([
            segment::Column::Incarnation,
            segment::Column::Epoch,
            segment::Column::Sequence,
            segment::Column::Hash,
        ])
        .filter(segment::Column::Customer.eq(customer))
        .order_by_desc(segment::Column::Sequence)
        .limit(1)
        .into_tuple::<(i64, i64, i64, String)>()
        .one(db)
        .await?;
    row.map(|(incarnation, epoch, sequence, hash)| {
        Ok(SegmentHead {
            incarnation: Incarnation(unsigned(incarnation)),
            epoch: Epoch(unsigned(epoch)),
            sequence: unsigned(sequence),
            hash: Hash::from_hex(&hash)?,
        })
    })
    .transpose()
}

impl Storage {
    pub async fn put_segment(
        &self,
        new: &NewSegment<'_>,
        now: Timestamp,
    ) -> Result<SegmentOutcome, StorageError> {
        // First the blob, then its name: a crash between leaves bytes that nobody names, never a name
        // without bytes.
        let blob = match new.body.len() {
            ..=SEGMENT_ROW_BYTES_MAX => None,
            _ => Some(self.put_blob(new.body, now).await?),
        };
        let customer = signed(new.customer.0);
        let tx = self.begin().await?;
        let Some(owner) = locked(&tx, customer).await? else {
            tx.rollback().await?;
            return Ok(SegmentOutcome::OldEpoch {
                incarnation: Incarnation(0),
                epoch: Epoch(0),
            });
        };
        let holds = state(&owner);
        let incarnation = Incarnation(unsigned(owner.incarnation));
        let head = last(&tx, customer).await?;
        let is_owner = holds.worker == Some(new.worker);
        let is_of_now = (new.incarnation, new.epoch) == (incarnation, holds.epoch);
        if is_owner && head.is_none() && new.incarnation < incarnation {
            // Nothing here says that it is of this customer: its number may have been another's before the restore.
            tx.rollback().await?;
            return Ok(SegmentOutcome::Conflict(None));
        }
        if !is_owner || !(is_of_now || is_of_before(new, incarnation, head)) {
            tx.rollback().await?;
            return Ok(SegmentOutcome::OldEpoch {
                incarnation,
                epoch: holds.epoch,
            });
        }
        if let Some(refusal) = refused(&tx, customer, new, head).await? {
            tx.rollback().await?;
            return Ok(refusal);
        }
        let row = segment::ActiveModel {
            customer: Set(customer),
            sequence: Set(signed(new.sequence)),
            incarnation: Set(signed(new.incarnation.0)),
            epoch: Set(signed(new.epoch.0)),
            worker: Set(signed(new.worker.0)),
            previous: Set(new.previous.to_hex()),
            hash: Set(new.hash.to_hex()),
            body: Set(blob.is_none().then(|| new.body.to_vec())),
            blob: Set(blob.map(Hash::to_hex)),
            body_bytes: Set(signed(new.body.len() as u64)),
            received_at: Set(to_ms(now)),
        };
        segment::Entity::insert(row)
            .exec_without_returning(&tx)
            .await?;
        tx.commit().await?;
        Ok(SegmentOutcome::Accepted)
    }

    /// The last segment of a customer; `None`: it has none.
    pub async fn segment_head(
        &self,
        customer: CustomerId,
    ) -> Result<Option<SegmentHead>, StorageError> {
        last(&self.db, signed(customer.0)).await
    }

    /// Where the chain stands at this number; `None`: it has no such segment.
    pub async fn segment_at(
        &self,
        customer: CustomerId,
        sequence: u64,
    ) -> Result<Option<SegmentHead>, StorageError> {
        at(&self.db, signed(customer.0), Some(sequence)).await
    }

    /// How large the segments after this one are, in order, at most so many.
    pub async fn segment_sizes_after(
        &self,
        customer: CustomerId,
        sequence: u64,
        limit: u64,
    ) -> Result<Vec<(u64, u64)>, StorageError> {
        let sizes = segment::Entity::find()
            .select_only()
            .columns([segment::Column::Sequence, segment::Column::BodyBytes])
            .filter(segment::Column::Customer.eq(signed(customer.0)))
            .filter(segment::Column::Sequence.gt(signed(sequence)))
            .order_by_asc(segment::Column::Sequence)
            .limit(limit)
            .into_tuple::<(i64, i64)>()
            .all(&self.db)
            .await?;
        let unsigned_both = |(sequence, bytes)| (unsigned(sequence), unsigned(bytes));
        Ok(sizes.into_iter().map(unsigned_both).collect())
    }

    /// The segments after this one, in order, whole ones until `bytes_max` is passed; at least one, if there
    /// is one.
    pub async fn segments_after(
        &self,
        customer: CustomerId,
        sequence: u64,
        bytes_max: usize,
    ) -> Result<Vec<Segment>, StorageError> {
        let sizes = self.segment_sizes_after(customer, sequence, 1_000).await?;
        let mut left = bytes_max as u64;
        let mut upto = None;
        for (sequence, bytes) in sizes {
            if upto.is_some() && bytes > left {
                break;
            }
            left = left.saturating_sub(bytes);
            upto = Some(sequence);
        }
        let Some(upto) = upto else {
            return Ok(Vec::new());
        };
        let rows = segment::Entity::find()
            .filter(segment::Column::Customer.eq(signed(customer.0)))
            .filter(segment::Column::Sequence.gt(signed(sequence)))
            .filter(segment::Column::Sequence.lte(signed(upto)))
            .order_by_asc(segment::Column::Sequence)
            .all(&self.db)
            .await?;
        let mut segments = Vec::with_capacity(rows.len());
        for row in rows {
            let SegmentHead {
                incarnation,
                epoch,
                sequence,
                hash,
            } = head(&row)?;
            let body = match (row.body, row.blob) {
                (Some(body), _) => body,
                (None, Some(blob)) => self.blob(&blob).await?,
                (None, None) => {
                    let what = format!("segment {sequence} of customer {customer} has no body");
                    return Err(StorageError::new(crate::Kind::Corrupt, what));
                }
            };
            segments.push(Segment {
                customer,
                worker: WorkerId(unsigned(row.worker)),
                incarnation,
                epoch,
                sequence,
                previous: Hash::from_hex(&row.previous)?,
                hash,
                body,
                received_at: from_ms(row.received_at)?,
            });
        }
        Ok(segments)
    }
}

/// Written before the database was restored from a backup, and lost with it: the owner of now offers it again. It is
/// taken as long as nothing of the new incarnation stands in the chain, and never below the epoch of its head: so who
/// had the customer last before the restore brings the chain back as it was.
fn is_of_before(new: &NewSegment<'_>, now: Incarnation, head: Option<SegmentHead>) -> bool {
    new.incarnation < now
        && head.is_some_and(|head| (new.incarnation, new.epoch) >= (head.incarnation, head.epoch))
}

async fn refused(
    tx: &impl ConnectionTrait,
    customer: i64,
    new: &NewSegment<'_>,
    head: Option<SegmentHead>,
) -> Result<Option<SegmentOutcome>, StorageError> {
    let last = head.map_or(0, |head| head.sequence);
    if new.sequence >= 1 && new.sequence <= last {
        let there = segment::Entity::find()
            .select_only()
            .column(segment::Column::Hash)
            .filter(segment::Column::Customer.eq(customer))
            .filter(segment::Column::Sequence.eq(signed(new.sequence)))
            .into_tuple::<String>()
            .one(tx)
            .await?;
        return Ok(Some(match there {
            Some(hash) if hash == new.hash.to_hex() => SegmentOutcome::Same,
            _ => SegmentOutcome::Conflict(head),
        }));
    }
    if new.sequence != last + 1 {
        return Ok(Some(SegmentOutcome::Gap(head)));
    }
    let previous = head.map_or(Hash([0; 32]), |head| head.hash);
    Ok((new.previous != previous).then_some(SegmentOutcome::Conflict(head)))
}
