//! The servers that `cargo xtask test` provides, as tests meet them: by the environment alone.
//! Proves the ground that other crates' tests stand on, not Lockstep.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn told(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) => value,
        Err(_) => panic!(
            "{name} is not set: run this by `cargo xtask test`, or with what `cargo xtask services` prints"
        ),
    }
}

fn own_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs a script of ours and returns the JSON line that it ends with.
fn node(script: &str) -> Value {
    let output = Command::new("node")
        .arg(own_file(script))
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(said.lines().last().expect("a line")).expect("one JSON object")
}

/// The parts of `scheme://user:password@host:port/database`.
struct Address {
    user: String,
    password: String,
    host: String,
    port: String,
}

impl Address {
    fn read(url: &str) -> Self {
        let (_, rest) = url.split_once("://").expect("a scheme");
        let (who, place) = rest.split_once('@').expect("a user");
        let (user, password) = who.split_once(':').expect("a password");
        let (host, port) = place
            .split_once('/')
            .expect("a database")
            .0
            .split_once(':')
            .expect("a port");
        Self {
            user: user.into(),
            password: password.into(),
            host: host.into(),
            port: port.into(),
        }
    }
}

mod on_postgres {
    use super::*;

    #[test]
    fn a_superuser_is_given_who_may_create_databases() {
        let output = Command::new("psql")
            .args([&told("LOCKSTEP_TEST_POSTGRES"), "-Atc"])
            .arg("select rolsuper and rolcreatedb from pg_roles where rolname = current_user")
            .output()
            .expect("psql starts");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "t");
    }
}

mod on_mariadb {
    use super::*;

    #[test]
    fn a_user_is_given_who_may_create_databases() {
        let address = Address::read(&told("LOCKSTEP_TEST_MARIADB"));
        let name = format!("xtask_{}", std::process::id());
        let output = Command::new("mariadb")
            .args([
                "--no-defaults",
                "--protocol=tcp",
                "--batch",
                "--skip-column-names",
            ])
            .args([
                "-h",
                &address.host,
                "-P",
                &address.port,
                "-u",
                &address.user,
                "-e",
            ])
            .arg(format!(
                "create database {name}; drop database {name}; select 'done'"
            ))
            .env("MYSQL_PWD", &address.password)
            .output()
            .expect("mariadb starts");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "done",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

mod in_chromium {
    use super::*;

    #[test]
    fn a_page_is_opened_and_used() {
        let said = node("browser/open.mjs");
        assert_eq!(said["title"], "Lockstep");
        assert_eq!(said["says"], "2 bought");
        assert!(said["screenshot_bytes"].as_u64() > Some(1000));
    }
}

mod on_medusa {
    use super::*;

    #[test]
    fn a_buyer_gets_through_the_checkout_and_the_shop_tells_of_it() {
        let said = node("medusa/checkout.mjs");
        assert_eq!(said["status"], "pending");
        assert_eq!(said["total"], 17.4);
        assert_eq!(
            (&said["stocked"], &said["reserved"]),
            (&10.into(), &1.into())
        );
        assert!(
            said["hooks"]
                .as_array()
                .is_some_and(|hooks| hooks.contains(&"order.placed".into()))
        );
    }
}
