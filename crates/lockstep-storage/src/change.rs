//! The change counter and its tail.
//!
//! ```text
//!  A: begin · counter 7 → 8 ──────────── rows stamped 8 · commit
//!  B:            begin · (waits for the row) ─────────── counter 8 → 9 · rows stamped 9 · commit
//!  a reader that sees counter 9 has seen every row stamped 8
//! ```

use crate::{
    StorageError, TokenOwner,
    asks::AskRow,
    bounds::TAIL_ROWS_MAX,
    entities::{ask, cancel, change, customer, departure, ownership, token, wake, worker},
    numbers::{Hash, from_ms, signed, unsigned},
    open::ONLY_ROW,
    ownership::Ownership,
    workers::{Worker, WorkerState},
};
use jiff::Timestamp;
use lockstep_model::{CustomerId, Epoch, Flow, Incarnation, Revision, RunId, ShopId, WorkerId};
use sea_orm::{
    ColumnTrait, DatabaseConnection, DatabaseTransaction, DbBackend, EntityTrait, ExprTrait,
    IsolationLevel, QueryFilter, QueryOrder, QuerySelect, TransactionTrait, sea_query::Expr,
};

use crate::open::Storage;

/// A transaction that others must hear of.
pub(crate) struct Change {
    pub tx: DatabaseTransaction,
    /// The counter's value: the stamp of every row it touches.
    pub stamp: i64,
}

impl Change {
    pub async fn commit(self) -> Result<u64, StorageError> {
        self.tx.commit().await?;
        Ok(unsigned(self.stamp))
    }

    /// Nothing changed after all: nobody is told.
    pub async fn forget(self) -> Result<(), StorageError> {
        Ok(self.tx.rollback().await?)
    }
}

pub(crate) async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, StorageError> {
    Ok(match db.get_database_backend() {
        // SQLite's transactions are serialisable and know no other level.
        DbBackend::Sqlite => db.begin().await?,
        _ => {
            db.begin_with_config(Some(IsolationLevel::ReadCommitted), None)
                .await?
        }
    })
}

impl Storage {
    pub(crate) async fn begin_change(&self) -> Result<Change, StorageError> {
        let tx = self.begin().await?;
        change::Entity::update_many()
            .col_expr(
                change::Column::Counter,
                Expr::col(change::Column::Counter).add(1),
            )
            .filter(change::Column::Id.eq(ONLY_ROW))
            .exec(&tx)
            .await?;
        let row = change::Entity::find_by_id(ONLY_ROW)
            .one(&tx)
            .await?
            .ok_or_else(|| StorageError::not_found("change counter"))?;
        Ok(Change {
            tx,
            stamp: row.counter,
        })
    }

    /// The counter now. Cheap: one row by its key.
    pub async fn change_counter(&self) -> Result<u64, StorageError> {
        let row = change::Entity::find_by_id(ONLY_ROW).one(&self.db).await?;
        Ok(row.map_or(0, |row| unsigned(row.counter)))
    }

    /// Everything that changed after `seen`, as it is now. `upto` is what to ask from next; if a kind has
    /// more rows than one look takes, `upto` is lower than the counter and the next look goes on.
    pub async fn changes_since(&self, seen: u64) -> Result<Changes, StorageError> {
        let counter = self.change_counter().await?;
        let mut changes = Changes {
            upto: counter,
            ..Changes::default()
        };
        if counter <= seen {
            changes.upto = seen;
            return Ok(changes);
        }
        let after = signed(seen);
        macro_rules! rows {
            ($table:ident) => {{
                let mut rows = $table::Entity::find()
                    .filter($table::Column::Stamp.gt(after))
                    .filter($table::Column::Stamp.lte(signed(counter)))
                    .order_by_asc($table::Column::Stamp)
                    .limit(TAIL_ROWS_MAX)
                    .all(&self.db)
                    .await?;
                // A full page may end within a stamp: that one is read whole, and the tail ends there.
                if rows.len() as u64 == TAIL_ROWS_MAX
                    && let Some(last) = rows.last().map(|row| row.stamp)
                {
                    rows.retain(|row| row.stamp < last);
                    let whole =
                        $table::Entity::find().filter($table::Column::Stamp.eq(last)).all(&self.db);
                    rows.extend(whole.await?);
                    changes.upto = std::cmp::min(changes.upto, unsigned(last));
                }
                rows
            }};
        }
        let customers = rows!(customer);
        let ownerships = rows!(ownership);
        let departures = rows!(departure);
        let workers = rows!(worker);
        let tokens = rows!(token);
        let wakes = rows!(wake);
        let cancels = rows!(cancel);
        let asks = rows!(ask);
        let heard = |stamp: i64| unsigned(stamp) <= changes.upto;

        changes.customers = customers
            .into_iter()
            .filter(|row| heard(row.stamp))
            .map(CustomerChange::from)
            .collect();
        changes.ownerships = ownerships
            .into_iter()
            .filter(|row| heard(row.stamp))
            .map(OwnershipChange::from)
            .collect();
        changes.departures = departures
            .into_iter()
            .filter(|row| heard(row.stamp))
            .map(Departure::from)
            .collect();
        changes.workers = workers
            .into_iter()
            .filter(|row| heard(row.stamp))
            .map(WorkerChange::try_from)
            .collect::<Result<_, _>>()?;
        changes.tokens = tokens
            .into_iter()
            .filter(|row| heard(row.stamp))
            .map(TokenChange::try_from)
            .collect::<Result<_, _>>()?;
        changes.wakes = wakes
            .into_iter()
            .filter(|row| heard(row.stamp))
            .map(WakeRow::try_from)
            .collect::<Result<_, _>>()?;
        changes.cancels = cancels
            .into_iter()
            .filter(|row| heard(row.stamp))
            .map(|row| {
                (
                    CustomerId(unsigned(row.customer)),
                    RunId(unsigned(row.run)),
                    unsigned(row.stamp),
                )
            })
            .collect();
        changes.asks = asks
            .into_iter()
            .filter(|row| heard(row.stamp))
            .map(|row| AskRow::open(&self.seal, row))
            .collect::<Result<_, _>>()?;
        Ok(changes)
    }
}

/// Rows as they are now, each with the stamp of its last change.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub upto: u64,
    pub customers: Vec<CustomerChange>,
    pub ownerships: Vec<OwnershipChange>,
    pub departures: Vec<Departure>,
    pub workers: Vec<WorkerChange>,
    pub tokens: Vec<TokenChange>,
    pub wakes: Vec<WakeRow>,
    pub cancels: Vec<(CustomerId, RunId, u64)>,
    pub asks: Vec<AskRow>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty()
            && self.ownerships.is_empty()
            && self.departures.is_empty()
            && self.workers.is_empty()
            && self.tokens.is_empty()
            && self.wakes.is_empty()
            && self.cancels.is_empty()
            && self.asks.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerChange {
    pub id: CustomerId,
    pub name: String,
    pub revision: Revision,
    pub deleted: bool,
    pub stamp: u64,
}

impl From<customer::Model> for CustomerChange {
    fn from(row: customer::Model) -> Self {
        CustomerChange {
            id: CustomerId(unsigned(row.id)),
            name: row.name,
            revision: Revision(unsigned(row.revision)),
            deleted: row.deleted,
            stamp: unsigned(row.stamp),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnershipChange {
    pub customer: CustomerId,
    pub incarnation: Incarnation,
    pub ownership: Ownership,
    pub stamp: u64,
}

impl From<ownership::Model> for OwnershipChange {
    fn from(row: ownership::Model) -> Self {
        OwnershipChange {
            customer: CustomerId(unsigned(row.customer)),
            incarnation: Incarnation(unsigned(row.incarnation)),
            ownership: crate::owners::state(&row),
            stamp: unsigned(row.stamp),
        }
    }
}

/// This worker shall let this customer go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    pub customer: CustomerId,
    pub worker: WorkerId,
    pub stamp: u64,
}

impl From<departure::Model> for Departure {
    fn from(row: departure::Model) -> Self {
        Departure {
            customer: CustomerId(unsigned(row.customer)),
            worker: WorkerId(unsigned(row.worker)),
            stamp: unsigned(row.stamp),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerChange {
    pub id: WorkerId,
    pub name: String,
    pub state: WorkerState,
    pub platforms: Vec<String>,
    pub stamp: u64,
}

impl TryFrom<worker::Model> for WorkerChange {
    type Error = StorageError;

    fn try_from(row: worker::Model) -> Result<Self, StorageError> {
        let stamp = unsigned(row.stamp);
        let worker = Worker::try_from(row)?;
        Ok(WorkerChange {
            id: worker.id,
            name: worker.name,
            state: worker.state,
            platforms: worker.platforms,
            stamp,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenChange {
    pub owner: TokenOwner,
    /// No longer good, whatever it says of its end.
    pub revoked: bool,
    pub stamp: u64,
}

impl TryFrom<token::Model> for TokenChange {
    type Error = StorageError;

    fn try_from(row: token::Model) -> Result<Self, StorageError> {
        Ok(TokenChange {
            owner: TokenOwner {
                hash: Hash::from_hex(&row.hash)?,
                worker: WorkerId(unsigned(row.worker)),
                expires_at: from_ms(row.expires_at)?,
                used: row.used_at.is_some(),
            },
            revoked: row.revoked,
            stamp: unsigned(row.stamp),
        })
    }
}

/// "Look at this flow of this shop."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeRow {
    pub customer: CustomerId,
    pub shop: ShopId,
    pub flow: Flow,
    pub counter: u64,
    /// The greatest counter that a worker said it acted on.
    pub acted: u64,
    /// The greatest one that a person raised.
    pub asked: u64,
    pub raised_at: Timestamp,
    pub stamp: u64,
}

impl TryFrom<wake::Model> for WakeRow {
    type Error = StorageError;

    fn try_from(row: wake::Model) -> Result<Self, StorageError> {
        let flow = Flow::parse(&row.flow).ok_or_else(|| {
            StorageError::new(
                crate::Kind::Corrupt,
                format!("a wake names the flow {:?}", row.flow),
            )
        })?;
        Ok(WakeRow {
            customer: CustomerId(unsigned(row.customer)),
            shop: ShopId(unsigned(row.shop)),
            flow,
            counter: unsigned(row.counter),
            acted: unsigned(row.acted),
            asked: unsigned(row.asked),
            raised_at: from_ms(row.raised_at)?,
            stamp: unsigned(row.stamp),
        })
    }
}

/// Ownership of a customer by its epoch, for logs.
impl std::fmt::Display for Ownership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Epoch(epoch) = self.epoch;
        match self.worker {
            Some(worker) => write!(f, "worker {worker}, epoch {epoch}"),
            None => write!(f, "nobody, epoch {epoch}"),
        }
    }
}
