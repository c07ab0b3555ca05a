//! The worker's data folder: one process at a time, private files written whole or not at all, and
//! what tells one folder, and one start from it, from another.
//!
//! ```text
//! lock              held as long as the process lives
//! folder.json       the folder's own id and how often a worker started from it
//! key               the worker's Ed25519 key; whoever has it is this worker
//! worker.json       the token and whose it is
//! settings.json     the last good settings, credentials inside
//! customers/7.journal
//! customers/7.settings    what decisions were last made by
//! customers/7.checked     when each shop last said who it is
//! customers/7.restoring   while the coordinator's copy is fetched
//! customers/7.rehearsal-… a copy of the journal, to try settings on that nobody has saved
//! customers/7.restored    made of a checkpoint; it takes the journal's place when it is whole
//! ```

use data_encoding::HEXLOWER;
use lockstep_journal::{JournalError, forget_keys_of};
use lockstep_model::CustomerId;
use lockstep_protocol::InstanceId;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{} cannot be read or written: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another worker works in {} already; give this one a data folder of its own", path.display())]
    Locked { path: PathBuf },
    #[error(
        "{} cannot be understood: {why}. Move it away and start again: the coordinator has what is needed",
        path.display()
    )]
    Unreadable {
        path: PathBuf,
        /// Without what stands in the file, which may be a key.
        why: String,
    },
}

/// Buyers' keys that could not be cleared away.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Held by one process; given back when it is dropped.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    instance: InstanceId,
    _lock: File,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Identity {
    id: String,
    starts: u64,
}

impl Folder {
    /// Makes the folder if it is missing, locks it and counts this start.
    pub fn open(root: &Path) -> Result<Self, FolderError> {
        let customers = root.join("customers");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&customers)
            .map_err(at(&customers))?;
        // An older version, or a person, may have made them for everybody to look into.
        for folder in [root, &customers] {
            tighten(folder).map_err(at(folder))?;
        }
        let path = root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(at(&path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let path = root.to_owned();
                return Err(FolderError::Locked { path });
            }
            Err(error) => return Err(at(&path)(error.into())),
        }
        let instance = count_start(root)?;
        let folder = Folder {
            root: root.to_owned(),
            instance,
            _lock: lock,
        };
        folder.clear_what_was_for_a_while()?;
        Ok(folder)
    }

    /// What another start was in the middle of; who still needs it begins again.
    fn clear_what_was_for_a_while(&self) -> Result<(), FolderError> {
        for path in self.customer_files()? {
            let name = path.file_name().and_then(|name| name.to_str());
            let of_a_while = |name: &str| name.contains(RESTORED) || name.contains(REHEARSAL);
            if name.is_some_and(of_a_while) {
                fs::remove_file(&path).map_err(at(&path))?;
            }
        }
        Ok(())
    }

    /// This start of a worker from this folder.
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    pub fn journal(&self, customer: CustomerId) -> PathBuf {
        self.root
            .join("customers")
            .join(format!("{customer}.journal"))
    }

    /// Moves a customer's file, and what SQLite keeps beside it, out of the way; nothing is deleted.
    pub fn set_journal_aside(&self, customer: CustomerId) -> Result<(), FolderError> {
        let path = self.journal(customer);
        let stamp = jiff::Timestamp::now().as_millisecond();
        for suffix in SQLITE_SUFFIXES {
            let from = with_suffix(&path, suffix);
            let to = with_suffix(&path, &format!(".{stamp}.old{suffix}"));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(at(&from)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Buyers' keys in a file that nobody works with go: one that was set aside, or whose customer another machine
    /// works for.
    pub fn forget_keys_aside(&self, customer: CustomerId) -> Result<(), KeysError> {
        let prefix = format!("{customer}.journal.");
        for path in self.customer_files()? {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with(&prefix) && name.ends_with(".old")) {
                forget_keys_of(&path, customer)?;
            }
        }
        Ok(())
    }

    /// And in the one that it was worked on with.
    pub fn forget_keys(&self, customer: CustomerId) -> Result<(), KeysError> {
        let path = self.journal(customer);
        if path.exists() {
            forget_keys_of(&path, customer)?;
        }
        self.forget_keys_aside(customer)
    }

    /// Customers whose journals lie here.
    pub fn journals(&self) -> Result<BTreeSet<CustomerId>, FolderError> {
        let files = self.customer_files()?;
        let names = files.iter().filter_map(|path| path.file_name()?.to_str());
        Ok(names
            .filter_map(|name| name.split_once(".journal")?.0.parse().ok())
            .collect())
    }

    fn customer_files(&self) -> Result<Vec<PathBuf>, FolderError> {
        let folder = self.path("customers");
        let entries = fs::read_dir(&folder).map_err(at(&folder))?;
        entries
            .map(|entry| Ok(entry.map_err(at(&folder))?.path()))
            .collect()
    }

    /// A customer's journal is being fetched: what is here may be only its beginning.
    pub fn begin_restoring(&self, customer: CustomerId) -> Result<(), FolderError> {
        self.write(&restoring(customer), &[])
    }

    pub fn is_restoring(&self, customer: CustomerId) -> Result<bool, FolderError> {
        Ok(self.read(&restoring(customer))?.is_some())
    }

    pub fn end_restoring(&self, customer: CustomerId) -> Result<(), FolderError> {
        self.remove(&restoring(customer))
    }

    /// Where a journal is made of a checkpoint.
    pub fn restored(&self, customer: CustomerId) -> PathBuf {
        self.path(&restored(customer))
    }

    /// Where settings that nobody has saved are tried, on a copy.
    pub fn rehearsal(&self, customer: CustomerId) -> PathBuf {
        // A name of its own: SQLite may not be done yet with one that was given up.
        let name = rand::random::<u32>();
        self.path(&format!("customers/{customer}{REHEARSAL}-{name:08x}"))
    }

    /// What is left of one goes: it was not whole, or it was not right.
    pub fn clear_restored(&self, customer: CustomerId) -> Result<(), FolderError> {
        for suffix in SQLITE_SUFFIXES {
            self.remove(&format!("{}{suffix}", restored(customer)))?;
        }
        Ok(())
    }

    /// It takes the place of a journal with nothing in it. Both are closed.
    pub fn place_restored(&self, customer: CustomerId) -> Result<(), FolderError> {
        let (from, to) = (self.restored(customer), self.journal(customer));
        // SQLite takes its log along when it closes a file: what has one is not closed.
        let log = with_suffix(&from, "-wal");
        if log.exists() {
            return Err(at(&log)(io::ErrorKind::ResourceBusy.into()));
        }
        // The log of a file must not be found beside another: the file goes last, and what follows has none.
        for suffix in SQLITE_SUFFIXES.iter().rev() {
            self.remove(&format!("customers/{customer}.journal{suffix}"))?;
        }
        fs::rename(&from, &to).map_err(at(&from))?;
        sync_folder(&to)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// `None`: there is no such file.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        read(&self.path(name))
    }

    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, FolderError> {
        read_json(&self.path(name))
    }

    /// For its owner's eyes; the old content or the new, whatever happens meanwhile.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        write(&self.path(name), content, || ())
    }

    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), FolderError> {
        write_json(&self.path(name), value)
    }

    /// As `write_json`; `between` runs when the new content is on the disk and the old still in force.
    pub fn write_json_pausing<T: Serialize>(
        &self,
        name: &str,
        value: &T,
        between: impl FnOnce(),
    ) -> Result<(), FolderError> {
        let path = self.path(name);
        let content = serde_json::to_vec(value).map_err(|error| at(&path)(error.into()))?;
        write(&path, &content, between)
    }

    pub fn remove(&self, name: &str) -> Result<(), FolderError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path)(error)),
            Ok(()) | Err(_) => sync_folder(&path),
        }
    }
}

/// A file, and what SQLite keeps beside it.
const SQLITE_SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

const RESTORED: &str = ".restored";
const REHEARSAL: &str = ".rehearsal";

fn restored(customer: CustomerId) -> String {
    format!("customers/{customer}{RESTORED}")
}

fn restoring(customer: CustomerId) -> String {
    format!("customers/{customer}.restoring")
}

fn count_start(root: &Path) -> Result<InstanceId, FolderError> {
    let path = root.join("folder.json");
    let mut identity: Identity = read_json(&path)?.unwrap_or_default();
    if identity.id.is_empty() {
        identity.id = HEXLOWER.encode(&rand::random::<[u8; 16]>());
    }
    identity.starts += 1;
    write_json(&path, &identity)?;
    // A copied folder has another place on the disk, so a cloned machine is not taken for this one.
    let place = fs::metadata(root).map_err(at(root))?;
    let mut hash = Sha256::new();
    hash.update(identity.id.as_bytes());
    hash.update(place.dev().to_be_bytes());
    hash.update(place.ino().to_be_bytes());
    let folder = HEXLOWER.encode(&hash.finalize()[..12]);
    Ok(InstanceId {
        boot: boot_id(),
        folder,
        start: identity.starts,
    })
}

/// New at each start of the machine. Where the system has none, each process is a machine of its own.
fn boot_id() -> String {
    let known = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    known
        .map(|text| text.trim().to_owned())
        .filter(|text| {
            let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !text.is_empty() && text.len() <= 64 && text.bytes().all(sound)
        })
        .unwrap_or_else(|| HEXLOWER.encode(&rand::random::<[u8; 16]>()))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { path, source }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, FolderError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FolderError> {
    let Some(content) = read(path)? else {
        return Ok(None);
    };
    let path = path.to_owned();
    serde_json::from_slice(&content)
        .map(Some)
        .map_err(|error| FolderError::Unreadable {
            path,
            why: lockstep_model::misread(&error),
        })
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), FolderError> {
    let content = serde_json::to_vec(value).map_err(|error| at(path)(error.into()))?;
    write(path, &content, || ())
}

fn write(path: &Path, content: &[u8], between: impl FnOnce()) -> Result<(), FolderError> {
    let new = with_suffix(path, ".new");
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        between();
        fs::rename(&new, path)
    };
    written().map_err(at(path))?;
    sync_folder(path)
}

/// Journals hold orders and buyers, and beside them lies the worker's key. A folder in which everybody may write (`/tmp`)
/// is not ours to close.
fn tighten(folder: &Path) -> io::Result<()> {
    const STICKY: u32 = 0o1000;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o077 == 0 || mode & STICKY != 0 {
        return Ok(());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// A rename is durable when its folder is.
fn sync_folder(path: &Path) -> Result<(), FolderError> {
    let folder = path.parent().unwrap_or(path);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(at(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let first = Folder::open(place.path()).unwrap();
        let second = Folder::open(place.path()).unwrap_err();
        assert!(matches!(second, FolderError::Locked { .. }), "{second}");
        drop(first);
        Folder::open(place.path()).unwrap();
    }

    #[test]
    fn each_start_succeeds_the_one_before() {
        let place = tempfile::tempdir().unwrap();
        let first = Folder::open(place.path()).unwrap().instance().clone();
        let second = Folder::open(place.path()).unwrap().instance().clone();
        assert!(second.succeeds(&first), "{first} {second}");
        assert_eq!(InstanceId::parse(&second.to_string()), Some(second));
    }

    #[test]
    fn s8_a_workers_folders_are_its_owners_alone() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("worker");
        fs::create_dir_all(root.join("customers")).unwrap();
        for folder in [root.clone(), root.join("customers")] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let folder = Folder::open(&root).unwrap();
        for path in [root.clone(), root.join("customers")] {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", path.display());
        }
        drop(folder);
        for entry in fs::read_dir(&root).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
        }
    }

    #[test]
    fn a_copied_folder_is_another_one() {
        let place = tempfile::tempdir().unwrap();
        let (one, copy) = (place.path().join("one"), place.path().join("copy"));
        let first = Folder::open(&one).unwrap().instance().clone();
        fs::create_dir(&copy).unwrap();
        fs::copy(one.join("folder.json"), copy.join("folder.json")).unwrap();
        let second = Folder::open(&copy).unwrap().instance().clone();
        assert!(!second.succeeds(&first), "{first} {second}");
    }

    #[test]
    fn files_are_their_owners_alone_and_written_whole() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        folder.write("key", b"first, and longer").unwrap();
        folder.write("key", b"second").unwrap();
        assert_eq!(folder.read("key").unwrap().unwrap(), b"second");
        let mode = fs::metadata(folder.path("key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        folder.remove("key").unwrap();
        folder.remove("key").unwrap();
        assert_eq!(folder.read("key").unwrap(), None);
    }

    #[test]
    fn a_journal_that_is_set_aside_is_kept() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        fs::write(folder.journal(CustomerId(7)), b"x").unwrap();
        folder.set_journal_aside(CustomerId(7)).unwrap();
        assert!(!folder.journal(CustomerId(7)).exists());
        let kept = fs::read_dir(place.path().join("customers"))
            .unwrap()
            .count();
        assert_eq!(kept, 1);
    }

    #[test]
    fn what_was_restored_takes_the_place_of_the_journal_when_it_is_closed() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let customer = CustomerId(7);
        let log = with_suffix(&folder.restored(customer), "-wal");
        for path in [
            folder.journal(customer),
            with_suffix(&folder.journal(customer), "-wal"),
            folder.restored(customer),
            log.clone(),
        ] {
            fs::write(path, b"x").unwrap();
        }
        folder.place_restored(customer).unwrap_err();
        fs::remove_file(log).unwrap();
        fs::write(folder.restored(customer), b"restored").unwrap();
        folder.place_restored(customer).unwrap();
        assert_eq!(fs::read(folder.journal(customer)).unwrap(), b"restored");
        let left = fs::read_dir(place.path().join("customers")).unwrap();
        assert_eq!(left.count(), 1, "no log of another file");
        fs::write(folder.restored(CustomerId(8)), b"half").unwrap();
        drop(folder);
        let folder = Folder::open(place.path()).unwrap();
        assert!(!folder.restored(CustomerId(8)).exists());
        assert_eq!(folder.journals().unwrap(), [customer].into());
    }
}
