//! The shop's one SQLite file: a single writer, a few readers, and the stamps. Its tables stand in `schema.sql`.
//!
//! Every change goes through [`Writing`], which hands out stamps and writes the webhooks' outbox in the same transaction.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::{Mutex, Notify, Semaphore};

use crate::bounds;
use crate::clock::{self, Stamp};
use crate::hooks::outbox::{self, Notice};
use crate::problem::{Code, Problem};

const SCHEMA: &str = include_str!("schema.sql");
const SCHEMA_VERSION: i64 = 1;

/// Hands out connections. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    writer: Arc<Mutex<Connection>>,
    readers: Arc<std::sync::Mutex<Vec<Connection>>>,
    reader_slots: Arc<Semaphore>,
    outbox_filled: Arc<Notify>,
    shop: Arc<str>,
}

/// What the data folder remembers of its first start.
pub struct Opened {
    pub database: Database,
    pub shop_id: String,
    /// Nothing was ever in it.
    pub is_new: bool,
}

impl Database {
    /// Opens or makes the file. `facts` are remembered at the first start and compared at later ones.
    pub fn open(folder: &Path, facts: &[(&str, String)], first_row: i64) -> anyhow::Result<Opened> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("could not make the data folder {}", folder.display()))?;
        let path = folder.join("practice-shop.sqlite");
        let mut writer = connect(&path)?;
        let version: i64 = writer.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let is_new = version == 0;
        if is_new {
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.execute_batch(SCHEMA)?;
            tx.execute(
                "INSERT INTO clock (one, last) VALUES (1, ?1)",
                [clock::now()],
            )?;
            let id = format!(
                "practice-{}",
                data_encoding::HEXLOWER.encode(&rand::random::<[u8; 6]>())
            );
            tx.execute("INSERT INTO meta VALUES ('id', ?1)", [id])?;
            for (name, value) in facts {
                tx.execute("INSERT INTO meta VALUES (?1, ?2)", [*name, value])?;
            }
            for table in ["category", "product", "variant", "picture", "sale", "hook"] {
                tx.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
                    params![table, first_row],
                )?;
            }
            tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            tx.commit()?;
        } else {
            anyhow::ensure!(
                version == SCHEMA_VERSION,
                "{} was made by another version of the practice shop (schema {version}, this one reads {SCHEMA_VERSION}); \
                 start on an empty folder",
                path.display()
            );
            for (name, value) in facts {
                let kept: Option<String> = writer
                    .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
                        row.get(0)
                    })
                    .optional()?;
                if let Some(kept) = kept.filter(|kept| kept != value) {
                    anyhow::bail!(
                        "the shop in {} was made with {name} “{kept}” and cannot go on with “{value}”: \
                         start with “{kept}”, or on an empty folder",
                        folder.display()
                    );
                }
            }
        }
        let shop_id: String =
            writer.query_row("SELECT value FROM meta WHERE name = 'id'", [], |row| {
                row.get(0)
            })?;
        // Deliveries that were under way when the process ended are tried again.
        writer.execute("UPDATE outbox SET flying = 0 WHERE flying = 1", [])?;
        let readers = (0..bounds::READERS)
            .map(|_| connect(&path))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Opened {
            database: Self {
                writer: Arc::new(Mutex::new(writer)),
                readers: Arc::new(std::sync::Mutex::new(readers)),
                reader_slots: Arc::new(Semaphore::new(bounds::READERS)),
                outbox_filled: Arc::new(Notify::new()),
                shop: shop_id.as_str().into(),
            },
            shop_id,
            is_new,
        })
    }

    /// Wakes when a change has put something into the outbox, or the outbox should be looked at again.
    pub fn outbox_filled(&self) -> &Notify {
        &self.outbox_filled
    }

    /// Reads from one consistent state.
    pub async fn read<T, F>(&self, read: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Problem> + Send + 'static,
    {
        let slot = self
            .reader_slots
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| stopping())?;
        let readers = self.readers.clone();
        blocking(move || {
            let taken = lock(&readers).pop();
            let mut connection = taken.ok_or_else(stopping)?;
            let outcome = connection
                .transaction()
                .map_err(Problem::from)
                .and_then(|tx| read(&tx));
            lock(&readers).push(connection);
            drop(slot);
            outcome
        })
        .await
    }

    /// Changes all or nothing. The webhooks' outbox is filled in the same transaction.
    pub async fn write<T, F>(&self, write: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writing<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let mut writer = self.writer.clone().lock_owned().await;
        let (shop, filled) = (self.shop.clone(), self.outbox_filled.clone());
        blocking(move || {
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let last: Stamp = tx
                .prepare_cached("SELECT last FROM clock")?
                .query_row([], |row| row.get(0))?;
            let mut writing = Writing {
                tx,
                first: last,
                last,
                notices: Vec::new(),
            };
            let outcome = write(&mut writing)?;
            let Writing {
                tx,
                first,
                last,
                notices,
            } = writing;
            if last != first {
                tx.prepare_cached("UPDATE clock SET last = ?1")?
                    .execute([last])?;
            }
            let queued = outbox::fill(&tx, &shop, &notices)?;
            tx.commit()?;
            if queued > 0 {
                filled.notify_one();
            }
            Ok(outcome)
        })
        .await
    }
}

/// One transaction that changes the shop.
pub struct Writing<'c> {
    tx: Transaction<'c>,
    first: Stamp,
    last: Stamp,
    notices: Vec<Notice>,
}

impl Writing<'_> {
    /// The next stamp; each is given out once.
    pub fn stamp(&mut self) -> Stamp {
        self.last = clock::after(self.last, clock::now());
        self.last
    }

    /// Tells the webhooks, when this transaction is through.
    pub fn tell(&mut self, topic: &'static str, record: String, at: Stamp) {
        self.notices.push(Notice { topic, record, at });
    }

    /// One member of a batch: undone alone if it fails.
    pub fn alone<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.tx.execute_batch("SAVEPOINT member")?;
        let told = self.notices.len();
        let outcome = act(self);
        if outcome.is_err() {
            self.tx.execute_batch("ROLLBACK TO member")?;
            self.notices.truncate(told);
        }
        self.tx.execute_batch("RELEASE member")?;
        outcome
    }
}

impl std::ops::Deref for Writing<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.tx
    }
}

fn connect(path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(path)
        .with_context(|| format!("could not open the shop's data {}", path.display()))?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // After a large write, such as a seed, the log is cut back.
    connection.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -8_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// A reader that panicked has not harmed the list of connections.
fn lock(readers: &std::sync::Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    readers
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(act).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_cancelled() => Err(stopping()),
        Err(error) => Err(Problem::broken(error)),
    }
}

fn stopping() -> Problem {
    Problem::new(Code::Stopping, "The shop is stopping.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(takes: &str) -> [(&'static str, String); 1] {
        [("takes", takes.to_string())]
    }

    #[test]
    fn a_folder_keeps_its_id_and_refuses_another_time_to_take_stock() {
        let folder = tempfile::tempdir().unwrap();
        let first = Database::open(folder.path(), &facts("placement"), 1000).unwrap();
        let again = Database::open(folder.path(), &facts("placement"), 1000).unwrap();
        assert!(first.is_new && !again.is_new);
        assert_eq!(first.shop_id, again.shop_id);
        let Err(refused) = Database::open(folder.path(), &facts("reserve"), 1000) else {
            panic!("another time to take stock was accepted");
        };
        assert!(refused.to_string().contains("placement"), "{refused}");
    }

    #[tokio::test]
    async fn a_failed_member_undoes_only_itself_and_a_failed_write_undoes_all() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path(), &[], 1).unwrap().database;
        database
            .write(|w| {
                w.alone(|w| Ok(w.execute("INSERT INTO meta VALUES ('a', '1')", [])?))?;
                let failed: Result<(), _> = w.alone(|w| {
                    w.execute("INSERT INTO meta VALUES ('b', '1')", [])?;
                    Err(Problem::not_found("b"))
                });
                assert!(failed.is_err());
                Ok(())
            })
            .await
            .unwrap();
        let failed: Result<(), _> = database
            .write(|w| {
                w.execute("INSERT INTO meta VALUES ('c', '1')", [])?;
                Err(Problem::not_found("c"))
            })
            .await;
        assert!(failed.is_err());
        let names: Vec<String> = database
            .read(|db| {
                let mut rows =
                    db.prepare("SELECT name FROM meta WHERE name <> 'id' ORDER BY name")?;
                let names = rows
                    .query_map([], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                Ok(names)
            })
            .await
            .unwrap();
        assert_eq!(names, ["a"]);
    }
}
