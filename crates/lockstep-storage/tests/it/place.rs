//! A database for one test, made before it and removed after it.

use jiff::Timestamp;
use lockstep_storage::{Options, Storage};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use secrecy::SecretString;
use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    Mariadb,
}

pub struct Place {
    kind: Kind,
    folder: tempfile::TempDir,
    name: String,
    pub storage: Storage,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `cargo xtask test`, which starts servers")
    })
}

fn admin(kind: Kind) -> Option<String> {
    match kind {
        Kind::Sqlite => None,
        Kind::Postgres => Some(variable("LOCKSTEP_TEST_POSTGRES")),
        Kind::Mariadb => Some(variable("LOCKSTEP_TEST_MARIADB")),
    }
}

impl Place {
    pub async fn new(kind: Kind) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "lockstep_{}_{}_{}",
            std::process::id(),
            Timestamp::now().as_nanosecond(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        if let Some(url) = admin(kind) {
            let db = Database::connect(url).await.unwrap();
            db.execute_unprepared(&format!("CREATE DATABASE {name}"))
                .await
                .unwrap();
            db.close().await.unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(options(kind, folder.path(), &name))
            .await
            .unwrap();
        Place {
            kind,
            folder,
            name,
            storage,
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// As a second coordinator would open it: the same database, another data folder.
    pub fn options_in(&self, folder: &Path) -> Options {
        let mut options = options(self.kind, folder, &self.name);
        if self.kind == Kind::Sqlite {
            let file = self.folder.path().join("lockstep.db");
            options.url = Some(SecretString::from(format!("sqlite://{}", file.display())));
        }
        options
    }

    pub fn options(&self) -> Options {
        options(self.kind, self.folder.path(), &self.name)
    }

    /// Past the storage layer, to look at what is really there.
    pub async fn raw(&self) -> DatabaseConnection {
        let url = match self.kind {
            Kind::Sqlite => format!(
                "sqlite://{}",
                self.folder.path().join("lockstep.db").display()
            ),
            _ => database_url(&admin(self.kind).unwrap(), &self.name),
        };
        Database::connect(url).await.unwrap()
    }

    pub async fn remove(self) {
        self.storage.close().await.unwrap();
        if let Some(url) = admin(self.kind) {
            let db = Database::connect(url).await.unwrap();
            db.execute_unprepared(&format!("DROP DATABASE {}", self.name))
                .await
                .unwrap();
            db.close().await.unwrap();
        }
    }
}

fn options(kind: Kind, folder: &Path, name: &str) -> Options {
    let mut options = Options::in_folder(folder);
    options.connections_max = 4;
    options.url = admin(kind).map(|url| SecretString::from(database_url(&url, name)));
    options
}

/// The server's address with another database.
fn database_url(admin: &str, name: &str) -> String {
    let (server, query) = match admin.split_once('?') {
        Some((server, query)) => (server, format!("?{query}")),
        None => (admin, String::new()),
    };
    let (server, _) = server.rsplit_once('/').unwrap();
    format!("{server}/{name}{query}")
}

/// A moment that tests count from.
pub fn noon() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

pub fn after_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(noon().as_millisecond() + ms).unwrap()
}
