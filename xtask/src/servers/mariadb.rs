//! A private MariaDB: a new data folder, with a user who may do everything and whose password only this start knows.

use std::time::Duration;

use anyhow::Context;

use super::packages::Packages;
use super::readiness::with_free_port;
use super::user::{self, User};
use super::{Absence, Ground, Standing, random_hex};
use crate::process::Running;

const INSTALL_MAX: Duration = Duration::from_secs(180);
const START_MAX: Duration = Duration::from_secs(60);

pub fn start(packages: &Packages, ground: Ground<'_>) -> Result<Standing, Absence> {
    let install = packages.mariadb_program("mariadb-install-db")?;
    let server = packages.mariadb_program("mariadbd")?;
    let admin = packages.mariadb_program("mariadb-admin")?;
    let user = User::for_servers(&["mysql", "nobody"])?;
    let folder = ground.folder.join("mariadb");
    user::make_folder(&folder, user)?;
    let password = random_hex()?;

    let data = format!("--datadir={}", folder.join("data").display());
    ground.run(
        "mariadb-install-db",
        user::command(&install, &folder, user).args([
            "--no-defaults",
            &data,
            "--skip-test-db",
            "--skip-name-resolve",
        ]),
        "mariadb-install-db",
        INSTALL_MAX,
    )?;

    let first_words = folder.join("first.sql");
    let create =
        format!("CREATE USER IF NOT EXISTS 'lockstep'@'127.0.0.1' IDENTIFIED BY '{password}';\n");
    let grant = "GRANT ALL ON *.* TO 'lockstep'@'127.0.0.1' WITH GRANT OPTION;\n";
    std::fs::write(&first_words, create + grant)
        .context("MariaDB's first statements cannot be written")?;

    let (process, port) = with_free_port(|port| {
        let mut process = Running::start(
            "MariaDB",
            user::command(&server, &folder, user)
                .args([
                    "--no-defaults",
                    &data,
                    "--bind-address=127.0.0.1",
                    &format!("--port={port}"),
                ])
                .arg(format!("--socket={}", folder.join("socket").display()))
                .arg(format!("--pid-file={}", folder.join("pid").display()))
                .arg(format!("--init-file={}", first_words.display()))
                .args(["--skip-name-resolve", "--max-connections=300"])
                // Nothing here has to survive a power cut.
                .args([
                    "--innodb-flush-log-at-trx-commit=0",
                    "--skip-innodb-doublewrite",
                    "--innodb-fast-shutdown=2",
                ]),
            &ground.log("mariadb"),
            ground.guard,
        )?;
        process.wait_until(START_MAX, ground.interrupt, || {
            let asked = user::command(&admin, &folder, user)
                .args([
                    "--no-defaults",
                    "--protocol=tcp",
                    "--host=127.0.0.1",
                    "--user=lockstep",
                    "--connect-timeout=1",
                ])
                .args([&format!("--port={port}"), "ping"])
                .env("MYSQL_PWD", &password)
                .output();
            asked.is_ok_and(|output| output.status.success())
        })?;
        Ok((process, port))
    })?;

    Ok(Standing {
        environment: vec![(
            "LOCKSTEP_TEST_MARIADB",
            format!("mysql://lockstep:{password}@127.0.0.1:{port}/mysql"),
        )],
        process: Some(process),
        _installation: None,
    })
}
