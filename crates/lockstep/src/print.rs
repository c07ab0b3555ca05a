//! Answers for people and for scripts.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// One line of JSON on standard output.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// A plain table: no boxes, columns as wide as the terminal allows.
pub fn table(heads: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(heads.to_vec());
    for row in rows {
        table.add_row(row);
    }
    line(&table.trim_fmt());
}

/// A line on standard output; a reader that went away is no error of ours.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").is_err() {
        tracing::debug!("nobody reads standard output any more");
    }
}

/// What standard output has as it is.
pub fn raw(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Beside what standard output has: for people alone.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// What went wrong, with its causes.
pub fn trouble(error: &anyhow::Error) {
    eprintln!("lockstep: {error:#}");
}

/// Is somebody looking who would like to see progress?
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}
