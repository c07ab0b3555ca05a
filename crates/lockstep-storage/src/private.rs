//! Files and folders that their owner alone may read: there are orders, buyers and keys in them.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// A folder with one of these in it is a data folder of ours.
const OWN: [&str; 3] = ["key", "lockstep.db", "replicas"];

/// Makes the folder, or takes what others may do there away. For folders that are ours alone.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER)
        .create(folder)?;
    tighten(folder, FOLDER)
}

/// As [`private_folder`], for a folder that a person named: one that holds other things than ours is left as it is.
pub fn private_data_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() && !is_ours(folder)? {
        tracing::warn!(
            folder = %folder.display(),
            "the data folder holds other files too, so who may look into it is left as it is; give the coordinator one of its own"
        );
        return Ok(());
    }
    private_folder(folder)
}

fn is_ours(folder: &Path) -> io::Result<bool> {
    if OWN.iter().any(|name| folder.join(name).exists()) {
        return Ok(true);
    }
    Ok(fs::read_dir(folder)?.next().is_none())
}

/// SQLite gives what it keeps beside a database the mode of the database: it is made before SQLite would make it.
pub(crate) fn private_database(file: &Path) -> io::Result<()> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE)
        .open(file)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        let file = PathBuf::from(name);
        if file.exists() {
            tighten(&file, FILE)?;
        }
    }
    Ok(())
}

fn tighten(path: &Path, to: u32) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn s8_a_data_folder_is_its_owners_alone_and_another_is_left() {
        let place = tempfile::tempdir().unwrap();
        let open = |name: &str, holds: Option<&str>| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
            if let Some(file) = holds {
                fs::write(folder.join(file), b"x").unwrap();
            }
            private_data_folder(&folder).unwrap();
            mode(&folder)
        };
        assert_eq!(open("empty", None), 0o700);
        assert_eq!(open("ours", Some("key")), 0o700);
        assert_eq!(open("shared", Some("passwd")), 0o755);
        let new = place.path().join("new");
        private_data_folder(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
    }
}
