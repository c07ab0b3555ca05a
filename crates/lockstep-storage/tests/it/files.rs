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
async fn s8_the_database_and_what_lies_beside_it_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let open = async || Storage::open(Options::in_folder(&data)).await.unwrap();
    let modes = || {
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let files = std::fs::read_dir(&data).unwrap();
        let files = files.map(|entry| entry.unwrap().path());
        (
            mode(&data),
            files.map(|file| (mode(&file), file)).collect::<Vec<_>>(),
        )
    };
    let storage = open().await;
    let (folder_mode, files) = modes();
    assert_eq!(folder_mode, 0o700);
    assert!(
        files
            .iter()
            .any(|(_, file)| file.ends_with("lockstep.db-wal"))
    );
    for (mode, file) in files {
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    storage.close().await.unwrap();

    // As a version before left them.
    let database = data.join("lockstep.db");
    for (path, mode) in [(&data, 0o755), (&database, 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let _storage = open().await;
    let (folder_mode, files) = modes();
    assert_eq!(folder_mode, 0o700);
    for (mode, file) in files {
        assert_eq!(mode, 0o600, "{}", file.display());
    }
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
