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
    now: Timestamp,
) -> Option<Settlement> {
    let row = row?;
    let StagedBody::Fields { fields, parts } = &row.body else {
        return Some(Settlement::NotApplied { fault: None });
    };
    let applied = match &intent.what {
        What::Create { .. } => true,
        What::Set { set } => set
            .iter()
            .all(|(path, value)| fields.get(path).unwrap_or(&Value::Empty) == value),
        What::AddPicture { digest } => parts.pictures.contains_key(digest),
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
    settled_by(intent, settles_after_ms, now).then_some(Settlement::NotApplied { fault: None })
}

/// Has so much time passed that a write which is not to be seen was not applied?
pub(crate) fn settled_by(intent: &OpenIntent, settles_after_ms: i64, now: Timestamp) -> bool {
    settles_at(intent, settles_after_ms) <= now
}

/// From then on a look at this write proves something.
pub(crate) fn settles_at(intent: &OpenIntent, settles_after_ms: i64) -> Timestamp {
    intent
        .look_at
        .or_else(|| intent.at.checked_add(settles_after_ms.milliseconds()).ok())
        .unwrap_or(Timestamp::MAX)
}
