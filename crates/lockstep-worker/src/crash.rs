//! Named points at which a test makes this process die, to show that nothing is lost or doubled there.
//! `LOCKSTEP_CRASH_AT=after_send:2` dies at the second time that the point is reached. Off without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub const VARIABLE: &str = "LOCKSTEP_CRASH_AT";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    AfterPull,
    AfterStage,
    BeforeIntent,
    AfterIntent,
    AfterAcknowledgement,
    AfterSend,
    BeforeOutcome,
    BeforeCommit,
    BeforeShippingSegment,
    AfterShippingSegment,
    SettingsSave,
    DuringRestore,
    DuringCheckpoint,
}

impl CrashPoint {
    pub const ALL: [CrashPoint; 13] = [
        CrashPoint::AfterPull,
        CrashPoint::AfterStage,
        CrashPoint::BeforeIntent,
        CrashPoint::AfterIntent,
        CrashPoint::AfterAcknowledgement,
        CrashPoint::AfterSend,
        CrashPoint::BeforeOutcome,
        CrashPoint::BeforeCommit,
        CrashPoint::BeforeShippingSegment,
        CrashPoint::AfterShippingSegment,
        CrashPoint::SettingsSave,
        CrashPoint::DuringRestore,
        CrashPoint::DuringCheckpoint,
    ];

    pub fn name(self) -> &'static str {
        match self {
            CrashPoint::AfterPull => "after_pull",
            CrashPoint::AfterStage => "after_stage",
            CrashPoint::BeforeIntent => "before_intent",
            CrashPoint::AfterIntent => "after_intent",
            CrashPoint::AfterAcknowledgement => "after_acknowledgement",
            CrashPoint::AfterSend => "after_send",
            CrashPoint::BeforeOutcome => "before_outcome",
            CrashPoint::BeforeCommit => "before_commit",
            CrashPoint::BeforeShippingSegment => "before_shipping_segment",
            CrashPoint::AfterShippingSegment => "after_shipping_segment",
            CrashPoint::SettingsSave => "settings_save",
            CrashPoint::DuringRestore => "during_restore",
            CrashPoint::DuringCheckpoint => "during_checkpoint",
        }
    }
}

/// Which point, and how many times it is passed before it is deadly.
#[derive(Debug, Clone, Default)]
pub struct CrashPoints(Option<Arc<Armed>>);

#[derive(Debug)]
struct Armed {
    point: CrashPoint,
    left: AtomicU64,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}={text} names no crash point; there are: {all}", all = CrashPoint::ALL.map(CrashPoint::name).join(", "))]
pub struct UnknownCrashPoint {
    text: String,
}

impl CrashPoints {
    pub fn from_environment() -> Result<Self, UnknownCrashPoint> {
        match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => Self::parse(&text),
            Ok(_) | Err(_) => Ok(Self::default()),
        }
    }

    fn parse(text: &str) -> Result<Self, UnknownCrashPoint> {
        let unknown = || UnknownCrashPoint {
            text: text.to_owned(),
        };
        let (name, nth) = text.split_once(':').unwrap_or((text, "1"));
        let point = CrashPoint::ALL
            .into_iter()
            .find(|point| point.name() == name)
            .ok_or_else(unknown)?;
        let left = nth.parse().map_err(|_| unknown())?;
        Ok(Self(Some(Arc::new(Armed {
            point,
            left: AtomicU64::new(left),
        }))))
    }

    /// Returns, unless a test wants the process dead here.
    pub fn reach(&self, point: CrashPoint) {
        if self.is_deadly(point) {
            tracing::error!(point = point.name(), "dying here, as {VARIABLE} asks");
            std::process::abort();
        }
    }

    fn is_deadly(&self, point: CrashPoint) -> bool {
        let Some(armed) = self.0.as_deref().filter(|armed| armed.point == point) else {
            return false;
        };
        armed.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_time_is_deadly_and_no_other() {
        let points = CrashPoints::parse("after_send:3").unwrap();
        let deaths: Vec<bool> = (0..5)
            .map(|_| points.is_deadly(CrashPoint::AfterSend))
            .collect();
        assert_eq!(deaths, [false, false, true, false, false]);
        assert!(!points.is_deadly(CrashPoint::AfterPull));
    }

    #[test]
    fn a_misspelt_point_is_refused_and_the_right_ones_are_named() {
        let refused = CrashPoints::parse("after_sent").unwrap_err().to_string();
        assert!(refused.contains("after_send,"), "{refused}");
        assert!(CrashPoints::parse("after_send:x").is_err());
    }

    #[test]
    fn nothing_is_deadly_by_default() {
        for point in CrashPoint::ALL {
            assert!(!CrashPoints::default().is_deadly(point));
        }
    }
}
