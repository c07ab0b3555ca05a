//! Debian packages: which programs are here, and installing those that are not, when this is root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Absence, Ground, Server};

/// Somebody else's apt may hold the lock for this long.
const APT_LOCK_WAIT: Duration = Duration::from_secs(300);
const APT_LOCK_RETRY: Duration = Duration::from_secs(5);
const APT_RUN_MAX: Duration = Duration::from_secs(600);

/// Medusa's and playwright-core's least Node.js.
const NODE_MAJOR_MIN: u32 = 20;

/// The programs that servers are made of, and why some of them are not here.
#[derive(Default)]
pub struct Packages {
    failures: Vec<(&'static str, String)>,
}

/// A package, who needs it, and the question whether what we need of it is here.
struct Need {
    package: &'static str,
    servers: &'static [Server],
    is_here: fn() -> bool,
}

const NEEDS: [Need; 4] = [
    Need {
        package: "postgresql",
        servers: &[Server::Postgres],
        is_here: || postgres_programs().is_some(),
    },
    Need {
        package: "mariadb-server",
        servers: &[Server::Mariadb],
        is_here: || {
            ["mariadbd", "mariadb-install-db", "mariadb-admin"]
                .iter()
                .all(|name| program(name).is_some())
        },
    },
    Need {
        package: "chromium",
        servers: &[Server::Chromium],
        is_here: || chromium().is_some(),
    },
    Need {
        package: "nodejs",
        servers: &[Server::Chromium, Server::Medusa],
        is_here: || node_fault().is_none(),
    },
];

/// Installs what `wanted` needs and is not here, in one go where that works. What failed is kept, for the
/// server that needs it to name.
pub fn ensure(wanted: &BTreeSet<Server>, ground: Ground<'_>) -> Packages {
    let absent: Vec<&'static str> = NEEDS
        .iter()
        .filter(|need| {
            need.servers.iter().any(|server| wanted.contains(server)) && !(need.is_here)()
        })
        .map(|need| need.package)
        .collect();
    let mut packages = Packages::default();
    if absent.is_empty() {
        return packages;
    }
    if !rustix::process::geteuid().is_root() {
        for package in absent {
            let why = format!(
                "the package {package} is not installed (as root: apt-get install {package})"
            );
            packages.failures.push((package, why));
        }
        return packages;
    }
    eprintln!("xtask: installing {} …", absent.join(", "));
    if let Err(error) = apt(&["update"], "apt-update", ground) {
        eprintln!(
            "xtask: the package lists could not be brought up to date, trying with the old ones: {error:#}"
        );
    }
    if install(&absent, ground).is_ok() {
        return packages;
    }
    for package in absent {
        if let Err(error) = install(&[package], ground) {
            packages.failures.push((
                package,
                format!("the package {package} could not be installed: {error:#}"),
            ));
        }
    }
    packages
}

fn install(packages: &[&str], ground: Ground<'_>) -> Result<()> {
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(packages);
    // Debian parts node from npm.
    if packages.contains(&"nodejs") {
        arguments.push("npm");
    }
    apt(
        &arguments,
        &format!("apt-install-{}", packages.join("-")),
        ground,
    )
}

/// Runs apt-get, waiting for its turn while another apt is at work.
fn apt(arguments: &[&str], log: &str, ground: Ground<'_>) -> Result<()> {
    let began = Instant::now();
    loop {
        let mut command = Command::new("apt-get");
        command
            .args([
                "-o",
                &format!("DPkg::Lock::Timeout={}", APT_LOCK_WAIT.as_secs()),
            ])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            // Keeps the packages' scripts from starting system-wide servers: ours are private.
            .env("RUNLEVEL", "1");
        let run = ground.run("apt-get", &mut command, log, APT_RUN_MAX);
        let Err(error) = run else { return Ok(()) };
        let text = format!("{error:#}");
        let is_locked = text.contains("Could not get lock") || text.contains("Unable to lock");
        if !is_locked || began.elapsed() > APT_LOCK_WAIT {
            bail!(error);
        }
        ground.interrupt.check()?;
        std::thread::sleep(APT_LOCK_RETRY);
    }
}

impl Packages {
    fn missing(&self, package: &str, or: impl FnOnce() -> String) -> Absence {
        let known = self.failures.iter().find(|(failed, _)| *failed == package);
        Absence::Missing(known.map_or_else(or, |(_, why)| why.clone()))
    }

    /// The folder with PostgreSQL's programs.
    pub fn postgres_programs(&self) -> Result<PathBuf, Absence> {
        postgres_programs()
            .ok_or_else(|| self.missing("postgresql", || "initdb was not found".to_owned()))
    }

    pub fn mariadb_program(&self, name: &str) -> Result<PathBuf, Absence> {
        program(name)
            .ok_or_else(|| self.missing("mariadb-server", || format!("{name} was not found")))
    }

    pub fn chromium(&self) -> Result<PathBuf, Absence> {
        chromium().ok_or_else(|| self.missing("chromium", || "no chromium was found".to_owned()))
    }

    pub fn node(&self) -> Result<PathBuf, Absence> {
        match (node_fault(), program("node")) {
            (None, Some(node)) => Ok(node),
            (fault, _) => Err(self.missing("nodejs", || {
                fault.unwrap_or_else(|| "node was not found".to_owned())
            })),
        }
    }

    pub fn npm(&self) -> Result<PathBuf, Absence> {
        program("npm").ok_or_else(|| self.missing("nodejs", || "npm was not found".to_owned()))
    }
}

/// The newest PostgreSQL that Debian's packages have put here, else the one on the path.
fn postgres_programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, programs)| is_program(&programs.join("initdb")))
        .collect();
    versions.sort();
    versions
        .pop()
        .map(|(_, programs)| programs)
        .or_else(|| Some(program("initdb")?.parent()?.to_owned()))
}

fn chromium() -> Option<PathBuf> {
    ["chromium", "chromium-browser"]
        .iter()
        .find_map(|name| program(name))
}

/// What keeps this machine's Node.js from being used, if anything does.
fn node_fault() -> Option<String> {
    let Some(node) = program("node") else {
        return Some("node was not found".to_owned());
    };
    let shown = match Command::new(node).arg("--version").output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => return Some(format!("node does not start: {error}")),
    };
    let major = shown
        .strip_prefix('v')
        .and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE_MAJOR_MIN => None,
        _ => Some(format!(
            "node {shown} is here, {NODE_MAJOR_MIN} or newer is needed"
        )),
    }
}

/// The program of this name on the path, or where Debian keeps those for administrators.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
