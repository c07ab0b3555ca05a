//! Somebody undoes a run. What it wrote is put back, and each field is a question: until a person answers it, the shop
//! shows what it showed before, whatever the owner says meanwhile.

use crate::dice::Dice;
use crate::scenario::WEB;
use crate::sim::Sim;
use lockstep_journal::ConflictRow;
use lockstep_model::entry::{Conflict, Subject};
use lockstep_model::{Field, Kind, Path, Record, Resolution, Value};

/// In percent, after each act of a person.
const BEGINS: u64 = 8;
/// Of the answers, those by which the owner takes over what the shop shows.
const RESTORES: u64 = 40;

pub fn act(sim: &mut Sim, dice: &mut Dice) {
    if !dice.chance(BEGINS) {
        return;
    }
    let runs = sim.written_runs.clone();
    // The last, or one before it.
    let recent = &runs[runs.len().saturating_sub(3)..];
    if let Some(run) = dice.pick(recent) {
        sim.undo(*run);
    }
}

/// Every question that an undo has asked is answered, after a look at what the shop shows.
pub fn answer(sim: &mut Sim, dice: &mut Dice) -> Vec<String> {
    let mut found = Vec::new();
    for row in sim.conflicts() {
        let Conflict::Undone {
            restoring: None,
            path,
            ..
        } = &row.about
        else {
            continue;
        };
        found.extend(is_overwritten(sim, &row));
        // What is not on sale any more is not counted either, and what is not picked is not written.
        let is_of_sale =
            *path == Path::new(&Field::Status) || path.as_str().starts_with("attribute");
        let wants = dice.chance(RESTORES) && !is_of_sale;
        let restores = wants && sim.answer(row.conflict, &Resolution::RestoreInSource);
        if restores || sim.answer(row.conflict, &Resolution::Release) {
            continue;
        }
        // It may have closed with the one before.
        if sim
            .conflicts()
            .iter()
            .any(|open| open.conflict == row.conflict)
        {
            found.push(format!("nobody can answer {row:?}"));
        }
    }
    found
}

/// The shop shows something else than what was put back, or is to be, and nobody there has edited it.
fn is_overwritten(sim: &Sim, row: &ConflictRow) -> Option<String> {
    let (
        Conflict::Undone {
            path,
            shop,
            held,
            wrote,
            ..
        },
        Subject::Record(record),
    ) = (&row.about, &row.subject)
    else {
        return None;
    };
    let journal = sim.journal()?;
    let view = journal.record_view(*record).expect("a record")?;
    // Titles are edited by people of the shop as well.
    if !WEB.contains(shop) || view.kind != Kind::Product || *path == Path::new(&Field::Title) {
        return None;
    }
    let product = sim.shops[shop]
        .products
        .get(view.shops.get(shop)?.id.as_ref()?)?;
    // The question names variants as we do.
    let mut named = Record::Product(product.clone());
    journal.name_items(*shop, &mut named).expect("its names");
    let Record::Product(product) = named else {
        return None;
    };
    let shows = product.fields().get(path).cloned().unwrap_or(Value::Empty);
    (shows != *held && shows != *wrote).then(|| {
        format!(
            "{path} of record {record} in shop {shop} is {shows}, and {held} was put back: {row:?}"
        )
    })
}
