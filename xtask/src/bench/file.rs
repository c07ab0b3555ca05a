//! The customer's file: plan and merge of a catalogue, and the journal. No server and no network; each is a process of
//! its own, so that its CPU time and peak memory are counted apart.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::peer::run_peer_for;
use super::{Bench, Figures};

const RECORDS: u64 = 1_000_000;
const RECORDS_FEW: u64 = 100_000;
const ENTRIES: u64 = 100_000;
const MIB: f64 = 1024.0 * 1024.0;

#[derive(Deserialize)]
struct Took {
    wall_seconds: f64,
    cpu_seconds: f64,
}

/// What `bench-peer plan` prints.
#[derive(Deserialize)]
struct Planned {
    records: u64,
    writes: u64,
    chunks: u64,
    #[serde(flatten)]
    took: Took,
    memory_peak_bytes: u64,
}

/// What `bench-peer bare-plan` prints.
#[derive(Deserialize)]
struct Copied {
    records: u64,
    read_bytes: u64,
    written_bytes: u64,
    #[serde(flatten)]
    took: Took,
}

/// Records a second and core that are merged and planned, beside bare SQLite that reads and writes the same rows.
pub fn merge(bench: &Bench) -> Result<Figures> {
    let few = plan(bench, RECORDS_FEW)?.0;
    let (many, bare) = plan(bench, RECORDS)?;
    let each = |records: u64, took: &Took| records as f64 / took.cpu_seconds.max(0.001);
    let [few_mib, many_mib] = [&few, &many].map(|plan| plan.memory_peak_bytes as f64 / MIB);
    let (ours, other) = (
        each(many.records, &many.took),
        each(bare.records, &bare.took),
    );
    let mut more = Map::new();
    more.insert("records".to_owned(), json!([many.records, few.records]));
    more.insert("memory_peak_mib".to_owned(), json!([many_mib, few_mib]));
    more.insert(
        "records_per_second_and_core".to_owned(),
        json!([ours, each(few.records, &few.took)]),
    );
    more.insert("wall_seconds".to_owned(), many.took.wall_seconds.into());
    more.insert("chunks".to_owned(), many.chunks.into());
    more.insert("plan_bytes".to_owned(), bare.written_bytes.into());
    more.insert("staged_bytes".to_owned(), bare.read_bytes.into());
    Ok(Figures {
        name: "merge",
        ratio: ours / other,
        unit: "records merged and planned a CPU second",
        ours,
        other,
        more,
    })
}

fn plan(bench: &Bench, records: u64) -> Result<(Planned, Copied)> {
    let folder = bench.folder.path().join(format!("merge-{records}"));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let file = folder.join("customer.sqlite");
    bench.say(&format!("  two shops with {records} products are staged …"));
    part::<Value>(bench, "stage", &file, records)?;
    let planned: Planned = part(bench, "plan", &file, records)?;
    ensure!(
        planned.records == records && planned.writes == records,
        "{} records and {} writes were planned, and there are {records} of each",
        planned.records,
        planned.writes
    );
    bench.say(&format!(
        "  {records} records: wall {:.1} s, CPU {:.1} s, peak {:.1} MiB",
        planned.took.wall_seconds,
        planned.took.cpu_seconds,
        planned.memory_peak_bytes as f64 / MIB
    ));
    let copied = part(bench, "bare-plan", &file, records)?;
    std::fs::remove_dir_all(&folder)
        .with_context(|| format!("{} cannot be removed", folder.display()))?;
    Ok((planned, copied))
}

fn part<T: for<'de> Deserialize<'de>>(
    bench: &Bench,
    part: &str,
    file: &Path,
    records: u64,
) -> Result<T> {
    let file = file.to_str().context("the folder's name is no text")?;
    run_peer_for(
        bench,
        &[part, "--file", file, "--records", &records.to_string()],
    )
}

/// What `bench-peer journal` prints.
#[derive(Deserialize)]
struct Written {
    records: u64,
    line_bytes: u64,
    file_bytes: u64,
    segment_bytes: u64,
    append: Took,
    bare_append: Took,
    restore: Took,
    bare_restore: Took,
    checkpoint_bytes: u64,
    checkpoint: Took,
    from_checkpoint: Took,
}

/// Entries appended with all that follows from them beside their bare lines, and a file restored from its segments
/// beside the same segments decompressed onto the disk; and one made of a checkpoint.
pub fn journal(bench: &Bench) -> Result<Figures> {
    let folder = bench.folder.path().join("journal");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = folder.to_str().context("the folder's name is no text")?;
    let written: Written = run_peer_for(
        bench,
        &[
            "journal",
            "--folder",
            path,
            "--records",
            &ENTRIES.to_string(),
        ],
    )?;
    let records = written.records as f64;
    let each = |took: &Took| records / took.cpu_seconds.max(0.001);
    let mib = |took: &Took| written.line_bytes as f64 / MIB / took.cpu_seconds.max(0.001);
    let bytes = |bytes: u64| bytes as f64 / records;
    bench.say(&format!(
        "  append {:.0} entries ({:.1} MiB) a CPU second, wall {:.1} s; restore {:.0} ({:.1} MiB), wall {:.1} s",
        each(&written.append),
        mib(&written.append),
        written.append.wall_seconds,
        each(&written.restore),
        mib(&written.restore),
        written.restore.wall_seconds,
    ));
    bench.say(&format!(
        "  from a checkpoint {:.0} entries a CPU second, wall {:.1} s; making it: wall {:.1} s, CPU {:.1} s, {:.1} MiB",
        each(&written.from_checkpoint),
        written.from_checkpoint.wall_seconds,
        written.checkpoint.wall_seconds,
        written.checkpoint.cpu_seconds,
        written.checkpoint_bytes as f64 / MIB,
    ));
    let mut more = Map::new();
    more.insert("entries".to_owned(), written.records.into());
    more.insert(
        "from_checkpoint".to_owned(),
        json!({
            "ratio": each(&written.from_checkpoint) / each(&written.restore),
            "ours": each(&written.from_checkpoint),
            "other": each(&written.restore),
            "wall_seconds": [written.from_checkpoint.wall_seconds, written.restore.wall_seconds],
            "making_wall_seconds": written.checkpoint.wall_seconds,
        }),
    );
    more.insert(
        "append_mib".to_owned(),
        json!([mib(&written.append), mib(&written.bare_append)]),
    );
    more.insert(
        "bytes_per_entry".to_owned(),
        json!({
            "line": bytes(written.line_bytes),
            "file": bytes(written.file_bytes),
            "segment": bytes(written.segment_bytes),
            "checkpoint": bytes(written.checkpoint_bytes),
        }),
    );
    more.insert(
        "restore".to_owned(),
        json!({
            "ratio": each(&written.restore) / each(&written.bare_restore),
            "ours": each(&written.restore),
            "other": each(&written.bare_restore),
            "mib": [mib(&written.restore), mib(&written.bare_restore)],
        }),
    );
    Ok(Figures {
        name: "journal",
        ratio: each(&written.append) / each(&written.bare_append),
        unit: "entries appended a CPU second",
        ours: each(&written.append),
        other: each(&written.bare_append),
        more,
    })
}
