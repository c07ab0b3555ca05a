//! Asks: questions to workers and their answers. Both are sealed, since a question about a shop that is
//! not saved yet carries its credentials. What they say is the protocol's business: here they are bytes.

use crate::{
    Kind, Storage, StorageError,
    entities::ask,
    numbers::{from_ms, label, signed, to_ms, unsigned},
    seal::Seal,
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, WorkerId};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
};

#[derive(Debug, Clone)]
pub struct NewAsk {
    pub customer: Option<CustomerId>,
    /// Any active worker with this connector may answer, where the customer has no worker yet.
    pub platform: Option<String>,
    pub kind: String,
    /// JSON, sealed before it is written.
    pub question: String,
    pub by: String,
    pub deadline: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskState {
    Open,
    Answered,
}

const OPEN: &str = "open";
const ANSWERED: &str = "answered";

#[derive(Clone, PartialEq, Eq)]
pub struct AskRow {
    pub id: u64,
    pub customer: Option<CustomerId>,
    pub platform: Option<String>,
    pub kind: String,
    pub question: String,
    pub answer: Option<String>,
    pub state: AskState,
    pub answered_by: Option<WorkerId>,
    pub by: String,
    pub asked_at: Timestamp,
    pub deadline: Timestamp,
    pub stamp: u64,
}

/// Without question and answer: they may hold credentials.
impl std::fmt::Debug for AskRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AskRow({}, {}, {:?})", self.id, self.kind, self.state)
    }
}

fn place(id: i64, part: &str) -> String {
    format!("ask/{id}/{part}")
}

fn unseal(seal: &Seal, id: i64, part: &str, sealed: &[u8]) -> Result<String, StorageError> {
    let clear = seal.open(&place(id, part), sealed)?;
    String::from_utf8(clear).map_err(|error| StorageError::corrupt("an ask", error.utf8_error()))
}

impl AskRow {
    pub(crate) fn open(seal: &Seal, row: ask::Model) -> Result<Self, StorageError> {
        let answer = row.sealed_answer.as_deref();
        Ok(AskRow {
            id: unsigned(row.id),
            customer: row.customer.map(|id| CustomerId(unsigned(id))),
            question: unseal(seal, row.id, "question", &row.sealed_question)?,
            answer: answer
                .map(|sealed| unseal(seal, row.id, "answer", sealed))
                .transpose()?,
            state: if row.state == OPEN {
                AskState::Open
            } else {
                AskState::Answered
            },
            answered_by: row.worker.map(|id| WorkerId(unsigned(id))),
            asked_at: from_ms(row.asked_at)?,
            deadline: from_ms(row.deadline)?,
            stamp: unsigned(row.stamp),
            platform: row.platform,
            kind: row.kind,
            by: row.asked_by,
        })
    }
}

impl Storage {
    /// Its id is the stamp of its transaction: no two have one, and none is used again. Asks whose
    /// deadline is an hour past are forgotten.
    pub async fn ask(&self, new: &NewAsk, now: Timestamp) -> Result<u64, StorageError> {
        let change = self.begin_change().await?;
        let hour_ms = 60 * 60 * 1_000;
        ask::Entity::delete_many()
            .filter(ask::Column::Deadline.lt(to_ms(now) - hour_ms))
            .exec(&change.tx)
            .await?;
        let id = change.stamp;
        let row = ask::ActiveModel {
            id: Set(id),
            customer: Set(new.customer.map(|id| signed(id.0))),
            platform: Set(new.platform.as_deref().map(label)),
            worker: Set(None),
            kind: Set(label(&new.kind)),
            sealed_question: Set(self
                .seal
                .seal(&place(id, "question"), new.question.as_bytes())?),
            sealed_answer: Set(None),
            state: Set(OPEN.to_owned()),
            asked_by: Set(label(&new.by)),
            asked_at: Set(to_ms(now)),
            deadline: Set(to_ms(new.deadline)),
            answered_at: Set(None),
            stamp: Set(id),
        };
        ask::Entity::insert(row)
            .exec_without_returning(&change.tx)
            .await?;
        change.commit().await
    }

    /// The first answer counts; a later one changes nothing and is no error. `false`: it was not the first,
    /// or it came after the deadline.
    pub async fn answer(
        &self,
        id: u64,
        worker: WorkerId,
        answer: &str,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        let change = self.begin_change().await?;
        let row = ask::Entity::find_by_id(signed(id))
            .one(&change.tx)
            .await?
            .ok_or_else(|| StorageError::new(Kind::NotFound, format!("there is no ask {id}")))?;
        if row.state != OPEN || row.deadline < to_ms(now) {
            change.forget().await?;
            return Ok(false);
        }
        let sealed = self
            .seal
            .seal(&place(row.id, "answer"), answer.as_bytes())?;
        let mut row = row.into_active_model();
        row.sealed_answer = Set(Some(sealed));
        row.state = Set(ANSWERED.to_owned());
        row.worker = Set(Some(signed(worker.0)));
        row.answered_at = Set(Some(to_ms(now)));
        row.stamp = Set(change.stamp);
        row.update(&change.tx).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Neither the question nor its answer is kept.
    pub async fn forget_ask(&self, id: u64) -> Result<(), StorageError> {
        ask::Entity::delete_by_id(signed(id)).exec(&self.db).await?;
        Ok(())
    }

    pub async fn asked(&self, id: u64) -> Result<Option<AskRow>, StorageError> {
        let row = ask::Entity::find_by_id(signed(id)).one(&self.db).await?;
        row.map(|row| AskRow::open(&self.seal, row)).transpose()
    }

    /// Those that wait for an answer, for a coordinator that has just started.
    pub async fn open_asks(&self, now: Timestamp) -> Result<Vec<AskRow>, StorageError> {
        let rows = ask::Entity::find()
            .filter(ask::Column::State.eq(OPEN))
            .filter(ask::Column::Deadline.gte(to_ms(now)))
            .all(&self.db)
            .await?;
        rows.into_iter()
            .map(|row| AskRow::open(&self.seal, row))
            .collect()
    }
}
