//! Enrolments: keys that wait for a person. Bounded in number, in time and in wrong codes.

use crate::{
    Hash, Storage, StorageError,
    bounds::{PENDING_MAX, REJECTED_DAYS, REJECTED_MAX, WRONG_CODES_MAX},
    change::Change,
    entities::{enrolment, join_token, token, worker},
    numbers::{from_json, from_ms, label, to_json, to_ms, unsigned},
    workers::{key_bytes, next_worker_id},
};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use lockstep_model::WorkerId;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub struct NewEnrolment {
    /// Picked at random by the caller.
    pub id: String,
    pub public_key: [u8; 32],
    pub name: String,
    pub build: String,
    pub platforms: Vec<String>,
    pub facts: BTreeMap<String, String>,
    /// Where it asked from.
    pub address: String,
    /// What worker and console show.
    pub code: String,
    pub device_hash: Hash,
    pub nonce: [u8; 16],
    pub asked_at: Timestamp,
    pub expires_at: Timestamp,
    /// It holds a join token: there is room for it, however many strangers wait.
    pub join: Option<Hash>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolOutcome {
    Pending,
    /// As many wait as may.
    TooMany,
    /// A person said no to this key before.
    Rejected,
    /// The join token is unknown, used up or over; nothing was kept.
    BadJoin,
    /// The key is this worker's: no person is asked, and what is enrolled gives one token to who proves the key.
    Known(WorkerId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentState {
    Pending,
    Confirmed(WorkerId),
    /// Asked with the key of a worker that was approved before.
    Returning(WorkerId),
    Rejected,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    pub id: String,
    pub public_key: [u8; 32],
    pub name: String,
    pub build: String,
    pub platforms: Vec<String>,
    pub facts: BTreeMap<String, String>,
    pub address: String,
    pub code: String,
    pub nonce: [u8; 16],
    pub state: EnrolmentState,
    pub wrong_codes: u32,
    pub asked_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfirmOutcome {
    Confirmed {
        worker: WorkerId,
        name: String,
    },
    /// Counted; after the last one the enrolment is rejected by itself.
    WrongCode {
        left: u32,
    },
    Expired,
    Rejected,
    /// Somebody confirmed it before.
    Already(WorkerId),
    NotFound,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollOutcome {
    Pending,
    /// Sooner than the interval after the last one.
    SlowDown,
    Rejected,
    /// Unknown, of another device, over, or its token is in use.
    Expired,
    Confirmed {
        worker: WorkerId,
    },
}

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

const PENDING: &str = "pending";
const CONFIRMED: &str = "confirmed";
const RETURNING: &str = "returning";
const REJECTED: &str = "rejected";

fn state(row: &enrolment::Model) -> EnrolmentState {
    match (row.state.as_str(), row.worker) {
        (CONFIRMED, Some(worker)) => EnrolmentState::Confirmed(WorkerId(unsigned(worker))),
        (RETURNING, Some(worker)) => EnrolmentState::Returning(WorkerId(unsigned(worker))),
        (PENDING, _) => EnrolmentState::Pending,
        _ => EnrolmentState::Rejected,
    }
}

impl TryFrom<enrolment::Model> for Enrolment {
    type Error = StorageError;

    fn try_from(row: enrolment::Model) -> Result<Self, StorageError> {
        let nonce = HEXLOWER
            .decode(row.nonce.as_bytes())
            .map_err(|error| StorageError::corrupt("an enrolment's nonce", error))?;
        Ok(Enrolment {
            public_key: key_bytes(&row.public_key)?,
            platforms: from_json("an enrolment's platforms", &row.platforms_json)?,
            facts: from_json("an enrolment's facts", &row.facts_json)?,
            nonce: nonce.try_into().map_err(|_| {
                StorageError::new(
                    crate::Kind::Corrupt,
                    "an enrolment's nonce has not 16 bytes",
                )
            })?,
            state: state(&row),
            wrong_codes: u32::try_from(row.wrong_codes).unwrap_or(u32::MAX),
            asked_at: from_ms(row.asked_at)?,
            expires_at: from_ms(row.expires_at)?,
            id: row.id,
            name: row.name,
            build: row.build,
            address: row.address,
            code: row.code,
        })
    }
}

impl Storage {
    /// A key asks to be approved. Asking again with the same key forgets the earlier one.
    pub async fn enrol(&self, new: &NewEnrolment) -> Result<EnrolOutcome, StorageError> {
        let change = self.begin_change().await?;
        let key = HEXLOWER.encode(&new.public_key);
        let known = worker::Entity::find()
            .filter(worker::Column::PublicKey.eq(&key))
            .one(&change.tx)
            .await?;
        enrolment::Entity::delete_many()
            .filter(enrolment::Column::ExpiresAt.lte(to_ms(new.asked_at)))
            .exec(&change.tx)
            .await?;
        // A known key has one row at the most: strangers do not keep it out.
        if known.is_none()
            && let Some(refused) = refusal(&change, new, &key).await?
        {
            change.commit().await?;
            return Ok(refused);
        }
        enrolment::Entity::delete_many()
            .filter(enrolment::Column::PublicKey.eq(&key))
            .exec(&change.tx)
            .await?;
        let row = enrolment::ActiveModel {
            id: Set(new.id.clone()),
            public_key: Set(key),
            name: Set(label(&new.name)),
            build: Set(label(&new.build)),
            platforms_json: Set(to_json(&new.platforms)?),
            facts_json: Set(to_json(&new.facts)?),
            address: Set(label(&new.address)),
            code: Set(new.code.clone()),
            device_hash: Set(new.device_hash.to_hex()),
            nonce: Set(HEXLOWER.encode(&new.nonce)),
            state: Set(match known {
                Some(_) => RETURNING.to_owned(),
                None => PENDING.to_owned(),
            }),
            worker: Set(known.as_ref().map(|worker| worker.id)),
            decided_by: Set(None),
            wrong_codes: Set(0),
            asked_at: Set(to_ms(new.asked_at)),
            expires_at: Set(to_ms(new.expires_at)),
            polled_at: Set(None),
        };
        enrolment::Entity::insert(row)
            .exec_without_returning(&change.tx)
            .await?;
        change.commit().await?;
        Ok(match known {
            Some(worker) => EnrolOutcome::Known(WorkerId(unsigned(worker.id))),
            None => EnrolOutcome::Pending,
        })
    }

    /// Those that still wait, the oldest first.
    pub async fn pending_enrolments(&self, now: Timestamp) -> Result<Vec<Enrolment>, StorageError> {
        let rows = enrolment::Entity::find()
            .filter(enrolment::Column::State.eq(PENDING))
            .filter(enrolment::Column::ExpiresAt.gt(to_ms(now)))
            .order_by_asc(enrolment::Column::AskedAt)
            .all(&self.db)
            .await?;
        rows.into_iter().map(Enrolment::try_from).collect()
    }

    pub async fn enrolment(&self, id: &str) -> Result<Option<Enrolment>, StorageError> {
        let row = enrolment::Entity::find_by_id(id.to_owned())
            .one(&self.db)
            .await?;
        row.map(Enrolment::try_from).transpose()
    }

    /// A person says yes, and shows by the code that he looked at the worker. Names the enrolment: what is
    /// confirmed is the key that was shown, whatever else asks under that name meanwhile.
    pub async fn confirm_enrolment(
        &self,
        id: &str,
        code: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<ConfirmOutcome, StorageError> {
        let change = self.begin_change().await?;
        let Some(row) = enrolment::Entity::find_by_id(id.to_owned())
            .one(&change.tx)
            .await?
        else {
            change.forget().await?;
            return Ok(ConfirmOutcome::NotFound);
        };
        if let Some(outcome) = closed(&row, now) {
            change.forget().await?;
            return Ok(outcome);
        }
        if row.code != code {
            let wrong = row.wrong_codes + 1;
            let left = (WRONG_CODES_MAX - wrong).max(0);
            let mut row = row.into_active_model();
            row.wrong_codes = Set(wrong);
            if left == 0 {
                row.state = Set(REJECTED.to_owned());
                row.decided_by = Set(Some(label(&format!("too many wrong codes, last by {by}"))));
            }
            row.update(&change.tx).await?;
            change.commit().await?;
            return Ok(ConfirmOutcome::WrongCode {
                left: u32::try_from(left).unwrap_or(0),
            });
        }
        let outcome = approve(&change, row, by, now).await?;
        change.commit().await?;
        Ok(outcome)
    }

    /// A join token says yes in a person's place, once for each of its uses.
    pub async fn confirm_enrolment_by_join(
        &self,
        id: &str,
        join: Hash,
        now: Timestamp,
    ) -> Result<ConfirmOutcome, StorageError> {
        let change = self.begin_change().await?;
        let Some(row) = enrolment::Entity::find_by_id(id.to_owned())
            .one(&change.tx)
            .await?
        else {
            change.forget().await?;
            return Ok(ConfirmOutcome::NotFound);
        };
        if let Some(outcome) = closed(&row, now) {
            change.forget().await?;
            return Ok(outcome);
        }
        let Some(join) = good_join(&change, join, now).await? else {
            change.forget().await?;
            return Ok(ConfirmOutcome::NotFound);
        };
        let by = format!("join token {} of {}", join.label, join.made_by);
        let left = join.uses_left - 1;
        let mut join = join.into_active_model();
        join.uses_left = Set(left);
        join.update(&change.tx).await?;
        let outcome = approve(&change, row, &by, now).await?;
        change.commit().await?;
        Ok(outcome)
    }

    /// Its place is free at once; its key stays refused for a long while.
    pub async fn reject_enrolment(
        &self,
        id: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let change = self.begin_change().await?;
        let row = enrolment::Entity::find_by_id(id.to_owned())
            .one(&change.tx)
            .await?
            .ok_or_else(|| StorageError::not_found(format!("enrolment {id}")))?;
        if matches!(row.state.as_str(), CONFIRMED | RETURNING) {
            return Err(StorageError::new(
                crate::Kind::Conflict,
                format!("enrolment {id} is confirmed already; suspend the worker instead"),
            ));
        }
        let mut row = row.into_active_model();
        row.state = Set(REJECTED.to_owned());
        row.decided_by = Set(Some(label(by)));
        row.expires_at = Set(to_ms(now) + REJECTED_DAYS * DAY_MS);
        row.update(&change.tx).await?;
        forget_oldest_rejected(&change).await?;
        change.commit().await?;
        Ok(())
    }

    /// The waiting worker asks. The caller has checked its signature against [`Storage::enrolment`].
    pub async fn poll_enrolment(
        &self,
        id: &str,
        device_hash: Hash,
        interval_ms: i64,
        now: Timestamp,
    ) -> Result<PollOutcome, StorageError> {
        let Some(row) = enrolment::Entity::find_by_id(id.to_owned())
            .one(&self.db)
            .await?
        else {
            return Ok(PollOutcome::Expired);
        };
        if row.device_hash != device_hash.to_hex() {
            return Ok(PollOutcome::Expired);
        }
        match state(&row) {
            EnrolmentState::Rejected => return Ok(PollOutcome::Rejected),
            EnrolmentState::Confirmed(worker) => {
                // Whoever has used the token has it: nobody else gets another by this enrolment.
                let used = token::Entity::find()
                    .filter(token::Column::Worker.eq(row.worker))
                    .filter(token::Column::UsedAt.is_not_null())
                    .one(&self.db)
                    .await?;
                if used.is_some() || row.expires_at <= to_ms(now) {
                    return Ok(PollOutcome::Expired);
                }
                return Ok(PollOutcome::Confirmed { worker });
            }
            EnrolmentState::Pending | EnrolmentState::Returning(_)
                if row.expires_at <= to_ms(now) =>
            {
                return Ok(PollOutcome::Expired);
            }
            EnrolmentState::Returning(worker) => {
                // For one use: what was signed once proves nothing a second time.
                let gone = enrolment::Entity::delete_by_id(id.to_owned())
                    .exec(&self.db)
                    .await?;
                return Ok(match gone.rows_affected {
                    1 => PollOutcome::Confirmed { worker },
                    _ => PollOutcome::Expired,
                });
            }
            EnrolmentState::Pending => {}
        }
        let too_soon = row
            .polled_at
            .is_some_and(|last| to_ms(now) - last < interval_ms);
        let mut row = row.into_active_model();
        row.polled_at = Set(Some(to_ms(now)));
        row.update(&self.db).await?;
        Ok(if too_soon {
            PollOutcome::SlowDown
        } else {
            PollOutcome::Pending
        })
    }
}

/// Why a key that is not known may not wait.
async fn refusal(
    change: &Change,
    new: &NewEnrolment,
    key: &str,
) -> Result<Option<EnrolOutcome>, StorageError> {
    let rejected = enrolment::Entity::find()
        .filter(enrolment::Column::PublicKey.eq(key))
        .filter(enrolment::Column::State.eq(REJECTED))
        .one(&change.tx)
        .await?;
    if rejected.is_some() {
        return Ok(Some(EnrolOutcome::Rejected));
    }
    if let Some(join) = new.join {
        let good = good_join(change, join, new.asked_at).await?;
        return Ok(good.is_none().then_some(EnrolOutcome::BadJoin));
    }
    let waiting = enrolment::Entity::find()
        .filter(enrolment::Column::State.eq(PENDING))
        .filter(enrolment::Column::PublicKey.ne(key))
        .count(&change.tx)
        .await?;
    Ok((waiting >= PENDING_MAX).then_some(EnrolOutcome::TooMany))
}

async fn good_join(
    change: &Change,
    join: Hash,
    now: Timestamp,
) -> Result<Option<join_token::Model>, StorageError> {
    let row = join_token::Entity::find()
        .filter(join_token::Column::Hash.eq(join.to_hex()))
        .one(&change.tx)
        .await?;
    Ok(row.filter(|join| join.uses_left > 0 && join.expires_at > to_ms(now)))
}

async fn forget_oldest_rejected(change: &Change) -> Result<(), StorageError> {
    let rejected = || enrolment::Entity::find().filter(enrolment::Column::State.eq(REJECTED));
    let beyond = rejected()
        .count(&change.tx)
        .await?
        .saturating_sub(REJECTED_MAX);
    if beyond == 0 {
        return Ok(());
    }
    let oldest = rejected()
        .order_by_asc(enrolment::Column::ExpiresAt)
        .limit(beyond)
        .all(&change.tx)
        .await?;
    enrolment::Entity::delete_many()
        .filter(enrolment::Column::Id.is_in(oldest.into_iter().map(|row| row.id)))
        .exec(&change.tx)
        .await?;
    Ok(())
}

fn closed(row: &enrolment::Model, now: Timestamp) -> Option<ConfirmOutcome> {
    match state(row) {
        EnrolmentState::Confirmed(worker) | EnrolmentState::Returning(worker) => {
            Some(ConfirmOutcome::Already(worker))
        }
        EnrolmentState::Rejected => Some(ConfirmOutcome::Rejected),
        EnrolmentState::Pending if row.expires_at <= to_ms(now) => Some(ConfirmOutcome::Expired),
        EnrolmentState::Pending => None,
    }
}

async fn approve(
    change: &Change,
    row: enrolment::Model,
    by: &str,
    now: Timestamp,
) -> Result<ConfirmOutcome, StorageError> {
    let id = next_worker_id(change).await?;
    let new = worker::ActiveModel {
        id: Set(id),
        name: Set(row.name.clone()),
        public_key: Set(row.public_key.clone()),
        state: Set(crate::WorkerState::Active.as_str().to_owned()),
        build: Set(row.build.clone()),
        platforms_json: Set(row.platforms_json.clone()),
        facts_json: Set(row.facts_json.clone()),
        address: Set(row.address.clone()),
        instance: Set(None),
        approved_by: Set(label(by)),
        created_at: Set(to_ms(now)),
        last_seen_at: Set(None),
        stamp: Set(change.stamp),
    };
    worker::Entity::insert(new)
        .exec_without_returning(&change.tx)
        .await?;
    let name = row.name.clone();
    let mut row = row.into_active_model();
    row.state = Set(CONFIRMED.to_owned());
    row.worker = Set(Some(id));
    row.decided_by = Set(Some(label(by)));
    row.update(&change.tx).await?;
    Ok(ConfirmOutcome::Confirmed {
        worker: WorkerId(unsigned(id)),
        name,
    })
}
