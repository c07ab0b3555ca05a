//! The journal alone: what it takes to append entries with all that follows from them, what they weigh, and what it
//! takes to restore a file from their segments. Each beside the least that the disk asks for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lockstep_journal::{Checkpoint, Hash, Journal, Making, Segment, Unpacking};
use lockstep_model::cases::Also;
use lockstep_model::entry::{Body, Delta, Merged, Seen};
use lockstep_model::{Kind, RecordId, RunId, ShopId};
use rusqlite::Connection;
use serde::Serialize;

use crate::merge::{CUSTOMER, product};
use crate::usage::{Stopwatch, Took};

/// Of one transaction: what a run carries out of its plan at once.
const ENTRIES_AT_ONCE: u64 = 200;
/// As the worker cuts and takes them.
const SEGMENT_BYTES: usize = 4 << 20;
const SEGMENTS_AT_ONCE: usize = 64;
/// As the coordinator gives a checkpoint.
const PIECE_BYTES: usize = 64 << 10;

#[derive(clap::Args)]
pub struct Options {
    /// An empty folder, for the files
    #[arg(long)]
    pub folder: PathBuf,
    #[arg(long, default_value_t = 100_000)]
    pub records: u64,
}

#[derive(Serialize)]
pub struct Written {
    records: u64,
    /// The entries' lines.
    line_bytes: u64,
    /// The file with everything that follows from them.
    file_bytes: u64,
    /// The segments as they travel and are archived.
    segment_bytes: u64,
    append: Took,
    /// The same lines into a bare table, in transactions of the same size.
    bare_append: Took,
    restore: Took,
    /// The same segments decompressed, and their lines written to a file.
    bare_restore: Took,
    checkpoint_bytes: u64,
    /// A coordinator makes one of a file of these segments.
    checkpoint: Took,
    /// A worker makes a file of it, proven.
    from_checkpoint: Took,
}

pub fn run(options: &Options) -> Result<Written> {
    let path = options.folder.join("journal.sqlite");
    let mut journal = Journal::open(&path, CUSTOMER)?;
    let mut append = Took::default();
    for first in (1..=options.records).step_by(usize::try_from(ENTRIES_AT_ONCE)?) {
        let numbers = first..(first + ENTRIES_AT_ONCE).min(options.records + 1);
        let bodies: Vec<Body> = numbers.map(merged).collect();
        let watch = Stopwatch::start();
        journal.append(jiff::Timestamp::now(), bodies, Also::default())?;
        append += watch.stop();
    }
    let mut segments = Vec::new();
    while let Some(segment) = journal.cut_segment(SEGMENT_BYTES)? {
        journal.acknowledge(segment.header.sequence, segment.hash)?;
        segments.push(segment);
    }
    let head = journal.head()?.segment;
    drop(journal);

    let restore = restore(&options.folder, &segments, head)?;
    let (made, checkpoint) = checkpoint(&options.folder)?;
    Ok(Written {
        records: options.records,
        line_bytes: segments.iter().map(|s| u64::from(s.lines_bytes)).sum(),
        file_bytes: std::fs::metadata(&path)?.len(),
        segment_bytes: segments.iter().map(|s| s.encode().len() as u64).sum(),
        append,
        bare_append: bare_append(&options.folder, &segments)?,
        restore,
        bare_restore: bare_restore(&options.folder, &segments)?,
        checkpoint_bytes: made.bytes,
        checkpoint,
        from_checkpoint: from_checkpoint(&options.folder, made, head)?,
    })
}

/// A product as two shops have it, seen for the first time.
fn merged(number: u64) -> Body {
    let seen = |shop: ShopId| {
        let product = product(shop, number);
        let held = Delta {
            set: product.fields(),
            unset: Vec::new(),
        };
        let seen = Seen {
            id: product.id.clone(),
            held,
            parts: Some(product.parts()),
            anew: false,
            gone: false,
        };
        (shop, seen)
    };
    let product = product(ShopId(1), number);
    Body::Merged(Merged {
        run: RunId(1),
        record: RecordId(number),
        kind: Kind::Product,
        title: product.title.clone(),
        keys: product.variants.iter().map(|v| v.sku.0.clone()).collect(),
        ours: Delta {
            set: product.fields(),
            unset: Vec::new(),
        },
        seen: [seen(ShopId(1)), seen(ShopId(2))].into(),
        overruled: Vec::new(),
        due: vec![ShopId(2)],
        awaits: Default::default(),
    })
}

fn restore(folder: &Path, segments: &[Segment], head: Option<(u64, Hash)>) -> Result<Took> {
    let encoded: Vec<_> = segments.iter().map(Segment::encode).collect();
    let mut journal = Journal::open(&folder.join("restored.sqlite"), CUSTOMER)?;
    let watch = Stopwatch::start();
    for some in encoded.chunks(SEGMENTS_AT_ONCE) {
        let some: Vec<Segment> = some
            .iter()
            .map(|bytes| Segment::decode(bytes))
            .collect::<Result<_, _>>()?;
        journal.accept_all(&some)?;
    }
    let took = watch.stop();
    anyhow::ensure!(
        journal.head()?.segment == head,
        "what was restored is not what was cut"
    );
    Ok(took)
}

/// Of the file that was restored: a replica is the same.
fn checkpoint(folder: &Path) -> Result<(Checkpoint, Took)> {
    let watch = Stopwatch::start();
    let making = Making::of(&folder.join("restored.sqlite"), CUSTOMER)?;
    let made = making.write(&folder.join("checkpoint"))?;
    Ok((made.context("there are segments")?, watch.stop()))
}

fn from_checkpoint(folder: &Path, made: Checkpoint, head: Option<(u64, Hash)>) -> Result<Took> {
    let path = folder.join("unpacked.sqlite");
    let watch = Stopwatch::start();
    let mut file = std::fs::File::open(folder.join("checkpoint"))?;
    let mut unpacking = Unpacking::begin(&path, made)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = std::io::Read::read(&mut file, &mut piece)?;
        if read == 0 {
            break;
        }
        unpacking.take(&piece[..read])?;
    }
    unpacking.finish()?;
    let journal = Journal::open(&path, CUSTOMER)?;
    let took = watch.stop();
    anyhow::ensure!(
        journal.head()?.segment == head,
        "what was unpacked is not what was cut"
    );
    Ok(took)
}

fn bare_append(folder: &Path, segments: &[Segment]) -> Result<Took> {
    let mut file = Connection::open(folder.join("bare.sqlite"))?;
    file.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    file.pragma_update(None, "synchronous", "FULL")?;
    file.execute_batch("CREATE TABLE entry(seq INTEGER PRIMARY KEY, line TEXT NOT NULL)")?;
    let mut took = Took::default();
    for segment in segments {
        let lines = segment.lines()?;
        let lines = std::str::from_utf8(&lines).context("JSON is text")?;
        let lines: Vec<&str> = lines.lines().collect();
        for some in lines.chunks(usize::try_from(ENTRIES_AT_ONCE)?) {
            let watch = Stopwatch::start();
            let transaction = file.transaction()?;
            {
                let mut insert =
                    transaction.prepare_cached("INSERT INTO entry(line) VALUES (?1)")?;
                for line in some {
                    insert.execute([line])?;
                }
            }
            transaction.commit()?;
            took += watch.stop();
        }
    }
    Ok(took)
}

fn bare_restore(folder: &Path, segments: &[Segment]) -> Result<Took> {
    let watch = Stopwatch::start();
    let mut file = std::fs::File::create(folder.join("lines"))?;
    for segment in segments {
        let bytes = usize::try_from(segment.lines_bytes)?;
        let lines = zstd::bulk::decompress(&segment.body, bytes)?;
        std::io::Write::write_all(&mut file, &lines)?;
    }
    file.sync_all()?;
    Ok(watch.stop())
}
