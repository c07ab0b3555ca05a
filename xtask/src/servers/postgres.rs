//! A private PostgreSQL: a new cluster in a temporary folder, with a superuser whose password only this start knows.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::packages::Packages;
use super::readiness::with_free_port;
use super::user::{self, User};
use super::{Absence, Ground, Standing, random_hex};
use crate::process::Running;

const INITDB_MAX: Duration = Duration::from_secs(120);
const START_MAX: Duration = Duration::from_secs(60);
const CREATE_MAX: Duration = Duration::from_secs(30);

pub struct Database {
    pub standing: Standing,
    programs: PathBuf,
    password: String,
    port: u16,
}

impl Database {
    fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// Makes an empty database and returns its URL.
    pub fn create(&self, name: &str, ground: Ground<'_>) -> Result<String> {
        ground.run(
            "createdb",
            user::command(&self.programs.join("createdb"), ground.folder, None)
                .args([
                    "-h",
                    "127.0.0.1",
                    "-U",
                    "postgres",
                    "-p",
                    &self.port.to_string(),
                    name,
                ])
                .env("PGPASSWORD", &self.password),
            &format!("createdb-{name}"),
            CREATE_MAX,
        )?;
        Ok(self.url(name))
    }
}

pub fn start(packages: &Packages, ground: Ground<'_>) -> Result<Database, Absence> {
    let programs = packages.postgres_programs()?;
    let user = User::for_servers(&["postgres", "nobody"])?;
    let folder = ground.folder.join("postgres");
    user::make_folder(&folder, user)?;
    let password = random_hex()?;
    let password_file = folder.join("password");
    std::fs::write(&password_file, &password)
        .context("PostgreSQL's password file cannot be written")?;

    let data = folder.join("data");
    ground.run(
        "initdb",
        user::command(&programs.join("initdb"), &folder, user)
            .arg("--pgdata")
            .arg(&data)
            .args([
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ])
            .arg("--pwfile")
            .arg(&password_file),
        "initdb",
        INITDB_MAX,
    )?;
    std::fs::remove_file(&password_file).context("PostgreSQL's password file cannot be removed")?;

    let (process, port) = with_free_port(|port| {
        let mut process = Running::start(
            "PostgreSQL",
            user::command(&programs.join("postgres"), &folder, user)
                .arg("-D")
                .arg(&data)
                .args(["-p", &port.to_string()])
                .args([
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    "unix_socket_directories=",
                ])
                // Nothing here has to survive a power cut.
                .args([
                    "-c",
                    "fsync=off",
                    "-c",
                    "synchronous_commit=off",
                    "-c",
                    "full_page_writes=off",
                ])
                .args(["-c", "max_connections=300"]),
            &ground.log("postgres"),
            ground.guard,
        )?
        // "Fast": ends the sessions of tests that were killed instead of waiting for them.
        .stopped_by(Signal::INT);
        process.wait_until(START_MAX, ground.interrupt, || {
            let asked = user::command(&programs.join("pg_isready"), &folder, user)
                .args([
                    "--quiet",
                    "--timeout=1",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    &port.to_string(),
                ])
                .status();
            asked.is_ok_and(|status| status.success())
        })?;
        Ok((process, port))
    })?;

    let standing = Standing {
        environment: Vec::new(),
        process: Some(process),
        _installation: None,
    };
    let mut database = Database {
        standing,
        programs,
        password,
        port,
    };
    database
        .standing
        .environment
        .push(("LOCKSTEP_TEST_POSTGRES", database.url("postgres")));
    Ok(database)
}
