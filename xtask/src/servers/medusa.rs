//! A real Medusa: a fresh database on this start's PostgreSQL, migrated, seeded (`xtask/medusa/seed.js` makes a shop as
//! merchants have them) and started on loopback.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::npm::Installation;
use super::postgres::Database;
use super::readiness::{answers_ok, with_free_port};
use super::{Absence, Environment, Ground, Standing, own_files, random_hex};
use crate::process::Running;

const MIGRATE_MAX: Duration = Duration::from_secs(240);
const SEED_MAX: Duration = Duration::from_secs(120);
const START_MAX: Duration = Duration::from_secs(120);

/// The line that the seed prints, after its mark.
#[derive(Deserialize)]
struct Keys {
    secret: String,
    publishable: String,
    sales_channel: String,
    second_sales_channel: String,
    stock_location: String,
    second_stock_location: String,
    region: String,
    second_region: String,
    shipping_profile: String,
    shipping_option: String,
    reduced_tax_type: String,
}

const KEYS_MARK: &str = "KEYS ";

pub fn start(
    installation: Installation,
    postgres: &Database,
    ground: Ground<'_>,
) -> Result<Standing, Absence> {
    // Here and not by Medusa's own `db:create`, which asks questions.
    let database_url = postgres.create("medusa", ground)?;
    let shop = Shop::lay_out(&installation.folder, database_url, ground)?;
    shop.run(
        "migrate",
        &["db:migrate", "--execute-all-links", "--execute-all-search"],
        MIGRATE_MAX,
    )?;
    let said = shop.run("seed", &["exec", "./seed.js"], SEED_MAX)?;
    let keys = read_keys(&said)?;

    let (process, port) = with_free_port(|port| {
        let mut process = Running::start(
            "Medusa",
            shop.command(port)
                .args(["start", "-H", "127.0.0.1", "-p", &port.to_string()]),
            &ground.log("medusa"),
            ground.guard,
        )?;
        process.wait_until(START_MAX, ground.interrupt, || answers_ok(port, "/health"))?;
        Ok((process, port))
    })?;

    let environment: Environment = vec![
        (
            "LOCKSTEP_TEST_MEDUSA_URL",
            format!("http://127.0.0.1:{port}"),
        ),
        ("LOCKSTEP_TEST_MEDUSA_KEY", keys.secret),
        ("LOCKSTEP_TEST_MEDUSA_PUBLISHABLE_KEY", keys.publishable),
        ("LOCKSTEP_TEST_MEDUSA_SALES_CHANNEL", keys.sales_channel),
        (
            "LOCKSTEP_TEST_MEDUSA_SECOND_SALES_CHANNEL",
            keys.second_sales_channel,
        ),
        ("LOCKSTEP_TEST_MEDUSA_STOCK_LOCATION", keys.stock_location),
        (
            "LOCKSTEP_TEST_MEDUSA_SECOND_STOCK_LOCATION",
            keys.second_stock_location,
        ),
        ("LOCKSTEP_TEST_MEDUSA_REGION", keys.region),
        ("LOCKSTEP_TEST_MEDUSA_SECOND_REGION", keys.second_region),
        (
            "LOCKSTEP_TEST_MEDUSA_SHIPPING_PROFILE",
            keys.shipping_profile,
        ),
        ("LOCKSTEP_TEST_MEDUSA_SHIPPING_OPTION", keys.shipping_option),
        (
            "LOCKSTEP_TEST_MEDUSA_REDUCED_TAX_TYPE",
            keys.reduced_tax_type,
        ),
        (
            "LOCKSTEP_TEST_MEDUSA_HOOK_FILE",
            shop.hook_file.display().to_string(),
        ),
    ];
    Ok(Standing {
        environment,
        process: Some(process),
        _installation: Some(installation),
    })
}

/// The shop's own files, beside the installation that they use: Node.js looks for packages in the folders
/// above a file, and a `node_modules` that is a symlink does not work.
struct Shop<'a> {
    folder: PathBuf,
    program: PathBuf,
    database_url: String,
    secret: String,
    hook_file: PathBuf,
    ground: Ground<'a>,
}

impl<'a> Shop<'a> {
    fn lay_out(installation: &Path, database_url: String, ground: Ground<'a>) -> Result<Self> {
        let name = ground
            .folder
            .file_name()
            .context("a temporary folder without a name")?;
        let folder = installation.join("runs").join(name);
        ground.guard.add_folder(&folder);
        let files = own_files("medusa");
        for file in [
            "package.json",
            "medusa-config.js",
            "seed.js",
            "src/subscribers/hooks.js",
        ] {
            let copy = folder.join(file);
            if let Some(parent) = copy.parent() {
                std::fs::create_dir_all(parent)
                    .with_context(|| format!("{} cannot be made", parent.display()))?;
            }
            std::fs::copy(files.join(file), &copy)
                .with_context(|| format!("{file} cannot be copied"))?;
        }
        Ok(Self {
            folder,
            program: installation.join("node_modules/@medusajs/cli/cli.js"),
            database_url,
            secret: random_hex()?,
            hook_file: ground.folder.join("medusa-hooks"),
            ground,
        })
    }

    fn command(&self, port: u16) -> Command {
        let mut command = Command::new("node");
        command
            .arg(&self.program)
            .current_dir(&self.folder)
            .env_clear()
            .env("HOME", &self.folder)
            .env("NODE_ENV", "production")
            .env("MEDUSA_DISABLE_TELEMETRY", "true")
            .env("DATABASE_URL", &self.database_url)
            .env("PORT", port.to_string())
            .env("JWT_SECRET", &self.secret)
            .env("COOKIE_SECRET", &self.secret)
            .env("LOCKSTEP_MEDUSA_HOOK_FILE", &self.hook_file);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    fn run(&self, name: &str, arguments: &[&str], wait_max: Duration) -> Result<String> {
        let ground = self.ground;
        ground.run(
            &format!("Medusa's {name}"),
            self.command(0).args(arguments),
            &format!("medusa-{name}"),
            wait_max,
        )
    }
}

fn read_keys(said: &str) -> Result<Keys> {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(KEYS_MARK))
        .context("the seed printed no keys")?;
    serde_json::from_str(line).context("the seed's keys are not what was expected")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_among_what_medusa_says() {
        let said = concat!(
            "{\"level\":\"info\"}\n",
            "KEYS {\"secret\":\"sk\",\"publishable\":\"pk\",\"sales_channel\":\"sc\",\"second_sales_channel\":\"sc2\",",
            "\"stock_location\":\"sloc\",\"second_stock_location\":\"sloc2\",\"region\":\"reg\",",
            "\"second_region\":\"reg2\",\"shipping_profile\":\"sp\",\"shipping_option\":\"so\",",
            "\"reduced_tax_type\":\"ptyp\"}\n",
            "{\"level\":\"info\"}\n",
        );
        assert_eq!(read_keys(said).expect("keys").shipping_option, "so");
        assert!(read_keys("{\"level\":\"error\"}\n").is_err());
    }
}
