//! What became of a catalogue write whose outcome nobody knew, by a later reading.

use jiff::{Timestamp, ToSpan};
use lockstep_model::Value;
use lockstep_model::cases::{OpenIntent, Staged, StagedBody};
use lockstep_model::entry::{Settlement, What};

/// What a reading says of an intent whose outcome nobody knew. `None`: nothing yet.
pub(super) fn what_became_of(
    intent: &OpenIntent,
    row: Option<&Staged>,
    settles_after_ms: i64,
) -> Option<Settlement> {
    let row = row.filter(|row| is_after(intent, settles_after_ms, row.left_at))?;
    let StagedBody::Fields { fields, parts } = &row.body else {
        return Some(Settlement::NotApplied { fault: None });
    };
    let applied = match &intent.what {
        What::Create { .. } => true,
        What::Set { set } => set
            .iter()
            .all(|(path, value)| fields.get(path).unwrap_or(&Value::Empty) == value),
        What::AddPicture { digest, .. } => parts.pictures.contains_key(digest),
        What::RemovePicture { digest } => !parts.pictures.contains_key(digest),
        What::Level { .. } | What::CreateOrder | What::StepOrder { .. } => false,
    };
    if applied {
        return Some(Settlement::Done {
            id: row.id.clone(),
            parts: Some(parts.clone()),
            held: Some(fields.clone()),
            level: None,
            partly: false,
        });
    }
    settled_by(intent, settles_after_ms, row.left_at)
        .then_some(Settlement::NotApplied { fault: None })
}

/// Had so much time passed, when a reading left, that a write which it does not show was not applied? A reading proves only
/// what it could know then, however long it took.
pub(crate) fn settled_by(intent: &OpenIntent, settles_after_ms: i64, left_at: Timestamp) -> bool {
    settles_at(intent, settles_after_ms) <= left_at
}

/// Did a reading leave after the write did? One that left before says nothing of it, whatever it shows.
pub(crate) fn is_after(intent: &OpenIntent, settles_after_ms: i64, left_at: Timestamp) -> bool {
    let left = intent
        .look_at
        .and_then(|at| at.checked_sub(settles_after_ms.milliseconds()).ok());
    left.unwrap_or(intent.at) <= left_at
}

/// From then on a look at this write proves something.
pub(crate) fn settles_at(intent: &OpenIntent, settles_after_ms: i64) -> Timestamp {
    intent
        .look_at
        .or_else(|| intent.at.checked_add(settles_after_ms.milliseconds()).ok())
        .unwrap_or(Timestamp::MAX)
}
