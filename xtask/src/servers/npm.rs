//! Installations from npm, in the cache, exactly as the committed lock file says; made once and shared by all starts.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::packages::Packages;
use super::{Absence, Ground, own_files};

const INSTALL_MAX: Duration = Duration::from_secs(600);
const LOCK_WAIT_MAX: Duration = Duration::from_secs(900);
const LOCK_RETRY: Duration = Duration::from_millis(200);

/// Written last, with the lock file that was installed: an installation that was cut off has none.
const STAMP: &str = "installed-lock.json";

/// An installation that nobody replaces as long as this lives: another clone may want other versions.
pub struct Installation {
    /// The folder that has `node_modules`.
    pub folder: PathBuf,
    _shared_lock: File,
}

/// The installation of `xtask/<name>/package-lock.json`, made if it is not there.
pub fn ensure(
    name: &str,
    packages: &Packages,
    ground: Ground<'_>,
) -> Result<Installation, Absence> {
    packages.node()?;
    let files = own_files(name);
    let lock_file = std::fs::read_to_string(files.join("package-lock.json"))
        .with_context(|| format!("the committed lock file of {name} cannot be read"))?;
    let folder = ground.cache.join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let held = File::create(ground.cache.join(format!("{name}.lock")))
        .context("the cache cannot be locked")?;

    loop {
        wait_for(|| held.try_lock_shared(), ground)?;
        if is_installed(&folder, &lock_file) {
            return Ok(Installation {
                folder,
                _shared_lock: held,
            });
        }
        held.unlock().context("the cache cannot be unlocked")?;
        wait_for(|| held.try_lock(), ground)?;
        // Another start may have installed it while this one waited.
        if !is_installed(&folder, &lock_file) {
            let npm = packages.npm()?;
            eprintln!(
                "xtask: installing {name} from npm into {} …",
                folder.display()
            );
            install(&npm, name, &files, &folder, ground).map_err(|error| {
                Absence::Missing(format!("npm could not install it: {error:#}"))
            })?;
            std::fs::write(folder.join(STAMP), &lock_file)
                .context("the cache cannot be written")?;
        }
        held.unlock().context("the cache cannot be unlocked")?;
    }
}

fn is_installed(folder: &Path, lock_file: &str) -> bool {
    std::fs::read_to_string(folder.join(STAMP)).is_ok_and(|installed| installed == lock_file)
}

fn install(npm: &Path, name: &str, files: &Path, folder: &Path, ground: Ground<'_>) -> Result<()> {
    let stamp = folder.join(STAMP);
    if stamp.exists() {
        std::fs::remove_file(&stamp).context("the old installation's stamp cannot be removed")?;
    }
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(files.join(file), folder.join(file))
            .with_context(|| format!("{file} cannot be copied"))?;
    }
    ground.run(
        "npm ci",
        Command::new(npm)
            .current_dir(folder)
            // No package's own code runs at install time; nothing that we use needs it.
            .args([
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--prefer-offline",
            ]),
        &format!("npm-{name}"),
        INSTALL_MAX,
    )?;
    Ok(())
}

fn wait_for(
    mut try_lock: impl FnMut() -> Result<(), TryLockError>,
    ground: Ground<'_>,
) -> Result<()> {
    let began = Instant::now();
    loop {
        match try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_WAIT_MAX => {
                ground.interrupt.check()?;
                std::thread::sleep(LOCK_RETRY);
            }
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another xtask has held the cache for {} s",
                    LOCK_WAIT_MAX.as_secs()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context("the cache cannot be locked");
            }
        }
    }
}
