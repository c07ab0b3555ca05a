//! What is true of SQLite's file alone.

use lockstep_storage::{Kind, Options, Storage};
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn a_second_coordinator_on_one_file_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = Storage::open(Options::in_folder(folder.path()))
        .await
        .unwrap();
    let second = Storage::open(Options::in_folder(folder.path()))
        .await
        .unwrap_err();
    assert_eq!(second.kind, Kind::InUse, "{second}");
    first.close().await.unwrap();
    Storage::open(Options::in_folder(folder.path()))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_key_is_for_its_owner_alone_and_not_in_the_database() {
    let folder = tempfile::tempdir().unwrap();
    Storage::open(Options::in_folder(folder.path()))
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    let key = folder.path().join("key");
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let key = std::fs::read_to_string(key).unwrap();
    let database = std::fs::read(folder.path().join("lockstep.db")).unwrap();
    let found = database
        .windows(key.trim().len())
        .any(|window| window == key.trim().as_bytes());
    assert!(!found);
}

#[tokio::test]
async fn a_wrong_address_is_not_repeated_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::in_folder(folder.path());
    options.url = Some("postgres://me:hunter2@[bad".to_owned().into());
    let error = Storage::open(options).await.unwrap_err();
    let mut said = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        said.push_str(&inner.to_string());
        source = inner.source();
    }
    assert!(!said.contains("hunter2"), "{said}");
}
