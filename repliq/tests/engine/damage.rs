//! Directories that are no store, not ours, damaged, in use or full.

use crate::support::*;
use repliq::prelude::*;
use repliq::{Batch, Error, StorageErrorKind, StoreError};
use std::collections::BTreeMap;
use std::path::Path;

type Files = BTreeMap<String, Vec<u8>>;

fn files(path: &Path) -> Files {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let bytes =
            if entry.path().is_dir() { Vec::new() } else { std::fs::read(entry.path()).unwrap() };
        (name, bytes)
    };
    std::fs::read_dir(path).unwrap().map(read).collect()
}

/// What opening a directory gives, as a device and as a relay.
async fn refusals(path: &Path) -> Vec<Error> {
    let device = Replica::open(path).await.map(|_| ()).unwrap_err();
    let relay = match SledBackend::open(path) {
        Err(error) => Error::from(StoreError::from(error)),
        Ok(backend) => Relay::open(backend).await.map(|_| ()).unwrap_err(),
    };
    vec![device, relay]
}

fn kind(error: &Error) -> Option<StorageErrorKind> {
    match error {
        Error::Store(StoreError::Storage(error)) => Some(error.kind),
        _ => None,
    }
}

async fn filled(path: &Path) {
    let device = Replica::open(path).await.unwrap();
    let one: Document<Notes> = device.document("one").await.unwrap();
    for n in 0..50 {
        set(&one, &n.to_string(), &"x".repeat(1000)).await;
    }
    device.close().await;
}

#[tokio::test]
async fn a_directory_with_other_files_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("thesis.txt"), "years of work").unwrap();
    std::fs::create_dir(directory.path().join("pictures")).unwrap();
    let before = files(directory.path());
    for error in refusals(directory.path()).await {
        assert_eq!(kind(&error), Some(StorageErrorKind::Corrupt), "{error}");
        assert!(error.to_string().contains("choose"), "{error}");
    }
    assert_eq!(files(directory.path()), before);
    let file = directory.path().join("thesis.txt");
    for error in refusals(&file).await {
        assert!(matches!(error, Error::Store(_)), "{error:?}");
    }
    assert_eq!(std::fs::read(file).unwrap(), b"years of work");
}

#[tokio::test]
async fn a_store_of_a_newer_format_is_left_as_it_is() {
    // The backend's own format.
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    let marker = directory.path().join("repliq-sled");
    let mut bytes = std::fs::read(&marker).unwrap();
    bytes[15] = 99;
    std::fs::write(&marker, bytes).unwrap();
    let before = files(directory.path());
    for error in refusals(directory.path()).await {
        assert_eq!(kind(&error), Some(StorageErrorKind::Unsupported), "{error}");
        assert!(error.to_string().contains("update"), "{error}");
    }
    assert_eq!(files(directory.path()), before);

    // The store's format, in any backend.
    let data = MemoryBackend::new();
    Replica::builder().storage(data.clone()).build().await.unwrap().close().await;
    let (key, mut value) = data.scan(&[], None, 1).unwrap().remove(0);
    let last = value.len() - 1;
    value[last] = 99;
    let mut batch = Batch::new();
    batch.put(key, value);
    data.commit(batch).unwrap();
    let before = data.scan(&[], None, usize::MAX).unwrap();
    let device = Replica::builder().storage(data.clone()).build().await.map(|_| ()).unwrap_err();
    let relay = Relay::open(data.clone()).await.map(|_| ()).unwrap_err();
    for error in [device, relay] {
        assert!(matches!(error, Error::Store(StoreError::NewerFormat { .. })), "{error:?}");
        assert!(error.to_string().contains("upgrade"), "{error}");
    }
    assert_eq!(data.scan(&[], None, usize::MAX).unwrap(), before);
}

#[tokio::test]
async fn a_backend_that_holds_something_else_is_left_as_it_is() {
    let data = MemoryBackend::new();
    let mut batch = Batch::new();
    batch.put("customers", "all of them");
    data.commit(batch).unwrap();
    let before = data.scan(&[], None, usize::MAX).unwrap();
    let device = Replica::builder().storage(data.clone()).build().await.map(|_| ()).unwrap_err();
    let relay = Relay::open(data.clone()).await.map(|_| ()).unwrap_err();
    let storage =
        Storage::new(data.clone()).put("a", &LwwSet::<u8>::new(ReplicaId::new())).unwrap_err();
    for error in [device, relay, storage] {
        assert!(matches!(error, Error::Store(StoreError::NotAStore)), "{error:?}");
    }
    assert_eq!(data.scan(&[], None, usize::MAX).unwrap(), before);
}

#[tokio::test]
async fn a_directory_in_use_is_locked_whoever_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let device = Replica::open(directory.path()).await.unwrap();
    for error in refusals(directory.path()).await {
        assert_eq!(kind(&error), Some(StorageErrorKind::Locked), "{error}");
        assert!(error.to_string().contains("close the other"), "{error}");
    }
    let one: Document<Notes> = device.document("one").await.unwrap();
    set(&one, "a", "1").await;
    device.close().await;
    let relay = Relay::open(SledBackend::open(directory.path()).unwrap()).await.unwrap();
    let error = Replica::open(directory.path()).await.unwrap_err();
    assert_eq!(kind(&error), Some(StorageErrorKind::Locked), "{error}");
    relay.close().await;
    Replica::open(directory.path()).await.unwrap();
}

/// Every file in turn is cut short, emptied, overwritten or lost. Whatever is
/// read is what was written, or a typed error; never less, silently.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_a_typed_error_never_a_smaller_store() {
    let original = tempfile::tempdir().unwrap();
    filled(original.path()).await;
    let originals = files(original.path());
    let expected = durable_directory(original.path()).await.unwrap();
    assert_eq!(expected.len(), 50);
    let originals_after = files(original.path());
    assert!(!originals.is_empty() && !originals_after.is_empty());
    for (name, bytes) in &originals {
        for harm in 0..4 {
            let copy = tempfile::tempdir().unwrap();
            for (name, bytes) in &originals {
                std::fs::write(copy.path().join(name), bytes).unwrap();
            }
            let path = copy.path().join(name);
            match harm {
                0 => std::fs::remove_file(&path).unwrap(),
                1 => std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                2 => std::fs::write(&path, b"").unwrap(),
                _ => std::fs::write(&path, vec![0xa5; bytes.len().min(1 << 16)]).unwrap(),
            }
            match durable_directory(copy.path()).await {
                Ok(found) => assert_eq!(found, expected, "{name}, harm {harm}"),
                Err(error) => {
                    assert!(matches!(error, Error::Store(_) | Error::Damaged { .. }), "{error:?}");
                    assert!(error.to_string().len() > 20, "{name}, harm {harm}: {error}");
                }
            }
        }
    }
}

async fn durable_directory(path: &Path) -> Result<View, Error> {
    let device = Replica::open(path).await?;
    let one: Document<Notes> = device.document("one").await?;
    let found = view(&one);
    device.close().await;
    Ok(found)
}

#[tokio::test]
async fn a_document_whose_log_is_damaged_is_a_typed_error_and_others_open() {
    let backend = Faulty::new();
    let device = alone(&backend).await;
    set(&notes(&device, "one").await, "marker-value", "1").await;
    set(&notes(&device, "two").await, "b", "2").await;
    device.close().await;
    let data = backend.copy();
    let mut batch = Batch::new();
    for (key, value) in data.scan(&[], None, usize::MAX).unwrap() {
        if value.windows(12).any(|window| window == b"marker-value") {
            batch.put(key, &value[..value.len() - 3]);
        }
    }
    assert!(!batch.is_empty());
    data.commit(batch).unwrap();
    let device = alone(&Faulty::over(data)).await;
    assert_eq!(view(&notes(&device, "two").await), pairs(&[("b", "2")]));
    let error = device.document::<Notes>("one").await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. } | Error::Store(_)), "{error:?}");
}

/// A file system of 24 MiB fills up under a device.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_a_typed_error_and_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| {
        let status = std::process::Command::new(arguments[0]).args(&arguments[1..]).output();
        status.is_ok_and(|output| output.status.success())
    };
    let path = directory.path().to_str().unwrap().to_owned();
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", &path]) {
        println!("not root: a full disk cannot be made here");
        return;
    }
    let store = directory.path().join("store");
    let mut acknowledged = View::new();
    let result = tokio::spawn(async move {
        let device = Replica::open(&store).await.unwrap();
        let one: Document<Notes> = device.document("one").await.unwrap();
        let mut failure = None;
        for n in 0..200 {
            let text = format!("{n}").repeat(64 << 10);
            let (key, value) = (n.to_string(), text.clone());
            match within(one.update(move |m| m.set(key, value))).await {
                Ok(()) => drop(acknowledged.insert(n.to_string(), text)),
                Err(error) => {
                    failure = Some(error.to_string());
                    break;
                }
            }
        }
        let failure = failure.expect("24 MiB are full by now");
        assert!(failure.contains("full") || failure.contains("open"), "{failure}");
        let keys = |view: &View| view.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&view(&one)), keys(&acknowledged), "what failed is undone: {failure}");
        drop(one);
        device.close().await;
        let held = match Replica::open(&store).await {
            Ok(device) => {
                let one: Document<Notes> = device.document("one").await.unwrap();
                let held = view(&one);
                drop(one);
                device.close().await;
                held
            }
            Err(error) => {
                // There is no room even to open it; with room it is all there.
                assert_eq!(kind(&error), Some(StorageErrorKind::Full), "{error}");
                acknowledged.clone()
            }
        };
        assert_eq!(held, acknowledged);
    })
    .await;
    let unmounted = mount(&["umount", "-l", &path]);
    result.unwrap();
    assert!(unmounted);
}

/// Found by a user: a wrong type parameter showed an empty document, and a
/// snapshot of the emptiness replaced the data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_opened_with_other_type_parameters_is_a_typed_error_and_loses_nothing() {
    let backend = repliq::MemoryBackend::new();
    let open = || Replica::builder().storage(backend.clone()).build();
    let device = open().await.unwrap();
    let texts: Document<LwwMap<String, String>> = device.document("m").await.unwrap();
    // Enough of a log for an opening to write a snapshot.
    for n in 0..1500 {
        texts.update(|m| m.set(n.to_string(), "x".repeat(200))).await.unwrap();
    }
    device.close().await;
    drop(texts);

    {
        let device = open().await.unwrap();
        let numbers = device.document::<LwwMap<String, u64>>("m").await;
        assert!(matches!(numbers, Err(repliq::Error::Unreadable { .. })), "{numbers:?}");
        let texts = device.document::<LwwMap<String, String>>("m").await.unwrap();
        assert_eq!(texts.read(|m| m.len()).unwrap(), 1500);
        device.close().await;
        let device = open().await.unwrap();
        // Now there is a snapshot, which does not read as another type either.
        let numbers = device.document::<LwwMap<String, u64>>("m").await;
        assert!(matches!(numbers, Err(repliq::Error::Damaged { .. })), "{numbers:?}");
        let texts = device.document::<LwwMap<String, String>>("m").await.unwrap();
        assert_eq!(texts.read(|m| m.len()).unwrap(), 1500);
        device.close().await;
    }
}
