//! Opening: one coordinator per SQLite file, migrations, the key, the database's own row.

use crate::{
    Kind, StorageError, change,
    entities::{change as change_table, meta},
    migrations::Migrator,
    numbers::{signed, to_ms, unsigned},
    private::{private_data_folder, private_database},
    seal::Seal,
};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use lockstep_model::Incarnation;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectOptions, Database, DatabaseConnection, DbBackend,
    EntityTrait, IntoActiveModel,
};
use sea_orm_migration::MigratorTrait;
use secrecy::{ExposeSecret, SecretString};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub(crate) const ONLY_ROW: i64 = 1;
const KEY_FILE: &str = "key";
const DATABASE_FILE: &str = "lockstep.db";
const PASSWORDS_AT_ONCE: usize = 2;
const CHECK_PLACE: &str = "meta/key_check";
const CHECK: &[u8] = b"lockstep key check 1";

/// Where the data lies. No default of its own: the configuration file has them.
pub struct Options {
    /// The coordinator's data folder: the key file, and the SQLite file where there is no `url`.
    pub data: PathBuf,
    /// `postgres://…`, `mysql://…` or `sqlite://…`; none: SQLite in the data folder.
    pub url: Option<SecretString>,
    /// 64 hex digits, in place of the key file: `LOCKSTEP_KEY`.
    pub key: Option<SecretString>,
    pub connections_max: u32,
}

impl Options {
    /// SQLite in this folder, the key in a file beside it.
    pub fn in_folder(data: impl Into<PathBuf>) -> Self {
        Options {
            data: data.into(),
            url: None,
            key: None,
            connections_max: 8,
        }
    }
}

/// The coordinator's database. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    pub(crate) db: DatabaseConnection,
    pub(crate) seal: Arc<Seal>,
    /// Hashing a password takes 19 MiB and a core for a moment: only so many at once.
    pub(crate) passwords: Arc<tokio::sync::Semaphore>,
    /// Held as long as any clone lives.
    _lock: Option<Arc<File>>,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({:?})", self.backend())
    }
}

impl Storage {
    pub async fn open(options: Options) -> Result<Self, StorageError> {
        make_folder(&options.data)?;
        let (url, file) = match &options.url {
            Some(url) => (
                url.expose_secret().to_owned(),
                sqlite_file(url.expose_secret()),
            ),
            None => {
                let file = options.data.join(DATABASE_FILE);
                (format!("sqlite://{}", file.display()), Some(file))
            }
        };
        let lock = file.as_deref().map(lock).transpose()?.map(Arc::new);
        if let Some(file) = &file {
            private_database(file).map_err(|error| {
                let message = format!("the database {} cannot be made", file.display());
                StorageError::because(Kind::Unavailable, message, error)
            })?;
        }
        let db = connect(&url, file.as_deref(), options.connections_max).await?;
        migrate(&db).await?;
        let seal = key(&db, &options, file.is_some()).await?;
        change_table::Entity::insert(change_table::ActiveModel {
            id: Set(ONLY_ROW),
            counter: Set(0),
        })
        .on_conflict_do_nothing()
        .exec_without_returning(&db)
        .await?;
        Ok(Storage {
            db,
            seal: Arc::new(seal),
            passwords: Arc::new(tokio::sync::Semaphore::new(PASSWORDS_AT_ONCE)),
            _lock: lock,
        })
    }

    /// Ends all connections. Other clones fail from then on.
    pub async fn close(self) -> Result<(), StorageError> {
        Ok(self.db.close().await?)
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.db.get_database_backend()
    }

    pub(crate) async fn meta(&self) -> Result<meta::Model, StorageError> {
        meta_row(&self.db).await
    }

    /// Grows when the database is restored from a backup.
    pub async fn incarnation(&self) -> Result<Incarnation, StorageError> {
        Ok(Incarnation(unsigned(self.meta().await?.incarnation)))
    }

    /// What the journal archive of this database bears; a coordinator that finds another there refuses.
    pub async fn archive_marker(&self) -> Result<String, StorageError> {
        Ok(self.meta().await?.archive_marker)
    }

    /// The database was restored: everything that was handed out since the backup is void. All ownership
    /// rows are of the new incarnation; the epochs go on from where they were.
    pub async fn raise_incarnation(&self, to: Incarnation) -> Result<Incarnation, StorageError> {
        let change = self.begin_change().await?;
        let meta = meta_row(&change.tx).await?;
        let raised = meta.incarnation.saturating_add(1).max(signed(to.0));
        let mut row = meta.into_active_model();
        row.incarnation = Set(raised);
        row.update(&change.tx).await?;
        crate::owners::renew_incarnation(&change, raised).await?;
        change.commit().await?;
        Ok(Incarnation(unsigned(raised)))
    }

    /// Does the database answer?
    pub async fn ping(&self) -> Result<(), StorageError> {
        Ok(self.db.ping().await?)
    }
}

pub(crate) async fn meta_row(
    db: &impl sea_orm::ConnectionTrait,
) -> Result<meta::Model, StorageError> {
    meta::Entity::find_by_id(ONLY_ROW)
        .one(db)
        .await?
        .ok_or_else(|| StorageError::new(Kind::Corrupt, "the database's own row is gone"))
}

fn make_folder(folder: &Path) -> Result<(), StorageError> {
    private_data_folder(folder).map_err(|error| {
        let message = format!("the data folder {} cannot be made", folder.display());
        StorageError::because(Kind::Unavailable, message, error)
    })
}

/// The file that a SQLite address names.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let path = path.split('?').next().unwrap_or(path);
    (!path.is_empty() && path != ":memory:").then(|| PathBuf::from(path))
}

fn lock(file: &Path) -> Result<File, StorageError> {
    let mut path = file.as_os_str().to_owned();
    path.push(".lock");
    let failed = |error: std::io::Error| {
        let message = format!("{} cannot be locked", Path::new(&path).display());
        StorageError::because(Kind::Unavailable, message, error)
    };
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StorageError::new(
            Kind::InUse,
            format!(
                "another coordinator has {} open; stop it, or give this one a database of its own",
                file.display()
            ),
        )),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

async fn connect(
    url: &str,
    file: Option<&Path>,
    connections_max: u32,
) -> Result<DatabaseConnection, StorageError> {
    let mut options = ConnectOptions::new(url.to_owned());
    options
        .max_connections(connections_max.max(1))
        .acquire_timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(10))
        .sqlx_logging(false);
    if file.is_some() {
        // An acknowledgement must survive a power cut: full sync. Writers wait for each other.
        options.map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .create_if_missing(true)
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "FULL")
                .pragma("busy_timeout", "10000")
                .pragma("foreign_keys", "ON")
                // What is deleted is overwritten: a buyer to be forgotten stood here.
                .pragma("secure_delete", "ON")
        });
    }
    // The address may hold a password: it is in no message.
    Database::connect(options).await.map_err(|error| {
        StorageError::because(
            Kind::Unavailable,
            "the database cannot be reached",
            without_url(error),
        )
    })
}

/// sqlx repeats the address in what it says of a wrong one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ConnectError(String);

fn without_url(error: sea_orm::DbErr) -> ConnectError {
    let text = error.to_string();
    if text.contains("://") {
        ConnectError("the address is not one of postgres://, mysql:// or sqlite://".into())
    } else {
        ConnectError(text)
    }
}

/// Several coordinators may start at once on one server: who comes second finds the tables half made,
/// waits, and finds them made.
async fn migrate(db: &DatabaseConnection) -> Result<(), StorageError> {
    let mut tries = 0;
    loop {
        match Migrator::up(db, None).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                tries += 1;
                if tries >= 20 {
                    let message = "the tables cannot be brought up to date";
                    return Err(StorageError::because(Kind::Unavailable, message, error));
                }
                tokio::time::sleep(Duration::from_millis(100 * tries)).await;
                if matches!(Migrator::get_pending_migrations(db).await, Ok(pending) if pending.is_empty())
                {
                    return Ok(());
                }
            }
        }
    }
}

/// The key that the database was first opened with, or, at the very first start, a new one.
async fn key(
    db: &DatabaseConnection,
    options: &Options,
    own_file: bool,
) -> Result<Seal, StorageError> {
    let path = options.data.join(KEY_FILE);
    let given = match &options.key {
        Some(key) => Some(Seal::from_hex(key.expose_secret())?),
        None => Seal::from_file(&path)?,
    };
    if let Some(meta) = meta::Entity::find_by_id(ONLY_ROW).one(db).await? {
        return proved(given, &meta, &path, own_file);
    }
    let seal = match given {
        Some(seal) => seal,
        None => Seal::create_file(&path)?,
    };
    let marker: [u8; 16] = rand::random();
    meta::Entity::insert(meta::ActiveModel {
        id: Set(ONLY_ROW),
        incarnation: Set(1),
        key_id: Set(seal.id().to_owned()),
        key_check: Set(seal.seal(CHECK_PLACE, CHECK)?),
        archive_marker: Set(HEXLOWER.encode(&marker)),
        departed_since: Set(0),
        created_at: Set(to_ms(Timestamp::now())),
    })
    .on_conflict_do_nothing()
    .exec_without_returning(db)
    .await?;
    // Another coordinator may have been first: its key counts.
    proved(Some(seal), &meta_row(db).await?, &path, own_file)
}

fn proved(
    given: Option<Seal>,
    meta: &meta::Model,
    path: &Path,
    own_file: bool,
) -> Result<Seal, StorageError> {
    let Some(seal) = given else {
        let advice = if own_file {
            format!("put it back to {}", path.display())
        } else {
            format!(
                "copy the first coordinator's key to {}, or set LOCKSTEP_KEY",
                path.display()
            )
        };
        return Err(StorageError::new(
            Kind::WrongKey,
            format!(
                "the database is sealed with key {}, which is not here; {advice}",
                meta.key_id
            ),
        ));
    };
    match seal.open(CHECK_PLACE, &meta.key_check) {
        Ok(check) if check == CHECK => Ok(seal),
        _ => Err(StorageError::new(
            Kind::WrongKey,
            format!(
                "the database is sealed with key {}, but {} was given; credentials could not be read",
                meta.key_id,
                seal.id()
            ),
        )),
    }
}

impl Storage {
    /// A transaction whose rows nobody else has to hear of. Its first statement must write.
    pub(crate) async fn begin(&self) -> Result<sea_orm::DatabaseTransaction, StorageError> {
        change::begin(&self.db).await
    }
}
