//! Where things lie: the clone, cargo's target folder, the cache outside the clone, this start's own
//! temporary folder and its logs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::process::Guard;

/// Logs of earlier starts are kept this long.
const LOGS_KEPT: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// The folder that holds the workspace.
pub fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The folder cargo builds into, wherever the environment or a config file puts it.
pub fn target() -> Result<PathBuf> {
    let metadata = MetadataCommand::new()
        .current_dir(root())
        .no_deps()
        .exec()
        .context("cargo cannot read the workspace")?;
    Ok(metadata.target_directory.into_std_path_buf())
}

/// What is installed once and used by each start: `$LOCKSTEP_CACHE`, or `~/.cache/lockstep`.
pub fn cache() -> Result<PathBuf> {
    let folder = match std::env::var_os("LOCKSTEP_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()
            .context("there is no home folder: set LOCKSTEP_CACHE to a folder that may be kept")?
            .join(".cache/lockstep"),
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}

/// This start's temporary folder. The guard removes it when xtask is gone, however it went.
pub struct TempFolder {
    path: PathBuf,
}

impl TempFolder {
    pub fn new(guard: &Guard) -> Result<Self> {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let name = format!(
            "lockstep-{}-{}",
            std::process::id(),
            since_epoch.subsec_nanos()
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        guard.add_folder(&path);
        let folder = Self { path };
        // Servers that refuse root run as other users, who must get through here to their own folders.
        std::fs::set_permissions(&folder.path, std::fs::Permissions::from_mode(0o755))
            .with_context(|| {
                format!("{} cannot be opened to other users", folder.path.display())
            })?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The folder for this start's logs, in the target folder so that they outlive the run; old ones are removed.
pub fn logs(target: &Path) -> Result<PathBuf> {
    let all = target.join("xtask/logs");
    let own = all.join(std::process::id().to_string());
    if let Ok(entries) = std::fs::read_dir(&all) {
        for entry in entries.flatten() {
            let age = entry
                .metadata()
                .and_then(|found| found.modified())
                .ok()
                .and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > LOGS_KEPT)
                && let Err(error) = std::fs::remove_dir_all(entry.path())
            {
                eprintln!(
                    "xtask: the old logs {} could not be removed: {error}",
                    entry.path().display()
                );
            }
        }
    }
    std::fs::create_dir_all(&own).with_context(|| format!("{} cannot be made", own.display()))?;
    Ok(own)
}
